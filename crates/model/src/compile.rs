//! Documents and settings into a [`Snapshot`], with every finding at once.
//!
//! This is the gate: what cannot be honoured is an error here and nothing is served from it. The compiler is pure but for
//! what it is given; it opens no file.

mod advice;
mod authorizer;
mod cache;
mod cors;
mod domain;
mod integration;
mod methods;
mod plans;
mod response;
mod throttle;

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
};

use portcullis_core::{Findings, MethodArn, Place, SecretRef};
use portcullis_openapi::document::{Document, Located, Operation};
use portcullis_policy::Policy;
use portcullis_template::{Product, log::LogTemplate};

use self::throttle::throttle_of;
pub use self::{
    methods::{MethodSource, MethodVerb},
    plans::{ApiKeySource, PlanSource, PlanStageSource},
    throttle::{KeyedSource, StageLimits, ThrottleSource},
};
use crate::{
    cache::{StageCache, StageCacheSource},
    canary::{Canary, CanaryShare, RollbackRule},
    gateway_response::GatewayResponses,
    locate::Mount,
    router::{RouteConflict, Router},
    snapshot::{
        AccessLogSpec, ApiKind, Authorizer, CertificateFiles, KeySource, LogDestination, OriginSpec, Protection, Route,
        Snapshot, Stage,
    },
};

/// Everything that is to be compiled.
#[derive(Debug, Default)]
pub struct Sources {
    /// The APIs.
    pub apis: Vec<ApiSource>,
    /// The custom domains.
    pub domains: Vec<DomainSource>,
    /// The usage plans.
    pub plans: Vec<PlanSource>,
    /// The API keys.
    pub keys: Vec<ApiKeySource>,
}

/// A custom domain: a host name whose base paths lead to stages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainSource {
    /// `api.example.com` or `*.example.com`, in small letters, without a dot at its end.
    pub name: Located<String>,
    /// Its base path mappings.
    pub mappings: Vec<MappingSource>,
}

/// A base path of a custom domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappingSource {
    /// Without slashes at its ends; empty for all that no other one covers.
    pub base_path: Located<String>,
    /// The API's id.
    pub api: Located<String>,
    /// The stage's name.
    pub stage: Located<String>,
}

/// One API: its document and the settings that documents have no place for.
#[derive(Debug)]
pub struct ApiSource {
    /// Its id.
    pub id: String,
    /// The region in its ARNs.
    pub region: String,
    /// The account in its ARNs.
    pub account: String,
    /// What [`portcullis_openapi::read`] made of its document.
    pub document: Document,
    /// The directory that file references in the document are relative to.
    pub directory: PathBuf,
    /// Its stages; canaries behind all others, in a source of their own where their document is another.
    pub stages: Vec<StageSource>,
    /// Whether it is served by custom domains alone; `None` for what its document says.
    pub disable_default_endpoint: Option<bool>,
}

/// One stage of an API.
#[derive(Clone, Debug)]
pub struct StageSource {
    /// Where it is described.
    pub place: Place,
    /// Its name.
    pub name: String,
    /// Where it is mounted.
    pub mount: Located<String>,
    /// Its variables.
    pub variables: BTreeMap<String, String>,
    /// Its throttle.
    pub throttle: ThrottleSource,
    /// What else bounds its requests.
    pub limits: StageLimits,
    /// Its access log: where to, and `clf`, `csv`, `json`, `xml` or a template. `None` for none.
    pub access_log: Option<(LogDestination, Located<String>)>,
    /// PEM file of the roots to trust its origins by.
    pub origin_roots: Option<PathBuf>,
    /// What its origins are shown when they ask for a client certificate.
    pub origin_client_certificate: Option<CertificateFiles>,
    /// Its cache, if it has one.
    pub cache: Option<StageCacheSource>,
    /// The deployment that the document is; `None` where no history is kept.
    pub deployment: Option<u32>,
    /// What it is to those who call it.
    pub role: Role,
}

