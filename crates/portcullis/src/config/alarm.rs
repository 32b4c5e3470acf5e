//! `[[alarms]]`: what of the metrics is watched, when it is an alarm, and who is told.

use std::{path::PathBuf, str::FromStr};

use portcullis_core::{Place, SecretRef};
use portcullis_openapi::document::Located;
use portcullis_telemetry::alarm::{ALARMS_MAX, AlarmSpec, Comparison, Metric, MissingData, Rule, Scope, Statistic};

use super::{Api, endpoint::Endpoint, report::Report, section::Section};

/// Bytes of a name at most (aws: 255).
const NAME_BYTES_MAX: usize = 255;
/// Bytes of a description at most (aws).
const DESCRIPTION_BYTES_MAX: usize = 1_024;
/// Those who are told of one alarm at most.
const NOTIFY_MAX: usize = 10;
/// A command's words at most.
const WORDS_MAX: usize = 64;
/// The longest period in seconds: a day (aws).
const PERIOD_S_MAX: u64 = 86_400;
/// Periods that are looked at, at most.
const EVALUATION_PERIODS_MAX: u64 = 1_440;
const STATISTICS: &str = "write `sum`, `average`, `max` or a percentile as in `p99`";

/// An alarm without errors.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Alarm {
    /// Where its name stands.
    pub(crate) place: Place,
    /// What is watched.
    pub(crate) spec: AlarmSpec,
    /// Who is told.
    pub(crate) notify: Vec<Notify>,
}

/// Who is told of an alarm.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Notify {
    /// A program with its arguments; the message is its standard input.
    Command(Vec<String>),
    /// An HTTP endpoint, signed for it where there is a secret.
    Webhook {
        /// Where to.
        endpoint: Box<Endpoint>,
        /// The receiver's secret.
        secret: Option<Located<SecretRef>>,
    },
}

/// Reads all of them.
pub(super) fn read_all(root: &Section<'_>) -> Vec<Alarm> {
    let tables = root.tables("alarms", ALARMS_MAX);
    let alarms: Vec<_> = tables.iter().filter_map(read).collect();
    for (index, alarm) in alarms.iter().enumerate() {
        let before = alarms.iter().take(index);
        if let Some(first) = before.clone().find(|before| before.spec.name == alarm.spec.name) {
            let message = format!(
                "the alarm `{}` is there twice; first in line {}",
                alarm.spec.name, first.place.line
            );
            root.report.error(
                &alarm.place,
                "duplicate-alarm",
                message,
                "give each alarm a name of its own",
            );
        }
    }
    alarms
}

/// Warns of alarms that watch what is not there: they would stay silent for ever.
pub(super) fn check_scopes(report: &Report<'_>, alarms: &[Alarm], apis: &[Api]) {
    for Alarm { place, spec, .. } in alarms {
        let scope = &spec.scope;
        let in_scope = |api: &&Api| scope.api.as_ref().is_none_or(|wanted| *wanted == api.id.value);
        let stages = apis.iter().filter(in_scope).flat_map(|api| &api.stages);
        let mut names = stages.map(|stage| &stage.name.value);
        if names.all(|name| scope.stage.as_ref().is_some_and(|wanted| wanted != name)) {
            let message = format!("the alarm `{}` watches an API or a stage that is not there", spec.name);
            report.error(
                place,
                "alarm-scope",
                message,
                "mend `api` and `stage`, or leave them out",
            );
        }
    }
}

