//! Writing a request's head.

use http::{Method, header};

use super::call::Call;
use super::field_lines::is_ours;
use super::origin::Origin;
use crate::http1::{RequestFraming, encode};

/// Writes the head of `call`. `None` when its target cannot be written on a request line.
pub(super) fn write(output: &mut Vec<u8>, origin: &Origin, call: &Call, framing: RequestFraming) -> Option<()> {
    let target = call.target.as_str();
    // PathAndQuery also takes bytes over 0x7F, which RFC 9112 section 3.2 has no place for.
    let is_writable = target.starts_with('/') || target == "*";
    if !is_writable || !target.bytes().all(|byte| matches!(byte, 0x21..=0x7e)) || call.method == Method::CONNECT {
        return None;
    }
    encode::request_line(output, &call.method, target);
    encode::field(output, &header::HOST, call.host.as_ref().unwrap_or(origin.authority()));
    for (name, value) in &call.headers {
        if !is_ours(name) || (call.upgrade && *name == header::UPGRADE) {
            encode::field(output, name, value);
        }
    }
    output.extend_from_slice(call.lines.as_bytes());
    match framing {
        RequestFraming::Length(bytes) => encode::content_length(output, bytes),
        RequestFraming::Chunked => encode::chunked(output),
        RequestFraming::None => {}
    }
    if call.upgrade {
        output.extend_from_slice(b"connection: upgrade\r\n"); // RFC 9110 section 7.8
    }
    encode::end_of_head(output);
    Some(())
}

/// How the body of `call` is framed. An empty body is announced only where the method makes one expected (RFC 9110 section 8.6).
pub(super) fn framing(call: &Call) -> RequestFraming {
    // What the body itself knows is true; what the caller says may only fill in for it.
    match call.body.length().or(call.body_length) {
        Some(0) if !matches!(call.method, Method::POST | Method::PUT | Method::PATCH) => RequestFraming::None,
        Some(bytes) => RequestFraming::Length(bytes),
        None => RequestFraming::Chunked,
    }
}
