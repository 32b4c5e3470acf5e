use std::sync::atomic::AtomicU64;

use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000_000_000;
/// How [`check`] writes that no token will ever be back.
const NEVER: u64 = u64::MAX;

/// How many of the counts an ordinary run makes.
fn cases(ordinary: u32) -> ProptestConfig {
    let soak = std::env::var("PORTCULLIS_SOAK")
        .ok()
        .and_then(|factor| factor.parse().ok())
        .unwrap_or(1);
    ProptestConfig::with_cases(ordinary.saturating_mul(soak))
}

fn bucket(rate_per_s: f64, burst: u32) -> TokenBucket {
    TokenBucket::new(Rate::new(rate_per_s, burst).unwrap())
}

/// Asks at each time and compares: `None` for admitted, else the wait.
fn check(bucket: &TokenBucket, script: &[(u64, Option<u64>)]) {
    for (step, (now_ns, expected)) in script.iter().enumerate() {
        let wait = bucket
            .try_take(*now_ns)
            .err()
            .map(|throttled| throttled.retry_after_ms.unwrap_or(NEVER));
        assert_eq!(wait, *expected, "step {step} at {now_ns}");
    }
}

#[test]
fn burst_then_rate() {
    let ms = SECOND / 1_000;
    check(
        &bucket(10.0, 3),
        &[
            (0, None),
            (0, None),
            (0, None),
            (0, Some(100)),
            (99 * ms, Some(1)),
            (100 * ms - 1, Some(1)),
            (100 * ms, None),
            (100 * ms, Some(100)),
            (SECOND, None),
            (SECOND, None),
            (SECOND, None),
            (SECOND, Some(100)),
        ],
    );
}

#[test]
fn an_older_time_refuses_more_and_never_less() {
    let ms = SECOND / 1_000;
    check(
        &bucket(10.0, 1),
        &[(SECOND, None), (SECOND - ms, Some(101)), (SECOND + 100 * ms, None)],
    );
    check(
        &bucket(10.0, 2),
        &[(SECOND, None), (SECOND - ms, Some(1)), (SECOND, None)],
    );
}

#[test]
fn nothing_and_never_again() {
    check(&bucket(10_000.0, 0), &[(0, Some(NEVER)), (u64::MAX, Some(NEVER))]);
    check(&bucket(0.0, 0), &[(0, Some(NEVER))]);
    check(
        &bucket(0.0, 2),
        &[(0, None), (0, None), (0, Some(NEVER)), (u64::MAX, Some(NEVER))],
    );
}

#[test]
fn a_count_may_begin_anywhere_and_at_its_end_the_bucket_shuts() {
    let epoch = 1_800_000_000 * SECOND; // nanoseconds since 1970, in 2027
    check(
        &bucket(10.0, 1),
        &[(epoch, None), (epoch, Some(100)), (epoch + SECOND / 10, None)],
    );
    check(&bucket(10.0, 1), &[(u64::MAX, Some(NEVER))]);
}

#[test]
fn the_smallest_and_the_largest_figures_hold() {
    let year = 365 * 24 * 3_600 * SECOND;
    let day_ms = 24 * 3_600 * 1_000;
    check(
        &bucket(1.0 / 31_536_000.0, 1),
        &[
            (0, None),
            (year - SECOND, Some(1_000)),
            (year, None),
            (year, Some(365 * day_ms)),
        ],
    );
    check(&bucket(1e-9, 2), &[(0, None), (0, None), (50 * year, Some(NEVER))]);
    let (slow, fast) = (bucket(1e-6, u32::MAX), bucket(Rate::PER_S_MAX as f64, u32::MAX));
    assert!((0..10_000).all(|_| slow.try_take(0).is_ok() && fast.try_take(0).is_ok()));
}

#[test]
fn figures_are_checked() {
    for (rate_per_s, error) in [
        (f64::NAN, RateError::NotARate),
        (f64::INFINITY, RateError::NotARate),
        (-1.0, RateError::NotARate),
        (1e10, RateError::TooFast),
    ] {
        assert_eq!(Rate::new(rate_per_s, 1), Err(error), "{rate_per_s}");
    }
    for rate_per_s in [0.0, 0.5, 10_000.0, Rate::PER_S_MAX as f64] {
        assert_eq!(Rate::new(rate_per_s, 1).map(Rate::rate_per_s), Ok(rate_per_s));
    }
}

