//! Integrations, compiled for one stage.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use portcullis_core::Findings;
use portcullis_openapi::document::{self, Located, Operation};
use portcullis_template::{
    mapping::{
        Mapping, MappingError, ResponseMapping, Source, Target, parse_http_request, parse_http_response,
        parse_rest_request,
    },
    uri::UriTemplate,
};

use super::Parts;
use crate::snapshot::{ApiKind, HttpProxy, Integration, Mock, OriginSpec};

/// Compiles the integration of one operation.
pub(super) fn compile(
    operation: &Operation,
    key: &str,
    parts: &mut Parts<'_>,
    findings: &mut Findings,
) -> Option<Integration> {
    match &operation.integration {
        document::Integration::HttpProxy(given) => {
            http_proxy(operation, given, key, parts, findings).map(Integration::HttpProxy)
        }
        document::Integration::Mock(given) => mock(given, key, findings).map(Integration::Mock),
    }
}

fn http_proxy(
    operation: &Operation,
    given: &document::HttpProxy,
    key: &str,
    parts: &mut Parts<'_>,
    findings: &mut Findings,
) -> Option<HttpProxy> {
    let mut wrong = |place: &portcullis_core::Place, message: String, remedy: &str| {
        findings.error(place.clone(), "integration-uri", format!("{key}: {message}"), remedy);
        None
    };
    let template = match UriTemplate::parse(&given.uri.value) {
        Ok(template) => template,
        Err(error) => {
            return wrong(
                &given.uri.place,
                format!("the URI cannot be called: {error}"),
                "mend `uri`",
            );
        }
    };
    let uri = match template.resolve(&parts.stage.variables) {
        Ok(uri) => uri,
        Err(error) => {
            let message = format!("the URI cannot be called on stage `{}`: {error}", parts.stage.name);
            return wrong(
                &given.uri.place,
                message,
                "set it: `--variable NAME=VALUE`, or `variables` of the stage",
            );
        }
    };
    let mappings = mappings(given, key, parts.api.document.kind, findings)?;
    let mapped = |name: &str| {
        mappings
            .iter()
            .any(|mapping| mapping.target == Target::PathParameter(name.into()))
    };
    let own = resource_parameters(&operation.resource);
    if let Some(missing) = uri.parameters().find(|name| !mapped(name) && !own.contains(name)) {
        let message = format!("`{{{missing}}}` in the URI has no value");
        let remedy = format!("map it: `integration.request.path.{missing}: method.request.path.NAME`");
        findings.error(
            given.uri.place.clone(),
            "integration-uri",
            format!("{key}: {message}"),
            remedy,
        );
        return None;
    }
    check_sources(&mappings, &own, given, key, findings);
    let server_name = given.server_name.as_ref().map(|name| name.value.as_str());
    let certificate = parts.stage.origin_client_certificate.as_ref();
    let origin = OriginSpec::of(&uri, parts.stage.origin_roots.as_deref(), server_name).shown(certificate);
    let index = parts
        .origins
        .iter()
        .position(|known| *known == origin)
        .unwrap_or_else(|| {
            parts.origins.push(origin);
            parts.origins.len() - 1
        });
    let response_mappings = response_mappings(given, key, findings)?;
    let timeout = Duration::from_millis(given.timeout_ms.value.into());
    Some(HttpProxy {
        origin: index,
        method: given.method,
        uri,
        mappings,
        response_mappings,
        timeout,
    })
}

fn mappings(given: &document::HttpProxy, key: &str, kind: ApiKind, findings: &mut Findings) -> Option<Vec<Mapping>> {
    let parse: fn(&str, &str) -> Result<Mapping, MappingError> = match kind {
        ApiKind::Rest => parse_rest_request,
        ApiKind::Http => parse_http_request,
    };
    let mut all = Vec::new();
    for (target, source) in &given.request_parameters {
        match parse(target, &source.value) {
            Ok(mapping) => all.push(mapping),
            Err(error) => mapping_finding(source, target, key, &error, findings),
        }
    }
    (all.len() == given.request_parameters.len()).then_some(all)
}

fn mapping_finding(source: &Located<String>, target: &str, key: &str, error: &MappingError, findings: &mut Findings) {
    let message = format!("{key}: the mapping to `{target}` cannot be honoured: {error}");
    findings.error(
        source.place.clone(),
        "mapping",
        message,
        "mend or remove it under `requestParameters`",
    );
}

/// A mapping from a path parameter that the resource does not have would always be empty.
fn check_sources(mappings: &[Mapping], own: &[&str], given: &document::HttpProxy, key: &str, findings: &mut Findings) {
    for (mapping, written) in mappings.iter().zip(given.request_parameters.values()) {
        for source in &mapping.value {
            if let Source::Path(name) = source
                && !own.contains(&&**name)
            {
                let message = format!("{key}: the resource has no path parameter `{name}`");
                let has = if own.is_empty() {
                    "none at all".to_owned()
                } else {
                    own.join(", ")
                };
                findings.error(written.place.clone(), "mapping", message, format!("it has {has}"));
            }
        }
    }
}

fn response_mappings(
    given: &document::HttpProxy,
    key: &str,
    findings: &mut Findings,
) -> Option<Vec<(u16, Vec<ResponseMapping>)>> {
    let mut all = Vec::new();
    let mut whole = true;
    for (status, parameters) in &given.response_parameters {
        let mut of_status = Vec::new();
        for (target, source) in parameters {
            match parse_http_response(target, &source.value) {
                Ok(mapping) => of_status.push(mapping),
                Err(error) => {
                    mapping_finding(source, target, key, &error, findings);
                    whole = false;
                }
            }
        }
        match status.parse::<u16>() {
            Ok(status) if (200..600).contains(&status) => all.push((status, of_status)),
            _ => {
                let message = format!("{key}: `{status}` is no status from 200 to 599");
                findings.error(
                    given.place.clone(),
                    "mapping",
                    message,
                    "mend it under `responseParameters`",
                );
                whole = false;
            }
        }
    }
    whole.then_some(all)
}

/// The names of the path parameters of a resource.
pub(super) fn resource_parameters(resource: &str) -> Vec<&str> {
    resource
        .split('/')
        .filter(|segment| segment.starts_with('{'))
        .map(|segment| segment.trim_matches(['{', '}']).trim_end_matches('+'))
        .collect()
}

fn mock(given: &document::Mock, key: &str, findings: &mut Findings) -> Option<Mock> {
    let mut headers = Vec::new();
    for (name, value) in &given.headers {
        match (
            HeaderName::try_from(name.value.as_str()),
            HeaderValue::try_from(value.value.as_str()),
        ) {
            (Ok(name), Ok(value)) => headers.push((name, value)),
            _ => {
                let message = format!("{key}: the header `{}` of the mock answer cannot be sent", name.value);
                findings.error(
                    name.place.clone(),
                    "mock-header",
                    message,
                    "names are tokens, values have no control characters",
                );
                return None;
            }
        }
    }
    let body = match &given.body {
        None => None,
        Some((text, media_type)) => match HeaderValue::try_from(media_type.as_str()) {
            Ok(media_type) => Some((text.clone().into_bytes(), media_type)),
            Err(_) => {
                let message = format!("{key}: `{media_type}` is no media type");
                findings.error(
                    given.place.clone(),
                    "mock-media-type",
                    message,
                    "write `application/json`",
                );
                return None;
            }
        },
    };
    Some(Mock {
        status: given.status,
        headers,
        body,
    })
}
