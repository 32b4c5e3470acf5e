//! Tokens that were verified before, found without a lock.
//!
//! A table of fixed size: a token has one set of places where it can be, found by a keyed hash of its end (its signature,
//! which nobody chooses freely), and counts as found only if its whole text is equal. Who comes into a full set takes the
//! place of another. Looking costs a hash, a line of marks and one comparison; entering costs little more, for many tokens
//! are seen once.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use arc_swap::ArcSwapOption;
use portcullis_core::Timestamp;

/// Places of one set: their marks fill a line of the processor's cache.
const WAYS: usize = 8;
/// So much of a token's end is hashed.
const HASHED_BYTES: usize = 64;

/// Values by token, bounded in number, bytes and time.
pub(super) struct Remembered<T> {
    sets: Box<[Set<T>]>,
    hashing: RandomState,
    life_s: i64,
    bytes_max: usize,
    /// Of the tokens in the table.
    bytes: AtomicUsize,
    /// Whose turn it is to leave.
    turn: AtomicUsize,
}

struct Set<T> {
    /// Hashes of what stands in the places, 0 for an empty one. They may run behind: what counts is the token itself.
    marks: [AtomicU64; WAYS],
    places: [ArcSwapOption<Entry<T>>; WAYS],
}

struct Entry<T> {
    token: Box<str>,
    value: Arc<T>,
    since: Timestamp,
}

// === impl Remembered ===

impl<T> Remembered<T> {
    /// Room for about `count_max` tokens (rounded up to whole sets) of `bytes_max` bytes in all, each for `life_s` seconds.
    pub(super) fn new(count_max: usize, bytes_max: usize, life_s: u32) -> Self {
        let sets = (0..count_max.div_ceil(WAYS).max(1)).map(|_| Set::default());
        Self {
            sets: sets.collect(),
            hashing: RandomState::new(),
            life_s: life_s.into(),
            bytes_max,
            bytes: AtomicUsize::new(0),
            turn: AtomicUsize::new(0),
        }
    }

    /// The value of a token whose time has not passed.
    pub(super) fn get(&self, token: &str, now: Timestamp) -> Option<Arc<T>> {
        let (set, mark) = self.find(token)?;
        set.marked(mark).find_map(|(_, place)| {
            let entry = place.load();
            let entry = entry.as_ref()?;
            // A clock that was set back makes nobody younger.
            let is_alive = entry.since <= now && now < entry.since.plus_seconds(self.life_s);
            (is_alive && *entry.token == *token).then(|| Arc::clone(&entry.value))
        })
    }

    /// Remembers a token.
    pub(super) fn put(&self, token: &str, value: Arc<T>, now: Timestamp) {
        if token.len() > self.bytes_max {
            return;
        }
        let Some((set, mark)) = self.find(token) else { return };
        let way = set.way_for(mark, self.turn.fetch_add(1, Ordering::Relaxed));
        let (Some(place), Some(own_mark)) = (set.places.get(way), set.marks.get(way)) else {
            return;
        };
        self.bytes.fetch_add(token.len(), Ordering::Relaxed);
        let entry = Entry {
            token: token.into(),
            value,
            since: now,
        };
        self.left(place.swap(Some(Arc::new(entry))));
        own_mark.store(mark, Ordering::Relaxed);
        self.make_room();
    }

    /// Forgets a token.
    pub(super) fn forget(&self, token: &str) {
        let Some((set, _)) = self.find(token) else { return };
        for place in &set.places {
            if place.load().as_ref().is_some_and(|entry| *entry.token == *token) {
                self.left(place.swap(None));
            }
        }
    }

    /// Forgets all.
    pub(super) fn clear(&self) {
        self.sets.iter().for_each(|set| self.clear_set(set));
    }

    /// How many are remembered now, with those whose time has passed unnoticed.
    pub(super) fn count(&self) -> u64 {
        let places = self.sets.iter().flat_map(|set| &set.places);
        places.filter(|place| place.load().is_some()).count() as u64
    }

    fn find(&self, token: &str) -> Option<(&Set<T>, u64)> {
        let bytes = token.as_bytes();
        let end = &bytes[bytes.len().saturating_sub(HASHED_BYTES)..];
        let hash = self.hashing.hash_one(end);
        let index = usize::try_from(hash >> 32).unwrap_or_default() % self.sets.len();
        Some((self.sets.get(index)?, hash | 1)) // 0 is nobody's mark
    }

    /// Sets are emptied in turn until what is left has room.
    fn make_room(&self) {
        while self.bytes.load(Ordering::Relaxed) > self.bytes_max {
            let index = self.turn.fetch_add(1, Ordering::Relaxed) % self.sets.len();
            let Some(set) = self.sets.get(index) else { return };
            self.clear_set(set);
        }
    }

    fn clear_set(&self, set: &Set<T>) {
        for place in set.places.iter().filter(|place| place.load().is_some()) {
            self.left(place.swap(None));
        }
    }

