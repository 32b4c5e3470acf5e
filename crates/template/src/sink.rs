//! Where values are written, and how each is kept in its place.

use std::fmt::{self, Write as _};

/// How a value is made safe for its place.
///
/// Everywhere but in [`Escape::Plain`], control characters (also those above ASCII), line separators and the marks that turn
/// the direction of text around are escaped too: none of them ends a line, moves a terminal's cursor or makes a line read as
/// another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// A field of CSV (RFC 4180): text that holds a comma or a quote brings quotes. Control characters as `\xHH`.
    CsvField,
    /// Inside the quotes of a field of CSV: quotes are doubled.
    CsvQuoted,
    /// Inside the quotes of a JSON string (RFC 8259 section 7).
    JsonString,
    /// Where JSON expects a value: text brings quotes of its own unless it is a number, `true` or `false`.
    JsonValue,
    /// In a line of a log: control characters, quotes and backslashes as `\xHH`, so that no value can end the line or the
    /// quoted field that it stands in.
    LogLine,
    /// In the text or a quoted attribute of XML or HTML (XML 1.0 section 2.4). What XML cannot hold at all reads U+FFFD.
    Markup,
    /// As it is: the place is made safe by whoever reads it.
    Plain,
}

/// Where a value is written: escaped for its place, without allocating.
#[derive(Debug)]
pub struct Sink<'o> {
    out: &'o mut Vec<u8>,
    escape: Escape,
    written: bool,
}

/// Lets a formatter write through a sink.
struct Escaping<'s, 'o>(&'s mut Sink<'o>);

// === impl Escape ===

impl Escape {
    /// For values in a document of this media type: JSON, XML and HTML by their names and suffixes (RFC 6839), anything else
    /// is [`Escape::Plain`].
    pub fn for_media_type(media_type: &str) -> Self {
        let essence = media_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        let is = |name: &str| {
            essence
                .rsplit_once('/')
                .is_some_and(|(_, subtype)| subtype.rsplit('+').next() == Some(name))
        };
        match () {
            () if is("json") => Self::JsonString,
            () if is("xml") || is("html") => Self::Markup,
            () => Self::Plain,
        }
    }
}

// === impl Sink ===

impl<'o> Sink<'o> {
    /// Appends to `out`.
    pub fn new(out: &'o mut Vec<u8>, escape: Escape) -> Self {
        Self {
            out,
            escape,
            written: false,
        }
    }

    /// Writes text. A value is written by one call.
    pub fn text(&mut self, text: &str) {
        self.written = true;
        if self.escape == Escape::JsonValue && !is_json_scalar(text) {
            self.out.push(b'"');
            self.escaped(text);
            self.out.push(b'"');
        } else if self.escape == Escape::CsvField && text.contains([',', '"']) {
            // Within quotes the two forms are escaped alike.
            self.out.push(b'"');
            self.escaped(text);
            self.out.push(b'"');
        } else {
            self.escaped(text);
        }
    }

