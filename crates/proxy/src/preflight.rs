//! Step 5: a browser's question before a request to another origin (HTTP APIs with `x-amazon-apigateway-cors`).
//!
//! It carries no credentials, so it is answered before any are asked for; it says nothing but what the document says. A REST
//! API answers OPTIONS by a method of its own.

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use portcullis_model::{cors::Cors, snapshot::Stage};
use portcullis_net::{Body, Fields, Reply};

use crate::record::Record;

/// Queues what every answer to another origin says, refusals included: else the page behind it could not read why.
pub(crate) fn share(stage: &Stage, headers: &HeaderMap, record: &mut Record) {
    let Some(cors) = &stage.cors else { return };
    if cors.depends_on_origin() {
        record.queue_beside(header::VARY, HeaderValue::from_static("Origin"));
    }
    let Some(allowed) = allowed_origin(cors, headers) else {
        return;
    };
    record.queue(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    if cors.allow_credentials {
        record.queue(
            header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
            HeaderValue::from_static("true"),
        );
    }
    if let Some(names) = &cors.expose_headers {
        record.queue(header::ACCESS_CONTROL_EXPOSE_HEADERS, names.clone());
    }
}

/// The answer to a preflight (Fetch standard, section 3.3.2); `None` for every other request. An origin that is not allowed is
/// told so by the absence of the fields.
pub(crate) fn answer(stage: &Stage, method: &Method, headers: &HeaderMap, record: &mut Record) -> Option<Reply> {
    let cors = stage.cors.as_ref()?;
    let is_preflight = *method == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if !is_preflight {
        return None;
    }
    if allowed_origin(cors, headers).is_some() {
        let fields = [
            (header::ACCESS_CONTROL_ALLOW_METHODS, &cors.allow_methods),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, &cors.allow_headers),
            (header::ACCESS_CONTROL_MAX_AGE, &cors.max_age),
        ];
        for (name, value) in fields {
            if let Some(value) = value {
                record.queue(name, value.clone());
            }
        }
    }
    Some(Reply::new(StatusCode::NO_CONTENT, Body::Empty))
}

/// Takes off what the integration says of other origins: where the document says it, the document alone does, as at Amazon.
pub(crate) fn take_off(fields: &mut Fields) {
    let is_about_origins = |name: &[u8]| {
        let prefix = name.get(..ACCESS_CONTROL.len());
        prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case(ACCESS_CONTROL))
    };
    if fields.iter().any(|field| is_about_origins(field.name())) {
        fields.retain(|field| !is_about_origins(field.name()));
    }
}

const ACCESS_CONTROL: &[u8] = b"access-control-";

fn allowed_origin(cors: &Cors, headers: &HeaderMap) -> Option<HeaderValue> {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let origin = origins.next()?;
    // A browser sends one; whichever of several were taken, it might not be the one that the page has.
    if origins.next().is_some() {
        return None;
    }
    cors.allowed_origin(origin)
}
