//! One request path, three readings.
//!
//! | Reading | Who needs it | Rule |
//! |---|---|---|
//! | forwarded | the integration | the bytes as received |
//! | matched | the router, cache keys, mappings | segments, percent-decoded; one trailing slash ignored |
//! | in ARNs | policies | without the leading slash, escapes of unreserved characters decoded, other escapes in upper case |
//!
//! What two parties could read differently is refused before anything compares strings: dot segments (also encoded,
//! also with path parameters), backslashes, control characters, broken escapes, escapes that are not UTF-8.

use std::borrow::Cow;

/// The path of a request target that no two readers take for different resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestPath<'a> {
    raw: &'a str,
    has_escapes: bool,
}

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// A `%` without two hexadecimal digits (RFC 3986 section 2.1).
    #[error("a percent sign in the path is not followed by two hexadecimal digits")]
    BadEscape,
    /// A control character, written out or as an escape.
    #[error("the path holds a control character")]
    Control,
    /// `.` or `..` as a segment, in any spelling.
    #[error("the path holds a dot segment")]
    DotSegment,
    /// A character that RFC 3986 section 3.3 does not allow in a path.
    #[error("the path holds a character that must be percent-encoded")]
    ForbiddenCharacter,
    /// It does not begin with a slash.
    #[error("the request target is not a path")]
    NotAbsolute,
    /// Escapes that are not UTF-8: also the overlong spellings of `.` and `/`.
    #[error("the path's escapes are not UTF-8")]
    NotUtf8,
}

// === impl RequestPath ===

impl<'a> RequestPath<'a> {
    /// Takes a path without its query, or says why it is refused.
    pub fn parse(raw: &'a str) -> Result<Self, PathError> {
        if !raw.starts_with('/') {
            return Err(PathError::NotAbsolute);
        }
        let mut has_escapes = false;
        let mut has_dots = false;
        for byte in raw.bytes() {
            match byte {
                b'%' => has_escapes = true,
                b'.' => has_dots = true,
                _ if is_path_byte(byte) => {}
                0..=0x1f | 0x7f => return Err(PathError::Control),
                _ => return Err(PathError::ForbiddenCharacter),
            }
        }
        if has_escapes || has_dots {
            raw[1..].split('/').try_for_each(check_segment)?;
        }
        Ok(Self { raw, has_escapes })
    }

    /// As received, to be forwarded.
    pub fn as_received(self) -> &'a str {
        self.raw
    }

    /// The text behind the leading slash, for [`next_segment`].
    pub fn behind_slash(self) -> &'a str {
        &self.raw[1..]
    }

    /// What remains below the first `segments` segments: with a leading slash, `/` when nothing remains.
    pub fn below(self, segments: usize) -> Self {
        let mut rest = self.raw;
        for _ in 0..segments {
            rest = rest[1..].find('/').map_or("", |at| &rest[1 + at..]);
            if rest.is_empty() {
                return Self {
                    raw: "/",
                    has_escapes: false,
                };
            }
        }
        Self {
            raw: rest,
            has_escapes: self.has_escapes,
        }
    }

    /// The reading in ARNs, without the leading slash.
    pub fn in_arn(self) -> Cow<'a, str> {
        let text = self.behind_slash();
        if !self.has_escapes {
            return Cow::Borrowed(text);
        }
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            out.push_str(&rest[..at]);
            match escape_at(rest.as_bytes(), at) {
                Some(byte) if is_unreserved(byte) => out.push(char::from(byte)),
                _ => out.push_str(&rest[at..at + 3].to_ascii_uppercase()),
            }
            rest = &rest[at + 3..];
        }
        out.push_str(rest);
        Cow::Owned(out)
    }
}

/// Writes text as [`RequestPath::in_arn`] reads it: escapes of unreserved characters decoded, all other escapes in upper case
/// (RFC 3986 section 6.2.2). Texts that any two parties could take for different ones stay different. What is no escape is
/// left as it stands.
pub fn normalize_onto(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
        out.extend_from_slice(&rest[..at]);
        rest = match escape_at(rest, at) {
            Some(byte) if is_unreserved(byte) => {
                out.push(byte);
                &rest[at + 3..]
            }
            Some(_) => {
                out.extend(rest[at..at + 3].to_ascii_uppercase());
                &rest[at + 3..]
            }
            None => {
                out.push(b'%');
                &rest[at + 1..]
            }
        };
    }
    out.extend_from_slice(rest);
}

