//! JWK sets.

use portcullis_core::Secret;
use portcullis_jose::{
    Algorithm::{self, ES256, ES384, EdDSA, HS256, PS256, RS256, RS512},
    JwksError, JwksOptions, KeyError, KeySet, SecretEncoding, SigningKey, SkipReason, TokenError, verify,
};
use serde_json::{Value, json};

use crate::{GOOD, SECRET, craft, lax, now, pem, signing_key};

fn jwk(algorithm: Algorithm) -> Value {
    signing_key(algorithm).public_jwk().unwrap()
}

/// `changes` laid over the key of `algorithm`; null takes a member away.
fn changed(algorithm: Algorithm, changes: Value) -> Value {
    let mut jwk = jwk(algorithm);
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(jwk.as_object_mut().unwrap().remove(name)),
            value => jwk[name] = value.clone(),
        }
    }
    jwk
}

fn check(key: &Value, expected: Result<(), SkipReason>) {
    let document = json!({ "keys": [key] }).to_string();
    let (keys, skipped) = KeySet::from_jwks(document.as_bytes()).unwrap();
    let verdict = skipped.first().map_or(Ok(()), |skipped| Err(skipped.reason));
    assert_eq!(verdict, expected, "{key}");
    assert_eq!(keys.len() + skipped.len(), 1);
}

#[test]
fn purposes_and_algorithms() {
    for algorithm in [RS256, PS256, ES256, ES384, EdDSA] {
        check(&jwk(algorithm), Ok(()));
        check(&changed(algorithm, json!({"alg": null, "use": null})), Ok(()));
        check(
            &changed(algorithm, json!({"alg": "HS256"})),
            Err(SkipReason::AlgorithmMismatch),
        );
        check(
            &changed(algorithm, json!({"alg": "none"})),
            Err(SkipReason::UnsupportedAlgorithm),
        );
        check(
            &changed(algorithm, json!({"alg": "RSA-OAEP"})),
            Err(SkipReason::UnsupportedAlgorithm),
        );
        check(&changed(algorithm, json!({"alg": 7})), Err(SkipReason::Malformed));
        check(
            &changed(algorithm, json!({"use": "enc"})),
            Err(SkipReason::NotForVerification),
        );
        check(&changed(algorithm, json!({"use": ["sig"]})), Err(SkipReason::Malformed));
        check(&changed(algorithm, json!({"key_ops": ["verify"]})), Ok(()));
        check(
            &changed(algorithm, json!({"key_ops": ["encrypt"]})),
            Err(SkipReason::NotForVerification),
        );
        check(
            &changed(algorithm, json!({"key_ops": []})),
            Err(SkipReason::NotForVerification),
        );
        check(
            &changed(algorithm, json!({"key_ops": "verify"})),
            Err(SkipReason::Malformed),
        );
        check(&changed(algorithm, json!({"kid": "k"})), Ok(()));
        check(&changed(algorithm, json!({"kid": 7})), Err(SkipReason::Malformed));
        check(&changed(algorithm, json!({"kid": "k".repeat(512)})), Ok(()));
        check(
            &changed(algorithm, json!({"kid": "k".repeat(513)})),
            Err(SkipReason::Malformed),
        );
        check(
            &changed(algorithm, json!({"d": "AQ"})),
            Err(SkipReason::PrivateKeyPublished),
        );
        check(
            &changed(algorithm, json!({"kty": "XYZ"})),
            Err(SkipReason::UnsupportedType),
        );
        check(&changed(algorithm, json!({"kty": null})), Err(SkipReason::Malformed));
        check(
            &changed(
                algorithm,
                json!({"x5c": ["MIIB"], "x5u": "https://x.example", "more": {}}),
            ),
            Ok(()),
        );
    }
    check(
        &changed(ES256, json!({"alg": "ES384"})),
        Err(SkipReason::AlgorithmMismatch),
    );
    check(
        &changed(RS256, json!({"alg": "ES256"})),
        Err(SkipReason::AlgorithmMismatch),
    );
    check(&changed(RS256, json!({"alg": "PS512"})), Ok(()));
    check(&json!(7), Err(SkipReason::Malformed));
    check(
        &json!({"kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr8"}),
        Err(SkipReason::Symmetric),
    );
}

