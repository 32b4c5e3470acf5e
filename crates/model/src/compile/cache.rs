//! The caches of a stage's routes: which of them have one, and what their keys hold.

use std::collections::BTreeMap;

use http::HeaderName;
use portcullis_core::{Findings, Place, Verb};
use portcullis_jose::digest::sha256;
use portcullis_openapi::document::{self, Operation};
use portcullis_template::mapping::{Source, Target, parse_rest_source};

use super::{
    ApiSource, MethodSource, MethodVerb, StageSource, integration::resource_parameters, methods::pick, route_key,
};
use crate::{
    cache::{CacheSettings, KeyParameter, MethodCache, RouteCache},
    snapshot::{ApiKind, Authorizer, Grants, Integration, Protection, Route, Stage, TokenSource},
};

const PARAMETER: &str = "`method.request.querystring.NAME`, `method.request.header.NAME`, `method.request.path.NAME`, or the \
                         same of `integration.request` where it is mapped";

/// Gives the routes of a compiled stage their caches.
pub(super) fn attach(api: &ApiSource, source: &StageSource, stage: &mut Stage, findings: &mut Findings) {
    let Some(cache) = &source.cache else {
        return refuse_methods(source, findings);
    };
    if stage.kind == ApiKind::Http {
        let message = format!("stage `{}` is of an HTTP API, which has no cache", source.name);
        let remedy = "serve the document with `kind = \"rest\"`, or take `cache` out";
        findings.error(cache.place.clone(), "cache-not-supported", message, remedy);
        return;
    }
    let shape = shape(stage);
    let mut sharing = BTreeMap::new();
    for operation in &api.document.operations {
        let name = route_key(operation);
        let Some(index) = stage.routes.iter().position(|route| *route.key == *name) else {
            continue; // an error elsewhere
        };
        let (Some(route), Some(key)) = (stage.routes.get(index), key(operation, &name, stage, index, findings)) else {
            continue;
        };
        let Some(settings) = settings(operation, &cache.settings, &source.limits.methods, findings) else {
            continue;
        };
        let verb = operation.verb.unwrap_or(Verb::Get);
        let cached = RouteCache {
            verb,
            prefix: prefix(stage, &shape, operation, verb, &key),
            key,
            settings: settings.clone(),
        };
        advise(operation, route, &cached, stage, findings);
        sharing.entry(cached.prefix).or_insert_with(Vec::new).push(index);
        if let Some(route) = stage.routes.get_mut(index) {
            route.cache = Some(cached);
        }
    }
    for sharing in sharing.values() {
        advise_sharing(api, stage, sharing, findings);
    }
}

/// Settings of methods that are to be cached where nothing is.
fn refuse_methods(source: &StageSource, findings: &mut Findings) {
    let on = |method: &&MethodSource| matches!(method.cache, Some(MethodCache::On(_)));
    for method in source.limits.methods.iter().filter(on) {
        let message = format!(
            "a method of stage `{}` is to be cached, but the stage has no cache",
            source.name
        );
        let remedy = "give the stage `cache = { enabled = true }`, and the methods that shall not be cached `cache = { enabled = false }`";
        findings.error(method.place.clone(), "cache-off", message, remedy);
    }
}

/// How the answers of an operation are kept; `None` for not at all. `GET` is kept as the stage says; of `ANY` that is all. Any
/// other verb is kept where the settings of a method name it.
fn settings<'s>(
    operation: &Operation,
    stage: &'s CacheSettings,
    methods: &'s [MethodSource],
    findings: &mut Findings,
) -> Option<&'s CacheSettings> {
    let of_method = pick(methods, operation, |method| {
        method.cache.as_ref().map(|cache| (cache, method))
    });
    let is_get = operation.verb.is_none_or(|verb| verb == Verb::Get);
    let settings = match of_method {
        Some((MethodCache::Off, _)) => return None,
        Some((MethodCache::On(_), method)) if method.verb == MethodVerb::One(Verb::Head) => {
            let message = "answers to HEAD cannot be kept: they have no bodies";
            findings.error(
                method.place.clone(),
                "cache-not-supported",
                message,
                "name another method",
            );
            return None;
        }
        Some((MethodCache::On(settings), method)) if is_get || matches!(method.verb, MethodVerb::One(_)) => settings,
        Some(_) | None if is_get => stage,
        Some(_) | None => return None,
    };
    (settings.ttl_s > 0).then_some(settings)
}

