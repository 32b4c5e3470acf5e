//! A request as an origin received it.

use std::io::{self, Read};

/// The most that an origin reads of one request's head.
const HEAD_BYTES_MAX: usize = 1 << 20;
/// The most that an origin reads of one request's body, far above the gateway's own limit.
const BODY_BYTES_MAX: usize = 64 << 20;

/// A request as it came over the wire: nothing decoded, nothing reordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Which connection it came on, counted from 0 in the order of acceptance.
    pub connection: usize,
    /// Request line and header lines with their line ends, without the empty line.
    pub head: String,
    /// The body as framed (chunked bodies with their chunk lines).
    pub body: Vec<u8>,
}

// === impl Received ===

impl Received {
    /// The request line, without its line end: `GET /a HTTP/1.1`.
    pub fn request_line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// The values of a header field, in order, whatever the case of its name.
    pub fn header_values(&self, name: &str) -> Vec<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        fields
            .filter(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .collect()
    }

    /// The only value of a header field; `None` when it is absent or repeated.
    pub fn header(&self, name: &str) -> Option<&str> {
        match self.header_values(name)[..] {
            [value] => Some(value),
            _ => None,
        }
    }
}

/// Reads one request; `None` at a clean end of the connection. What was read past it stays in `buffer`.
///
/// # Errors
/// The connection failed or ended inside a request, its framing is broken, or it is over 1 MiB of head or 64 MiB of body.
pub fn read_request(from: &mut impl Read, buffer: &mut Vec<u8>, connection: usize) -> io::Result<Option<Received>> {
    let head_end = loop {
        if let Some(end) = find(buffer, b"\r\n\r\n") {
            break end;
        }
        if buffer.len() > HEAD_BYTES_MAX {
            return Err(io::Error::other("a request head without an end"));
        }
        if !fill(from, buffer)? {
            return if buffer.is_empty() {
                Ok(None)
            } else {
                Err(io::ErrorKind::UnexpectedEof.into())
            };
        }
    };
    let head = String::from_utf8_lossy(&buffer[..head_end + 2]).into_owned();
    buffer.drain(..head_end + 4);
    let mut received = Received {
        connection,
        head,
        body: Vec::new(),
    };
    received.body = read_body(from, buffer, &received)?;
    Ok(Some(received))
}

fn read_body(from: &mut impl Read, buffer: &mut Vec<u8>, request: &Received) -> io::Result<Vec<u8>> {
    if request
        .header_values("transfer-encoding")
        .iter()
        .any(|value| value.eq_ignore_ascii_case("chunked"))
    {
        return read_chunked(from, buffer);
    }
    let length = request
        .header("content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    if length > BODY_BYTES_MAX {
        return Err(io::Error::other("a body over the limit"));
    }
    take(from, buffer, length)
}

/// A chunked body as framed, up to and with its final empty line (RFC 9112 section 7.1).
fn read_chunked(from: &mut impl Read, buffer: &mut Vec<u8>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = take_line(from, buffer)?;
        let digits = String::from_utf8_lossy(&line);
        let digits = digits.trim_end().split(';').next().unwrap_or_default().to_owned();
        let length = usize::from_str_radix(&digits, 16).map_err(|_| io::Error::other("a bad chunk length"))?;
        body.extend(line);
        if body.len().saturating_add(length) > BODY_BYTES_MAX {
            return Err(io::Error::other("a body without an end"));
        }
        if length == 0 {
            break;
        }
        body.extend(take(from, buffer, length + 2)?);
    }
    loop {
        let line = take_line(from, buffer)?; // trailer fields, then the empty line
        let last = line == b"\r\n";
        body.extend(line);
        if last {
            return Ok(body);
        }
    }
}

fn take_line(from: &mut impl Read, buffer: &mut Vec<u8>) -> io::Result<Vec<u8>> {
    loop {
        if let Some(end) = find(buffer, b"\r\n") {
            return Ok(buffer.drain(..end + 2).collect());
        }
        if !fill(from, buffer)? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn take(from: &mut impl Read, buffer: &mut Vec<u8>, length: usize) -> io::Result<Vec<u8>> {
    while buffer.len() < length {
        if !fill(from, buffer)? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(buffer.drain(..length).collect())
}

/// Reads once more into `buffer`; `false` at the end.
fn fill(from: &mut impl Read, buffer: &mut Vec<u8>) -> io::Result<bool> {
    let mut chunk = [0; 16 * 1024];
    let length = from.read(&mut chunk)?;
    buffer.extend_from_slice(&chunk[..length]);
    Ok(length > 0)
}

/// Where `needle` starts; a search again from the start after each read is quadratic, which a test can afford.
fn find(buffer: &[u8], needle: &[u8]) -> Option<usize> {
    buffer.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads all requests of `wire`, which arrives one byte at a time.
    fn check(wire: &[u8], expected: &[(&str, &[u8])]) {
        struct Trickle<'a>(&'a [u8]);
        impl Read for Trickle<'_> {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                let Some((first, rest)) = self.0.split_first() else {
                    return Ok(0);
                };
                into[0] = *first;
                self.0 = rest;
                Ok(1)
            }
        }
        let (mut from, mut buffer, mut seen) = (Trickle(wire), Vec::new(), Vec::new());
        while let Some(request) = read_request(&mut from, &mut buffer, 0).unwrap() {
            seen.push((request.request_line().to_owned(), request.body));
        }
        let expected: Vec<_> = expected
            .iter()
            .map(|(line, body)| ((*line).to_owned(), body.to_vec()))
            .collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn reads_each_framing() {
        check(b"", &[]);
        check(
            b"GET /a HTTP/1.1\r\nHost: x\r\n\r\nPOST /b HTTP/1.1\r\ncontent-length: 2\r\n\r\nhi",
            &[("GET /a HTTP/1.1", b""), ("POST /b HTTP/1.1", b"hi")],
        );
        check(
            b"POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhi\r\n0\r\nT: 1\r\n\r\nGET /d HTTP/1.1\r\n\r\n",
            &[("POST /c HTTP/1.1", b"2;x=y\r\nhi\r\n0\r\nT: 1\r\n\r\n"), ("GET /d HTTP/1.1", b"")],
        );
    }

    #[test]
    fn a_cut_request_is_an_error() {
        let mut buffer = Vec::new();
        assert!(read_request(&mut &b"GET / HTT"[..], &mut buffer, 0).is_err());
    }
}
