//! The claims of a token, parsed once.

use std::{borrow::Cow, fmt};

use portcullis_core::Timestamp;
use serde_json::{Map, Value};

use crate::{json, jwt::TokenError};

/// The claims of a token that [`verify`](crate::verify) accepted; there is no other way to come by them.
///
/// Members keep the order in which the issuer wrote them. `Debug` shows none of them.
#[derive(Clone, PartialEq)]
pub struct Claims {
    object: Map<String, Value>,
    exp: Option<Timestamp>,
    nbf: Option<Timestamp>,
    iat: Option<Timestamp>,
}

impl Claims {
    /// Reads a payload whose signature was checked.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, TokenError> {
        let object = json::parse_object(json).map_err(|_| TokenError::MalformedClaims)?;
        let date = |name| match object.get(name) {
            None => Ok(None),
            Some(value) => numeric_date(value).map(Some).ok_or(TokenError::MalformedClaim(name)),
        };
        let (exp, nbf, iat) = (date("exp")?, date("nbf")?, date("iat")?);
        Ok(Self { object, exp, nbf, iat })
    }

    /// `exp`: from then on the token is not valid; saturated at the ends of [`Timestamp`]'s range.
    pub fn exp(&self) -> Option<Timestamp> {
        self.exp
    }

    /// `nbf`: before then the token is not valid.
    pub fn nbf(&self) -> Option<Timestamp> {
        self.nbf
    }

    /// `iat`: when the token was issued.
    pub fn iat(&self) -> Option<Timestamp> {
        self.iat
    }

    /// `sub`, when it is a text: whom the token is about.
    pub fn sub(&self) -> Option<&str> {
        self.value("sub")?.as_str()
    }

    /// The claim of this name as it stands.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.object.get(name)
    }

    /// The claim of this name as text: a text as it is, numbers and booleans as JSON writes them, arrays and objects as
    /// compact JSON; `None` when it is absent or null.
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        match self.value(name)? {
            Value::Null => None,
            Value::String(text) => Some(Cow::Borrowed(text)),
            value @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                Some(Cow::Owned(value.to_string()))
            }
        }
    }

    /// The scopes of `scope` or, when that is absent, of `scp`: a text with spaces between them (RFC 8693 section 4.2) or
    /// an array of texts, each one scope.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        let claim = self.value("scope").or_else(|| self.value("scp"));
        let listed = claim.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let written = claim.and_then(Value::as_str).unwrap_or_default();
        written
            .split(' ')
            .chain(listed.iter().filter_map(Value::as_str))
            .filter(|scope| !scope.is_empty())
    }

    /// All claims, in the issuer's order.
    pub fn object(&self) -> &Map<String, Value> {
        &self.object
    }
}

impl fmt::Debug for Claims {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Claims")
            .field("len", &self.object.len())
            .finish_non_exhaustive()
    }
}

/// A NumericDate (RFC 7519 section 2): seconds since the epoch, whole or with a fraction, of any size.
fn numeric_date(value: &Value) -> Option<Timestamp> {
    let number = value.as_number()?;
    if let Some(seconds) = number.as_i64() {
        return Some(Timestamp::from_unix_seconds(seconds));
    }
    // Beyond i64, or with a fraction: a cast saturates, and JSON has no NaN.
    number
        .as_f64()
        .map(|seconds| Timestamp::from_unix_micros((seconds * 1e6) as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(json: &str) -> Claims {
        Claims::parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn dates() {
        let check = |number: &str, micros: Result<i64, TokenError>| {
            let parsed = Claims::parse(format!("{{\"exp\":{number}}}").as_bytes());
            assert_eq!(
                parsed.map(|claims| claims.exp().unwrap().unix_micros()),
                micros,
                "{number}"
            );
        };
        check("0", Ok(0));
        check("1700000000", Ok(1_700_000_000_000_000));
        check("1700000000.5", Ok(1_700_000_000_500_000));
        check("1.7e9", Ok(1_700_000_000_000_000));
        check("-1", Ok(-1_000_000));
        check("-0.5", Ok(-500_000));
        check("9223372036854775807", Ok(i64::MAX));
        check("18446744073709551615", Ok(i64::MAX));
        check("-9223372036854775808", Ok(i64::MIN));
        check("1e300", Ok(i64::MAX));
        check("-1e300", Ok(i64::MIN));
        check("1e400", Err(TokenError::MalformedClaims));
        check("NaN", Err(TokenError::MalformedClaims));
        for wrong in ["\"1700000000\"", "null", "true", "[1]", "{}"] {
            check(wrong, Err(TokenError::MalformedClaim("exp")));
        }
        let all = claims(r#"{"exp":3,"nbf":1,"iat":2}"#);
        assert_eq!(all.nbf(), Some(Timestamp::from_unix_seconds(1)));
        assert_eq!(all.iat(), Some(Timestamp::from_unix_seconds(2)));
        assert_eq!(claims("{}").exp(), None);
    }

    #[test]
    fn texts() {
        let all = claims(r#"{"s":"x","n":1.50,"i":12,"b":false,"z":null,"a":[1,"b"],"o":{"k":2},"sub":"me"}"#);
        let check = |name: &str, expected: Option<&str>| assert_eq!(all.text(name).as_deref(), expected, "{name}");
        check("s", Some("x"));
        check("n", Some("1.5"));
        check("i", Some("12"));
        check("b", Some("false"));
        check("a", Some(r#"[1,"b"]"#));
        check("o", Some(r#"{"k":2}"#));
        check("z", None);
        check("absent", None);
        assert_eq!(all.sub(), Some("me"));
        assert_eq!(claims(r#"{"sub":7}"#).sub(), None);
        assert!(all.object().keys().eq(["s", "n", "i", "b", "z", "a", "o", "sub"]));
        assert_eq!(format!("{all:?}"), "Claims { len: 8, .. }");
    }

    #[test]
    fn scopes() {
        let check = |json: &str, expected: &[&str]| {
            assert_eq!(claims(json).scopes().collect::<Vec<_>>(), expected, "{json}");
        };
        check(r#"{"scope":"a b  c"}"#, &["a", "b", "c"]);
        check(r#"{"scp":"a b"}"#, &["a", "b"]);
        check(r#"{"scp":["a","b c",1,""]}"#, &["a", "b c"]);
        check(r#"{"scope":"a","scp":"b"}"#, &["a"]);
        check(r#"{"scope":""}"#, &[]);
        check(r#"{"scope":7}"#, &[]);
        check("{}", &[]);
    }
}
