//! JWT (RFC 7519): the rules about claims on top of a JWS.

use portcullis_core::Timestamp;
use serde_json::{Map, Value};

use crate::{
    algorithm::AlgorithmSet,
    base64url::{self, Buffer},
    claims::Claims,
    jws::{Compact, Header, JwsError},
    key_set::KeySet,
    signing::{SignError, SigningKey},
};

/// How long a token may be.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// What a token must satisfy beside its signature.
///
/// The default allows no algorithm and so no token: whoever builds rules says which algorithms are right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// The algorithms that a token may be signed with.
    pub algorithms: AlgorithmSet,
    /// Whether a token without `exp` is refused.
    pub require_expiry: bool,
    /// How many seconds our clock and the issuer's may differ; widens `exp`, `nbf` and `iat`.
    pub leeway_s: u32,
    /// The `iss` that a token must carry, compared byte by byte; any or none when absent.
    pub issuer: Option<Box<str>>,
    /// The audiences of which a token's `aud` must hold one; any or none when empty.
    pub audiences: Vec<Box<str>>,
    /// Whether `client_id` is looked at when there is no `aud` (as Amazon's JWT authorisers do).
    pub client_id_as_audience: bool,
    /// Whether a token whose `iat` lies in the future is refused.
    pub check_issued_at: bool,
}

/// Why a token is refused. No variant and no text holds a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// `alg` is none of ours, `none` included, or not on the list.
    #[error("the signature algorithm is not allowed")]
    AlgorithmNotAllowed,
    /// None of the keys made this signature.
    #[error("the signature is wrong")]
    BadSignature,
    /// `exp` is not after now.
    #[error("the token has expired")]
    Expired,
    /// `iat` is after now.
    #[error("the token was issued in the future")]
    IssuedInFuture,
    /// A registered claim, named here, is not of its type.
    #[error("the claim `{0}` is malformed")]
    MalformedClaim(&'static str),
    /// The payload is not a JSON object, has a member twice or nests too deeply.
    #[error("the claims are malformed")]
    MalformedClaims,
    /// A segment is not canonical base64url without padding.
    #[error("a segment is not base64url")]
    MalformedEncoding,
    /// The header is not a JSON object with a text `alg`, or has a member twice.
    #[error("the header is malformed")]
    MalformedHeader,
    /// Not three segments with a dot between them.
    #[error("the token does not have three segments")]
    MalformedStructure,
    /// There is no `exp` and there must be one.
    #[error("the token has no expiry")]
    NoExpiry,
    /// `nbf` is after now.
    #[error("the token is not yet valid")]
    NotYetValid,
    /// Longer than [`TOKEN_BYTES_MAX`].
    #[error("the token is longer than {TOKEN_BYTES_MAX} bytes")]
    TooLong,
    /// No key fits the algorithm and the `kid`, or too many would have to be tried.
    #[error("the signing key is unknown")]
    UnknownKey,
    /// The header has `crit`: no extension is understood.
    #[error("the header asks for extensions that are not supported")]
    UnsupportedCritical,
    /// `aud` holds none of the audiences.
    #[error("the token does not have a valid audience")]
    WrongAudience,
    /// `iss` is missing or another.
    #[error("the issuer does not match")]
    WrongIssuer,
    /// `typ` is neither `JWT` nor `at+jwt`: it was made for something else (RFC 8725 section 3.11).
    #[error("the token is of another type")]
    WrongType,
}

/// Checks a token and hands back its claims as the proof.
///
/// The order: length, structure, header, algorithm against the list, key and signature; only then is the payload read,
/// and `exp`, `nbf`, `iat`, `iss`, `aud` are checked in this order.
///
/// ```
/// use portcullis_core::{Secret, Timestamp};
/// use portcullis_jose::{Algorithm, KeySet, Rules, SecretEncoding, TokenError, verify};
///
/// let secret = Secret::new(b"a secret that is known to everyone".to_vec());
/// let keys = KeySet::from_secrets(&[secret], SecretEncoding::Raw)?;
/// let rules = Rules { algorithms: Algorithm::HS256.into(), require_expiry: true, ..Rules::default() };
/// let verdict = verify("eyJhbGciOiJub25lIn0.e30.", &keys, &rules, Timestamp::from_unix_seconds(1_700_000_000));
/// assert_eq!(verdict.unwrap_err(), TokenError::AlgorithmNotAllowed);
/// # Ok::<(), portcullis_jose::KeyError>(())
/// ```
///
/// # Errors
/// What is wrong first.
pub fn verify(token: &str, keys: &KeySet, rules: &Rules, now: Timestamp) -> Result<Claims, TokenError> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(TokenError::TooLong);
    }
    let compact = Compact::split(token)?;
    compact.check_signature(keys, rules.algorithms, check_type)?;
    let mut payload = Buffer::<1024>::new();
    let claims = Claims::parse(payload.decode(compact.payload).map_err(JwsError::from)?)?;
    rules.check_times(&claims, now)?;
    rules.check_issuer(&claims)?;
    rules.check_audience(&claims)?;
    Ok(claims)
}

