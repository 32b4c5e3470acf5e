//! Sealing what is kept where others may look: names that tell nothing, values that open under their own name alone.

use std::fmt;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    hmac,
};
use portcullis_core::Secret;

use crate::{base64url, secret::SecretEncoding};

/// Bytes of the secret.
const SECRET_BYTES: usize = 32;
/// Bytes that sealing adds: a tag and a nonce.
pub const SEAL_BYTES: usize = 16 + NONCE_LEN;

/// Seals values with AES-256-GCM, and makes their names with HMAC-SHA-256.
///
/// Every name has a key of its own, derived from the secret, and is authenticated with the value: a value that was moved under
/// another name does not open, and the random nonces of one key are those of one name's values alone.
pub struct SealingKey {
    names: hmac::Key,
    values: hmac::Key,
}

/// Why a secret is not one to seal with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealingKeyError {
    /// It is too short or too long.
    #[error("the secret has {0} bytes; 32 are asked for")]
    Length(usize),
    /// It is neither base64 nor hexadecimal digits.
    #[error("the secret is neither base64 nor hexadecimal digits")]
    NotText,
}

/// A value cannot be sealed: the system gives no random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing can be sealed")]
pub struct NotSealed;

// === impl SealingKey ===

impl SealingKey {
    /// From base64 (either alphabet, padded or not) or hexadecimal digits of 32 bytes.
    pub fn new(written: &Secret) -> Result<Self, SealingKeyError> {
        let text = Secret::new(written.expose().trim_ascii().to_vec());
        let bytes = match from_hex(text.expose()) {
            Some(bytes) => bytes,
            None => SecretEncoding::Base64
                .decode(&text)
                .map_err(|_| SealingKeyError::NotText)?,
        };
        if bytes.expose().len() != SECRET_BYTES {
            return Err(SealingKeyError::Length(bytes.expose().len()));
        }
        let secret = hmac::Key::new(hmac::HMAC_SHA256, bytes.expose());
        let derived = |label: &str| hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&secret, label.as_bytes()).as_ref());
        Ok(Self {
            names: derived("portcullis sealing names"),
            values: derived("portcullis sealing values"),
        })
    }

    /// A name for what the parts say, of 43 letters, digits, `-` and `_`; other parts have another one.
    pub fn name(&self, parts: &[&[u8]]) -> String {
        let mut context = hmac::Context::with_key(&self.names);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        base64url::encode(context.sign().as_ref())
    }

    /// Seals a value for a name.
    pub fn seal(&self, name: &str, mut value: Vec<u8>) -> Result<Vec<u8>, NotSealed> {
        let key = self.key_of(name).ok_or(NotSealed)?;
        let nonce = key
            .seal_in_place_append_tag(Aad::from(name.as_bytes()), &mut value)
            .map_err(|_| NotSealed)?;
        value.extend_from_slice(nonce.as_ref());
        Ok(value)
    }

    /// The value that was sealed for a name; `None` for anything else.
    pub fn open(&self, name: &str, mut sealed: Vec<u8>) -> Option<Vec<u8>> {
        let behind = sealed.len().checked_sub(NONCE_LEN)?;
        let nonce = Nonce::assume_unique_for_key(*sealed.get(behind..)?.first_chunk::<NONCE_LEN>()?);
        sealed.truncate(behind);
        let key = self.key_of(name)?;
        let opened = key
            .open_in_place(nonce, Aad::from(name.as_bytes()), &mut sealed)
            .ok()?
            .len();
        sealed.truncate(opened);
        Some(sealed)
    }

    fn key_of(&self, name: &str) -> Option<RandomizedNonceKey> {
        let derived = hmac::sign(&self.values, name.as_bytes());
        RandomizedNonceKey::new(&AES_256_GCM, derived.as_ref()).ok()
    }
}

impl fmt::Debug for SealingKey {
    /// Never the key.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SealingKey")
    }
}

/// Only what is as long as the secret must be: shorter digits are also base64 of something.
fn from_hex(text: &[u8]) -> Option<Secret> {
    if text.len() != 2 * SECRET_BYTES {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = text.chunks_exact(2).map(|pair| match pair {
        [high, low] => u8::try_from(digit(*high)? * 16 + digit(*low)?).ok(),
        _ => None,
    });
    pairs.collect::<Option<Vec<_>>>().map(Secret::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(written: &str) -> Result<SealingKey, SealingKeyError> {
        SealingKey::new(&Secret::new(written.into()))
    }

    #[test]
    fn secrets_are_base64_or_hexadecimal_digits_of_32_bytes() {
        let hex = key(&"0f".repeat(32)).unwrap();
        let base64 = key("Dw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8=\n").unwrap();
        assert_eq!(hex.name(&[b"a"]), base64.name(&[b"a"]));
        assert_eq!(format!("{hex:?}"), "SealingKey");
        for (written, expected) in [
            ("", SealingKeyError::Length(0)),
            ("Dw8P", SealingKeyError::Length(3)),
            (&"0f".repeat(31), SealingKeyError::Length(46)),
            (&"zz".repeat(32), SealingKeyError::Length(48)),
            ("not a secret!", SealingKeyError::NotText),
        ] {
            assert_eq!(key(written).err(), Some(expected), "{written}");
        }
    }

    #[test]
    fn a_value_opens_under_its_own_name_and_key_and_untouched() {
        let [one, other] = ["0f", "f0"].map(|pair| key(&pair.repeat(32)).unwrap());
        for value in [&b""[..], b"value", &[7; 5_000]] {
            let sealed = one.seal("name", value.to_vec()).unwrap();
            assert_eq!(sealed.len(), value.len() + SEAL_BYTES);
            assert_ne!(
                sealed,
                one.seal("name", value.to_vec()).unwrap(),
                "the nonce is a new one"
            );
            assert_eq!(one.open("name", sealed.clone()).as_deref(), Some(value));
            assert_eq!(one.open("nama", sealed.clone()), None);
            assert_eq!(other.open("name", sealed.clone()), None);
            for place in [0, sealed.len() / 2, sealed.len() - 1] {
                let mut touched = sealed.clone();
                touched[place] ^= 1;
                assert_eq!(one.open("name", touched), None, "byte {place}");
                assert_eq!(one.open("name", sealed[..place].to_vec()), None, "{place} bytes");
            }
        }
    }

    #[test]
    fn names_differ_where_their_parts_do() {
        let [one, other] = ["0f", "f0"].map(|pair| key(&pair.repeat(32)).unwrap());
        let name = one.name(&[b"ab", b"c"]);
        assert_eq!(name.len(), 43);
        assert_eq!(name, one.name(&[b"ab", b"c"]));
        for different in [
            one.name(&[b"a", b"bc"]),
            one.name(&[b"abc"]),
            other.name(&[b"ab", b"c"]),
        ] {
            assert_ne!(name, different);
        }
    }
}
