//! The keys of one issuer, parsed once.

use std::{fmt, sync::OnceLock};

use aws_lc_rs::{hmac, rand};
use portcullis_core::Secret;

use crate::{
    algorithm::Algorithm,
    jwk::{self, JwksError, JwksOptions, SkippedKey},
    key::{KeyError, Material},
    secret::SecretEncoding,
};

/// How many keys a set may hold.
pub const KEYS_MAX: usize = 100;

/// How many public keys may be tried for one token. A token without `kid` against a large set would otherwise buy a
/// stranger a hundred signature checks with one request.
const TRIED_MAX: usize = 8;

/// Verification keys, immutable, at most [`KEYS_MAX`]. `Debug` shows how many there are and nothing of them.
pub struct KeySet {
    keys: Vec<VerificationKey>,
    fingerprint: [u8; 32],
}

/// One key, its name, and a keyed digest of both.
pub(crate) struct VerificationKey {
    pub(crate) kid: Option<Box<str>>,
    pub(crate) material: Material,
    mark: [u8; 32],
}

impl KeySet {
    /// HMAC keys for HS256, HS384 and HS512: several while a secret is being replaced; a token may be signed with any.
    ///
    /// # Errors
    /// No secret at all, an empty one, one that is not what `encoding` says, or more than [`KEYS_MAX`]. A short secret is
    /// accepted, because an origin's secret cannot always be chosen: [`inspect_secret`](crate::inspect_secret) warns of it.
    pub fn from_secrets(secrets: &[Secret], encoding: SecretEncoding) -> Result<Self, KeyError> {
        if secrets.is_empty() {
            return Err(KeyError::NoSecrets);
        }
        if secrets.len() > KEYS_MAX {
            return Err(KeyError::TooManyKeys);
        }
        let key = |secret: &Secret| {
            let bytes = encoding.decode(secret)?;
            VerificationKey::new(None, Material::secret(bytes.expose())?, &[b"oct", bytes.expose()])
        };
        Self::new(secrets.iter().map(key).collect::<Result<_, _>>()?)
    }

    /// Public keys from a JWK set (RFC 7517 section 5) as an issuer publishes it, and what was passed over and why.
    ///
    /// Symmetric keys are passed over: see [`from_jwks_with`](Self::from_jwks_with). A set of which nothing remains is
    /// empty, not an error.
    ///
    /// # Errors
    /// The document is too long, is not a JSON object with `keys`, has a duplicate member or too many keys.
    pub fn from_jwks(json: &[u8]) -> Result<(Self, Vec<SkippedKey>), JwksError> {
        Self::from_jwks_with(json, JwksOptions::default())
    }

    /// As [`from_jwks`](Self::from_jwks), with what a private document may hold in addition.
    ///
    /// # Errors
    /// As [`from_jwks`](Self::from_jwks).
    pub fn from_jwks_with(json: &[u8], options: JwksOptions) -> Result<(Self, Vec<SkippedKey>), JwksError> {
        let (keys, skipped) = jwk::read_set(json, options)?;
        Ok((Self::new(keys).map_err(JwksError::Key)?, skipped))
    }

    /// Differs when any key, its name or its place differs: whoever caches verdicts flushes when it changes.
    ///
    /// It is keyed with random bytes of this process, so that it reveals nothing of a guessable secret; it therefore
    /// means nothing to another process or after a restart.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none, and so nothing verifies.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The names of those keys that have one, in the order of the document.
    pub fn kids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().filter_map(|key| key.kid.as_deref())
    }

    /// Checks a signature with every key that may have made it.
    ///
    /// Candidates are the keys that fit the algorithm and, when the token names a key, carry that name or none
    /// (RFC 7515 section 4.1.4).
    pub(crate) fn check(
        &self,
        algorithm: Algorithm,
        kid: Option<&str>,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), NotVerified> {
        let candidates = || {
            self.keys
                .iter()
                .map(|key| (key.kid.as_deref(), &key.material))
                .filter(|(own, material)| {
                    material.fits(algorithm) && kid.is_none_or(|wanted| own.is_none_or(|own| own == wanted))
                })
        };
        let count = candidates().count();
        if count == 0 || (count > TRIED_MAX && !algorithm.is_symmetric()) {
            return Err(NotVerified::UnknownKey);
        }
        if candidates().any(|(_, material)| material.verifies(algorithm, message, signature)) {
            return Ok(());
        }
        Err(NotVerified::BadSignature)
    }

    fn new(keys: Vec<VerificationKey>) -> Result<Self, KeyError> {
        let marks: Vec<&[u8]> = keys.iter().map(|key| key.mark.as_slice()).collect();
        let fingerprint = mark(&marks)?;
        Ok(Self { keys, fingerprint })
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("KeySet")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// Why no key vouches for a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotVerified {
    BadSignature,
    UnknownKey,
}

