//! Findings on the screen: for people with an excerpt of the source, for scripts as JSON.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{self, IsTerminal, Write as _},
    sync::Arc,
};

use portcullis_core::{Finding, Findings, Severity, suggest::closest};
use serde_json::json;

/// How many characters of a line an excerpt shows at most.
const EXCERPT_CHARS_MAX: usize = 100;
/// A line that has one of these before its caret is not shown: what follows may be the secret itself.
const SENSITIVE: [&str; 7] = [
    "authorization",
    "credential",
    "key",
    "passphrase",
    "password",
    "secret",
    "token",
];

/// The texts that findings are about, by the name that their places give.
#[derive(Debug, Default)]
pub(crate) struct Sources(BTreeMap<Arc<str>, String>);

/// How findings are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// One JSON object on standard output.
    Json,
    /// Text on standard error, with excerpts when that is a terminal.
    Text,
}

/// How many findings there were of each weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Errors.
    pub(crate) errors: usize,
    /// Warnings.
    pub(crate) warnings: usize,
}

// === impl Sources ===

impl Sources {
    /// Keeps a text for excerpts.
    pub(crate) fn keep(&mut self, name: impl Into<Arc<str>>, text: String) {
        self.0.insert(name.into(), text);
    }

    /// The text of a name.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// Prints all findings by place, each once, and says how many there were.
pub(crate) fn print(findings: Findings, sources: &Sources, form: Form) -> Tally {
    let findings = findings.sorted();
    let of = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let tally = Tally {
        errors: of(Severity::Error),
        warnings: of(Severity::Warning),
    };
    match form {
        Form::Json => write(&mut io::stdout().lock(), &format!("{}\n", as_json(&findings, tally))),
        Form::Text => write(
            &mut io::stderr().lock(),
            &as_text(&findings, sources, io::stderr().is_terminal()),
        ),
    }
    tally
}

/// Writes a whole answer; a reader who went away early is not our failure.
pub(crate) fn write(out: &mut dyn io::Write, text: &str) {
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Prints a line of an answer on standard output.
pub(crate) fn answer(line: &str) {
    write(&mut io::stdout().lock(), &format!("{line}\n"));
}

/// Prints a note beside an answer on standard error.
pub(crate) fn note(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// `did you mean …?` with the nearest of what is known, or all of it when nothing is near; empty when nothing is known.
pub(crate) fn did_you_mean(written: &str, known: &[&str]) -> String {
    match closest(written, known.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None if known.is_empty() => String::new(),
        None => {
            let names: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
            format!("known here: {}", names.join(", "))
        }
    }
}

/// `1 error`, `2 errors`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

fn as_json(findings: &Findings, tally: Tally) -> String {
    let finding = |finding: &Finding| {
        let Finding {
            place,
            severity,
            code,
            message,
            remedy,
        } = finding;
        json!({
            "severity": severity.to_string(),
            "code": code,
            "file": &*place.source,
            "line": place.line,
            "column": place.column,
            "message": message,
            "remedy": remedy,
        })
    };
    let findings: Vec<_> = findings.iter().map(finding).collect();
    format!(
        "{:#}",
        json!({"findings": findings, "errors": tally.errors, "warnings": tally.warnings})
    )
}

fn as_text(findings: &Findings, sources: &Sources, has_excerpts: bool) -> String {
    let mut text = String::new();
    for finding in findings {
        let whole = printable(&finding.to_string());
        let (head, remedy) = whole
            .split_once('\n')
            .map_or((whole.as_str(), None), |(head, remedy)| (head, Some(remedy)));
        let _ = writeln!(text, "{head}"); // writing to a String cannot fail
        if let Some(excerpt) = has_excerpts.then(|| excerpt(finding, sources)).flatten() {
            text.push_str(&excerpt);
        }
        if let Some(remedy) = remedy {
            let _ = writeln!(text, "{remedy}");
        }
    }
    text
}

/// The line up to the word in question, and a caret below that. Never what stands behind it, and nothing at all where a
/// secret may stand.
fn excerpt(finding: &Finding, sources: &Sources) -> Option<String> {
    let place = &finding.place;
    let line = sources
        .text(&place.source)?
        .lines()
        .nth(usize::try_from(place.line).ok()?.checked_sub(1)?)?;
    let at = usize::try_from(place.column).ok()?.checked_sub(1)?;
    let before: String = line.chars().take(at).collect();
    let lower = before.to_lowercase();
    if finding.code.contains("secret") || SENSITIVE.iter().any(|word| lower.contains(word)) {
        return None;
    }
    let mut rest = line.chars().skip(at).peekable();
    let quote = rest.next_if(|character| matches!(character, '"' | '\''));
    let word: String = quote
        .into_iter()
        .chain(rest.take_while(|character| is_word(*character)))
        .collect();
    let skipped = before.chars().count().saturating_sub(EXCERPT_CHARS_MAX);
    let shown: String = before
        .chars()
        .skip(skipped)
        .chain(word.chars().take(EXCERPT_CHARS_MAX))
        .collect();
    let indent: String = before
        .chars()
        .skip(skipped)
        .map(|character| if character == '\t' { '\t' } else { ' ' })
        .collect();
    let caret = "^".repeat(word.chars().count().clamp(1, EXCERPT_CHARS_MAX));
    Some(printable(&format!("    | {shown}\n    | {indent}{caret}\n")))
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '-' | '.' | '$' | '/')
}

/// Without what a terminal would obey: a hostile document must not move the cursor of whoever checks it.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|character| {
            if character.is_control() && !matches!(character, '\n' | '\t') {
                '\u{fffd}'
            } else {
                character
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use portcullis_core::Place;

    use super::*;

    fn finding(line: u32, column: u32, code: &'static str) -> Findings {
        let mut findings = Findings::new();
        findings.error(Place::new("a.toml".into(), line, column), code, "wrong", "mend it");
        findings
    }

    fn sources(text: &str) -> Sources {
        let mut sources = Sources::default();
        sources.keep("a.toml", text.to_owned());
        sources
    }

    #[test]
    fn points_at_the_word() {
        let text = as_text(
            &finding(2, 8, "bad-kind"),
            &sources("x = 1\nkind = \"rset\" # behind\n"),
            true,
        );
        assert_eq!(
            text,
            "a.toml:2:8: error: wrong [bad-kind]\n    | kind = \"rset\n    |        ^^^^^\n    mend it\n"
        );
    }

    #[test]
    fn an_excerpt_never_shows_what_may_be_secret() {
        for (line, column, code) in [
            ("secret: hunter2", 9, "bad-value"),
            ("secert: hunter2", 1, "unknown-key"),
            ("{\"Password\": \"hunter2\"}", 14, "bad-value"),
            ("value: hunter2", 8, "secret-in-document"),
        ] {
            let text = as_text(&finding(1, column, code), &sources(line), true);
            assert!(!text.contains("hunter2"), "{text}");
            assert!(text.contains("mend it"), "{text}");
        }
    }

    #[test]
    fn places_outside_the_text_have_no_excerpt() {
        for (line, column) in [(0, 0), (9, 1), (1, 0)] {
            let text = as_text(&finding(line, column, "x"), &sources("a = 1\n"), true);
            assert!(!text.contains('|'), "{text}");
        }
    }

    #[test]
    fn control_characters_are_not_obeyed() {
        let mut findings = Findings::new();
        findings.error(Place::whole("a\u{1b}[2J"), "x", "\u{9b}m", "");
        assert_eq!(
            as_text(&findings, &Sources::default(), true),
            "a\u{fffd}[2J: error: \u{fffd}m [x]\n"
        );
    }

    #[test]
    fn json_has_all_fields() {
        let json = as_json(&finding(2, 8, "bad-kind"), Tally { errors: 1, warnings: 0 });
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        let expected = json!({
            "findings": [{
                "severity": "error", "code": "bad-kind", "file": "a.toml", "line": 2, "column": 8, "message": "wrong", "remedy": "mend it"
            }],
            "errors": 1, "warnings": 0
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn suggests_what_is_near_and_lists_what_is_not() {
        let known = ["mount", "name", "variables"];
        assert_eq!(did_you_mean("muont", &known), "did you mean `mount`?");
        assert_eq!(did_you_mean("Variable", &known), "did you mean `variables`?");
        assert_eq!(did_you_mean("xyz", &known), "known here: `mount`, `name`, `variables`");
        assert_eq!(did_you_mean("xyz", &[]), "");
    }
}
