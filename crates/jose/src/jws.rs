//! JWS (RFC 7515): segments, the header, and the signature over bytes; nothing about claims.

use std::{borrow::Cow, fmt};

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

use crate::{
    algorithm::{Algorithm, AlgorithmSet},
    base64url::{self, Buffer},
    json::{AnyValue, DEPTH_MAX, Text},
    key_set::{KeySet, NotVerified},
};

/// How many members a header may have.
const HEADER_MEMBERS_MAX: usize = 32;

/// Why something is not a JWS that one of our keys vouches for. No variant holds a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// `alg` is none of ours, `none` included, or not on the caller's list.
    #[error("the signature algorithm is not allowed")]
    AlgorithmNotAllowed,
    /// None of the keys made this signature.
    #[error("the signature is wrong")]
    BadSignature,
    /// A segment is not canonical base64url without padding.
    #[error("a segment is not base64url")]
    MalformedEncoding,
    /// The header is not a JSON object with a text `alg`, or has a member twice.
    #[error("the header is malformed")]
    MalformedHeader,
    /// Not three segments with a dot between them.
    #[error("it does not have three segments")]
    MalformedStructure,
    /// No key fits the algorithm and the `kid`, or too many would have to be tried.
    #[error("the signing key is unknown")]
    UnknownKey,
    /// The header has `crit`: no extension is understood (RFC 7515 section 4.1.11).
    #[error("the header asks for extensions that are not supported")]
    UnsupportedCritical,
}

/// A JWS in compact serialisation (RFC 7515 section 7.1), split but not yet believed.
#[derive(Clone, Copy)]
pub struct Compact<'token> {
    /// The header, encoded.
    pub header: &'token str,
    /// The payload, encoded.
    pub payload: &'token str,
    /// The signature, encoded.
    pub signature: &'token str,
    /// What is signed: header, dot, payload, as received.
    pub signing_input: &'token str,
}

/// A JOSE header: the members that are looked at. All others are parsed strictly and dropped; in particular a key that the
/// token brings along (`jku`, `jwk`, `x5u`, `x5c`) is never used.
pub struct Header<'json> {
    /// `alg` (RFC 7515 section 4.1.1).
    pub alg: Cow<'json, str>,
    /// `kid` (RFC 7515 section 4.1.4).
    pub kid: Option<Cow<'json, str>>,
    /// `typ` (RFC 7515 section 4.1.9).
    pub typ: Option<Cow<'json, str>>,
    /// Whether there is a `crit`.
    pub critical: bool,
}

// === impl Compact ===

impl<'token> Compact<'token> {
    /// Splits at exactly two dots. The caller bounds the length.
    ///
    /// # Errors
    /// [`JwsError::MalformedStructure`].
    pub fn split(token: &'token str) -> Result<Self, JwsError> {
        let mut segments = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (segments.next(), segments.next(), segments.next(), segments.next())
        else {
            return Err(JwsError::MalformedStructure);
        };
        let signing_input = token
            .get(..header.len() + 1 + payload.len())
            .ok_or(JwsError::MalformedStructure)?;
        Ok(Self {
            header,
            payload,
            signature,
            signing_input,
        })
    }

    /// Whether one of `keys` signed this with one of `algorithms`, by its own header, which `check_header` may refuse
    /// before any key is touched.
    ///
    /// # Errors
    /// What is wrong first, or what `check_header` says.
    pub fn check_signature<E: From<JwsError>>(
        &self,
        keys: &KeySet,
        algorithms: AlgorithmSet,
        check_header: impl FnOnce(&Header<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut header = Buffer::<256>::new();
        let header = Header::parse(header.decode(self.header).map_err(JwsError::from)?)?;
        // The list comes first: nothing of a token with another algorithm reaches a key (RFC 8725 section 3.1).
        let algorithm: Algorithm = header.alg.parse().map_err(|_| JwsError::AlgorithmNotAllowed)?;
        if !algorithms.contains(algorithm) {
            return Err(JwsError::AlgorithmNotAllowed.into());
        }
        if header.critical {
            return Err(JwsError::UnsupportedCritical.into());
        }
        check_header(&header)?;
        let mut signature = Buffer::<512>::new();
        let signature = signature.decode(self.signature).map_err(JwsError::from)?;
        Ok(keys
            .check(
                algorithm,
                header.kid.as_deref(),
                self.signing_input.as_bytes(),
                signature,
            )
            .map_err(JwsError::from)?)
    }
}

impl fmt::Debug for Compact<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Compact").finish_non_exhaustive()
    }
}

// === impl Header ===

impl<'json> Header<'json> {
    /// Reads a decoded header.
    ///
    /// # Errors
    /// [`JwsError::MalformedHeader`].
    pub fn parse(json: &'json [u8]) -> Result<Self, JwsError> {
        let text = std::str::from_utf8(json).map_err(|_| JwsError::MalformedHeader)?;
        serde_json::from_str(text).map_err(|_| JwsError::MalformedHeader)
    }
}

impl<'de> Deserialize<'de> for Header<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Header<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JOSE header")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let (mut alg, mut kid, mut typ, mut critical) = (None, None, None, false);
        let mut others: Vec<Cow<'de, str>> = Vec::new();
        while let Some(Text(name)) = members.next_key()? {
            match name.as_ref() {
                "alg" => once(&mut alg, members.next_value()?)?,
                "kid" => once(&mut kid, members.next_value()?)?,
                "typ" => once(&mut typ, members.next_value()?)?,
                _ => {
                    if others.len() == HEADER_MEMBERS_MAX || others.contains(&name) {
                        return Err(de::Error::custom("a member stands twice, or there are too many"));
                    }
                    critical |= name == "crit";
                    members.next_value_seed(AnyValue(DEPTH_MAX))?;
                    others.push(name);
                }
            }
        }
        let alg = alg.ok_or_else(|| de::Error::custom("no alg"))?;
        Ok(Header {
            alg,
            kid,
            typ,
            critical,
        })
    }
}

fn once<'de, E: de::Error>(slot: &mut Option<Cow<'de, str>>, Text(text): Text<'de>) -> Result<(), E> {
    match slot.replace(text) {
        None => Ok(()),
        Some(_) => Err(E::custom("a member stands twice")),
    }
}

// === impl JwsError ===

impl From<base64url::NotCanonical> for JwsError {
    fn from(base64url::NotCanonical: base64url::NotCanonical) -> Self {
        Self::MalformedEncoding
    }
}

impl From<NotVerified> for JwsError {
    fn from(reason: NotVerified) -> Self {
        match reason {
            NotVerified::BadSignature => Self::BadSignature,
            NotVerified::UnknownKey => Self::UnknownKey,
        }
    }
}