impl VerificationKey {
    /// `parts` are everything that makes this key another than its neighbour, material included.
    pub(crate) fn new(kid: Option<&str>, material: Material, parts: &[&[u8]]) -> Result<Self, KeyError> {
        let named = [kid.map_or(&b"-"[..], |_| b"+"), kid.unwrap_or_default().as_bytes()];
        let mark = mark(&[&named[..], parts].concat())?;
        Ok(Self {
            kid: kid.map(Into::into),
            material,
            mark,
        })
    }
}

/// HMAC-SHA-256 over the parts, each preceded by its length, under a key that lives as long as the process.
fn mark(parts: &[&[u8]]) -> Result<[u8; 32], KeyError> {
    static PROCESS_KEY: OnceLock<hmac::Key> = OnceLock::new();
    let key = match PROCESS_KEY.get() {
        Some(key) => key,
        None => {
            let mut random = [0; 32];
            rand::fill(&mut random).map_err(|_| KeyError::NoRandomness)?;
            PROCESS_KEY.get_or_init(|| hmac::Key::new(hmac::HMAC_SHA256, &random))
        }
    };
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut output = [0; 32];
    output.copy_from_slice(context.sign().as_ref());
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(texts: &[&str]) -> Vec<Secret> {
        texts.iter().map(|text| Secret::new(text.as_bytes().to_vec())).collect()
    }

    fn set(texts: &[&str]) -> Result<KeySet, KeyError> {
        KeySet::from_secrets(&secrets(texts), SecretEncoding::Raw)
    }

    #[test]
    fn secrets_are_bounded() {
        assert_eq!(set(&["a"]).unwrap().len(), 1);
        assert_eq!(set(&["a"; KEYS_MAX]).unwrap().len(), KEYS_MAX);
        assert_eq!(set(&["a"; KEYS_MAX + 1]).unwrap_err(), KeyError::TooManyKeys);
        assert_eq!(set(&[]).unwrap_err(), KeyError::NoSecrets);
        assert_eq!(set(&["a", ""]).unwrap_err(), KeyError::EmptySecret);
        let encoded = |text| KeySet::from_secrets(&secrets(&[text]), SecretEncoding::Base64).map(|set| set.len());
        assert_eq!(encoded("YWJj"), Ok(1));
        assert_eq!(encoded("YW(j"), Err(KeyError::NotBase64));
        assert_eq!(encoded("\n"), Err(KeyError::EmptySecret));
    }

    #[test]
    fn fingerprints_follow_the_keys() {
        let print = |texts: &[&str]| set(texts).unwrap().fingerprint();
        assert_eq!(print(&["a", "b"]), print(&["a", "b"]));
        for other in [&["a"][..], &["b", "a"], &["a", "c"], &["a", "b", "b"], &["ab"]] {
            assert_ne!(print(&["a", "b"]), print(other), "{other:?}");
        }
        assert!(!print(&["a"]).starts_with(&crate::digest::sha256(b"a")[..8]));
    }

    #[test]
    fn debug_shows_a_count() {
        assert_eq!(format!("{:?}", set(&["hunter2"]).unwrap()), "KeySet { len: 1, .. }");
    }
}
