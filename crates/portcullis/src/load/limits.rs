//! What bounds requests, from configuration to what the compiler takes.

use portcullis_core::Findings;
use portcullis_limit::Rate;
use portcullis_model::{
    ApiKeySource, KeyedSource, MethodSource, PlanSource, PlanStageSource, StageLimits, ThrottleSource,
};

use crate::config::{ApiKey, Config, KeyedThrottle, MethodSettings, Stage, Throttle};

/// A throttle, or a finding.
pub(super) fn throttle(throttle: &Throttle, findings: &mut Findings) -> Option<ThrottleSource> {
    match Rate::new(throttle.rate_per_s, throttle.burst) {
        Ok(rate) => Some(ThrottleSource {
            rate,
            shared: throttle.shared,
        }),
        Err(error) => {
            let remedy = "choose another `rate_per_s`";
            findings.error(throttle.place.clone(), "bad-throttle", error.to_string(), remedy);
            None
        }
    }
}

/// What bounds a stage's requests beside its throttle.
pub(super) fn of_stage(stage: &Stage, findings: &mut Findings) -> StageLimits {
    let method = |method: &MethodSettings, findings: &mut Findings| MethodSource {
        place: method.place.clone(),
        path: method.path.clone(),
        verb: method.verb,
        throttle: method.throttle.as_ref().and_then(|found| throttle(found, findings)),
        cache: method.cache.clone(),
    };
    StageLimits {
        methods: stage.methods.iter().map(|found| method(found, findings)).collect(),
        source: stage.source_throttle.as_ref().and_then(|found| keyed(found, findings)),
        principal: stage
            .principal_throttle
            .as_ref()
            .and_then(|found| keyed(found, findings)),
        rate_limit_headers: stage.rate_limit_headers,
    }
}

fn keyed(found: &KeyedThrottle, findings: &mut Findings) -> Option<KeyedSource> {
    let ThrottleSource { rate, shared } = throttle(&found.each, findings)?;
    Some(KeyedSource {
        rate,
        entries_max: found.entries_max,
        shared,
    })
}

/// The usage plans.
pub(super) fn plans(config: &Config, findings: &mut Findings) -> Vec<PlanSource> {
    let shared = config.redis.is_some();
    let mut plans = Vec::new();
    for plan in &config.usage_plans {
        let mut rate = |found: &Throttle| throttle(found, findings).map(|found| found.rate);
        let mut stages = Vec::new();
        for stage in &plan.stages {
            let methods = stage.methods.iter();
            stages.push(PlanStageSource {
                api: stage.api.clone(),
                stage: stage.stage.clone(),
                methods: methods
                    .filter_map(|(name, found)| Some((name.clone(), rate(found)?)))
                    .collect(),
            });
        }
        plans.push(PlanSource {
            name: plan.name.clone(),
            stages,
            throttle: plan.throttle.as_ref().and_then(rate),
            quota: plan.quota,
            shared: plan.shared && shared,
        });
    }
    plans
}

/// The API keys.
pub(super) fn keys(config: &Config) -> Vec<ApiKeySource> {
    let key = |key: &ApiKey| ApiKeySource {
        id: key.id.clone(),
        name: key.name.clone(),
        digest: key.digest.clone(),
        enabled: key.enabled,
        plans: key.plans.clone(),
    };
    config.api_keys.iter().map(key).collect()
}
