//! What a request's head must be beyond its grammar: target and `Host` (RFC 9112 section 3.2).

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri, Version, header};

use super::head::{FIELDS_MAX, HeadFault, RequestHead, fields, head_fault, version};

/// Parses a complete head.
pub(super) fn parse(head: &Bytes) -> Result<RequestHead, HeadFault> {
    let mut storage = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let mut parsed = httparse::Request::new(&mut []);
    let status = parsed
        .parse_with_uninit_headers(head, &mut storage)
        .map_err(head_fault)?;
    if status != httparse::Status::Complete(head.len()) {
        return Err(HeadFault::LineMalformed); // httparse saw the head end elsewhere than we did
    }
    let version = version(parsed.version)?;
    let method =
        Method::from_bytes(parsed.method.unwrap_or_default().as_bytes()).map_err(|_| HeadFault::LineMalformed)?;
    let uri = target(head, parsed.path.unwrap_or_default(), &method)?;
    let (headers, noted) = fields(head, parsed.headers)?;
    check_host(&headers, version, &uri)?;
    Ok(RequestHead {
        method,
        uri,
        version,
        headers,
        noted,
    })
}

/// The target in one of the forms of RFC 9112 section 3.2; authority form belongs to CONNECT, which a gateway does not serve.
fn target(head: &Bytes, text: &str, method: &Method) -> Result<Uri, HeadFault> {
    let is_clean = text.bytes().all(|byte| matches!(byte, 0x21..=0x7e) && byte != b'#');
    if !is_clean || *method == Method::CONNECT {
        return Err(HeadFault::TargetMalformed);
    }
    let uri = Uri::from_maybe_shared(head.slice_ref(text.as_bytes())).map_err(|_| HeadFault::TargetMalformed)?;
    let is_served = match text.as_bytes() {
        [b'/', ..] => true,
        b"*" => *method == Method::OPTIONS,
        _ => matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some(),
    };
    if is_served {
        Ok(uri)
    } else {
        Err(HeadFault::TargetMalformed)
    }
}

fn check_host(headers: &HeaderMap, version: Version, uri: &Uri) -> Result<(), HeadFault> {
    let mut values = headers.get_all(header::HOST).iter();
    let Some(host) = values.next() else {
        return if version == Version::HTTP_10 {
            Ok(())
        } else {
            Err(HeadFault::HostMissing)
        };
    };
    if values.next().is_some() {
        return Err(HeadFault::HostRepeated);
    }
    if !is_host(host.as_bytes()) {
        return Err(HeadFault::HostMalformed);
    }
    match uri.authority() {
        Some(authority) if !authority.as_str().as_bytes().eq_ignore_ascii_case(host.as_bytes()) => {
            Err(HeadFault::HostDisagrees)
        }
        _ => Ok(()),
    }
}

/// A host name or address with an optional port. Narrower than RFC 3986's reg-name: no escapes and no sub-delimiters,
/// so that a comma (two values joined by an intermediary) is not taken for a part of a name. May be empty (RFC 9112 section 3.2).
fn is_host(text: &[u8]) -> bool {
    let port = match text {
        [b'[', rest @ ..] => {
            let Some(end) = memchr::memchr(b']', rest) else {
                return false;
            };
            if end == 0
                || !rest[..end]
                    .iter()
                    .all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'))
            {
                return false;
            }
            &rest[end + 1..]
        }
        _ => {
            let end = memchr::memchr(b':', text).unwrap_or(text.len());
            if !text[..end]
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~'))
            {
                return false;
            }
            &text[end..]
        }
    };
    match port {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}
