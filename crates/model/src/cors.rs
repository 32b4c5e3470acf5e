//! What browsers on other origins may do (HTTP APIs), with the fields of answers made beforehand.
//!
//! An origin is compared byte by byte with what a browser sends (RFC 6454 section 6.2: scheme and host in small letters, no
//! default port, no path), never by prefix or suffix.

use http::HeaderValue;

/// What is allowed.
#[derive(Debug)]
pub struct Cors {
    pub(crate) origins: Origins,
    /// `Access-Control-Allow-Methods`.
    pub allow_methods: Option<HeaderValue>,
    /// `Access-Control-Allow-Headers`.
    pub allow_headers: Option<HeaderValue>,
    /// `Access-Control-Expose-Headers`.
    pub expose_headers: Option<HeaderValue>,
    /// `Access-Control-Max-Age`.
    pub max_age: Option<HeaderValue>,
    /// Whether `Access-Control-Allow-Credentials: true` is sent.
    pub allow_credentials: bool,
}

/// Which origins.
#[derive(Debug)]
pub(crate) enum Origins {
    /// All, and the answer does not depend on which.
    Any,
    /// These.
    Listed {
        exact: Vec<Box<str>>,
        /// Schemes of which every origin is allowed: `https` for `https://*`.
        schemes: Vec<Box<str>>,
    },
}

// === impl Cors ===

impl Cors {
    /// `Access-Control-Allow-Origin` for a request from this origin; `None` when it is not allowed.
    pub fn allowed_origin(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        match &self.origins {
            Origins::Any => Some(HeaderValue::from_static("*")),
            Origins::Listed { exact, schemes } => {
                let text = origin.to_str().ok()?;
                let is_listed = exact.iter().any(|listed| **listed == *text);
                let is_of_scheme = || {
                    let scheme = text.split_once("://").filter(|(_, host)| !host.is_empty());
                    scheme.is_some_and(|(scheme, _)| schemes.iter().any(|listed| **listed == *scheme))
                };
                (is_listed || is_of_scheme()).then(|| origin.clone())
            }
        }
    }

    /// Whether an answer depends on the request's origin, which caches must know (`Vary`).
    pub fn depends_on_origin(&self) -> bool {
        match self.origins {
            Origins::Any => false,
            Origins::Listed { .. } => true,
        }
    }
}
