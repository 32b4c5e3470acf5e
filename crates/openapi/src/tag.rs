//! What a YAML tag makes of a value, and which tags mark a deploy template.

use portcullis_core::Place;
use serde_saphyr::granit_parser::{ScalarStyle, Tag};

use crate::{
    report::{Report, quote},
    scalar,
    tree::ScalarKind,
};

/// The way out for whoever hands in a template with functions in it.
pub(crate) const DEPLOY_REMEDY: &str = "this is a deploy template, not an OpenAPI document: resolve it first, for \
    example by deploying it and exporting the API";

/// The short forms of CloudFormation's intrinsic functions.
const INTRINSICS: [&str; 20] = [
    "And",
    "Base64",
    "Cidr",
    "Condition",
    "Equals",
    "FindInMap",
    "ForEach",
    "GetAZs",
    "GetAtt",
    "If",
    "ImportValue",
    "Join",
    "Length",
    "Not",
    "Or",
    "Ref",
    "Select",
    "Split",
    "Sub",
    "Transform",
];

/// What a scalar stands for; a tag that says something unknown is reported, and the text stays text.
pub(crate) fn scalar_kind(
    text: &str,
    style: ScalarStyle,
    tag: Option<&Tag>,
    place: &Place,
    report: &mut Report,
) -> ScalarKind {
    let Some(tag) = tag else {
        let is_plain = style == ScalarStyle::Plain;
        return if is_plain {
            scalar::resolve(text)
        } else {
            ScalarKind::Text
        };
    };
    match tag.core_suffix() {
        Some("str") => ScalarKind::Text,
        Some(_) => scalar::resolve(text),
        None => {
            check(tag, place, report);
            ScalarKind::Text
        }
    }
}

/// Reports a tag outside YAML's core schema: nothing here would do what it says.
pub(crate) fn check(tag: &Tag, place: &Place, report: &mut Report) {
    let original = tag.original();
    // `!` alone is "not to be resolved", which is how it is read anyway (YAML 1.2, section 6.9.1).
    if tag.is_yaml_core_schema() || original == "!" {
        return;
    }
    let message = format!("the tag `{}` is not resolved", quote(&original));
    if INTRINSICS.contains(&original.trim_start_matches('!')) {
        report.error(place, "deploy-template", message, DEPLOY_REMEDY);
    } else {
        report.error(place, "unknown-tag", message, "write the value itself");
    }
}
