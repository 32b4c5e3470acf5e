//! API keys: which schemes demand them, and where their value comes from.

use portcullis_core::Place;

use crate::{
    document::{ApiKeySource, ApiKind},
    fields::Fields,
    read::Reader,
    scheme,
    tree::Node,
};

/// Whether a scheme demands an API key (Amazon's rule: `type: apiKey`, `name: x-api-key`, `in: header`, no authoriser).
pub(crate) fn is_demanded_by(scheme: &str, reader: &Reader<'_>) -> bool {
    let Some(map) = scheme::table(reader)
        .and_then(|table| table.get(scheme))
        .and_then(Node::as_map)
    else {
        return false;
    };
    let text = |key: &str| map.get(key).and_then(Node::as_text).unwrap_or_default();
    text("type") == "apiKey"
        && text("name").eq_ignore_ascii_case("x-api-key")
        && text("in") == "header"
        && !text("x-amazon-apigateway-authtype").eq_ignore_ascii_case("awsSigv4")
        && !map.has(scheme::AMAZON)
        && !map.has(scheme::PORTCULLIS)
}

/// Refuses a demand that an HTTP API cannot make; says whether it can be honoured.
pub(crate) fn check_kind(place: &Place, label: &str, reader: &mut Reader<'_>) -> bool {
    if reader.kind == ApiKind::Rest {
        return true;
    }
    let message = format!("{label}: HTTP APIs have no API keys");
    let remedy = "take the scheme out of `security`, or serve the document with `kind = \"rest\"`";
    reader.report.error(place, "api-keys-not-supported", message, remedy);
    false
}

/// `x-amazon-apigateway-api-key-source`.
pub(crate) fn source(root: &Fields<'_>, reader: &mut Reader<'_>) -> ApiKeySource {
    let Some(source) = root.text("x-amazon-apigateway-api-key-source", &mut reader.report) else {
        return ApiKeySource::Header;
    };
    match source.value.as_str() {
        "HEADER" => ApiKeySource::Header,
        "AUTHORIZER" => ApiKeySource::Authorizer,
        _ => {
            let message = "`x-amazon-apigateway-api-key-source` is neither `HEADER` nor `AUTHORIZER`";
            let remedy = "write `HEADER`, or take it out";
            reader.report.error(&source.place, "wrong-value", message, remedy);
            ApiKeySource::Header
        }
    }
}
