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
    latency: Histogram,
    integration_latency: Histogram,
}

/// Every worker's share added up.
#[derive(Debug, Default)]
struct Total {
    errors_4xx: u64,
    errors_5xx: u64,
    latency: Sum,
    integration_latency: Sum,
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
        let Some(shard) = self.shards.get(worker % self.shards.len().max(1)) else {
            return;
        };
        let shard = shard.get_or_init(Box::default);
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

    fn total(&self) -> Total {
        let mut total = Total::default();
        for shard in self.shards.iter().filter_map(OnceLock::get) {
            total.errors_4xx += shard.errors_4xx.load(Ordering::Relaxed);
            total.errors_5xx += shard.errors_5xx.load(Ordering::Relaxed);
            shard.latency.add_to(&mut total.latency);
            shard.integration_latency.add_to(&mut total.integration_latency);
        }
        total
    }
}

/// Writes the five metrics of all routes.
pub(super) fn encode(routes: &[(RouteKey, Arc<RouteSeries>)], encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    // Added up once, so that a route's metrics agree with each other in one answer.
    let totals: Vec<_> = routes
        .iter()
        .map(|(key, series)| (labels(key), series.total()))
        .collect();
    type Of<'t, V> = fn(&'t Total) -> V;
    let counters: [(_, _, Of<'_, u64>); 3] = [
        ("portcullis_count", "Requests", |total| total.latency.count()),
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