/// The parameters of the key; `None` after an error, and for what is never cached.
fn key(
    operation: &Operation,
    name: &str,
    stage: &Stage,
    index: usize,
    findings: &mut Findings,
) -> Option<Vec<KeyParameter>> {
    let route = stage.routes.get(index)?;
    let Integration::HttpProxy(proxy) = &route.integration else {
        return None; // a constant is at hand already
    };
    let own = resource_parameters(&operation.resource);
    let mut wrong = |place: &Place, message: String, remedy: &str| {
        findings.error(place.clone(), "cache-key", format!("{name}: {message}"), remedy);
        None::<KeyParameter>
    };
    let mut read = |written: &document::Located<String>| {
        let text = &written.value;
        let sources = if let Some(target) = text.strip_prefix("integration.request.") {
            let mapped = proxy.mappings.iter().find(|mapping| is_target(&mapping.target, target));
            match (mapped, target.strip_prefix("path.")) {
                (Some(mapping), _) => mapping.value.clone(),
                // A parameter of the URI that is not mapped is the resource's own of that name.
                (None, Some(parameter)) if own.contains(&parameter) => vec![Source::Path(parameter.into())],
                (None, _) => {
                    let message = format!("nothing is mapped to `{text}`, so the cache key cannot hold it");
                    return wrong(&written.place, message, "map it under `requestParameters`");
                }
            }
        } else {
            match parse_rest_source(text) {
                Ok(source) => vec![source],
                Err(error) => return wrong(&written.place, error.to_string(), PARAMETER),
            }
        };
        for source in &sources {
            match source {
                Source::Path(parameter) if !own.contains(&&**parameter) => {
                    let message =
                        format!("the resource has no path parameter `{parameter}`, so the cache key cannot hold it");
                    return wrong(&written.place, message, PARAMETER);
                }
                Source::Header(header) | Source::HeaderAll(header) if HeaderName::try_from(&**header).is_err() => {
                    return wrong(&written.place, format!("no header is called `{header}`"), PARAMETER);
                }
                _ => {}
            }
        }
        Some(KeyParameter {
            name: text.as_str().into(),
            sources,
        })
    };
    let given = &operation.cache.parameters;
    let read: Vec<_> = given.iter().filter_map(&mut read).collect();
    (read.len() == given.len()).then_some(read)
}

/// Whether `written` (`header.X`, `querystring.y`, `path.z`) names a mapping's target.
fn is_target(target: &Target, written: &str) -> bool {
    let Some((kind, name)) = written.split_once('.') else {
        return false;
    };
    match (target, kind) {
        (Target::Header(known), "header" | "multivalueheader") => known.eq_ignore_ascii_case(name),
        (Target::Query(known), "querystring" | "multivaluequerystring") => **known == *name,
        (Target::PathParameter(known), "path") => **known == *name,
        _ => false,
    }
}

/// A digest of everything that shapes the answers of a stage. Reading it off the compiled stage, not the document, leaves
/// comments and the order of keys out, and takes stage variables and the configuration in.
fn shape(stage: &Stage) -> [u8; 32] {
    let mut text = String::new();
    let mut add = |part: std::fmt::Arguments<'_>| {
        use std::fmt::Write as _;
        let _ = writeln!(text, "{part}"); // writing to a String cannot fail
    };
    for Route {
        key,
        protection,
        integration,
        ..
    } in &stage.routes
    {
        add(format_args!("{key} {protection:?} {integration:?}"));
    }
    add(format_args!("{:?} {:?}", stage.origins, stage.variables));
    for authorizer in &stage.authorizers {
        if let Grants::Policy(grants) = &authorizer.grants {
            add(format_args!("{} {}", authorizer.name, grants.principal_claim)); // `$context.authorizer.principalId`
        }
    }
    sha256(text.as_bytes())
}

