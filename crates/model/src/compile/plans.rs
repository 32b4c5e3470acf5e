//! Usage plans and API keys: which key may use which stage, and how much of it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use portcullis_core::{Findings, Place};
use portcullis_limit::{Quota, QuotaSpec, Rate, Throttle};
use portcullis_openapi::document::Located;

use super::{Sources, ThrottleSource, throttle_of};
use crate::{
    limits::{Allowance, KeyDigest, Subscription},
    snapshot::{ApiKind, Snapshot, Stage},
};

/// A usage plan.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanSource {
    /// Its name.
    pub name: Located<String>,
    /// The stages that it covers.
    pub stages: Vec<PlanStageSource>,
    /// For each of its keys, over all of its stages.
    pub throttle: Option<Rate>,
    /// For each of its keys, over all of its stages.
    pub quota: Option<QuotaSpec>,
    /// Whether gateways with one Redis count together.
    pub shared: bool,
}

/// A stage that a usage plan covers.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanStageSource {
    /// The API's id.
    pub api: Located<String>,
    /// The stage's name.
    pub stage: Located<String>,
    /// Throttles of methods, for each key: `/path/VERB`.
    pub methods: Vec<(Located<String>, Rate)>,
}

/// An API key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeySource {
    /// Its id.
    pub id: Located<String>,
    /// Its name.
    pub name: String,
    /// The SHA-256 of its value.
    pub digest: Located<KeyDigest>,
    /// Whether it may be used.
    pub enabled: bool,
    /// The plans that it is in.
    pub plans: Vec<Located<String>>,
}

/// Compiles plans and keys into the stages. The allowances come back for those who report and keep them.
pub(super) fn compile(
    sources: &Sources,
    stages: &mut [Stage],
    previous: Option<&Snapshot>,
    findings: &mut Findings,
) -> Vec<Arc<Allowance>> {
    check_unique("usage plan", sources.plans.iter().map(|plan| &plan.name), findings);
    check_unique("API key", sources.keys.iter().map(|key| &key.id), findings);
    check_digests(&sources.keys, findings);
    for plan in &sources.plans {
        check_plan(plan, stages, findings);
    }
    let mut before = Before::of(previous);
    let mut allowances = Vec::new();
    for key in &sources.keys {
        let mut covered: BTreeMap<usize, &str> = BTreeMap::new();
        for name in &key.plans {
            let Some(plan) = sources.plans.iter().find(|plan| plan.name.value == name.value) else {
                let message = format!(
                    "the API key `{}` is in no usage plan `{}`: there is none",
                    key.id.value, name.value
                );
                let names = sources.plans.iter().map(|plan| plan.name.value.as_str());
                let near = portcullis_core::suggest::did_you_mean(&name.value, names);
                findings.error(
                    name.place.clone(),
                    "plan-unknown",
                    message,
                    format!("name a `[[usage_plans]]`{near}"),
                );
                continue;
            };
            let allowance = Arc::new(before.allowance(plan, key));
            for stage in &plan.stages {
                let mut indices = positions(stages, stage);
                let Some(&index) = indices.first() else { continue };
                if let Some(other) = covered.insert(index, &plan.name.value) {
                    let message = format!(
                        "the API key `{}` is in the usage plans `{other}` and `{}`, which both cover stage `{}` of `{}`",
                        key.id.value, plan.name.value, stage.stage.value, stage.api.value
                    );
                    let remedy = "take the key out of one of them: nobody could say which figures hold";
                    findings.error(name.place.clone(), "key-in-two-plans", message, remedy);
                    continue;
                }
                // A stage and its canary are one to a plan.
                indices.retain(|_| key.enabled);
                for index in indices {
                    subscribe(&mut stages[index], plan, stage, key, &allowance, &mut before);
                }
            }
            allowances.push(allowance);
        }
        if key.plans.is_empty() {
            let message = format!(
                "the API key `{}` is in no usage plan, so that it opens nothing",
                key.id.value
            );
            findings.warn(key.id.place.clone(), "key-without-plan", message, "name its `plans`");
        }
    }
    allowances
}

fn subscribe(
    stage: &mut Stage,
    plan: &PlanSource,
    covered: &PlanStageSource,
    key: &ApiKeySource,
    allowance: &Arc<Allowance>,
    before: &mut Before<'_>,
) {
    let mut method = |route: &crate::snapshot::Route| {
        let wanted = plan_key(route);
        let (_, rate) = covered.methods.iter().find(|(name, _)| name.value == wanted)?;
        let old = before.method(stage, &plan.name.value, &key.id.value, &route.key);
        let source = ThrottleSource {
            rate: *rate,
            shared: plan.shared,
        };
        let (plan, key) = (&plan.name.value, &key.id.value);
        let name = format!("plan:{plan}:{key}:{}/{} {}", stage.api, stage.name, route.key);
        let old = before.made.get(&name).or(old);
        let throttle = throttle_of(source, || name.clone(), old);
        before.made.insert(name, Arc::clone(&throttle));
        Some(throttle)
    };
    let methods = stage.routes.iter().map(&mut method).collect();
    stage.limits.subscriptions.add(
        key.digest.value,
        Subscription {
            key_id: key.id.value.as_str().into(),
            allowance: Arc::clone(allowance),
            methods,
        },
    );
}

/// `/path/VERB`, as a usage plan names a method.
fn plan_key(route: &crate::snapshot::Route) -> String {
    let path = route.resource.trim_end_matches('/');
    format!("{path}/{}", route.verb.map_or("ANY", |verb| verb.as_str()))
}