/// What a stage is to those who call it.
#[derive(Clone, Debug, PartialEq)]
pub enum Role {
    /// Callers reach it by its mount or name.
    Whole,
    /// It gets a part of the requests to the stage of its API and name, which is compiled beside it.
    Canary {
        /// The part, from 0 to 100.
        percent: f64,
        /// Whether it shares the stage's response cache; else it has its own.
        use_stage_cache: bool,
        /// When it is rolled back without anyone's word.
        rollback: Option<RollbackRule>,
    },
}

/// Compiles. The snapshot is there only when no finding is an error. `previous` hands its throttles on, so that a change of
/// configuration does not fill every bucket.
pub fn compile(sources: &Sources, previous: Option<&Snapshot>) -> (Option<Snapshot>, Findings) {
    let mut findings = Findings::new();
    let mut snapshot = Snapshot::default();
    for api in &sources.apis {
        for stage in &api.stages {
            let known = [Some(&snapshot), previous];
            if let Some(compiled) = compile_stage(api, stage, known, &mut findings) {
                place(&mut snapshot, compiled, stage);
            }
        }
        advice::advise(api, &mut findings);
    }
    check_mounts(&sources.apis, &mut findings);
    snapshot.allowances = plans::compile(sources, &mut snapshot.stages, previous, &mut findings);
    snapshot.domains = domain::compile(sources, &snapshot.stages, &mut findings);
    // The longest mount first, so that the first that covers a path is the most specific one. What is not served there
    // hides nothing that is.
    let stages = &snapshot.stages;
    let is_served = |mount: &Mount| stages.get(mount.stage).is_some_and(|stage| stage.default_endpoint);
    snapshot
        .mounts
        .sort_by_key(|mount| std::cmp::Reverse((is_served(mount), mount.segments.len())));
    let findings = findings.sorted();
    ((!findings.has_errors()).then_some(snapshot), findings)
}

/// Puts a compiled stage where callers find it: below its mount, or behind the stage whose canary it is.
fn place(snapshot: &mut Snapshot, compiled: Stage, source: &StageSource) {
    let index = snapshot.stages.len();
    match &source.role {
        Role::Whole => snapshot.mounts.push(Mount::new(&source.mount.value, index)),
        Role::Canary {
            percent,
            use_stage_cache,
            rollback,
        } => {
            let whole =
                |stage: &&mut Stage| !stage.is_canary && stage.api == compiled.api && stage.name == compiled.name;
            if let Some(stage) = snapshot.stages.iter_mut().find(whole) {
                stage.canary = Some(Canary {
                    index,
                    share: CanaryShare::new(*percent),
                    use_stage_cache: *use_stage_cache,
                    rollback: rollback.clone(),
                });
            }
        }
    }
    snapshot.stages.push(compiled);
}

/// Snapshots whose throttles go on, the first that has them first.
type Known<'s> = [Option<&'s Snapshot>; 2];

/// `known` are the snapshots whose throttles are taken over: this one, for a canary shares its stage's, and the one before.
fn compile_stage(api: &ApiSource, source: &StageSource, known: Known<'_>, findings: &mut Findings) -> Option<Stage> {
    let document = &api.document;
    let arn_prefix = MethodArn::stage_prefix(&api.region, &api.account, &api.id, &source.name);
    let mut parts = Parts {
        api,
        stage: source,
        origins: Vec::new(),
    };
    let authorizers = compile_authorizers(api, findings);
    let mut router = Router::new(document.kind);
    let mut routes = Vec::new();
    for operation in &document.operations {
        if let Some(route) = compile_route(operation, &mut parts, &authorizers, findings) {
            add_route(&mut router, operation, routes.len(), document, findings);
            let route = Route {
                throttle: throttle::of_method(operation, &route.key, &parts, known),
                ..route
            };
            routes.push(route);
        }
    }
    methods::check(api, source, findings);
    let resource_policy = resource_policy(api, findings);
    let gateway_responses = GatewayResponses::new(response::compile(&document.gateway_responses, findings));
    let access_log = access_log(source, document.kind, findings);
    let (_, authorizers): (Vec<String>, Vec<Option<Authorizer>>) = authorizers.into_iter().unzip();
    let mut stage = Stage {
        api: api.id.as_str().into(),
        kind: document.kind,
        region: api.region.as_str().into(),
        account: api.account.as_str().into(),
        name: source.name.as_str().into(),
        deployment: source.deployment,
        is_canary: matches!(source.role, Role::Canary { .. }),
        canary: None,
        mount: source.mount.value.as_str().into(),
        default_endpoint: !api.disables_default_endpoint(),
        arn_prefix,
        variables: source.variables.clone(),
        router,
        routes,
        authorizers: authorizers.into_iter().collect::<Option<_>>()?,
        origins: parts.origins,
        resource_policy,
        gateway_responses,
        cors: document.cors.as_ref().and_then(|given| cors::compile(given, findings)),
        compression_min_bytes: document.compression_min_bytes.as_ref().map(|found| found.value),
        throttle: throttle::of_stage(api, source, known),
        limits: throttle::limits(api, source, known),
        access_log,
        cache: source.cache.as_ref().map(|cache| StageCache {
            bytes_max: cache.bytes_max,
            is_shared: cache.is_shared,
        }),
    };
    cache::attach(api, source, &mut stage, findings);
    Some(stage)
}

