//! Spans and metrics as OTLP requests in protobuf, version 1.
//!
//! Source: <https://github.com/open-telemetry/opentelemetry-proto>, `trace/v1/trace.proto` and `metrics/v1/metrics.proto`; the
//! numbers here are the fields' own.

mod protobuf;

use std::sync::Arc;

use crate::{
    metrics::{Metrics, Reading, RouteKey, RouteTotal, Sum},
    trace::{Span, SpanKind, Value},
};
use protobuf::Message;

/// Who says it: `service.name`, `service.version` and the like.
#[derive(Clone, Debug)]
pub struct Resource(Arc<[(&'static str, String)]>);

const SCOPE: &str = "portcullis";
/// `AGGREGATION_TEMPORALITY_CUMULATIVE`.
const CUMULATIVE: u64 = 2;
/// `STATUS_CODE_ERROR`.
const ERROR: u64 = 2;

// === impl Resource ===

impl Resource {
    /// From its attributes.
    pub fn new(attributes: Vec<(&'static str, String)>) -> Self {
        Self(attributes.into())
    }

    fn write(&self, message: &mut Message) {
        for (name, value) in self.0.iter() {
            text_attribute(message, 1, name, value);
        }
    }
}

/// An `ExportTraceServiceRequest`.
pub fn traces(resource: &Resource, spans: &[Span]) -> Vec<u8> {
    request(resource, |scope| {
        spans
            .iter()
            .for_each(|span| scope.message(2, |message| write_span(message, span)))
    })
}

/// An `ExportMetricsServiceRequest` of everything that is counted, from `start_ns` until `now_ns`, in nanoseconds since 1970.
pub fn metrics(resource: &Resource, metrics: &Metrics, start_ns: u64, now_ns: u64) -> Vec<u8> {
    let times = Times { start_ns, now_ns };
    let routes = metrics.routes();
    request(resource, |scope| {
        write_routes(scope, &routes, times);
        for reading in metrics.readings() {
            write_reading(scope, &reading, times);
        }
    })
}

/// From when to when something was counted.
#[derive(Clone, Copy)]
struct Times {
    start_ns: u64,
    now_ns: u64,
}

/// Both requests have one form: of a resource, of a scope.
fn request(resource: &Resource, write: impl FnOnce(&mut Message)) -> Vec<u8> {
    let mut message = Message::default();
    message.message(1, |of_resource| {
        of_resource.message(1, |message| resource.write(message));
        of_resource.message(2, |of_scope| {
            of_scope.message(1, |scope| {
                scope.bytes(1, SCOPE.as_bytes());
                scope.bytes(2, env!("CARGO_PKG_VERSION").as_bytes());
            });
            write(of_scope);
        });
    });
    message.into_bytes()
}

fn write_span(message: &mut Message, span: &Span) {
    let Span {
        trace,
        id,
        parent,
        is_parent_remote,
        state,
        name,
        kind,
        start_ns,
        end_ns,
        attributes,
        is_error,
    } = span;
    message.bytes(1, trace.as_bytes());
    message.bytes(2, id.as_bytes());
    if let Some(state) = state {
        message.bytes(3, state.as_bytes());
    }
    if let Some(parent) = parent {
        message.bytes(4, parent.as_bytes());
    }
    message.bytes(5, name.as_bytes());
    let kind = match kind {
        SpanKind::Server => 2,
        SpanKind::Client => 3,
    };
    message.integer(6, kind);
    message.fixed64(7, *start_ns);
    message.fixed64(8, *end_ns);
    for (name, value) in attributes {
        match value {
            Value::Text(text) => text_attribute(message, 9, name, text),
            Value::Number(number) => message.message(9, |attribute| {
                attribute.bytes(1, name.as_bytes());
                attribute.message(2, |value| value.integer(3, number.cast_unsigned()));
            }),
        }
    }
    if *is_error {
        message.message(15, |status| status.integer(3, ERROR));
    }
    // The low byte is that of `traceparent`; the next says that it is known whether the parent is remote, and whether it is.
    message.fixed32(16, 0x101 | if *is_parent_remote { 0x200 } else { 0 });
}

fn write_routes(scope: &mut Message, routes: &[(RouteKey, RouteTotal)], times: Times) {
    type Of<'t, V> = fn(&'t RouteTotal) -> V;
    let counters: [(_, _, Of<'_, u64>); 6] = [
        ("portcullis_count", "{request}", RouteTotal::count),
        ("portcullis_4xx_errors", "{request}", |total| total.errors_4xx),
        ("portcullis_5xx_errors", "{request}", |total| total.errors_5xx),
        ("portcullis_cache_hit_count", "{request}", |total| total.cache_hits),
        ("portcullis_cache_miss_count", "{request}", |total| total.cache_misses),
        ("portcullis_data_processed", "By", |total| total.bytes),
    ];
    for (name, unit, value) in counters {
        write_sum(scope, name, unit, |points| {
            for (key, total) in routes {
                let point = |message: &mut Message| {
                    labels(message, 7, &route_labels(key));
                    write_times(message, times);
                    message.fixed64(6, value(total));
                };
                points.message(1, point);
            }
        });
    }
    let histograms: [(_, Of<'_, &Sum>); 2] = [
        ("portcullis_latency", |total| &total.latency),
        ("portcullis_integration_latency", |total| &total.integration_latency),
    ];
    for (name, value) in histograms {
        scope.message(2, |metric| {
            metric.bytes(1, name.as_bytes());
            metric.bytes(3, b"s");
            metric.message(9, |histogram| {
                for (key, total) in routes {
                    histogram.message(1, |point| write_histogram(point, key, value(total), times));
                }
                histogram.integer(2, CUMULATIVE);
            });
        });
    }
}

fn write_histogram(point: &mut Message, key: &RouteKey, sum: &Sum, times: Times) {
    labels(point, 9, &route_labels(key));
    write_times(point, times);
    point.fixed64(4, sum.count());
    point.double(5, sum.seconds());
    point.packed(6, sum.buckets().iter().copied());
    point.packed(7, Sum::bounds_seconds().map(f64::to_bits));
}

fn write_reading(scope: &mut Message, reading: &Reading, times: Times) {
    let Reading {
        name,
        help,
        is_counter,
        series,
    } = reading;
    let points = |message: &mut Message| {
        for (series_labels, value) in series {
            message.message(1, |point| {
                let pairs: Vec<_> = series_labels
                    .iter()
                    .map(|(name, value)| (*name, value.as_str()))
                    .collect();
                labels(point, 7, &pairs);
                write_times(point, times);
                point.double(4, *value);
            });
        }
    };
    if *is_counter {
        write_sum(scope, name, "1", points);
    } else {
        scope.message(2, |metric| {
            metric.bytes(1, name.as_bytes());
            metric.bytes(2, help.as_bytes());
            metric.message(5, points);
        });
    }
}

/// A monotonic sum with its points.
fn write_sum(scope: &mut Message, name: &str, unit: &str, points: impl FnOnce(&mut Message)) {
    scope.message(2, |metric| {
        metric.bytes(1, name.as_bytes());
        metric.bytes(3, unit.as_bytes());
        metric.message(7, |sum| {
            points(sum);
            sum.integer(2, CUMULATIVE);
            sum.integer(3, 1);
        });
    });
}

fn write_times(point: &mut Message, times: Times) {
    point.fixed64(2, times.start_ns);
    point.fixed64(3, times.now_ns);
}

fn route_labels(key: &RouteKey) -> [(&str, &str); 3] {
    [("api", &key.api), ("stage", &key.stage), ("route", &key.route)]
}

fn labels(message: &mut Message, field: u64, labels: &[(&str, &str)]) {
    labels
        .iter()
        .for_each(|(name, value)| text_attribute(message, field, name, value));
}

/// A `KeyValue` with a text.
fn text_attribute(message: &mut Message, field: u64, name: &str, text: &str) {
    message.message(field, |attribute| {
        attribute.bytes(1, name.as_bytes());
        attribute.message(2, |value| value.bytes(1, text.as_bytes()));
    });
}

#[cfg(test)]
mod tests;