/// The stage, and its canary behind it.
fn positions(stages: &[Stage], wanted: &PlanStageSource) -> Vec<usize> {
    let same = |stage: &Stage| *stage.api == *wanted.api.value && *stage.name == *wanted.stage.value;
    (0..stages.len()).filter(|index| same(&stages[*index])).collect()
}

fn check_plan(plan: &PlanSource, stages: &[Stage], findings: &mut Findings) {
    for covered in &plan.stages {
        let Some(stage) = positions(stages, covered).first().map(|index| &stages[*index]) else {
            continue; // the configuration or the document has an error, and that is said
        };
        if stage.kind == ApiKind::Http {
            let message = format!(
                "`{}` is an HTTP API, which has no API keys and so no usage plans",
                covered.api.value
            );
            let remedy = "take it out of the plan, or serve it with `kind = \"rest\"`";
            findings.error(covered.api.place.clone(), "plan-http-api", message, remedy);
            continue;
        }
        let names: Vec<_> = stage.routes.iter().map(plan_key).collect();
        for (name, _) in covered.methods.iter().filter(|(name, _)| !names.contains(&name.value)) {
            let message = format!("`{}` has no method `{}`", covered.api.value, name.value);
            let near = portcullis_core::suggest::did_you_mean(&name.value, names.iter().map(String::as_str));
            let remedy = format!("write the path as the document does, a slash and the verb{near}");
            findings.error(name.place.clone(), "method-unknown", message, remedy);
        }
        if !stage.routes.iter().any(|route| route.api_key.is_some()) {
            let message = format!(
                "the usage plan `{}` covers stage `{}` of `{}`, where no method demands an API key",
                plan.name.value, stage.name, stage.api
            );
            let remedy = "add an API key scheme to the `security` of the document's operations";
            findings.warn(covered.api.place.clone(), "plan-without-keys", message, remedy);
        }
    }
}

fn check_unique<'s>(noun: &str, names: impl Iterator<Item = &'s Located<String>>, findings: &mut Findings) {
    let mut taken: HashMap<&str, &Place> = HashMap::new();
    for name in names {
        if let Some(first) = taken.insert(&name.value, &name.place) {
            let message = format!(
                "the {noun} `{}` is there twice; first in line {}",
                name.value, first.line
            );
            findings.error(
                name.place.clone(),
                "duplicate-name",
                message,
                "rename or remove one of them",
            );
        }
    }
}

fn check_digests(keys: &[ApiKeySource], findings: &mut Findings) {
    let mut taken: HashMap<&KeyDigest, &ApiKeySource> = HashMap::new();
    for key in keys {
        if let Some(first) = taken.insert(&key.digest.value, key) {
            let message = format!(
                "the API keys `{}` and `{}` have the same value",
                first.id.value, key.id.value
            );
            let remedy = "`portcullis key generate` makes another one";
            findings.error(key.digest.place.clone(), "duplicate-key", message, remedy);
        }
    }
}

/// What the snapshot before counted.
struct Before<'p> {
    allowances: HashMap<(&'p str, &'p str), &'p Arc<Allowance>>,
    previous: Option<&'p Snapshot>,
    /// Throttles of methods by name, made for a stage and taken over by its canary.
    made: HashMap<String, Arc<Throttle>>,
}

// === impl Before ===

impl<'p> Before<'p> {
    fn of(previous: Option<&'p Snapshot>) -> Self {
        let all = previous.into_iter().flat_map(|snapshot| &snapshot.allowances);
        Self {
            allowances: all
                .map(|allowance| ((&*allowance.plan, &*allowance.key_id), allowance))
                .collect(),
            previous,
            made: HashMap::new(),
        }
    }

    /// The throttle that a plan gave a key for a route.
    fn method(&self, stage: &Stage, plan: &str, key: &str, route: &str) -> Option<&'p Arc<Throttle>> {
        let mut stages = self.previous.into_iter().flat_map(|snapshot| &snapshot.stages);
        let before = stages.find(|before| before.api == stage.api && before.name == stage.name)?;
        let subscription = before.limits.subscriptions.with_id(key)?;
        let index = before.routes.iter().position(|before| &*before.key == route)?;
        let throttle = subscription.methods.get(index)?.as_ref();
        throttle.filter(|_| *subscription.allowance.plan == *plan)
    }

    fn allowance(&self, plan: &PlanSource, key: &ApiKeySource) -> Allowance {
        let (plan_name, key_id) = (plan.name.value.as_str(), key.id.value.as_str());
        let old = self.allowances.get(&(plan_name, key_id));
        let name = || format!("plan:{plan_name}:{key_id}");
        let throttle = plan.throttle.map(|rate| {
            let source = ThrottleSource {
                rate,
                shared: plan.shared,
            };
            throttle_of(source, name, old.and_then(|old| old.throttle.as_ref()))
        });
        let quota = plan.quota.map(|spec| {
            let shared: Option<Box<str>> = plan.shared.then(|| format!("quota:{plan_name}:{key_id}").into());
            let old = old.and_then(|old| old.quota.as_ref());
            match old.filter(|old| old.spec() == spec && old.shared() == shared.as_deref()) {
                Some(old) => Arc::clone(old),
                None => renewed(spec, shared, old),
            }
        });
        Allowance {
            plan: plan_name.into(),
            key_id: key_id.into(),
            key_name: key.name.as_str().into(),
            throttle,
            quota,
        }
    }
}

/// A quota of other figures: what was used of the same period stays used.
fn renewed(spec: QuotaSpec, shared: Option<Box<str>>, old: Option<&Arc<Quota>>) -> Arc<Quota> {
    let quota = Quota::new(spec, shared);
    if let Some(old) = old.filter(|old| old.spec().period == spec.period) {
        quota.learn(old.counted());
    }
    Arc::new(quota)
}
