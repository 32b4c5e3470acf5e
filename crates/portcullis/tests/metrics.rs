//! What the metrics' listener answers while the whole binary serves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use portcullis_testkit::{Nginx, curl};
use support::{ORIGIN_KEY, Setup};

#[test]
fn calls_are_counted_by_api_stage_and_route() {
    let nginx = Nginx::serving("/example.json", "{}")
        .demanding("apikey", ORIGIN_KEY)
        .with("location /broken { return 500; }")
        .start();
    let running = Setup::new(nginx.address())
        .in_document("paths:\n", concat!(
            "paths:\n  /health:\n    get:\n      security: []\n      x-amazon-apigateway-integration:\n        type: mock\n",
            "        requestTemplates: {application/json: '{\"statusCode\": 200}'}\n        responses: {default: {statusCode: \"200\"}}\n",
        ))
        .start();
    let before = running.metrics();
    assert_eq!(before.route("portcullis_count_total"), 0.0);
    let token = running.place.token("env:APPROOV_SECRET", "1h");
    let statuses = [
        running.call("/example.json", &[]).status,
        running.call_with("/example.json", &token).status,
        running.call_with("/example.json", &token).status,
        running.call_with("/absent", &token).status,
        running.call_with("/broken", &token).status,
        running.call("/health", &[]).status,
        running.call("/health", &["-X", "PURGE"]).status,
    ];
    assert_eq!(statuses, [401, 200, 200, 404, 500, 200, 403]);
    running.gateway.wait_for_access_log(statuses.len());

    let samples = running.metrics();
    for (name, expected) in [
        ("portcullis_count_total", 5.0),
        ("portcullis_4xx_errors_total", 2.0),
        ("portcullis_5xx_errors_total", 1.0),
        ("portcullis_latency_seconds_count", 5.0),
        ("portcullis_integration_latency_seconds_count", 4.0),
    ] {
        assert_eq!(samples.route(name), expected, "{name}");
    }
    let latency = samples.route("portcullis_latency_seconds_sum");
    let integration = samples.route("portcullis_integration_latency_seconds_sum");
    assert!(
        0.0 < integration && integration <= latency,
        "{integration} of {latency}"
    );
    let of = |route: &str| format!("portcullis_count_total{{api=\"proxy\",stage=\"TEST\",route=\"{route}\"}}");
    assert_eq!(samples.value(&of("GET /health")), 1.0);
    assert_eq!(
        samples.value(&of("-")),
        1.0,
        "calls of no route have a place of their own"
    );
    running.wait_for_metric("portcullis_access_log_lines_total", 7.0);
    assert_eq!(samples.value("portcullis_access_log_dropped_total"), 0.0);
    assert_eq!(samples.value("portcullis_tokens_remembered"), 1.0);
    assert!(samples.has(&format!(
        "portcullis_build{{version=\"{}\"}}",
        env!("CARGO_PKG_VERSION")
    )));
    running.stop();
}

#[test]
fn probes_answer_on_their_own_listener_only() {
    let nginx = Nginx::serving("/example.json", "{}").start();
    let running = Setup::open(nginx.address()).start();
    for (path, status) in [
        ("/livez", 200),
        ("/readyz", 200),
        ("/metrics", 200),
        ("/", 404),
        ("/example.json", 404),
    ] {
        assert_eq!(running.probe(path).status, status, "{path}");
    }
    let scraped = running.probe("/metrics");
    assert!(
        scraped
            .header("content-type")
            .unwrap()
            .starts_with("application/openmetrics-text"),
        "{scraped:?}"
    );
    let url = format!("http://{}/metrics", running.gateway.addresses()[1]);
    assert_eq!(curl(&["-X", "POST", &url]).status, 405);
    // The API's own listener gives such paths to the API.
    assert_eq!(running.call("/metrics", &[]).status, 404);
    assert_eq!(nginx.wait_for_requests(1), ["GET /metrics 404"]);
    running.stop();
}
