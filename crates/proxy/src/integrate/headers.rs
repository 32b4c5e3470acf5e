//! Which header fields cross the gateway, in both directions.
//!
//! Amazon's rules for `http_proxy` with two deliberate differences: what would corrupt a body is not dropped
//! (`Content-Encoding`, which Amazon drops from requests), and `WWW-Authenticate` comes back under its own name, for OAuth
//! clients look for it there.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use portcullis_template::mapping::Action;

use crate::Rejection;

/// What becomes of a caller's field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It goes on.
    Pass,
    /// It ends here.
    Drop,
    /// It ends here, for the gateway writes its own; what it said may go into that.
    Replace(Replaced),
}

/// A field that the gateway writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replaced {
    ApiId,
    ForwardedFor,
    ForwardedPort,
    ForwardedProto,
    TraceId,
}

/// What becomes of a field of a request.
pub(super) fn request_fate(name: &HeaderName) -> Fate {
    match *name {
        // Hop by hop (RFC 9110 section 7.6.1). Framing and Host are the client's own work towards the origin.
        header::CONNECTION | header::TE | header::TRAILER | header::TRANSFER_ENCODING | header::UPGRADE => Fate::Drop,
        header::CONTENT_LENGTH | header::HOST => Fate::Drop,
        // Amazon's list.
        header::EXPECT | header::MAX_FORWARDS | header::PROXY_AUTHENTICATE | header::SERVER => Fate::Drop,
        header::VIA | header::WWW_AUTHENTICATE => Fate::Drop,
        // Meant for a proxy, and this is one (RFC 9110 section 11.7.2).
        header::PROXY_AUTHORIZATION => Fate::Drop,
        _ => match name.as_str() {
            "keep-alive" | "proxy-connection" | "content-md5" => Fate::Drop,
            "x-amzn-apigateway-api-id" => Fate::Replace(Replaced::ApiId),
            "x-amzn-trace-id" => Fate::Replace(Replaced::TraceId),
            "x-forwarded-for" => Fate::Replace(Replaced::ForwardedFor),
            "x-forwarded-port" => Fate::Replace(Replaced::ForwardedPort),
            "x-forwarded-proto" => Fate::Replace(Replaced::ForwardedProto),
            _ => Fate::Pass,
        },
    }
}

/// Removes or renames from an answer what is between the origin and this gateway only.
pub(super) fn strip_response(headers: &mut HeaderMap) {
    let listed = listed(headers);
    let is_repeated = headers.len() != headers.keys_len();
    // Few fields go, and each look is a few comparisons: no list is made of them.
    while let Some((name, renamed)) = headers.keys().find_map(going) {
        let others: Vec<HeaderValue> = match renamed {
            Some(_) if is_repeated => headers.get_all(&name).iter().skip(1).cloned().collect(),
            _ => Vec::new(),
        };
        let first = headers.remove(&name);
        if let Some(renamed) = renamed {
            for value in first.into_iter().chain(others) {
                headers.append(renamed, value);
            }
        }
    }
    for name in listed {
        headers.remove(&name);
    }
}

/// The field, if it does not come back as it is, and the name that it comes back under, if it does at all.
fn going(name: &HeaderName) -> Option<(HeaderName, Option<&'static HeaderName>)> {
    let renamed = match *name {
        header::CONNECTION | header::TE | header::TRAILER | header::TRANSFER_ENCODING | header::UPGRADE => None,
        header::EXPECT | header::HOST | header::PROXY_AUTHENTICATE | header::VIA => None,
        header::AUTHORIZATION => Some(&REMAPPED_AUTHORIZATION),
        header::DATE => Some(&REMAPPED_DATE),
        header::MAX_FORWARDS => Some(&REMAPPED_MAX_FORWARDS),
        header::SERVER => Some(&REMAPPED_SERVER),
        header::USER_AGENT => Some(&REMAPPED_USER_AGENT),
        _ => match name.as_str() {
            "keep-alive" | "proxy-connection" => None,
            "content-md5" => Some(&REMAPPED_CONTENT_MD5),
            "x-amzn-requestid" => Some(&REMAPPED_REQUEST_ID),
            _ => return None,
        },
    };
    Some((name.clone(), renamed))
}

// Names of an origin's fields that the gateway has its own idea of.
static REMAPPED_AUTHORIZATION: HeaderName = HeaderName::from_static("x-amzn-remapped-authorization");
static REMAPPED_CONTENT_MD5: HeaderName = HeaderName::from_static("x-amzn-remapped-content-md5");
static REMAPPED_DATE: HeaderName = HeaderName::from_static("x-amzn-remapped-date");
static REMAPPED_MAX_FORWARDS: HeaderName = HeaderName::from_static("x-amzn-remapped-max-forwards");
static REMAPPED_REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-remapped-x-amzn-requestid");
static REMAPPED_SERVER: HeaderName = HeaderName::from_static("x-amzn-remapped-server");
static REMAPPED_USER_AGENT: HeaderName = HeaderName::from_static("x-amzn-remapped-user-agent");

