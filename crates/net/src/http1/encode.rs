//! Writing heads and chunks. `HeaderName`, `HeaderValue` and `Method` cannot hold a line break, so none can be injected.

use std::io::Write;

use bytes::{BufMut, BytesMut};
use http::{HeaderName, HeaderValue, Method, StatusCode, Version};

/// What ends a chunked body: the last chunk and an empty trailer section (RFC 9112 section 7.1).
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// `GET /path?query HTTP/1.1` and its line break. `target` is of visible ASCII characters: the caller has seen to that.
pub fn request_line(output: &mut BytesMut, method: &Method, target: &str) {
    output.reserve(method.as_str().len() + target.len() + 12);
    output.put_slice(method.as_str().as_bytes());
    output.put_u8(b' ');
    output.put_slice(target.as_bytes());
    output.put_slice(b" HTTP/1.1\r\n");
}

/// `HTTP/1.1 200 OK` and its line break; the reason is empty where RFC 9110 registers none. A server answers HTTP/1.0 with
/// its own version too (RFC 9110 section 6.2), so `version` is HTTP/1.1 in practice.
pub fn status_line(output: &mut BytesMut, version: Version, status: StatusCode) {
    let reason = status.canonical_reason().unwrap_or_default();
    output.reserve(15 + reason.len());
    output.put_slice(if version == Version::HTTP_10 {
        b"HTTP/1.0 "
    } else {
        b"HTTP/1.1 "
    });
    output.put_slice(status.as_str().as_bytes());
    output.put_u8(b' ');
    output.put_slice(reason.as_bytes());
    output.put_slice(b"\r\n");
}

/// One field line.
pub fn field(output: &mut BytesMut, name: &HeaderName, value: &HeaderValue) {
    raw_field(output, name.as_str(), value.as_bytes());
}

/// `content-length: 5` and its line break.
pub fn content_length(output: &mut BytesMut, bytes: u64) {
    output.put_slice(b"content-length: ");
    decimal(output, bytes);
    output.put_slice(b"\r\n");
}

/// `transfer-encoding: chunked` and its line break.
pub fn chunked(output: &mut BytesMut) {
    output.put_slice(b"transfer-encoding: chunked\r\n");
}

/// The empty line that ends a head.
pub fn end_of_head(output: &mut BytesMut) {
    output.put_slice(b"\r\n");
}

/// What goes in front of a chunk's data: its size in hexadecimal and a line break. `bytes` is never 0: that would end the body.
pub fn chunk_start(output: &mut BytesMut, bytes: usize) {
    debug_assert_ne!(bytes, 0, "an empty chunk ends the body");
    let mut line = [0_u8; 18];
    let mut rest = line.as_mut_slice();
    // 16 digits and the line break fit whatever the size is.
    let written = write!(rest, "{bytes:X}\r\n").map_or(0, |()| 18 - rest.len());
    output.put_slice(&line[..written]);
}

/// What goes behind a chunk's data.
pub fn chunk_end(output: &mut BytesMut) {
    output.put_slice(b"\r\n");
}

fn raw_field(output: &mut BytesMut, name: &str, value: &[u8]) {
    output.reserve(name.len() + value.len() + 4);
    output.put_slice(name.as_bytes());
    output.put_slice(b": ");
    output.put_slice(value);
    output.put_slice(b"\r\n");
}

fn decimal(output: &mut BytesMut, mut number: u64) {
    let mut digits = [0_u8; 20]; // u64::MAX has 20
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    output.put_slice(&digits[start..]);
}
