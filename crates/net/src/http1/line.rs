//! The lines of a head, taken apart (RFC 9112 sections 3 to 5).

use http::Version;

use super::head::HeadFault;
use crate::fields::is_value;

/// One field line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FieldLine<'h> {
    /// With its line break.
    pub(super) line: &'h [u8],
    /// How long the name is that it begins with, a token.
    pub(super) name_bytes: usize,
    /// Without the white space around it.
    pub(super) value: &'h [u8],
}

/// The first line of a complete head without its line break, and the lines behind it.
pub(super) fn split_head(head: &[u8]) -> Result<(&[u8], Lines<'_>), HeadFault> {
    let end = memchr::memchr(b'\n', head).ok_or(HeadFault::LineMalformed)?;
    let line = head[..end].strip_suffix(b"\r").ok_or(HeadFault::BareLineFeed)?;
    Ok((line, Lines(&head[end + 1..])))
}

/// The field lines of a complete head.
pub(super) struct Lines<'h>(&'h [u8]);

impl<'h> Iterator for Lines<'h> {
    type Item = Result<FieldLine<'h>, HeadFault>;

    /// `None` at the empty line that ends a head.
    fn next(&mut self) -> Option<Self::Item> {
        let end = memchr::memchr(b'\n', self.0)?;
        let (line, rest) = self.0.split_at(end + 1);
        self.0 = rest;
        match line.strip_suffix(b"\r\n") {
            Some([]) => None,
            Some(content) => Some(field_line(line, content)),
            None => Some(Err(HeadFault::BareLineFeed)),
        }
    }
}

/// A name that is a token, a colon right behind it, a value without control characters but tabs (RFC 9110 section 5).
fn field_line<'h>(line: &'h [u8], content: &'h [u8]) -> Result<FieldLine<'h>, HeadFault> {
    let name_bytes = token_bytes(content);
    let (Some(b':'), 1..) = (content.get(name_bytes), name_bytes) else {
        return Err(HeadFault::FieldMalformed);
    };
    let value = &content[name_bytes + 1..];
    if !is_value(value) {
        return Err(HeadFault::FieldMalformed);
    }
    Ok(FieldLine {
        line,
        name_bytes,
        value: trim(value),
    })
}

/// HTTP/1.0 or HTTP/1.1, and nothing behind it.
pub(super) fn version(text: &[u8]) -> Result<Version, HeadFault> {
    match text {
        b"HTTP/1.1" => Ok(Version::HTTP_11),
        b"HTTP/1.0" => Ok(Version::HTTP_10),
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0' | b'1', ..] => Err(HeadFault::LineMalformed),
        _ => Err(HeadFault::VersionUnsupported),
    }
}

/// How many bytes of a token `text` begins with (RFC 9110 section 5.6.2).
pub(super) fn token_bytes(text: &[u8]) -> usize {
    text.iter()
        .position(|byte| !IS_TOKEN[usize::from(*byte)])
        .unwrap_or(text.len())
}

static IS_TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
            );
        byte += 1;
    }
    table
};

/// Without the white space that may stand around a value: spaces and tabs, nothing else (RFC 9110 section 5.6.3).
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tokens_are_what_crate_http_takes_for_names() {
        for byte in 0..=u8::MAX {
            let is_name = HeaderName::from_bytes(&[byte]).is_ok();
            assert_eq!(
                token_bytes(&[byte]) == 1,
                is_name,
                "{:?}",
                byte.escape_ascii().to_string()
            );
        }
    }

    proptest! {
        /// What is accepted here can be a field there, too: a map can be made of it.
        #[test]
        fn lines_are_what_crate_http_takes_for_fields(line in "[ -~\t\r\u{e9}\u{7f}]{0,12}", prefix in "|a:|a: |a-b:\t ") {
            let content = format!("{prefix}{line}");
            let whole = format!("{content}\r\n");
            if let Ok(field) = field_line(whole.as_bytes(), content.as_bytes()) {
                let name = &field.line[..field.name_bytes];
                prop_assert!(HeaderName::from_bytes(name).is_ok());
                prop_assert!(HeaderValue::from_bytes(field.value).is_ok());
                prop_assert_eq!(&content.as_bytes()[..=field.name_bytes], [name, b":"].concat());
                prop_assert_eq!(content[field.name_bytes + 1..].trim_matches([' ', '\t']).as_bytes(), field.value);
            } else {
                let (name, value) = content.split_once(':').unwrap_or(("", &content));
                let is_field = HeaderName::from_bytes(name.as_bytes()).is_ok() && HeaderValue::from_str(value).is_ok();
                prop_assert!(!is_field, "{:?}", content);
            }
        }
    }
}
