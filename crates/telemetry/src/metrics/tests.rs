mod openmetrics;

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use openmetrics::{Samples, parse};
use proptest::prelude::*;

use super::*;

fn key(route: &str) -> RouteKey {
    RouteKey {
        api: "pets".into(),
        stage: "TEST".into(),
        route: route.into(),
    }
}

fn sample(samples: &Samples, name: &str, labels: &[(&str, &str)]) -> f64 {
    let labels = labels
        .iter()
        .map(|(label, value)| ((*label).to_owned(), (*value).to_owned()))
        .collect();
    samples.get(&(name.to_owned(), labels)).copied().unwrap_or(f64::NAN)
}

fn of_route(samples: &Samples, name: &str, route: &str) -> f64 {
    sample(samples, name, &[("api", "pets"), ("stage", "TEST"), ("route", route)])
}

#[test]
fn the_reader_is_strict() {
    let good = "# HELP a_seconds x\n# TYPE a_seconds histogram\n# UNIT a_seconds seconds\na_seconds_sum 1\n\
                a_seconds_count 2\na_seconds_bucket{le=\"1.0\"} 1\na_seconds_bucket{le=\"+Inf\"} 2\n# EOF\n";
    assert_eq!(parse(good).unwrap().len(), 4);
    let bad = [
        ("# EOF\n", ""),
        ("a_seconds_count 2", "a_seconds_count 3"),
        ("a_seconds_sum 1\n", ""),
        ("le=\"1.0\"} 1", "le=\"1.0\"} 3"),
        ("le=\"1.0\"", "le=\"1.0"),
        ("le=\"1.0\"", "le=\"1.0\","),
        ("le=\"1.0\"", "le=\"\\x\""),
        ("le=\"+Inf\"", "le=\"2\""),
        ("le=\"+Inf\"", "le=\"1.0\""),
        ("a_seconds_sum", "b_seconds_sum"),
        ("a_seconds_sum", "a_seconds_total"),
        ("histogram", "histogramme"),
        ("UNIT a_seconds seconds", "UNIT a_seconds bytes"),
        ("a_seconds_sum 1", "a_seconds_sum one"),
    ];
    for (from, to) in bad {
        assert!(parse(&good.replacen(from, to, 1)).is_err(), "{from} -> {to}");
    }
}

#[test]
fn nothing_counted_yet_is_a_text_too() {
    assert_eq!(parse(&Metrics::new(0).render()), Ok(Samples::new()));
}

#[test]
fn counts_by_route_status_and_latency() {
    let metrics = Metrics::new(2);
    let series = metrics.route(key("GET /a"));
    let requests = [
        (0, 200, 100, Some(80)),
        (1, 404, 101, None),
        (7, 399, 30_000_000, Some(29_000_000)),
        (0, 500, 30_000_001, Some(30_000_001)),
        (0, 599, 0, None),
        (0, 600, 1_000, None),
    ];
    for (worker, status, latency_us, integration_us) in requests {
        metrics
            .route(key("GET /a"))
            .record(worker, status, latency_us, integration_us);
    }
    metrics.route(key("GET /b")).record(0, 429, 1, None);
    assert!(Arc::ptr_eq(&series, &metrics.route(key("GET /a"))));
    let samples = parse(&metrics.render()).unwrap();
    let a = |name: &str| of_route(&samples, name, "GET /a");
    assert_eq!(
        (a("portcullis_count_total"), a("portcullis_4xx_errors_total")),
        (6.0, 1.0)
    );
    assert_eq!(
        (a("portcullis_5xx_errors_total"), a("portcullis_latency_seconds_count")),
        (2.0, 6.0)
    );
    assert_eq!(a("portcullis_integration_latency_seconds_count"), 3.0);
    assert!((a("portcullis_latency_seconds_sum") - 60.001_202).abs() < 1e-9);
    assert_eq!(of_route(&samples, "portcullis_4xx_errors_total", "GET /b"), 1.0);
    let bucket = |bound| {
        let labels = [("api", "pets"), ("stage", "TEST"), ("route", "GET /a"), ("le", bound)];
        sample(&samples, "portcullis_latency_seconds_bucket", &labels)
    };
    // A bound belongs to its bucket.
    assert_eq!(
        ["0.0001", "0.00025", "0.001", "10.0", "30.0", "+Inf"].map(bucket),
        [2.0, 3.0, 4.0, 4.0, 5.0, 6.0]
    );
}