    fn left(&self, entry: Option<Arc<Entry<T>>>) {
        if let Some(entry) = entry {
            self.bytes.fetch_sub(entry.token.len(), Ordering::Relaxed);
        }
    }
}

impl<T> fmt::Debug for Remembered<T> {
    /// Never a token.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Remembered").finish_non_exhaustive()
    }
}

// === impl Set ===

impl<T> Set<T> {
    fn marked(&self, mark: u64) -> impl Iterator<Item = (usize, &ArcSwapOption<Entry<T>>)> {
        let marked = self.marks.iter().zip(&self.places).enumerate();
        marked.filter_map(move |(way, (known, place))| (known.load(Ordering::Relaxed) == mark).then_some((way, place)))
    }

    /// The token's own place if it has one, else an empty one, else that of whose turn it is.
    fn way_for(&self, mark: u64, turn: usize) -> usize {
        let own = self.marked(mark).next().map(|(way, _)| way);
        own.or_else(|| self.places.iter().position(|place| place.load().is_none()))
            .unwrap_or(turn % WAYS)
    }
}

impl<T> Default for Set<T> {
    fn default() -> Self {
        Self {
            marks: [const { AtomicU64::new(0) }; WAYS],
            places: std::array::from_fn(|_| ArcSwapOption::empty()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    const AT: Timestamp = Timestamp::from_unix_seconds(1_000);

    fn at(seconds: i64) -> Timestamp {
        AT.plus_seconds(seconds)
    }

    #[test]
    fn a_token_is_remembered_for_its_time_by_its_whole_text() {
        let table = Remembered::new(16, 10_000, 60);
        table.put("a.b.c", Arc::new(1), AT);
        let long = |first: &str| format!("{first}{}", "x".repeat(2 * HASHED_BYTES));
        table.put(&long("1"), Arc::new(2), AT); // two tokens of one end share a mark
        let check = |token: &str, seconds: i64, expected: Option<i32>| {
            assert_eq!(
                table.get(token, at(seconds)).as_deref(),
                expected.as_ref(),
                "{token} after {seconds}"
            );
        };
        check("a.b.c", 0, Some(1));
        check("a.b.c", 59, Some(1));
        check("a.b.c", 60, None);
        check("a.b.c", -1, None);
        check("a.b", 0, None);
        check(&long("1"), 0, Some(2));
        check(&long("2"), 0, None);
        table.put("a.b.c", Arc::new(3), at(30));
        check("a.b.c", 89, Some(3));
        assert_eq!(table.count(), 2);
        table.forget("a.b.c");
        table.forget("a.b");
        check("a.b.c", 30, None);
        check(&long("1"), 0, Some(2));
        table.clear();
        check(&long("1"), 0, None);
        assert_eq!((table.count(), table.bytes.load(Ordering::Relaxed)), (0, 0));
    }

    #[test]
    fn the_newest_is_always_there() {
        let table = Remembered::new(64, usize::MAX, 60);
        for number in 0..1_000 {
            let token = format!("token-{number}");
            table.put(&token, Arc::new(number), AT);
            assert_eq!(table.get(&token, AT).as_deref(), Some(&number));
            assert!(table.count() <= 64);
        }
    }

    #[test]
    fn threads_do_not_mistake_one_another_s_tokens() {
        let table = Remembered::new(8, 100, 60);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let table = &table;
                scope.spawn(move || {
                    for round in 0..2_000 {
                        let number = (thread * 7 + round) % 40;
                        let token = format!("token-{number}");
                        match table.get(&token, AT) {
                            Some(value) => assert_eq!(*value, number),
                            None => table.put(&token, Arc::new(number), AT),
                        }
                    }
                });
            }
        });
        table.clear();
        assert_eq!((table.count(), table.bytes.load(Ordering::Relaxed)), (0, 0));
    }

    proptest! {
        #[test]
        fn bounds_hold_and_values_are_their_tokens_own(
            steps in proptest::collection::vec((0..4_u8, "[a-f]{0,3}x{0,70}", 0..100_i64), 0..200),
            count_max in 1..40_usize,
            bytes_max in 0..400_usize,
        ) {
            let table = Remembered::new(count_max, bytes_max, 50);
            let mut newest: HashMap<String, (usize, i64)> = HashMap::new();
            for (step, (what, token, seconds)) in steps.into_iter().enumerate() {
                match what {
                    0 => table.forget(&token),
                    1 | 2 => {
                        table.put(&token, Arc::new(step), at(seconds));
                        newest.insert(token.clone(), (step, seconds));
                    }
                    _ => {}
                }
                if what == 0 {
                    newest.remove(&token);
                    prop_assert!(table.get(&token, at(seconds)).is_none());
                }
                if let Some(value) = table.get(&token, at(seconds)) {
                    let (step, since) = newest[&token];
                    prop_assert_eq!(*value, step);
                    prop_assert!((since..since + 50).contains(&seconds));
                }
                prop_assert!(table.bytes.load(Ordering::Relaxed) <= bytes_max);
                prop_assert!(table.count() <= count_max.div_ceil(WAYS).max(1) as u64 * WAYS as u64);
            }
        }
    }
}
