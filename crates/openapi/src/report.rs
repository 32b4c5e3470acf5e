//! Where the readers of this crate put their findings.

use std::fmt::Write;

use portcullis_core::{Findings, Place, suggest::closest};

/// After so many findings no more are taken: nobody reads further.
pub(crate) const FINDINGS_MAX: usize = 1_000;

/// Findings, counted and bounded.
#[derive(Debug, Default)]
pub(crate) struct Report {
    findings: Findings,
    taken: usize,
    errors: usize,
}

// === impl Report ===

impl Report {
    /// Adds an error.
    pub(crate) fn error(
        &mut self,
        place: &Place,
        code: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.errors += 1;
        if self.has_room(place) {
            self.findings.error(place.clone(), code, message, remedy);
        }
    }

    /// Adds a warning.
    pub(crate) fn warn(
        &mut self,
        place: &Place,
        code: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        if self.has_room(place) {
            self.findings.warn(place.clone(), code, message, remedy);
        }
    }

    /// How many errors there were; a reader that compares before and after knows whether its part is sound.
    pub(crate) fn errors(&self) -> usize {
        self.errors
    }

    /// Whether no more findings are taken, so that none need be made.
    pub(crate) fn is_full(&self) -> bool {
        self.taken >= FINDINGS_MAX
    }

    /// All of them, by place.
    pub(crate) fn into_findings(self) -> Findings {
        self.findings.sorted()
    }

    /// The last one taken is an error that says so, lest a cut list look like a sound document.
    fn has_room(&mut self, place: &Place) -> bool {
        self.taken += 1;
        if self.taken == FINDINGS_MAX {
            self.errors += 1;
            let message = format!("there are more than {FINDINGS_MAX} findings");
            self.findings
                .error(place.clone(), "too-many-findings", message, "mend these first");
        }
        self.taken < FINDINGS_MAX
    }
}

/// A foreign name for a message: on one line, without control characters, not endless.
pub(crate) fn quote(text: &str) -> String {
    const CHARACTERS_MAX: usize = 100;
    let mut quoted = String::new();
    for (index, character) in text.chars().enumerate() {
        if index == CHARACTERS_MAX {
            quoted.push('…');
            break;
        }
        if character.is_control() || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            let _ = write!(quoted, "{}", character.escape_unicode());
        } else {
            quoted.push(character);
        }
    }
    quoted
}

/// Names for a message: the first ten, and how many more.
pub(crate) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const NAMES_MAX: usize = 10;
    let names: Vec<_> = names.into_iter().collect();
    let mut text = names
        .iter()
        .take(NAMES_MAX)
        .map(|name| quote(name))
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > NAMES_MAX {
        let _ = write!(text, " and {} more", names.len() - NAMES_MAX);
    }
    text
}

/// A remedy for a misspelt name: the nearest, or what there is.
pub(crate) fn did_you_mean(name: &str, known: &[&str]) -> String {
    match closest(name, known.iter().copied()) {
        Some(candidate) => format!("did you mean `{candidate}`?"),
        None => format!("known are {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_forgives_a_slip_and_no_more() {
        let known = ["security", "authorizerUri", "uri"];
        let check = |name, expected| assert_eq!(closest(name, known), expected, "{name}");
        check("securty", Some("security"));
        check("Security", Some("security"));
        check("secuirty", Some("security"));
        check("authoriserUri", Some("authorizerUri"));
        check("ur", Some("uri"));
        check("nickname", None);
        check(&"x".repeat(1_000_000), None);
    }

    #[test]
    fn a_quotation_stays_on_one_short_line() {
        assert_eq!(quote("a\nb\u{202e}"), "a\\u{a}b\\u{202e}");
        assert_eq!(quote(&"x".repeat(200)).chars().count(), 101);
        assert_eq!(quote("/pets/{id}"), "/pets/{id}");
    }

    #[test]
    fn findings_end_with_an_error_that_says_so() {
        let mut report = Report::default();
        for line in 0..5_000 {
            report.warn(&Place::new("a".into(), line, 1), "w", "m", "");
        }
        assert_eq!(report.errors(), 1);
        let findings = report.into_findings();
        assert_eq!(findings.iter().count(), FINDINGS_MAX);
        assert!(findings.has_errors());
    }
}
