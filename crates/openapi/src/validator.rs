//! Request validators: refused wherever one would look at a request, since nothing validates yet.

use portcullis_core::Place;

use crate::{
    document::ApiKind,
    fields::Fields,
    read::Reader,
    report::{list, quote},
    route::Route,
    tree::Node,
};

const KEY: &str = "x-amazon-apigateway-request-validator";
const TABLE: &str = "x-amazon-apigateway-request-validators";

/// What a validator looks at.
#[derive(Clone, Copy)]
struct Checks {
    body: bool,
    parameters: bool,
}

/// Refuses the validators that have an effect on a route. One that demands nothing of a route is honoured as it is,
/// and HTTP APIs ignore them all at Amazon, which is worth a warning.
pub(crate) fn check(root: &Fields<'_>, routes: &mut [Route<'_>], reader: &mut Reader<'_>) {
    if reader.kind == ApiKind::Http {
        warn_of_ignored(root, routes, reader);
        return;
    }
    let default = root.text(KEY, &mut reader.report);
    let checks = default
        .as_ref()
        .and_then(|name| Checks::read(&name.value, &name.place, "the document", reader));
    let mut refused = Vec::new();
    for route in routes {
        let before = reader.report.errors();
        if route.fields.entry(KEY).is_none() {
            if checks.is_some_and(|checks| checks.concern(route)) {
                refused.push(route.label.as_str());
                route.is_sound = false;
            }
            continue;
        }
        if let Some(name) = route.fields.text(KEY, &mut reader.report)
            && let Some(checks) = Checks::read(&name.value, &name.place, &route.label, reader)
            && checks.concern(route)
        {
            refuse(&name.place, &[&route.label], reader);
        }
        route.is_sound &= reader.report.errors() == before;
    }
    if let Some(name) = default.filter(|_| !refused.is_empty()) {
        refuse(&name.place, &refused, reader);
    }
}

fn warn_of_ignored(root: &Fields<'_>, routes: &[Route<'_>], reader: &mut Reader<'_>) {
    let own = routes.iter().filter_map(|route| route.fields.entry(KEY));
    if let Some(entry) = root.entry(KEY).into_iter().chain(own).next() {
        let message = "HTTP APIs ignore request validators; they have no effect";
        let remedy = "serve the document with `kind = \"rest\"`, or take them out";
        reader
            .report
            .warn(&entry.key_place, "ignored-for-http", message, remedy);
    }
}

fn refuse(place: &Place, labels: &[&str], reader: &mut Reader<'_>) {
    let labels = list(labels.iter().copied());
    let message = format!("request validation is not supported yet: {labels}");
    let remedy = "take the validator out and let the origin check its requests";
    reader.report.error(place, "validator-not-supported", message, remedy);
}

// === impl Checks ===

impl Checks {
    /// The validator of this name; `about` says who names it.
    fn read(name: &str, place: &Place, about: &str, reader: &mut Reader<'_>) -> Option<Self> {
        let table = reader.root.get(TABLE).and_then(Node::as_map);
        let Some(entry) = table.and_then(|table| table.entry(name)) else {
            let message = format!("{about}: there is no request validator `{}`", quote(name));
            reader
                .report
                .error(place, "unknown-validator", message, format!("define it in `{TABLE}`"));
            return None;
        };
        let about = format!("request validator `{}`", quote(name));
        let fields = Fields::of(&entry.value, &entry.key_place, about, &mut reader.report)?;
        fields.only(
            &["validateRequestBody", "validateRequestParameters"],
            &mut reader.report,
        );
        let mut flag = |key| fields.flag(key, &mut reader.report).is_some_and(|flag| flag.value);
        Some(Self {
            body: flag("validateRequestBody"),
            parameters: flag("validateRequestParameters"),
        })
    }

    /// Whether it would look at the route's requests: at a body that is described, or at a required parameter. Path
    /// parameters are always there.
    fn concern(self, route: &Route<'_>) -> bool {
        let mut parameters = route.parameters.iter();
        let has_body = || {
            let is_body = |location: &str| matches!(location, "body" | "formData");
            let mut parameters = route.parameters.iter();
            route.fields.entry("requestBody").is_some() || parameters.any(|parameter| is_body(&parameter.location))
        };
        let is_checked = |location: &str| matches!(location, "query" | "header");
        (self.body && has_body())
            || (self.parameters && parameters.any(|parameter| parameter.is_required && is_checked(&parameter.location)))
    }
}
