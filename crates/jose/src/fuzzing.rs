//! Entry points for a fuzzer: each takes any bytes, must not panic, and asserts what must always hold.

use std::sync::OnceLock;

use portcullis_core::{Secret, Timestamp};

use crate::{
    Algorithm, AlgorithmSet, JwksOptions, KEYS_MAX, KeySet, Rules, SecretEncoding, SigningKey, TokenError, base64url,
    verify,
};

/// The secret whose signatures the corpus carries, so that a fuzzer starts behind the signature check.
pub const SECRET: &[u8] = b"a secret that is known to everyone";

/// The whole input as a token, then the input as a header and a payload, parted by a line break, which are signed here.
pub fn fuzz_jwt(data: &[u8]) {
    let Some((keys, key)) = pair() else { return };
    let rules = Rules {
        algorithms: AlgorithmSet::of(&Algorithm::ALL),
        ..Rules::default()
    };
    let now = Timestamp::from_unix_seconds(1_700_000_000);
    if let Ok(token) = std::str::from_utf8(data)
        && let Ok(claims) = verify(token, keys, &rules, now)
    {
        // What is accepted has one spelling only.
        for segment in token.split('.') {
            assert_eq!(
                base64url::decode(segment)
                    .map(|bytes| base64url::encode(&bytes))
                    .as_deref(),
                Ok(segment)
            );
        }
        assert!(claims.exp().is_none_or(|exp| exp > now));
    }
    let mut parts = data.splitn(2, |byte| *byte == b'\n');
    let (header, payload) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let input = format!("{}.{}", base64url::encode(header), base64url::encode(payload));
    let signature = key.sign(input.as_bytes()).unwrap_or_default();
    match verify(&format!("{input}.{}", base64url::encode(&signature)), keys, &rules, now) {
        Ok(claims) => {
            let plain: serde_json::Value = serde_json::from_slice(payload).unwrap_or_default();
            assert_eq!(
                plain.as_object(),
                Some(claims.object()),
                "read otherwise than by a plain reader"
            );
            let _ = claims.scopes().count();
            claims.object().keys().for_each(|name| drop(claims.text(name)));
        }
        Err(error) => assert!(
            !matches!(error, TokenError::MalformedStructure | TokenError::MalformedEncoding),
            "our own serialisation was refused"
        ),
    }
}

/// The input as a JWK set, with and without symmetric keys.
pub fn fuzz_jwks(data: &[u8]) {
    for symmetric in [false, true] {
        let Ok((keys, skipped)) = KeySet::from_jwks_with(data, JwksOptions { symmetric }) else {
            continue;
        };
        let plain: serde_json::Value = serde_json::from_slice(data).unwrap_or_default();
        let listed = plain
            .get("keys")
            .and_then(serde_json::Value::as_array)
            .map_or(0, Vec::len);
        assert_eq!(keys.len() + skipped.len(), listed, "a key was lost");
        assert!(keys.len() <= KEYS_MAX);
        skipped.iter().for_each(|key| drop(key.to_string()));
        let again = KeySet::from_jwks_with(data, JwksOptions { symmetric }).map(|(keys, _)| keys.fingerprint());
        assert_eq!(again, Ok(keys.fingerprint()));
    }
}

fn pair() -> Option<&'static (KeySet, SigningKey)> {
    static PAIR: OnceLock<Option<(KeySet, SigningKey)>> = OnceLock::new();
    PAIR.get_or_init(|| {
        let secret = Secret::new(SECRET.to_vec());
        let key = SigningKey::hmac(&secret, SecretEncoding::Raw, Algorithm::HS256).ok()?;
        Some((KeySet::from_secrets(&[secret], SecretEncoding::Raw).ok()?, key))
    })
    .as_ref()
}
