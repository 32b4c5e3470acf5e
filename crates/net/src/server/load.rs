//! How much a worker has to do, and when it takes no more: a few quick refusals in place of everyone waiting for ever.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How often the worker's pulse is felt.
const BEAT: Duration = Duration::from_millis(100);
/// A beat that comes later than this is a late one.
const LATE: Duration = Duration::from_millis(250);
/// So many late beats in a row, and the worker cannot keep up: one alone may be the machine's doing.
const LATE_BEATS: u32 = 3;
/// With fewer requests under way there is nothing that could be shed: the time goes elsewhere.
const SHED_FROM: usize = 256;

/// What one worker has taken on. Touched by its own thread alone, so that counting costs next to nothing.
#[derive(Debug, Default)]
pub(super) struct Load {
    in_flight: AtomicUsize,
    late_beats: AtomicU32,
}

/// One request under way; dropping it gives its place back.
#[derive(Debug)]
pub(super) struct Place<'l>(&'l Load);

// === impl Load ===

impl Load {
    /// A place for one more request; `None` when `max` are under way, or when the worker is behind with what it has.
    pub(super) fn take(&self, max: usize) -> Option<Place<'_>> {
        let in_flight = self.in_flight.load(Ordering::Relaxed);
        let is_behind = in_flight >= SHED_FROM && self.late_beats.load(Ordering::Relaxed) >= LATE_BEATS;
        if in_flight >= max || is_behind {
            return None;
        }
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Some(Place(self))
    }

    /// Feels the pulse for ever: a timer that fires late tells how long whatever else is due has to wait as well.
    pub(super) async fn watch(&self) {
        loop {
            let due = Instant::now() + BEAT;
            sleep(BEAT).await;
            self.beat(due.elapsed());
        }
    }

    fn beat(&self, late: Duration) {
        let late_beats = match late > LATE {
            true => self.late_beats.load(Ordering::Relaxed).saturating_add(1),
            false => 0,
        };
        self.late_beats.store(late_beats, Ordering::Relaxed);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_given_up_to_the_most_and_come_back() {
        let load = Load::default();
        let first = load.take(2).unwrap();
        let second = load.take(2).unwrap();
        assert!(load.take(2).is_none());
        assert!(load.take(3).is_some(), "and came back at once");
        drop(first);
        assert!(load.take(2).is_some());
        drop(second);
        assert_eq!(load.in_flight.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn who_is_behind_takes_no_more_until_it_has_caught_up() {
        let load = Load::default();
        let mut places: Vec<_> = (0..SHED_FROM).map(|_| load.take(usize::MAX).unwrap()).collect();
        for late in 1..=LATE_BEATS {
            assert!(load.take(usize::MAX).is_some(), "{late}: not for one late beat");
            load.beat(2 * LATE);
        }
        assert!(load.take(usize::MAX).is_none());
        places.pop();
        assert!(load.take(usize::MAX).is_some(), "few requests are not what holds it up");
        places.push(load.take(usize::MAX).unwrap());
        load.beat(Duration::ZERO);
        assert!(load.take(usize::MAX).is_some(), "it has caught up");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pulse_in_time_is_no_late_one() {
        let load = Load::default();
        load.beat(2 * LATE);
        let _ = tokio::time::timeout(3 * BEAT, load.watch()).await;
        assert_eq!(load.late_beats.load(Ordering::Relaxed), 0);
    }
}
