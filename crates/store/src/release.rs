//! What was decided about stages by command: where each points to, and its canary.

use std::collections::BTreeMap;

use portcullis_core::Timestamp;

/// What was decided about every stage, by API and stage. A stage that is not here was left to the configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Releases(BTreeMap<(String, String), Release>);

/// What was decided about one stage.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Release {
    /// The deployment that it serves; `None` for its document as it stands.
    pub deployment: Option<u32>,
    /// Variables that a promoted canary brought; they come before those of the configuration.
    pub variables: BTreeMap<String, String>,
    /// Its canary.
    pub canary: Option<Canary>,
    /// Its canary was rolled back.
    pub stopped: Option<Stopped>,
}

/// A deployment that a part of a stage's requests goes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Canary {
    /// The deployment.
    pub deployment: u32,
    /// The part of the requests, from 0 to 100.
    pub percent: f64,
    /// Variables that come before those of the stage.
    pub variables: BTreeMap<String, String>,
    /// Whether it shares the stage's response cache; else it has its own.
    pub use_stage_cache: bool,
    /// When it is rolled back without anyone's word.
    pub rollback: Option<RollbackRule>,
}

/// When a canary is rolled back.
#[derive(Clone, Debug, PartialEq)]
pub struct RollbackRule {
    /// The part of its answers that may be 5XX, from 0 to 100.
    pub error_percent_max: Option<f64>,
    /// How long 99 of 100 of its requests may take, in milliseconds.
    pub latency_p99_ms_max: Option<u64>,
    /// How many requests it takes to judge; fewer say nothing.
    pub requests_min: u64,
    /// How far back is looked, in seconds.
    pub window_s: u64,
}

/// A canary that was rolled back: it gets no request until someone says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// The canary's deployment: another one begins anew.
    pub deployment: u32,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

// === impl Releases ===

impl Releases {
    /// What was decided about a stage.
    pub fn of(&self, api: &str, stage: &str) -> Option<&Release> {
        self.0.get(&(api.to_owned(), stage.to_owned()))
    }

    /// The same to change; begins as nothing.
    pub fn of_mut(&mut self, api: &str, stage: &str) -> &mut Release {
        self.0.entry((api.to_owned(), stage.to_owned())).or_default()
    }

    /// Leaves a stage to the configuration again.
    pub fn remove(&mut self, api: &str, stage: &str) -> Option<Release> {
        self.0.remove(&(api.to_owned(), stage.to_owned()))
    }

    /// All of them: API, stage, decision.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &Release)> {
        self.0
            .iter()
            .map(|((api, stage), release)| (api.as_str(), stage.as_str(), release))
    }

    /// Whether a stage or a canary points to a deployment.
    pub fn points_to(&self, api: &str, number: u32) -> bool {
        self.iter()
            .any(|(of, _, release)| of == api && release.numbers().any(|used| used == number))
    }

    pub(crate) fn from_parts(parts: impl IntoIterator<Item = ((String, String), Release)>) -> Self {
        Self(parts.into_iter().collect())
    }
}

// === impl Release ===

impl Release {
    /// The deployments that it points to.
    pub fn numbers(&self) -> impl Iterator<Item = u32> {
        let canary = self.canary.as_ref().map(|canary| canary.deployment);
        self.deployment.into_iter().chain(canary)
    }
}
