//! What is told of an alarm: CloudWatch's own words, so that what reads those reads these.

use portcullis_telemetry::alarm::{AlarmSpec, AlarmStatus, Metric, Statistic, Transition};
use serde_json::{Map, Value, json};

/// A change, as CloudWatch sends it to SNS.
pub(super) fn transition(transition: &Transition) -> Value {
    let Transition {
        spec,
        from,
        to,
        reason,
        at,
        is_news: _,
    } = transition;
    json!({
        "AlarmName": spec.name,
        "AlarmDescription": spec.description,
        "OldStateValue": from.as_str(),
        "NewStateValue": to.as_str(),
        "NewStateReason": reason,
        "StateChangeTime": at.to_rfc3339(),
        "Trigger": trigger(spec),
    })
}

/// How all alarms stand, as `DescribeAlarms` answers.
pub(crate) fn statuses(statuses: &[AlarmStatus]) -> Value {
    let alarm = |status: &AlarmStatus| {
        let AlarmStatus {
            spec,
            state,
            reason,
            since,
        } = status;
        let mut alarm = json!({
            "AlarmName": spec.name,
            "AlarmDescription": spec.description,
            "StateValue": state.as_str(),
            "StateReason": reason,
            "StateUpdatedTimestamp": since.map(portcullis_core::Timestamp::to_rfc3339),
        });
        if let (Some(alarm), Value::Object(trigger)) = (alarm.as_object_mut(), trigger(spec)) {
            alarm.extend(trigger);
        }
        alarm
    };
    json!({ "MetricAlarms": statuses.iter().map(alarm).collect::<Vec<_>>() })
}

fn trigger(spec: &AlarmSpec) -> Value {
    let AlarmSpec {
        name: _,
        description: _,
        metric,
        statistic,
        scope,
        period_s,
        rule,
    } = spec;
    let dimensions: Vec<_> = [
        ("ApiName", &scope.api),
        ("Stage", &scope.stage),
        ("Route", &scope.route),
    ]
    .into_iter()
    .filter_map(|(name, value)| value.as_ref().map(|value| json!({ "name": name, "value": value })))
    .collect();
    let mut trigger = Map::new();
    trigger.insert("Namespace".to_owned(), "AWS/ApiGateway".into());
    trigger.insert("MetricName".to_owned(), metric.as_str().into());
    let (key, value) = match statistic {
        Statistic::Sum => ("Statistic", "Sum".to_owned()),
        Statistic::Average => ("Statistic", "Average".to_owned()),
        Statistic::Maximum => ("Statistic", "Maximum".to_owned()),
        Statistic::Percentile(_) => ("ExtendedStatistic", statistic.to_string()),
    };
    trigger.insert(key.to_owned(), value.into());
    trigger.insert("Unit".to_owned(), unit(*metric).into());
    trigger.insert("Dimensions".to_owned(), dimensions.into());
    trigger.insert("Period".to_owned(), (*period_s).into());
    trigger.insert("EvaluationPeriods".to_owned(), rule.evaluation_periods.into());
    trigger.insert("DatapointsToAlarm".to_owned(), rule.datapoints_to_alarm.into());
    trigger.insert("ComparisonOperator".to_owned(), rule.comparison.amazon_name().into());
    trigger.insert("Threshold".to_owned(), rule.threshold.into());
    trigger.insert("TreatMissingData".to_owned(), rule.missing.as_str().into());
    Value::Object(trigger)
}

fn unit(metric: Metric) -> &'static str {
    match metric {
        Metric::Latency | Metric::IntegrationLatency => "Milliseconds",
        Metric::DataProcessed => "Bytes",
        Metric::Count | Metric::Errors4xx | Metric::Errors5xx | Metric::CacheHitCount | Metric::CacheMissCount => {
            "Count"
        }
    }
}
