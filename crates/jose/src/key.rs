//! One verification key, a type of its own per family: what a key cannot verify it cannot be asked to.

use aws_lc_rs::{
    hmac,
    signature::{self, ParsedPublicKey, RsaParameters, RsaPublicKeyComponents},
};

use crate::algorithm::Algorithm;

/// Why keys cannot be used. No variant holds key material.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A secret has no bytes.
    #[error("the secret is empty")]
    EmptySecret,
    /// The key is of another kind than the algorithm needs, is not well-formed, or is an RSA key outside 2048 to 8192 bits.
    #[error("the private key does not fit {0}: it must be an unencrypted PKCS #8 key of that algorithm's kind")]
    KeyDoesNotFit(Algorithm),
    /// The operating system gave no random bytes.
    #[error("no random bytes to be had")]
    NoRandomness,
    /// There is no secret at all.
    #[error("no secret is given")]
    NoSecrets,
    /// A secret is not base64.
    #[error("the secret is not base64; if it is to be used byte by byte as it stands, set its encoding to raw")]
    NotBase64,
    /// An HMAC algorithm was asked to work with a key pair, or the reverse.
    #[error("{0} works with another kind of key")]
    NotForAlgorithm(Algorithm),
    /// A text holds no `PRIVATE KEY` section.
    #[error("no PEM section `PRIVATE KEY` (PKCS #8); convert with `openssl pkcs8 -topk8 -nocrypt`")]
    NotPem,
    /// More than [`KEYS_MAX`](crate::KEYS_MAX).
    #[error("more than {} keys", crate::KEYS_MAX)]
    TooManyKeys,
}

/// A key parsed for every algorithm that it may verify.
pub(crate) enum Material {
    /// For HS256, HS384 and HS512, in this order.
    Secret(Box<[hmac::Key; 3]>),
    /// For each RSA algorithm that the key allows; the library ties a parsed key to its algorithm.
    Rsa(Vec<(Algorithm, ParsedPublicKey)>),
    /// For ES256.
    P256(ParsedPublicKey),
    /// For ES384.
    P384(ParsedPublicKey),
    /// For EdDSA.
    Ed25519(ParsedPublicKey),
}

/// A public key that its library refuses, or that is too weak to be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnusableKey;

const RSA_ALGORITHMS: [(Algorithm, &RsaParameters); 6] = [
    (Algorithm::RS256, &signature::RSA_PKCS1_2048_8192_SHA256),
    (Algorithm::RS384, &signature::RSA_PKCS1_2048_8192_SHA384),
    (Algorithm::RS512, &signature::RSA_PKCS1_2048_8192_SHA512),
    (Algorithm::PS256, &signature::RSA_PSS_2048_8192_SHA256),
    (Algorithm::PS384, &signature::RSA_PSS_2048_8192_SHA384),
    (Algorithm::PS512, &signature::RSA_PSS_2048_8192_SHA512),
];

impl Material {
    /// An HMAC secret of at least one byte.
    pub(crate) fn secret(bytes: &[u8]) -> Result<Self, KeyError> {
        if bytes.is_empty() {
            return Err(KeyError::EmptySecret);
        }
        let key = |algorithm| hmac::Key::new(algorithm, bytes);
        Ok(Self::Secret(Box::new([
            key(hmac::HMAC_SHA256),
            key(hmac::HMAC_SHA384),
            key(hmac::HMAC_SHA512),
        ])))
    }