#[test]
fn no_request_is_lost_between_workers() {
    let metrics = Metrics::new(4);
    thread::scope(|scope| {
        for worker in 0..8 {
            let metrics = &metrics;
            scope.spawn(move || {
                let series = metrics.route(key("ANY /{proxy+}"));
                (0..5_000).for_each(|request| series.record(worker, 200 + request % 400, u64::from(request), Some(1)));
            });
        }
    });
    let samples = parse(&metrics.render()).unwrap();
    let total = |name| of_route(&samples, name, "ANY /{proxy+}");
    assert_eq!(total("portcullis_count_total"), 40_000.0);
    assert_eq!(total("portcullis_integration_latency_seconds_count"), 40_000.0);
    let errors = total("portcullis_4xx_errors_total") + total("portcullis_5xx_errors_total");
    assert_eq!(errors, 8.0 * 2_400.0); // statuses 400 to 599 come 12 times each
}

#[test]
fn readings_are_read_when_asked() {
    let metrics = Metrics::new(1);
    let value = Arc::new(AtomicU64::new(1));
    let read = |value: &Arc<AtomicU64>| {
        let value = Arc::clone(value);
        move || value.load(Ordering::Relaxed)
    };
    metrics
        .counter("portcullis_lines_dropped", "Log lines lost", &[], read(&value))
        .unwrap();
    metrics
        .counter("portcullis_hits", "Token cache hits", &[("authorizer", "b")], || 2)
        .unwrap();
    metrics
        .counter(
            "portcullis_hits",
            "Token cache hits",
            &[("authorizer", "a\"\\\n")],
            || 3,
        )
        .unwrap();
    metrics
        .counter("portcullis_hits", "Token cache hits", &[("authorizer", "b")], || 4)
        .unwrap();
    metrics
        .gauge("portcullis_upstream_connections_idle", "Connections kept", &[], || -1.5)
        .unwrap();
    for expected in [1, 2] {
        value.store(expected, Ordering::Relaxed);
        let samples = parse(&metrics.render()).unwrap();
        assert_eq!(sample(&samples, "portcullis_lines_dropped_total", &[]), expected as f64);
        assert_eq!(sample(&samples, "portcullis_hits_total", &[("authorizer", "b")]), 4.0);
        assert_eq!(
            sample(&samples, "portcullis_hits_total", &[("authorizer", "a\"\\\n")]),
            3.0
        );
        assert_eq!(sample(&samples, "portcullis_upstream_connections_idle", &[]), -1.5);
        assert_eq!(samples.len(), 4);
    }
}

