//! A token bucket as one number: the generic cell rate algorithm (ITU-T I.371, "virtual scheduling").
//!
//! The number is the time at which the bucket will be full again. Taking a token moves it one interval ahead; a token is
//! there while it is not further ahead of now than `burst` intervals. One compare-and-swap, so exact over all cores: in any
//! span of `t` seconds never more than `burst + rate · t` are admitted.

use std::sync::atomic::{AtomicU64, Ordering};

/// Ticks in a nanosecond. Finer than the clock, so that rounding an interval up costs a fast rate nothing that matters;
/// 64 bits of ticks last 36 years.
const TICKS_PER_NS: u64 = 16;
const TICKS_PER_S: f64 = 1_000_000_000.0 * TICKS_PER_NS as f64;

/// A throttle's figures, checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    rate_per_s: f64,
    burst: u32,
}

/// Why figures cannot be a throttle's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// The rate is negative or no number.
    #[error("a rate is a number of requests per second, 0 or more")]
    NotARate,
    /// The rate cannot be told from no limit.
    #[error("a rate of more than {} requests per second is no limit", Rate::PER_S_MAX)]
    TooFast,
}

/// A token bucket that starts full.
#[derive(Debug)]
pub struct TokenBucket {
    rate: Rate,
    /// Ticks that one token takes to come back; `None` when none ever does.
    interval: Option<u64>,
    /// With an interval: when the bucket will be full. Without: how many tokens were taken.
    state: AtomicU64,
}

/// Evidence that a throttle let a request pass. Only [`TokenBucket::try_take`] makes one, and it cannot be copied.
#[derive(Debug)]
pub struct Lease {
    _taken: (),
}

/// The bucket is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttled {
    /// When a token will be back, in milliseconds from now, rounded up; `None` when none ever will.
    pub retry_after_ms: Option<u64>,
}

// === impl Rate ===

impl Rate {
    /// The fastest rate, in requests per second.
    pub const PER_S_MAX: u64 = 1_000_000_000;

    /// `rate_per_s` tokens come back each second up to `burst`. A burst of 0 blocks everything; a rate of 0 admits `burst`
    /// requests and no more.
    pub fn new(rate_per_s: f64, burst: u32) -> Result<Self, RateError> {
        if !rate_per_s.is_finite() || rate_per_s < 0.0 {
            return Err(RateError::NotARate);
        }
        if rate_per_s > Self::PER_S_MAX as f64 {
            return Err(RateError::TooFast);
        }
        Ok(Self { rate_per_s, burst })
    }

    /// Tokens that come back per second.
    pub fn rate_per_s(self) -> f64 {
        self.rate_per_s
    }

    /// Tokens at most.
    pub fn burst(self) -> u32 {
        self.burst
    }
}

// === impl TokenBucket ===

impl TokenBucket {
    /// A full bucket.
    pub fn new(rate: Rate) -> Self {
        // Rounded up: never faster than asked. A rate so slow that an interval outlasts the clock gives nothing back.
        let ticks = (TICKS_PER_S / rate.rate_per_s).ceil();
        let interval = (ticks < (u64::MAX / 4) as f64).then_some(ticks as u64);
        Self { rate, interval, state: AtomicU64::new(0) }
    }

    /// Its figures.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Takes a token. `now_ns` counts nanoseconds of a monotonic clock from any start; cores may disagree a little.
    pub fn try_take(&self, now_ns: u64) -> Result<Lease, Throttled> {
        let taken = match self.interval {
            Some(interval) => self.take_returning(interval, now_ns.saturating_mul(TICKS_PER_NS)),
            None => self.take_for_good(),
        };
        taken.map(|()| Lease { _taken: () })
    }

    fn take_returning(&self, interval: u64, now: u64) -> Result<(), Throttled> {
        let burst = u64::from(self.rate.burst);
        if burst == 0 {
            return Err(Throttled { retry_after_ms: None });
        }
        // The latest that the bucket may be full at after this token. u128 only where u64 cannot do.
        let horizon = interval.checked_mul(burst).and_then(|ahead| now.checked_add(ahead)).unwrap_or(u64::MAX);
        let mut full_at = self.state.load(Ordering::Relaxed);
        loop {
            let next = full_at.max(now).saturating_add(interval);
            if next > horizon {
                let wait_ns = (next - horizon).div_ceil(TICKS_PER_NS);
                return Err(Throttled { retry_after_ms: Some(wait_ns.div_ceil(1_000_000)) });
            }
            match self.state.compare_exchange_weak(full_at, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(()),
                Err(seen) => full_at = seen,
            }
        }
    }