fn prefix(stage: &Stage, shape: &[u8; 32], operation: &Operation, verb: Verb, key: &[KeyParameter]) -> [u8; 32] {
    let mut text = Vec::new();
    let mut add = |part: &[u8]| {
        // With its length in front no two lists of parts give the same text.
        text.extend_from_slice(&(part.len() as u64).to_be_bytes());
        text.extend_from_slice(part);
    };
    for part in [
        stage.region.as_bytes(),
        stage.account.as_bytes(),
        stage.api.as_bytes(),
        stage.name.as_bytes(),
        shape,
    ] {
        add(part);
    }
    match &operation.cache.namespace {
        Some(namespace) => [b"namespace", namespace.value.as_bytes()].map(&mut add),
        None => [b"resource".as_slice(), operation.resource.as_bytes()].map(&mut add),
    };
    add(verb.as_str().as_bytes());
    key.iter().for_each(|parameter| add(parameter.name.as_bytes()));
    sha256(&text)
}

fn advise(operation: &Operation, route: &Route, cached: &RouteCache, stage: &Stage, findings: &mut Findings) {
    let place = operation
        .cache
        .parameters
        .first()
        .map_or(&operation.place, |parameter| &parameter.place);
    let name = &route.key;
    let holds =
        |wanted: &dyn Fn(&Source) -> bool| cached.key.iter().flat_map(|parameter| &parameter.sources).any(wanted);
    let own = resource_parameters(&operation.resource);
    let missing: Vec<_> = own
        .iter()
        .filter(|name| !holds(&|source| matches!(source, Source::Path(known) if **known == ***name)))
        .map(|name| format!("`{name}`"))
        .collect();
    if !missing.is_empty() {
        let message = format!(
            "{name} on stage `{}` is cached without {} in its key: every value is served the same answer",
            stage.name,
            missing.join(" and ")
        );
        let remedy = "add `method.request.path.NAME` to `cacheKeyParameters`";
        findings.warn(place.clone(), "cache-key-without-path", message, remedy);
    }
    if let Protection::Authorizer { index, .. } = &route.protection
        && let Some(authorizer) = stage.authorizers.get(*index)
        && !holds(&|source| tells_callers_apart(source, authorizer))
    {
        let message = format!(
            "{name} on stage `{}` is cached for authorised callers, but its key holds neither the caller nor a query or path \
             parameter: all of them are served one answer",
            stage.name
        );
        let remedy =
            "add what answers differ by to `cacheKeyParameters`, or turn its cache off under `[[apis.stages.methods]]`";
        findings.warn(place.clone(), "cache-key-shared", message, remedy);
    }
    if cached.settings.store_set_cookie {
        let message = format!(
            "{name} on stage `{}` keeps answers with `Set-Cookie`: one caller's cookie is handed to all",
            stage.name
        );
        findings.warn(
            place.clone(),
            "cache-set-cookie",
            message,
            "take `store_set_cookie` out",
        );
    }
}

/// Whether a part of a key makes two callers' entries two, or is what they ask for.
fn tells_callers_apart(source: &Source, authorizer: &Authorizer) -> bool {
    match source {
        Source::Path(_) | Source::PathWhole | Source::Query(_) | Source::QueryAll(_) | Source::Context(_) => true,
        Source::Header(name) | Source::HeaderAll(name) => {
            matches!(&authorizer.source, TokenSource::Header(header) if header.as_str().eq_ignore_ascii_case(name))
        }
        Source::Literal(_) | Source::StageVariable(_) => false,
    }
}

/// Methods that share entries by their namespace serve them to whom either lets in.
fn advise_sharing(api: &ApiSource, stage: &Stage, sharing: &[usize], findings: &mut Findings) {
    let mut routes = sharing.iter().filter_map(|index| stage.routes.get(*index));
    let Some(first) = routes.next() else { return };
    for other in routes.filter(|other| other.protection != first.protection) {
        let operation = api
            .document
            .operations
            .iter()
            .find(|operation| route_key(operation) == *other.key);
        let place = operation.and_then(|operation| operation.cache.namespace.as_ref());
        let message = format!(
            "{} and {} share a cache namespace but not their protection: what one of them stored, callers of the other read",
            first.key, other.key
        );
        let remedy = "give them namespaces of their own";
        findings.warn(
            place.map_or_else(Place::default, |namespace| namespace.place.clone()),
            "cache-namespace-shared",
            message,
            remedy,
        );
    }
}
