//! A count per calendar period, in one number.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{
    Level,
    period::{Period, PeriodNumber},
};

/// Bits of the state that hold the count; the period's number stands above them.
const USED_BITS: u32 = 40;
const USED_MAX: u64 = (1 << USED_BITS) - 1;

/// A quota's figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaSpec {
    /// Requests per period, at most [`QuotaSpec::LIMIT_MAX`].
    pub limit: u64,
    /// Requests that are taken off in the first period of all.
    pub offset: u64,
    /// How long it lasts.
    pub period: Period,
}

/// What is counted of one quota. A count never goes back within a period, and never to an earlier one: a clock that is set
/// back gives nobody their quota again.
#[derive(Debug)]
pub struct Quota {
    spec: QuotaSpec,
    /// What other gateways know it by; `None` where each counts for itself.
    shared: Option<Box<str>>,
    /// The period's number and the count in it.
    state: AtomicU64,
    /// Counted here while what is shared was away.
    unreported: AtomicU64,
}

/// The quota is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// When the next period begins, in seconds from now.
    pub retry_after_s: u64,
}

/// What was used of a quota in a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The period.
    pub period: PeriodNumber,
    /// Requests counted in it.
    pub used: u64,
}

// === impl QuotaSpec ===

impl QuotaSpec {
    /// The largest limit.
    pub const LIMIT_MAX: u64 = 1_000_000_000_000;
}

// === impl Quota ===

impl Quota {
    /// A quota of which nothing but its offset is used. `shared` is what other gateways know it by.
    pub fn new(spec: QuotaSpec, shared: Option<Box<str>>) -> Self {
        Self {
            spec,
            shared,
            state: AtomicU64::new(spec.offset.min(USED_MAX)), // of the period 0, which the first request takes over
            unreported: AtomicU64::new(0),
        }
    }

    /// Its figures.
    pub fn spec(&self) -> QuotaSpec {
        self.spec
    }

    /// What other gateways know it by.
    pub fn shared(&self) -> Option<&str> {
        self.shared.as_deref()
    }

    /// Counts one request.
    pub fn try_take(&self, unix_s: i64) -> Result<(), Exceeded> {
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            let Usage { period, used } = self.current(state, unix_s);
            if used >= self.spec.limit {
                return Err(self.exceeded(unix_s));
            }
            match self.exchange(state, Usage { period, used: used + 1 }) {
                Ok(()) => return Ok(()),
                Err(seen) => state = seen,
            }
        }
    }

    /// What is used in the period that it is now.
    pub fn usage(&self, unix_s: i64) -> Usage {
        self.current(self.state.load(Ordering::Relaxed), unix_s)
    }

    /// What was counted last, of whatever period that was.
    pub fn counted(&self) -> Usage {
        unpack(self.state.load(Ordering::Relaxed))
    }

    /// What is left, and until when.
    pub fn level(&self, unix_s: i64) -> Level {
        let Usage { period, used } = self.usage(unix_s);
        Level {
            left: self.spec.limit.saturating_sub(used),
            reset_ms: self.rest_s(period, unix_s).saturating_mul(1_000),
        }
    }

    /// Learns what was counted before, or elsewhere: the larger count of the later period holds.
    pub fn learn(&self, usage: Usage) {
        let mut state = self.state.load(Ordering::Relaxed);
        let learnt = pack(usage);
        while is_fresh(state) || learnt > state {
            match self.exchange(state, usage) {
                Ok(()) => return,
                Err(seen) => state = seen,
            }
        }
    }

    /// Adds what was counted in a period beside what is counted here, by another process; of an earlier period it is forgotten.
    pub fn add(&self, usage: Usage) {
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            let held = unpack(state);
            let before = match held.period {
                period if is_fresh(state) || period == usage.period => held.used,
                period if period > usage.period => return,
                _ => 0,
            };
            let sum = Usage {
                period: usage.period,
                used: before.saturating_add(usage.used),
            };
            match self.exchange(state, sum) {
                Ok(()) => return,
                Err(seen) => state = seen,
            }
        }
    }

    /// The refusal at a time.
    pub(crate) fn exceeded(&self, unix_s: i64) -> Exceeded {
        let period = self.usage(unix_s).period;
        Exceeded {
            retry_after_s: self.rest_s(period, unix_s),
        }
    }

    /// The length of the period that it is now, in seconds.
    pub(crate) fn window_s(&self, unix_s: i64) -> u64 {
        let (period, number) = (self.spec.period, self.usage(unix_s).period);
        u64::try_from(period.end_unix_s(number) - period.start_unix_s(number)).unwrap_or(0)
    }

    /// Notes that a request was counted here alone.
    pub(crate) fn note_unreported(&self, count: u64) {
        self.unreported.fetch_add(count, Ordering::Relaxed);
    }

    /// What was counted here alone, to be told once.
    pub(crate) fn take_unreported(&self) -> u64 {
        self.unreported.swap(0, Ordering::Relaxed)
    }

    pub(crate) fn rest_s(&self, period: PeriodNumber, unix_s: i64) -> u64 {
        u64::try_from(self.spec.period.end_unix_s(period) - unix_s).unwrap_or(0)
    }

    fn current(&self, state: u64, unix_s: i64) -> Usage {
        let now = self.spec.period.number(unix_s);
        let held = unpack(state);
        // The offset counts in whatever period is the first.
        if is_fresh(state) || held.period >= now {
            Usage {
                period: held.period.max(now),
                used: held.used,
            }
        } else {
            Usage { period: now, used: 0 }
        }
    }

    fn exchange(&self, state: u64, usage: Usage) -> Result<(), u64> {
        self.state
            .compare_exchange_weak(state, pack(usage), Ordering::Relaxed, Ordering::Relaxed)
            .map(|_| ())
    }
}

