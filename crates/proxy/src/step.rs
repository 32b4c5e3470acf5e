//! The steps of the pipeline and who may watch them.

use std::fmt;

/// A step of the pipeline, in the order in which a request passes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Sizes bounded, framing and path read in one way only.
    Receive,
    /// Host and path to API and stage.
    Locate,
    /// The rate of the request's source.
    Shield,
    /// Method and path to a route.
    Route,
    /// A browser's question before a request to another origin.
    Preflight,
    /// Explicit denials of the resource policy.
    ResourcePolicy,
    /// Who is calling.
    Authenticate,
    /// Whether they may, on this request's ARN, time and address.
    Authorize,
    /// API key, usage plan, throttles and quota.
    Throttle,
    /// An answer that is kept.
    Cache,
    /// The only step with effects outside.
    Integrate,
}

/// Watches a request pass the steps (`portcullis test`). `()` watches nothing and costs nothing.
pub trait Observer: Send {
    /// A step let the request pass; `verdict` is formatted only by those who read it.
    fn passed(&mut self, step: Step, verdict: fmt::Arguments<'_>);

    /// A step refused the request.
    fn refused(&mut self, step: Step, reason: fmt::Arguments<'_>);
}

// === impl Step ===

impl Step {
    /// All of them in order.
    pub const ALL: [Self; 11] = [
        Self::Receive,
        Self::Locate,
        Self::Shield,
        Self::Route,
        Self::Preflight,
        Self::ResourcePolicy,
        Self::Authenticate,
        Self::Authorize,
        Self::Throttle,
        Self::Cache,
        Self::Integrate,
    ];

    /// Its name in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Receive => "receive",
            Self::Locate => "locate",
            Self::Shield => "shield",
            Self::Route => "route",
            Self::Preflight => "preflight",
            Self::ResourcePolicy => "resource policy",
            Self::Authenticate => "authenticate",
            Self::Authorize => "authorise",
            Self::Throttle => "throttle",
            Self::Cache => "cache",
            Self::Integrate => "integrate",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

// === impl Observer ===

impl Observer for () {
    fn passed(&mut self, _: Step, _: fmt::Arguments<'_>) {}

    fn refused(&mut self, _: Step, _: fmt::Arguments<'_>) {}
}
