//! The `mock` integration: a constant answer.

use http::{HeaderValue, StatusCode, header};
use portcullis_model::snapshot::Mock;
use portcullis_net::{Body, Reply};

/// Amazon's content type for an answer without a body template.
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The answer.
pub(super) fn answer(mock: &Mock) -> Reply {
    let (body, media_type) = match &mock.body {
        Some((body, media_type)) => (super::full(body), media_type),
        None => (Body::Empty, &JSON),
    };
    let status = StatusCode::from_u16(mock.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut reply = Reply::new(status, body).with(&header::CONTENT_TYPE, media_type);
    for (name, value) in &mock.headers {
        reply.fields.set(name, value);
    }
    reply
}
