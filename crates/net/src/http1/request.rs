//! What a request's head must be beyond its grammar: target and `Host` (RFC 9112 section 3.2).

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version, header};

use super::head::{HeadFault, Noted, RequestHead};
use super::line::{Lines, split_head, token_bytes, version};
use crate::fields::Kind;

/// Room in a map of fields for those that most requests have.
const FIELDS_USUAL: usize = 12;

/// Parses a complete head.
pub(super) fn parse(head: &Bytes) -> Result<RequestHead, HeadFault> {
    let (line, lines) = split_head(head)?;
    let method_bytes = token_bytes(line);
    let (Some(b' '), 1..) = (line.get(method_bytes), method_bytes) else {
        return Err(HeadFault::LineMalformed);
    };
    let rest = &line[method_bytes + 1..];
    let Some(target_bytes @ 1..) = memchr::memchr(b' ', rest) else {
        return Err(HeadFault::LineMalformed);
    };
    let version = version(&rest[target_bytes + 1..])?;
    let method = Method::from_bytes(&line[..method_bytes]).map_err(|_| HeadFault::LineMalformed)?;
    let uri = target(head, &rest[..target_bytes], &method)?;
    let (headers, noted) = fields(head, lines)?;
    check_host(&headers, version, &uri)?;
    Ok(RequestHead {
        method,
        uri,
        version,
        headers,
        noted,
    })
}

/// The fields as a map whose values are slices of `head`.
fn fields(head: &Bytes, lines: Lines<'_>) -> Result<(HeaderMap, Noted), HeadFault> {
    let mut headers = HeaderMap::with_capacity(FIELDS_USUAL);
    let mut noted = Noted::default();
    for field in lines {
        let field = field?;
        let name = &field.line[..field.name_bytes];
        noted.note(Kind::of(name), field.value);
        let name = HeaderName::from_bytes(name).map_err(|_| HeadFault::FieldMalformed)?;
        let value =
            HeaderValue::from_maybe_shared(head.slice_ref(field.value)).map_err(|_| HeadFault::FieldMalformed)?;
        headers.try_append(name, value).map_err(|_| HeadFault::FieldsTooMany)?;
    }
    Ok((headers, noted))
}

/// The target in one of the forms of RFC 9112 section 3.2; authority form belongs to CONNECT, which a gateway does not serve.
fn target(head: &Bytes, text: &[u8], method: &Method) -> Result<Uri, HeadFault> {
    if !is_clean(text) || *method == Method::CONNECT {
        return Err(HeadFault::TargetMalformed);
    }
    let uri = Uri::from_maybe_shared(head.slice_ref(text)).map_err(|_| HeadFault::TargetMalformed)?;
    let is_served = match text {
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

/// Whether `text` is a target as HTTP/2 has it: origin form, or `*` with OPTIONS.
pub(crate) fn is_target(text: &[u8], method: &Method) -> bool {
    let is_served = match text {
        [b'/', ..] => *method != Method::CONNECT,
        _ => text == b"*" && *method == Method::OPTIONS,
    };
    is_served && is_clean(text)
}

/// Printable ASCII and no fragment: everything else must be escaped. Looks at every byte, so that the compiler looks at many at once.
fn is_clean(text: &[u8]) -> bool {
    text.iter().fold(true, |so_far, byte| {
        so_far & matches!(byte, 0x21..=0x7e) & (*byte != b'#')
    })
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
pub(crate) fn is_host(text: &[u8]) -> bool {
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
