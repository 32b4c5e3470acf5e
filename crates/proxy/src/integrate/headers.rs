//! Which header fields cross the gateway, in both directions.
//!
//! Amazon's rules for `http_proxy` with two deliberate differences: what would corrupt a body is not dropped
//! (`Content-Encoding`, which Amazon drops from requests), and `WWW-Authenticate` comes back under its own name, for OAuth
//! clients look for it there.

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Prefix of a response field that the gateway has its own idea of.
const REMAPPED: &str = "x-amzn-remapped-";

/// What becomes of one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Pass,
    Drop,
    Rename,
}

/// Removes from a request what is between the caller and this gateway only.
pub(super) fn strip_request(headers: &mut HeaderMap) {
    strip(headers, request_fate);
}

/// Removes or renames from an answer what is between the origin and this gateway only.
pub(super) fn strip_response(headers: &mut HeaderMap) {
    strip(headers, response_fate);
}

fn request_fate(name: &str) -> Fate {
    match name {
        // Hop by hop (RFC 9110 section 7.6.1). Framing and Host are the client's own work towards the origin.
        "connection" | "keep-alive" | "proxy-connection" | "te" | "trailer" | "transfer-encoding" | "upgrade"
        | "content-length" | "host" => Fate::Drop,
        // Amazon's list.
        "content-md5" | "expect" | "max-forwards" | "proxy-authenticate" | "server" | "via" | "www-authenticate" => {
            Fate::Drop
        }
        // Meant for a proxy, and this is one (RFC 9110 section 11.7.2).
        "proxy-authorization" => Fate::Drop,
        _ => Fate::Pass,
    }
}

fn response_fate(name: &str) -> Fate {
    match name {
        "connection" | "keep-alive" | "proxy-connection" | "te" | "trailer" | "transfer-encoding" | "upgrade"
        | "content-length" => Fate::Drop,
        "expect" | "host" | "proxy-authenticate" | "via" => Fate::Drop,
        "authorization" | "content-md5" | "date" | "max-forwards" | "server" | "user-agent" | "x-amzn-requestid" => {
            Fate::Rename
        }
        _ => Fate::Pass,
    }
}

fn strip(headers: &mut HeaderMap, fate: fn(&str) -> Fate) {
    let mut listed: Vec<HeaderName> = Vec::new();
    for value in headers.get_all(header::CONNECTION) {
        let options = value.to_str().unwrap_or_default().split(',').map(str::trim);
        listed.extend(
            options
                .filter_map(|option| HeaderName::try_from(option).ok())
                .filter(may_be_listed),
        );
    }
    let mut going: Vec<(HeaderName, Fate)> = Vec::new();
    for name in headers.keys() {
        match fate(name.as_str()) {
            Fate::Pass => {}
            fate => going.push((name.clone(), fate)),
        }
    }
    for (name, fate) in going {
        if fate == Fate::Rename
            && let Ok(renamed) = HeaderName::try_from(format!("{REMAPPED}{name}"))
        {
            let values: Vec<HeaderValue> = headers.get_all(&name).iter().cloned().collect();
            values.into_iter().for_each(|value| {
                headers.append(&renamed, value);
            });
        }
        headers.remove(&name);
    }
    for name in listed {
        headers.remove(&name);
    }
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