/// Cuts the next segment off `rest`, the text behind a slash: the segment as received and, if a slash followed it, what
/// stands behind that. `None` at the end, so that one trailing slash gives no empty segment.
pub fn next_segment(rest: &str) -> Option<(&str, Option<&str>)> {
    match rest.split_once('/') {
        _ if rest.is_empty() => None,
        Some((segment, behind)) => Some((segment, Some(behind))),
        None => Some((rest, None)),
    }
}

/// Percent-decodes text that [`RequestPath::parse`] accepted; what cannot be decoded is left as it stands.
pub fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    match String::from_utf8(decode_bytes(text)) {
        Ok(decoded) => Cow::Owned(decoded),
        Err(_) => Cow::Borrowed(text),
    }
}

/// Whether `text`, percent-decoded, is `wanted`. Looks no further than the first byte that differs and allocates nothing.
pub fn decodes_to(text: &str, wanted: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    for expected in wanted.bytes() {
        let (byte, length) = match (bytes.get(at), escape_at(bytes, at)) {
            (None, _) => return false,
            (Some(_), Some(byte)) => (byte, 3),
            (Some(byte), None) => (*byte, 1),
        };
        if byte != expected {
            return false;
        }
        at += length;
    }
    at == bytes.len()
}

fn decode_bytes(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], escape_at(bytes, at)) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

fn check_segment(segment: &str) -> Result<(), PathError> {
    let bytes = segment.as_bytes();
    for at in 0..bytes.len() {
        if bytes[at] == b'%' {
            match escape_at(bytes, at) {
                None => return Err(PathError::BadEscape),
                Some(0..=0x1f | 0x7f) => return Err(PathError::Control),
                Some(_) => {}
            }
        }
    }
    let decoded = String::from_utf8(decode_bytes(segment)).map_err(|_| PathError::NotUtf8)?;
    // Some origins decode before they split, and some drop `;parameters`; a dot segment to any of them is one to us.
    let is_dot = |piece: &str| matches!(piece.split(';').next(), Some("." | ".."));
    if decoded.split(['/', '\\']).any(is_dot) {
        Err(PathError::DotSegment)
    } else {
        Ok(())
    }
}

