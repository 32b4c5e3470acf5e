//! `X-Amzn-Trace-Id`: the caller's root goes on, what is missing is filled in.

use http::{HeaderMap, HeaderName};
use portcullis_core::{RequestId, Timestamp};

/// The field's name.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-amzn-trace-id");
/// Bytes of a caller's field that are looked at.
const BYTES_MAX: usize = 256;

/// The value for the origin: `Root=1-{time}-{96 bits};Parent={64 bits};Sampled=0`. A caller's root and, beside it, its
/// parent and sampling decision are kept when they are well-formed.
pub(crate) fn continued(headers: &HeaderMap, id: RequestId, now: Timestamp) -> String {
    let hex: String = id.as_str().chars().filter(|letter| *letter != '-').collect();
    let given = headers
        .get(HEADER)
        .and_then(|value| value.to_str().ok())
        .filter(|text| text.len() <= BYTES_MAX);
    let part = |name: &str| {
        let mut parts = given
            .unwrap_or_default()
            .split(';')
            .filter_map(|part| part.trim().split_once('='));
        parts.find(|(known, _)| *known == name).map(|(_, value)| value)
    };
    let own_parent = hex.get(16..32).unwrap_or_default();
    match part("Root").filter(|root| is_root(root)) {
        Some(root) => {
            let parent = part("Parent").filter(|parent| parent.len() == 16 && is_hex(parent));
            let sampled = part("Sampled").filter(|sampled| parent.is_some() && matches!(*sampled, "0" | "1"));
            format!(
                "Root={root};Parent={};Sampled={}",
                parent.unwrap_or(own_parent),
                sampled.unwrap_or("0")
            )
        }
        None => {
            let random = hex.get(..24).unwrap_or_default();
            format!(
                "Root=1-{:08x}-{random};Parent={own_parent};Sampled=0",
                now.unix_seconds()
            )
        }
    }
}

/// `1-5759e988-bd862e3fe1be46a994272793`.
fn is_root(text: &str) -> bool {
    let mut parts = text.split('-');
    let shape = [parts.next(), parts.next(), parts.next(), parts.next()];
    matches!(shape, [Some("1"), Some(time), Some(random), None]
        if time.len() == 8 && random.len() == 24 && is_hex(time) && is_hex(random))
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn keeps_the_root_and_fills_the_rest_in() {
        let id = RequestId::from_bits(0x0123_4567_89ab_cdef, 0x0123_4567_89ab_cdef);
        let now = Timestamp::from_unix_seconds(0x5759_e988);
        let check = |given: Option<&'static str>, expected: &str| {
            let headers = given
                .map(|given| (HEADER, HeaderValue::from_static(given)))
                .into_iter()
                .collect();
            assert_eq!(continued(&headers, id, now), expected, "{given:?}");
        };
        let own = "Root=1-5759e988-0123456789ab4def81234567;Parent=8123456789abcdef;Sampled=0";
        let root = "Root=1-5759e988-bd862e3fe1be46a994272793";
        check(None, own);
        check(Some("nonsense"), own);
        check(Some("Root=1-5759e988-short"), own);
        check(
            Some(root),
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=8123456789abcdef;Sampled=0",
        );
        check(
            Some("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"),
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
        );
        check(
            Some("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"),
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=8123456789abcdef;Sampled=0",
        );
    }
}
