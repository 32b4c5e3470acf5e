//! A token bucket as one number: the generic cell rate algorithm (ITU-T I.371, "virtual scheduling").
//!
//! The number is the time at which the bucket will be full again. Taking a token moves it one interval ahead; a token is
//! there while it is not further ahead of now than `burst` intervals. One compare-and-swap, so exact over all cores: in any
//! span of `t` seconds never more than `burst + rate · t` are admitted.

use std::sync::atomic::{AtomicU64, Ordering};

/// Ticks in a nanosecond. Finer than the clock, so that rounding an interval up costs a fast rate little; 64 bits of ticks
/// last 146 years, so that even a count from 1970 does not reach their end.
const TICKS_PER_NS: u64 = 4;
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
    meter: Meter,
    state: AtomicU64,
}

/// A bucket's figures without its state, which is one number. With an interval it is when the bucket will be full, without
/// how many tokens were taken; 0 is full either way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Meter {
    rate: Rate,
    /// Ticks that one token takes to come back; `None` when none ever does.
    interval: Option<u64>,
}

/// What is left of a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// Requests that would be admitted now.
    pub left: u64,
    /// Milliseconds until everything is there again.
    pub reset_ms: u64,
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
        Self {
            meter: Meter::new(rate),
            state: AtomicU64::new(0),
        }
    }

    /// Its figures.
    pub fn rate(&self) -> Rate {
        self.meter.rate
    }

    /// Takes a token. `now_ns` counts nanoseconds of a monotonic clock from any start; cores may disagree a little.
    pub fn try_take(&self, now_ns: u64) -> Result<(), Throttled> {
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            let next = self.meter.take(state, now_ns)?;
            match self
                .state
                .compare_exchange_weak(state, next, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return Ok(()),
                Err(seen) => state = seen,
            }
        }
    }

    /// What is left.
    pub fn level(&self, now_ns: u64) -> Level {
        self.meter.level(self.state.load(Ordering::Relaxed), now_ns)
    }
}

// === impl Meter ===

impl Meter {
    pub(crate) fn new(rate: Rate) -> Self {
        // Rounded up: never faster than asked. What would take more than 36 years to fill up gives nothing back.
        let ticks = (TICKS_PER_S / rate.rate_per_s).ceil();
        let refill = ticks * f64::from(rate.burst.max(1));
        let interval = (refill < (u64::MAX / 4) as f64).then_some(ticks as u64);
        Self { rate, interval }
    }

    pub(crate) fn rate(&self) -> Rate {
        self.rate
    }

    /// The state behind one more token.
    pub(crate) fn take(&self, state: u64, now_ns: u64) -> Result<u64, Throttled> {
        let never = Throttled { retry_after_ms: None };
        let Some(interval) = self.interval else {
            return if state < u64::from(self.rate.burst) {
                Ok(state + 1)
            } else {
                Err(never)
            };
        };
        if self.rate.burst == 0 {
            return Err(never);
        }
        let now = now_ns.saturating_mul(TICKS_PER_NS);
        let horizon = self.horizon(interval, now);
        let next = state.max(now).saturating_add(interval);
        // A saturated sum must not pass for a token that is there: at the end of the count the bucket stays shut.
        if next == u64::MAX {
            return Err(never);
        }
        if next > horizon {
            let wait_ns = (next - horizon).div_ceil(TICKS_PER_NS);
            return Err(Throttled {
                retry_after_ms: Some(wait_ns.div_ceil(1_000_000)),
            });
        }
        Ok(next)
    }

    pub(crate) fn level(&self, state: u64, now_ns: u64) -> Level {
        let Some(interval) = self.interval else {
            return Level {
                left: u64::from(self.rate.burst).saturating_sub(state),
                reset_ms: 0,
            };
        };
        let now = now_ns.saturating_mul(TICKS_PER_NS);
        let full_at = state.max(now);
        Level {
            left: self.horizon(interval, now).saturating_sub(full_at) / interval.max(1),
            reset_ms: (full_at - now).div_ceil(TICKS_PER_NS).div_ceil(1_000_000),
        }
    }

    /// Whether a bucket in this state is as good as a new one.
    pub(crate) fn is_full(&self, state: u64, now_ns: u64) -> bool {
        match self.interval {
            Some(_) => state <= now_ns.saturating_mul(TICKS_PER_NS),
            None => state == 0,
        }
    }

    /// The latest that the bucket may be full at behind a token.
    fn horizon(&self, interval: u64, now: u64) -> u64 {
        interval
            .checked_mul(u64::from(self.rate.burst))
            .and_then(|ahead| now.checked_add(ahead))
            .unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests;
