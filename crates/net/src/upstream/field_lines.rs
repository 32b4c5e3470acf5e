//! Header fields that are written already.

use std::fmt;

use http::{HeaderName, HeaderValue, header};

use crate::fields::is_value;
use crate::http1::encode;

/// Field lines as they go out, so that what is added to every request needs neither a map nor values of its own.
///
/// What belongs to the connection or to framing is left out, as it is of [`super::Call::headers`]: `Connection`,
/// `Content-Length`, `Expect`, `Host`, `Keep-Alive`, `Proxy-Connection`, `TE`, `Trailer`, `Transfer-Encoding`, `Upgrade`.
#[derive(Clone, Default)]
pub struct FieldLines(Vec<u8>);

// === impl FieldLines ===

impl FieldLines {
    /// None, with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// Adds a field.
    pub fn push(&mut self, name: &HeaderName, value: &HeaderValue) {
        if !is_ours(name) {
            encode::field(&mut self.0, name, value);
        }
    }

    /// Adds a field whose value is text; `false`, and nothing is added, when it holds what a value must not (RFC 9110
    /// section 5.5): control characters other than the tab.
    #[must_use]
    pub fn push_text(&mut self, name: &HeaderName, text: impl AsRef<[u8]>) -> bool {
        let is_value = is_value(text.as_ref());
        if is_value && !is_ours(name) {
            encode::text_field(&mut self.0, name, text.as_ref());
        }
        is_value
    }

    /// Adds all of `other`.
    pub fn extend(&mut self, other: &Self) {
        self.0.extend_from_slice(&other.0);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The lines, each with its line break.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for FieldLines {
    /// Never the values: keys may be among them.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "FieldLines({} bytes)", self.0.len())
    }
}

/// Whether a field belongs to the connection or to framing (RFC 9110 section 7.6.1) and is never taken from a caller.
pub(super) fn is_ours(name: &HeaderName) -> bool {
    match *name {
        header::CONNECTION
        | header::CONTENT_LENGTH
        | header::EXPECT
        | header::HOST
        | header::TE
        | header::TRAILER
        | header::TRANSFER_ENCODING
        | header::UPGRADE => true,
        _ => matches!(name.as_str(), "keep-alive" | "proxy-connection"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, text: &str, expected: Option<&str>) {
        let name = HeaderName::try_from(name).unwrap();
        let mut lines = FieldLines::default();
        assert_eq!(lines.push_text(&name, text), expected.is_some(), "{name}: {text:?}");
        let expected = expected.unwrap_or_default();
        assert_eq!(lines.as_bytes(), expected.as_bytes(), "{name}: {text:?}");
        assert_eq!(lines.is_empty(), expected.is_empty());
        if let Ok(value) = HeaderValue::from_bytes(text.as_bytes()) {
            let mut by_value = FieldLines::with_capacity(16);
            by_value.push(&name, &value);
            let mut twice = by_value.clone();
            twice.extend(&by_value);
            assert_eq!(by_value.as_bytes(), expected.as_bytes(), "{name}: {text:?}");
            assert_eq!(twice.as_bytes(), expected.repeat(2).as_bytes());
        }
    }

    #[test]
    fn lines_hold_what_may_be_sent_and_nothing_else() {
        for (name, text, expected) in [
            ("X-Forwarded-For", "192.0.2.1", Some("x-forwarded-for: 192.0.2.1\r\n")),
            ("accept", "a\tb\u{e9}", Some("accept: a\tb\u{e9}\r\n")),
            ("x-empty", "", Some("x-empty: \r\n")),
            ("x-a", "1\r\nx-b: 2", None),
            ("x-a", "1\n", None),
            ("x-a", "\u{7f}", None),
            ("x-a", "\0", None),
            ("Content-Length", "5", Some("")),
            ("Transfer-Encoding", "chunked", Some("")),
            ("Host", "a", Some("")),
            ("Connection", "close", Some("")),
            ("Keep-Alive", "timeout=5", Some("")),
            ("Proxy-Connection", "close", Some("")),
            ("TE", "trailers", Some("")),
            ("Trailer", "x", Some("")),
            ("Expect", "100-continue", Some("")),
            ("Upgrade", "h2c", Some("")),
        ] {
            check(name, text, expected);
        }
    }

    #[test]
    fn values_are_not_shown() {
        let mut lines = FieldLines::default();
        assert!(lines.push_text(&HeaderName::from_static("apikey"), "secret"));
        assert_eq!(format!("{lines:?}"), "FieldLines(16 bytes)");
    }
}
