//! The figures of a throttle.

/// The highest rate, in tokens per second.
pub const RATE_PER_S_MAX: f64 = 1_000_000.0;
/// The largest burst, in tokens.
pub const BURST_MAX: u64 = 1_000_000_000;
/// The longest time in which an empty bucket may fill up, in seconds (about a year). What refills more slowly is a quota,
/// and the arithmetic of the bucket is exact up to here.
pub const REFILL_S_MAX: f64 = 32_000_000.0;

/// A throttle's figures, checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    rate_per_s: f64,
    burst: u64,
}

/// Why figures cannot be a throttle's.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum RateError {
    /// The burst is above [`BURST_MAX`].
    #[error("a burst of {0} is above {BURST_MAX}; write less")]
    BurstTooLarge(u64),
    /// The rate is negative, infinite or no number.
    #[error("a rate of {0} per second is no rate; write a number from 0 to {RATE_PER_S_MAX}")]
    NotARate(f64),
    /// The rate is above [`RATE_PER_S_MAX`].
    #[error("a rate of {0} per second is above {RATE_PER_S_MAX}; write less")]
    TooFast(f64),
    /// An empty bucket would take longer than [`REFILL_S_MAX`] to fill up.
    #[error(
        "a burst of {burst} at {rate_per_s} per second takes more than a year to come back; write a higher rate or a smaller burst"
    )]
    TooSlow {
        /// The rate, in tokens per second.
        rate_per_s: f64,
        /// The burst, in tokens.
        burst: u64,
    },
}

// === impl Rate ===

impl Rate {
    /// Checks a rate in tokens per second and a burst in tokens.
    ///
    /// A burst of 0 blocks everything; a rate of 0 admits the burst and then nothing for ever.
    pub fn new(rate_per_s: f64, burst: u64) -> Result<Self, RateError> {
        if !rate_per_s.is_finite() || rate_per_s < 0.0 {
            return Err(RateError::NotARate(rate_per_s));
        }
        if rate_per_s > RATE_PER_S_MAX {
            return Err(RateError::TooFast(rate_per_s));
        }
        if burst > BURST_MAX {
            return Err(RateError::BurstTooLarge(burst));
        }
        // The burst is below 2^53, so that it is exact as a float.
        if rate_per_s > 0.0 && burst.max(1) as f64 / rate_per_s > REFILL_S_MAX {
            return Err(RateError::TooSlow { rate_per_s, burst });
        }
        Ok(Self {
            rate_per_s: rate_per_s.abs(),
            burst,
        }) // abs: -0.0 is 0
    }

    /// Tokens that come back per second.
    pub fn rate_per_s(&self) -> f64 {
        self.rate_per_s
    }

    /// Tokens at most.
    pub fn burst(&self) -> u64 {
        self.burst
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_checked() {
        let cases = [
            (f64::NAN, 1, false),
            (f64::INFINITY, 1, false),
            (-1.0, 1, false),
            (1_000_001.0, 1, false),
            (1.0, BURST_MAX + 1, false),
            (0.000_000_001, 1, false),
            (1.0, BURST_MAX, false),
            (-0.0, 0, true),
            (0.0, BURST_MAX, true),
            (RATE_PER_S_MAX, BURST_MAX, true),
            (10_000.0, 5_000, true),
            (0.001, 1, true),
            (1.0, 32_000_000, true),
        ];
        for (rate_per_s, burst, accepted) in cases {
            let rate = Rate::new(rate_per_s, burst);
            assert_eq!(rate.is_ok(), accepted, "{rate_per_s} {burst}: {rate:?}");
            if let Ok(rate) = rate {
                assert_eq!((rate.rate_per_s(), rate.burst()), (rate_per_s, burst));
                assert!(rate.rate_per_s().is_sign_positive());
            }
        }
    }
}