/// What the routes of a stage share while they are compiled.
struct Parts<'a> {
    api: &'a ApiSource,
    stage: &'a StageSource,
    origins: Vec<OriginSpec>,
}

fn compile_authorizers(api: &ApiSource, findings: &mut Findings) -> Vec<(String, Option<Authorizer>)> {
    let given = api.document.authorizers.iter();
    given
        .map(|(name, given)| (name.clone(), authorizer::compile(given, &api.directory, findings)))
        .collect()
}

fn compile_route(
    operation: &Operation,
    parts: &mut Parts<'_>,
    authorizers: &[(String, Option<Authorizer>)],
    findings: &mut Findings,
) -> Option<Route> {
    let key = route_key(operation);
    let protection = match &operation.security {
        None => Protection::Open,
        Some(security) => {
            let index = authorizers.iter().position(|(name, _)| *name == security.scheme);
            let Some(index) = index else {
                let message = format!("{key}: the security scheme `{}` has no authoriser", security.scheme);
                let remedy = "describe it with `x-portcullis-authorizer` under its security scheme";
                findings.error(security.place.clone(), "authorizer-unknown", message, remedy);
                return None;
            };
            Protection::Authorizer {
                index,
                scopes: security.scopes.iter().map(|scope| scope.as_str().into()).collect(),
            }
        }
    };
    let integration = integration::compile(operation, &key, parts, findings)?;
    Some(Route {
        resource: operation.resource.as_str().into(),
        verb: operation.verb,
        key: key.into(),
        protection,
        integration,
        throttle: None,
        api_key: throttle::api_key(operation, parts.api, findings)?,
        cache: None,
    })
}

/// `GET /pets/{petId}`, `ANY /{proxy+}` or `$default`.
fn route_key(operation: &Operation) -> String {
    if operation.is_default_route {
        return "$default".to_owned();
    }
    format!(
        "{} {}",
        operation.verb.map_or("ANY", |verb| verb.as_str()),
        operation.resource
    )
}

fn add_route(router: &mut Router, operation: &Operation, index: usize, document: &Document, findings: &mut Findings) {
    let added = if operation.is_default_route {
        router.add_default(index)
    } else {
        router.add(&operation.resource, operation.verb, index)
    };
    let Err(conflict) = added else { return };
    let key = route_key(operation);
    let (code, message, remedy) = match &conflict {
        RouteConflict::Duplicate { first } => {
            let first = document.operations.get(*first).map_or(0, |first| first.place.line);
            (
                "route-conflict",
                format!("{key} is described twice; first in line {first}"),
                "remove one of the two",
            )
        }
        RouteConflict::ParameterNames { .. } => (
            "route-conflict",
            format!("{key}: {conflict}"),
            "give the parameter the same name in both paths",
        ),
        RouteConflict::Template { .. } => (
            "path-template",
            format!("{key}: {conflict}"),
            "write `/text/{name}` or `/text/{name+}`",
        ),
    };
    findings.error(operation.place.clone(), code, message, remedy);
}

