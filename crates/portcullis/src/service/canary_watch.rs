//! Canaries that do worse than they may, seen on their own metrics.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use portcullis_model::{Snapshot, canary::RollbackRule, snapshot::Stage};
use portcullis_telemetry::{Metrics, RouteTotal};

/// Readings that are kept of one canary at most: they are as far apart as that demands.
const READINGS_MAX: u32 = 120;

/// What was counted of the canaries that have a rule.
#[derive(Debug, Default)]
pub(super) struct CanaryWatch {
    watched: BTreeMap<(Box<str>, Box<str>), Watched>,
}

/// A canary that is to be rolled back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Breach {
    pub(super) api: Box<str>,
    pub(super) stage: Box<str>,
    /// What it did, and what it may.
    pub(super) reason: String,
}

/// What was counted of one canary.
#[derive(Debug, Default)]
struct Watched {
    deployment: Option<u32>,
    /// The oldest first; the first is as old as the window, or the beginning.
    readings: VecDeque<(Instant, RouteTotal)>,
}

// === impl CanaryWatch ===

impl CanaryWatch {
    /// Looks at every canary that gets requests and has a rule.
    pub(super) fn look(&mut self, now: Instant, snapshot: &Snapshot, metrics: &Metrics) -> Vec<Breach> {
        let mut breaches = Vec::new();
        let mut before = std::mem::take(&mut self.watched);
        let mut routes = None;
        for stage in &snapshot.stages {
            let Some((canary, rule)) = under_rule(stage, snapshot) else {
                continue;
            };
            let name = (stage.api.clone(), stage.name.clone());
            // One that comes back begins anew: what it did before it was rolled back is not held against it.
            let known = before.remove(&name);
            let known = known.filter(|watched| watched.deployment == canary.deployment);
            let mut watched = known.unwrap_or_else(|| Watched {
                deployment: canary.deployment,
                ..Watched::default()
            });
            let label = canary.label();
            let routes = routes.get_or_insert_with(|| metrics.routes());
            let mut total = RouteTotal::default();
            let own = routes
                .iter()
                .filter(|(key, _)| key.api == canary.api && *key.stage == *label);
            own.for_each(|(_, of_route)| total.add(of_route));
            if let Some(reason) = judge(rule, &watched.read(now, total, rule.window)) {
                let (api, stage) = name.clone();
                breaches.push(Breach { api, stage, reason });
            }
            self.watched.insert(name, watched);
        }
        breaches
    }
}

// === impl Watched ===

impl Watched {
    /// Adds a reading, and gives back what was counted within the window.
    fn read(&mut self, now: Instant, total: RouteTotal, window: Duration) -> RouteTotal {
        let age = |at: Instant| now.saturating_duration_since(at);
        while self.readings.get(1).is_some_and(|(at, _)| age(*at) >= window) {
            self.readings.pop_front();
        }
        let counted = match self.readings.front() {
            Some((_, earlier)) => total.since(earlier),
            None => RouteTotal::default(),
        };
        let is_due = |(at, _): &(Instant, RouteTotal)| age(*at) >= window / READINGS_MAX;
        if self.readings.back().is_none_or(is_due) {
            self.readings.push_back((now, total));
        }
        counted
    }
}

/// A stage's canary and its rule, when it gets requests and has one.
fn under_rule<'s>(stage: &'s Stage, snapshot: &'s Snapshot) -> Option<(&'s Stage, &'s RollbackRule)> {
    let canary = stage.canary.as_ref().filter(|canary| !canary.share.is_none())?;
    Some((snapshot.stages.get(canary.index)?, canary.rollback.as_ref()?))
}

/// Why a canary is to be rolled back, if it is.
fn judge(rule: &RollbackRule, counted: &RouteTotal) -> Option<String> {
    let count = counted.count();
    if count == 0 || count < rule.requests_min {
        return None;
    }
    let window = rule.window.as_secs();
    let errors = 100.0 * counted.errors_5xx as f64 / count as f64;
    if let Some(max) = rule.error_percent_max.filter(|max| errors > *max) {
        return Some(format!(
            "{errors:.2} % of its last {count} answers within {window} s were 5XX, and {max} % may be"
        ));
    }
    let slowest = Duration::from_secs_f64(counted.latency.percentile(99.0)?);
    let max = rule.latency_p99_max.filter(|max| slowest > *max)?;
    Some(format!(
        "99 of 100 of its last {count} requests within {window} s took up to {} ms, and {} ms are allowed",
        slowest.as_millis(),
        max.as_millis()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_telemetry::RouteKey;

    fn rule(error_percent_max: Option<f64>, latency_ms: Option<u64>) -> RollbackRule {
        RollbackRule {
            error_percent_max,
            latency_p99_max: latency_ms.map(Duration::from_millis),
            requests_min: 10,
            window: Duration::from_secs(60),
        }
    }

    /// What is counted of so many good, bad and slow requests.
    fn counted(good: u32, bad: u32, slow: u32) -> RouteTotal {
        let metrics = Metrics::new(1);
        let key = ["a", "TEST/Canary", "GET /"].map(Box::from);
        let [api, stage, route] = key;
        let series = metrics.route(RouteKey { api, stage, route });
        (0..good).for_each(|_| series.record(0, 200, 900, None));
        (0..bad).for_each(|_| series.record(0, 502, 900, None));
        (0..slow).for_each(|_| series.record(0, 200, 400_000, None));
        series.total()
    }

    #[test]
    fn a_canary_is_judged_by_its_errors_and_its_slowest() {
        for (rule, (good, bad, slow), is_breach) in [
            (rule(Some(5.0), None), (95, 5, 0), false),
            (rule(Some(5.0), None), (94, 6, 0), true),
            (rule(Some(0.0), None), (100, 0, 0), false),
            (rule(Some(0.0), None), (99, 1, 0), true),
            (rule(Some(0.0), None), (0, 9, 0), false), // too few to judge
            (rule(Some(0.0), None), (0, 10, 0), true),
            (rule(None, Some(200)), (100, 50, 1), false),
            (rule(None, Some(200)), (100, 0, 2), true),
            (rule(None, Some(500)), (0, 0, 100), false),
            (rule(Some(1.0), Some(200)), (0, 0, 0), false),
        ] {
            let reason = judge(&rule, &counted(good, bad, slow));
            assert_eq!(reason.is_some(), is_breach, "{good} {bad} {slow}: {reason:?}");
        }
    }

    #[test]
    fn only_what_happened_within_the_window_counts() {
        let window = Duration::from_secs(60);
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut watched = Watched::default();
        assert_eq!(
            watched.read(at(0), counted(7, 0, 0), window).count(),
            0,
            "what was before it began"
        );
        assert_eq!(watched.read(at(10), counted(8, 0, 0), window).count(), 1);
        assert_eq!(watched.read(at(59), counted(9, 0, 0), window).count(), 2);
        assert_eq!(
            watched.read(at(75), counted(9, 1, 0), window).count(),
            2,
            "since the reading at 10"
        );
        assert_eq!(watched.read(at(200), counted(9, 1, 0), window).count(), 0);
        for second in 200..2_000 {
            watched.read(at(second), counted(0, 0, 0), window);
        }
        assert!(watched.readings.len() <= READINGS_MAX as usize + 1, "bounded");
    }
}
