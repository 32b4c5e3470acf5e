//! Parameter mappings of HTTP APIs.

use super::{
    Action, Mapping, MappingError, ResponseMapping, ResponseSource, ResponseTarget, Source, Target, check_header,
    check_name, check_stage_variable,
};
use crate::{
    shown::{shown, shown_expression},
    variable::{Product, Variable, name_at},
};

const TARGETS: &str = "`append|overwrite|remove:header.NAME`, `append|overwrite|remove:querystring.NAME` or \
                       `overwrite:path`";
const RESPONSE_TARGETS: &str = "`append|overwrite|remove:header.NAME` or `overwrite:statuscode`";
const SOURCES: &str = "`$request.header.NAME`, `$request.querystring.NAME`, `$request.path`, `$request.path.NAME`, \
                       `$context.NAME`, `$stageVariables.NAME` or text";
const RESPONSE_SOURCES: &str = "`$response.header.NAME`, `$context.NAME`, `$stageVariables.NAME` or text";

/// Reads one entry of a request's `requestParameters`.
pub fn parse_request(target: &str, value: &str) -> Result<Mapping, MappingError> {
    let wrong = || MappingError::Target {
        written: shown(target),
        expected: TARGETS,
    };
    let (action, place) = split(target).ok_or_else(wrong)?;
    let place = match (action, place.split_once('.')) {
        (Action::Overwrite, None) if place == "path" => Target::Path,
        (_, Some(("header", name))) => Target::Header(check_header(name)?),
        (_, Some(("querystring", name))) => Target::Query(check_name(name)?),
        _ => return Err(wrong()),
    };
    let value = if action == Action::Remove {
        Vec::new()
    } else {
        pieces(value, request_source, Source::Literal)?
    };
    Ok(Mapping {
        action,
        target: place,
        value,
    })
}

/// Reads one entry of `responseParameters` for a status.
pub fn parse_response(target: &str, value: &str) -> Result<ResponseMapping, MappingError> {
    let wrong = || MappingError::Target {
        written: shown(target),
        expected: RESPONSE_TARGETS,
    };
    let (action, place) = split(target).ok_or_else(wrong)?;
    let place = match (action, place.split_once('.')) {
        (Action::Overwrite, None) if place == "statuscode" => ResponseTarget::Status,
        (_, Some(("header", name))) => ResponseTarget::Header(check_header(name)?),
        _ => return Err(wrong()),
    };
    let value = if action == Action::Remove {
        Vec::new()
    } else {
        pieces(value, response_source, ResponseSource::Literal)?
    };
    Ok(ResponseMapping {
        action,
        target: place,
        value,
    })
}

fn split(target: &str) -> Option<(Action, &str)> {
    let (action, place) = target.split_once(':')?;
    let action = match action {
        "append" => Action::Append,
        "overwrite" => Action::Overwrite,
        "remove" => Action::Remove,
        _ => return None,
    };
    Some((action, place))
}

/// A value is one `$expression`, or text with `${expression}`s in it.
fn pieces<S>(
    value: &str,
    source: fn(&str) -> Result<S, MappingError>,
    literal: fn(Box<str>) -> S,
) -> Result<Vec<S>, MappingError> {
    if value.chars().any(char::is_control) {
        return Err(MappingError::Source {
            written: shown_expression(value),
            expected: SOURCES,
        });
    }
    if value.starts_with('$') && !value.starts_with("${") {
        return Ok(vec![source(value)?]);
    }
    let mut pieces = Vec::new();
    let mut rest = value;
    while let Some((before, behind)) = rest.split_once("${") {
        let unclosed = || MappingError::Source {
            written: shown_expression(value),
            expected: "a `}` behind each `${`",
        };
        let (inner, after) = behind.split_once('}').ok_or_else(unclosed)?;
        if !before.is_empty() {
            pieces.push(literal(before.into()));
        }
        pieces.push(source(&format!("${inner}"))?);
        rest = after;
    }
    if !rest.is_empty() || pieces.is_empty() {
        pieces.push(literal(rest.into()));
    }
    Ok(pieces)
}

fn request_source(text: &str) -> Result<Source, MappingError> {
    if text == "$request.path" {
        return Ok(Source::PathWhole);
    }
    if text == "$request.body" || text.starts_with("$request.body.") {
        return Err(MappingError::Body(shown(text)));
    }
    if let Some(rest) = text.strip_prefix("$request.") {
        return match rest.split_once('.') {
            Some(("header", name)) => check_name(name).map(Source::HeaderAll),
            Some(("querystring", name)) => check_name(name).map(Source::QueryAll),
            Some(("path", name)) => check_name(name).map(Source::Path),
            _ => Err(MappingError::Source {
                written: shown_expression(text),
                expected: SOURCES,
            }),
        };
    }
    match shared(text)? {
        Some(Shared::Context(variable)) => Ok(Source::Context(variable)),
        Some(Shared::StageVariable(name)) => Ok(Source::StageVariable(name)),
        None => Err(MappingError::Source {
            written: shown_expression(text),
            expected: SOURCES,
        }),
    }
}

fn response_source(text: &str) -> Result<ResponseSource, MappingError> {
    if text == "$response.body" || text.starts_with("$response.body.") {
        return Err(MappingError::Body(shown(text)));
    }
    if let Some(name) = text.strip_prefix("$response.header.") {
        return check_name(name).map(ResponseSource::Header);
    }
    match shared(text)? {
        Some(Shared::Context(variable)) => Ok(ResponseSource::Context(variable)),
        Some(Shared::StageVariable(name)) => Ok(ResponseSource::StageVariable(name)),
        None => Err(MappingError::Source {
            written: shown_expression(text),
            expected: RESPONSE_SOURCES,
        }),
    }
}

enum Shared {
    Context(Variable),
    StageVariable(Box<str>),
}

fn shared(text: &str) -> Result<Option<Shared>, MappingError> {
    if let Some(name) = text.strip_prefix("$context.") {
        if name_at(name) != name {
            return Err(MappingError::Name(shown(name)));
        }
        return Ok(Some(Shared::Context(Variable::parse(name, Product::Http)?)));
    }
    match text.strip_prefix("$stageVariables.") {
        Some(name) => check_stage_variable(name).map(Shared::StageVariable).map(Some),
        None => Ok(None),
    }
}
