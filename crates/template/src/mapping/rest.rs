//! Mapping expressions of REST APIs.

use super::{Action, Mapping, MappingError, Source, Target, check_header, check_name, check_stage_variable};
use crate::{
    shown::{shown, shown_expression},
    variable::{Product, Variable},
};

const TARGETS: &str = "`integration.request.header.NAME`, `integration.request.querystring.NAME` or \
                       `integration.request.path.NAME`";
const SOURCES: &str = "`method.request.path.NAME`, `method.request.querystring.NAME`, `method.request.header.NAME`, \
                       `stageVariables.NAME`, `context.NAME` or `'text'`";

/// Reads one entry of `requestParameters`. Mapped headers overwrite the caller's, mapped query values are added to them.
pub fn parse_request(target: &str, source: &str) -> Result<Mapping, MappingError> {
    let (action, target) = parse_target(target)?;
    Ok(Mapping {
        action,
        target,
        value: vec![parse_source(source)?],
    })
}

fn parse_target(text: &str) -> Result<(Action, Target), MappingError> {
    let wrong = || MappingError::Target {
        written: shown(text),
        expected: TARGETS,
    };
    let (kind, name) = text
        .strip_prefix("integration.request.")
        .and_then(|rest| rest.split_once('.'))
        .ok_or_else(wrong)?;
    match kind {
        "header" | "multivalueheader" => Ok((Action::Overwrite, Target::Header(check_header(name)?))),
        "querystring" | "multivaluequerystring" => Ok((Action::Append, Target::Query(check_name(name)?))),
        "path" => Ok((Action::Overwrite, Target::PathParameter(check_name(name)?))),
        _ => Err(wrong()),
    }
}

/// Reads a source.
pub fn parse_source(text: &str) -> Result<Source, MappingError> {
    let wrong = || MappingError::Source {
        written: shown_expression(text),
        expected: SOURCES,
    };
    if let Some(literal) = text.strip_prefix('\'') {
        let literal = literal.strip_suffix('\'').ok_or_else(wrong)?;
        // Control characters could end a header field or split a request line.
        return if literal.chars().any(char::is_control) {
            Err(wrong())
        } else {
            Ok(Source::Literal(literal.into()))
        };
    }
    if let Some(name) = text.strip_prefix("stageVariables.") {
        return check_stage_variable(name).map(Source::StageVariable);
    }
    if let Some(name) = text.strip_prefix("context.") {
        return Ok(Source::Context(Variable::parse(name, Product::Rest)?));
    }
    let rest = text.strip_prefix("method.request.").ok_or_else(wrong)?;
    if rest == "body" || rest.starts_with("body.") || rest.starts_with("body[") {
        return Err(MappingError::Body(shown(text)));
    }
    let (kind, name) = rest.split_once('.').ok_or_else(wrong)?;
    match kind {
        "header" => check_name(name).map(Source::Header),
        "multivalueheader" => check_name(name).map(Source::HeaderAll),
        "querystring" => check_name(name).map(Source::Query),
        "multivaluequerystring" => check_name(name).map(Source::QueryAll),
        "path" => check_name(name).map(Source::Path),
        _ => Err(wrong()),
    }
}