    /// An RSA key of 2048 to 8192 bits from big-endian numbers without leading zeros; with `only`, for that algorithm alone.
    pub(crate) fn rsa(modulus: &[u8], exponent: &[u8], only: Option<Algorithm>) -> Result<Self, UnusableKey> {
        let bits = modulus
            .first()
            .map_or(0, |first| modulus.len() * 8 - first.leading_zeros() as usize);
        let odd = |number: &[u8]| number.last().is_some_and(|byte| byte % 2 == 1);
        // An exponent of 1 would let anybody sign; one beyond 32 bits only makes verification slow (RFC 8017 section 3.1).
        let exponent_fits = (1..=4).contains(&exponent.len()) && odd(exponent) && exponent != [1];
        if !(2048..=8192).contains(&bits) || !odd(modulus) || !exponent_fits {
            return Err(UnusableKey);
        }
        let components = RsaPublicKeyComponents {
            n: modulus,
            e: exponent,
        };
        RSA_ALGORITHMS
            .into_iter()
            .filter(|(algorithm, _)| only.is_none_or(|only| only == *algorithm))
            .map(|(algorithm, parameters)| Ok((algorithm, components.to_parsed_public_key(parameters)?)))
            .collect::<Result<Vec<_>, aws_lc_rs::error::KeyRejected>>()
            .map(Self::Rsa)
            .map_err(|_| UnusableKey)
    }

    /// A point of P-256 from its two coordinates; refused when it is not on the curve.
    pub(crate) fn p256(x: &[u8; 32], y: &[u8; 32]) -> Result<Self, UnusableKey> {
        parse(&signature::ECDSA_P256_SHA256_FIXED, &[&[4], x.as_slice(), y].concat()).map(Self::P256)
    }

    /// A point of P-384 from its two coordinates; refused when it is not on the curve.
    pub(crate) fn p384(x: &[u8; 48], y: &[u8; 48]) -> Result<Self, UnusableKey> {
        parse(&signature::ECDSA_P384_SHA384_FIXED, &[&[4], x.as_slice(), y].concat()).map(Self::P384)
    }

    /// An Ed25519 public key.
    pub(crate) fn ed25519(point: &[u8; 32]) -> Result<Self, UnusableKey> {
        parse(&signature::ED25519, point).map(Self::Ed25519)
    }

    /// Whether this key could have made a signature of `algorithm` at all.
    pub(crate) fn fits(&self, algorithm: Algorithm) -> bool {
        self.verifier(algorithm).is_some()
    }

    /// Whether `signature` over `message` is of this key; false when the key does not fit `algorithm`.
    pub(crate) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        match self.verifier(algorithm) {
            Some(Verifier::Hmac(key)) => hmac::verify(key, message, signature).is_ok(), // in constant time
            Some(Verifier::Public(key)) => key.verify_sig(message, signature).is_ok(),
            None => false,
        }
    }

    /// The one place where an algorithm meets a key: every pair is written down, none is left to a default.
    fn verifier(&self, algorithm: Algorithm) -> Option<Verifier<'_>> {
        match (algorithm, self) {
            (Algorithm::HS256, Self::Secret(keys)) => Some(Verifier::Hmac(&keys[0])),
            (Algorithm::HS384, Self::Secret(keys)) => Some(Verifier::Hmac(&keys[1])),
            (Algorithm::HS512, Self::Secret(keys)) => Some(Verifier::Hmac(&keys[2])),
            (
                Algorithm::RS256
                | Algorithm::RS384
                | Algorithm::RS512
                | Algorithm::PS256
                | Algorithm::PS384
                | Algorithm::PS512,
                Self::Rsa(keys),
            ) => keys
                .iter()
                .find(|(own, _)| *own == algorithm)
                .map(|(_, key)| Verifier::Public(key)),
            (Algorithm::ES256, Self::P256(key))
            | (Algorithm::ES384, Self::P384(key))
            | (Algorithm::EdDSA, Self::Ed25519(key)) => Some(Verifier::Public(key)),
            (Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512, _)
            | (Algorithm::RS256 | Algorithm::RS384 | Algorithm::RS512, _)
            | (Algorithm::PS256 | Algorithm::PS384 | Algorithm::PS512, _)
            | (Algorithm::ES256 | Algorithm::ES384 | Algorithm::EdDSA, _) => None,
        }
    }
}

enum Verifier<'key> {
    Hmac(&'key hmac::Key),
    Public(&'key ParsedPublicKey),
}

fn parse(
    algorithm: &'static dyn signature::VerificationAlgorithm,
    bytes: &[u8],
) -> Result<ParsedPublicKey, UnusableKey> {
    ParsedPublicKey::new(algorithm, bytes).map_err(|_| UnusableKey)
}
