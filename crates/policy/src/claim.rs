//! A claim's value in the grammar of documents.

use crate::operator::Operator;

/// Where a claim stands.
#[derive(Clone, Copy)]
pub(crate) struct Position {
    pub(crate) kind: Kind,
    /// Whether there is nothing else in the string.
    pub(crate) is_whole: bool,
}

/// What the string that a claim stands in is compared with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Address,
    Arn,
    Bytes,
    Flag,
    Number,
    Resource,
    Text,
    Time,
}

// === impl Position ===

impl Position {
    /// A value that can be read.
    pub(crate) fn sample(self) -> &'static str {
        match self.kind {
            Kind::Address => "192.0.2.1",
            Kind::Arn if self.is_whole => "arn:aws:service:::sample",
            Kind::Bytes => "AA==",
            Kind::Flag => "true",
            Kind::Number => "0",
            Kind::Arn | Kind::Resource | Kind::Text => "sample",
            Kind::Time => "1970-01-01",
        }
    }
}

// === impl Kind ===

impl Kind {
    pub(crate) fn of(operator: Operator) -> Self {
        match operator {
            Operator::IpAddress | Operator::NotIpAddress => Self::Address,
            Operator::ArnEquals | Operator::ArnLike | Operator::ArnNotEquals | Operator::ArnNotLike => Self::Arn,
            Operator::BinaryEquals => Self::Bytes,
            Operator::Bool | Operator::Null => Self::Flag,
            Operator::NumericEquals
            | Operator::NumericGreaterThan
            | Operator::NumericGreaterThanEquals
            | Operator::NumericLessThan
            | Operator::NumericLessThanEquals
            | Operator::NumericNotEquals => Self::Number,
            Operator::StringEquals
            | Operator::StringEqualsIgnoreCase
            | Operator::StringLike
            | Operator::StringNotEquals
            | Operator::StringNotEqualsIgnoreCase
            | Operator::StringNotLike => Self::Text,
            Operator::DateEquals
            | Operator::DateGreaterThan
            | Operator::DateGreaterThanEquals
            | Operator::DateLessThan
            | Operator::DateLessThanEquals
            | Operator::DateNotEquals => Self::Time,
        }
    }

    /// Whether claims may stand among other text.
    pub(crate) fn is_text(self) -> bool {
        match self {
            Self::Arn | Self::Resource | Self::Text => true,
            Self::Address | Self::Bytes | Self::Flag | Self::Number | Self::Time => false,
        }
    }

    /// A claim's value in the document's grammar, meaning itself.
    pub(crate) fn literal(self, claim: &str) -> String {
        match self {
            Self::Address | Self::Bytes | Self::Flag | Self::Number | Self::Time => claim.to_owned(),
            Self::Arn | Self::Text => escape(claim),
            Self::Resource => escape(&encode(claim)),
        }
    }
}

/// Writes the characters that are special in documents of version 2012-10-17 as variables for themselves.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '*' | '?' | '$' => out.extend(['$', '{', character, '}']),
            _ => out.push(character),
        }
    }
    out
}

/// Percent-encodes what a path segment cannot hold (RFC 3986 section 3.3), as method ARNs have it.
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => out.push(char::from(byte)),
            b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'='
            | b':' | b'@' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