#[test]
fn readings_that_would_break_the_text_are_refused() {
    let metrics = Metrics::new(1);
    metrics.gauge("known", "x", &[], || 0.0).unwrap();
    let add = |name, help, labels: &[(&'static str, &str)]| metrics.counter(name, help, labels, || 0);
    assert_eq!(add("a b", "x", &[]), Err(ReadingError::Name("a b")));
    assert_eq!(add("", "x", &[]), Err(ReadingError::Name("")));
    assert_eq!(add("1a", "x", &[]), Err(ReadingError::Name("1a")));
    assert_eq!(add("a_total", "x", &[]), Err(ReadingError::Name("a_total")));
    assert_eq!(add("a", "two\nlines", &[]), Err(ReadingError::Help("a")));
    assert_eq!(add("a", "", &[]), Err(ReadingError::Help("a")));
    assert_eq!(add("a", "x", &[("le", "1")]), Err(ReadingError::Label("le")));
    assert_eq!(add("a", "x", &[("b-c", "1")]), Err(ReadingError::Label("b-c")));
    assert_eq!(add("a", "x", &[("b", "1"), ("b", "2")]), Err(ReadingError::Label("b")));
    assert_eq!(add("known", "x", &[]), Err(ReadingError::Kind("known")));
    assert_eq!(
        add("portcullis_count", "x", &[]),
        Err(ReadingError::Kind("portcullis_count"))
    );
    assert_eq!(
        metrics.gauge("portcullis_latency_seconds_sum", "x", &[], || 0.0),
        Err(ReadingError::Kind("portcullis_latency_seconds_sum"))
    );
    assert_eq!(add("a", "x", &[("b", "1"), ("c", "2")]), Ok(()));
    for number in 2..READINGS_MAX {
        assert_eq!(add("many", "x", &[("number", &number.to_string())]), Ok(()));
    }
    assert_eq!(add("many", "x", &[("number", "one more")]), Err(ReadingError::TooMany));
    assert_eq!(add("many", "x", &[("number", "2")]), Ok(()));
    assert_eq!(parse(&metrics.render()).unwrap().len(), READINGS_MAX);
}

#[test]
fn routes_are_bounded_and_none_goes_uncounted() {
    let metrics = Metrics::new(1);
    let held: Vec<_> = (0..ROUTES_MAX)
        .map(|number| metrics.route(key(&number.to_string())))
        .collect();
    let beyond = metrics.route(key("beyond"));
    beyond.record(0, 200, 1, None);
    assert!(Arc::ptr_eq(&beyond, &metrics.route(key("as well"))));
    // Routes that no snapshot holds any more make room.
    drop(held);
    let after = metrics.route(key("after"));
    assert!(!Arc::ptr_eq(&beyond, &after));
    // Only two are left to be written, and what was counted beyond the bound is among them.
    let samples = parse(&metrics.render()).unwrap();
    let other = [("api", OTHER), ("stage", OTHER), ("route", OTHER)];
    assert_eq!(sample(&samples, "portcullis_count_total", &other), 1.0);
    drop((beyond, after));
    assert_eq!(lock(&metrics.inner.routes).len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever an API's author calls things, the text stays readable and says what they said.
    #[test]
    fn labels_survive(api in ".{0,12}", stage in "[\"\\\\\n{},= a]{0,8}", route in "\\PC{0,20}", status in 100_u16..700) {
        let metrics = Metrics::new(1);
        let key = RouteKey { api: api.as_str().into(), stage: stage.as_str().into(), route: route.as_str().into() };
        metrics.route(key).record(0, status, 5, None);
        metrics.gauge("reading", "x", &[("api", &api), ("stage", &stage)], || 2.0).unwrap();
        let samples = parse(&metrics.render()).unwrap();
        let labels = [("api", &*api), ("stage", &*stage), ("route", &*route)];
        prop_assert_eq!(sample(&samples, "portcullis_count_total", &labels), 1.0);
        prop_assert_eq!(sample(&samples, "reading", &labels[..2]), 2.0);
    }

    /// The buckets are a partition: a latency raises exactly those whose bound is not below it.
    #[test]
    fn a_latency_is_in_its_buckets(latency_us in prop_oneof![0_u64..3_000, 0_u64..40_000_000, any::<u64>()]) {
        let (histogram, mut sum) = (histogram::Histogram::default(), histogram::Sum::default());
        histogram.record(latency_us);
        histogram.add_to(&mut sum);
        let mut cumulative = 0;
        for (bound, (_, count)) in histogram::BOUNDS_US.iter().zip(sum.per_bucket()) {
            cumulative += count;
            prop_assert_eq!(cumulative == 1, latency_us <= *bound);
        }
        prop_assert_eq!((sum.count(), sum.sum_us), (1, latency_us));
    }
}