#[test]
fn numbers() {
    let modulus = jwk(RS256)["n"].as_str().unwrap().to_owned();
    let rsa = |changes: Value, expected| check(&changed(RS256, changes), expected);
    rsa(json!({"e": "Aw"}), Ok(())); // 3
    rsa(json!({"e": "AQ"}), Err(SkipReason::Unusable)); // 1
    rsa(json!({"e": "AAEAAQ"}), Err(SkipReason::Unusable)); // a leading zero
    rsa(json!({"e": "AQAA"}), Err(SkipReason::Unusable)); // even
    rsa(json!({"e": "AQAAAAE"}), Err(SkipReason::Unusable)); // 33 bits
    rsa(json!({"e": ""}), Err(SkipReason::Unusable));
    rsa(json!({"e": null}), Err(SkipReason::Malformed));
    rsa(json!({"e": 65537}), Err(SkipReason::Malformed));
    rsa(json!({"n": format!("{modulus}=")}), Err(SkipReason::Malformed));
    rsa(json!({"n": format!("AAAA{modulus}")}), Err(SkipReason::Unusable));
    rsa(json!({"n": ""}), Err(SkipReason::Unusable));
    rsa(json!({"n": &modulus[..172]}), Err(SkipReason::Unusable)); // 1032 bits
    rsa(
        json!({"n": format!("{}{modulus}", &modulus[..340].repeat(4))}),
        Err(SkipReason::Unusable),
    ); // 10208 bits
    let (x, y) = (jwk(ES256)["x"].clone(), jwk(ES256)["y"].clone());
    let ec = |changes: Value, expected| check(&changed(ES256, changes), expected);
    ec(json!({"x": y, "y": x}), Err(SkipReason::Unusable)); // not on the curve
    ec(
        json!({"x": "A".repeat(43), "y": "A".repeat(43)}),
        Err(SkipReason::Unusable),
    );
    ec(json!({"x": "AAAA"}), Err(SkipReason::Malformed));
    ec(json!({"y": null}), Err(SkipReason::Malformed));
    ec(json!({"crv": "P-521"}), Err(SkipReason::UnsupportedCurve));
    ec(json!({"crv": "secp256k1"}), Err(SkipReason::UnsupportedCurve));
    ec(json!({"crv": "P-384"}), Err(SkipReason::Malformed));
    check(&changed(EdDSA, json!({"x": "AAAA"})), Err(SkipReason::Malformed));
    check(
        &changed(EdDSA, json!({"crv": "Ed448"})),
        Err(SkipReason::UnsupportedCurve),
    );
    check(
        &changed(EdDSA, json!({"crv": "X25519"})),
        Err(SkipReason::UnsupportedCurve),
    );
}

