//! `cacheKeyParameters` and `cacheNamespace`: what answers differ by in a stage's cache.

use crate::{
    document::{ApiKind, CacheKey, Located},
    fields::Fields,
    read::Reader,
    report::quote,
    route::Route,
};

/// How many parameters a key may have.
const PARAMETERS_MAX: usize = 64;
/// The longest name of a namespace.
const NAMESPACE_BYTES_MAX: usize = 128;
/// A namespace that Amazon's exports write has the resource's id; any text will do.
const REMEDY: &str = "name what the answer differs by: `method.request.querystring.NAME`, `method.request.header.NAME`, \
                      `method.request.path.NAME` or the same of `integration.request`";

/// Reads both; what is wrong with a parameter's name beyond its form is for the compiler, which knows the mappings.
pub(crate) fn read(fields: &Fields<'_>, route: &Route<'_>, reader: &mut Reader<'_>) -> CacheKey {
    let parameters = fields.texts("cacheKeyParameters", &mut reader.report);
    let namespace = fields.text("cacheNamespace", &mut reader.report);
    let first = ["cacheKeyParameters", "cacheNamespace"]
        .into_iter()
        .find_map(|key| fields.entry(key));
    if let Some(entry) = first.filter(|_| reader.kind == ApiKind::Http) {
        let message = fields.says("HTTP APIs have no cache");
        let remedy = "serve the document with `kind = \"rest\"`, or take it out";
        reader
            .report
            .warn(&entry.key_place, "cache-not-supported", message, remedy);
        return CacheKey::default();
    }
    if let Some(last) = parameters.get(PARAMETERS_MAX) {
        let message = fields.says(format!("`cacheKeyParameters` has more than {PARAMETERS_MAX}"));
        reader.report.error(&last.place, "cache-key", message, "name fewer");
    }
    for parameter in &parameters {
        check_declared(parameter, fields, route, reader);
    }
    if let Some(namespace) = &namespace {
        let length = namespace.value.len();
        if !(1..=NAMESPACE_BYTES_MAX).contains(&length) || namespace.value.chars().any(char::is_control) {
            let message = fields.says("`cacheNamespace` is empty, too long or no plain text");
            let remedy = "write 1 to 128 bytes of text, or take it out: each resource has one of its own";
            reader.report.error(&namespace.place, "cache-key", message, remedy);
        }
    }
    CacheKey { parameters, namespace }
}

/// Amazon's import refuses a key over a parameter of the method that the method does not declare.
fn check_declared(written: &Located<String>, fields: &Fields<'_>, route: &Route<'_>, reader: &mut Reader<'_>) {
    let parts = written.value.strip_prefix("method.request.");
    let Some((kind, name)) = parts.and_then(|rest| rest.split_once('.')) else {
        if !written.value.starts_with("integration.request.") {
            let message = fields.says(format!("`{}` is no parameter of a request", quote(&written.value)));
            reader.report.error(&written.place, "cache-key", message, REMEDY);
        }
        return;
    };
    let (location, is_same): (&str, fn(&str, &str) -> bool) = match kind {
        "header" | "multivalueheader" => ("header", |one, other| one.eq_ignore_ascii_case(other)),
        "querystring" | "multivaluequerystring" => ("query", |one, other| one == other),
        // The template says which there are.
        "path" => return,
        _ => {
            let message = fields.says(format!("`{}` is no parameter of a request", quote(&written.value)));
            reader.report.error(&written.place, "cache-key", message, REMEDY);
            return;
        }
    };
    let is_declared = route
        .parameters
        .iter()
        .any(|parameter| parameter.location == location && is_same(&parameter.name, name));
    if !is_declared {
        let message = fields.says(format!(
            "the cache key holds `{}`, which `parameters` do not declare",
            quote(&written.value)
        ));
        let remedy =
            format!("add `{{name: {name}, in: {location}, schema: {{type: string}}}}`: Amazon's import demands it");
        reader
            .report
            .warn(&written.place, "cache-key-undeclared", message, remedy);
    }
}
