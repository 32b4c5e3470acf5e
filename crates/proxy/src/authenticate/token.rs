//! Finding a token in a request and verifying it.

use http::HeaderValue;
use portcullis_core::Timestamp;
use portcullis_jose::{self as jose, Claims, TokenError, digest};
use portcullis_model::snapshot::{Authorizer, Bearer, Grants, TokenGrants, TokenSource};
use portcullis_policy::Policy;

use super::{AuthorizerState, Credentials, Verified};
use crate::Rejection;

/// The token that a request carries for this authoriser. Nothing is evaluated for a request without one.
pub(super) fn find<'r>(authorizer: &Authorizer, credentials: Credentials<'r>) -> Result<&'r str, Rejection> {
    let (missing, refused): (Rejection, fn(TokenError) -> Rejection) = match authorizer.grants {
        Grants::Policy(_) => (Rejection::TokenMissing, Rejection::TokenRefused),
        Grants::Scopes => (Rejection::JwtMissing, Rejection::JwtRefused),
    };
    let carried = match &authorizer.source {
        TokenSource::Header(name) => {
            let mut values = credentials.headers.get_all(name).iter();
            let first = values.next();
            if values.next().is_some() {
                // Two parties may read different ones of two.
                return Err(refused(TokenError::MalformedStructure));
            }
            match first.map(visible_text) {
                Some(None) => return Err(refused(TokenError::MalformedEncoding)),
                Some(text) => text,
                None => None,
            }
        }
        TokenSource::Query(name) => credentials.query.and_then(|query| query_value(query, name)),
    };
    let carried = carried
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .ok_or(missing.clone())?;
    let token = match (authorizer.bearer, strip_bearer(carried)) {
        (Bearer::Unknown, _) | (Bearer::Optional, None) => carried,
        (Bearer::Optional | Bearer::Required, Some(token)) => token,
        (Bearer::Required, None) => return Err(missing),
    };
    match &authorizer.expression {
        Some(expression) if !expression.is_match(token) => Err(Rejection::TokenMismatch),
        _ => Ok(token),
    }
}

/// Verifies a token and makes of it what the authoriser grants.
pub(super) async fn verify(
    authorizer: &Authorizer,
    state: &AuthorizerState,
    token: &str,
    now: Timestamp,
    api_arn: &str,
) -> Result<Verified, Rejection> {
    let mut held = state.keys.keys().await.map_err(|_| Rejection::KeysUnavailable)?;
    let mut result = jose::verify(token, &held.keys, &authorizer.rules, now);
    if result == Err(TokenError::UnknownKey) {
        // The issuer may have begun to sign with a key that we have not seen yet.
        let newer = state
            .keys
            .keys_after(held.epoch)
            .await
            .map_err(|_| Rejection::KeysUnavailable)?;
        if newer.epoch != held.epoch {
            held = newer;
            result = jose::verify(token, &held.keys, &authorizer.rules, now);
        }
    }
    let (claims, policy) = match &authorizer.grants {
        Grants::Policy(grants) => {
            let claims = result.map_err(Rejection::TokenRefused)?;
            let policy = policy(authorizer, grants, &claims, api_arn)?;
            (claims, Some(policy))
        }
        Grants::Scopes => (result.map_err(Rejection::JwtRefused)?, None),
    };
    let principal_claim = match &authorizer.grants {
        Grants::Policy(grants) => &grants.principal_claim,
        Grants::Scopes => "sub",
    };
    let principal = match claims.text(principal_claim) {
        Some(name) => name.into(),
        None => format!("sha256:{}", digest::sha256_hex(token.as_bytes())).into(),
    };
    // Only for who asks for it: a digest costs as much as the whole check of an HMAC.
    let digest = state
        .deny_list
        .as_ref()
        .map(|_| digest::sha256_hex(token.as_bytes()).into());
    Ok(Verified {
        claims,
        policy,
        principal,
        digest,
        epoch: held.epoch,
    })
}

fn policy(authorizer: &Authorizer, grants: &TokenGrants, claims: &Claims, api_arn: &str) -> Result<Policy, Rejection> {
    match &grants.policy {
        Some(template) => template
            .instantiate(&|name| claims.text(name).map(std::borrow::Cow::into_owned))
            .map_err(|_| Rejection::PolicyUnmade),
        None => {
            let until = claims
                .exp()
                .map(|exp| exp.plus_seconds(authorizer.rules.leeway_s.into()));
            Ok(Policy::allow_until(until, &format!("{api_arn}/*")))
        }
    }
}

/// As [`HeaderValue::to_str`], but looks at every byte whatever it finds, so that the compiler looks at many at once: tokens
/// are long.
fn visible_text(value: &HeaderValue) -> Option<&str> {
    let bytes = value.as_bytes();
    let is_visible = bytes.iter().fold(true, |so_far, byte| {
        so_far & (matches!(byte, 0x20..=0x7e) | (*byte == b'\t'))
    });
    std::str::from_utf8(bytes).ok().filter(|_| is_visible)
}

/// The scheme is case-insensitive (RFC 9110 section 11.1).
fn strip_bearer(text: &str) -> Option<&str> {
    let (scheme, token) = text.split_at_checked("bearer ".len())?;
    scheme.eq_ignore_ascii_case("bearer ").then(|| token.trim_start())
}

/// The last value of a query parameter, as received: a token needs no escapes.
fn query_value<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    let pairs = query.rsplit('&').filter_map(|pair| pair.split_once('='));
    let mut named = pairs.filter(|(known, _)| *known == name);
    named.next().map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bearer_is_cut_off_in_any_case() {
        for (text, token) in [
            ("Bearer a.b.c", Some("a.b.c")),
            ("bearer  a", Some("a")),
            ("Basic a", None),
            ("Bearer ", Some("")),
            ("Bearer", None),
            ("Bearers a", None),
            ("bearer\u{e9} a", None),
            ("a.b.c", None),
        ] {
            assert_eq!(strip_bearer(text), token, "{text}");
        }
    }

    #[test]
    fn a_field_is_text_where_http_says_so() {
        for bytes in [&b"a.b-c_d"[..], b"", b" a\tb~", b"a\x7f", b"caf\xc3\xa9", b"\xff"] {
            if let Ok(value) = HeaderValue::from_bytes(bytes) {
                assert_eq!(visible_text(&value), value.to_str().ok(), "{bytes:?}");
            }
        }
    }

    #[test]
    fn the_last_query_value_counts() {
        assert_eq!(query_value("a=1&token=x&token=y", "token"), Some("y"));
        assert_eq!(query_value("atoken=x", "token"), None);
    }
}