/// Threads ask at times they share; the sum is exact, not about right.
#[test]
fn exact_under_concurrency() {
    let (rate, burst, window) = (100_000.0, 500_u32, SECOND / 50);
    let (bucket, clock, admitted) = (bucket(rate, burst), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    // Far more questions than tokens, at times that reach the bucket out of order.
                    let now = clock.fetch_add(500, Ordering::Relaxed);
                    if now > window {
                        return;
                    }
                    if bucket.try_take(now).is_ok() {
                        admitted.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let ideal = u64::from(burst) + 2_000; // 100,000 per second over 20 ms
    let admitted = admitted.into_inner();
    assert!(admitted <= ideal, "{admitted} of {ideal}");
    assert!(admitted >= ideal * 9 / 10, "{admitted} of {ideal}");
}

/// The same instant from many threads: exactly the burst, neither one more nor one less.
#[test]
fn exactly_the_burst_at_one_instant() {
    let bucket = bucket(1_000.0, 10_000);
    let admitted: usize = std::thread::scope(|scope| {
        let ask = || (0..5_000).filter(|_| bucket.try_take(SECOND).is_ok()).count();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(admitted, 10_000);
}

/// The bucket as one would write it down: a level that is filled up, in exact fractions.
struct Model {
    per_ns: u128,
    full: u128,
    level: u128,
    at: u64,
}

impl Model {
    /// A token is 10^12 parts; a rate in thousandths per second brings that many parts each nanosecond.
    const TOKEN: u128 = 1_000_000_000_000;

    fn new(rate_per_ks: u64, burst: u64) -> Self {
        let full = u128::from(burst) * Self::TOKEN;
        Self {
            per_ns: u128::from(rate_per_ks),
            full,
            level: full,
            at: 0,
        }
    }

    fn admits(&mut self, now: u64) -> bool {
        self.level = self.full.min(self.level + u128::from(now - self.at) * self.per_ns);
        self.at = now;
        let admits = self.level >= Self::TOKEN;
        self.level -= if admits { Self::TOKEN } else { 0 };
        admits
    }
}

proptest! {
    #![proptest_config(cases(256))]

    /// Where a token's interval is a whole number of ticks, the two agree on every single answer.
    #[test]
    fn agrees_with_the_exact_model(
        rate in prop::sample::select(vec![1_u64, 2, 5, 8, 10, 100, 1_000, 2_500, 10_000, 100_000, 1_000_000]),
        burst in 0_u32..50,
        steps in prop::collection::vec(0_u64..200, 1..200),
    ) {
        let bucket = bucket(rate as f64, burst);
        let mut model = Model::new(rate * 1_000, burst.into());
        let mut now = 0;
        for step in steps {
            now += step * SECOND / rate / 40; // from many at once to five tokens later
            prop_assert_eq!(bucket.try_take(now).is_ok(), model.admits(now), "at {}", now);
        }
    }

    /// For any rate: never more than burst + rate · t in any window, and what a refusal promises is kept.
    #[test]
    fn never_more_than_burst_and_rate(
        rate_per_ks in 1_000_u64..1_000_000_000,
        burst in 1_u32..20,
        steps in prop::collection::vec(0_u64..100, 1..150),
    ) {
        let bucket = bucket(rate_per_ks as f64 / 1_000.0, burst);
        let mut admitted: Vec<u64> = Vec::new();
        let mut now = 0;
        for step in steps {
            now += step * (1_000 * SECOND / rate_per_ks) / 30;
            match bucket.try_take(now) {
                Ok(_) => admitted.push(now),
                Err(Throttled { retry_after_ms }) => {
                    let retry_after_ms = retry_after_ms.unwrap();
                    prop_assert!(retry_after_ms >= 1);
                    // One token comes back within one interval, rounded up to milliseconds.
                    prop_assert!(retry_after_ms <= 1_000_000_u64.div_ceil(rate_per_ks) + 1);
                    now += retry_after_ms * 1_000_000;
                    prop_assert!(bucket.try_take(now).is_ok());
                    admitted.push(now);
                }
            }
        }
        for (first, from) in admitted.iter().enumerate() {
            for (last, until) in admitted.iter().enumerate().skip(first) {
                let count = (last - first + 1) as u128 * Model::TOKEN;
                let most = u128::from(burst) * Model::TOKEN + u128::from(until - from) * u128::from(rate_per_ks);
                prop_assert!(count <= most, "{} admitted from {} to {}", last - first + 1, from, until);
            }
        }
    }

    /// Whatever order times come in, the count stays within what the span of times allows.
    #[test]
    fn times_out_of_order_admit_no_more(
        burst in 1_u32..10,
        times in prop::collection::vec(0_u64..SECOND, 1..200),
    ) {
        let bucket = bucket(50.0, burst);
        let admitted = times.iter().filter(|now| bucket.try_take(**now).is_ok()).count() as u64;
        prop_assert!(admitted >= 1);
        prop_assert!(admitted <= u64::from(burst) + 50);
    }
}
