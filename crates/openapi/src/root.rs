//! The root of a document: its version, and the extensions that stand there.

use portcullis_core::Place;

use crate::{
    endpoint,
    fields::Fields,
    read::Reader,
    report::{Report, quote},
    tree::Node,
};

/// The keys of OpenAPI 3.0 and 3.1.
const OPENAPI_KEYS: &[&str] = &[
    "components",
    "externalDocs",
    "info",
    "jsonSchemaDialect",
    "openapi",
    "paths",
    "security",
    "servers",
    "tags",
    "webhooks",
];
/// The keys of Swagger 2.0.
const SWAGGER_KEYS: &[&str] = &[
    "basePath",
    "consumes",
    "definitions",
    "externalDocs",
    "host",
    "info",
    "parameters",
    "paths",
    "produces",
    "responses",
    "schemes",
    "security",
    "securityDefinitions",
    "swagger",
    "tags",
];

/// A root that is an OpenAPI document's.
pub(crate) type Root<'a> = Fields<'a>;

/// The root, or an error when it is not that of a document in a supported version.
pub(crate) fn of<'a>(tree: &'a Node, report: &mut Report) -> Option<Root<'a>> {
    let root = Fields::of(tree, &tree.place, "the document", report)?;
    let (name, key) = match (root.map.entry("openapi"), root.map.entry("swagger")) {
        (Some(entry), None) => ("openapi", entry),
        (None, Some(entry)) => ("swagger", entry),
        (Some(_), Some(entry)) => {
            let message = "the document has both `openapi` and `swagger`";
            report.error(&entry.key_place, "unsupported-version", message, "keep one of the two");
            return None;
        }
        (None, None) => {
            refuse_foreign(&root, report);
            return None;
        }
    };
    match key.value.as_text() {
        Some(version) if is_supported(name, version) => Some(root),
        Some(version) => {
            let message = format!("version `{}` is not supported", quote(version));
            let remedy = "write `openapi: 3.0.x`, `openapi: 3.1.x` or `swagger: \"2.0\"`";
            report.error(&key.value.place, "unsupported-version", message, remedy);
            None
        }
        None => {
            root.wrong_type(name, &key.value, "a string", report);
            None
        }
    }
}

fn is_supported(name: &str, version: &str) -> bool {
    match name {
        "swagger" => version == "2.0",
        _ => ["3.0", "3.1"]
            .iter()
            .any(|known| version.strip_prefix(known).is_some_and(is_patch)),
    }
}

/// Nothing, or a dot and more: `3.1` is `3.1.0`, and `3.10` is neither.
fn is_patch(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('.')
}

/// Checks what stands at the root and is read nowhere else.
pub(crate) fn check(root: &Root<'_>, reader: &mut Reader<'_>) {
    let known = if root.map.has("swagger") {
        SWAGGER_KEYS
    } else {
        OPENAPI_KEYS
    };
    root.mostly(known, &mut reader.report);
    endpoint::check_tls(root, reader);
}

fn refuse_foreign(root: &Root<'_>, report: &mut Report) {
    let place = Place {
        column: 1,
        ..root.place.clone()
    };
    let is_template = ["AWSTemplateFormatVersion", "Resources", "Transform"]
        .iter()
        .any(|key| root.map.has(key));
    if is_template {
        let message = "there is neither `openapi` nor `swagger`";
        report.error(&place, "deploy-template", message, crate::tag::DEPLOY_REMEDY);
    } else {
        let remedy = "begin with `openapi: 3.0.1`, or give an OpenAPI document";
        report.error(
            &place,
            "not-openapi",
            "there is neither `openapi` nor `swagger`",
            remedy,
        );
    }
}