fn read(section: &Section<'_>) -> Option<Alarm> {
    let name = section.required("name", |key| section.text(key));
    let description = section.text("description");
    let metric = section.required("metric", |key| parsed::<Metric>(section, key, "bad-metric", &metrics()));
    let statistic = section.required("statistic", |key| {
        parsed::<Statistic>(section, key, "bad-statistic", STATISTICS)
    });
    let comparison = parsed(section, "comparison", "bad-comparison", "write `>`, `>=`, `<` or `<=`");
    let threshold = section.required("threshold", |key| section.number(key, 0.0..=1e15));
    let period_s = section.integer("period_s", 1..=PERIOD_S_MAX);
    let evaluation_periods = section.integer("evaluation_periods", 1..=EVALUATION_PERIODS_MAX);
    let datapoints = section.integer("datapoints_to_alarm", 1..=EVALUATION_PERIODS_MAX);
    let missing = parsed(
        section,
        "missing_data",
        "bad-missing-data",
        "write `missing`, `notBreaching`, `breaching` or `ignore`",
    );
    let [api, stage, route] = ["api", "stage", "route"].map(|key| section.text(key).map(|text| text.value));
    let notify = section.tables("notify", NOTIFY_MAX);
    let notify: Vec<_> = notify.iter().map(read_notify).collect();
    section.finish();
    if notify.is_empty() && !section.has("notify") {
        let message = "nobody is told of this alarm";
        let remedy = "add `notify = [{ webhook = \"https://…\" }]`; without it, it shows at `/alarms` alone";
        section.report.warn(&section.place, "alarm-silent", message, remedy);
    }

    let name = name?;
    check_length(section, "name", &name, NAME_BYTES_MAX);
    if let Some(description) = &description {
        check_length(section, "description", description, DESCRIPTION_BYTES_MAX);
    }
    let (metric, statistic, threshold) = (metric?, statistic?, threshold?);
    check_statistic(section, metric.value, &statistic);
    let evaluation_periods = evaluation_periods.map_or(1, |found| found.value);
    let needed = datapoints.as_ref().map_or(evaluation_periods, |found| found.value);
    if let Some(found) = datapoints.filter(|_| needed > evaluation_periods) {
        let message = format!("{needed} of {evaluation_periods} periods can never be: no alarm would ever be raised");
        let remedy = "`datapoints_to_alarm` is at most `evaluation_periods`";
        section.report.error(&found.place, "out-of-range", message, remedy);
    }
    let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    Some(Alarm {
        place: name.place,
        spec: AlarmSpec {
            name: name.value,
            description: description.map(|text| text.value),
            metric: metric.value,
            statistic: statistic.value,
            scope: Scope { api, stage, route },
            period_s: period_s.and_then(|found| u32::try_from(found.value).ok()).unwrap_or(60),
            rule: Rule {
                comparison: comparison.map_or(Comparison::GreaterOrEqual, |found| found.value),
                threshold: threshold.value,
                evaluation_periods: count(evaluation_periods),
                datapoints_to_alarm: count(needed),
                missing: missing.map_or(MissingData::Missing, |found| found.value),
            },
        },
        notify: notify.into_iter().collect::<Option<_>>()?,
    })
}

fn metrics() -> String {
    let names: Vec<_> = Metric::ALL
        .iter()
        .map(|metric| format!("`{}`", metric.as_str()))
        .collect();
    format!("write one of {}", names.join(", "))
}

fn check_statistic(section: &Section<'_>, metric: Metric, statistic: &Located<Statistic>) {
    if !metric.has(statistic.value) {
        let message = format!("the {} of `{}` says nothing", statistic.value, metric.as_str());
        let remedy = if metric == Metric::Count {
            "write `sum`"
        } else {
            "write `sum` or, for the share of requests, `average`; latencies alone have percentiles and `max`"
        };
        section.report.error(&statistic.place, "bad-statistic", message, remedy);
    }
}

fn check_length(section: &Section<'_>, key: &str, text: &Located<String>, max: usize) {
    if text.value.is_empty() || text.value.len() > max || text.value.chars().any(char::is_control) {
        let message = format!("`{}` has {} bytes", section.full(key), text.value.len());
        let remedy = format!("it has 1 to {max} bytes and no control characters");
        section.report.error(&text.place, "out-of-range", message, remedy);
    }
}

fn parsed<T: FromStr>(
    section: &Section<'_>,
    key: &'static str,
    code: &'static str,
    remedy: &str,
) -> Option<Located<T>> {
    let Located { value, place } = section.text(key)?;
    let parsed = value.parse().ok();
    if parsed.is_none() {
        let message = format!("`{value}` cannot be `{}`", section.full(key));
        section.report.error(&place, code, message, remedy);
    }
    parsed.map(|value| Located { value, place })
}

fn read_notify(section: &Section<'_>) -> Option<Notify> {
    let has_webhook = section.has("webhook");
    let endpoint = section.text("webhook").map(|url| Endpoint::read(section, url));
    let secret = section.secret("secret");
    let command = section.texts("command", WORDS_MAX);
    section.finish();
    let error = |message: &str, remedy: &str| {
        section.report.error(&section.place, "bad-notify", message, remedy);
        None
    };
    match (has_webhook, section.has("command")) {
        (true, false) => Some(Notify::Webhook {
            endpoint: Box::new(endpoint??),
            secret,
        }),
        (false, true) if section.has("secret") => error(
            "a command has no secret",
            "remove `secret`; webhooks are signed with it",
        ),
        (false, true) => {
            let words: Vec<String> = command?.into_iter().map(|word| word.value).collect();
            let is_sound = words
                .first()
                .is_some_and(|program| PathBuf::from(program).is_absolute());
            if !is_sound || words.iter().any(|word| word.contains('\0')) {
                return error(
                    "the command does not begin with a program's absolute path",
                    "write `command = [\"/usr/local/bin/page\", \"--now\"]`: no shell and no search path are used",
                );
            }
            Some(Notify::Command(words))
        }
        (true, true) | (false, false) => error(
            "a notification is either a webhook or a command",
            "write `webhook = \"https://…\"` or `command = [\"/path\"]`",
        ),
    }
}

#[cfg(test)]
mod tests;
