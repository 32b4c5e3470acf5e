//! `x-amazon-apigateway-gateway-responses`: what a client reads when the gateway itself answers.

use indexmap::IndexMap;

use crate::{
    document::{ApiKind, GatewayResponse, Located},
    fields::Fields,
    read::Reader,
    report::{did_you_mean, quote},
};

/// The types that Amazon knows.
const TYPES: &[&str] = &[
    "ACCESS_DENIED",
    "API_CONFIGURATION_ERROR",
    "AUTHORIZER_CONFIGURATION_ERROR",
    "AUTHORIZER_FAILURE",
    "BAD_REQUEST_BODY",
    "BAD_REQUEST_PARAMETERS",
    "DEFAULT_4XX",
    "DEFAULT_5XX",
    "EXPIRED_TOKEN",
    "INTEGRATION_FAILURE",
    "INTEGRATION_TIMEOUT",
    "INVALID_API_KEY",
    "INVALID_SIGNATURE",
    "MISSING_AUTHENTICATION_TOKEN",
    "QUOTA_EXCEEDED",
    "REQUEST_TOO_LARGE",
    "RESOURCE_NOT_FOUND",
    "THROTTLED",
    "UNAUTHORIZED",
    "UNSUPPORTED_MEDIA_TYPE",
    "WAF_FILTERED",
];
const KEY: &str = "x-amazon-apigateway-gateway-responses";
const RESPONSE_KEYS: &[&str] = &["responseParameters", "responseTemplates", "statusCode"];
const PREFIX: &str = "gatewayresponse.header.";

/// The customised responses by type; empty for HTTP APIs, which have none.
pub(crate) fn read(reader: &mut Reader<'_>) -> IndexMap<String, GatewayResponse> {
    let mut responses = IndexMap::new();
    let Some(entry) = reader.root.entry(KEY).filter(|entry| !entry.value.is_null()) else {
        return responses;
    };
    let Some(types) = Fields::of(&entry.value, &entry.key_place, KEY, &mut reader.report) else {
        return responses;
    };
    if reader.kind == ApiKind::Http {
        let message = "HTTP APIs have no gateway responses; these have no effect";
        let remedy = "serve the document with `kind = \"rest\"`, or take them out";
        reader
            .report
            .warn(&entry.key_place, "ignored-for-http", message, remedy);
        return responses;
    }
    for (name, entry) in types.map.iter() {
        let about = format!("gateway response `{}`", quote(name));
        if !TYPES.contains(&name) {
            let message = format!("{about}: there is no such type");
            reader.report.error(
                &entry.key_place,
                "unknown-gateway-response",
                message,
                did_you_mean(name, TYPES),
            );
            continue;
        }
        if name == "REQUEST_TOO_LARGE" {
            let message = format!("{about}: this answer cannot be customised");
            reader
                .report
                .warn(&entry.key_place, "gateway-response-ignored", message, "take it out");
            continue;
        }
        let Some(fields) = Fields::of(&entry.value, &entry.key_place, about, &mut reader.report) else {
            continue;
        };
        responses.insert(name.to_owned(), response(&fields, reader));
    }
    responses
}

fn response(fields: &Fields<'_>, reader: &mut Reader<'_>) -> GatewayResponse {
    let report = &mut reader.report;
    fields.only(RESPONSE_KEYS, report);
    let status = fields.number("statusCode", 100..=599, "status-code", report);
    let parameters = fields.text_map("responseParameters", report);
    for (name, source) in &parameters {
        if name.strip_prefix(PREFIX).is_none_or(str::is_empty) {
            let message = fields.says(format!("`{}` is no header of the response", quote(name)));
            report.error(
                &source.place,
                "gateway-response-target",
                message,
                format!("write `{PREFIX}NAME`"),
            );
        }
    }
    GatewayResponse {
        place: fields.place.clone(),
        // The range above fits.
        status: status.map(|status| Located {
            value: status.value as u16,
            place: status.place,
        }),
        parameters,
        templates: fields.text_map("responseTemplates", report),
    }
}
