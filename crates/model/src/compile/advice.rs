//! What works but is probably not meant.

use portcullis_core::Findings;
use portcullis_openapi::document::{Integration, Operation};
use portcullis_template::uri::UriTemplate;

use super::{ApiSource, StageSource, route_key};
use crate::snapshot::OriginSpec;

/// Amazon ends a request after this time unless a longer one was asked for and granted.
const TIMEOUT_USUAL_MS: u32 = 29_000;

/// Warns of what people get wrong.
pub(super) fn advise(api: &ApiSource, findings: &mut Findings) {
    unprotected_beside_protected(api, findings);
    for operation in &api.document.operations {
        slow(operation, findings);
    }
    for stage in &api.stages {
        if stage.access_log.is_none() {
            let message = format!("stage `{}` of `{}` keeps no access log", stage.name, api.id);
            findings.warn(stage.place.clone(), "logging-off", message, "give it an `access_log`");
        }
        for operation in &api.document.operations {
            plain_origin(operation, stage, findings);
            mock_for_customers(operation, stage, findings);
        }
    }
}

fn unprotected_beside_protected(api: &ApiSource, findings: &mut Findings) {
    let operations = &api.document.operations;
    if operations.iter().all(|operation| operation.security.is_none()) {
        return;
    }
    let is_open = |operation: &&Operation| operation.security.is_none() && operation.api_key.is_none();
    for operation in operations.iter().filter(is_open) {
        // A browser's preflight carries no credentials.
        if operation.verb == Some(portcullis_core::Verb::Options) {
            continue;
        }
        let message = format!(
            "{} is open to anyone beside routes that are protected",
            route_key(operation)
        );
        let remedy = "give it `security`, or leave it as it is when it is meant to be open";
        findings.warn(operation.place.clone(), "route-unprotected", message, remedy);
    }
}

fn slow(operation: &Operation, findings: &mut Findings) {
    // One that nobody wrote is the default of HTTP APIs; it stands where the integration does.
    if let Integration::HttpProxy(proxy) = &operation.integration
        && proxy.timeout_ms.value > TIMEOUT_USUAL_MS
        && proxy.timeout_ms.place != proxy.place
    {
        let message = format!("{} may take {} ms", route_key(operation), proxy.timeout_ms.value);
        let remedy = "callers and Amazon give up after 29 s: answer sooner, or answer 202 and let them ask again";
        findings.warn(proxy.timeout_ms.place.clone(), "timeout-long", message, remedy);
    }
}

fn plain_origin(operation: &Operation, stage: &StageSource, findings: &mut Findings) {
    let Integration::HttpProxy(proxy) = &operation.integration else {
        return;
    };
    let uri = UriTemplate::parse(&proxy.uri.value).and_then(|template| template.resolve(&stage.variables));
    let Ok(uri) = uri else { return };
    let origin = OriginSpec::of(&uri, None, None);
    if !origin.tls && !origin.is_local() {
        let message = format!(
            "{} sends its requests over plain HTTP to {}, on stage `{}`",
            route_key(operation),
            origin.host,
            stage.name
        );
        let remedy = "write `https://…`; on a network of your own, anyone on it can read and change them";
        findings.warn(proxy.uri.place.clone(), "origin-plain-http", message, remedy);
    }
    if !origin.tls && stage.origin_client_certificate.is_some() {
        let message = format!(
            "{} calls its origin without TLS, so nobody is shown the certificate of stage `{}`",
            route_key(operation),
            stage.name
        );
        let remedy = "write `https://…`, or take `origin_client_certificate` out";
        findings.warn(proxy.uri.place.clone(), "origin-certificate-unused", message, remedy);
    }
}

fn mock_for_customers(operation: &Operation, stage: &StageSource, findings: &mut Findings) {
    let Integration::Mock(mock) = &operation.integration else {
        return;
    };
    if operation.verb != Some(portcullis_core::Verb::Options) && serves_customers(&stage.name) {
        let message = format!(
            "{} answers with a constant on stage `{}`",
            route_key(operation),
            stage.name
        );
        findings.warn(
            mock.place.clone(),
            "mock-on-live-stage",
            message,
            "is this meant for customers?",
        );
    }
}

/// By its name: stages that people call by the words for trying things out are not warned about.
fn serves_customers(stage: &str) -> bool {
    let name = stage.to_ascii_lowercase();
    let trial = [
        "test", "dev", "local", "sandbox", "demo", "mock", "qa", "uat", "stag", "preview", "ci",
    ];
    !trial.iter().any(|word| name.contains(word))
}
