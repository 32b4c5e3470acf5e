//! Routes: every operation of every path, with its parameters, before it is known what protects and answers it.

use std::collections::HashMap;

use portcullis_core::{Place, Verb};

use crate::{
    document::ApiKind,
    extensions,
    fields::Fields,
    read::Reader,
    report::quote,
    template::{PathTemplate, Siblings},
    tree::{Entry, Map},
};

/// How many routes an API may have.
pub const ROUTES_MAX: usize = 2_000;
/// How many parameters a path or an operation may declare.
const PARAMETERS_MAX: usize = 256;
/// The key of the operation that stands for every verb.
const ANY_METHOD: &str = "x-amazon-apigateway-any-method";
/// The keys of a path besides its operations.
const PATH_KEYS: &[&str] = &["$ref", "summary", "description", "servers", "parameters", ANY_METHOD];
/// The verbs of operations as documents write them; `trace` is known in order to be refused.
const VERB_KEYS: &[&str] = &["get", "put", "post", "delete", "options", "head", "patch", "trace"];
const OPERATION_KEYS: &[&str] = &[
    "callbacks",
    "consumes",
    "deprecated",
    "description",
    "externalDocs",
    "isDefaultRoute",
    "operationId",
    "parameters",
    "produces",
    "requestBody",
    "responses",
    "schemes",
    "security",
    "servers",
    "summary",
    "tags",
];

/// One operation.
#[derive(Clone, Debug)]
pub(crate) struct Route<'a> {
    /// `GET /pets/{petId}`, for findings.
    pub(crate) label: String,
    /// Where its verb stands.
    pub(crate) place: Place,
    /// The operation's keys.
    pub(crate) fields: Fields<'a>,
    pub(crate) resource: String,
    pub(crate) verb: Option<Verb>,
    pub(crate) is_default: bool,
    pub(crate) parameters: Vec<Parameter>,
    /// Whether nothing was wrong with it so far; it is read to its end either way.
    pub(crate) is_sound: bool,
}

/// A declared parameter, as far as it matters here.
#[derive(Clone, Debug)]
pub(crate) struct Parameter {
    place: Place,
    pub(crate) name: String,
    /// `in`: `path`, `query`, `header`, `cookie`, `body` or `formData`.
    pub(crate) location: String,
    pub(crate) is_required: bool,
}

/// All sound routes in the order of the document.
pub(crate) fn read<'a>(reader: &mut Reader<'a>) -> Vec<Route<'a>> {
    let mut routes = Vec::new();
    let Some(entry) = reader.root.entry("paths").filter(|entry| !entry.value.is_null()) else {
        let message = "there is no `paths`, so there is nothing to serve";
        let remedy = "describe at least one path, such as `/{proxy+}`";
        reader.report.error(&reader.place, "no-routes", message, remedy);
        return routes;
    };
    let Some(paths) = Fields::of(&entry.value, &entry.key_place, "paths", &mut reader.report) else {
        return routes;
    };
    let mut siblings = Siblings::default();
    let mut taken = HashMap::new();
    let (mut count, before) = (0, reader.report.errors());
    for (path, entry) in paths.map.iter().filter(|(path, _)| !path.starts_with("x-")) {
        let item = Item::read(path, entry, &mut siblings, reader);
        let Some(item) = item else { continue };
        for (key, operation) in item.operations() {
            count += 1;
            if count > ROUTES_MAX {
                let message = format!("there are more than {ROUTES_MAX} routes");
                let remedy = "split the document into several APIs";
                reader
                    .report
                    .error(&operation.key_place, "too-many-routes", message, remedy);
                return routes;
            }
            routes.extend(item.route(key, operation, &mut taken, reader));
        }
    }
    if routes.is_empty() && reader.report.errors() == before {
        let remedy = "describe at least one operation, such as `x-amazon-apigateway-any-method` of `/{proxy+}`";
        reader.report.error(
            &paths.place,
            "no-routes",
            "no path has an operation, so there is nothing to serve",
            remedy,
        );
    }
    routes
}

/// A path with what its operations share.
struct Item<'a> {
    map: &'a Map,
    template: PathTemplate,
    shape: String,
    parameters: Vec<Parameter>,
    is_sound: bool,
}

// === impl Item ===

impl<'a> Item<'a> {
    fn read(path: &str, entry: &'a Entry, siblings: &mut Siblings, reader: &mut Reader<'a>) -> Option<Self> {
        let place = &entry.key_place;
        let about = quote(path);
        let before = reader.report.errors();
        if path.len() > 1 && path.ends_with('/') {
            let message = format!("{about}: the trailing slash is ignored when requests are matched");
            reader.report.warn(place, "trailing-slash", message, "leave it out");
        }
        let template = match PathTemplate::parse(path, place, &mut reader.report) {
            Some(template) => {
                siblings.admit(&template, place, &mut reader.report);
                template
            }
            // What is below is read nevertheless, for its findings.
            None => PathTemplate {
                text: about.clone(),
                parameters: Vec::new(),
            },
        };
        if entry.value.is_null() {
            return None;
        }
        let node = reader.resolve(&entry.value, &about)?;
        let fields = Fields::of(node, place, about.as_str(), &mut reader.report)?;
        let known: Vec<_> = PATH_KEYS.iter().chain(VERB_KEYS).copied().collect();
        fields.mostly(&known, &mut reader.report);
        if !std::ptr::eq(node, &entry.value) {
            extensions::check_path(fields.map, &mut reader.report);
        }
        let parameters = parameters(&fields, &about, reader);
        let shape = template.shape();
        let is_sound = reader.report.errors() == before;
        Some(Self {
            is_sound,
            map: fields.map,
            template,
            shape,
            parameters,
        })
    }

