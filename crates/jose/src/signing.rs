//! Keys that sign.

use std::fmt;

use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der},
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaEncoding, RsaKeyPair},
};
use portcullis_core::Secret;
use rustls_pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use serde_json::{Value, json};
use zeroize::Zeroize as _;

use crate::{algorithm::Algorithm, base64url, key::KeyError, secret::SecretEncoding};

/// A key with the one algorithm that it signs with. `Debug` shows the algorithm alone.
///
/// RSA costs some 350 µs of CPU time for a signature, ES256 20 µs, EdDSA 15 µs, HS256 1 µs: keep RSA off an event loop.
pub struct SigningKey {
    algorithm: Algorithm,
    pair: Pair,
}

enum Pair {
    Secret(Box<hmac::Key>),
    Rsa(Box<RsaKeyPair>, &'static dyn RsaEncoding),
    Ecdsa(Box<EcdsaKeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
}

/// Which pair an algorithm signs with, and how.
enum Kind {
    Secret(hmac::Algorithm),
    Rsa(&'static dyn RsaEncoding),
    Ecdsa(&'static signature::EcdsaSigningAlgorithm),
    Ed25519,
}

/// Why nothing was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The cryptographic library failed.
    #[error("signing failed")]
    Failed,
    /// The token would be longer than [`TOKEN_BYTES_MAX`](crate::TOKEN_BYTES_MAX).
    #[error("the token would be longer than {} bytes", crate::TOKEN_BYTES_MAX)]
    TooLong,
    /// The claims cannot be written as JSON.
    #[error("the claims cannot be written as JSON")]
    Unserialisable,
}

impl SigningKey {
    /// From an HMAC secret of at least one byte.
    ///
    /// # Errors
    /// The algorithm is not HS256, HS384 or HS512, or the secret is empty or not what `encoding` says.
    pub fn hmac(secret: &Secret, encoding: SecretEncoding, algorithm: Algorithm) -> Result<Self, KeyError> {
        let Kind::Secret(digest) = kind(algorithm) else {
            return Err(KeyError::NotForAlgorithm(algorithm));
        };
        let bytes = encoding.decode(secret)?;
        if bytes.expose().is_empty() {
            return Err(KeyError::EmptySecret);
        }
        Ok(Self {
            algorithm,
            pair: Pair::Secret(Box::new(hmac::Key::new(digest, bytes.expose()))),
        })
    }

    /// From the first `PRIVATE KEY` section of a PEM text: unencrypted PKCS #8 (RFC 7468 section 10).
    ///
    /// # Errors
    /// No such section, or as [`from_pkcs8_der`](Self::from_pkcs8_der).
    pub fn from_pkcs8_pem(pem: &[u8], algorithm: Algorithm) -> Result<Self, KeyError> {
        let mut der = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_| KeyError::NotPem)?;
        let key = Self::from_pkcs8_der(der.secret_pkcs8_der(), algorithm);
        der.zeroize();
        key
    }

    /// From unencrypted PKCS #8 (RFC 5208).
    ///
    /// # Errors
    /// The algorithm is an HMAC, or the key is not of its kind; RSA keys have 2048 to 8192 bits.
    pub fn from_pkcs8_der(der: &[u8], algorithm: Algorithm) -> Result<Self, KeyError> {
        let pair = match kind(algorithm) {
            Kind::Secret(_) => return Err(KeyError::NotForAlgorithm(algorithm)),
            Kind::Rsa(encoding) => RsaKeyPair::from_pkcs8(der).map(|pair| Pair::Rsa(Box::new(pair), encoding)),
            Kind::Ecdsa(curve) => EcdsaKeyPair::from_pkcs8(curve, der).map(|pair| Pair::Ecdsa(Box::new(pair))),
            Kind::Ed25519 => Ed25519KeyPair::from_pkcs8(der).map(|pair| Pair::Ed25519(Box::new(pair))),
        };
        pair.map(|pair| Self { algorithm, pair })
            .map_err(|_| KeyError::KeyDoesNotFit(algorithm))
    }

    /// A new random key; RSA gets 2048 bits, which takes a good part of a second.
    ///
    /// # Errors
    /// [`KeyError::NoRandomness`].
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        let pair = match kind(algorithm) {
            Kind::Secret(digest) => {
                hmac::Key::generate(digest, &SystemRandom::new()).map(|key| Pair::Secret(Box::new(key)))
            }
            Kind::Rsa(encoding) => {
                RsaKeyPair::generate(KeySize::Rsa2048).map(|pair| Pair::Rsa(Box::new(pair), encoding))
            }
            Kind::Ecdsa(curve) => EcdsaKeyPair::generate(curve).map(|pair| Pair::Ecdsa(Box::new(pair))),
            Kind::Ed25519 => Ed25519KeyPair::generate().map(|pair| Pair::Ed25519(Box::new(pair))),
        };
        pair.map(|pair| Self { algorithm, pair })
            .map_err(|_| KeyError::NoRandomness)
    }

    /// The algorithm that it signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Signs bytes as RFC 7518 section 3 defines the algorithm's signature.
    ///
    /// # Errors
    /// [`SignError::Failed`].
    pub fn sign(&self, signing_input: &[u8]) -> Result<Vec<u8>, SignError> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Secret(key) => Ok(hmac::sign(key, signing_input).as_ref().to_vec()),
            Pair::Rsa(pair, encoding) => {
                let mut output = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &random, signing_input, &mut output)
                    .map(|()| output)
            }
            Pair::Ecdsa(pair) => pair.sign(&random, signing_input).map(|made| made.as_ref().to_vec()),
            Pair::Ed25519(pair) => pair.try_sign(signing_input).map(|made| made.as_ref().to_vec()),
        }
        .map_err(|_| SignError::Failed)
    }

    /// The public key as a JWK with `alg` and `use`, without `kid`; `None` for an HMAC key, which has no public part.
    pub fn public_jwk(&self) -> Option<Value> {
        let alg = self.algorithm.as_str();
        match &self.pair {
            Pair::Secret(_) => None,
            Pair::Rsa(pair, _) => {
                let key = pair.public_key();
                let modulus = base64url::encode(key.modulus().big_endian_without_leading_zero());
                let exponent = base64url::encode(key.exponent().big_endian_without_leading_zero());
                Some(json!({"kty": "RSA", "n": modulus, "e": exponent, "alg": alg, "use": "sig"}))
            }
            Pair::Ecdsa(pair) => {
                // An uncompressed point: 4, then both coordinates (SEC 1 section 2.3.3).
                let coordinates = pair.public_key().as_ref().get(1..)?;
                let (x, y) = coordinates.split_at_checked(coordinates.len() / 2)?;
                let curve = if x.len() == 32 { "P-256" } else { "P-384" };
                let (x, y) = (base64url::encode(x), base64url::encode(y));
                Some(json!({"kty": "EC", "crv": curve, "x": x, "y": y, "alg": alg, "use": "sig"}))
            }
            Pair::Ed25519(pair) => {
                let point = base64url::encode(pair.public_key().as_ref());
                Some(json!({"kty": "OKP", "crv": "Ed25519", "x": point, "alg": alg, "use": "sig"}))
            }
        }
    }

    /// The private key as PKCS #8 in DER, to be kept; `None` for an HMAC key.
    pub fn to_pkcs8_der(&self) -> Option<Secret> {
        match &self.pair {
            Pair::Secret(_) => None,
            Pair::Rsa(pair, _) => {
                let der: Pkcs8V1Der<'_> = pair.as_der().ok()?;
                Some(Secret::new(der.as_ref().to_vec()))
            }
            Pair::Ecdsa(pair) => pair
                .to_pkcs8v1()
                .ok()
                .map(|document| Secret::new(document.as_ref().to_vec())),
            Pair::Ed25519(pair) => pair
                .to_pkcs8v1()
                .ok()
                .map(|document| Secret::new(document.as_ref().to_vec())),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SigningKey")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

fn kind(algorithm: Algorithm) -> Kind {
    match algorithm {
        Algorithm::HS256 => Kind::Secret(hmac::HMAC_SHA256),
        Algorithm::HS384 => Kind::Secret(hmac::HMAC_SHA384),
        Algorithm::HS512 => Kind::Secret(hmac::HMAC_SHA512),
        Algorithm::RS256 => Kind::Rsa(&signature::RSA_PKCS1_SHA256),
        Algorithm::RS384 => Kind::Rsa(&signature::RSA_PKCS1_SHA384),
        Algorithm::RS512 => Kind::Rsa(&signature::RSA_PKCS1_SHA512),
        Algorithm::PS256 => Kind::Rsa(&signature::RSA_PSS_SHA256),
        Algorithm::PS384 => Kind::Rsa(&signature::RSA_PSS_SHA384),
        Algorithm::PS512 => Kind::Rsa(&signature::RSA_PSS_SHA512),
        Algorithm::ES256 => Kind::Ecdsa(&signature::ECDSA_P256_SHA256_FIXED_SIGNING),
        Algorithm::ES384 => Kind::Ecdsa(&signature::ECDSA_P384_SHA384_FIXED_SIGNING),
        Algorithm::EdDSA => Kind::Ed25519,
    }
}
