//! Writing heads and chunks. `HeaderName`, `HeaderValue` and `Method` cannot hold a line break, so none can be injected.
//!
//! Into a `Vec`, whose appending is inlined; that of `BytesMut` is a call for each of the four parts of a field line.

use std::io::Write;

use http::{HeaderName, HeaderValue, Method, StatusCode, Version};

/// What ends a chunked body: the last chunk and an empty trailer section (RFC 9112 section 7.1).
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// `GET /path?query HTTP/1.1` and its line break. `target` is of visible ASCII characters: the caller has seen to that.
pub fn request_line(output: &mut Vec<u8>, method: &Method, target: &str) {
    output.reserve(method.as_str().len() + target.len() + 12);
    output.extend_from_slice(method.as_str().as_bytes());
    output.push(b' ');
    output.extend_from_slice(target.as_bytes());
    output.extend_from_slice(b" HTTP/1.1\r\n");
}

/// `HTTP/1.1 200 OK` and its line break; the reason is empty where RFC 9110 registers none. A server answers HTTP/1.0 with
/// its own version too (RFC 9110 section 6.2), so `version` is HTTP/1.1 in practice.
pub fn status_line(output: &mut Vec<u8>, version: Version, status: StatusCode) {
    let reason = status.canonical_reason().unwrap_or_default();
    output.reserve(15 + reason.len());
    output.extend_from_slice(if version == Version::HTTP_10 {
        b"HTTP/1.0 "
    } else {
        b"HTTP/1.1 "
    });
    output.extend_from_slice(status.as_str().as_bytes());
    output.push(b' ');
    output.extend_from_slice(reason.as_bytes());
    output.extend_from_slice(b"\r\n");
}

/// One field line.
pub fn field(output: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    raw_field(output, name.as_str(), value.as_bytes());
}

/// One field line whose value is text. The caller has seen to it that it holds no control character.
pub(crate) fn text_field(output: &mut Vec<u8>, name: &HeaderName, text: &[u8]) {
    raw_field(output, name.as_str(), text);
}

/// `content-length: 5` and its line break.
pub fn content_length(output: &mut Vec<u8>, bytes: u64) {
    output.extend_from_slice(b"content-length: ");
    decimal(output, bytes);
    output.extend_from_slice(b"\r\n");
}

/// `transfer-encoding: chunked` and its line break.
pub fn chunked(output: &mut Vec<u8>) {
    output.extend_from_slice(b"transfer-encoding: chunked\r\n");
}

/// The empty line that ends a head.
pub fn end_of_head(output: &mut Vec<u8>) {
    output.extend_from_slice(b"\r\n");
}

/// What goes in front of a chunk's data: its size in hexadecimal and a line break. `bytes` is never 0: that would end the body.
pub fn chunk_start(output: &mut Vec<u8>, bytes: usize) {
    debug_assert_ne!(bytes, 0, "an empty chunk ends the body");
    let mut line = [0_u8; 18];
    let mut rest = line.as_mut_slice();
    // 16 digits and the line break fit whatever the size is.
    let written = write!(rest, "{bytes:X}\r\n").map_or(0, |()| 18 - rest.len());
    output.extend_from_slice(&line[..written]);
}

/// What goes behind a chunk's data.
pub fn chunk_end(output: &mut Vec<u8>) {
    output.extend_from_slice(b"\r\n");
}

/// One field line of parts that were checked.
fn raw_field(output: &mut Vec<u8>, name: &str, value: &[u8]) {
    output.reserve(name.len() + value.len() + 4);
    output.extend_from_slice(name.as_bytes());
    output.extend_from_slice(b": ");
    output.extend_from_slice(value);
    output.extend_from_slice(b"\r\n");
}

fn decimal(output: &mut Vec<u8>, number: u64) {
    let mut room = [0; 20];
    output.extend_from_slice(digits(number, &mut room));
}

/// A number in decimal. The largest has 20 digits.
pub(crate) fn digits(mut number: u64, room: &mut [u8; 20]) -> &[u8] {
    let mut start = room.len();
    loop {
        start -= 1;
        room[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    &room[start..]
}
