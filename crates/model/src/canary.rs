//! A canary: a part of a stage's requests that another deployment answers.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// What a stage knows of its canary.
#[derive(Debug)]
pub struct Canary {
    /// The canary's own compiled stage: its index in [`crate::Snapshot::stages`].
    pub index: usize,
    /// How much it gets.
    pub share: CanaryShare,
    /// Whether it shares the stage's response cache; else it has its own.
    pub use_stage_cache: bool,
    /// When it is rolled back without anyone's word.
    pub rollback: Option<RollbackRule>,
}

/// The part of the requests that go to a canary. It may be changed while the snapshot is in force: to end a canary must not
/// depend on whether what stands in the files today can be compiled.
#[derive(Debug)]
pub struct CanaryShare(AtomicU64);

/// When a canary is rolled back.
#[derive(Clone, Debug, PartialEq)]
pub struct RollbackRule {
    /// The part of its answers that may be 5XX, from 0 to 100.
    pub error_percent_max: Option<f64>,
    /// How long 99 of 100 of its requests may take.
    pub latency_p99_max: Option<Duration>,
    /// How many requests it takes to judge.
    pub requests_min: u64,
    /// How far back is looked.
    pub window: Duration,
}

/// One more than the largest draw.
const DRAWS: f64 = 4_294_967_296.0;

// === impl CanaryShare ===

impl CanaryShare {
    /// For `percent` from 0 to 100; beyond that it is taken as the nearer of the two.
    pub fn new(percent: f64) -> Self {
        let share = Self(AtomicU64::new(0));
        share.set(percent);
        share
    }

    /// Another part from now on.
    pub fn set(&self, percent: f64) {
        // 100 % is one more than the largest draw, so that none is left out; a fraction of one draw is rounded.
        let bound = (percent.clamp(0.0, 100.0) / 100.0 * DRAWS).round();
        self.0.store(bound as u64, Ordering::Relaxed);
    }

    /// Whether a request that drew this number goes to the canary. Every number is as likely as any other.
    pub fn takes(&self, draw: u32) -> bool {
        u64::from(draw) < self.0.load(Ordering::Relaxed)
    }

    /// Whether it gets anything.
    pub fn is_none(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_as_large_as_said() {
        for (percent, first_left_out) in [
            (-1.0, Some(0)),
            (0.0, Some(0)),
            (f64::NAN, Some(0)),
            (1.0, Some(42_949_673)),
            (50.0, Some(1 << 31)),
            (100.0, None),
            (1000.0, None),
        ] {
            let share = CanaryShare::new(percent);
            assert_eq!(share.is_none(), first_left_out == Some(0), "{percent}");
            match first_left_out {
                Some(first) => {
                    assert!(!share.takes(first), "{percent}");
                    assert!(first == 0 || share.takes(first - 1), "{percent}");
                    assert!(!share.takes(u32::MAX), "{percent}");
                }
                None => assert!(share.takes(0) && share.takes(u32::MAX), "{percent}"),
            }
        }
    }
}
