//! Which answers may be kept.

use http::{HeaderName, header};
use portcullis_model::cache::{CacheSettings, ENTRY_BYTES_MAX};
use portcullis_net::{Body, Reply};

/// The media type of server-sent events, which never end.
const EVENTS: &[u8] = b"text/event-stream";

/// Whether an answer may be kept, or why not. `held` are the headers that the key holds.
///
/// `Cache-Control` of an origin is not looked at: what is kept, and for how long, is the stage's to say (Amazon's rule).
pub(super) fn check(reply: &Reply, settings: &CacheSettings, held: &[HeaderName]) -> Result<(), &'static str> {
    let fields = &reply.fields;
    if !settings.statuses.contains(&reply.status.as_u16()) {
        return Err("its status is not one that is kept");
    }
    if fields.contains(header::SET_COOKIE.as_str()) && !settings.store_set_cookie {
        return Err("it sets a cookie, which is for one caller");
    }
    if fields.contains(header::CONTENT_RANGE.as_str()) {
        return Err("it is a part");
    }
    if fields.contains(header::CONTENT_ENCODING.as_str()) && !held.contains(&header::ACCEPT_ENCODING) {
        return Err("it is encoded, and the key does not hold Accept-Encoding");
    }
    let mut varies = fields
        .get_all(header::VARY.as_str())
        .flat_map(|value| std::str::from_utf8(value).unwrap_or("*").split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty());
    if varies.any(|name| !is_held(name, held)) {
        return Err("it varies by a header that the key does not hold");
    }
    let media_type = fields.get(header::CONTENT_TYPE.as_str()).unwrap_or_default();
    let is_stream = media_type
        .get(..EVENTS.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(EVENTS));
    if is_stream {
        return Err("it is a stream of events");
    }
    match &reply.body {
        Body::Empty | Body::Full(_) | Body::Upstream(_) => {}
        Body::Stream(_) | Body::Tunnel(_) => return Err("it is a stream"),
    }
    if reply.body.length().is_some_and(|bytes| bytes > ENTRY_BYTES_MAX as u64) {
        return Err("it is larger than 1 MiB");
    }
    if let Body::Upstream(body) = &reply.body
        && body.ends_with_connection()
    {
        return Err("only the connection's end would tell whether it is whole");
    }
    Ok(())
}

/// Whether an answer that varies by this header is the same for all who share a key. The origin is never sent
/// `Accept-Encoding` unless the key holds it, so that all get what has no coding.
fn is_held(name: &str, held: &[HeaderName]) -> bool {
    name.eq_ignore_ascii_case("accept-encoding") || held.iter().any(|known| known.as_str().eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderValue, StatusCode};

    use super::*;

    #[test]
    fn what_is_one_callers_is_not_kept() {
        let held = [HeaderName::from_static("x-tenant")];
        let check = |status: u16, headers: &[(&'static str, &'static str)], expected: Option<&str>| {
            let mut reply = Reply::new(StatusCode::from_u16(status).unwrap(), Bytes::from_static(b"body"));
            for (name, value) in headers {
                let (name, value) = (HeaderName::from_static(name), HeaderValue::from_static(value));
                reply.fields.push(&name, &value);
            }
            let result = check(&reply, &CacheSettings::default(), &held);
            assert_eq!(result.err(), expected, "{status} {headers:?}");
        };
        check(200, &[], None);
        check(
            200,
            &[("cache-control", "no-store"), ("content-type", "text/html")],
            None,
        );
        check(404, &[], Some("its status is not one that is kept"));
        check(206, &[], Some("its status is not one that is kept"));
        check(200, &[("content-range", "bytes 0-1/2")], Some("it is a part"));
        check(
            200,
            &[("set-cookie", "a=1")],
            Some("it sets a cookie, which is for one caller"),
        );
        let encoded = "it is encoded, and the key does not hold Accept-Encoding";
        check(200, &[("content-encoding", "br")], Some(encoded));
        let varies = "it varies by a header that the key does not hold";
        check(200, &[("vary", "*")], Some(varies));
        check(200, &[("vary", "Origin")], Some(varies));
        check(
            200,
            &[("vary", "x-tenant"), ("vary", "accept-encoding, origin")],
            Some(varies),
        );
        check(200, &[("vary", "X-Tenant, Accept-Encoding,")], None);
        check(
            200,
            &[("content-type", "text/event-stream;charset=utf-8")],
            Some("it is a stream of events"),
        );
    }

    #[test]
    fn a_body_that_is_too_large_is_not_kept() {
        let check = |bytes: usize| {
            let reply = Reply::new(StatusCode::OK, Bytes::from(vec![0; bytes]));
            check(&reply, &CacheSettings::default(), &[])
        };
        assert_eq!(check(ENTRY_BYTES_MAX), Ok(()));
        assert_eq!(check(ENTRY_BYTES_MAX + 1), Err("it is larger than 1 MiB"));
    }
}
