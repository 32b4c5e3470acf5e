//! One statement, compiled.

use crate::{
    Action, Context, Request,
    condition::{Condition, first_match},
    glob::Glob,
    pattern::{Match, Pattern},
};

/// What a statement that applies does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allow,
    Deny,
}

/// A statement: it applies when its actions, resources and all of its conditions do.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) sid: Option<Box<str>>,
    pub(crate) verdict: Verdict,
    pub(crate) actions: Actions,
    pub(crate) resources: Resources,
    pub(crate) conditions: Box<[Condition]>,
}

/// `Action` or `NotAction`. As there are two actions, which of them are meant is known when the document is read.
#[derive(Debug)]
pub(crate) struct Actions {
    pub(crate) negated: bool,
    /// As written.
    pub(crate) names: Box<[Box<str>]>,
    /// Whether the statement is about them.
    pub(crate) invoke: bool,
    pub(crate) invalidate_cache: bool,
}

/// `Resource` or `NotResource`.
#[derive(Debug)]
pub(crate) struct Resources {
    pub(crate) negated: bool,
    pub(crate) patterns: Box<[Pattern]>,
}

// === impl Statement ===

impl Statement {
    #[inline]
    pub(crate) fn applies(&self, request: &Request<'_>) -> bool {
        self.actions.covers(request.action)
            && self.resources.covers(request.resource, request.context, self.verdict)
            && self
                .conditions
                .iter()
                .all(|condition| condition.holds(request.context, self.verdict))
    }
}

// === impl Actions ===

impl Actions {
    /// Action names are not case-sensitive.
    pub(crate) fn new(negated: bool, names: Box<[Box<str>]>) -> Self {
        let globs: Vec<Glob> = names
            .iter()
            .map(|name| Glob::parse(&name.to_ascii_lowercase()))
            .collect();
        let covers = |action: &str| globs.iter().any(|glob| glob.matches(action)) != negated;
        let (invoke, invalidate_cache) = (covers("execute-api:invoke"), covers("execute-api:invalidatecache"));
        Self {
            negated,
            names,
            invoke,
            invalidate_cache,
        }
    }

    fn covers(&self, action: Action) -> bool {
        match action {
            Action::Invoke => self.invoke,
            Action::InvalidateCache => self.invalidate_cache,
        }
    }
}

// === impl Resources ===

impl Resources {
    #[inline]
    fn covers(&self, resource: &str, context: &Context<'_>, verdict: Verdict) -> bool {
        let matched = match first_match(self.patterns.iter().map(|pattern| pattern.matches(resource, context))) {
            Match::Yes => true,
            Match::No => false,
            // As in conditions: what cannot be resolved must not allow everything but itself.
            Match::Unresolved => self.negated && verdict == Verdict::Allow,
        };
        matched != self.negated
    }
}
