//! Which extensions exist and where they may stand: nothing that looks like one is passed over in silence.

use portcullis_core::suggest::closest;

use crate::{
    report::{Report, quote},
    tree::{Content, Map, Node},
};

/// Amazon's prefix.
const AMAZON: &str = "x-amazon-apigateway-";
/// Ours.
const PORTCULLIS: &str = "x-portcullis-";

/// A kind of object in an OpenAPI document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spot {
    Root,
    Components,
    Servers,
    Server,
    Tags,
    Tag,
    Paths,
    PathItem,
    Operation,
    Schemes,
    Scheme,
    /// An object in which no extension has a meaning.
    Elsewhere,
}

/// Every extension with the objects that it may stand in.
const EXTENSIONS: &[(&str, &[Spot])] = &[
    ("x-amazon-apigateway-any-method", &[Spot::PathItem]),
    ("x-amazon-apigateway-api-key-source", &[Spot::Root]),
    ("x-amazon-apigateway-auth", &[Spot::Scheme, Spot::Operation]),
    ("x-amazon-apigateway-authorizer", &[Spot::Scheme]),
    ("x-amazon-apigateway-authtype", &[Spot::Scheme]),
    ("x-amazon-apigateway-binary-media-types", &[Spot::Root]),
    ("x-amazon-apigateway-cors", &[Spot::Root]),
    ("x-amazon-apigateway-documentation", &[Spot::Root]),
    ("x-amazon-apigateway-endpoint-access-mode", &[Spot::Root]),
    (
        "x-amazon-apigateway-endpoint-configuration",
        &[Spot::Root, Spot::Server],
    ),
    ("x-amazon-apigateway-gateway-responses", &[Spot::Root]),
    ("x-amazon-apigateway-importexport-version", &[Spot::Root]),
    ("x-amazon-apigateway-integration", &[Spot::Operation]),
    ("x-amazon-apigateway-integrations", &[Spot::Components]),
    ("x-amazon-apigateway-minimum-compression-size", &[Spot::Root]),
    ("x-amazon-apigateway-policy", &[Spot::Root]),
    ("x-amazon-apigateway-request-validator", &[Spot::Root, Spot::Operation]),
    ("x-amazon-apigateway-request-validators", &[Spot::Root]),
    ("x-amazon-apigateway-security-policy", &[Spot::Root]),
    ("x-amazon-apigateway-tag-value", &[Spot::Tag]),
    ("x-portcullis-authorizer", &[Spot::Scheme]),
];

/// Reports every unknown, misspelt or misplaced extension of a document.
pub(crate) fn check(root: &Map, report: &mut Report) {
    check_map(root, Spot::Root, report);
}

/// The same of a path that a reference leads to, wherever it stands.
pub(crate) fn check_path(path: &Map, report: &mut Report) {
    check_map(path, Spot::PathItem, report);
}

/// The same of a security scheme that a reference leads to.
pub(crate) fn check_scheme(scheme: &Map, report: &mut Report) {
    check_map(scheme, Spot::Scheme, report);
}

fn check_node(node: &Node, spot: Spot, report: &mut Report) {
    match &node.content {
        Content::Map(map) => check_map(map, spot, report),
        Content::Sequence(items) => items.iter().for_each(|item| check_node(item, spot.item(), report)),
        Content::Scalar(_) => {}
    }
}

fn check_map(map: &Map, spot: Spot, report: &mut Report) {
    for (key, entry) in map.iter() {
        let folded = key.to_ascii_lowercase();
        if folded.starts_with(AMAZON) || folded.starts_with(PORTCULLIS) {
            check_key(key, spot, entry, report);
        } else if folded.starts_with("x-") && spot.is_object() {
            check_vendor_key(key, entry, report);
            continue; // What is inside is the vendor's.
        }
        match spot.child(key) {
            Some(child) => check_node(&entry.value, child, report),
            None => continue,
        }
    }
}

