//! The series of one route.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use prometheus_client::{
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet},
    metrics::{MetricType, exemplar::Exemplar},
    registry::Unit,
};

use super::{
    RouteKey,
    histogram::{Histogram, Sum},
};

/// What is counted of one route. Recording takes no lock and, after a worker's first time, no memory.
#[derive(Debug)]
pub struct RouteSeries {
    shards: Box<[OnceLock<Box<Shard>>]>,
}

/// One worker's share, on cache lines of its own (two of them, for processors fetch pairs).
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard {
    errors_4xx: AtomicU64,
    errors_5xx: AtomicU64,
    cache_hits: AtomicU64,
    cache_misses: AtomicU64,
    bytes: AtomicU64,
    latency: Histogram,
    integration_latency: Histogram,
}

/// Every worker's share added up, of one route or of several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteTotal {
    /// Requests answered with 400 to 499.
    pub errors_4xx: u64,
    /// Requests answered with 500 to 599.
    pub errors_5xx: u64,
    /// Requests answered from the response cache.
    pub cache_hits: u64,
    /// Requests that the response cache might have answered and did not.
    pub cache_misses: u64,
    /// Bytes of answers' bodies.
    pub bytes: u64,
    /// From a request's head to the end of its answer; its count is that of the requests.
    pub latency: Sum,
    /// From the call of the integration to its answer.
    pub integration_latency: Sum,
}

// === impl RouteSeries ===

impl RouteSeries {
    pub(super) fn new(workers: usize) -> Self {
        Self {
            shards: (0..workers).map(|_| OnceLock::new()).collect(),
        }
    }

    /// Records a request that was answered with `status` after `latency_us` microseconds, of which `integration_latency_us`
    /// were spent waiting for the integration; `None` when it was not called. `worker` says whose memory is written.
    pub fn record(&self, worker: usize, status: u16, latency_us: u64, integration_latency_us: Option<u64>) {
        let Some(shard) = self.shard(worker) else { return };
        match status {
            400..=499 => shard.errors_4xx.fetch_add(1, Ordering::Relaxed),
            500..=599 => shard.errors_5xx.fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
        shard.latency.record(latency_us);
        if let Some(latency_us) = integration_latency_us {
            shard.integration_latency.record(latency_us);
        }
    }

    /// Counts bytes of an answer's body.
    pub fn processed(&self, worker: usize, bytes: u64) {
        if let Some(shard) = self.shard(worker) {
            shard.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// Counts a request that the response cache answered.
    pub fn cache_hit(&self, worker: usize) {
        if let Some(shard) = self.shard(worker) {
            shard.cache_hits.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a request that the response cache was asked for and could not answer.
    pub fn cache_miss(&self, worker: usize) {
        if let Some(shard) = self.shard(worker) {
            shard.cache_misses.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn shard(&self, worker: usize) -> Option<&Shard> {
        let shard = self.shards.get(worker % self.shards.len().max(1))?;
        Some(shard.get_or_init(Box::default))
    }

    /// Everything counted so far.
    pub fn total(&self) -> RouteTotal {
        let mut total = RouteTotal::default();
        for shard in self.shards.iter().filter_map(OnceLock::get) {
            total.cache_hits += shard.cache_hits.load(Ordering::Relaxed);
            total.cache_misses += shard.cache_misses.load(Ordering::Relaxed);
            total.bytes = total.bytes.saturating_add(shard.bytes.load(Ordering::Relaxed));
            total.errors_4xx += shard.errors_4xx.load(Ordering::Relaxed);
            total.errors_5xx += shard.errors_5xx.load(Ordering::Relaxed);
            shard.latency.add_to(&mut total.latency);
            shard.integration_latency.add_to(&mut total.integration_latency);
        }
        total
    }
}

// === impl RouteTotal ===

impl RouteTotal {
    /// Requests.
    pub fn count(&self) -> u64 {
        self.latency.count()
    }

    /// Adds another route's.
    pub fn add(&mut self, other: &Self) {
        self.combine(other, u64::saturating_add);
    }

    /// What was counted since `earlier`. Nothing is less than nothing: routes may have been forgotten meanwhile.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut difference = self.clone();
        difference.combine(earlier, u64::saturating_sub);
        difference
    }

    fn combine(&mut self, other: &Self, with: fn(u64, u64) -> u64) {
        let Self {
            errors_4xx,
            errors_5xx,
            cache_hits,
            cache_misses,
            bytes,
            latency,
            integration_latency,
        } = self;
        for (own, other) in [
            (errors_4xx, other.errors_4xx),
            (errors_5xx, other.errors_5xx),
            (cache_hits, other.cache_hits),
            (cache_misses, other.cache_misses),
            (bytes, other.bytes),
        ] {
            *own = with(*own, other);
        }
        latency.combine(&other.latency, with);
        integration_latency.combine(&other.integration_latency, with);
    }
}

/// Writes the metrics of all routes.
pub(super) fn encode(routes: &[(RouteKey, Arc<RouteSeries>)], encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    // Added up once, so that a route's metrics agree with each other in one answer.
    let totals: Vec<_> = routes
        .iter()
        .map(|(key, series)| (labels(key), series.total()))
        .collect();
    type Of<'t, V> = fn(&'t RouteTotal) -> V;
    let counters: [(_, _, Of<'_, u64>); 6] = [
        ("portcullis_count", "Requests", RouteTotal::count),
        (
            "portcullis_4xx_errors",
            "Requests answered with a status from 400 to 499",
            |total| total.errors_4xx,
        ),
        (
            "portcullis_5xx_errors",
            "Requests answered with a status from 500 to 599",
            |total| total.errors_5xx,
        ),
        (
            "portcullis_cache_hit_count",
            "Requests answered from the response cache",
            |total| total.cache_hits,
        ),
        (
            "portcullis_cache_miss_count",
            "Requests that the response cache did not answer",
            |total| total.cache_misses,
        ),
        ("portcullis_data_processed_bytes", "Bytes of answers' bodies", |total| {
            total.bytes
        }),
    ];
    for (name, help, value) in counters {
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, total) in &totals {
            let no_exemplar: Option<&Exemplar<NoLabelSet, u64>> = None;
            metric
                .encode_family(labels)?
                .encode_counter(&value(total), no_exemplar)?;
        }
    }
    let histograms: [(_, _, Of<'_, &Sum>); 2] = [
        (
            "portcullis_latency",
            "From the request's head to the end of the answer",
            |total| &total.latency,
        ),
        (
            "portcullis_integration_latency",
            "From the call of the integration to its answer",
            |total| &total.integration_latency,
        ),
    ];
    for (name, help, value) in histograms {
        let mut metric = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
        for (labels, total) in &totals {
            encode_histogram(metric.encode_family(labels)?, value(total))?;
        }
    }
    Ok(())
}

fn encode_histogram(mut metric: MetricEncoder<'_>, sum: &Sum) -> fmt::Result {
    metric.encode_histogram::<NoLabelSet>(sum.seconds(), sum.count(), &sum.per_bucket(), None)
}

fn labels(key: &RouteKey) -> [(&'static str, &str); 3] {
    [("api", &key.api), ("stage", &key.stage), ("route", &key.route)]
}
