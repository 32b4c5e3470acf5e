//! `x-amazon-apigateway-integration`: how a method is answered.

use crate::{
    cache_key,
    document::{CacheKey, Integration},
    fields::Fields,
    http_proxy, mock, payload,
    read::Reader,
    report::{did_you_mean, quote},
    route::Route,
};

const KEY: &str = "x-amazon-apigateway-integration";
const KEYS: &[&str] = &[
    "cacheKeyParameters",
    "cacheNamespace",
    "connectionId",
    "connectionType",
    "contentHandling",
    "credentials",
    "httpMethod",
    "integrationSubtype",
    "integrationTarget",
    "passthroughBehavior",
    "payloadFormatVersion",
    "requestParameters",
    "requestTemplates",
    "responseParameters",
    "responseTransferMode",
    "responses",
    "timeoutInMillis",
    "tlsConfig",
    "type",
    "uri",
];
const TYPES: &[&str] = &["http_proxy", "mock", "http", "aws", "aws_proxy"];

/// What a route is answered by; `None` after an error.
pub(crate) fn read<'a>(route: &Route<'a>, reader: &mut Reader<'a>) -> Option<(Integration, CacheKey)> {
    let Some(entry) = route.fields.entry(KEY) else {
        let message = route.fields.says("nothing answers it");
        let remedy = format!("give it an `{KEY}` of type `http_proxy` or `mock`");
        reader
            .report
            .error(&route.place, "integration-missing", message, remedy);
        return None;
    };
    let node = reader.resolve(&entry.value, &route.label)?;
    let place = if std::ptr::eq(node, &entry.value) {
        &entry.key_place
    } else {
        &node.place
    };
    let fields = Fields::of(node, place, route.label.as_str(), &mut reader.report)?;
    fields.only(KEYS, &mut reader.report);
    let remedy = "write `type: http_proxy` or `type: mock`";
    let kind = fields.required_text("type", remedy, &mut reader.report);
    check_common(&fields, reader);
    let cache = cache_key::read(&fields, route, reader);
    let kind = kind?;
    let integration = match kind.value.to_ascii_lowercase().as_str() {
        "http_proxy" => http_proxy::read(&fields, reader).map(Integration::HttpProxy),
        "mock" => mock::read(&fields, reader).map(Integration::Mock),
        known @ ("http" | "aws" | "aws_proxy") => {
            let message = fields.says(format!("an integration of type `{known}` is not supported yet"));
            let remedy = match known {
                "http" => "write `http_proxy`, and let the origin speak the API's own format",
                _ => "serve the function behind an HTTP origin, and write `http_proxy`",
            };
            reader
                .report
                .error(&kind.place, "integration-not-supported", message, remedy);
            None
        }
        other => {
            let message = fields.says(format!("there is no integration of type `{}`", quote(other)));
            reader
                .report
                .error(&kind.place, "wrong-value", message, did_you_mean(other, TYPES));
            None
        }
    };
    Some((integration?, cache))
}

/// What no type of integration supports yet, and what all take alike.
fn check_common(fields: &Fields<'_>, reader: &mut Reader<'_>) {
    let report = &mut reader.report;
    for (key, remedy) in REFUSED {
        if let Some(entry) = fields.entry(key) {
            let message = fields.says(format!("`{key}` is not supported yet"));
            report.error(&entry.key_place, "integration-not-supported", message, *remedy);
        }
    }
    payload::check_content_handling(fields, reader);
    one_of(
        fields,
        "connectionType",
        &["INTERNET"],
        "reach the origin by its address, and take it out",
        reader,
    );
    one_of(
        fields,
        "responseTransferMode",
        &["BUFFERED", "STREAM"],
        "answers are streamed: take it out",
        reader,
    );
    let remedy = "write `when_no_match`: bodies go through unchanged";
    one_of(
        fields,
        "passthroughBehavior",
        &["WHEN_NO_MATCH", "WHEN_NO_TEMPLATES"],
        remedy,
        reader,
    );
    one_of(
        fields,
        "payloadFormatVersion",
        &["1.0"],
        "only functions know another: write `\"1.0\"`",
        reader,
    );
}

const REFUSED: &[(&str, &str)] = &[
    ("connectionId", "reach the origin by its address, and take it out"),
    (
        "credentials",
        "take it out; give the origin a header by `requestParameters` instead",
    ),
    ("integrationSubtype", "serve it behind an HTTP origin"),
    ("integrationTarget", "name the origin in `uri`"),
];

/// Reports a word that is not among the supported ones, in any case.
fn one_of(fields: &Fields<'_>, key: &str, supported: &[&str], remedy: &str, reader: &mut Reader<'_>) {
    let Some(text) = fields.text(key, &mut reader.report) else {
        return;
    };
    if !supported.iter().any(|word| text.value.eq_ignore_ascii_case(word)) {
        let message = fields.says(format!("`{key}: {}` is not supported", quote(&text.value)));
        reader
            .report
            .error(&text.place, "integration-not-supported", message, remedy);
    }
}
