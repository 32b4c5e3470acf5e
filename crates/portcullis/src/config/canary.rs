//! `deployment` and `canary` of a stage.

use portcullis_openapi::document::Located;
use portcullis_store::{Canary, RollbackRule};

use super::{section::Section, stage::read_variables};

/// The largest number of a deployment.
const NUMBER_MAX: u64 = 4_294_967_295;
/// How far back may be looked, in seconds: an hour.
const WINDOW_S_MAX: u64 = 3_600;
/// How far back is looked when nothing else is said, in seconds.
pub(crate) const WINDOW_S: u64 = 60;
/// How many requests it takes to judge when nothing else is said.
pub(crate) const REQUESTS_MIN: u64 = 100;
/// The longest latency that can be asked for, in milliseconds: what the histogram tells apart.
pub(crate) const LATENCY_MS_MAX: u64 = 30_000;

/// The number of a deployment.
pub(super) fn read_deployment(section: &Section<'_>) -> Option<Located<u32>> {
    let found = section.integer("deployment", 1..=NUMBER_MAX)?;
    Some(Located {
        value: u32::try_from(found.value).ok()?,
        place: found.place,
    })
}

pub(super) fn read(section: &Section<'_>) -> Option<Located<Canary>> {
    let table = section.table("canary")?;
    let percent = table.required("percent", |key| table.number(key, 0.0..=100.0));
    let deployment = table.required("deployment", |_| read_deployment(&table));
    let variables = table
        .table("variables")
        .map(|table| read_variables(&table))
        .unwrap_or_default();
    let use_stage_cache = table.flag("use_stage_cache").is_some_and(|flag| flag.value);
    let rollback = table.table("rollback").map(|table| read_rollback(&table));
    table.finish();
    Some(Located {
        value: Canary {
            deployment: deployment?.value,
            percent: percent?.value,
            variables: variables.into_iter().map(|(name, value)| (name, value.value)).collect(),
            use_stage_cache,
            rollback,
        },
        place: table.place,
    })
}

fn read_rollback(table: &Section<'_>) -> RollbackRule {
    let error_percent_max = table.number("error_percent_max", 0.0..=100.0);
    let latency_p99_ms_max = table.integer("latency_p99_ms_max", 1..=LATENCY_MS_MAX);
    let requests_min = table.integer("requests_min", 1..=1_000_000_000);
    let window_s = table.integer("window_s", 1..=WINDOW_S_MAX);
    table.finish();
    if !table.has("error_percent_max") && !table.has("latency_p99_ms_max") {
        table.report.error(
            &table.place,
            "rollback-without-threshold",
            "this canary would never be rolled back",
            "add `error_percent_max`, `latency_p99_ms_max` or both, or remove `rollback`",
        );
    }
    RollbackRule {
        error_percent_max: error_percent_max.map(|found| found.value),
        latency_p99_ms_max: latency_p99_ms_max.map(|found| found.value),
        requests_min: requests_min.map_or(REQUESTS_MIN, |found| found.value),
        window_s: window_s.map_or(WINDOW_S, |found| found.value),
    }
}
