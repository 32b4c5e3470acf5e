use proptest::prelude::*;

use super::*;
use crate::metrics::Metrics;

fn rule(comparison: Comparison, datapoints_to_alarm: usize, evaluation_periods: usize, missing: MissingData) -> Rule {
    Rule {
        comparison,
        threshold: 10.0,
        evaluation_periods,
        datapoints_to_alarm,
        missing,
    }
}

fn spec(metric: Metric, statistic: Statistic, threshold: f64) -> AlarmSpec {
    AlarmSpec {
        name: "a".to_owned(),
        description: None,
        metric,
        statistic,
        scope: Scope::default(),
        period_s: 60,
        rule: Rule {
            threshold,
            ..rule(Comparison::GreaterOrEqual, 1, 1, MissingData::Missing)
        },
    }
}

/// `X` breaches, `0` does not, `-` has no data, `?` was not looked at.
fn window(text: &str) -> Vec<Datapoint> {
    text.bytes()
        .map(|byte| match byte {
            b'X' => Datapoint::Value(11.0),
            b'0' => Datapoint::Value(9.0),
            b'-' => Datapoint::Missing,
            _ => Datapoint::NotYet,
        })
        .collect()
}

#[test]
fn missing_data_is_what_it_is_said_to_be() {
    use MissingData::{Breaching, Ignore, Missing, NotBreaching};
    use State::{Alarm, InsufficientData, Ok};
    let check = |periods: &str, needed: usize, expected: [(MissingData, State); 4]| {
        for (missing, expected) in expected {
            let rule = rule(Comparison::Greater, needed, periods.len(), missing);
            let state = rule.judge(&window(periods), Ok);
            assert_eq!(state, expected, "{needed} of {periods}, {missing:?}");
        }
    };
    let all = |state| {
        [
            (Breaching, state),
            (Ignore, state),
            (Missing, state),
            (NotBreaching, state),
        ]
    };
    check("XXX", 3, all(Alarm));
    check("X0X", 2, all(Alarm));
    check("X0X", 3, all(Ok));
    check("000", 1, all(Ok));
    check("X-X", 2, all(Alarm));
    check("0-0", 2, all(Ok));
    check(
        "---",
        3,
        [
            (Breaching, Alarm),
            (Ignore, Ok),
            (Missing, InsufficientData),
            (NotBreaching, Ok),
        ],
    );
    check(
        "X--",
        3,
        [
            (Breaching, Alarm),
            (Ignore, Ok),
            (Missing, InsufficientData),
            (NotBreaching, Ok),
        ],
    );
    // What nobody looked at is nothing: a gateway that has just started raises no alarm for want of callers.
    check(
        "??-",
        3,
        [
            (Breaching, Ok),
            (Ignore, Ok),
            (Missing, InsufficientData),
            (NotBreaching, Ok),
        ],
    );
    check("??X", 1, all(Alarm));
    check("??0", 3, all(Ok));
}

#[test]
fn comparisons() {
    use Comparison::{Greater, GreaterOrEqual, Less, LessOrEqual};
    for (comparison, held) in [
        (Greater, [false, false, true]),
        (GreaterOrEqual, [false, true, true]),
        (Less, [true, false, false]),
        (LessOrEqual, [true, true, false]),
    ] {
        assert_eq!([9.0, 10.0, 11.0].map(|value| comparison.holds(value, 10.0)), held);
        assert_eq!(comparison.to_string().parse(), Ok(comparison));
        assert_eq!(comparison.amazon_name().parse(), Ok(comparison));
    }
    assert!("=".parse::<Comparison>().is_err());
}

#[test]
fn statistics_of_what_was_counted() {
    let metrics = Metrics::new(1);
    let series = metrics.route(RouteKey {
        api: "a".into(),
        stage: "s".into(),
        route: "r".into(),
    });
    // 8 of 1 ms, 1 of 20 ms that failed, 1 of 40 s that was refused and called nobody.
    (0..8).for_each(|_| series.record(0, 200, 1_000, Some(900)));
    series.record(0, 502, 20_000, Some(19_000));
    series.record(0, 429, 40_000_000, None);
    series.processed(0, 500);
    series.cache_hit(0);
    (0..3).for_each(|_| series.cache_miss(0));
    let total = series.total();
    let check = |metric: &str, statistic: &str, expected: f64| {
        let (metric, statistic): (Metric, Statistic) = (metric.parse().unwrap(), statistic.parse().unwrap());
        assert!(metric.has(statistic));
        let value = statistic.of(metric, &total).unwrap();
        assert!(
            (value - expected).abs() < 1e-6,
            "{metric:?} {statistic}: {value}, not {expected}"
        );
    };
    check("Count", "sum", 10.0);
    check("4XXError", "sum", 1.0);
    check("4XXError", "average", 0.1);
    check("5xx", "average", 0.1);
    check("CacheHitCount", "average", 0.25);
    check("CacheMissCount", "sum", 3.0);
    check("DataProcessed", "average", 50.0);
    check("Latency", "average", 4_002.8);
    check("Latency", "p80", 1.0);
    check("Latency", "p40", 0.75);
    check("Latency", "p90", 25.0);
    check("Latency", "p99", 30_000.0);
    check("Latency", "max", 30_000.0);
    check("IntegrationLatency", "max", 25.0);
    let nothing = RouteTotal::default();
    for metric in Metric::ALL {
        for statistic in [
            Statistic::Sum,
            Statistic::Average,
            Statistic::Maximum,
            Statistic::Percentile(50.0),
        ] {
            assert_eq!(statistic.of(metric, &nothing), None, "{metric:?} {statistic}");
        }
    }
    for bad in ["", "p", "p0", "p101", "p-1", "p1e1", "pNaN", "mean"] {
        assert!(bad.parse::<Statistic>().is_err(), "{bad}");
    }
    assert!(!Metric::Count.has(Statistic::Average) && !Metric::Errors5xx.has(Statistic::Percentile(99.0)));
}

