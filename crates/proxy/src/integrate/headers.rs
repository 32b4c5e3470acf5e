//! Which header fields cross the gateway, in both directions.
//!
//! Amazon's rules for `http_proxy` with two deliberate differences: what would corrupt a body is not dropped
//! (`Content-Encoding`, which Amazon drops from requests), and `WWW-Authenticate` comes back under its own name, for OAuth
//! clients look for it there.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use portcullis_net::{Field, Fields};
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

/// Room for what the gateway adds to an answer: renamed fields and its ids.
const OWN_BYTES: usize = 192;

/// What of an answer goes back: without what is between the origin and this gateway only, or renamed.
pub(super) fn strip_response(came: &Fields) -> Fields {
    let mut kept = Fields::with_capacity(came.size() + OWN_BYTES);
    let mut options = Vec::new();
    for field in came.iter() {
        match going(&field) {
            Going::Through => kept.push_field(field, None),
            Going::Under(name) => kept.push_field(field, Some(name)),
            Going::Nowhere => {}
            Going::Connection if is_about_the_connection_itself(field.value()) => {}
            Going::Connection => options.push(field.value()),
        }
    }
    for name in options.into_iter().flat_map(listed_names) {
        kept.remove(name.as_str());
    }
    kept
}

/// How a field of an answer comes back.
enum Going {
    Through,
    Under(&'static HeaderName),
    Nowhere,
    /// Not at all, but it may name others.
    Connection,
}

/// By the length of its name first: few names have the same.
fn going(field: &Field<'_>) -> Going {
    let is = |name: &HeaderName| field.is(name.as_str());
    let drop_if = |is_it: bool| if is_it { Going::Nowhere } else { Going::Through };
    let rename_if = |is_it: bool, to| if is_it { Going::Under(to) } else { Going::Through };
    match field.name().len() {
        2 => drop_if(is(&header::TE)),
        3 => drop_if(is(&header::VIA)),
        4 if is(&header::DATE) => Going::Under(&REMAPPED_DATE),
        4 => drop_if(is(&header::HOST)),
        6 if is(&header::SERVER) => Going::Under(&REMAPPED_SERVER),
        6 => drop_if(is(&header::EXPECT)),
        7 => drop_if(is(&header::TRAILER) || is(&header::UPGRADE)),
        10 if is(&header::CONNECTION) => Going::Connection,
        10 if is(&header::USER_AGENT) => Going::Under(&REMAPPED_USER_AGENT),
        10 => drop_if(field.is("keep-alive")),
        11 => rename_if(field.is("content-md5"), &REMAPPED_CONTENT_MD5),
        12 => rename_if(is(&header::MAX_FORWARDS), &REMAPPED_MAX_FORWARDS),
        13 => rename_if(is(&header::AUTHORIZATION), &REMAPPED_AUTHORIZATION),
        16 if field.is("x-amzn-requestid") => Going::Under(&REMAPPED_REQUEST_ID),
        16 => drop_if(field.is("proxy-connection")),
        17 => drop_if(is(&header::TRANSFER_ENCODING)),
        18 => drop_if(is(&header::PROXY_AUTHENTICATE)),
        _ => Going::Through,
    }
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
        .map(HeaderValue::as_bytes)
        .filter(|value| !is_about_the_connection_itself(value))
        .flat_map(listed_names)
        .collect()
}

fn listed_names(options: &[u8]) -> impl Iterator<Item = HeaderName> {
    options
        .split(|byte| *byte == b',')
        .filter_map(|option| HeaderName::from_bytes(option.trim_ascii()).ok())
        .filter(may_be_listed)
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
            |headers| *headers = strip_response(&Fields::from(&*headers)).to_map(),
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
