//! Answers compressed for clients that ask for it (REST APIs with `x-amazon-apigateway-minimum-compression-size`).
//!
//! It is the last thing that happens to an answer: what is mapped, stored and logged is the plain one.

mod accept;
mod body;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body::Body as _;
use portcullis_model::snapshot::Stage;
use portcullis_net::{Body, BodyError, Fields, Reply};
use std::{future::poll_fn, pin::Pin};

use self::{
    accept::Coding,
    body::{Compressed, Resumed},
};

/// How much of a body of unknown length is waited for to learn whether it is long enough.
const AHEAD_BYTES_MAX: u64 = 64 * 1024;

/// What a request says about its answer's coding, on a stage that compresses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compression {
    bytes_min: u64,
    /// `None` where the answer is to stay as it is.
    coding: Option<Coding>,
}

/// How long a body is.
enum Length {
    Enough(Body),
    TooShort(Body),
}

// === impl Compression ===

impl Compression {
    /// `None` where the stage does not compress.
    pub(crate) fn asked(stage: &Stage, method: &Method, headers: &HeaderMap) -> Option<Self> {
        let bytes_min = u64::from(stage.compression_min_bytes?);
        // A range is one of the plain bytes (RFC 9110 section 14.2), and who forbids transformations means this one, too
        // (RFC 9111 section 5.2.1.6).
        let stays = *method == Method::HEAD
            || headers.contains_key(header::RANGE)
            || headers
                .get_all(header::CACHE_CONTROL)
                .iter()
                .any(|value| forbids_transformation(value.as_bytes()));
        let coding = if stays { None } else { accept::coding(headers) };
        Some(Self { bytes_min, coding })
    }

    /// The answer as it is to be sent.
    pub(crate) async fn apply(self, reply: Reply) -> Reply {
        if !may_be_compressed(&reply) {
            return reply;
        }
        let Reply {
            status,
            mut fields,
            body,
        } = reply;
        if !varies_by_coding(&fields) {
            fields.push(&header::VARY, &HeaderValue::from_static("Accept-Encoding"));
        }
        let length = match self.coding {
            None => Length::TooShort(body),
            Some(_) => measure(body, self.bytes_min).await,
        };
        let body = match (length, self.coding) {
            (Length::Enough(body), Some(coding)) => {
                mark(&mut fields, coding);
                Body::stream(Compressed::new(body, coding))
            }
            (Length::Enough(body) | Length::TooShort(body), _) => body,
        };
        Reply { status, fields, body }
    }
}

/// The name of the coding that these fields ask for, for the fuzzer.
pub(crate) fn coding_name(headers: &HeaderMap) -> Option<&'static str> {
    accept::coding(headers).map(Coding::as_str)
}

/// Whether an answer is of a kind that is compressed, whatever its size.
fn may_be_compressed(reply: &Reply) -> bool {
    let Reply { status, fields, body } = reply;
    let has_content = !status.is_informational()
        && !matches!(
            *status,
            StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED
        )
        && !matches!(body, Body::Tunnel(_));
    let is_plain = fields
        .get_all("content-encoding")
        .all(|coding| coding.eq_ignore_ascii_case(b"identity"));
    // A digest is one of the bytes as they are (RFC 9530), and events are to arrive one by one.
    let is_bound = ["content-range", "content-digest", "repr-digest", "digest"]
        .iter()
        .any(|name| fields.contains(name));
    has_content
        && is_plain
        && !is_bound
        && !fields.get_all("cache-control").any(forbids_transformation)
        && !fields.get("content-type").is_some_and(is_event_stream)
}

fn is_event_stream(media_type: &[u8]) -> bool {
    const EVENTS: &[u8] = b"text/event-stream";
    media_type
        .get(..EVENTS.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(EVENTS))
}

/// RFC 9110 section 7.7.
fn forbids_transformation(cache_control: &[u8]) -> bool {
    cache_control
        .split(|byte| *byte == b',')
        .any(|directive| directive.trim_ascii().eq_ignore_ascii_case(b"no-transform"))
}

fn varies_by_coding(fields: &Fields) -> bool {
    let mut names = fields
        .get_all("vary")
        .flat_map(|value| value.split(|byte| *byte == b','));
    names.any(|name| matches!(name.trim_ascii(), b"*") || name.trim_ascii().eq_ignore_ascii_case(b"accept-encoding"))
}

/// What the head says of a compressed body.
fn mark(fields: &mut Fields, coding: Coding) {
    fields.remove("content-length");
    fields.remove("accept-ranges"); // ranges would be of the plain bytes
    fields.set(&header::CONTENT_ENCODING, &HeaderValue::from_static(coding.as_str()));
    // Other bytes, the same meaning (RFC 9110 section 8.8.1).
    if let Some(tag) = fields.get("etag").filter(|tag| tag.starts_with(b"\""))
        && let Ok(weak) = HeaderValue::from_bytes(&[b"W/", tag].concat())
    {
        fields.set(&header::ETAG, &weak);
    }
}

/// Whether a body has so many bytes, and at least one. Of one of unknown length the beginning is waited for; one that is still
/// undecided after [`AHEAD_BYTES_MAX`] counts as too short.
async fn measure(body: Body, bytes_min: u64) -> Length {
    let bytes_min = bytes_min.max(1);
    if let Some(length) = body.length() {
        return if length >= bytes_min {
            Length::Enough(body)
        } else {
            Length::TooShort(body)
        };
    }
    let mut rest = body;
    let mut ahead = BytesMut::new();
    while (ahead.len() as u64) < bytes_min.min(AHEAD_BYTES_MAX) {
        match next(&mut rest).await {
            Some(Ok(bytes)) => ahead.extend_from_slice(&bytes),
            Some(Err(error)) => return Length::TooShort(Body::stream(Resumed::broken(ahead.freeze(), error))),
            None => return Length::TooShort(Body::from(ahead.freeze())),
        }
    }
    let is_enough = ahead.len() as u64 >= bytes_min;
    let body = Body::stream(Resumed::new(ahead.freeze(), rest));
    if is_enough {
        Length::Enough(body)
    } else {
        Length::TooShort(body)
    }
}

/// The next bytes of a body.
async fn next(body: &mut Body) -> Option<Result<Bytes, BodyError>> {
    loop {
        let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await?;
        match frame.map(http_body::Frame::into_data) {
            Ok(Ok(bytes)) => return Some(Ok(bytes)),
            Ok(Err(_)) => {} // trailers, which are not forwarded
            Err(error) => return Some(Err(error)),
        }
    }
}

#[cfg(test)]
mod tests;
