//! Read back with OpenTelemetry's own types.

use opentelemetry_proto::tonic::{
    collector::{metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{KeyValue, any_value::Value as Any},
    metrics::v1::{AggregationTemporality, metric::Data, number_data_point},
    trace::v1::{span, status::StatusCode},
};
use prost::Message as _;

use super::*;
use crate::trace::{SpanId, TraceId};

fn resource() -> Resource {
    Resource::new(vec![("service.name", "gate".to_owned())])
}

fn texts(attributes: &[KeyValue]) -> Vec<(String, String)> {
    let text = |attribute: &KeyValue| match attribute.value.clone().unwrap().value.unwrap() {
        Any::StringValue(text) => (attribute.key.clone(), text),
        Any::IntValue(number) => (attribute.key.clone(), number.to_string()),
        other => panic!("{other:?}"),
    };
    attributes.iter().map(text).collect()
}

#[test]
fn spans_read_back_as_they_are() {
    let whole = Span {
        trace: TraceId::new(0x4bf9_2f35, [7; 12]),
        id: SpanId::new(0x1234),
        parent: Some(SpanId::new(0x5678)),
        is_parent_remote: true,
        state: Some("a=b".to_owned()),
        name: "GET /é".to_owned(),
        kind: SpanKind::Client,
        start_ns: 1_700_000_000_000_000_000,
        end_ns: u64::MAX,
        attributes: vec![
            ("http.route", "/pets".into()),
            ("status", Value::Number(-1)),
            ("n", Value::Number(300)),
        ],
        is_error: true,
    };
    let least = Span {
        parent: None,
        is_parent_remote: false,
        state: None,
        kind: SpanKind::Server,
        attributes: Vec::new(),
        is_error: false,
        ..whole.clone()
    };
    let bytes = traces(&resource(), &[whole.clone(), least]);
    let request = ExportTraceServiceRequest::decode(&bytes[..]).unwrap();
    let of_resource = &request.resource_spans[0];
    assert_eq!(
        texts(&of_resource.resource.as_ref().unwrap().attributes),
        [("service.name".to_owned(), "gate".to_owned())]
    );
    let of_scope = &of_resource.scope_spans[0];
    assert_eq!(of_scope.scope.as_ref().unwrap().name, "portcullis");
    let [read, plain] = &of_scope.spans[..] else {
        panic!("{of_scope:?}")
    };
    assert_eq!(
        (&read.trace_id[..], &read.span_id[..]),
        (&whole.trace.as_bytes()[..], &whole.id.as_bytes()[..])
    );
    assert_eq!(read.parent_span_id, whole.parent.unwrap().as_bytes());
    assert_eq!((read.trace_state.as_str(), read.name.as_str()), ("a=b", "GET /é"));
    assert_eq!(
        (read.start_time_unix_nano, read.end_time_unix_nano),
        (whole.start_ns, whole.end_ns)
    );
    assert_eq!(
        (read.kind(), plain.kind()),
        (span::SpanKind::Client, span::SpanKind::Server)
    );
    assert_eq!((read.flags, plain.flags), (0x301, 0x101));
    assert_eq!(
        texts(&read.attributes),
        [("http.route", "/pets"), ("status", "-1"), ("n", "300")]
            .map(|(name, text)| (name.to_owned(), text.to_owned()))
    );
    assert_eq!(read.status.as_ref().unwrap().code(), StatusCode::Error);
    assert!(plain.status.is_none() && plain.parent_span_id.is_empty() && plain.attributes.is_empty());
}

#[test]
fn metrics_read_back_as_they_are() {
    let counted = Metrics::new(1);
    let series = counted.route(RouteKey {
        api: "a".into(),
        stage: "s".into(),
        route: "GET /".into(),
    });
    series.record(0, 200, 300, Some(200));
    series.record(0, 503, 40_000_000, None);
    counted.gauge("portcullis_open", "Open.", &[], || 2.5).unwrap();
    counted
        .counter("portcullis_seen", "Seen.", &[("kind", "x")], || 7)
        .unwrap();
    let bytes = metrics(&resource(), &counted, 5, 9);
    let request = ExportMetricsServiceRequest::decode(&bytes[..]).unwrap();
    let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
    let find = |name: &str| {
        metrics
            .iter()
            .find(|metric| metric.name == name)
            .unwrap()
            .data
            .clone()
            .unwrap()
    };

    let Data::Sum(sum) = find("portcullis_5xx_errors") else {
        panic!()
    };
    assert!(sum.is_monotonic && sum.aggregation_temporality() == AggregationTemporality::Cumulative);
    let point = &sum.data_points[0];
    assert_eq!(point.value, Some(number_data_point::Value::AsInt(1)));
    assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (5, 9));
    let route =
        [("api", "a"), ("stage", "s"), ("route", "GET /")].map(|(name, text)| (name.to_owned(), text.to_owned()));
    assert_eq!(texts(&point.attributes), route);

    let Data::Histogram(histogram) = find("portcullis_latency") else {
        panic!()
    };
    let point = &histogram.data_points[0];
    assert_eq!((point.count, point.sum), (2, Some(40.0003)));
    assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
    assert_eq!((point.bucket_counts[2], point.bucket_counts.last()), (1, Some(&1)));
    assert_eq!(
        (point.explicit_bounds[2], texts(&point.attributes)),
        (0.0005, route.to_vec())
    );

    let Data::Gauge(gauge) = find("portcullis_open") else {
        panic!()
    };
    assert_eq!(
        gauge.data_points[0].value,
        Some(number_data_point::Value::AsDouble(2.5))
    );
    let Data::Sum(sum) = find("portcullis_seen") else {
        panic!()
    };
    assert_eq!(sum.data_points[0].value, Some(number_data_point::Value::AsDouble(7.0)));
    assert_eq!(
        texts(&sum.data_points[0].attributes),
        [("kind".to_owned(), "x".to_owned())]
    );
}