fn resource_policy(api: &ApiSource, findings: &mut Findings) -> Option<Policy> {
    let given = api.document.resource_policy.as_ref()?;
    let arn = format!("arn:aws:execute-api:{}:{}:{}", api.region, api.account, api.id);
    match Policy::resource_policy(&given.value, &arn) {
        Ok(policy) => {
            for warning in policy.warnings() {
                let message = format!("the resource policy: {warning}");
                let remedy = "an API that anyone may call needs no resource policy; else narrow the statement";
                findings.warn(given.place.clone(), "policy-wide", message, remedy);
            }
            Some(policy)
        }
        Err(error) => {
            let message = format!("the resource policy cannot be used: {error}");
            findings.error(
                given.place.clone(),
                "policy-invalid",
                message,
                "mend `x-amazon-apigateway-policy`",
            );
            None
        }
    }
}

fn access_log(source: &StageSource, kind: ApiKind, findings: &mut Findings) -> Option<AccessLogSpec> {
    let (destination, format) = source.access_log.as_ref()?;
    match LogTemplate::parse(&format.value, product(kind)) {
        Ok(template) => Some(AccessLogSpec {
            destination: destination.clone(),
            template,
        }),
        Err(error) => {
            let message = format!(
                "the access log format of stage `{}` cannot be used: {error}",
                source.name
            );
            let remedy = "write `clf`, `csv`, `json`, `xml` or a line of `$context` variables";
            findings.error(format.place.clone(), "log-format", message, remedy);
            None
        }
    }
}

fn same_stage<'p>(api: &ApiSource, source: &StageSource, known: Known<'p>) -> Option<&'p Stage> {
    let mut stages = known.into_iter().flatten().flat_map(|snapshot| &snapshot.stages);
    stages.find(|stage| *stage.api == *api.id && *stage.name == *source.name)
}

fn check_mounts(sources: &[ApiSource], findings: &mut Findings) {
    let mut taken: HashMap<&str, (&str, &str)> = HashMap::new();
    for (api, stage) in sources
        .iter()
        .filter(|api| !api.disables_default_endpoint())
        .flat_map(|api| api.stages.iter().map(move |stage| (api, stage)))
        .filter(|(_, stage)| stage.role == Role::Whole)
    {
        let mount = &stage.mount;
        if let Some((other, name)) = taken.insert(mount.value.trim_end_matches('/'), (&api.id, &stage.name)) {
            let message = format!("`{}` already leads to stage `{name}` of `{other}`", mount.value);
            findings.error(
                mount.place.clone(),
                "duplicate-mount",
                message,
                "give each stage a `mount` of its own",
            );
        }
    }
}

fn product(kind: ApiKind) -> Product {
    match kind {
        ApiKind::Rest => Product::Rest,
        ApiKind::Http => Product::Http,
    }
}

// === impl Sources ===

impl From<Vec<ApiSource>> for Sources {
    /// APIs without custom domains.
    fn from(apis: Vec<ApiSource>) -> Self {
        Self {
            apis,
            ..Self::default()
        }
    }
}

// === impl ApiSource ===

impl ApiSource {
    /// The configuration has the last word over the document.
    fn disables_default_endpoint(&self) -> bool {
        let of_document = self.document.disable_default_endpoint.as_ref();
        self.disable_default_endpoint
            .unwrap_or(of_document.is_some_and(|flag| flag.value))
    }
}

// === impl Snapshot ===

impl Snapshot {
    /// Every reference to a secret in it, for those who say what the secrets look like.
    pub fn secrets(&self) -> impl Iterator<Item = (&Authorizer, &[SecretRef])> {
        let authorizers = self.stages.iter().flat_map(|stage| &stage.authorizers);
        authorizers.filter_map(|authorizer| match &authorizer.keys {
            KeySource::Secrets { references, .. } => Some((authorizer, references.as_slice())),
            KeySource::JwksFile(_) | KeySource::JwksUrl(_) | KeySource::Discovery(_) => None,
        })
    }
}
