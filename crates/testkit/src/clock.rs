//! A clock that a test sets.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use portcullis_core::{Clock, Timestamp};

/// A clock that stands still until it is told to move; its clones are the same clock.
#[derive(Clone, Debug)]
pub struct ManualClock {
    micros: Arc<AtomicI64>,
}

impl ManualClock {
    /// Stands at `now`.
    pub fn at(now: Timestamp) -> Self {
        Self {
            micros: Arc::new(AtomicI64::new(now.unix_micros())),
        }
    }

    /// Stands at an RFC 3339 time (`2026-11-20T00:00:00Z`); panics when the text is not one.
    #[track_caller]
    pub fn at_rfc3339(text: &str) -> Self {
        Self::at(Timestamp::parse_rfc3339(text).unwrap_or_else(|| panic!("`{text}` is not an RFC 3339 time")))
    }

    /// Moves to `now`, which may lie in the past: real clocks are set back too.
    pub fn set(&self, now: Timestamp) {
        self.micros.store(now.unix_micros(), Ordering::SeqCst);
    }

    /// Moves on by `seconds` (back, when negative).
    pub fn advance_seconds(&self, seconds: i64) {
        self.advance_micros(seconds.saturating_mul(1_000_000));
    }

    /// Moves on by `micros` (back, when negative).
    pub fn advance_micros(&self, micros: i64) {
        self.micros.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_micros(self.micros.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_the_time() {
        let clock = ManualClock::at_rfc3339("2026-11-20T00:00:00Z");
        let other = clock.clone();
        clock.advance_seconds(90);
        assert_eq!(other.now().to_rfc3339(), "2026-11-20T00:01:30Z");
        other.set(Timestamp::from_unix_seconds(0));
        assert_eq!(clock.now().unix_micros(), 0);
    }
}
