//! `[[apis.stages.methods]]`: settings of some methods of a stage, and which of them a route has.

use portcullis_core::{Findings, Place, Verb, suggest::did_you_mean};
use portcullis_openapi::document::{Located, Operation};

use super::{ApiSource, StageSource, ThrottleSource, route_key};
use crate::cache::MethodCache;

/// Settings of the methods that a path and a verb select (Amazon's method settings).
#[derive(Clone, Debug)]
pub struct MethodSource {
    /// Where it is described.
    pub place: Place,
    /// A resource's path as the document writes it; `None` for every resource (`*`).
    pub path: Option<Located<String>>,
    /// Which methods of the resource.
    pub verb: MethodVerb,
    /// A throttle for each of the selected methods.
    pub throttle: Option<ThrottleSource>,
    /// Their cache, where it differs from the stage's.
    pub cache: Option<MethodCache>,
}

/// Which methods of a resource are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MethodVerb {
    /// `*`: all of them.
    Every,
    /// `ANY`: the one that stands for the verbs that have none of their own.
    Any,
    /// That of one verb.
    One(Verb),
}

/// The setting of a route: that of the most specific entry that has it. A path is more specific than `*`, then a verb; of
/// two alike the first.
pub(super) fn pick<'s, T>(
    methods: &'s [MethodSource],
    operation: &Operation,
    setting: impl Fn(&'s MethodSource) -> Option<T>,
) -> Option<T> {
    let mut best: Option<((bool, bool), T)> = None;
    for method in methods.iter().filter(|method| method.selects(operation)) {
        let rank = method.rank();
        if best.as_ref().is_none_or(|(found, _)| *found < rank)
            && let Some(value) = setting(method)
        {
            best = Some((rank, value));
        }
    }
    best.map(|(_, value)| value)
}

/// Reports entries that select nothing, which would be believed to hold, and entries given twice.
pub(super) fn check(api: &ApiSource, stage: &StageSource, findings: &mut Findings) {
    let operations = &api.document.operations;
    let methods = &stage.limits.methods;
    for (at, method) in methods.iter().enumerate() {
        let same = |other: &&MethodSource| other.path_text() == method.path_text() && other.verb == method.verb;
        if let Some(first) = methods.iter().take(at).find(same) {
            let message = format!(
                "stage `{}` has settings of {} twice; first in line {}",
                stage.name,
                method.label(),
                first.place.line
            );
            findings.error(
                method.place.clone(),
                "duplicate-method",
                message,
                "put them into one entry",
            );
        }
        if operations.iter().any(|operation| method.selects(operation)) {
            continue;
        }
        let message = format!("`{}` has no method {}", api.id, method.label());
        let paths = operations.iter().map(|operation| operation.resource.as_str());
        let remedy = match &method.path {
            Some(path) if !operations.iter().any(|operation| operation.resource == path.value) => {
                format!("write a path as the document does{}", did_you_mean(&path.value, paths))
            }
            _ => {
                let there: Vec<_> = operations
                    .iter()
                    .filter(|operation| method.path_text().is_none_or(|path| path == operation.resource))
                    .map(route_key)
                    .collect();
                format!("there is {}", there.join(", "))
            }
        };
        let place = method.path.as_ref().map_or(&method.place, |path| &path.place);
        findings.error(place.clone(), "method-unknown", message, remedy);
    }
}

// === impl MethodSource ===

impl MethodSource {
    fn selects(&self, operation: &Operation) -> bool {
        let is_path = self.path_text().is_none_or(|path| path == operation.resource);
        is_path
            && match self.verb {
                MethodVerb::Every => true,
                MethodVerb::Any => operation.verb.is_none(),
                MethodVerb::One(verb) => operation.verb == Some(verb),
            }
    }

    fn rank(&self) -> (bool, bool) {
        (self.path.is_some(), self.verb != MethodVerb::Every)
    }

    fn path_text(&self) -> Option<&str> {
        self.path.as_ref().map(|path| path.value.as_str())
    }

    fn label(&self) -> String {
        format!("`{} {}`", self.verb, self.path_text().unwrap_or("*"))
    }
}

// === impl MethodVerb ===

impl MethodVerb {
    /// From `*`, `ANY` or a verb in capital letters.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "*" => Some(Self::Every),
            "ANY" => Some(Self::Any),
            _ => Verb::parse(text).map(Self::One),
        }
    }
}

impl std::fmt::Display for MethodVerb {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Every => "*",
            Self::Any => "ANY",
            Self::One(verb) => verb.as_str(),
        })
    }
}
