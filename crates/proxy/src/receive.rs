//! Step 1: what is too large, or could be read in two ways, dies before anything compares strings.
//!
//! Framing is refused by `net` while it reads the head; here are the bounds and the path.

use http::{HeaderMap, Uri, header, uri::PathAndQuery};
use portcullis_core::{PathError, RequestPath, Verb};

use crate::Rejection;

/// Bytes of a request target at most (Amazon's limit for regional endpoints).
pub const URI_BYTES_MAX: usize = 10_240;
/// Bytes of all header fields together at most, names and values (Amazon's limit).
pub const HEADER_BYTES_MAX: usize = 10_240;
/// Bytes of a request body at most (Amazon's limit).
pub const BODY_BYTES_MAX: u64 = 10 * 1024 * 1024;

/// Evidence that a request's head is within bounds and its path reads one way.
#[derive(Clone, Copy, Debug)]
pub struct Received<'r> {
    path: RequestPath<'r>,
    target: &'r PathAndQuery,
    verb: Option<Verb>,
}

/// Checks a head.
pub(crate) fn receive<'r>(
    method: &http::Method,
    uri: &'r Uri,
    headers: &HeaderMap,
    body_length: Option<u64>,
) -> Result<Received<'r>, Rejection> {
    let target = uri
        .path_and_query()
        .ok_or(Rejection::PathRefused(PathError::NotAbsolute))?;
    if target.as_str().len() > URI_BYTES_MAX {
        return Err(Rejection::UriTooLong);
    }
    let header_bytes: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if header_bytes > HEADER_BYTES_MAX {
        return Err(Rejection::HeadersTooLarge);
    }
    if body_length.is_some_and(|bytes| bytes > BODY_BYTES_MAX) {
        return Err(Rejection::BodyAnnouncedTooLarge);
    }
    let path = RequestPath::parse(uri.path()).map_err(Rejection::PathRefused)?;
    // Amazon honours `X-HTTP-Method-Override`; we do not: it lets a caller whose `POST` passed every filter in front of
    // this gateway execute a `DELETE`.
    Ok(Received {
        path,
        target,
        verb: Verb::parse(method.as_str()),
    })
}

/// The host a request is for, without its port: that of the request target, else the `Host` field (RFC 9112 section 3.2).
pub(crate) fn host<'r>(uri: &'r Uri, headers: &'r HeaderMap) -> Option<&'r str> {
    uri.host().or_else(|| {
        let value = headers.get(header::HOST)?.to_str().ok()?;
        let end = if value.starts_with('[') {
            value.find(']').map(|at| at + 1)
        } else {
            value.find(':')
        };
        Some(end.map_or(value, |end| &value[..end]))
    })
}

// === impl Received ===

impl<'r> Received<'r> {
    /// The path.
    pub fn path(&self) -> RequestPath<'r> {
        self.path
    }

    /// The query as received, without its question mark.
    pub fn query(&self) -> Option<&'r str> {
        self.target.query()
    }

    /// Path and query as received.
    pub fn target(&self) -> &'r PathAndQuery {
        self.target
    }

    /// The verb; `None` for a method that no route of a REST API can have.
    pub fn verb(&self) -> Option<Verb> {
        self.verb
    }
}
