//! What stops a benchmark: it is a sentence for the person who runs it.

use std::fmt;

/// Why there is no result.
#[derive(Debug)]
pub(crate) struct Failure(String);

/// The result of a part of the benchmark.
pub(crate) type Outcome<Value> = Result<Value, Failure>;

/// Says what was being done when something failed.
pub(crate) trait While<Value> {
    /// Turns the error into `doing: error`.
    fn doing(self, doing: impl fmt::Display) -> Outcome<Value>;
}

impl Failure {
    /// With this sentence.
    pub(crate) fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl<Value, Error: fmt::Display> While<Value> for Result<Value, Error> {
    fn doing(self, doing: impl fmt::Display) -> Outcome<Value> {
        self.map_err(|error| Failure(format!("{doing}: {error}")))
    }
}
