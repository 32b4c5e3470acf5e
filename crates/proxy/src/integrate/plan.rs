//! What of an `http_proxy` integration's mappings can be settled before any request comes.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue, header};
use portcullis_core::RequestPath;
use portcullis_model::snapshot::{HttpProxy, Integration, Route, Stage};
use portcullis_net::upstream::FieldLines;
use portcullis_template::mapping::{Action, Mapping, Source, Target};

const API_ID: HeaderName = HeaderName::from_static("x-amzn-apigateway-api-id");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const JSON: &str = "application/json";

/// How a route's mappings are carried out. Made once per stage and route.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The header fields that are mapped, each once: the caller's and the gateway's own give way.
    pub(super) mapped: Vec<HeaderName>,
    pub(super) fields: FieldsPlan,
    pub(super) path: PathPlan,
    pub(super) own: OwnFields,
}

/// Fields of the gateway's own that no request changes.
#[derive(Debug)]
pub(super) struct OwnFields {
    pub(super) api_id: OwnField,
    /// For callers that send none, as the next two.
    pub(super) user_agent: OwnField,
    pub(super) accept: OwnField,
    pub(super) content_type: OwnField,
    /// With TLS and without.
    pub(super) forwarded_proto: [OwnField; 2],
}

/// One of them.
#[derive(Debug)]
pub(super) enum OwnField {
    /// Written once for all requests.
    Written(FieldLines),
    /// A mapping decides.
    Mapped(HeaderName, String),
}

/// Where mapped header fields come from.
#[derive(Debug, Default)]
pub(super) enum FieldsPlan {
    /// They are the same for every request, written already; or there are none.
    Constant(FieldLines),
    /// They depend on the request.
    #[default]
    Mapped,
}

/// Where the path and query towards the origin come from.
#[derive(Debug, Default)]
pub(super) enum PathPlan {
    /// A constant up to a slash, a path parameter as received, the caller's query.
    Behind { prefix: Box<str>, parameter: Box<str> },
    /// All else.
    #[default]
    Mapped,
}

// === impl Plan ===

impl Plan {
    /// The plan of a route; an empty one where nothing is proxied.
    pub(crate) fn of(route: &Route, stage: &Stage) -> Self {
        let Integration::HttpProxy(proxy) = &route.integration else {
            return Self::default();
        };
        let mut mapped: Vec<HeaderName> = Vec::new();
        for mapping in &proxy.mappings {
            if let Target::Header(name) = &mapping.target
                && let Ok(name) = HeaderName::try_from(&**name)
                && !mapped.contains(&name)
            {
                mapped.push(name);
            }
        }
        Self {
            own: OwnFields::new(&stage.api, &mapped),
            fields: constant_lines(proxy, &stage.variables).map_or(FieldsPlan::Mapped, FieldsPlan::Constant),
            path: behind(proxy).unwrap_or(PathPlan::Mapped),
            mapped,
        }
    }

    /// Whether no mapping is left to be looked at when a request comes.
    pub(super) fn is_settled(&self) -> bool {
        matches!(self.fields, FieldsPlan::Constant(_)) && matches!(self.path, PathPlan::Behind { .. })
    }
}

// === impl OwnFields ===

impl OwnFields {
    fn new(api: &str, mapped: &[HeaderName]) -> Self {
        let field = |name: HeaderName, text: &str| {
            let mut line = FieldLines::default();
            if mapped.contains(&name) || !line.push_text(&name, text) {
                OwnField::Mapped(name, text.to_owned())
            } else {
                OwnField::Written(line)
            }
        };
        Self {
            api_id: field(API_ID, api),
            user_agent: field(header::USER_AGENT, &format!("AmazonAPIGateway_{api}")),
            accept: field(header::ACCEPT, JSON),
            content_type: field(header::CONTENT_TYPE, JSON),
            forwarded_proto: ["https", "http"].map(|scheme| field(FORWARDED_PROTO, scheme)),
        }
    }
}

impl Default for OwnFields {
    fn default() -> Self {
        Self::new("", &[])
    }
}

/// Every mapped header field, if all of them are constants that overwrite, each another field.
fn constant_lines(proxy: &HttpProxy, variables: &BTreeMap<String, String>) -> Option<FieldLines> {
    let mut lines = FieldLines::default();
    let mut names = Vec::new();
    for Mapping { action, target, value } in &proxy.mappings {
        let Target::Header(name) = target else { continue };
        if *action != Action::Overwrite || value.is_empty() {
            return None;
        }
        let name = HeaderName::try_from(&**name).ok()?;
        let parts: Option<Vec<&str>> = value.iter().map(|source| constant(source, variables)).collect();
        let value = HeaderValue::try_from(parts?.concat()).ok()?;
        if names.contains(&name) {
            return None;
        }
        lines.push(&name, &value);
        names.push(name);
    }
    Some(lines)
}

/// `None` also for a stage variable that is not set: the caller's field stays then.
fn constant<'s>(source: &'s Source, variables: &'s BTreeMap<String, String>) -> Option<&'s str> {
    match source {
        Source::Literal(text) => Some(text),
        Source::StageVariable(name) => variables.get(&**name).map(String::as_str),
        Source::Context(_)
        | Source::Header(_)
        | Source::HeaderAll(_)
        | Source::Path(_)
        | Source::PathWhole
        | Source::Query(_)
        | Source::QueryAll(_) => None,
    }
}

