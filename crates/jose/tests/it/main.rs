//! The public interface of the crate, tested from outside; the keys under `tests/keys` were made by openssl for this alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod corpus;
mod jwks;
mod mutations;
mod oracle;
mod properties;
mod rules;
mod vectors;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use portcullis_core::{Secret, Timestamp};
use portcullis_jose::{Algorithm, AlgorithmSet, KeySet, Rules, SecretEncoding, SigningKey};
use serde_json::{Value, json};

/// The time in all tests, and claims that are good then.
const NOW: i64 = 1_700_000_000;
const GOOD: &str = r#"{"sub":"alice","exp":1700000060}"#;
const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn now() -> Timestamp {
    Timestamp::from_unix_seconds(NOW)
}

fn pem(algorithm: Algorithm) -> Option<&'static [u8]> {
    match algorithm {
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => None,
        Algorithm::RS256 | Algorithm::RS384 | Algorithm::RS512 => Some(include_bytes!("../keys/rsa.pem")),
        Algorithm::PS256 | Algorithm::PS384 | Algorithm::PS512 => Some(include_bytes!("../keys/rsa.pem")),
        Algorithm::ES256 => Some(include_bytes!("../keys/p256.pem")),
        Algorithm::ES384 => Some(include_bytes!("../keys/p384.pem")),
        Algorithm::EdDSA => Some(include_bytes!("../keys/ed25519.pem")),
    }
}

fn signing_key(algorithm: Algorithm) -> SigningKey {
    match pem(algorithm) {
        None => SigningKey::hmac(&Secret::new(SECRET.to_vec()), SecretEncoding::Raw, algorithm).unwrap(),
        Some(pem) => SigningKey::from_pkcs8_pem(pem, algorithm).unwrap(),
    }
}

/// The keys that verify what `signing_key` signs.
fn key_set(algorithm: Algorithm) -> KeySet {
    match signing_key(algorithm).public_jwk() {
        None => KeySet::from_secrets(&[Secret::new(SECRET.to_vec())], SecretEncoding::Raw).unwrap(),
        Some(jwk) => jwks(&[jwk]),
    }
}

/// A set that must be read without passing over a key.
fn jwks(keys: &[Value]) -> KeySet {
    let (keys, skipped) = KeySet::from_jwks(json!({ "keys": keys }).to_string().as_bytes()).unwrap();
    assert_eq!(skipped, []);
    keys
}

/// Any algorithm, nothing required.
fn lax() -> Rules {
    Rules {
        algorithms: AlgorithmSet::of(&Algorithm::ALL),
        ..Rules::default()
    }
}

/// A token from a header and a payload as they are written here, signed with `key`.
fn craft(header: &str, payload: &str, key: &SigningKey) -> String {
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = key.sign(input.as_bytes()).unwrap();
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}
