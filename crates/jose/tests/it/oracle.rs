//! The crate `jsonwebtoken` as an oracle in both directions.

use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation, jwk::Jwk};
use portcullis_jose::{Algorithm, SignError, issue, verify};
use serde_json::{Value, json};

use crate::{NOW, SECRET, key_set, lax, now, pem, signing_key};

/// Whether the oracle accepts the signature, and what it reads.
pub(crate) fn oracle(token: &str, algorithm: Algorithm) -> Option<Value> {
    let key = match signing_key(algorithm).public_jwk() {
        None => DecodingKey::from_secret(SECRET),
        Some(jwk) => DecodingKey::from_jwk(&serde_json::from_value::<Jwk>(jwk).unwrap()).unwrap(),
    };
    let mut validation = Validation::new(algorithm.as_str().parse().unwrap());
    validation.required_spec_claims.clear();
    (validation.validate_exp, validation.validate_aud) = (false, false);
    jsonwebtoken::decode(token, &key, &validation)
        .ok()
        .map(|data| data.claims)
}

fn encoding_key(algorithm: Algorithm) -> EncodingKey {
    match (algorithm, pem(algorithm)) {
        (_, None) => EncodingKey::from_secret(SECRET),
        (Algorithm::ES256 | Algorithm::ES384, Some(pem)) => EncodingKey::from_ec_pem(pem).unwrap(),
        (Algorithm::EdDSA, Some(pem)) => EncodingKey::from_ed_pem(pem).unwrap(),
        (_, Some(pem)) => EncodingKey::from_rsa_pem(pem).unwrap(),
    }
}

#[test]
fn what_we_issue_it_accepts_and_what_it_issues_we_accept() {
    let claims = json!({"sub": "älice \"x\"", "exp": NOW + 60, "n": [1, 2.5, null, {"deep": true}]});
    for algorithm in Algorithm::ALL {
        let ours = issue(claims.as_object().unwrap(), &signing_key(algorithm), Some("key \"1\"")).unwrap();
        assert_eq!(oracle(&ours, algorithm).as_ref(), Some(&claims), "{algorithm}");
        let header = jsonwebtoken::decode_header(&ours).unwrap();
        assert_eq!(
            (header.typ.as_deref(), header.kid.as_deref()),
            (Some("JWT"), Some("key \"1\""))
        );

        let theirs = Header::new(algorithm.as_str().parse().unwrap());
        let theirs = jsonwebtoken::encode(&theirs, &claims, &encoding_key(algorithm)).unwrap();
        for token in [&ours, &theirs] {
            let accepted = verify(token, &key_set(algorithm), &lax(), now()).unwrap();
            assert_eq!(Some(accepted.object()), claims.as_object(), "{algorithm}");
        }
    }
}

#[test]
fn what_is_too_long_to_be_accepted_is_not_issued() {
    let key = signing_key(Algorithm::HS256);
    let sized = |bytes: usize| issue(json!({"p": "x".repeat(bytes)}).as_object().unwrap(), &key, None);
    assert!(verify(&sized(12_000).unwrap(), &key_set(Algorithm::HS256), &lax(), now()).is_ok());
    assert_eq!(sized(13_000), Err(SignError::TooLong));
}