/// A parameter that stands alone behind a slash at the path's end was held to all rules as a part of the caller's path; with
/// text in its segment it would not have been: `.` and `;a` make a dot segment.
fn behind(proxy: &HttpProxy) -> Option<PathPlan> {
    let mut parameters = proxy.uri.parameters();
    let (Some(name), None) = (parameters.next(), parameters.next()) else {
        return None;
    };
    let mut source = name;
    for mapping in &proxy.mappings {
        match (&mapping.target, mapping.value.as_slice()) {
            (Target::Header(_), _) => {}
            (Target::PathParameter(known), [Source::Path(from)]) if **known == *name => source = from,
            (Target::PathParameter(known), _) if **known != *name => {}
            (Target::Path | Target::PathParameter(_) | Target::Query(_), _) => return None,
        }
    }
    let mappings_of_name = proxy
        .mappings
        .iter()
        .filter(|mapping| matches!(&mapping.target, Target::PathParameter(known) if **known == *name));
    let mut path = String::new();
    // No URI holds this character, so that it shows where the parameter stands.
    let is_whole = !proxy.uri.has_query() && proxy.uri.write_path(&|_| Some("\0".into()), &mut path);
    let prefix = path
        .strip_suffix('\0')
        .filter(|prefix| is_whole && prefix.ends_with('/'))?;
    (mappings_of_name.count() <= 1 && RequestPath::parse(prefix).is_ok()).then(|| PathPlan::Behind {
        prefix: prefix.into(),
        parameter: source.into(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use portcullis_template::{mapping, uri::OriginUri};

    use super::*;

    fn proxy(uri: &str, mappings: &[(&str, &str)]) -> HttpProxy {
        HttpProxy {
            origin: 0,
            method: None,
            uri: OriginUri::parse(uri).unwrap(),
            mappings: mappings
                .iter()
                .map(|(target, source)| mapping::parse_rest_request(target, source).unwrap())
                .collect(),
            response_mappings: Vec::new(),
            timeout: Duration::from_secs(1),
        }
    }

    const PROXY: (&str, &str) = ("integration.request.path.proxy", "method.request.path.proxy");

    #[test]
    fn a_path_is_settled_where_nothing_can_make_another_of_it() {
        let check = |uri: &str, mappings: &[(&str, &str)], expected: Option<(&str, &str)>| {
            let plan = behind(&proxy(uri, mappings));
            let settled = match &plan {
                Some(PathPlan::Behind { prefix, parameter }) => Some((&**prefix, &**parameter)),
                Some(PathPlan::Mapped) | None => None,
            };
            assert_eq!(settled, expected, "{uri} {mappings:?}");
        };
        check("http://a/{proxy}", &[PROXY], Some(("/", "proxy")));
        check("http://a/{proxy}", &[], Some(("/", "proxy")));
        check("http://a/v1/x/{proxy}", &[PROXY], Some(("/v1/x/", "proxy")));
        let other = ("integration.request.path.proxy", "method.request.path.id");
        check("http://a/{proxy}", &[other], Some(("/", "id")));
        let unused = ("integration.request.path.unused", "method.request.header.x");
        check("http://a/{proxy}", &[PROXY, unused], Some(("/", "proxy")));
        let header = ("integration.request.header.x", "method.request.header.y");
        check("http://a/{proxy}", &[PROXY, header], Some(("/", "proxy")));
        // The parameter is not all of a segment, not at the end, or not alone.
        check("http://a/.{proxy}", &[PROXY], None);
        check("http://a/{proxy}.json", &[PROXY], None);
        check("http://a/{proxy}/x", &[PROXY], None);
        check("http://a/{id}/{proxy}", &[PROXY], None);
        check("http://a/", &[], None);
        // The document's own path would be refused: as a request it is, each time.
        check("http://a/../{proxy}", &[PROXY], None);
        // The query is not the caller's alone.
        check("http://a/{proxy}?x=1", &[PROXY], None);
        let query = ("integration.request.querystring.q", "'1'");
        check("http://a/{proxy}", &[PROXY, query], None);
        // The value is not a part of the caller's path.
        for source in [
            "method.request.header.x",
            "method.request.querystring.x",
            "'x'",
            "context.requestId",
        ] {
            check("http://a/{proxy}", &[("integration.request.path.proxy", source)], None);
        }
        check("http://a/{proxy}", &[PROXY, PROXY], None);
    }

    #[test]
    fn fields_are_settled_where_all_are_constants() {
        let variables = BTreeMap::from([
            ("key".to_owned(), "k-1".to_owned()),
            ("bad".to_owned(), "a\nb".to_owned()),
        ]);
        let check = |mappings: &[(&str, &str)], expected: Option<&str>| {
            let lines = constant_lines(&proxy("http://a/", mappings), &variables);
            let written = lines.as_ref().map(FieldLines::as_bytes);
            assert_eq!(written, expected.map(str::as_bytes), "{mappings:?}");
        };
        let literal = ("integration.request.header.ApiKey", "'an-origin-key'");
        let variable = ("integration.request.header.X-Key", "stageVariables.key");
        check(&[], Some(""));
        check(&[PROXY], Some(""));
        check(&[literal, PROXY], Some("apikey: an-origin-key\r\n"));
        check(&[literal, variable], Some("apikey: an-origin-key\r\nx-key: k-1\r\n"));
        check(&[literal, literal], None);
        for source in [
            "stageVariables.unset",
            "stageVariables.bad",
            "method.request.header.y",
            "context.requestId",
        ] {
            check(&[literal, ("integration.request.header.x", source)], None);
        }
    }
}