    fn operations(&self) -> impl Iterator<Item = (&'a str, &'a Entry)> + use<'a> {
        self.map
            .iter()
            .filter(|(key, _)| *key == ANY_METHOD || VERB_KEYS.contains(key))
    }

    fn route(
        &self,
        key: &str,
        operation: &'a Entry,
        taken: &mut HashMap<(String, Option<Verb>), (String, Place)>,
        reader: &mut Reader<'a>,
    ) -> Option<Route<'a>> {
        let before = reader.report.errors();
        let verb = Verb::parse(&key.to_ascii_uppercase());
        let name = if key == ANY_METHOD {
            "ANY".to_owned()
        } else {
            key.to_ascii_uppercase()
        };
        let resource = self.template.text.clone();
        let label = format!("{name} {resource}");
        let place = operation.key_place.clone();
        if verb.is_none() && key != ANY_METHOD {
            let message = format!("{label}: TRACE would show a client the headers that the gateway adds");
            reader
                .report
                .error(&place, "trace-not-supported", message, "take the operation out");
            return None;
        }
        let first = taken
            .entry((self.shape.clone(), verb))
            .or_insert_with(|| (label.clone(), place.clone()));
        if first.1 != place {
            let message = format!("{label}: line {} has the same route, {}", first.1.line, first.0);
            reader
                .report
                .error(&place, "route-conflict", message, "keep one of the two");
            return None;
        }
        let fields = Fields::of(&operation.value, &place, label.as_str(), &mut reader.report)?;
        fields.mostly(OPERATION_KEYS, &mut reader.report);
        let is_default = self.is_default(&fields, verb, reader);
        let mut parameters = parameters(&fields, &label, reader);
        // An operation's parameter overrides its path's of the same name and place (OpenAPI 3.0, path item object).
        let inherited: Vec<_> = self
            .parameters
            .iter()
            .filter(|outer| {
                !parameters
                    .iter()
                    .any(|own| (&own.name, &own.location) == (&outer.name, &outer.location))
            })
            .cloned()
            .collect();
        parameters.extend(inherited);
        if self.is_sound {
            self.compare(&label, &parameters, &place, reader);
        }
        let is_sound = self.is_sound && reader.report.errors() == before;
        Some(Route {
            is_sound,
            label,
            place,
            fields,
            resource,
            verb,
            is_default,
            parameters,
        })
    }

    /// Whether it is the default route of an HTTP API; an error when its marks contradict one another.
    fn is_default(&self, fields: &Fields<'a>, verb: Option<Verb>, reader: &mut Reader<'a>) -> bool {
        let flag = fields.flag("isDefaultRoute", &mut reader.report);
        let is_marked = flag.as_ref().is_some_and(|flag| flag.value);
        let is_path = self.template.text == "/$default";
        match (reader.kind, is_marked, is_path && verb.is_none()) {
            (ApiKind::Http, true, true) => true,
            (ApiKind::Rest, false, _) | (ApiKind::Http, false, false) if !is_path => false,
            _ => {
                let message = fields.says("only `/$default` of an HTTP API is a default route, and is marked as one");
                let remedy = "write `x-amazon-apigateway-any-method` with `isDefaultRoute: true` below `/$default`, or \
                    use `/{proxy+}`";
                reader.report.error(&fields.place, "default-route", message, remedy);
                false
            }
        }
    }

    /// Compares the declared path parameters with the template's; Amazon's import only warns of them.
    fn compare(&self, label: &str, parameters: &[Parameter], place: &Place, reader: &mut Reader<'a>) {
        let names: Vec<_> = parameters
            .iter()
            .filter(|parameter| parameter.location == "path")
            .collect();
        for name in &self.template.parameters {
            if !names.iter().any(|parameter| &parameter.name == name) {
                let message = format!("{label}: the path parameter `{name}` is not declared");
                let remedy = format!("add `{{name: {name}, in: path, required: true}}` to `parameters`");
                reader.report.warn(place, "path-parameter-undeclared", message, remedy);
            }
        }
        for parameter in names {
            if !self.template.parameters.contains(&parameter.name) {
                let message = format!("{label}: the path has no parameter `{}`", quote(&parameter.name));
                reader.report.warn(
                    &parameter.place,
                    "path-parameter-unused",
                    message,
                    "take the declaration out",
                );
            }
        }
    }
}

fn parameters<'a>(fields: &Fields<'a>, about: &str, reader: &mut Reader<'a>) -> Vec<Parameter> {
    let mut parameters = Vec::new();
    let items = fields.items("parameters", &mut reader.report);
    if items.len() > PARAMETERS_MAX {
        let message = format!("{about}: there are more than {PARAMETERS_MAX} parameters");
        reader
            .report
            .error(&fields.place, "too-many-parameters", message, "declare fewer");
        return parameters;
    }
    for item in items {
        let Some(node) = reader.resolve(item, about) else {
            continue;
        };
        let Some(fields) = Fields::of(node, &item.place, about, &mut reader.report) else {
            continue;
        };
        let remedy = "a parameter has `name` and `in`";
        let name = fields.required_text("name", remedy, &mut reader.report);
        let location = fields.required_text("in", remedy, &mut reader.report);
        let is_required = fields
            .flag("required", &mut reader.report)
            .is_some_and(|flag| flag.value);
        if let (Some(name), Some(location)) = (name, location) {
            let place = item.place.clone();
            parameters.push(Parameter {
                place,
                name: name.value,
                location: location.value,
                is_required,
            });
        }
    }
    parameters
}
