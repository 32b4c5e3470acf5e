//! A histogram of latencies that one worker writes.

use std::sync::atomic::{AtomicU64, Ordering};

/// The upper bounds of the buckets, in microseconds: from what the gateway itself takes to beyond Amazon's 29 seconds.
pub(super) const BOUNDS_US: [u64; 17] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000,
];
/// One more bucket holds what is above the last bound.
const BUCKETS: usize = BOUNDS_US.len() + 1;

#[derive(Debug, Default)]
pub(super) struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    sum_us: AtomicU64,
}

/// Histograms added up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    pub(super) buckets: [u64; BUCKETS],
    pub(super) sum_us: u64,
}

// === impl Histogram ===

impl Histogram {
    pub(super) fn record(&self, latency_us: u64) {
        let index = BOUNDS_US.partition_point(|bound| *bound < latency_us); // a bound belongs to its bucket
        if let Some(bucket) = self.buckets.get(index) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_us.fetch_add(latency_us, Ordering::Relaxed);
    }

    pub(super) fn add_to(&self, sum: &mut Sum) {
        for (bucket, total) in self.buckets.iter().zip(&mut sum.buckets) {
            *total += bucket.load(Ordering::Relaxed);
        }
        sum.sum_us = sum.sum_us.saturating_add(self.sum_us.load(Ordering::Relaxed));
    }
}

// === impl Sum ===

impl Sum {
    /// How many latencies.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The sum in seconds.
    pub fn seconds(&self) -> f64 {
        seconds(self.sum_us)
    }

    /// How many are in each bucket alone, the last one unbounded; [`Sum::bounds_seconds`] are the bounds between them.
    pub fn buckets(&self) -> &[u64] {
        &self.buckets
    }

    /// The upper bounds of all buckets but the last, in seconds.
    pub fn bounds_seconds() -> impl Iterator<Item = f64> {
        BOUNDS_US.iter().map(|bound| seconds(*bound))
    }

    /// The latency in seconds that `percent` of all do not exceed, as far as buckets tell: between two bounds it is taken to
    /// grow evenly. `None` of nothing. What is above the last bound reads as that.
    pub fn percentile(&self, percent: f64) -> Option<f64> {
        let total = self.count();
        if total == 0 {
            return None;
        }
        let rank = (percent / 100.0 * total as f64).clamp(f64::MIN_POSITIVE, total as f64);
        let (mut below, mut lower) = (0, 0.0);
        for (count, upper) in self.buckets.iter().zip(Self::bounds_seconds()) {
            if *count > 0 && (below + count) as f64 >= rank {
                return Some(lower + (upper - lower) * (rank - below as f64) / *count as f64);
            }
            below += count;
            lower = upper;
        }
        Some(lower)
    }

    /// The upper bound in seconds of the highest bucket that holds something; the last bound for what is above it.
    pub fn maximum(&self) -> Option<f64> {
        let highest = self.buckets.iter().rposition(|count| *count > 0)?;
        BOUNDS_US
            .get(highest.min(BOUNDS_US.len() - 1))
            .map(|bound| seconds(*bound))
    }

    pub(super) fn combine(&mut self, other: &Self, with: fn(u64, u64) -> u64) {
        for (own, other) in self.buckets.iter_mut().zip(other.buckets) {
            *own = with(*own, other);
        }
        self.sum_us = with(self.sum_us, other.sum_us);
    }

    /// Bounds in seconds, the last one infinite, and how many are in each bucket alone.
    pub(super) fn per_bucket(&self) -> Vec<(f64, u64)> {
        let bounds = BOUNDS_US.iter().map(|bound| seconds(*bound)).chain([f64::INFINITY]);
        bounds.zip(self.buckets).collect()
    }
}

fn seconds(micros: u64) -> f64 {
    micros as f64 / 1_000_000.0
}