/// What `Connection` mostly says; it names no field that would not go anyway.
fn is_about_the_connection_itself(value: &[u8]) -> bool {
    value.eq_ignore_ascii_case(b"keep-alive") || value.eq_ignore_ascii_case(b"close")
}

/// The fields that `Connection` lists as the hop's own (RFC 9110 section 7.6.1).
pub(super) fn listed(headers: &HeaderMap) -> Vec<HeaderName> {
    headers
        .get_all(header::CONNECTION)
        .iter()
        .filter(|value| !is_about_the_connection_itself(value.as_bytes()))
        .flat_map(|value| value.to_str().unwrap_or_default().split(',').map(str::trim))
        .filter_map(|option| HeaderName::try_from(option).ok())
        .filter(may_be_listed)
        .collect()
}

/// Applies one mapping. The name and value come from a document and a request: they need not be ones that can be sent.
pub(super) fn apply(fields: &mut HeaderMap, name: &str, action: Action, value: Option<&str>) -> Result<(), Rejection> {
    let failed = |_| Rejection::MappingFailed("a mapped header's name or value cannot be sent".to_owned());
    let name = HeaderName::try_from(name).map_err(|_| failed(()))?;
    let value = value
        .map(|value| HeaderValue::try_from(value).map_err(|_| failed(())))
        .transpose()?;
    match (action, value) {
        (Action::Remove, _) => {
            fields.remove(name);
        }
        (Action::Overwrite | Action::Append, None) => {}
        (Action::Overwrite, Some(value)) => {
            fields.insert(name, value);
        }
        (Action::Append, Some(value)) => {
            fields.append(name, value);
        }
    }
    Ok(())
}

/// RFC 6455 section 4.1. Other protocols are not tunnelled: nobody here could say what passes.
pub(super) fn is_web_socket(fields: &HeaderMap) -> bool {
    let asks = |name: HeaderName, wanted: &str| {
        let values = fields.get_all(name);
        let mut tokens = values
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','));
        tokens.any(|token| token.trim().eq_ignore_ascii_case(wanted))
    };
    asks(header::UPGRADE, "websocket") && asks(header::CONNECTION, "upgrade")
}

/// `Connection: close, authorization` must not take the caller's credentials or our own fields off the request: only a
/// field that is the hop's own business may be listed.
fn may_be_listed(name: &HeaderName) -> bool {
    !matches!(
        name.as_str(),
        "authorization"
            | "cookie"
            | "content-type"
            | "content-encoding"
            | "cache-control"
            | "accept"
            | "user-agent"
            | "x-forwarded-for"
            | "x-forwarded-proto"
            | "x-forwarded-port"
            | "x-amzn-trace-id"
            | "forwarded"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strip_request(headers: &mut HeaderMap) {
        let listed = listed(headers);
        let kept = headers
            .iter()
            .filter(|(name, _)| request_fate(name) == Fate::Pass && !listed.contains(name));
        *headers = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
    }

    fn check(strip: fn(&mut HeaderMap), given: &[(&str, &str)], expected: &[(&str, &str)]) {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(
                HeaderName::try_from(*name).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        strip(&mut headers);
        let mut left: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        left.sort_unstable();
        assert_eq!(left, expected, "{given:?}");
    }

    #[test]
    fn requests_lose_what_is_hop_by_hop() {
        check(
            strip_request,
            &[
                ("Connection", "close, X-Hop, authorization"),
                ("X-Hop", "1"),
                ("Authorization", "Bearer x"),
                ("Content-Encoding", "gzip"),
                ("Content-MD5", "x"),
                ("Content-Length", "3"),
                ("Expect", "100-continue"),
                ("Host", "a"),
                ("Keep-Alive", "timeout=5"),
                ("Proxy-Authorization", "Basic x"),
                ("TE", "trailers"),
                ("Trailer", "x"),
                ("Upgrade", "h2c"),
                ("Via", "1.1 x"),
                ("Accept", "*/*"),
                ("Accept", "text/html"),
            ],
            &[
                ("accept", "*/*"),
                ("accept", "text/html"),
                ("authorization", "Bearer x"),
                ("content-encoding", "gzip"),
            ],
        );
    }

    #[test]
    fn answers_keep_their_body_and_lose_the_origin_s_own() {
        check(
            strip_response,
            &[
                ("Connection", "keep-alive"),
                ("Content-Encoding", "gzip"),
                ("Content-Type", "text/plain"),
                ("Date", "x"),
                ("Server", "origin"),
                ("Set-Cookie", "a=1"),
                ("Set-Cookie", "b=2"),
                ("Via", "x"),
                ("WWW-Authenticate", "Bearer"),
                ("x-amzn-RequestId", "1"),
            ],
            &[
                ("content-encoding", "gzip"),
                ("content-type", "text/plain"),
                ("set-cookie", "a=1"),
                ("set-cookie", "b=2"),
                ("www-authenticate", "Bearer"),
                ("x-amzn-remapped-date", "x"),
                ("x-amzn-remapped-server", "origin"),
                ("x-amzn-remapped-x-amzn-requestid", "1"),
            ],
        );
    }
}
