//! Names of condition keys.

use std::fmt;

/// A condition key, whose name is not case-sensitive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    CurrentTime,
    EpochTime,
    Referer,
    SecureTransport,
    SourceArn,
    SourceIp,
    SourceVpc,
    SourceVpce,
    UserAgent,
    /// Any other, in lower case.
    Extra(Box<str>),
}

impl Key {
    const BUILT_IN: [Self; 9] = [
        Self::CurrentTime,
        Self::EpochTime,
        Self::Referer,
        Self::SecureTransport,
        Self::SourceArn,
        Self::SourceIp,
        Self::SourceVpc,
        Self::SourceVpce,
        Self::UserAgent,
    ];

    /// Reads a key: printable ASCII of the form `prefix:name`, without blanks, quotes, commas, braces, `$`, `*` and `?`.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_graphic() && !b"\"'`,{}$*?<>\\".contains(&byte);
        let (prefix, rest) = name.split_once(':')?;
        if prefix.is_empty() || rest.is_empty() || !name.bytes().all(allowed) {
            return None;
        }
        let built_in = Self::BUILT_IN
            .into_iter()
            .find(|key| key.name().eq_ignore_ascii_case(name));
        Some(built_in.unwrap_or_else(|| Self::Extra(name.to_ascii_lowercase().into())))
    }

    /// As it is usually written; one that is not built in, in lower case.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::CurrentTime => "aws:CurrentTime",
            Self::EpochTime => "aws:EpochTime",
            Self::Referer => "aws:Referer",
            Self::SecureTransport => "aws:SecureTransport",
            Self::SourceArn => "aws:SourceArn",
            Self::SourceIp => "aws:SourceIp",
            Self::SourceVpc => "aws:SourceVpc",
            Self::SourceVpce => "aws:SourceVpce",
            Self::UserAgent => "aws:UserAgent",
            Self::Extra(name) => name,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
