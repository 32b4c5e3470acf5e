//! The thread that sends spans and metrics to a collector. Nothing waits for it: what it cannot send in time is dropped and
//! counted.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use portcullis_core::{Clock, SystemClock};
use portcullis_proxy::keys::{FileError, read_secret};
use portcullis_telemetry::{
    Metrics, Tracer,
    metrics::ReadingError,
    otlp::{self, Resource},
};
use tokio::sync::oneshot;

use crate::{
    config::Otlp,
    failure::Failure,
    post::{Post, PostError, PostUnusable},
};

/// How often waiting spans are sent.
const SEND_EVERY: Duration = Duration::from_secs(1);
/// Spans of one request at most.
const SPANS_MAX: usize = 512;
/// How long to wait before each further try.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(5),
];
/// The longest pause that a collector may ask for.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Sends until it is closed.
pub(super) struct Exporter {
    stop: oneshot::Sender<()>,
    ended: mpsc::Receiver<()>,
}

/// Why nothing can be sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OtlpError {
    /// A header's value cannot be read.
    #[error("the header `{0}`: {1}")]
    Secret(String, #[source] FileError),
    /// A header's value cannot be sent.
    #[error("the value of the header `{0}` holds what a header cannot carry")]
    Header(String),
    /// The collector cannot be called.
    #[error("{0}")]
    Unusable(#[from] PostUnusable),
}

/// What the thread works with.
struct Sender {
    traces: Post,
    metrics: Post,
    resource: Resource,
    metrics_every: Option<Duration>,
    counted: Arc<Metrics>,
    tracer: Option<Arc<Tracer>>,
    started_ns: u64,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    spans: AtomicU64,
    errors: AtomicU64,
}

/// The tracer that a configuration asks for.
pub(super) fn tracer(otlp: Option<&Otlp>) -> Option<Arc<Tracer>> {
    let otlp = otlp?;
    Some(Arc::new(Tracer::new(otlp.sample_percent?, otlp.spans_max)))
}

// === impl Exporter ===

impl Exporter {
    /// Starts the thread.
    pub(super) fn start(otlp: &Otlp, metrics: &Arc<Metrics>, tracer: Option<Arc<Tracer>>) -> Result<Self, Failure> {
        let counts = Arc::new(Counts::default());
        measure(metrics, &counts, tracer.as_ref()).map_err(Failure::Readings)?;
        let sender = Sender::new(otlp, metrics, tracer, counts).map_err(Failure::Otlp)?;
        let runtime = runtime().map_err(Failure::Start)?;
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = mpsc::channel();
        thread::Builder::new()
            .name("otlp".to_owned())
            .spawn(move || {
                runtime.block_on(sender.run(stopped));
                let _ = end.send(()); // whoever closes may have lost patience
            })
            .map_err(Failure::Start)?;
        Ok(Self { stop, ended })
    }

    /// Sends what is left; gives up after `wait`.
    pub(super) fn close(self, wait: Duration) {
        let Self { stop, ended } = self;
        let _ = stop.send(());
        let _ = ended.recv_timeout(wait);
    }
}

// === impl Sender ===

impl Sender {
    fn new(
        otlp: &Otlp,
        metrics: &Arc<Metrics>,
        tracer: Option<Arc<Tracer>>,
        counts: Arc<Counts>,
    ) -> Result<Self, OtlpError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        for (name, reference) in &otlp.headers {
            let secret = read_secret(&reference.value).map_err(|error| OtlpError::Secret(name.to_string(), error))?;
            let mut value =
                HeaderValue::from_bytes(secret.expose()).map_err(|_| OtlpError::Header(name.to_string()))?;
            value.set_sensitive(true);
            headers.insert(name.clone(), value);
        }
        let post = |suffix: &str| Post::new(&otlp.endpoint, suffix, headers.clone(), otlp.timeout);
        Ok(Self {
            traces: post("/v1/traces")?,
            metrics: post("/v1/metrics")?,
            resource: Resource::new(vec![
                ("service.name", otlp.service_name.clone()),
                ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
                ("process.pid", std::process::id().to_string()),
            ]),
            metrics_every: otlp.metrics_every,
            counted: Arc::clone(metrics),
            tracer,
            started_ns: now_ns(),
            counts,
        })
    }

    async fn run(self, mut stopped: oneshot::Receiver<()>) {
        let mut spans_due = tokio::time::interval(SEND_EVERY);
        // A period that never comes, where no metrics are sent.
        let mut metrics_due = tokio::time::interval(self.metrics_every.unwrap_or(Duration::from_secs(1 << 32)));
        for due in [&mut spans_due, &mut metrics_due] {
            due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            due.tick().await; // the first one is at once
        }
        loop {
            tokio::select! {
                _ = &mut stopped => break,
                _ = spans_due.tick() => self.send_spans().await,
                _ = metrics_due.tick() => self.send_metrics().await,
            }
        }
        self.send_spans().await;
        if self.metrics_every.is_some() {
            self.send_metrics().await;
        }
    }

    async fn send_spans(&self) {
        let Some(tracer) = &self.tracer else { return };
        loop {
            let spans = tracer.take(SPANS_MAX);
            if spans.is_empty() {
                return;
            }
            let body = otlp::traces(&self.resource, &spans);
            if self.send(&self.traces, body).await {
                self.counts.spans.fetch_add(spans.len() as u64, Ordering::Relaxed);
            } else {
                tracer.lose(spans.len());
                return; // until the next time: there is no use in asking at once again
            }
        }
    }

    async fn send_metrics(&self) {
        let body = otlp::metrics(&self.resource, &self.counted, self.started_ns, now_ns());
        self.send(&self.metrics, body).await;
    }

    /// Whether it was taken, now or after some tries.
    async fn send(&self, to: &Post, body: Vec<u8>) -> bool {
        let body = Bytes::from(body);
        let mut pauses = PAUSES.into_iter();
        loop {
            let Err(error) = to.send(HeaderMap::new(), body.clone()).await else {
                return true;
            };
            self.counts.errors.fetch_add(1, Ordering::Relaxed);
            let Some(pause) = pauses.next().filter(|_| is_worth_another_try(&error)) else {
                tracing::warn!(%error, "telemetry could not be sent and is dropped");
                return false;
            };
            tokio::time::sleep(error.retry_after().unwrap_or(pause).min(PAUSE_MAX)).await;
        }
    }
}

/// OTLP/HTTP names these and no others.
fn is_worth_another_try(error: &PostError) -> bool {
    match error {
        PostError::Status { status, .. } => matches!(status.as_u16(), 429 | 502 | 503 | 504),
        PostError::Timeout | PostError::Upstream(_) => true,
    }
}

fn measure(metrics: &Metrics, counts: &Arc<Counts>, tracer: Option<&Arc<Tracer>>) -> Result<(), ReadingError> {
    let (sent, failed) = (Arc::clone(counts), Arc::clone(counts));
    metrics.counter(
        "portcullis_spans_sent",
        "Spans that the collector took.",
        &[],
        move || sent.spans.load(Ordering::Relaxed),
    )?;
    metrics.counter(
        "portcullis_otlp_errors",
        "Times the collector did not take traces or metrics.",
        &[],
        move || failed.errors.load(Ordering::Relaxed),
    )?;
    let tracer = tracer.map(Arc::clone);
    metrics.counter("portcullis_spans_dropped", "Spans that were lost.", &[], move || {
        tracer.as_ref().map_or(0, |tracer| tracer.dropped())
    })
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

fn now_ns() -> u64 {
    u64::try_from(SystemClock.now().unix_micros())
        .unwrap_or(0)
        .saturating_mul(1_000)
}
