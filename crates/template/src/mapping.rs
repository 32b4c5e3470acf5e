//! Parameter mappings: what goes from the caller's request into the origin's, and from the origin's answer back.
//!
//! REST APIs write `integration.request.header.X: method.request.path.Y`, HTTP APIs `append:header.X: $request.path.Y`. Both
//! become [`Mapping`]s.

mod http_api;
mod rest;

pub use http_api::{parse_request as parse_http_request, parse_response as parse_http_response};
pub use rest::{parse_request as parse_rest_request, parse_source as parse_rest_source};

use crate::{
    shown::shown,
    variable::{Variable, VariableError},
};

/// One value that is put into the request to the origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// What becomes of it.
    pub action: Action,
    /// Where it goes.
    pub target: Target,
    /// What it is made of, in order; empty for a removal.
    pub value: Vec<Source>,
}

/// What a mapping does at its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Adds a value beside those that are there.
    Append,
    /// Puts a value in the place of all that are there.
    Overwrite,
    /// Takes all away.
    Remove,
}

/// Where a mapped value goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A header field.
    Header(Box<str>),
    /// The whole path (HTTP APIs).
    Path,
    /// A `{parameter}` of the integration's URI.
    PathParameter(Box<str>),
    /// A query parameter.
    Query(Box<str>),
}

/// What a mapped value is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A `$context` variable.
    Context(Variable),
    /// The last value of a header field of the request.
    Header(Box<str>),
    /// All values of a header field of the request, joined by commas.
    HeaderAll(Box<str>),
    /// Text.
    Literal(Box<str>),
    /// A path parameter of the request.
    Path(Box<str>),
    /// The request's whole path (HTTP APIs).
    PathWhole,
    /// The last value of a query parameter of the request.
    Query(Box<str>),
    /// All values of a query parameter of the request.
    QueryAll(Box<str>),
    /// A stage variable.
    StageVariable(Box<str>),
}

/// One change to the origin's answer (HTTP APIs).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseMapping {
    /// What becomes of the value; [`Action::Overwrite`] for a status.
    pub action: Action,
    /// Where it goes.
    pub target: ResponseTarget,
    /// What it is made of, in order; empty for a removal.
    pub value: Vec<ResponseSource>,
}

/// Where a change to the answer goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResponseTarget {
    /// A header field.
    Header(Box<str>),
    /// The status.
    Status,
}

/// What a change to the answer is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResponseSource {
    /// A `$context` variable.
    Context(Variable),
    /// The last value of a header field of the origin's answer.
    Header(Box<str>),
    /// Text.
    Literal(Box<str>),
    /// A stage variable.
    StageVariable(Box<str>),
}

/// Why an expression is no mapping that can be honoured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// Parts of bodies cannot be mapped.
    #[error("`{0}` maps a part of a body, which is not supported: send it as a header or query value")]
    Body(String),
    /// A name of a header, parameter or variable is empty or malformed.
    #[error("`{0}` does not name a header, parameter or variable: letters, digits and -_.$ are allowed")]
    Name(String),
    /// The gateway or the connection is in charge of this header.
    #[error("the header `{0}` cannot be mapped: the gateway sets it")]
    Reserved(String),
    /// No source.
    #[error("`{written}` is no source: write {expected}")]
    Source {
        /// As written.
        written: String,
        /// What could stand there.
        expected: &'static str,
    },
    /// No target.
    #[error("`{written}` is no target: write {expected}")]
    Target {
        /// As written.
        written: String,
        /// What could stand there.
        expected: &'static str,
    },
    /// A `$context` variable that cannot be used.
    #[error(transparent)]
    Variable(#[from] VariableError),
}

/// Header names that belong to the gateway, to framing or to the connection (Amazon's list and RFC 9110 section 7.6.1).
fn check_header(name: &str) -> Result<Box<str>, MappingError> {
    let lower = name.to_ascii_lowercase();
    let reserved = matches!(
        lower.as_str(),
        "connection"
            | "content-length"
            | "expect"
            | "host"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "x-amzn-apigateway-api-id"
            | "x-amzn-trace-id"
    );
    match (reserved, is_header_name(name)) {
        (true, _) => Err(MappingError::Reserved(shown(name))),
        (_, false) => Err(MappingError::Name(shown(name))),
        (false, true) => Ok(name.into()),
    }
}

/// A token (RFC 9110 section 5.6.2).
fn is_header_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Names of parameters: what Amazon allows in mapping expressions.
fn check_name(name: &str) -> Result<Box<str>, MappingError> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.$[]".contains(&byte);
    if !name.is_empty() && name.bytes().all(fits) {
        Ok(name.into())
    } else {
        Err(MappingError::Name(shown(name)))
    }
}

/// Names of stage variables: letters, digits and underscores, 64 at most.
pub(crate) fn check_stage_variable(name: &str) -> Result<Box<str>, MappingError> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if (1..=64).contains(&name.len()) && name.bytes().all(fits) {
        Ok(name.into())
    } else {
        Err(MappingError::Name(shown(name)))
    }
}

#[cfg(test)]
mod tests;
