//! A token bucket in one word.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::Rate;

/// The longest wait that a refusal names, in milliseconds (a day); also named when no wait helps.
pub const RETRY_AFTER_MS_MAX: u64 = 24 * 60 * 60 * 1_000;

/// Ticks of a nanosecond: fine enough that the highest rate is off by less than 3 in 10,000 and 10,000 per second not at
/// all, coarse enough that a count from 1970 lasts until 2116.
const TICKS_PER_NS: u64 = 4;
const TICKS_PER_S: f64 = (1_000_000_000 * TICKS_PER_NS) as f64;
const TICKS_PER_MS: u64 = 1_000_000 * TICKS_PER_NS;

/// A token bucket shared by all cores without a lock.
///
/// Within any time `t` it admits at most `burst + rate · t` requests, however many threads ask at once and however their
/// times are out of order. It is the generic cell rate algorithm (ITU-T I.371, annex A): the state is the one moment at
/// which the bucket will be full again.
#[derive(Debug)]
pub struct TokenBucket {
    rate: Rate,
    refill: Refill,
    /// For [`Refill::Every`] the tick at which the bucket is full, for [`Refill::Never`] the tokens taken so far.
    state: AtomicU64,
}

/// Evidence that a token was taken. Only a [`TokenBucket`] can make one.
#[derive(Debug)]
#[must_use = "a lease is the evidence that the request was charged"]
pub struct Lease(());

/// The bucket is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the throttle is empty")]
pub struct Throttled {
    /// When a token will be back if nobody else takes it, in milliseconds: 1 to [`RETRY_AFTER_MS_MAX`].
    pub retry_after_ms: u64,
}

#[derive(Clone, Copy, Debug)]
enum Refill {
    /// One token comes back in `interval` ticks, all of them in `capacity`.
    Every { interval: u64, capacity: u64 },
    /// What is taken does not come back.
    Never,
}

// === impl TokenBucket ===

impl TokenBucket {
    /// A full bucket.
    pub fn new(rate: Rate) -> Self {
        let refill = if rate.rate_per_s() > 0.0 {
            // Rounded up, so that never more is admitted than the rate says. `Rate` bounds both below 2^60.
            let interval = (TICKS_PER_S / rate.rate_per_s()).ceil() as u64;
            Refill::Every {
                interval,
                capacity: interval.saturating_mul(rate.burst()),
            }
        } else {
            Refill::Never
        };
        Self {
            rate,
            refill,
            state: AtomicU64::new(0),
        }
    }

    /// Its figures.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Takes one token at `now_ns`, nanoseconds on a clock that does not go back.
    ///
    /// Cores may bring their times out of order: an older time is treated as it is, which can only refuse more.
    pub fn try_take(&self, now_ns: u64) -> Result<Lease, Throttled> {
        match self.refill {
            Refill::Never => self.take_one_of_few(),
            Refill::Every { interval, capacity } => {
                self.take_refilled(now_ns.saturating_mul(TICKS_PER_NS), interval, capacity)
            }
        }
    }

    fn take_refilled(&self, now: u64, interval: u64, capacity: u64) -> Result<Lease, Throttled> {
        // Relaxed throughout: the word guards nothing but itself.
        let mut full_at = self.state.load(Ordering::Relaxed);
        loop {
            let next = full_at.max(now).saturating_add(interval);
            let ahead = next - now; // next >= now
            // At the end of the count the bucket stays shut: a saturated sum must not look like a full bucket.
            if ahead > capacity || next == u64::MAX {
                let wait = if capacity == 0 || next == u64::MAX {
                    u64::MAX
                } else {
                    ahead - capacity
                };
                let retry_after_ms = wait.div_ceil(TICKS_PER_MS).min(RETRY_AFTER_MS_MAX);
                return Err(Throttled { retry_after_ms });
            }
            match self
                .state
                .compare_exchange_weak(full_at, next, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return Ok(Lease(())),
                Err(current) => full_at = current,
            }
        }
    }

    fn take_one_of_few(&self) -> Result<Lease, Throttled> {
        let take = |taken: u64| (taken < self.rate.burst()).then_some(taken + 1);
        match self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
            Ok(_) => Ok(Lease(())),
            Err(_) => Err(Throttled {
                retry_after_ms: RETRY_AFTER_MS_MAX,
            }),
        }
    }
}

#[cfg(test)]
mod tests;
