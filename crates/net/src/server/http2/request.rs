//! An HTTP/2 request as the handler knows requests: the same form, limits and refusals as over HTTP/1.1.
//!
//! `h2` has refused already what RFC 9113 section 8 calls malformed (stream error): pseudo-fields that are missing, repeated or
//! behind others, names in upper case, fields of the connection, `te` other than `trailers`, lengths that disagree with the body.
//! What is left is what matters once the request is written down again as HTTP/1.1.

use http::header::{self, Entry};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version};

use crate::http1::head::FIELDS_MAX;
use crate::http1::{HeadFault, HeadLimits, framing, request};
use crate::server::handler::Fault;

/// What HTTP/1.1's request line has beside method and target: two spaces and the version.
const LINE_BYTES_MORE: usize = 10;
/// What a line of a field has beside name and value: colon, space, CR and LF.
const FIELD_BYTES_MORE: usize = 4;

/// Checks a head and brings it into the form that HTTP/1.1 requests have: `Host` in the fields, the target in origin form, cookies
/// in one field. Gives the length that the body is announced with.
pub(super) fn read<B>(request: &mut Request<B>, limits: HeadLimits) -> Result<Option<u64>, Fault> {
    let (authority, target) = target(request.method(), request.uri())?;
    if request.method().as_str().len() + target.to_string().len() + LINE_BYTES_MORE > limits.line_bytes_max {
        return Err(Fault::Head(HeadFault::LineTooLong));
    }
    let headers = request.headers_mut();
    check_fields(headers, limits)?;
    set_host(headers, authority)?;
    join_cookies(headers)?;
    if headers.contains_key(header::TRANSFER_ENCODING) || headers.contains_key(header::CONNECTION) {
        return Err(Fault::Head(HeadFault::FieldMalformed));
    }
    let length = framing::content_length(headers)?;
    *request.uri_mut() = target;
    *request.version_mut() = Version::HTTP_2;
    Ok(length)
}

/// The authority, if there is one, and the target in origin form or `*`.
fn target(method: &Method, uri: &Uri) -> Result<(Option<HeaderValue>, Uri), Fault> {
    let malformed = || Fault::Head(HeadFault::TargetMalformed);
    if let Some(scheme) = uri.scheme_str()
        && !matches!(scheme, "http" | "https")
    {
        return Err(malformed());
    }
    let path = uri.path_and_query().ok_or_else(malformed)?;
    if !request::is_target(path.as_str().as_bytes(), method) {
        return Err(malformed());
    }
    let authority = uri
        .authority()
        .map(|authority| HeaderValue::from_str(authority.as_str()));
    let authority = authority
        .transpose()
        .map_err(|_| Fault::Head(HeadFault::HostMalformed))?;
    Ok((authority, Uri::from(path.clone())))
}

fn check_fields(headers: &HeaderMap, limits: HeadLimits) -> Result<(), Fault> {
    let mut bytes = 2; // the empty line
    for (name, value) in headers {
        let value = value.as_bytes();
        if let ([b' ' | b'\t', ..], _) | (_, [.., b' ' | b'\t']) = (value, value) {
            return Err(Fault::Head(HeadFault::FieldMalformed)); // RFC 9113 section 8.2.1
        }
        bytes += name.as_str().len() + value.len() + FIELD_BYTES_MORE;
    }
    if bytes > limits.fields_bytes_max {
        return Err(Fault::Head(HeadFault::FieldsTooLarge));
    }
    if headers.len() > FIELDS_MAX {
        return Err(Fault::Head(HeadFault::FieldsTooMany));
    }
    Ok(())
}

/// `:authority` and `Host` must name the same host (RFC 9113 section 8.3.1), and one of them must be there.
fn set_host(headers: &mut HeaderMap, authority: Option<HeaderValue>) -> Result<(), Fault> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next(), authority) {
        (Some(_), Some(_), _) => return Err(Fault::Head(HeadFault::HostRepeated)),
        (Some(host), None, Some(authority)) if !host.as_bytes().eq_ignore_ascii_case(authority.as_bytes()) => {
            return Err(Fault::Head(HeadFault::HostDisagrees));
        }
        (Some(host), None, None) => host.clone(),
        (_, _, Some(authority)) => authority,
        (None, _, None) => return Err(Fault::Head(HeadFault::HostMissing)),
    };
    if !request::is_host(host.as_bytes()) {
        return Err(Fault::Head(HeadFault::HostMalformed));
    }
    headers.insert(header::HOST, host);
    Ok(())
}

/// One field for all crumbs: HTTP/1.1 knows no others (RFC 9113 section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) -> Result<(), Fault> {
    let Entry::Occupied(mut entry) = headers.entry(header::COOKIE) else {
        return Ok(());
    };
    if entry.iter().nth(1).is_none() {
        return Ok(());
    }
    let crumbs: Vec<&[u8]> = entry.iter().map(HeaderValue::as_bytes).collect();
    let joined = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])).map_err(|_| HeadFault::FieldMalformed)?;
    entry.insert(joined);
    Ok(())
}
