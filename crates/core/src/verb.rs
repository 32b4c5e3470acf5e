//! The verbs that a REST API routes by.

use std::fmt;

/// An HTTP method that `ANY` stands for (Amazon API Gateway's set: no CONNECT, no TRACE).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each is its own name")]
pub enum Verb {
    Delete,
    Get,
    Head,
    Options,
    Patch,
    Post,
    Put,
}

impl Verb {
    /// All of them, in alphabetical order; `ALL[verb as usize] == verb`.
    pub const ALL: [Self; 7] = [
        Self::Delete,
        Self::Get,
        Self::Head,
        Self::Options,
        Self::Patch,
        Self::Post,
        Self::Put,
    ];

    /// From the request line's method, which is case-sensitive (RFC 9110 section 9.1).
    pub fn parse(method: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.as_str() == method)
    }

    /// The method as the wire writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "DELETE",
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
            Self::Patch => "PATCH",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }

    /// Whether a request may be sent again when its answer was lost (RFC 9110 section 9.2.2).
    pub const fn is_idempotent(self) -> bool {
        match self {
            Self::Delete | Self::Get | Self::Head | Self::Options | Self::Put => true,
            Self::Patch | Self::Post => false,
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_reads_back_and_none_other() {
        for (index, verb) in Verb::ALL.into_iter().enumerate() {
            assert_eq!(Verb::parse(verb.as_str()), Some(verb));
            assert_eq!(verb as usize, index);
        }
        for other in ["get", "TRACE", "CONNECT", "", "ANY"] {
            assert_eq!(Verb::parse(other), None);
        }
    }
}
