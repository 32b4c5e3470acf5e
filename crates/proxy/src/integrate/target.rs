//! The request target towards the origin.

use std::borrow::Cow;

use http::uri::PathAndQuery;
use portcullis_core::RequestPath;
use portcullis_model::{router::Parameters, snapshot::HttpProxy};
use portcullis_template::{
    mapping::{Action, Target},
    uri::encode,
};

use super::plan::{PathPlan, Plan};
use crate::{Rejection, receive::Received};

const VALUE_MISSING: &str = "a path parameter of the integration's URI has no value";
const NO_TARGET: &str = "the mapped values do not make a request target";

/// A mapped value with the place where it goes.
#[derive(Debug)]
pub(super) struct Mapped<'s> {
    pub(super) target: &'s Target,
    pub(super) action: Action,
    /// `None` when the request does not have it, and for removals.
    pub(super) value: Option<MappedValue>,
}

/// What a mapping gives.
#[derive(Debug)]
pub(super) enum MappedValue {
    /// A path parameter as received: encoded already, its slashes kept.
    Encoded(String),
    /// Anything else, decoded.
    Text(String),
}

/// Path and query towards the origin. The caller's own path and query are forwarded as received; values from elsewhere are
/// percent-encoded. What comes out is held to the rules that the caller's path was held to, so that no mapped value can
/// climb out of the path that the document gives.
pub(super) fn target(
    proxy: &HttpProxy,
    plan: &Plan,
    parameters: &Parameters<'_, '_>,
    mapped: &[Mapped<'_>],
    received: Received<'_>,
) -> Result<PathAndQuery, Rejection> {
    if let PathPlan::Behind { prefix, parameter } = &plan.path {
        return behind(prefix, parameters.raw(parameter), received);
    }
    let query = received.query();
    let mut out = String::with_capacity(128);
    let parameter = |name: &str| parameter(name, parameters, mapped);
    let whole = mapped
        .iter()
        .find(|mapped| *mapped.target == Target::Path)
        .and_then(|mapped| mapped.value.as_ref());
    match whole.map(MappedValue::as_str) {
        Some(path) => {
            if !path.starts_with('/') {
                out.push('/');
            }
            out.push_str(path);
        }
        None if proxy.uri.write_path(&parameter, &mut out) => {}
        None => return Err(failed(VALUE_MISSING)),
    }
    RequestPath::parse(&out).map_err(|error| failed(&error.to_string()))?;
    write_query(proxy, &parameter, mapped, query, &mut out)?;
    PathAndQuery::try_from(out).map_err(|_| failed(NO_TARGET))
}

/// The common case: see [`PathPlan::Behind`] for why nothing is left to be checked.
fn behind(prefix: &str, value: Option<&str>, received: Received<'_>) -> Result<PathAndQuery, Rejection> {
    let value = value.ok_or_else(|| failed(VALUE_MISSING))?;
    if prefix == "/" && std::ptr::eq(value, received.path().behind_slash()) {
        return Ok(received.target().clone());
    }
    let query = received.query();
    let mut out = String::with_capacity(prefix.len() + value.len() + query.map_or(0, |query| query.len() + 1));
    out.push_str(prefix);
    out.push_str(value);
    if let Some(query) = query {
        out.push('?');
        out.push_str(query);
    }
    PathAndQuery::try_from(out).map_err(|_| failed(NO_TARGET))
}

/// A mapped parameter is encoded as one segment; the resource's own of that name goes on as received.
fn parameter<'p>(name: &str, parameters: &Parameters<'_, 'p>, mapped: &[Mapped<'_>]) -> Option<Cow<'p, str>> {
    let is_it = |target: &Target| matches!(target, Target::PathParameter(known) if **known == *name);
    match mapped.iter().find(|mapped| is_it(mapped.target)) {
        Some(Mapped {
            value: Some(MappedValue::Encoded(value)),
            ..
        }) => Some(Cow::Owned(value.clone())),
        Some(Mapped {
            value: Some(MappedValue::Text(value)),
            ..
        }) => Some(Cow::Owned(encode(value))),
        Some(Mapped { value: None, .. }) => None,
        None => parameters.raw(name).map(Cow::Borrowed),
    }
}

fn write_query<'p>(
    proxy: &HttpProxy,
    parameter: &dyn Fn(&str) -> Option<Cow<'p, str>>,
    mapped: &[Mapped<'_>],
    query: Option<&str>,
    out: &mut String,
) -> Result<(), Rejection> {
    let mut separator = '?';
    let mut next = |out: &mut String| {
        out.push(separator);
        separator = '&';
    };
    if proxy.uri.has_query() {
        next(out);
        if !proxy.uri.write_query(parameter, out) {
            return Err(failed("a parameter in the query of the integration's URI has no value"));
        }
    }
    let changes = |name: &str| {
        let of_name = |target: &Target| matches!(target, Target::Query(known) if **known == *name);
        mapped
            .iter()
            .any(|mapped| of_name(mapped.target) && mapped.action != Action::Append)
    };
    if let Some(query) = query {
        for pair in query.split('&') {
            let name = pair.split_once('=').map_or(pair, |(name, _)| name);
            if !changes(name) {
                next(out);
                out.push_str(pair);
            }
        }
    }
    for Mapped { target, action, value } in mapped {
        if let (Target::Query(name), Some(value)) = (target, value)
            && *action != Action::Remove
        {
            next(out);
            out.push_str(&encode(name));
            out.push('=');
            out.push_str(&encode(value.as_str()));
        }
    }
    Ok(())
}

// === impl MappedValue ===

impl MappedValue {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Encoded(text) | Self::Text(text) => text,
        }
    }
}

fn failed(what: &str) -> Rejection {
    Rejection::MappingFailed(what.to_owned())
}
