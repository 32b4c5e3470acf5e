//! Traces and metrics from the binary to a collector, read with OpenTelemetry's own types.

use opentelemetry_proto::tonic::{
    collector::{metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::any_value::Value,
    trace::v1::{Span, span::SpanKind},
};
use portcullis_testkit::{Origin, Received, ReservedPort, Step};
use prost::Message as _;

use crate::support::{Running, Setup, ok, poll};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// A gateway that tells `collector`, with more lines for it.
fn traced(origin: &Origin, collector: impl std::fmt::Display, lines: &str) -> Running {
    let setup = Setup::open(origin.address()).file("collector.key", "a-collector-key");
    let written = format!(
        "access_log = {{ destination = \"stdout\", format = \"$context.requestId $context.xrayTraceId\" }}\n\
         [telemetry.otlp]\nendpoint = \"http://{collector}/otlp\"\n{lines}\n"
    );
    setup
        .in_config("access_log = { destination = \"stdout\", format = \"clf\" }", &written)
        .start()
}

/// Every span that a collector has received.
fn spans(collector: &Origin) -> Vec<Span> {
    let of_traces = |request: &Received| request.request_line() == "POST /otlp/v1/traces HTTP/1.1";
    let requests = collector.requests().into_iter().filter(of_traces);
    let decoded = requests.map(|request| {
        assert_eq!(request.header("content-type"), Some("application/x-protobuf"));
        ExportTraceServiceRequest::decode(&request.body[..]).unwrap()
    });
    let of_resources = decoded.flat_map(|request| request.resource_spans);
    of_resources
        .flat_map(|resource| resource.scope_spans)
        .flat_map(|scope| scope.spans)
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attribute(span: &Span, name: &str) -> String {
    let found = span.attributes.iter().find(|attribute| attribute.key == name);
    match found.and_then(|attribute| attribute.value.clone()?.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => panic!("{name}: {other:?} of {span:?}"),
    }
}

#[test]
fn a_caller_s_trace_goes_on_to_the_origin_and_to_the_collector() {
    let (origin, collector) = (Origin::answering(ok("12345")), Origin::ok(""));
    let lines = "headers = { x-key = \"file:collector.key\" }\nservice_name = \"front\"\nmetrics_every_s = 1";
    let running = traced(&origin, collector.address(), lines);
    let parent = format!("traceparent: 00-{TRACE}-{PARENT}-01");
    let other = "X-Amzn-Trace-Id: Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0";
    let answer = running.call(
        "/pets?token=hush",
        &["-H", &parent, "-H", "tracestate: a=b", "-H", other, "-A", "tester"],
    );
    assert_eq!(answer.status, 200);
    // Both fields tell the origin of the same span, which is the gateway's call.
    let asked = &origin.wait_for_requests(1)[0];
    let onward = asked.header("traceparent").unwrap();
    let span = onward.split('-').nth(2).unwrap();
    assert_eq!(onward, format!("00-{TRACE}-{span}-01"));
    assert_eq!(asked.header_values("traceparent").len(), 1);
    assert_eq!(asked.header("tracestate"), Some("a=b"));
    let xray = format!("Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent={span};Sampled=1");
    assert_eq!(asked.header("x-amzn-trace-id"), Some(xray.as_str()));
    let log = running.gateway.wait_for_access_log(1);
    assert!(log[0].ends_with(&xray), "{log:?}");

    let spans = poll(|| spans(&collector), |spans| spans.len() == 2);
    let find = |kind| spans.iter().find(|span| span.kind() == kind).unwrap();
    let (server, client) = (find(SpanKind::Server), find(SpanKind::Client));
    assert_eq!(
        (hex(&server.trace_id), hex(&server.parent_span_id)),
        (TRACE.into(), PARENT.into())
    );
    assert_eq!(
        (hex(&client.trace_id), hex(&client.span_id)),
        (TRACE.into(), span.into())
    );
    assert_eq!(
        (&client.parent_span_id, server.trace_state.as_str()),
        (&server.span_id, "a=b")
    );
    let within = server.start_time_unix_nano <= client.start_time_unix_nano
        && client.start_time_unix_nano < client.end_time_unix_nano
        && client.end_time_unix_nano <= server.end_time_unix_nano;
    assert!(within, "{spans:?}");
    assert_eq!((server.name.as_str(), client.name.as_str()), ("GET /{proxy+}", "GET"));
    for (name, value) in [
        ("http.request.method", "GET"),
        ("http.route", "/{proxy+}"),
        ("url.path", "/pets"),
        ("url.scheme", "http"),
        ("http.response.status_code", "200"),
        ("http.response.body.size", "5"),
        ("client.address", "127.0.0.1"),
        ("user_agent.original", "tester"),
        ("portcullis.api", "proxy"),
        ("portcullis.stage", "TEST"),
        ("portcullis.request_id", &log[0][..36]),
    ] {
        assert_eq!(attribute(server, name), value, "{name}");
    }
    assert_eq!(attribute(client, "server.port"), origin.address().port().to_string());
    assert_eq!(
        attribute(client, "url.full"),
        format!("http://{}/pets", origin.address())
    );

    let of_metrics = |request: &Received| request.request_line() == "POST /otlp/v1/metrics HTTP/1.1";
    let metrics = poll(
        || collector.requests().into_iter().filter(of_metrics).collect::<Vec<_>>(),
        |requests| {
            requests
                .iter()
                .any(|request| names(request).iter().any(|name| name == "portcullis_latency"))
        },
    );
    assert!(
        names(&metrics[0])
            .iter()
            .any(|name| name == "portcullis_connections_open")
    );
    assert!(
        collector
            .requests()
            .iter()
            .all(|request| request.header("x-key") == Some("a-collector-key"))
    );
    assert!(!format!("{spans:?}").contains("hush"), "a query may hold a token");
    running.wait_for_metric("portcullis_spans_sent_total", 2.0);
    running.stop();
}

fn names(request: &Received) -> Vec<String> {
    let request = ExportMetricsServiceRequest::decode(&request.body[..]).unwrap();
    let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
    metrics.iter().map(|metric| metric.name.clone()).collect()
}

/// What the origin reads and how many spans are told, by what the caller says.
#[test]
fn who_samples_is_decided_once() {
    let (origin, collector) = (Origin::answering(ok("")), Origin::ok(""));
    let running = traced(&origin, collector.address(), "sample_percent = 0\nmetrics = false");
    let root = "Root=1-5759e988-bd862e3fe1be46a994272793";
    let xray = format!("X-Amzn-Trace-Id: {root};Parent=53995c3f42cd8ad8;Sampled=1");
    let two = [
        format!("traceparent: 00-{TRACE}-{PARENT}-01"),
        format!("traceparent: 00-{TRACE}-{PARENT}-00"),
    ];
    let calls: [(&[&str], &str, &str); 4] = [
        (&[], "", "-00"), // one of its own, which is not sampled
        (&["-H", "traceparent: nonsense", "-H", "tracestate: a=b"], "", "-00"),
        (&["-H", &two[0], "-H", &two[1]], "", "-00"), // which of them?
        (&["-H", &xray], "00-5759e988bd862e3fe1be46a994272793-", "-01"),
    ];
    for (index, (arguments, begin, end)) in calls.into_iter().enumerate() {
        assert_eq!(running.call("/x", arguments).status, 200);
        let asked = &origin.wait_for_requests(index + 1)[index];
        let parent = asked.header("traceparent").unwrap();
        assert!(
            parent.starts_with(begin) && parent.ends_with(end) && !parent.contains(PARENT),
            "{index}: {parent}"
        );
        assert_eq!(
            asked.header("tracestate"),
            None,
            "{index}: it belongs to no trace that goes on"
        );
    }
    let spans = poll(|| spans(&collector), |spans| !spans.is_empty());
    assert_eq!(
        spans.iter().map(|span| hex(&span.trace_id)).collect::<Vec<_>>(),
        ["5759e988bd862e3fe1be46a994272793"; 2]
    );
    running.stop();
}

#[test]
fn what_is_refused_and_what_fails_is_told_too() {
    let closing = Origin::closing();
    let collector = Origin::scripted(vec![
        vec![
            Step::ReadRequest,
            Step::Send(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nRetry-After: 0\r\n\r\n".into()),
            Step::Close,
        ],
        vec![Step::ReadRequest, Step::Send(ok(""))],
    ]);
    let running = traced(&closing, collector.address(), "metrics = false");
    assert_eq!(running.call("/x", &["-X", "POST", "-d", "1"]).status, 504);
    let spans = poll(|| spans(&collector), |spans| spans.len() >= 4);
    let server = spans.iter().find(|span| span.kind() == SpanKind::Server).unwrap();
    assert_eq!(attribute(server, "portcullis.refused_by"), "integrate");
    assert_eq!(attribute(server, "error.type"), "504");
    let client = spans.iter().find(|span| span.kind() == SpanKind::Client).unwrap();
    assert_eq!(attribute(client, "error.type"), "unreachable");
    running.stop();
}

#[test]
fn a_collector_that_is_away_costs_spans_and_no_request() {
    let port = ReservedPort::new();
    let origin = Origin::answering(ok(""));
    let running = traced(&origin, port.address(), "spans_max = 4");
    for _ in 0..10 {
        assert_eq!(running.call("/x", &[]).status, 200);
    }
    poll(
        || running.metrics().value("portcullis_spans_dropped_total"),
        |dropped| *dropped > 0.0,
    );
    let ended = running.stop();
    assert!(!ended.stderr.contains("panicked"), "{ended:?}");
}

#[test]
fn without_a_collector_the_caller_s_fields_go_on_untouched() {
    let origin = Origin::answering(ok(""));
    let running = Setup::open(origin.address()).start();
    let parent = format!("traceparent: 00-{TRACE}-{PARENT}-01");
    running.call("/x", &["-H", &parent, "-H", "tracestate: a=b"]);
    let asked = &origin.wait_for_requests(1)[0];
    assert_eq!(asked.header("traceparent"), parent.strip_prefix("traceparent: "));
    assert_eq!(asked.header("tracestate"), Some("a=b"));
    running.stop();
}
