//! Secrets in memory and by reference.

use std::fmt;

use secrecy::{ExposeSecret, SecretBox};
use subtle::ConstantTimeEq;

/// Bytes that must not be printed, compared in variable time or left in freed memory.
///
/// `Debug` masks them, there is no `Display`, and dropping overwrites them.
pub struct Secret(SecretBox<Vec<u8>>);

/// Where a secret is to be read from; configuration holds these and never the secret itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SecretRef {
    /// The value of an environment variable: `env:NAME`.
    Env(String),
    /// The content of a file without its final line break: `file:PATH`.
    File(String),
}

/// A reference that is neither `env:NAME` nor `file:PATH`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a secret is given by reference: `env:NAME` or `file:PATH`")]
pub struct SecretRefError;

// === impl Secret ===

impl Secret {
    /// Takes the bytes over.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(SecretBox::new(Box::new(bytes)))
    }

    /// The bytes themselves, for the one place that computes with them.
    pub fn expose(&self) -> &[u8] {
        self.0.expose_secret()
    }

    /// Whether `other` is the same, in a time that depends on the lengths alone.
    pub fn is(&self, other: &[u8]) -> bool {
        self.expose().ct_eq(other).into()
    }
}

impl Clone for Secret {
    fn clone(&self) -> Self {
        Self::new(self.expose().to_vec())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

// === impl SecretRef ===

impl std::str::FromStr for SecretRef {
    type Err = SecretRefError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() && !name.contains(['=', '\0']) => Ok(Self::Env(name.to_owned())),
            Some(("file", path)) if !path.is_empty() && !path.contains('\0') => Ok(Self::File(path.to_owned())),
            _ => Err(SecretRefError),
        }
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(formatter, "env:{name}"),
            Self::File(path) => write!(formatter, "file:{path}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_never_shows_the_bytes() {
        assert_eq!(format!("{:?}", Secret::new(b"hunter2".to_vec())), "Secret(…)");
    }

    #[test]
    fn compares() {
        let secret = Secret::new(b"abc".to_vec());
        assert!(secret.is(b"abc"));
        assert!(!secret.is(b"abd"));
        assert!(!secret.is(b"abcd"));
    }

    #[test]
    fn references_are_parsed_or_refused() {
        assert_eq!("env:A".parse(), Ok(SecretRef::Env("A".into())));
        assert_eq!("file:a:b".parse(), Ok(SecretRef::File("a:b".into())));
        for bad in ["", "env:", "file:", "hunter2", "ENV:A", "env:A=b"] {
            assert_eq!(bad.parse::<SecretRef>(), Err(SecretRefError), "{bad}");
        }
    }
}
