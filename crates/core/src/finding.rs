//! Findings: what is wrong with a document or a setting, where, and how to mend it.
//!
//! Readers collect findings and go on, so that a person sees all of them at once.

use std::{fmt, sync::Arc};

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// It works, but is probably not what its author wants.
    Warning,
    /// It cannot be honoured; nothing is served from it.
    Error,
}

/// Where something stands in a source text.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The file's name as its reader gave it (`proxy.yaml`, `--secret`, `<stdin>`).
    pub source: Arc<str>,
    /// The line from 1; 0 when the place is the source as a whole.
    pub line: u32,
    /// The column in characters from 1; 0 when unknown.
    pub column: u32,
}

/// One thing that is wrong or doubtful.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Where it stands.
    pub place: Place,
    /// How much it weighs.
    pub severity: Severity,
    /// A stable name in kebab-case for scripts (`unknown-extension`).
    pub code: &'static str,
    /// What is wrong, with the route it concerns where there is one. Never holds a secret's value.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

/// Findings in the order in which they were made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings(Vec<Finding>);

// === impl Place ===

impl Place {
    /// A place in `source` at a line and column that count from 1.
    pub fn new(source: Arc<str>, line: u32, column: u32) -> Self {
        Self { source, line, column }
    }

    /// The source as a whole.
    pub fn whole(source: impl Into<Arc<str>>) -> Self {
        Self {
            source: source.into(),
            line: 0,
            column: 0,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, line, column } = self;
        match (line, column) {
            (0, _) => formatter.write_str(source),
            (_, 0) => write!(formatter, "{source}:{line}"),
            _ => write!(formatter, "{source}:{line}:{column}"),
        }
    }
}

// === impl Finding ===

impl fmt::Display for Finding {
    /// `proxy.yaml:12:5: error: message [code]` and, on a second line, the remedy.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            place,
            severity,
            code,
            message,
            remedy,
        } = self;
        write!(formatter, "{place}: {severity}: {message} [{code}]")?;
        if remedy.is_empty() {
            Ok(())
        } else {
            write!(formatter, "\n    {remedy}")
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

// === impl Findings ===

impl Findings {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an error.
    pub fn error(&mut self, place: Place, code: &'static str, message: impl Into<String>, remedy: impl Into<String>) {
        let (message, remedy) = (message.into(), remedy.into());
        self.0.push(Finding {
            place,
            severity: Severity::Error,
            code,
            message,
            remedy,
        });
    }

    /// Adds a warning.
    pub fn warn(&mut self, place: Place, code: &'static str, message: impl Into<String>, remedy: impl Into<String>) {
        let (message, remedy) = (message.into(), remedy.into());
        self.0.push(Finding {
            place,
            severity: Severity::Warning,
            code,
            message,
            remedy,
        });
    }

    /// Adds all of `other`.
    pub fn extend(&mut self, other: Findings) {
        self.0.extend(other.0);
    }

    /// Whether one of them is an error.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// Whether there are none at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In the order in which they were made.
    pub fn iter(&self) -> std::slice::Iter<'_, Finding> {
        self.0.iter()
    }

    /// Sorted by place, each once.
    pub fn sorted(mut self) -> Self {
        self.0.sort();
        self.0.dedup();
        self
    }
}

impl<'a> IntoIterator for &'a Findings {
    type Item = &'a Finding;
    type IntoIter = std::slice::Iter<'a, Finding>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_place_message_and_remedy() {
        let mut findings = Findings::new();
        findings.error(
            Place::new("a.yaml".into(), 3, 7),
            "unknown-key",
            "`foo` is unknown",
            "did you mean `bar`?",
        );
        findings.warn(Place::whole("a.yaml"), "logging-off", "no access log", "");
        assert!(findings.has_errors());
        let text: Vec<_> = findings.sorted().iter().map(ToString::to_string).collect();
        assert_eq!(
            text,
            [
                "a.yaml: warning: no access log [logging-off]",
                "a.yaml:3:7: error: `foo` is unknown [unknown-key]\n    did you mean `bar`?"
            ]
        );
    }
}
