//! Request validators: refused wherever one would look at a request, since nothing validates yet.

use crate::{
    document::ApiKind,
    fields::Fields,
    read::Reader,
    report::{list, quote},
    route::Route,
};

const KEY: &str = "x-amazon-apigateway-request-validator";
const TABLE: &str = "x-amazon-apigateway-request-validators";

/// Refuses the validators that have an effect on a route. One that demands nothing of a route is honoured as it is,
/// and HTTP APIs ignore them all at Amazon, which is worth a warning.
pub(crate) fn check(routes: &mut [Route<'_>], reader: &mut Reader<'_>) {
    let everywhere = reader.root.entry(KEY).filter(|entry| !entry.value.is_null());
    if reader.kind == ApiKind::Http {
        let own = routes.iter().filter_map(|route| route.fields.entry(KEY));
        if let Some(entry) = everywhere.into_iter().chain(own).next() {
            let message = "HTTP APIs ignore request validators; they have no effect";
            let remedy = "serve the document with `kind = \"rest\"`, or take them out";
            reader
                .report
                .warn(&entry.key_place, "ignored-for-http", message, remedy);
        }
        return;
    }
    let mut refused = Vec::new();
    for route in routes {
        let own = route.fields.text(KEY, &mut reader.report);
        let before = reader.report.errors();
        if let Some(name) = own {
            if demands(route, &name.value, &name.place, reader) {
                refuse(&name.place, &[&route.label], reader);
            }
        } else if let Some(entry) = everywhere
            && let Some(name) = entry.value.as_text()
            && demands(route, name, &entry.value.place, reader)
        {
            refused.push(route.label.as_str());
            route.is_sound = false;
        }
        route.is_sound &= reader.report.errors() == before;
    }
    if let Some(entry) = everywhere.filter(|_| !refused.is_empty()) {
        refuse(&entry.value.place, &refused, reader);
    }
}

fn refuse(place: &portcullis_core::Place, labels: &[&str], reader: &mut Reader<'_>) {
    let message = format!(
        "request validation is not supported yet: {}",
        list(labels.iter().copied())
    );
    let remedy = "take the validator out and let the origin check its requests";
    reader.report.error(place, "validator-not-supported", message, remedy);
}

/// Whether the validator of this name would look at the route's requests.
fn demands(route: &Route<'_>, name: &str, place: &portcullis_core::Place, reader: &mut Reader<'_>) -> bool {
    let table = reader.root.get(TABLE).and_then(crate::tree::Node::as_map);
    let Some(entry) = table.and_then(|table| table.entry(name)) else {
        let message = format!("{}: there is no request validator `{}`", route.label, quote(name));
        reader
            .report
            .error(place, "unknown-validator", message, format!("define it in `{TABLE}`"));
        return false;
    };
    let about = format!("request validator `{}`", quote(name));
    let Some(fields) = Fields::of(&entry.value, &entry.key_place, about, &mut reader.report) else {
        return false;
    };
    fields.only(
        &["validateRequestBody", "validateRequestParameters"],
        &mut reader.report,
    );
    let body = fields
        .flag("validateRequestBody", &mut reader.report)
        .is_some_and(|flag| flag.value);
    let parameters = fields
        .flag("validateRequestParameters", &mut reader.report)
        .is_some_and(|flag| flag.value);
    let has_body = route.fields.entry("requestBody").is_some()
        || route.parameters.iter().any(|parameter| parameter.location == "body");
    let is_checked = |location: &str| matches!(location, "query" | "header");
    let has_required = route
        .parameters
        .iter()
        .any(|parameter| parameter.is_required && is_checked(&parameter.location));
    (body && has_body) || (parameters && has_required)
}