fn check_key(key: &str, spot: Spot, entry: &crate::tree::Entry, report: &mut Report) {
    let Some((_, spots)) = EXTENSIONS.iter().find(|(name, _)| *name == key) else {
        let remedy = match nearest_extension(key) {
            Some(name) => format!("did you mean `{name}`?"),
            None => "take it out: it would have no effect".to_owned(),
        };
        let message = format!("`{}` is no known extension", quote(key));
        report.error(&entry.key_place, "unknown-extension", message, remedy);
        return;
    };
    if !spots.contains(&spot) {
        let nouns: Vec<_> = spots.iter().map(|spot| spot.noun()).collect();
        let message = format!("`{key}` has no effect here");
        let remedy = format!("it belongs into {}", nouns.join(" or "));
        report.error(&entry.key_place, "misplaced-extension", message, remedy);
    }
}

/// A slip in the prefix (`x-amazon-apigatway-…`) must not turn an extension into somebody else's.
fn check_vendor_key(key: &str, entry: &crate::tree::Entry, report: &mut Report) {
    const SLIPS_MAX: usize = 3;
    let names = EXTENSIONS.iter().map(|(name, _)| *name);
    let close = names.filter(|name| name.len().abs_diff(key.len()) <= SLIPS_MAX);
    if let Some(name) = closest(key, close) {
        let message = format!("`{}` is no known extension", quote(key));
        report.error(
            &entry.key_place,
            "unknown-extension",
            message,
            format!("did you mean `{name}`?"),
        );
    }
}

/// The known extension with the same prefix whose rest is nearest.
fn nearest_extension(key: &str) -> Option<&'static str> {
    let folded = key.to_ascii_lowercase();
    [AMAZON, PORTCULLIS].into_iter().find_map(|prefix| {
        let rest = folded.strip_prefix(prefix)?;
        let rests = EXTENSIONS.iter().filter_map(|(name, _)| name.strip_prefix(prefix));
        let found = closest(rest, rests)?;
        EXTENSIONS
            .iter()
            .map(|(name, _)| *name)
            .find(|name| name.strip_prefix(prefix) == Some(found))
    })
}

// === impl Spot ===

impl Spot {
    /// What the value of a key in such an object is; `None` for values that are examples, not structure.
    fn child(self, key: &str) -> Option<Self> {
        Some(match (self, key) {
            (Self::Root, "paths") | (Self::Components, "pathItems") => Self::Paths,
            (Self::Root, "components") => Self::Components,
            (Self::Root, "securityDefinitions") | (Self::Components, "securitySchemes") => Self::Schemes,
            (Self::Root | Self::PathItem | Self::Operation, "servers") => Self::Servers,
            (Self::Root, "tags") => Self::Tags,
            (Self::Paths, _) => Self::PathItem,
            (Self::Schemes, _) => Self::Scheme,
            (Self::PathItem, "parameters") => Self::Elsewhere,
            (Self::PathItem, _) => Self::Operation,
            (_, "example" | "examples" | "default" | "enum" | "const") => return None,
            (_, key) if key.starts_with("x-") => return None,
            _ => Self::Elsewhere,
        })
    }

    /// What the items of such a list are.
    fn item(self) -> Self {
        match self {
            Self::Servers => Self::Server,
            Self::Tags => Self::Tag,
            Self::Root
            | Self::Components
            | Self::Server
            | Self::Tag
            | Self::Paths
            | Self::PathItem
            | Self::Operation
            | Self::Schemes
            | Self::Scheme
            | Self::Elsewhere => Self::Elsewhere,
        }
    }

    /// Whether vendors' extensions stand in it (and not names that somebody chose).
    fn is_object(self) -> bool {
        !matches!(self, Self::Paths | Self::Schemes | Self::Elsewhere)
    }

    fn noun(self) -> &'static str {
        match self {
            Self::Root => "the document's root",
            Self::Components => "`components`",
            Self::Server | Self::Servers => "a server",
            Self::Tag | Self::Tags => "a tag",
            Self::Paths => "`paths`",
            Self::PathItem => "a path",
            Self::Operation => "an operation",
            Self::Scheme | Self::Schemes => "a security scheme",
            Self::Elsewhere => "another object",
        }
    }
}
