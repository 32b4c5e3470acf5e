//! JWK sets (RFC 7517) as issuers publish them.

use std::fmt;

use serde_json::{Map, Value};

use crate::{
    algorithm::Algorithm,
    base64url, json,
    key::{KeyError, Material, UnusableKey},
    key_set::{KEYS_MAX, VerificationKey},
};

/// How long a JWK set may be; Amazon's authorisers refuse longer ones too.
const JWKS_BYTES_MAX: usize = 150_000;
/// How long the name of a key may be.
const KID_BYTES_MAX: usize = 512;
/// The shortest `oct` key: that of HS256 (RFC 7518 section 3.2). Unlike an origin's secret, a JWK can be chosen.
const OCT_BYTES_MIN: usize = 32;

/// What a JWK set may hold in addition to public keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JwksOptions {
    /// Keys of type `oct`: HMAC secrets. Never set it for a document that somebody else could read.
    pub symmetric: bool,
}

/// Why a JWK set as a whole cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwksError {
    /// The keys could not be marked; see the cause.
    #[error(transparent)]
    Key(KeyError),
    /// Not a JSON object, a duplicate member, or nested too deeply.
    #[error("the JWK set is not a JSON object, has a member twice or is nested too deeply")]
    MalformedJson,
    /// Without an array `keys`.
    #[error("the JWK set has no array `keys`")]
    NoKeys,
    /// Longer than 150,000 bytes.
    #[error("the JWK set is longer than {JWKS_BYTES_MAX} bytes")]
    TooLong,
    /// More than [`KEYS_MAX`].
    #[error("the JWK set has more than {KEYS_MAX} keys")]
    TooManyKeys,
}

/// A key of a JWK set that is not used, for a person to read about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedKey {
    /// Its place in `keys`, from 0.
    pub index: usize,
    /// Its name, if it has one that is a text of bounded length.
    pub kid: Option<String>,
    /// Why it is not used.
    pub reason: SkipReason,
}

/// Why a key of a JWK set is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SkipReason {
    /// `alg` does not belong to the key's type or curve.
    #[error("its `alg` does not fit its type or curve")]
    AlgorithmMismatch,
    /// An earlier key of the same type has this `kid`.
    #[error("an earlier key of the same type has the same `kid`")]
    DuplicateKid,
    /// A member is missing, of the wrong type, or not canonical base64url.
    #[error("a member is missing or malformed")]
    Malformed,
    /// `use` or `key_ops` reserve it for something else than verifying signatures.
    #[error("its `use` or `key_ops` do not allow verification")]
    NotForVerification,
    /// Private members stand beside the public ones: whoever can read the set can sign.
    #[error("it holds private members: the private key is published, so replace it")]
    PrivateKeyPublished,
    /// `oct`, where secrets are not allowed.
    #[error("it is a symmetric key, which a published set must not hold")]
    Symmetric,
    /// `alg` is none of ours.
    #[error("its `alg` is not supported")]
    UnsupportedAlgorithm,
    /// `crv` is none of P-256, P-384 and Ed25519.
    #[error("its `crv` is not supported")]
    UnsupportedCurve,
    /// `kty` is none of RSA, EC, OKP and oct.
    #[error("its `kty` is not supported")]
    UnsupportedType,
    /// Too short, too long, or not a valid point or modulus.
    #[error(
        "its numbers are no usable key: RSA needs 2048 to 8192 bits, a point must be on its curve, a secret have 32 bytes"
    )]
    Unusable,
}

impl fmt::Display for SkippedKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "key {}", self.index)?;
        if let Some(kid) = &self.kid {
            write!(formatter, " ({kid:?})")?;
        }
        write!(formatter, ": {}", self.reason)
    }
}

/// Reads a set; keys that cannot be used are passed over, as RFC 7517 section 5 asks, but not silently.
pub(crate) fn read_set(
    json: &[u8],
    options: JwksOptions,
) -> Result<(Vec<VerificationKey>, Vec<SkippedKey>), JwksError> {
    if json.len() > JWKS_BYTES_MAX {
        return Err(JwksError::TooLong);
    }
    let document = json::parse_object(json).map_err(|_| JwksError::MalformedJson)?;
    let entries = document
        .get("keys")
        .and_then(Value::as_array)
        .ok_or(JwksError::NoKeys)?;
    if entries.len() > KEYS_MAX {
        return Err(JwksError::TooManyKeys);
    }
    let (mut keys, mut skipped, mut names) = (Vec::new(), Vec::new(), Vec::new());
    for (index, entry) in entries.iter().enumerate() {
        let reason = match read_key(entry, options) {
            Ok(read) if read.kid.is_some() && names.contains(&(read.kid, read.kty)) => SkipReason::DuplicateKid,
            Ok(Read { kid, kty, material }) => {
                names.push((kid, kty));
                // The whole entry makes the mark: whatever an issuer changes, caches are flushed.
                let entry = zeroize::Zeroizing::new(entry.to_string());
                keys.push(VerificationKey::new(kid, material, &[entry.as_bytes()]).map_err(JwksError::Key)?);
                continue;
            }
            Err(reason) => reason,
        };
        skipped.push(SkippedKey {
            index,
            kid: bounded_kid(entry).map(str::to_owned),
            reason,
        });
    }
    Ok((keys, skipped))
}

