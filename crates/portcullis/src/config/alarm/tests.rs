use std::path::Path;

use super::*;
use crate::config::{Config, read};

const LEAST: &str = r#"[[listeners]]
address = "127.0.0.1:8080"
[[apis]]
id = "a"
document = "a.yaml"
[[apis.stages]]
name = "TEST"
"#;
const ALARM: &str = r#"[[alarms]]
name = "n"
metric = "5XXError"
statistic = "average"
threshold = 0.05
notify = [{ webhook = "https://hooks.example/x?y=1", secret = "file:hook.secret" }]
"#;

/// The configuration of an alarm, and its findings as `line: severity: code: message`; the alarm begins in line 8.
fn findings(alarm: &str) -> (Config, Vec<String>) {
    let (config, findings) = read("p", &format!("{LEAST}{alarm}"), Path::new("/etc/p"));
    let found = findings.iter().map(|finding| {
        let line = finding.place.line;
        format!("{line}: {}: {}: {}", finding.severity, finding.code, finding.message)
    });
    let found = found.collect();
    (config, found)
}

#[test]
fn says_everything_or_little() {
    let (config, found) = findings(ALARM);
    assert_eq!(found, [""; 0]);
    let Alarm { spec, notify, .. } = &config.alarms[0];
    assert_eq!((spec.period_s, &spec.scope), (60, &Scope::default()));
    let rule = Rule {
        comparison: Comparison::GreaterOrEqual,
        threshold: 0.05,
        evaluation_periods: 1,
        datapoints_to_alarm: 1,
        missing: MissingData::Missing,
    };
    assert_eq!(spec.rule, rule);
    let Notify::Webhook { endpoint, secret } = &notify[0] else {
        panic!("{notify:?}")
    };
    assert_eq!(
        (endpoint.origin.host.as_str(), endpoint.target.as_str()),
        ("hooks.example", "/x?y=1")
    );
    assert_eq!(
        secret.as_ref().unwrap().value,
        SecretRef::File("/etc/p/hook.secret".into())
    );

    let (config, found) = findings(
        r#"[[alarms]]
name = "slow"
description = "people wait"
metric = "Latency"
statistic = "p99.9"
api = "a"
stage = "TEST"
route = "GET /pets"
comparison = "GreaterThanThreshold"
threshold = 800
period_s = 10
evaluation_periods = 5
datapoints_to_alarm = 3
missing_data = "notBreaching"
notify = [{ command = ["/usr/bin/logger", "-t", "x y"] }]
"#,
    );
    assert_eq!(found, [""; 0]);
    let Alarm { spec, notify, .. } = &config.alarms[0];
    assert_eq!((spec.statistic, spec.period_s), (Statistic::Percentile(99.9), 10));
    assert_eq!(spec.scope.route.as_deref(), Some("GET /pets"));
    assert_eq!((spec.rule.evaluation_periods, spec.rule.datapoints_to_alarm), (5, 3));
    assert_eq!(spec.rule.missing, MissingData::NotBreaching);
    assert_eq!(
        notify,
        &[Notify::Command(
            ["/usr/bin/logger", "-t", "x y"].map(str::to_owned).into()
        )]
    );
}

#[test]
fn slips_are_named() {
    let check = |from: &str, to: &str, expected: &[&str]| {
        assert!(ALARM.contains(from), "{from}");
        let (_, found) = findings(&ALARM.replace(from, to));
        assert_eq!(found, expected, "{to}");
    };
    check(
        "metric = \"5XXError\"\n",
        "",
        &["8: error: missing-key: `alarms.metric` is missing"],
    );
    check(
        "5XXError",
        "5XX",
        &["10: error: bad-metric: `5XX` cannot be `alarms.metric`"],
    );
    check(
        "\"average\"",
        "\"p99\"",
        &["11: error: bad-statistic: the p99 of `5XXError` says nothing"],
    );
    check(
        "\"average\"",
        "\"mean\"",
        &["11: error: bad-statistic: `mean` cannot be `alarms.statistic`"],
    );
    check(
        "threshold = 0.05",
        "threshold = -1",
        &["12: error: out-of-range: `alarms.threshold` is -1, which is not between 0 and 1000000000000000"],
    );
    check(
        "threshold = 0.05",
        "threshold = 1\ndatapoints_to_alarm = 2",
        &["13: error: out-of-range: 2 of 1 periods can never be: no alarm would ever be raised"],
    );
    check(
        "threshold = 0.05",
        "threshold = 1\ncomparison = \"==\"",
        &["13: error: bad-comparison: `==` cannot be `alarms.comparison`"],
    );
    check(
        "threshold = 0.05",
        "threshold = 1\nmissing_data = \"ok\"",
        &["13: error: bad-missing-data: `ok` cannot be `alarms.missing_data`"],
    );
    check(
        "threshold = 0.05",
        "threshold = 1\nstage = \"PROD\"",
        &["9: error: alarm-scope: the alarm `n` watches an API or a stage that is not there"],
    );
    check(
        "threshold = 0.05",
        "threshold = 1\nperiod = 60",
        &["13: error: unknown-key: `alarms.period` is unknown"],
    );
    check(
        "https://hooks.example",
        "ftp://hooks.example",
        &["13: error: bad-url: this is no URL that can be called: it begins with neither `http://` nor `https://`"],
    );
    check(
        "https://hooks.example",
        "http://hooks.example",
        &["13: warning: plain-http: what is sent there can be read and changed on its way"],
    );
    check("https://hooks.example", "http://127.0.0.1:8000", &[]);
    check(
        "file:hook.secret",
        "hunter2",
        &["13: error: bad-secret: `alarms.notify.secret` is no reference to a secret"],
    );
    let command = "{ webhook = \"https://hooks.example/x?y=1\", secret = \"file:hook.secret\" }";
    check(
        command,
        "{ command = [\"page\"] }",
        &["13: error: bad-notify: the command does not begin with a program's absolute path"],
    );
    check(
        command,
        "{ command = [\"/bin/x\"], secret = \"env:A\" }",
        &["13: error: bad-notify: a command has no secret"],
    );
    check(
        command,
        "{ }",
        &["13: error: bad-notify: a notification is either a webhook or a command"],
    );
    check(
        &format!("notify = [{command}]"),
        "",
        &["8: warning: alarm-silent: nobody is told of this alarm"],
    );
    let (_, found) = findings(&format!("{ALARM}{ALARM}"));
    assert_eq!(
        found,
        ["15: error: duplicate-alarm: the alarm `n` is there twice; first in line 9"]
    );
}