fn escape_at(bytes: &[u8], at: usize) -> Option<u8> {
    let digit = |byte: &u8| {
        char::from(*byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    if bytes.get(at) != Some(&b'%') {
        return None;
    }
    Some(digit(bytes.get(at + 1)?)? << 4 | digit(bytes.get(at + 2)?)?)
}

/// RFC 3986 section 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// RFC 3986 section 3.3: `pchar` and the slash, without `%`.
fn is_path_byte(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(
            byte,
            b'/' | b':' | b'@' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'='
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_that_anyone_could_tell_apart_stay_apart() {
        let check = |text: &str, expected: &str| {
            let mut out = b">".to_vec();
            normalize_onto(text, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), format!(">{expected}"));
        };
        check("", "");
        check("a=%61%2f%2F+%20b", "a=a%2F%2F+%20b");
        check("100%", "100%");
        check("%4", "%4");
        check("%%41%zz%", "%A%zz%");
        check("caf%c3%a9", "caf%C3%A9");
    }

    #[test]
    fn refuses_what_two_readers_would_read_differently() {
        let cases = [
            ("", PathError::NotAbsolute),
            ("*", PathError::NotAbsolute),
            ("a/b", PathError::NotAbsolute),
            ("/a/../b", PathError::DotSegment),
            ("/.", PathError::DotSegment),
            ("/a/%2e%2E/b", PathError::DotSegment),
            ("/a/.%2e", PathError::DotSegment),
            ("/a/..;x=1/b", PathError::DotSegment),
            ("/a/..%3bx/b", PathError::DotSegment),
            ("/a/..%2fb", PathError::DotSegment),
            ("/a/x%5c..%5cb", PathError::DotSegment),
            ("/a\\b", PathError::ForbiddenCharacter),
            ("/a b", PathError::ForbiddenCharacter),
            ("/a|b", PathError::ForbiddenCharacter),
            ("/é", PathError::ForbiddenCharacter),
            ("/a\tb", PathError::Control),
            ("/a%00", PathError::Control),
            ("/a%0d%0aX:y", PathError::Control),
            ("/a%", PathError::BadEscape),
            ("/a%2", PathError::BadEscape),
            ("/a%+1", PathError::BadEscape),
            ("/%c0%ae%c0%ae/", PathError::NotUtf8),
            ("/%ff", PathError::NotUtf8),
        ];
        for (raw, error) in cases {
            assert_eq!(RequestPath::parse(raw), Err(error), "{raw}");
        }
    }

    #[test]
    fn accepts_the_twins() {
        for raw in [
            "/",
            "/a/b",
            "/a/...",
            "/a/.b",
            "/a/b..",
            "/%2f",
            "/caf%C3%A9",
            "/a//b/",
            "/a;x=1",
            "/@connections/:id",
        ] {
            assert!(RequestPath::parse(raw).is_ok(), "{raw}");
        }
    }

    #[test]
    fn arn_reading_is_normal() {
        let cases = [
            ("/", ""),
            ("/pets/a1", "pets/a1"),
            ("/a%2fb", "a%2Fb"),
            ("/%41%7e/", "A~/"),
            ("/caf%c3%a9", "caf%C3%A9"),
        ];
        for (raw, arn) in cases {
            assert_eq!(RequestPath::parse(raw).unwrap().in_arn(), arn);
        }
    }

    #[test]
    fn below_a_mount_the_rest_is_as_received() {
        for (raw, segments, rest) in [
            ("/a/b%2Fc/", 1, "/b%2Fc/"),
            ("/a", 1, "/"),
            ("/a/", 1, "/"),
            ("/a/b", 0, "/a/b"),
            ("/a//b", 1, "//b"),
        ] {
            assert_eq!(
                RequestPath::parse(raw).unwrap().below(segments).as_received(),
                rest,
                "{raw}"
            );
        }
    }

    #[test]
    fn segments_ignore_one_trailing_slash() {
        let cut = |raw| {
            let mut segments = Vec::new();
            let mut rest = Some(RequestPath::parse(raw).unwrap().behind_slash());
            while let Some((segment, behind)) = rest.and_then(next_segment) {
                segments.push(segment);
                rest = behind;
            }
            segments
        };
        assert_eq!(cut("/"), [""; 0]);
        assert_eq!(cut("/a/b/"), ["a", "b"]);
        assert_eq!(cut("/a//b"), ["a", "", "b"]);
        assert_eq!(cut("//a"), ["", "a"]);
    }

    proptest! {
        #[test]
        fn never_panics_and_the_arn_reading_is_stable(raw in "/[ -~é%./]{0,40}") {
            if let Ok(path) = RequestPath::parse(&raw) {
                let arn = format!("/{}", path.in_arn());
                let again = RequestPath::parse(&arn).unwrap();
                prop_assert_eq!(format!("/{}", again.in_arn()), arn.clone());
                // Equal in the ARN reading means equal to the router.
                prop_assert_eq!(decode(&arn), decode(&raw));
            }
        }

        #[test]
        fn comparing_is_decoding_and_comparing(raw in "(%[46][1-3]|[a-c]){0,4}", wanted in "[a-cA-C]{0,4}") {
            prop_assert_eq!(decodes_to(&raw, &wanted), decode(&raw) == wanted);
            prop_assert!(decodes_to(&raw, &decode(&raw)));
        }

        #[test]
        fn any_text_as_a_segment_survives_encoding(text in "[^\\x00-\\x1f\\x7f/\\\\]{1,12}") {
            prop_assume!(!text.split(';').next().is_some_and(|piece| piece == "." || piece == ".."));
            let raw: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let raw = format!("/{raw}");
            prop_assert!(RequestPath::parse(&raw).is_ok());
            prop_assert_eq!(decode(&raw[1..]), text);
        }
    }
}