struct Read<'entry> {
    kid: Option<&'entry str>,
    kty: &'entry str,
    material: Material,
}

fn read_key(entry: &Value, options: JwksOptions) -> Result<Read<'_>, SkipReason> {
    let entry_object = entry.as_object().ok_or(SkipReason::Malformed)?;
    let kid = bounded_kid(entry);
    if kid.is_none() && entry_object.contains_key("kid") {
        return Err(SkipReason::Malformed);
    }
    let kty = text(entry_object, "kty")?;
    check_purpose(entry_object)?;
    let only = match entry_object.get("alg") {
        None => None,
        Some(Value::String(name)) => Some(name.parse().map_err(|_| SkipReason::UnsupportedAlgorithm)?),
        Some(_) => return Err(SkipReason::Malformed),
    };
    let material = match kty {
        "RSA" => rsa(entry_object, only)?,
        "EC" => elliptic(entry_object)?,
        "OKP" => octet_pair(entry_object)?,
        "oct" if options.symmetric => symmetric(entry_object)?,
        "oct" => return Err(SkipReason::Symmetric),
        _ => return Err(SkipReason::UnsupportedType),
    };
    match (only, material) {
        (Some(only), material) if !material.fits(only) => Err(SkipReason::AlgorithmMismatch),
        (_, material) => Ok(Read { kid, kty, material }),
    }
}

/// RFC 7517 sections 4.2 and 4.3.
fn check_purpose(entry: &Map<String, Value>) -> Result<(), SkipReason> {
    match entry.get("use") {
        None => {}
        Some(Value::String(purpose)) if purpose == "sig" => {}
        Some(Value::String(_)) => return Err(SkipReason::NotForVerification),
        Some(_) => return Err(SkipReason::Malformed),
    }
    match entry.get("key_ops") {
        None => Ok(()),
        Some(Value::Array(operations)) if operations.iter().any(|operation| operation == "verify") => Ok(()),
        Some(Value::Array(_)) => Err(SkipReason::NotForVerification),
        Some(_) => Err(SkipReason::Malformed),
    }
}

/// RFC 7518 section 6.3.
fn rsa(entry: &Map<String, Value>, only: Option<Algorithm>) -> Result<Material, SkipReason> {
    refuse_private(entry, &["d", "p", "q", "dp", "dq", "qi", "oth"])?;
    // The library refuses leading zeros, as section 6.3.1.1 forbids them.
    Ok(Material::rsa(&bytes(entry, "n")?, &bytes(entry, "e")?, only)?)
}

/// RFC 7518 section 6.2: coordinates have the full length of the field.
fn elliptic(entry: &Map<String, Value>) -> Result<Material, SkipReason> {
    refuse_private(entry, &["d"])?;
    match text(entry, "crv")? {
        "P-256" => Ok(Material::p256(&array(entry, "x")?, &array(entry, "y")?)?),
        "P-384" => Ok(Material::p384(&array(entry, "x")?, &array(entry, "y")?)?),
        _ => Err(SkipReason::UnsupportedCurve),
    }
}

/// RFC 8037 section 2.
fn octet_pair(entry: &Map<String, Value>) -> Result<Material, SkipReason> {
    refuse_private(entry, &["d"])?;
    match text(entry, "crv")? {
        "Ed25519" => Ok(Material::ed25519(&array(entry, "x")?)?),
        _ => Err(SkipReason::UnsupportedCurve),
    }
}

/// RFC 7518 section 6.4.
fn symmetric(entry: &Map<String, Value>) -> Result<Material, SkipReason> {
    let secret = zeroize::Zeroizing::new(bytes(entry, "k")?);
    if secret.len() < OCT_BYTES_MIN {
        return Err(SkipReason::Unusable);
    }
    Material::secret(&secret).map_err(|_| SkipReason::Unusable)
}

fn refuse_private(entry: &Map<String, Value>, names: &[&str]) -> Result<(), SkipReason> {
    if names.iter().any(|name| entry.contains_key(*name)) {
        Err(SkipReason::PrivateKeyPublished)
    } else {
        Ok(())
    }
}

fn bounded_kid(entry: &Value) -> Option<&str> {
    entry
        .get("kid")
        .and_then(Value::as_str)
        .filter(|kid| kid.len() <= KID_BYTES_MAX)
}

fn text<'entry>(entry: &'entry Map<String, Value>, name: &str) -> Result<&'entry str, SkipReason> {
    entry.get(name).and_then(Value::as_str).ok_or(SkipReason::Malformed)
}

fn bytes(entry: &Map<String, Value>, name: &str) -> Result<Vec<u8>, SkipReason> {
    base64url::decode(text(entry, name)?).map_err(|_| SkipReason::Malformed)
}

fn array<const LENGTH: usize>(entry: &Map<String, Value>, name: &str) -> Result<[u8; LENGTH], SkipReason> {
    bytes(entry, name)?.try_into().map_err(|_| SkipReason::Malformed)
}

impl From<UnusableKey> for SkipReason {
    fn from(UnusableKey: UnusableKey) -> Self {
        Self::Unusable
    }
}
