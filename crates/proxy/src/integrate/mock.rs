//! The `mock` integration: a constant answer.

use http::{HeaderValue, Response, StatusCode, header};
use portcullis_model::snapshot::Mock;
use portcullis_net::Body;

/// Amazon's content type for an answer without a body template.
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The answer.
pub(super) fn answer(mock: &Mock) -> Response<Body> {
    let mut response = match &mock.body {
        Some((body, media_type)) => {
            let mut response = Response::new(super::full(body));
            response.headers_mut().insert(header::CONTENT_TYPE, media_type.clone());
            response
        }
        None => {
            let mut response = Response::new(Body::Empty);
            response.headers_mut().insert(header::CONTENT_TYPE, JSON);
            response
        }
    };
    *response.status_mut() = StatusCode::from_u16(mock.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in &mock.headers {
        response.headers_mut().insert(name.clone(), value.clone());
    }
    response
}
