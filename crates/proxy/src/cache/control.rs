//! What a request says that concerns a cache.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::integrate::Message;

/// What is told to who may not have a fresh answer fetched.
pub(super) const IGNORED: HeaderValue =
    HeaderValue::from_static("199 Cache-control headers were ignored because the caller was unauthorized.");

/// Why a request goes past the cache, if it does.
pub(super) fn bypass(message: &Message) -> Option<&'static str> {
    let has = |name: HeaderName| message.headers.contains_key(name);
    if !message.body.is_empty() {
        Some("the request has a body, which no key holds")
    } else if has(header::RANGE) {
        Some("it asks for a part")
    } else if has(header::UPGRADE) {
        Some("it asks for another protocol")
    } else if has(header::IF_MATCH) || has(header::IF_UNMODIFIED_SINCE) {
        Some("it depends on what the origin has now")
    } else {
        None
    }
}

/// Whether a request wants a fresh answer: `Cache-Control: max-age=0`, Amazon's only way to ask.
pub(super) fn wants_fresh(headers: &HeaderMap) -> bool {
    let Some(_) = headers.get(header::CACHE_CONTROL) else {
        return false;
    };
    let values = headers.get_all(header::CACHE_CONTROL).iter();
    let mut directives = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|directive| directive.trim().split_once('='));
    directives.any(|(name, value)| {
        let digits = value.trim_matches('"');
        name.eq_ignore_ascii_case("max-age") && !digits.is_empty() && digits.bytes().all(|digit| digit == b'0')
    })
}

/// Removes what makes an answer another one than the key says: what is kept is whole, not encoded, and about the URL that was
/// asked for. `held` are the headers that the key holds.
pub(super) fn strip(headers: &mut HeaderMap, held: &[HeaderName]) {
    for name in STRIPPED.iter().filter(|name| !held.contains(name)) {
        headers.remove(name);
    }
}

/// Conditions would have the origin answer without a body, codings in one that others may not know. With the others a caller
/// could have an origin answer for another URL or host, and everyone would be served that.
static STRIPPED: [HeaderName; 12] = [
    header::ACCEPT_ENCODING,
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::FORWARDED,
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-prefix"),
    HeaderName::from_static("x-forwarded-server"),
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-method-override"),
    HeaderName::from_static("x-host"),
    HeaderName::from_static("x-original-url"),
    HeaderName::from_static("x-rewrite-url"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_answer_is_asked_for_in_one_way() {
        let check = |values: &[&'static str], expected: bool| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::CACHE_CONTROL, HeaderValue::from_static(value));
            }
            assert_eq!(wants_fresh(&headers), expected, "{values:?}");
        };
        check(&["max-age=0"], true);
        check(&["no-transform, Max-Age=0"], true);
        check(&["no-transform", "max-age=\"00\""], true);
        check(&[], false);
        check(&["no-cache"], false);
        check(&["no-store"], false);
        check(&["max-age=1"], false);
        check(&["max-age=01"], false);
        check(&["max-age="], false);
        check(&["max-age"], false);
        check(&["s-maxage=0"], false);
        check(&["max-age=0x"], false);
    }
}
