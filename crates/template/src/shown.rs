//! How errors quote what was written.

/// Characters quoted at most.
const CHARS_MAX: usize = 80;

/// Text for an error: on one line, cut where it gets long.
pub(crate) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(CHARS_MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// A value for an error: quoted only if it looks like an expression, for a text may be the key that an origin wants.
pub(crate) fn shown_expression(text: &str) -> String {
    const BEGINNINGS: [&str; 6] = [
        "$",
        "context.",
        "integration.",
        "method.",
        "request.",
        "stageVariables.",
    ];
    if BEGINNINGS.iter().any(|beginning| text.starts_with(beginning)) {
        shown(text)
    } else {
        "…".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_on_one_line_and_without_secrets() {
        assert_eq!(shown("a\n\u{85}é"), "a\\n\\u{85}é");
        assert_eq!(shown(&"é".repeat(81)), format!("{}…", "é".repeat(80)));
        assert_eq!(shown_expression("method.request.haeder.X"), "method.request.haeder.X");
        assert_eq!(shown_expression("'a-key"), "…");
        assert_eq!(shown_expression("a-key"), "…");
    }
}
