//! Metrics, in Amazon's words and Prometheus' text.
//!
//! | Amazon | Here |
//! |---|---|
//! | Count | `portcullis_count_total` |
//! | 4XXError | `portcullis_4xx_errors_total` |
//! | 5XXError | `portcullis_5xx_errors_total` |
//! | Latency | `portcullis_latency_seconds`, a histogram |
//! | IntegrationLatency | `portcullis_integration_latency_seconds`, a histogram |
//! | CacheHitCount | `portcullis_cache_hit_count_total` |
//! | CacheMissCount | `portcullis_cache_miss_count_total` |
//! | DataProcessed | `portcullis_data_processed_bytes_total` |
//!
//! each by `api`, `stage` and `route`. What others count (connections, pools, lost log lines) is read when someone asks.

mod histogram;
mod reading;
mod route;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use prometheus_client::{collector::Collector, encoding::DescriptorEncoder, encoding::text, registry::Registry};

pub use histogram::Sum;
pub use reading::{Labels, READINGS_MAX, Reading, ReadingError};
use reading::{Read, Readings};
pub use route::{RouteSeries, RouteTotal};

/// Routes with series of their own at most; what is beyond is counted together as [`OTHER`].
pub const ROUTES_MAX: usize = 10_000;
/// Workers with memory of their own at most; more of them share.
pub const WORKERS_MAX: usize = 64;
/// The label values of what is beyond [`ROUTES_MAX`].
pub const OTHER: &str = "(other)";
/// The media type of [`Metrics::render`] (OpenMetrics 1.0, section "Overall Structure").
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Everything that is counted.
pub struct Metrics {
    registry: Registry,
    inner: Arc<Inner>,
}

/// What a route's series are labelled with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteKey {
    /// The API's id.
    pub api: Box<str>,
    /// The stage's name.
    pub stage: Box<str>,
    /// The route's key: `GET /pets/{petId}`.
    pub route: Box<str>,
}

#[derive(Debug)]
struct Inner {
    workers: usize,
    routes: Mutex<BTreeMap<RouteKey, Arc<RouteSeries>>>,
    other: Arc<RouteSeries>,
    readings: Mutex<Readings>,
}

// === impl Metrics ===

impl Metrics {
    /// Nothing counted yet. `workers` is how many threads will record; more than [`WORKERS_MAX`] share memory.
    pub fn new(workers: usize) -> Self {
        let workers = workers.clamp(1, WORKERS_MAX);
        let inner = Arc::new(Inner {
            workers,
            routes: Mutex::default(),
            other: Arc::new(RouteSeries::new(workers)),
            readings: Mutex::default(),
        });
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Arc::clone(&inner)));
        Self { registry, inner }
    }

    /// The series of a route: the same ones for the same key. To be asked for when configuration is loaded, not by requests.
    ///
    /// Beyond [`ROUTES_MAX`] those are forgotten that nobody holds any more; when all are held, one series serves the rest.
    pub fn route(&self, key: RouteKey) -> Arc<RouteSeries> {
        let mut routes = lock(&self.inner.routes);
        if let Some(series) = routes.get(&key) {
            return Arc::clone(series);
        }
        if routes.len() >= ROUTES_MAX {
            routes.retain(|_, series| Arc::strong_count(series) > 1);
        }
        if routes.len() >= ROUTES_MAX {
            return Arc::clone(&self.inner.other);
        }
        let series = Arc::new(RouteSeries::new(self.inner.workers));
        routes.insert(key, Arc::clone(&series));
        series
    }

    /// What is counted by route, for those who compare it over time.
    pub fn routes(&self) -> Vec<(RouteKey, RouteTotal)> {
        let series = self.inner.series();
        series
            .iter()
            .map(|(key, series)| (key.clone(), series.total()))
            .collect()
    }

    /// What others count, as it is now.
    pub fn readings(&self) -> Vec<Reading> {
        lock(&self.inner.readings).now()
    }

    /// Adds something that goes up and down, read when someone asks for the metrics. The same name with other labels is
    /// another series of one metric; the same name and labels again replace what was there.
    ///
    /// `read` must be quick and must not call these metrics.
    pub fn gauge(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&'static str, &str)],
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) -> Result<(), ReadingError> {
        lock(&self.inner.readings).add(name, help, labels, Read::Gauge(Box::new(read)))
    }

    /// Adds something that only goes up; like [`Metrics::gauge`]. The name is given without its `_total`.
    pub fn counter(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&'static str, &str)],
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Result<(), ReadingError> {
        lock(&self.inner.readings).add(name, help, labels, Read::Counter(Box::new(read)))
    }

    /// Everything as OpenMetrics text, see [`CONTENT_TYPE`].
    pub fn render(&self) -> String {
        let mut out = String::new();
        // Neither the encoder nor a String can fail; what was written until then is still the best answer.
        let _ = text::encode(&mut out, &self.registry);
        out
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Metrics").finish_non_exhaustive()
    }
}

// === impl Inner ===

impl Inner {
    fn series(&self) -> Vec<(RouteKey, Arc<RouteSeries>)> {
        let mut routes: Vec<(RouteKey, Arc<RouteSeries>)> = lock(&self.routes)
            .iter()
            .map(|(key, series)| (key.clone(), Arc::clone(series)))
            .collect();
        if Arc::strong_count(&self.other) > 1 {
            let [api, stage, route] = [OTHER; 3].map(Box::from);
            routes.push((RouteKey { api, stage, route }, Arc::clone(&self.other)));
        }
        routes
    }
}

impl Collector for Inner {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        route::encode(&self.series(), &mut encoder)?;
        lock(&self.readings).encode(&mut encoder)
    }
}

/// Every value behind these locks is whole between two statements, so that a poisoned one is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
