//! What a client is answered.

use http::{HeaderName, HeaderValue, StatusCode};

use crate::body::Body;
use crate::fields::Fields;

/// The final answer to a request, whatever made it: an origin, a refusal, a cache.
///
/// A server writes it on the wire as it is; one that speaks HTTP/2 takes the fields as a map ([`Fields::to_map`]).
#[derive(Debug, Default)]
pub struct Reply {
    /// 101 with a [`Body::Tunnel`], or 200 to 999.
    pub status: StatusCode,
    /// Those of the connection and of framing are the server's to write.
    pub fields: Fields,
    /// As it comes.
    pub body: Body,
}

// === impl Reply ===

impl Reply {
    /// Without fields.
    pub fn new(status: StatusCode, body: impl Into<Body>) -> Self {
        Self {
            status,
            fields: Fields::new(),
            body: body.into(),
        }
    }

    /// The same with one field more.
    #[must_use]
    pub fn with(mut self, name: &HeaderName, value: &HeaderValue) -> Self {
        self.fields.push(name, value);
        self
    }
}
