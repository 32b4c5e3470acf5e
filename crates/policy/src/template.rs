//! Policy documents with a token's claims in them.
//!
//! ```
//! use portcullis_policy::PolicyTemplate;
//!
//! let template = PolicyTemplate::parse(&serde_json::json!({
//!     "Version": "2012-10-17",
//!     "Statement": {
//!         "Effect": "Allow",
//!         "Action": "execute-api:Invoke",
//!         "Resource": "arn:aws:execute-api:*:*:bank/live/GET/accounts/${claims.account}/*"
//!     }
//! }))?;
//! let policy = template.instantiate(&|name| (name == "account").then(|| "4711".to_owned()))?;
//! assert_eq!(
//!     policy.describe_statement(0),
//!     "Allow execute-api:Invoke on arn:aws:execute-api:*:*:bank/live/GET/accounts/4711/*"
//! );
//! # Ok::<(), portcullis_policy::TemplateError>(())
//! ```

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::{
    Policy, PolicyError,
    claim::{Kind, Position},
    operator::Operation,
};

/// A policy document whose resources and condition values may hold `${claims.NAME}`, where NAME is a claim of the
/// caller's token (letters, digits and `_ . : / -`).
///
/// A claim's value is literal text: `*`, `?` and `${` in it mean themselves. In a resource it is one piece of a path as
/// a request line would carry it (a `/` in it becomes `%2F`), so that it cannot reach into a neighbouring path.
#[derive(Clone, Debug)]
pub struct PolicyTemplate {
    document: Value,
}

/// Why a template gives no policy. None holds a claim's value, but [`TemplateError::Policy`] may quote one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A claim inside of an ARN that is compared field by field holds a colon and would reach into the next field.
    #[error("the claim `{0}` holds a colon, which would reach into another field of the ARN")]
    ColonInClaim(String),
    /// A claim's value is empty, which would widen the pattern around it.
    #[error("the claim `{0}` is empty")]
    EmptyClaim(String),
    /// A `${claims.` without a name and a closing brace, or behind a `$` that the claim could make a variable of.
    #[error("`{0}` holds a malformed claim reference: write `${{claims.NAME}}`, and `${{$}}` for a `$` in front of it")]
    MalformedClaim(String),
    /// A claim where none may stand.
    #[error("a claim cannot stand in `{0}`: use it in `Resource`, `NotResource` or a condition's value")]
    MisplacedClaim(String),
    /// The token does not have a claim.
    #[error("the token has no claim `{0}`")]
    MissingClaim(String),
    /// A number, date, flag, address or network is only partly a claim.
    #[error("`{0}` mixes a claim with other text, which only text and ARN operators can compare")]
    PartialClaim(String),
    /// The document cannot be honoured.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The document's version has no way to write a literal `*`.
    #[error("a template needs `\"Version\": \"2012-10-17\"`")]
    VersionTooOld,
}

const MARK: &str = "${claims.";

// === impl PolicyTemplate ===

impl PolicyTemplate {
    /// Takes a document, which must be one that can be honoured whatever the claims' values are.
    ///
    /// Where an operator compares numbers, dates, flags or addresses, a claim must be the whole value; whether it can be
    /// read is then known only in [`instantiate`](Self::instantiate).
    pub fn parse(value: &Value) -> Result<Self, TemplateError> {
        let template = Self {
            document: value.clone(),
        };
        let sample = |_: &str, position: Position| Ok(position.sample().to_owned());
        Policy::from_value(&template.fill(&sample)?)?;
        let has_claims = value.to_string().contains(MARK);
        if has_claims && value.get("Version").and_then(Value::as_str) != Some("2012-10-17") {
            return Err(TemplateError::VersionTooOld);
        }
        Ok(template)
    }

    /// The policy for a token: `claim` gives a claim's text by name.
    ///
    /// A claim that is missing or empty, or that an operator cannot read, is an error, so that the caller is refused.
    pub fn instantiate(&self, claim: &dyn Fn(&str) -> Option<String>) -> Result<Policy, TemplateError> {
        let text = |name: &str, position: Position| match claim(name) {
            None => Err(TemplateError::MissingClaim(name.to_owned())),
            Some(text) if text.is_empty() => Err(TemplateError::EmptyClaim(name.to_owned())),
            Some(text) if position.kind == Kind::Arn && !position.is_whole && text.contains(':') => {
                Err(TemplateError::ColonInClaim(name.to_owned()))
            }
            Some(text) => Ok(position.kind.literal(&text)),
        };
        Ok(Policy::from_value(&self.fill(&text)?)?)
    }