/// Makes a signed token with the header members `alg`, `typ` (JWT) and, when given, `kid`.
///
/// # Errors
/// The key cannot sign, or the token would be longer than [`TOKEN_BYTES_MAX`].
pub fn issue(claims: &Map<String, Value>, key: &SigningKey, kid: Option<&str>) -> Result<String, SignError> {
    let mut header = Map::new();
    header.insert("alg".to_owned(), key.algorithm().as_str().into());
    header.insert("typ".to_owned(), "JWT".into());
    if let Some(kid) = kid {
        header.insert("kid".to_owned(), kid.into());
    }
    let mut token = String::with_capacity(512);
    for (object, dot) in [(&header, "."), (claims, "")] {
        let json = serde_json::to_vec(object).map_err(|_| SignError::Unserialisable)?;
        base64url::encode_onto(&json, &mut token);
        token.push_str(dot);
    }
    let signature = key.sign(token.as_bytes())?;
    token.push('.');
    base64url::encode_onto(&signature, &mut token);
    if token.len() > TOKEN_BYTES_MAX {
        return Err(SignError::TooLong);
    }
    Ok(token)
}

impl Rules {
    /// The part of [`verify`] that time can change: whoever caches claims asks again on every use.
    ///
    /// # Errors
    /// `NoExpiry`, `Expired`, `NotYetValid` or `IssuedInFuture`.
    pub fn check_times(&self, claims: &Claims, now: Timestamp) -> Result<(), TokenError> {
        let leeway_s = i64::from(self.leeway_s);
        match claims.exp() {
            None if self.require_expiry => return Err(TokenError::NoExpiry),
            // "on or after which the JWT MUST NOT be accepted" (RFC 7519 section 4.1.4)
            Some(exp) if now >= exp.plus_seconds(leeway_s) => return Err(TokenError::Expired),
            None | Some(_) => {}
        }
        let latest = now.plus_seconds(leeway_s);
        if claims.nbf().is_some_and(|nbf| nbf > latest) {
            return Err(TokenError::NotYetValid); // RFC 7519 section 4.1.5
        }
        if self.check_issued_at && claims.iat().is_some_and(|iat| iat > latest) {
            return Err(TokenError::IssuedInFuture);
        }
        Ok(())
    }

    /// RFC 7519 section 4.1.1.
    fn check_issuer(&self, claims: &Claims) -> Result<(), TokenError> {
        let Some(wanted) = self.issuer.as_deref() else {
            return Ok(());
        };
        match claims.value("iss") {
            Some(Value::String(issuer)) if issuer == wanted => Ok(()),
            None | Some(Value::String(_)) => Err(TokenError::WrongIssuer),
            Some(_) => Err(TokenError::MalformedClaim("iss")),
        }
    }

    /// RFC 7519 section 4.1.3: `aud` is a text or an array of texts.
    fn check_audience(&self, claims: &Claims) -> Result<(), TokenError> {
        if self.audiences.is_empty() {
            return Ok(());
        }
        let wanted = |text: &str| self.audiences.iter().any(|audience| **audience == *text);
        let found = match claims.value("aud") {
            Some(Value::String(audience)) => wanted(audience),
            Some(Value::Array(audiences)) => {
                if !audiences.iter().all(Value::is_string) {
                    return Err(TokenError::MalformedClaim("aud"));
                }
                audiences.iter().filter_map(Value::as_str).any(wanted)
            }
            Some(_) => return Err(TokenError::MalformedClaim("aud")),
            None => self.client_id_as_audience && claims.value("client_id").and_then(Value::as_str).is_some_and(wanted),
        };
        if found { Ok(()) } else { Err(TokenError::WrongAudience) }
    }
}

/// `typ` is a media type whose `application/` may be left out, in any case (RFC 7515 section 4.1.9, RFC 9068 section 2.1).
fn check_type(header: &Header<'_>) -> Result<(), TokenError> {
    const ACCEPTED: [&str; 4] = ["JWT", "at+jwt", "application/jwt", "application/at+jwt"];
    match header.typ.as_deref() {
        Some(typ) if !ACCEPTED.iter().any(|accepted| accepted.eq_ignore_ascii_case(typ)) => Err(TokenError::WrongType),
        None | Some(_) => Ok(()),
    }
}

impl From<JwsError> for TokenError {
    fn from(error: JwsError) -> Self {
        match error {
            JwsError::AlgorithmNotAllowed => Self::AlgorithmNotAllowed,
            JwsError::BadSignature => Self::BadSignature,
            JwsError::MalformedEncoding => Self::MalformedEncoding,
            JwsError::MalformedHeader => Self::MalformedHeader,
            JwsError::MalformedStructure => Self::MalformedStructure,
            JwsError::UnknownKey => Self::UnknownKey,
            JwsError::UnsupportedCritical => Self::UnsupportedCritical,
        }
    }
}
