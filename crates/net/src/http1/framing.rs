//! Where a message's body ends (RFC 9112 section 6), decided from its head alone.

use http::{Method, StatusCode, Version, header};

use super::head::{Noticed, RequestHead, ResponseHead};
use super::lookup::Lookup;

/// How a request's body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestFraming {
    /// There is no body, and none was announced.
    None,
    /// Exactly so many bytes, possibly 0.
    Length(u64),
    /// The chunked transfer coding.
    Chunked,
}

/// How a response's body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseFraming {
    /// There is no body, whatever the fields say: HEAD, 1xx, 204, 304.
    None,
    /// Exactly so many bytes, possibly 0.
    Length(u64),
    /// The chunked transfer coding.
    Chunked,
    /// Everything until the connection ends.
    UntilClose,
}

/// Why a message's framing is refused: two readers could disagree about where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FramingFault {
    /// `Content-Length` beside `Transfer-Encoding` (RFC 9112 section 6.3, item 3).
    #[error("Content-Length and Transfer-Encoding are both present")]
    Ambiguous,
    /// `Content-Length` is not one run of decimal digits that fits 64 bits (RFC 9110 section 8.6). Lists are refused too.
    #[error("Content-Length is malformed")]
    LengthMalformed,
    /// `Content-Length` more than once, even with equal values.
    #[error("Content-Length is given more than once")]
    LengthRepeated,
    /// `Transfer-Encoding` is anything but one `chunked` (RFC 9112 section 6.1).
    #[error("Transfer-Encoding is not exactly `chunked`")]
    CodingUnsupported,
    /// `Transfer-Encoding` in an HTTP/1.0 message (RFC 9112 section 6.1).
    #[error("Transfer-Encoding is not part of HTTP/1.0")]
    CodingTooNew,
}

/// How the body of a request is framed.
pub fn request(version: Version, headers: &impl Lookup) -> Result<RequestFraming, FramingFault> {
    match announced(version, headers)? {
        Announced::Nothing => Ok(RequestFraming::None), // RFC 9112 section 6.3, item 7
        Announced::Length(bytes) => Ok(RequestFraming::Length(bytes)),
        Announced::Chunked => Ok(RequestFraming::Chunked),
    }
}

/// How the body of a response to `method` is framed. The fields are held to the same rules where there is no body.
pub fn response(
    method: &Method,
    status: StatusCode,
    version: Version,
    headers: &impl Lookup,
) -> Result<ResponseFraming, FramingFault> {
    Ok(announced(version, headers)?.of_response(method, status))
}

/// The value of the one `Content-Length`, `None` without one. For HEAD and 304 it tells the length that GET would have had.
pub fn content_length(headers: &impl Lookup) -> Result<Option<u64>, FramingFault> {
    let mut values = headers.values(&header::CONTENT_LENGTH);
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => decimal(value).map(Some),
        (Some(_), Some(_)) => Err(FramingFault::LengthRepeated),
    }
}

/// As [`request`], of a head that was parsed here.
pub(crate) fn of_request(head: &RequestHead) -> Result<RequestFraming, FramingFault> {
    if head.noted.content_length == Noticed::None && !head.noted.transfer_encoding {
        Ok(RequestFraming::None)
    } else {
        request(head.version, &head.headers)
    }
}

/// As [`response`] and [`content_length`], of a head that was parsed here.
pub(crate) fn of_response(
    method: &Method,
    head: &ResponseHead,
) -> Result<(ResponseFraming, Option<u64>), FramingFault> {
    let announced = match (head.noted.transfer_encoding, head.noted.content_length) {
        (true, _) => announced(head.version, &head.fields)?,
        (false, Noticed::None) => Announced::Nothing,
        (false, Noticed::One(length)) => Announced::Length(length?),
        (false, Noticed::Repeated) => return Err(FramingFault::LengthRepeated),
    };
    let length = match announced {
        Announced::Length(bytes) => Some(bytes),
        Announced::Chunked | Announced::Nothing => None,
    };
    Ok((announced.of_response(method, head.status), length))
}

enum Announced {
    Nothing,
    Length(u64),
    Chunked,
}

impl Announced {
    fn of_response(self, method: &Method, status: StatusCode) -> ResponseFraming {
        let is_bodiless = *method == Method::HEAD
            || status.is_informational()
            || status == StatusCode::NO_CONTENT
            || status == StatusCode::NOT_MODIFIED; // RFC 9112 section 6.3, item 1
        match self {
            _ if is_bodiless => ResponseFraming::None,
            Self::Nothing => ResponseFraming::UntilClose, // RFC 9112 section 6.3, item 8
            Self::Length(bytes) => ResponseFraming::Length(bytes),
            Self::Chunked => ResponseFraming::Chunked,
        }
    }
}

fn announced(version: Version, headers: &impl Lookup) -> Result<Announced, FramingFault> {
    let length = content_length(headers)?;
    let mut codings = headers.values(&header::TRANSFER_ENCODING);
    let Some(coding) = codings.next() else {
        return Ok(length.map_or(Announced::Nothing, Announced::Length));
    };
    if length.is_some() {
        return Err(FramingFault::Ambiguous);
    }
    if version == Version::HTTP_10 {
        return Err(FramingFault::CodingTooNew);
    }
    if codings.next().is_some() || !coding.eq_ignore_ascii_case(b"chunked") {
        return Err(FramingFault::CodingUnsupported);
    }
    Ok(Announced::Chunked)
}

/// Digits and nothing else: `str::parse` would take `+5`.
pub(super) fn decimal(digits: &[u8]) -> Result<u64, FramingFault> {
    let add = |number: u64, byte: &u8| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        number.checked_mul(10)?.checked_add(digit.into())
    };
    let number = digits.iter().try_fold(0, add).filter(|_| !digits.is_empty());
    number.ok_or(FramingFault::LengthMalformed)
}
