//! From text to [`Document`]: the order of reading, and what stands at the root.

use std::sync::Arc;

use indexmap::IndexMap;
use portcullis_core::{Findings, Place};

use crate::{
    api_key, base_path,
    compose::compose,
    cors,
    document::{ApiKind, Document, Located, Operation},
    endpoint, extensions,
    fields::Fields,
    gateway_response, integration, payload,
    reference::Referred,
    report::{Report, list},
    root,
    route::{self, Route},
    scheme::{self, Use},
    security::{self, Requirement},
    tree::{Map, Node},
    validator,
};

/// Reads an OpenAPI 3.0, OpenAPI 3.1 or Swagger 2.0 document, YAML or JSON, as an API of the given kind.
///
/// `source_name` is the name to be printed in places. All findings come at once, sorted by place. The document is
/// `None` when the text cannot be read as an OpenAPI document at all; otherwise it holds whatever is sound, so that the
/// compiler can add its own findings, and **must not be served when there are errors among the findings**: what they
/// concern is missing from it.
pub fn read(source_name: &str, text: &str, kind: ApiKind) -> (Option<Document>, Findings) {
    let source: Arc<str> = source_name.into();
    let mut report = Report::default();
    let Some(tree) = compose(&source, text, &mut report) else {
        return (None, report.into_findings());
    };
    let Some(root) = root::of(&tree, &mut report) else {
        return (None, report.into_findings());
    };
    let mut reader = Reader {
        root: root.map,
        place: tree.place.clone(),
        kind,
        report,
        referred: Referred::default(),
    };
    let document = reader.document(&root);
    (Some(document), reader.report.into_findings())
}

/// What every reader of a part needs.
pub(crate) struct Reader<'a> {
    /// The document's root, for references.
    pub(crate) root: &'a Map,
    /// Where it begins.
    pub(crate) place: Place,
    pub(crate) kind: ApiKind,
    pub(crate) report: Report,
    pub(crate) referred: Referred,
}

// === impl Reader ===

impl<'a> Reader<'a> {
    fn document(&mut self, root: &root::Root<'a>) -> Document {
        extensions::check(self.root, &mut self.report);
        root::check(root, self);
        let mut routes = route::read(self);
        validator::check(root, &mut routes, self);
        let api_key_source = api_key::source(root, self);
        let (requirements, api_keys): (Vec<_>, Vec<_>) = routes.iter().map(|route| security::read(route, self)).unzip();
        let open = self.refuse_inherited(&routes, &requirements);
        let authorizers = scheme::read(&uses(&routes, &requirements), self);
        let mut operations = Vec::new();
        for ((route, requirement), api_key) in routes.iter().zip(requirements).zip(api_keys) {
            let before = self.report.errors();
            let integration = integration::read(route, self);
            let security = match requirement {
                Requirement::Absent if open => continue,
                Requirement::Absent | Requirement::Nobody => None,
                Requirement::Scheme(security) if authorizers.contains_key(&security.scheme) => {
                    security::check_scopes(route, &security, &authorizers[&security.scheme], self);
                    Some(security)
                }
                Requirement::Scheme(_) | Requirement::Refused => continue,
            };
            let Some((integration, cache)) = integration.filter(|_| route.is_sound && self.report.errors() == before)
            else {
                continue;
            };
            operations.push(Operation {
                place: route.place.clone(),
                resource: route.resource.clone(),
                verb: route.verb,
                is_default_route: route.is_default,
                operation_id: route.fields.text("operationId", &mut self.report).map(|id| id.value),
                security,
                api_key,
                integration,
                cache,
            });
        }
        Document {
            kind: self.kind,
            title: self.info("title"),
            version: self.info("version"),
            base_path: base_path::read(self),
            authorizers,
            api_key_source,
            operations,
            gateway_responses: gateway_response::read(self),
            cors: cors::read(root, self),
            compression_min_bytes: payload::compression(root, self),
            binary_media_types: payload::binary_media_types(root, self),
            disable_default_endpoint: endpoint::read(root, self),
            resource_policy: self.resource_policy(),
        }
    }

    /// Root `security` has no effect at Amazon, nor here; whoever wrote it believes that it protects the routes without
    /// a `security` of their own, so it is an error and they are not served. Says whether there was any such.
    fn refuse_inherited(&mut self, routes: &[Route<'_>], requirements: &[Requirement]) -> bool {
        let Some(entry) = self.root.entry("security") else {
            return false;
        };
        let demands_nothing = entry.value.is_null() || entry.value.as_sequence().is_some_and(<[Node]>::is_empty);
        let open: Vec<_> = routes
            .iter()
            .zip(requirements)
            .filter(|(_, requirement)| matches!(requirement, Requirement::Absent))
            .map(|(route, _)| route.label.as_str())
            .collect();
        if demands_nothing || open.is_empty() {
            return false;
        }
        let message = format!(
            "`security` at the root has no effect, and would leave open: {}",
            list(open)
        );
        let remedy = "repeat it in each of these operations, or write `security: []` there to leave it open";
        self.report
            .error(&entry.key_place, "root-security-ignored", message, remedy);
        true
    }

    fn info(&mut self, key: &str) -> String {
        let info = self.root.get("info").and_then(Node::as_map);
        info.and_then(|info| info.get(key))
            .and_then(Node::as_text)
            .unwrap_or_default()
            .to_owned()
    }

    fn resource_policy(&mut self) -> Option<Located<serde_json::Value>> {
        let key = "x-amazon-apigateway-policy";
        let entry = self.root.entry(key).filter(|entry| !entry.value.is_null())?;
        Fields::of(&entry.value, &entry.key_place, key, &mut self.report)?;
        if self.kind == ApiKind::Http {
            let message = format!("`{key}`: HTTP APIs have no resource policy");
            let remedy = "serve the document with `kind = \"rest\"`, or take the policy out";
            self.report
                .error(&entry.key_place, "policy-not-supported", message, remedy);
            return None;
        }
        Some(Located {
            value: entry.value.to_json(),
            place: entry.value.place.clone(),
        })
    }
}

/// The schemes that routes demand, each with the routes.
fn uses(routes: &[Route<'_>], requirements: &[Requirement]) -> IndexMap<String, Use> {
    let mut uses: IndexMap<String, Use> = IndexMap::new();
    for (route, requirement) in routes.iter().zip(requirements) {
        if let Requirement::Scheme(security) = requirement {
            let first = || Use {
                place: security.place.clone(),
                labels: Vec::new(),
            };
            uses.entry(security.scheme.clone())
                .or_insert_with(first)
                .labels
                .push(route.label.clone());
        }
    }
    uses
}