    fn take_for_good(&self) -> Result<(), Throttled> {
        let burst = u64::from(self.rate.burst);
        let counted = self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
            (taken < burst).then_some(taken + 1)
        });
        counted.map(|_| ()).map_err(|_| Throttled { retry_after_ms: None })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use proptest::prelude::*;

    use super::*;

    fn bucket(rate_per_s: f64, burst: u32) -> TokenBucket {
        TokenBucket::new(Rate::new(rate_per_s, burst).unwrap())
    }

    #[test]
    fn figures_are_checked() {
        for (rate, error) in [(-1.0, RateError::NotARate), (f64::NAN, RateError::NotARate), (1e10, RateError::TooFast)] {
            assert_eq!(Rate::new(rate, 1), Err(error));
        }
        assert!(Rate::new(0.5, 1).is_ok());
    }

    #[test]
    fn starts_full_and_refills() {
        let bucket = bucket(2.0, 3);
        let second = 1_000_000_000;
        let take = |at_ns| bucket.try_take(at_ns).map(|_| ());
        for _ in 0..3 {
            assert_eq!(take(5 * second), Ok(()));
        }
        assert_eq!(take(5 * second), Err(Throttled { retry_after_ms: Some(500) }));
        assert_eq!(take(5 * second + second / 4), Err(Throttled { retry_after_ms: Some(250) }));
        assert_eq!(take(5 * second + second / 2), Ok(()));
        assert!(take(5 * second + second / 2).is_err());
        // An earlier time from another core takes nothing back.
        assert!(take(4 * second).is_err());
    }

    #[test]
    fn zeros_block() {
        assert_eq!(bucket(10.0, 0).try_take(0).map(|_| ()), Err(Throttled { retry_after_ms: None }));
        let never_refilled = bucket(0.0, 2);
        assert!(never_refilled.try_take(0).is_ok() && never_refilled.try_take(1).is_ok());
        assert_eq!(never_refilled.try_take(u64::MAX).map(|_| ()), Err(Throttled { retry_after_ms: None }));
    }

    #[test]
    fn exact_over_many_threads() {
        let bucket = bucket(1_000.0, 500);
        let admitted = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for thread in 0..8_u64 {
                let (bucket, admitted) = (&bucket, &admitted);
                scope.spawn(move || {
                    for round in 0..2_000_u64 {
                        // All threads walk through the same second of a pretended clock.
                        if bucket.try_take(round * 500_000 + thread).is_ok() {
                            admitted.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        // burst + rate · 1 s; the clock's last step may have brought one of them back or not.
        let admitted = admitted.into_inner();
        assert!((1_498..=1_500).contains(&admitted), "{admitted}");
    }

    proptest! {
        #[test]
        fn agrees_with_a_bucket_of_exact_fractions(
            // Intervals that are whole nanoseconds, so that the model needs no rounding either.
            interval_ns in 1_u64..2_000_000_000,
            burst in 1_u32..50,
            gaps in prop::collection::vec(prop_oneof![0_u64..1_000, 0_u64..3_000_000_000], 1..200),
        ) {
            let rate = 1_000_000_000.0 / interval_ns as f64;
            let bucket = bucket(rate, burst);
            // The real interval may be one tick longer than asked, never shorter.
            let interval = u128::from(bucket.interval.unwrap());
            prop_assert!(interval >= u128::from(interval_ns) * 16 - 1 && interval <= u128::from(interval_ns) * 16 + 1);
            let mut now = 0_u64;
            // Tokens times interval, counted exactly: full is burst intervals.
            let mut level = u128::from(burst) * interval;
            let mut last = 0_u64;
            for gap in gaps {
                now += gap;
                level = (level + u128::from(now - last) * 16).min(u128::from(burst) * interval);
                last = now;
                let expected = level >= interval;
                if expected {
                    level -= interval;
                }
                prop_assert_eq!(bucket.try_take(now).is_ok(), expected);
            }
        }
    }
}