    /// The document with its claims replaced.
    fn fill(&self, claim: &Claim<'_>) -> Result<Value, TemplateError> {
        let Value::Object(members) = &self.document else {
            return Ok(self.document.clone());
        };
        let fill = |name: &str, value: &Value| match (name, value) {
            ("Statement", Value::Array(list)) => list
                .iter()
                .map(|statement| fill_statement(statement, claim))
                .collect::<Result<_, _>>()
                .map(Value::Array),
            ("Statement", one) => fill_statement(one, claim),
            _ => without_claims(name, value),
        };
        map_members(members, fill)
    }
}

/// Gives a claim's text, ready to be put into the document.
type Claim<'a> = dyn Fn(&str, Position) -> Result<String, TemplateError> + 'a;

fn fill_statement(statement: &Value, claim: &Claim<'_>) -> Result<Value, TemplateError> {
    let Value::Object(members) = statement else {
        return without_claims("Statement", statement);
    };
    map_members(members, |name, value| match (name, value) {
        ("Resource" | "NotResource", _) => fill_values(value, Kind::Resource, claim),
        ("Condition", Value::Object(operators)) => {
            map_members(operators, |name, keys| match (Operation::parse(name), keys) {
                (Some(operation), Value::Object(keys)) => {
                    let kind = Kind::of(operation.operator);
                    map_members(keys, |_, values| fill_values(values, kind, claim))
                }
                _ => without_claims(name, keys),
            })
        }
        _ => without_claims(name, value),
    })
}

fn fill_values(value: &Value, kind: Kind, claim: &Claim<'_>) -> Result<Value, TemplateError> {
    match value {
        Value::String(text) => fill_text(text, kind, claim).map(|text| Value::String(text.into_owned())),
        Value::Array(list) => {
            let each = list.iter().map(|value| match value {
                Value::String(_) => fill_values(value, kind, claim),
                other => without_claims("a list", other),
            });
            each.collect::<Result<_, _>>().map(Value::Array)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => without_claims("an object", value),
    }
}

fn fill_text<'a>(text: &'a str, kind: Kind, claim: &Claim<'_>) -> Result<Cow<'a, str>, TemplateError> {
    let Some((mut before, mut rest)) = text.split_once(MARK) else {
        return Ok(Cow::Borrowed(text));
    };
    let malformed = || TemplateError::MalformedClaim(text.to_owned());
    let mut out = String::new();
    loop {
        out.push_str(before);
        let (name, behind) = rest.split_once('}').ok_or_else(malformed)?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:/-".contains(&byte);
        if name.is_empty() || !name.bytes().all(allowed) || before.ends_with('$') {
            return Err(malformed());
        }
        let is_whole = text.len() == MARK.len() + name.len() + 1;
        if !is_whole && !kind.is_text() {
            return Err(TemplateError::PartialClaim(text.to_owned()));
        }
        out.push_str(&claim(name, Position { kind, is_whole })?);
        match behind.split_once(MARK) {
            Some(next) => (before, rest) = next,
            None => {
                out.push_str(behind);
                return Ok(Cow::Owned(out));
            }
        }
    }
}

fn map_members(
    members: &Map<String, Value>,
    fill: impl Fn(&str, &Value) -> Result<Value, TemplateError>,
) -> Result<Value, TemplateError> {
    let each = members.iter().map(|(name, value)| {
        if name.contains(MARK) {
            return Err(TemplateError::MisplacedClaim(name.clone()));
        }
        Ok((name.clone(), fill(name, value)?))
    });
    each.collect::<Result<Map<_, _>, _>>().map(Value::Object)
}

fn without_claims(name: &str, value: &Value) -> Result<Value, TemplateError> {
    if value.to_string().contains(MARK) {
        return Err(TemplateError::MisplacedClaim(name.to_owned()));
    }
    Ok(value.clone())
}
