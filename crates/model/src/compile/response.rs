//! Customised gateway responses, compiled.

use http::HeaderName;
use indexmap::IndexMap;
use portcullis_core::Findings;
use portcullis_openapi::document::GatewayResponse;
use portcullis_template::gateway::{GatewayTemplate, HeaderSource};

use crate::gateway_response::{CustomResponse, ResponseType};

/// Compiles all of them; what is wrong with one is said and the others go on.
pub(super) fn compile(
    given: &IndexMap<String, GatewayResponse>,
    findings: &mut Findings,
) -> Vec<(ResponseType, CustomResponse)> {
    given
        .iter()
        .filter_map(|(name, response)| compile_one(name, response, findings))
        .collect()
}

fn compile_one(name: &str, given: &GatewayResponse, findings: &mut Findings) -> Option<(ResponseType, CustomResponse)> {
    let Some(kind) = ResponseType::parse(name) else {
        let message = format!("`{name}` is no gateway response type");
        findings.error(
            given.place.clone(),
            "gateway-response-type",
            message,
            "write ACCESS_DENIED, DEFAULT_4XX, …",
        );
        return None;
    };
    if !kind.is_customizable() {
        let message = format!("{name} cannot be customised");
        findings.error(given.place.clone(), "gateway-response-type", message, "remove it");
        return None;
    }
    let mut headers = Vec::new();
    for (target, source) in &given.parameters {
        let header = target
            .strip_prefix("gatewayresponse.header.")
            .and_then(|name| HeaderName::try_from(name).ok());
        match (header, HeaderSource::parse(&source.value)) {
            (Some(header), Ok(value)) => headers.push((header, value)),
            (None, _) => {
                let message = format!("{name}: `{target}` is no target");
                findings.error(
                    source.place.clone(),
                    "gateway-response",
                    message,
                    "write `gatewayresponse.header.NAME`",
                );
            }
            (_, Err(error)) => {
                let message = format!("{name}: `{target}`: {error}");
                findings.error(source.place.clone(), "gateway-response", message, "mend the value");
            }
        }
    }
    let mut templates = Vec::new();
    for (media_type, template) in &given.templates {
        match GatewayTemplate::parse(&template.value) {
            Ok(parsed) => templates.push((media_type.clone(), parsed)),
            Err(error) => {
                let message = format!("{name}: the template for `{media_type}`: {error}");
                findings.error(template.place.clone(), "gateway-response", message, "mend the template");
            }
        }
    }
    let status = given.status.as_ref().map(|status| status.value);
    Some((
        kind,
        CustomResponse {
            status,
            headers,
            templates,
        },
    ))
}
