//! A bucket for every caller, in a table of a fixed size.
//!
//! A bucket that is full again holds nothing: forgetting it and making it anew is the same. So only such are ever put out of
//! their place, and nobody gets a fresh bucket by crowding another's out. A caller that finds no place shares one bucket with
//! the others in that position; which those are, nobody outside can tell, for the hash is keyed.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{Mutex, PoisonError},
};

use crate::{Level, Rate, Throttled, bucket::Meter};

/// Places that a key can have.
const WAYS: usize = 8;

/// Buckets of one rate by key, in a table that never grows.
#[derive(Debug)]
pub struct KeyedBuckets {
    meter: Meter,
    /// A lock each, so that only keys of one set wait for each other, for some nanoseconds.
    sets: Box<[Mutex<Set>]>,
    hasher: RandomState,
}

#[derive(Clone, Copy, Debug, Default)]
struct Set {
    /// Hashes; 0 is nobody's.
    keys: [u64; WAYS],
    states: [u64; WAYS],
    /// The bucket of those who find no place.
    crowd: u64,
}

// === impl KeyedBuckets ===

impl KeyedBuckets {
    /// Full buckets for at least `entries_max` keys at once, rounded up to a power of two.
    pub fn new(rate: Rate, entries_max: usize) -> Self {
        let sets = Self::rounded(entries_max) / WAYS;
        Self {
            meter: Meter::new(rate),
            sets: (0..sets).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        }
    }

    /// The places of a table that is to have at least this many.
    pub fn rounded(entries_max: usize) -> usize {
        entries_max.div_ceil(WAYS).next_power_of_two() * WAYS
    }

    /// The figures of each bucket.
    pub fn rate(&self) -> Rate {
        self.meter.rate()
    }

    /// Keys that have a place of their own at most.
    pub fn entries_max(&self) -> usize {
        self.sets.len() * WAYS
    }

    /// What a key is called in this table: keyed, so that nobody can choose whom to share with.
    pub fn hash(&self, key: &(impl std::hash::Hash + ?Sized)) -> u64 {
        self.hasher.hash_one(key).max(1)
    }

    /// Takes a token of the bucket that [`KeyedBuckets::hash`] names.
    pub fn try_take(&self, hash: u64, now_ns: u64) -> Result<(), Throttled> {
        self.with(hash, now_ns, |meter, state| {
            *state = meter.take(*state, now_ns)?;
            Ok(())
        })
    }

    /// What is left of that bucket.
    pub fn level(&self, hash: u64, now_ns: u64) -> Level {
        self.with(hash, now_ns, |meter, state| meter.level(*state, now_ns))
    }

    fn with<T>(&self, hash: u64, now_ns: u64, with: impl FnOnce(&Meter, &mut u64) -> T) -> T {
        // The number of sets is a power of two; the lowest bits choose one.
        let index = (hash as usize) & (self.sets.len() - 1);
        let mut set = self.sets[index].lock().unwrap_or_else(PoisonError::into_inner);
        let set = &mut *set;
        let free = |key: &u64, state: &u64| *key == 0 || self.meter.is_full(*state, now_ns);
        let place = set.keys.iter().position(|key| *key == hash).or_else(|| {
            let free = set
                .keys
                .iter()
                .zip(&set.states)
                .position(|(key, state)| free(key, state));
            free.inspect(|place| {
                set.keys[*place] = hash;
                set.states[*place] = 0;
            })
        });
        match place {
            Some(place) => with(&self.meter, &mut set.states[place]),
            None => with(&self.meter, &mut set.crowd),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn buckets(rate: f64, burst: u32, entries_max: usize) -> KeyedBuckets {
        KeyedBuckets::new(Rate::new(rate, burst).unwrap(), entries_max)
    }

    #[test]
    fn each_key_has_its_own_bucket() {
        let buckets = buckets(1.0, 2, 1_000);
        let (first, second) = (buckets.hash("a"), buckets.hash("b"));
        let take = |hash| buckets.try_take(hash, SECOND).is_ok();
        assert_eq!([first, first, first].map(take), [true, true, false]);
        assert!(take(second));
        assert!(buckets.try_take(first, 2 * SECOND).is_ok());
        assert_eq!(buckets.level(second, SECOND).left, 1);
    }

    #[test]
    fn a_crowd_gets_no_more_than_the_table_and_one_bucket_for_a_set() {
        // Whoever comes from ever new addresses must not get ever new buckets.
        let buckets = buckets(1.0, 3, 64);
        let mut admitted = 0;
        for key in 0..10_000_u32 {
            let hash = buckets.hash(&key);
            admitted += (0..5).filter(|_| buckets.try_take(hash, SECOND).is_ok()).count();
        }
        let sets = buckets.entries_max() / WAYS;
        assert_eq!(admitted, (buckets.entries_max() + sets) * 3);
        // Later the places are free again, and everybody starts afresh.
        let hash = buckets.hash(&10_001);
        assert!(buckets.try_take(hash, 10 * SECOND).is_ok());
        assert_eq!(buckets.level(hash, 10 * SECOND).left, 2);
    }

    #[test]
    fn a_key_in_use_keeps_its_place() {
        let buckets = buckets(1.0, 100, 8);
        let own = buckets.hash("own");
        for _ in 0..100 {
            assert!(buckets.try_take(own, SECOND).is_ok());
        }
        for key in 0..1_000_u32 {
            let _ = buckets.try_take(buckets.hash(&key), SECOND);
        }
        assert!(
            buckets.try_take(own, SECOND).is_err(),
            "crowding out would have filled it"
        );
    }

    #[test]
    fn exact_over_threads() {
        let buckets = buckets(0.001, 1_000, 8);
        let hash = buckets.hash("shared");
        let take = || (0..1_000).filter(|_| buckets.try_take(hash, SECOND).is_ok()).count();
        let admitted: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(admitted, 1_000);
    }
}