    /// Writes text that is the gateway's own and the same in every place but for the quotes of a JSON value: ids, addresses,
    /// times, names of protocols. No scalar of JSON, and nothing but letters, digits, spaces and `+-./:=[]_`.
    pub fn token(&mut self, text: &[u8]) {
        debug_assert!(
            text.iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b" +-./:=[]_".contains(byte))
        );
        self.written = true;
        if self.escape == Escape::JsonValue {
            self.out.push(b'"');
            self.out.extend_from_slice(text);
            self.out.push(b'"');
        } else {
            self.out.extend_from_slice(text);
        }
    }

    /// Writes a number in decimal.
    pub fn number(&mut self, number: u64) {
        self.written = true;
        let mut digits = [0_u8; 20];
        let mut at = digits.len();
        let mut rest = number;
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.out.extend_from_slice(&digits[at..]);
    }

    /// Writes what `value` prints, as text.
    pub fn display(&mut self, value: impl fmt::Display) {
        self.written = true;
        let brings_quotes = matches!(self.escape, Escape::JsonValue | Escape::CsvField);
        let quote: &[u8] = if brings_quotes { b"\"" } else { b"" };
        self.out.extend_from_slice(quote);
        let _ = write!(Escaping(self), "{value}"); // only the value's own Display can fail
        self.out.extend_from_slice(quote);
    }

    /// Whether anything was written, be it empty text.
    pub fn is_written(&self) -> bool {
        self.written
    }

    fn escaped(&mut self, text: &str) {
        if self.escape == Escape::Plain || is_harmless(text) {
            return self.out.extend_from_slice(text.as_bytes());
        }
        for letter in text.chars() {
            let mut utf8 = [0; 4];
            let bytes = letter.encode_utf8(&mut utf8).as_bytes();
            match self.escape {
                Escape::LogLine if is_confusing(letter) || matches!(letter, '"' | '\\') => self.hexadecimal(bytes),
                Escape::JsonString | Escape::JsonValue => self.json(letter, bytes),
                Escape::Markup => self.markup(letter, bytes),
                Escape::CsvField | Escape::CsvQuoted if letter == '"' => self.out.extend_from_slice(b"\"\""),
                Escape::CsvField | Escape::CsvQuoted if is_confusing(letter) => self.hexadecimal(bytes),
                Escape::CsvField | Escape::CsvQuoted | Escape::LogLine | Escape::Plain => {
                    self.out.extend_from_slice(bytes)
                }
            }
        }
    }

    fn hexadecimal(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.out.extend_from_slice(&[b'\\', b'x', hex(*byte >> 4), hex(*byte)]);
        }
    }

    fn json(&mut self, letter: char, bytes: &[u8]) {
        match letter {
            '"' => self.out.extend_from_slice(b"\\\""),
            '\\' => self.out.extend_from_slice(b"\\\\"),
            '\n' => self.out.extend_from_slice(b"\\n"),
            '\r' => self.out.extend_from_slice(b"\\r"),
            '\t' => self.out.extend_from_slice(b"\\t"),
            _ if is_confusing(letter) => {
                // All of them have at most four digits.
                let [high, low] = (u32::from(letter) as u16).to_be_bytes();
                self.out
                    .extend_from_slice(&[b'\\', b'u', hex(high >> 4), hex(high), hex(low >> 4), hex(low)]);
            }
            _ => self.out.extend_from_slice(bytes),
        }
    }

    fn markup(&mut self, letter: char, bytes: &[u8]) {
        let written: &[u8] = match letter {
            '&' => b"&amp;",
            '<' => b"&lt;",
            '>' => b"&gt;",
            '"' => b"&quot;",
            '\'' => b"&#39;",
            _ if is_confusing(letter) => "\u{fffd}".as_bytes(),
            _ => bytes,
        };
        self.out.extend_from_slice(written);
    }
}

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.escaped(text);
        Ok(())
    }
}

/// Whether all is printable ASCII that means nothing in any of the places.
fn is_harmless(text: &str) -> bool {
    text.bytes().all(|byte| IS_HARMLESS[usize::from(byte)])
}

static IS_HARMLESS: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        let is_special = matches!(byte, b'"' | b'\\' | b'&' | b'<' | b'>' | b'\'');
        table[byte as usize] = matches!(byte, b' '..=b'~') && !is_special;
        byte += 1;
    }
    table
};

/// Control characters, line separators, and marks and overrides of direction (Unicode 16, sections 23.1 and 23.2).
fn is_confusing(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}')
}

fn is_json_scalar(text: &str) -> bool {
    let may_be_number = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    matches!(text, "true" | "false") || (may_be_number && serde_json::from_str::<f64>(text).is_ok())
}

fn hex(nibble: u8) -> u8 {
    b"0123456789abcdef"[usize::from(nibble & 15)]
}

/// Whether the end of a text stands inside the quotes of a JSON string; fed piece by piece.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Quotes {
    pub(crate) are_open: bool,
    after_backslash: bool,
}