#[test]
fn an_rsa_key_without_an_algorithm_verifies_all_of_them_and_with_one_only_that() {
    let token = |algorithm: Algorithm| craft(&format!(r#"{{"alg":"{algorithm}"}}"#), GOOD, &signing_key(algorithm));
    let open = crate::jwks(&[changed(RS256, json!({"alg": null}))]);
    let closed = crate::jwks(&[jwk(PS256)]);
    for algorithm in [RS256, RS512, PS256] {
        assert!(verify(&token(algorithm), &open, &lax(), now()).is_ok());
        let expected = if algorithm == PS256 {
            Ok(())
        } else {
            Err(TokenError::UnknownKey)
        };
        assert_eq!(verify(&token(algorithm), &closed, &lax(), now()).map(drop), expected);
    }
}

#[test]
fn names_are_unique_within_a_type() {
    let named = |algorithm, kid: &str| changed(algorithm, json!({ "kid": kid }));
    let set = |keys: &[Value]| KeySet::from_jwks(json!({ "keys": keys }).to_string().as_bytes()).unwrap();
    let (keys, skipped) = set(&[
        named(ES256, "a"),
        named(ES384, "b"),
        named(ES384, "a"),
        named(RS256, "a"),
        jwk(EdDSA),
        jwk(ES256),
    ]);
    assert_eq!(keys.kids().collect::<Vec<_>>(), ["a", "b", "a"]); // RFC 7517 section 4.5: alternatives of another type
    assert_eq!(keys.len(), 5);
    assert_eq!(skipped.len(), 1);
    let expected = "key 2 (\"a\"): an earlier key of the same type has the same `kid`";
    assert_eq!(skipped.first().map(ToString::to_string).as_deref(), Some(expected));
    assert_eq!(format!("{keys:?}"), "KeySet { len: 5, .. }");
}

#[test]
fn documents() {
    let check = |document: &str, expected: Result<usize, JwksError>| {
        let verdict = KeySet::from_jwks(document.as_bytes()).map(|(keys, skipped)| keys.len() + skipped.len());
        assert_eq!(verdict, expected, "{}", &document[..document.len().min(80)]);
    };
    check(r#"{"keys":[]}"#, Ok(0));
    check(r#"{"keys":[],"more":1}"#, Ok(0));
    check(r#"{"keys":[],"keys":[]}"#, Err(JwksError::MalformedJson));
    check(r#"{"keys":[{"kty":"EC","kty":"EC"}]}"#, Err(JwksError::MalformedJson));
    check("[]", Err(JwksError::MalformedJson));
    check("", Err(JwksError::MalformedJson));
    check("{}", Err(JwksError::NoKeys));
    check(r#"{"keys":{}}"#, Err(JwksError::NoKeys));
    check(&jwk(ES256).to_string(), Err(JwksError::NoKeys));
    let many = |count| json!({ "keys": vec![jwk(ES256); count] }).to_string();
    check(&many(100), Ok(100));
    check(&many(101), Err(JwksError::TooManyKeys));
    let padded = |bytes: usize| format!("{}{}", r#"{"keys":[]}"#, " ".repeat(bytes - 11));
    check(&padded(150_000), Ok(0));
    check(&padded(150_001), Err(JwksError::TooLong));
}

#[test]
fn fingerprints_follow_the_keys() {
    let print = |keys: &[Value]| crate::jwks(keys).fingerprint();
    let base = print(&[jwk(ES256), jwk(EdDSA)]);
    assert_eq!(base, print(&[jwk(ES256), jwk(EdDSA)]));
    assert_ne!(base, print(&[jwk(ES256)]));
    assert_ne!(
        base,
        print(&[jwk(ES256), SigningKey::generate(EdDSA).unwrap().public_jwk().unwrap()])
    );
    assert_ne!(base, print(&[changed(ES256, json!({"kid": "a"})), jwk(EdDSA)]));
    assert_ne!(print(&[jwk(RS256)]), print(&[jwk(PS256)]));
}

#[test]
fn symmetric_keys_where_they_are_allowed() {
    let read = |k: &str| {
        let document = json!({"keys": [{"kty": "oct", "k": k, "alg": "HS256"}]}).to_string();
        KeySet::from_jwks_with(document.as_bytes(), JwksOptions { symmetric: true }).unwrap()
    };
    let secret = portcullis_jose::SecretEncoding::Base64.encode(&Secret::new(SECRET.to_vec()));
    let url = String::from_utf8_lossy(secret.expose())
        .replace('=', "")
        .replace('+', "-")
        .replace('/', "_");
    let (keys, skipped) = read(&url);
    assert_eq!(skipped, []);
    assert!(
        verify(
            &craft(r#"{"alg":"HS256"}"#, GOOD, &signing_key(HS256)),
            &keys,
            &lax(),
            now()
        )
        .is_ok()
    );
    let (keys, skipped) = read(&url[..40]);
    assert!(keys.is_empty());
    assert_eq!(
        skipped.first().map(|skipped| skipped.reason),
        Some(SkipReason::Unusable)
    );
}

#[test]
fn signing_keys_are_kept_and_read_again() {
    for algorithm in Algorithm::ALL {
        let key = SigningKey::generate(algorithm).unwrap();
        assert_eq!(key.algorithm(), algorithm);
        let Some(der) = key.to_pkcs8_der() else {
            assert!(algorithm.is_symmetric() && key.public_jwk().is_none());
            continue;
        };
        let again = SigningKey::from_pkcs8_der(der.expose(), algorithm).unwrap();
        assert_eq!(again.public_jwk(), key.public_jwk());
        let token = craft(&format!(r#"{{"alg":"{algorithm}"}}"#), GOOD, &again);
        assert!(verify(&token, &crate::jwks(&[key.public_jwk().unwrap()]), &lax(), now()).is_ok());
    }
}

#[test]
fn private_keys_must_fit() {
    let check = |pem: &[u8], algorithm, expected: Option<KeyError>| {
        assert_eq!(
            SigningKey::from_pkcs8_pem(pem, algorithm).err(),
            expected,
            "{algorithm}"
        );
    };
    check(pem(RS256).unwrap(), PS256, None);
    check(pem(RS256).unwrap(), ES256, Some(KeyError::KeyDoesNotFit(ES256)));
    check(pem(ES256).unwrap(), ES384, Some(KeyError::KeyDoesNotFit(ES384)));
    check(pem(ES256).unwrap(), EdDSA, Some(KeyError::KeyDoesNotFit(EdDSA)));
    check(pem(EdDSA).unwrap(), HS256, Some(KeyError::NotForAlgorithm(HS256)));
    check(
        include_bytes!("../keys/rsa1024.pem"),
        RS256,
        Some(KeyError::KeyDoesNotFit(RS256)),
    );
    check(b"", RS256, Some(KeyError::NotPem));
    check(
        b"-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----\n",
        RS256,
        Some(KeyError::NotPem),
    );
    check(
        b"-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n",
        RS256,
        Some(KeyError::KeyDoesNotFit(RS256)),
    );
    let hmac =
        |bytes: &[u8], algorithm| SigningKey::hmac(&Secret::new(bytes.to_vec()), SecretEncoding::Raw, algorithm).err();
    assert_eq!(hmac(b"x", HS256), None);
    assert_eq!(hmac(b"", HS256), Some(KeyError::EmptySecret));
    assert_eq!(hmac(b"x", ES256), Some(KeyError::NotForAlgorithm(ES256)));
}
