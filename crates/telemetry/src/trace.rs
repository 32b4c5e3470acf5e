//! Traces: which requests are traced, in which trace they stand, and the spans that wait to be sent.
//!
//! Nothing here waits: a span that finds the queue full is dropped and counted.

mod context;

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

pub use context::{SpanId, TraceContext, TraceId, fuzz_trace_context};

/// One piece of work in a trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// The trace.
    pub trace: TraceId,
    /// Its own id.
    pub id: SpanId,
    /// The span that it is a part of.
    pub parent: Option<SpanId>,
    /// Whether the parent is another process's.
    pub is_parent_remote: bool,
    /// What others keep in the trace (`tracestate`), as received.
    pub state: Option<String>,
    /// Its name: `GET /pets/{petId}`.
    pub name: String,
    /// Which side of a call it is.
    pub kind: SpanKind,
    /// When it began, in nanoseconds since 1970.
    pub start_ns: u64,
    /// When it ended, in nanoseconds since 1970.
    pub end_ns: u64,
    /// What is known of it, by OpenTelemetry's names.
    pub attributes: Vec<(&'static str, Value)>,
    /// Whether it failed.
    pub is_error: bool,
}

/// Which side of a call a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// Who was called.
    Server,
    /// Who calls.
    Client,
}

/// An attribute's value.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "each says itself")]
pub enum Value {
    Text(String),
    Number(i64),
}

/// Decides what is traced, and keeps spans until they are sent.
#[derive(Debug)]
pub struct Tracer {
    /// Of traces that begin here, those are sampled whose number is below this (of 2⁵⁶).
    below: u64,
    spans_max: usize,
    spans: Mutex<Vec<Span>>,
    dropped: AtomicU64,
}

// === impl Tracer ===

impl Tracer {
    /// Samples `percent` of the traces that begin here; those that a caller began are sampled as the caller says. At most
    /// `spans_max` wait.
    pub fn new(percent: f64, spans_max: usize) -> Self {
        let of = (1_u64 << 56) as f64;
        Self {
            below: (percent.clamp(0.0, 100.0) / 100.0 * of) as u64,
            spans_max,
            spans: Mutex::default(),
            dropped: AtomicU64::new(0),
        }
    }

    /// Whether a trace that begins here is sampled: by the low 56 bits of its id, so that everyone who decides by them
    /// decides alike.
    pub fn samples(&self, trace: TraceId) -> bool {
        trace.low_bits() < self.below
    }

    /// Hands a span over.
    pub fn push(&self, span: Span) {
        let mut spans = self.lock();
        if spans.len() < self.spans_max {
            spans.push(span);
        } else {
            drop(spans);
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes up to `max` spans, the oldest first.
    pub fn take(&self, max: usize) -> Vec<Span> {
        let mut spans = self.lock();
        let taken = spans.len().min(max);
        spans.drain(..taken).collect()
    }

    /// Counts spans that were taken and could not be sent.
    pub fn lose(&self, spans: usize) {
        self.dropped.fetch_add(spans as u64, Ordering::Relaxed);
    }

    /// Spans lost since the start.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Span>> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(id: u64) -> Span {
        Span {
            trace: TraceId::new(1, [0; 12]),
            id: SpanId::new(id),
            parent: None,
            is_parent_remote: false,
            state: None,
            name: "GET /".to_owned(),
            kind: SpanKind::Server,
            start_ns: 1,
            end_ns: 2,
            attributes: Vec::new(),
            is_error: false,
        }
    }

    #[test]
    fn a_full_queue_drops_and_counts() {
        let tracer = Tracer::new(100.0, 3);
        (1..=5).for_each(|id| tracer.push(span(id)));
        assert_eq!(tracer.dropped(), 2);
        assert_eq!(tracer.take(2), [span(1), span(2)]);
        assert_eq!(tracer.take(2), [span(3)]);
        assert_eq!(tracer.take(2), []);
        tracer.push(span(6));
        tracer.lose(1);
        assert_eq!((tracer.take(9).len(), tracer.dropped()), (1, 3));
    }

    #[test]
    fn a_share_is_sampled_by_the_trace_s_own_number() {
        let trace = |low: u64| {
            let [_, bytes @ ..] = low.to_be_bytes();
            let mut random = [0xff; 12];
            random[5..].copy_from_slice(&bytes);
            TraceId::new(u32::MAX, random)
        };
        let half = 1_u64 << 55;
        for (percent, low, expected) in [
            (0.0, 0, false),
            (50.0, half - 1, true),
            (50.0, half, false),
            (100.0, u64::MAX >> 8, true),
        ] {
            assert_eq!(Tracer::new(percent, 1).samples(trace(low)), expected, "{percent} {low}");
        }
    }
}