/// A minute-long period for a second alarm that watches one stage only; each step is a time and what is called before it.
#[test]
fn an_alarm_is_told_once_and_so_is_its_end() {
    let metrics = Metrics::new(1);
    let series = |stage: &str| {
        metrics.route(RouteKey {
            api: "a".into(),
            stage: stage.into(),
            route: "r".into(),
        })
    };
    let (watched, other) = (series("TEST"), series("OTHER"));
    let alarms = Alarms::default();
    let mut spec = spec(Metric::Errors5xx, Statistic::Average, 0.5);
    spec.scope.stage = Some("TEST".to_owned());
    alarms.replace(vec![spec.clone()]);
    let step = |second: i64, statuses: &[u16]| {
        statuses.iter().for_each(|status| watched.record(0, *status, 1, None));
        other.record(0, 500, 1, None);
        let transitions = alarms.tick(Timestamp::from_unix_seconds(second), &metrics.routes());
        transitions
            .iter()
            .map(|transition| (transition.to, transition.is_news))
            .collect::<Vec<_>>()
    };
    use State::{Alarm, InsufficientData, Ok};
    assert_eq!(
        step(30, &[500, 500]),
        [],
        "the first period is looked at from its middle on only"
    );
    assert_eq!(step(60, &[500]), []);
    assert_eq!(alarms.statuses()[0].state, InsufficientData);
    assert_eq!(step(119, &[200]), [], "the period is not over");
    assert_eq!(
        step(120, &[200]),
        [(Ok, false)],
        "that all is well from the start is no news"
    );
    assert_eq!(step(180, &[200, 500]), [(Alarm, true)]);
    assert_eq!(step(240, &[500, 500]), [], "it stays so");
    assert_eq!(step(300, &[]), [(InsufficientData, false)]);
    assert_eq!(step(360, &[500]), [(Alarm, false)], "it was never said to have ended");
    assert_eq!(step(420, &[200, 200, 500]), [(Ok, true)]);
    let status = &alarms.statuses()[0];
    assert_eq!(status.since, Some(Timestamp::from_unix_seconds(420)));
    assert_eq!(
        status.reason,
        "threshold not crossed: 0 of the last 1 datapoints [0.333] >= 0.5 (1 make an alarm)"
    );
    assert_eq!(step(900, &[500]), [(Alarm, true)], "late is better than never");
    alarms.replace(vec![spec.clone()]);
    assert_eq!(alarms.statuses()[0].state, Alarm, "the same alarm keeps its state");
    spec.rule.threshold = 0.6;
    alarms.replace(vec![spec]);
    assert_eq!(alarms.statuses()[0].state, InsufficientData);
}

fn soak() -> u32 {
    std::env::var("PORTCULLIS_SOAK")
        .ok()
        .and_then(|soak| soak.parse().ok())
        .unwrap_or(1)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200 * soak()))]

    /// Against the definition: every way to fill in what is not known is tried.
    #[test]
    fn a_state_is_one_that_no_filling_in_could_change(
        periods in "[X0?-]{1,6}",
        needed in 1_usize..6,
        before in prop_oneof![Just(State::Ok), Just(State::Alarm), Just(State::InsufficientData)],
    ) {
        let needed = needed.min(periods.len());
        for missing in [MissingData::Breaching, MissingData::Ignore, MissingData::Missing, MissingData::NotBreaching] {
            let rule = rule(Comparison::Greater, needed, periods.len(), missing);
            let filled = match missing {
                MissingData::Breaching => periods.replace('-', "X"),
                MissingData::NotBreaching => periods.replace('-', "0"),
                MissingData::Ignore | MissingData::Missing => periods.replace('-', "?"),
            };
            let holes = filled.matches('?').count();
            let outcomes: std::collections::BTreeSet<bool> = (0..1_u32 << holes)
                .map(|choice| {
                    let mut bit = 0;
                    let breaching = filled.bytes().filter(|byte| match byte {
                        b'?' => { bit += 1; choice >> (bit - 1) & 1 == 1 }
                        byte => *byte == b'X',
                    });
                    breaching.count() >= needed
                })
                .collect();
            let expected = match (outcomes.len(), outcomes.contains(&true)) {
                (1, true) => State::Alarm,
                (1, false) => State::Ok,
                _ if missing == MissingData::Missing && periods.contains('-') => State::InsufficientData,
                _ => before,
            };
            prop_assert_eq!(rule.judge(&window(&periods), before), expected, "{:?}", missing);
        }
    }

    #[test]
    fn percentiles_rise_and_stay_within_what_was_recorded(latencies in prop::collection::vec(0_u64..60_000_000, 1..40)) {
        let metrics = Metrics::new(2);
        let series = metrics.route(RouteKey { api: "a".into(), stage: "s".into(), route: "r".into() });
        latencies.iter().enumerate().for_each(|(index, latency)| series.record(index, 200, *latency, None));
        let total = series.total();
        let percentiles: Vec<f64> = (1..=100).map(|percent| total.latency.percentile(f64::from(percent)).unwrap()).collect();
        prop_assert!(percentiles.is_sorted());
        prop_assert!(percentiles[99] <= total.latency.maximum().unwrap() + 1e-9);
        let mut again = total.clone();
        again.add(&total);
        prop_assert_eq!(again.since(&total), total);
    }
}
