//! The rules about claims.

use portcullis_core::Timestamp;
use portcullis_jose::{Algorithm::HS256, AlgorithmSet, Rules, TokenError, issue, verify};

use crate::{NOW, craft, key_set, lax, now, signing_key};

fn check(payload: &str, rules: &Rules, expected: Result<(), TokenError>) {
    let token = craft(r#"{"alg":"HS256"}"#, payload, &signing_key(HS256));
    let verdict = verify(&token, &key_set(HS256), rules, now());
    assert_eq!(verdict.map(drop), expected, "{payload} {rules:?}");
}

#[test]
fn nothing_is_allowed_by_default() {
    check("{}", &Rules::default(), Err(TokenError::AlgorithmNotAllowed));
    check(
        "{}",
        &Rules {
            algorithms: AlgorithmSet::RSA_PKCS1,
            ..lax()
        },
        Err(TokenError::AlgorithmNotAllowed),
    );
    check("{}", &lax(), Ok(()));
}

#[test]
fn expiry() {
    let strict = Rules {
        require_expiry: true,
        ..lax()
    };
    let late = Rules {
        leeway_s: 60,
        ..strict.clone()
    };
    let exp = |value: &str| format!(r#"{{"exp":{value}}}"#);
    check("{}", &strict, Err(TokenError::NoExpiry));
    check("{}", &lax(), Ok(()));
    check(&exp("1700000001"), &strict, Ok(()));
    check(&exp("1700000000.000001"), &strict, Ok(()));
    check(&exp("1700000000"), &strict, Err(TokenError::Expired));
    check(&exp("1700000000"), &lax(), Err(TokenError::Expired));
    check(&exp("1700000000"), &late, Ok(()));
    check(&exp("1699999941"), &late, Ok(()));
    check(&exp("1699999940"), &late, Err(TokenError::Expired));
    check(&exp("0"), &late, Err(TokenError::Expired));
    check(&exp("-1"), &late, Err(TokenError::Expired));
    check(&exp("-1e300"), &late, Err(TokenError::Expired));
    check(&exp("1e300"), &strict, Ok(()));
    check(&exp("18446744073709551616"), &strict, Ok(()));
    check(&exp("1e400"), &strict, Err(TokenError::MalformedClaims));
    for wrong in [r#""1800000000""#, "null", "[1800000000]", "true", "{}"] {
        check(&exp(wrong), &strict, Err(TokenError::MalformedClaim("exp")));
        check(&exp(wrong), &lax(), Err(TokenError::MalformedClaim("exp")));
    }
}

#[test]
fn not_before_and_issued_at() {
    let late = Rules { leeway_s: 60, ..lax() };
    check(r#"{"nbf":1700000000}"#, &lax(), Ok(()));
    check(r#"{"nbf":1700000000.5}"#, &lax(), Err(TokenError::NotYetValid));
    check(r#"{"nbf":1700000001}"#, &lax(), Err(TokenError::NotYetValid));
    check(r#"{"nbf":1700000060}"#, &late, Ok(()));
    check(r#"{"nbf":1700000061}"#, &late, Err(TokenError::NotYetValid));
    check(r#"{"nbf":1e300}"#, &late, Err(TokenError::NotYetValid));
    check(r#"{"nbf":-1e300}"#, &lax(), Ok(()));
    check(r#"{"nbf":"0"}"#, &lax(), Err(TokenError::MalformedClaim("nbf")));
    let strict = Rules {
        check_issued_at: true,
        ..lax()
    };
    check(r#"{"iat":1700000000}"#, &strict, Ok(()));
    check(r#"{"iat":1700000001}"#, &strict, Err(TokenError::IssuedInFuture));
    check(r#"{"iat":1700000001}"#, &lax(), Ok(()));
    check(
        r#"{"iat":1700000060}"#,
        &Rules {
            check_issued_at: true,
            ..late
        },
        Ok(()),
    );
    check(r#"{"iat":"0"}"#, &lax(), Err(TokenError::MalformedClaim("iat")));
    check("{}", &strict, Ok(()));
}

#[test]
fn issuers() {
    let strict = Rules {
        issuer: Some("https://issuer.example".into()),
        ..lax()
    };
    check(r#"{"iss":"https://issuer.example"}"#, &strict, Ok(()));
    check(
        r#"{"iss":"https://issuer.example/"}"#,
        &strict,
        Err(TokenError::WrongIssuer),
    );
    check(
        r#"{"iss":"HTTPS://issuer.example"}"#,
        &strict,
        Err(TokenError::WrongIssuer),
    );
    check("{}", &strict, Err(TokenError::WrongIssuer));
    check(
        r#"{"iss":["https://issuer.example"]}"#,
        &strict,
        Err(TokenError::MalformedClaim("iss")),
    );
    check(r#"{"iss":null}"#, &strict, Err(TokenError::MalformedClaim("iss")));
    check(r#"{"iss":7}"#, &lax(), Ok(()));
}

#[test]
fn audiences() {
    let strict = Rules {
        audiences: vec!["a".into(), "b".into()],
        ..lax()
    };
    let amazon = Rules {
        client_id_as_audience: true,
        ..strict.clone()
    };
    for rules in [&strict, &amazon] {
        check(r#"{"aud":"a"}"#, rules, Ok(()));
        check(r#"{"aud":"b"}"#, rules, Ok(()));
        check(r#"{"aud":["x","b"]}"#, rules, Ok(()));
        check(r#"{"aud":"c","client_id":"a"}"#, rules, Err(TokenError::WrongAudience));
        check(r#"{"aud":[],"client_id":"a"}"#, rules, Err(TokenError::WrongAudience));
        check(r#"{"aud":["x"]}"#, rules, Err(TokenError::WrongAudience));
        check(r#"{"aud":"A"}"#, rules, Err(TokenError::WrongAudience));
        check(r#"{"aud":"a b"}"#, rules, Err(TokenError::WrongAudience));
        check(r#"{"aud":["a",7]}"#, rules, Err(TokenError::MalformedClaim("aud")));
        check(
            r#"{"aud":null,"client_id":"a"}"#,
            rules,
            Err(TokenError::MalformedClaim("aud")),
        );
        check(r#"{"aud":{"a":"a"}}"#, rules, Err(TokenError::MalformedClaim("aud")));
        check("{}", rules, Err(TokenError::WrongAudience));
        check(r#"{"client_id":"c"}"#, rules, Err(TokenError::WrongAudience));
        check(r#"{"client_id":["a"]}"#, rules, Err(TokenError::WrongAudience));
    }
    check(r#"{"client_id":"a"}"#, &amazon, Ok(()));
    check(r#"{"client_id":"a"}"#, &strict, Err(TokenError::WrongAudience));
    check(r#"{"aud":7}"#, &lax(), Ok(()));
}

#[test]
fn cached_claims_are_asked_again() {
    let rules = Rules {
        require_expiry: true,
        leeway_s: 5,
        ..lax()
    };
    let claims = serde_json::json!({"exp": NOW + 10, "sub": "alice"});
    let token = issue(claims.as_object().unwrap(), &signing_key(HS256), Some("k")).unwrap();
    let accepted = verify(&token, &key_set(HS256), &rules, now()).unwrap();
    assert_eq!(Some(accepted.object()), claims.as_object());
    let at = |seconds| rules.check_times(&accepted, Timestamp::from_unix_seconds(NOW + seconds));
    assert_eq!(at(14), Ok(()));
    assert_eq!(at(15), Err(TokenError::Expired));
}
