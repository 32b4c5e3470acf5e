//! A request to an upstream and what comes back.

use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tokio::time::Instant;

use super::field_lines::FieldLines;
use crate::body::Body;
use crate::fields::Fields;

/// A request to an upstream.
#[derive(Debug)]
pub struct Call {
    /// Any method but CONNECT.
    pub method: Method,
    /// Sent as it is. It begins with a slash, or is `*`.
    pub target: PathAndQuery,
    /// The fields to send. What belongs to the connection or to framing is the client's to write, and left out here if present:
    /// `Connection`, `Content-Length`, `Expect`, `Host`, `Keep-Alive`, `Proxy-Connection`, `TE`, `Trailer`, `Transfer-Encoding`, and
    /// `Upgrade` unless [`Call::upgrade`] is set.
    pub headers: HeaderMap,
    /// More fields, which go out behind `headers` as they are.
    pub lines: FieldLines,
    /// `Host`; `None` sends the origin's own authority.
    pub host: Option<HeaderValue>,
    /// Polled in this request's task, also after the response's head has come.
    pub body: Body,
    /// The length of `body` in bytes where it is known: it goes out as `Content-Length`, without it the body is chunked. A body
    /// that knows its own length needs none.
    pub body_length: Option<u64>,
    /// When the response's head must have come, connecting and sending included.
    pub deadline: Instant,
    /// How long the response's body may make no progress while we wait for it.
    pub body_idle_timeout: Duration,
    /// Whether the request may be sent twice.
    pub retry: RetryRule,
    /// Whether to ask for the protocol that `headers` names in `Upgrade`. The answer is then either 101 with a
    /// [`Body::Tunnel`] or an ordinary response.
    pub upgrade: bool,
}

/// Whether a request may be sent a second time when a kept connection turns out to be dead before a byte has come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryRule {
    /// Once more on a new connection. For requests whose repetition does no harm (RFC 9110 section 9.2.2), never for a payment:
    /// the upstream may have acted on the first one.
    Safe,
    /// Never.
    Never,
}

/// An upstream's response.
#[derive(Debug)]
pub struct Answer {
    /// 101, or 200 to 999.
    pub status: StatusCode,
    /// As received, those of the connection and of framing included.
    pub fields: Fields,
    /// [`Body::Empty`], [`Body::Full`] when it came with the head and is small, [`Body::Upstream`], or [`Body::Tunnel`] with 101.
    pub body: Body,
    /// What `Content-Length` says. With HEAD and 304 it may be set although the body is empty.
    pub body_length: Option<u64>,
    /// Whether the connection had served another request before.
    pub reused: bool,
    /// How often the request was sent: 1 or 2.
    pub attempts: u8,
    /// How long connecting took, TLS included; `None` on a reused connection.
    pub connect_time: Option<Duration>,
}