/// Whether nothing was counted yet: period 0 is that of 1970.
fn is_fresh(state: u64) -> bool {
    state >> USED_BITS == 0
}

fn pack(usage: Usage) -> u64 {
    u64::from(usage.period.0 & 0x00ff_ffff) << USED_BITS | usage.used.min(USED_MAX)
}

fn unpack(state: u64) -> Usage {
    Usage {
        period: PeriodNumber(u32::try_from(state >> USED_BITS).unwrap_or(u32::MAX)),
        used: state & USED_MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21T13:00:00Z, a Saturday.
    const NOW: i64 = 1_795_266_000;
    const DAY: i64 = 86_400;

    fn quota(limit: u64, offset: u64, period: Period) -> Quota {
        Quota::new(QuotaSpec { limit, offset, period }, None)
    }

    fn taken(quota: &Quota, unix_s: i64) -> usize {
        (0..100).filter(|_| quota.try_take(unix_s).is_ok()).count()
    }

    #[test]
    fn a_period_has_its_limit_and_the_first_one_its_offset() {
        let check = |period: Period, still: i64, next: i64| {
            let quota = quota(10, 3, period);
            assert_eq!(taken(&quota, NOW), 7, "{period}: less the offset");
            assert_eq!(taken(&quota, still), 0, "{period}");
            assert_eq!(taken(&quota, next), 10, "{period}");
        };
        check(Period::Day, NOW + 10 * 3_600, NOW + 11 * 3_600);
        check(Period::Week, NOW + DAY, NOW + 2 * DAY);
        check(Period::Month, NOW + 9 * DAY, NOW + 10 * DAY);
    }

    #[test]
    fn a_clock_that_is_set_back_gives_nothing_again() {
        let quota = quota(2, 0, Period::Day);
        assert_eq!(taken(&quota, NOW), 2);
        assert_eq!(taken(&quota, NOW - 3 * DAY), 0);
        assert_eq!(taken(&quota, NOW + DAY), 2);
        assert_eq!(taken(&quota, NOW), 0);
    }

    #[test]
    fn what_another_process_counted_is_added() {
        let quota = quota(10, 2, Period::Day);
        let today = quota.usage(NOW).period;
        let [yesterday, tomorrow] = [today.0 - 1, today.0 + 1].map(PeriodNumber);
        for (period, used, expected) in [
            (today, 3, (today, 5)), // the offset is kept
            (today, 1, (today, 6)),
            (yesterday, 4, (today, 6)),
            (tomorrow, 4, (tomorrow, 4)),
        ] {
            quota.add(Usage { period, used });
            let counted = quota.counted();
            assert_eq!((counted.period, counted.used), expected);
        }
    }

    #[test]
    fn what_was_counted_before_is_learnt_once_and_never_less() {
        let quota = quota(10, 3, Period::Day);
        let today = Period::Day.number(NOW);
        quota.learn(Usage { period: today, used: 8 });
        quota.learn(Usage { period: today, used: 5 });
        let yesterday = PeriodNumber(today.0 - 1);
        quota.learn(Usage {
            period: yesterday,
            used: 9,
        });
        assert_eq!(quota.usage(NOW).used, 8, "the offset is of the first period alone");
        assert_eq!(
            quota.level(NOW),
            Level {
                left: 2,
                reset_ms: 11 * 3_600_000
            }
        );
        assert_eq!(taken(&quota, NOW), 2);
        assert_eq!(
            quota.try_take(NOW),
            Err(Exceeded {
                retry_after_s: 11 * 3_600
            })
        );
        assert_eq!(quota.window_s(NOW), 86_400);
    }

    #[test]
    fn exact_over_threads() {
        let quota = quota(1_000, 0, Period::Month);
        let take = || (0..1_000).filter(|_| quota.try_take(NOW).is_ok()).count();
        let admitted: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(admitted, 1_000);
    }
}