impl Quotes {
    /// Reads on.
    pub(crate) fn pass(&mut self, text: &str) {
        for byte in text.bytes() {
            self.are_open ^= byte == b'"' && !self.after_backslash;
            self.after_backslash = byte == b'\\' && !self.after_backslash;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn write(escape: Escape, text: &str) -> String {
        let (mut out, mut shown) = (Vec::new(), Vec::new());
        Sink::new(&mut out, escape).text(text);
        Sink::new(&mut shown, escape).display(text);
        if !matches!(escape, Escape::JsonValue | Escape::CsvField) {
            assert_eq!(out, shown);
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values_cannot_leave_their_place() {
        let nasty = "a\"b\\c\nd\u{1}é\u{7f}\u{9b}\u{202e}<&'>\u{10ffff}";
        let cases = [
            (
                Escape::CsvField,
                "\"a\"\"b\\c\\x0ad\\x01é\\x7f\\xc2\\x9b\\xe2\\x80\\xae<&'>\u{10ffff}\"",
            ),
            (
                Escape::CsvQuoted,
                "a\"\"b\\c\\x0ad\\x01é\\x7f\\xc2\\x9b\\xe2\\x80\\xae<&'>\u{10ffff}",
            ),
            (
                Escape::LogLine,
                "a\\x22b\\x5cc\\x0ad\\x01é\\x7f\\xc2\\x9b\\xe2\\x80\\xae<&'>\u{10ffff}",
            ),
            (
                Escape::JsonString,
                "a\\\"b\\\\c\\nd\\u0001é\\u007f\\u009b\\u202e<&'>\u{10ffff}",
            ),
            (
                Escape::JsonValue,
                "\"a\\\"b\\\\c\\nd\\u0001é\\u007f\\u009b\\u202e<&'>\u{10ffff}\"",
            ),
            (
                Escape::Markup,
                "a&quot;b\\c\u{fffd}d\u{fffd}é\u{fffd}\u{fffd}\u{fffd}&lt;&amp;&#39;&gt;\u{10ffff}",
            ),
            (Escape::Plain, nasty),
        ];
        for (escape, expected) in cases {
            assert_eq!(write(escape, nasty), expected, "{escape:?}");
        }
    }

    #[test]
    fn a_json_value_is_quoted_unless_it_is_a_scalar() {
        for bare in ["0", "-1.5e3", "true", "false"] {
            assert_eq!(write(Escape::JsonValue, bare), bare);
        }
        for text in ["", "01", "1 ", "+1", "1e999", "null", "True", "1,2", "-", "."] {
            assert_eq!(write(Escape::JsonValue, text), format!("\"{text}\""));
        }
        let mut out = Vec::new();
        Sink::new(&mut out, Escape::JsonValue).number(7);
        Sink::new(&mut out, Escape::JsonValue).display(8);
        assert_eq!(out, b"7\"8\"");
    }

    #[test]
    fn media_types() {
        let cases = [
            ("application/json", Escape::JsonString),
            ("Application/Problem+JSON; charset=utf-8", Escape::JsonString),
            ("text/html", Escape::Markup),
            ("application/xhtml+xml", Escape::Markup),
            ("text/xml;x", Escape::Markup),
            ("text/plain", Escape::Plain),
            ("application/jsonp", Escape::Plain),
            ("json", Escape::Plain),
            ("", Escape::Plain),
        ];
        for (media_type, escape) in cases {
            assert_eq!(Escape::for_media_type(media_type), escape, "{media_type}");
        }
    }

    #[test]
    fn a_token_reads_as_text_would() {
        let escapes = [
            Escape::CsvField,
            Escape::CsvQuoted,
            Escape::JsonString,
            Escape::JsonValue,
            Escape::LogLine,
            Escape::Markup,
            Escape::Plain,
        ];
        for escape in escapes {
            for text in [
                "00000000-0000-4000-8000-000000000000",
                "000000000000000=",
                "192.0.2.1",
                "2001:db8::1",
                "::",
                "20/Nov/2026:00:00:00 +0000",
                "HTTP/1.1",
                "-",
            ] {
                let mut out = Vec::new();
                let mut sink = Sink::new(&mut out, escape);
                sink.token(text.as_bytes());
                assert!(sink.is_written());
                assert_eq!(String::from_utf8(out).unwrap(), write(escape, text), "{escape:?}");
            }
        }
    }

    #[test]
    fn numbers() {
        for number in [0, 7, 10, u64::MAX] {
            let mut out = Vec::new();
            Sink::new(&mut out, Escape::Plain).number(number);
            assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
    }

    proptest! {
        #[test]
        fn json_reads_back(text in ".{0,20}|[\\x00-\\x7f]{0,20}|[\u{80}-\u{9f}\u{2000}-\u{2070}\"\\\\]{0,20}") {
            let quoted = format!("\"{}\"", write(Escape::JsonString, &text));
            prop_assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), text.clone());
            let value: serde_json::Value = serde_json::from_str(&write(Escape::JsonValue, &text)).unwrap();
            prop_assert!(value == text || is_json_scalar(&text));
            for escape in [Escape::LogLine, Escape::Markup, Escape::JsonString, Escape::CsvField, Escape::CsvQuoted] {
                prop_assert!(!write(escape, &text).chars().any(is_confusing));
            }
            prop_assert!(!write(Escape::Markup, &text).contains(['<', '>', '"', '\'']));
        }
    }
}
