//! The compiled configuration that requests are answered from.
//!
//! Invariant: a snapshot is immutable and whole. It is swapped atomically, and a request holds the one it began with to
//! its end. What changes while it is in force (buckets, caches, keys) lives beside it and is carried over by name.

use std::{borrow::Cow, collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use http::HeaderName;
use portcullis_core::{SecretRef, Verb};
use portcullis_jose::{Rules, SecretEncoding};
use portcullis_limit::Throttle;
pub use portcullis_openapi::document::ApiKind;
use portcullis_policy::{Policy, template::PolicyTemplate};
use portcullis_template::{
    Variable,
    log::LogTemplate,
    mapping::{Mapping, ResponseMapping, ResponseSource, Source},
    uri::{OriginUri, Scheme, UriError},
};

use crate::{
    cache::{RouteCache, StageCache},
    canary::Canary,
    cors::Cors,
    domain::Domains,
    gateway_response::GatewayResponses,
    limits::{Allowance, ApiKeyFrom, StageLimits},
    locate::Mount,
    router::Router,
};

/// Everything that is served, compiled.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// All stages of all APIs, and after them their canaries; their index is their name inside the data plane.
    pub stages: Vec<Stage>,
    /// What each API key may use under each of its usage plans.
    pub allowances: Vec<Arc<Allowance>>,
    /// Where each is mounted, the longest mount first.
    pub(crate) mounts: Vec<Mount>,
    /// The custom domains.
    pub domains: Domains,
}

/// A stage of an API: a deployment with its variables and limits.
#[derive(Debug)]
pub struct Stage {
    /// The API's id.
    pub api: Box<str>,
    /// Which product's rules hold.
    pub kind: ApiKind,
    /// The region in its ARNs.
    pub region: Box<str>,
    /// The account in its ARNs (12 digits).
    pub account: Box<str>,
    /// The stage's name; `$default` for the nameless stage of an HTTP API.
    pub name: Box<str>,
    /// The deployment that it serves; `None` where no history is kept.
    pub deployment: Option<u32>,
    /// Whether it is the canary of the stage of its name: then nothing leads to it but that stage.
    pub is_canary: bool,
    /// Its canary.
    pub canary: Option<Canary>,
    /// The path below which it is served: `/` or `/TEST`.
    pub mount: Box<str>,
    /// Whether it is served at its mount and at `{api}.execute-api.…`, and not by custom domains alone.
    pub default_endpoint: bool,
    /// `arn:aws:execute-api:{region}:{account}:{api}/{stage}/`.
    pub arn_prefix: String,
    /// The stage variables.
    pub variables: BTreeMap<String, String>,
    /// Paths to routes.
    pub router: Router,
    /// The routes, by [`crate::router::RouteIndex`].
    pub routes: Vec<Route>,
    /// The authorisers that routes refer to, by index.
    pub authorizers: Vec<Authorizer>,
    /// The origins that integrations refer to, by index; each once.
    pub origins: Vec<OriginSpec>,
    /// The API's resource policy.
    pub resource_policy: Option<Policy>,
    /// The API's customised gateway responses.
    pub gateway_responses: GatewayResponses,
    /// What browsers on other origins may do (HTTP APIs); `None` where the origin says so itself.
    pub cors: Option<Cors>,
    /// From how many bytes on answers are compressed (REST APIs); `None` for never.
    pub compression_min_bytes: Option<u32>,
    /// The stage's throttle; carried over from the snapshot before while its figures stay the same.
    pub throttle: Arc<Throttle>,
    /// What else bounds its requests.
    pub limits: StageLimits,
    /// Where and how requests are logged; `None` for not at all.
    pub access_log: Option<AccessLogSpec>,
    /// Its cache; `None` for none.
    pub cache: Option<StageCache>,
}

/// One method of one resource.
#[derive(Debug)]
pub struct Route {
    /// The resource's path template.
    pub resource: Box<str>,
    /// The verb, `None` for `ANY`.
    pub verb: Option<Verb>,
    /// `GET /pets/{petId}`, `ANY /{proxy+}`, `$default`: its name in logs, metrics and findings.
    pub key: Box<str>,
    /// Who may call it.
    pub protection: Protection,
    /// How it is answered.
    pub integration: Integration,
    /// The method's own throttle; carried over like that of the stage.
    pub throttle: Option<Arc<Throttle>>,
    /// Where its API key comes from, where it demands one.
    pub api_key: Option<ApiKeyFrom>,
    /// How its answers are kept; `None` for not at all.
    pub cache: Option<RouteCache>,
}

/// Who may call a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Anyone whom the resource policy does not refuse.
    Open,
    /// Who passes the authoriser of this index in [`Stage::authorizers`].
    Authorizer {
        /// The index.
        index: usize,
        /// Scopes of which a `jwt` must hold at least one; empty for none demanded.
        scopes: Vec<Box<str>>,
    },
}

/// How a route is answered.
#[derive(Debug)]
pub enum Integration {
    /// By an HTTP origin.
    HttpProxy(HttpProxy),
    /// By a constant.
    Mock(Mock),
}

/// The `http_proxy` integration, compiled for one stage.
#[derive(Debug)]
pub struct HttpProxy {
    /// The origin's index in [`Stage::origins`].
    pub origin: usize,
    /// The verb towards the origin, `None` for the caller's own.
    pub method: Option<Verb>,
    /// The URI with the stage's variables filled in; path parameters are left.
    pub uri: OriginUri,
    /// Headers, query values and URI parameters that are mapped, in the document's order. A parameter of the URI that is
    /// not mapped is the resource's own of that name.
    pub mappings: Vec<Mapping>,
    /// HTTP APIs: changes to the answer by status.
    pub response_mappings: Vec<(u16, Vec<ResponseMapping>)>,
    /// How long the origin may take to its answer's head.
    pub timeout: Duration,
}

/// The `mock` integration with its constant answer.
#[derive(Debug)]
pub struct Mock {
    /// The status.
    pub status: u16,
    /// Headers beside `Content-Type`.
    pub headers: Vec<(HeaderName, http::HeaderValue)>,
    /// The body and its media type.
    pub body: Option<(Vec<u8>, http::HeaderValue)>,
}

/// An origin to connect to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OriginSpec {
    /// Whether TLS is spoken.
    pub tls: bool,
    /// A name or an address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// PEM file of the roots to trust instead of the built-in ones.
    pub roots: Option<PathBuf>,
    /// The name to verify in its certificate instead of `host`.
    pub server_name: Option<String>,
    /// What it is shown when it asks for a client certificate.
    pub client_certificate: Option<CertificateFiles>,
}

/// PEM files of a certificate and its private key; they may be one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CertificateFiles {
    /// The certificate, then those that certify it.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Where and how a stage's requests are logged.
#[derive(Debug)]
pub struct AccessLogSpec {
    /// Where the lines go.
    pub destination: LogDestination,
    /// What a line says.
    pub template: LogTemplate,
}

/// Where log lines go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LogDestination {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A file, appended to.
    File(PathBuf),
}

/// An authoriser, compiled for one stage.
#[derive(Debug)]
pub struct Authorizer {
    /// The security scheme's name.
    pub name: Box<str>,
    /// Where the token is found.
    pub source: TokenSource,
    /// Whether a leading `Bearer ` is cut off: never, when present, or demanded.
    pub bearer: Bearer,
    /// How a token is verified.
    pub rules: Rules,
    /// Where the keys come from.
    pub keys: KeySource,
    /// What must match the whole token before anything else is looked at.
    pub expression: Option<regex::Regex>,
    /// How long a policy made from a token is kept, in seconds; 0 for not at all.
    pub result_ttl_s: u32,
    /// What a verified token becomes.
    pub grants: Grants,
}

/// Where the token is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSource {
    /// In a header.
    Header(HeaderName),
    /// In a query parameter (HTTP APIs).
    Query(Box<str>),
}

/// What becomes of a leading `Bearer `.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bearer {
    /// It is not expected: it would be part of the token.
    Unknown,
    /// Cut off when present (the `jwt` authoriser).
    Optional,
    /// A header without it carries no token.
    Required,
}

/// Where verification keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// Shared secrets, several for rotation.
    Secrets {
        /// Where each is read from; file references are already relative to nothing (absolute or to the working directory).
        references: Vec<SecretRef>,
        /// How each is written.
        encoding: SecretEncoding,
    },
    /// A JWK set in a file, watched.
    JwksFile(PathBuf),
    /// A JWK set behind a URL, fetched again when it is old or a key is unknown.
    JwksUrl(JwksUrl),
    /// The `jwks_uri` of an OpenID provider's discovery document.
    Discovery(JwksUrl),
}

/// A URL to fetch keys from, split for the client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct JwksUrl {
    /// The server.
    pub origin: OriginSpec,
    /// Path and query.
    pub target: String,
}

/// Why a URL is not one to fetch keys from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwksUrlError {
    /// It has variables or parameters.
    #[error("it cannot have variables")]
    HasVariables,
    /// It is plain HTTP to another machine: who can change the keys on their way can sign any token.
    #[error("keys are fetched over plain HTTP from this machine only: who can change them can sign any token")]
    Insecure,
    /// It is no URL.
    #[error(transparent)]
    Uri(#[from] UriError),
}

/// What a verified token becomes.
#[derive(Debug)]
pub enum Grants {
    /// An IAM policy (the `token` authoriser).
    Policy(Box<TokenGrants>),
    /// Authentication alone, with the scopes of the route (the `jwt` authoriser of HTTP APIs).
    Scopes,
}

/// What the `token` authoriser makes of a verified token.
#[derive(Debug)]
pub struct TokenGrants {
    /// The policy with claims filled in; `None` for the authoriser's own: everything of this API while the token is valid.
    pub policy: Option<PolicyTemplate>,
    /// The claim that names the caller.
    pub principal_claim: Box<str>,
    /// Claims that must agree with the request.
    pub bindings: Vec<ClaimBinding>,
    /// File of token ids, subjects and digests that are refused, watched.
    pub deny_list: Option<PathBuf>,
}

/// A claim that must agree with the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimBinding {
    /// The claim.
    pub claim: Box<str>,
    /// What it must agree with.
    pub to: BindingTarget,
}

/// What a bound claim must agree with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BindingTarget {
    /// The caller's address.
    SourceAddress,
    /// The SHA-256 of a header's value.
    HeaderDigest(HeaderName),
}

// === impl Snapshot ===

impl Snapshot {
    /// A stage by its names; never a canary.
    pub fn stage(&self, api: &str, name: &str) -> Option<&Stage> {
        let mut stages = self.stages.iter().filter(|stage| !stage.is_canary);
        stages.find(|stage| *stage.api == *api && *stage.name == *name)
    }
}

// === impl Integration ===

impl Integration {
    /// Its name in documents.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::HttpProxy(_) => "http_proxy",
            Self::Mock(_) => "mock",
        }
    }

    fn uses(&self, wanted: &dyn Fn(&Variable) -> bool) -> bool {
        let Self::HttpProxy(proxy) = self else { return false };
        let mut sources = proxy.mappings.iter().flat_map(|mapping| &mapping.value);
        let mut of_answers = proxy
            .response_mappings
            .iter()
            .flat_map(|(_, all)| all)
            .flat_map(|mapping| &mapping.value);
        sources.any(|source| matches!(source, Source::Context(variable) if wanted(variable)))
            || of_answers.any(|source| matches!(source, ResponseSource::Context(variable) if wanted(variable)))
    }
}

// === impl JwksUrl ===

impl JwksUrl {
    /// Splits a URL.
    pub fn parse(url: &str) -> Result<Self, JwksUrlError> {
        let uri = OriginUri::parse(url)?;
        let mut target = String::new();
        if !uri.write_path(&|_| None, &mut target) {
            return Err(JwksUrlError::HasVariables);
        }
        if uri.has_query() {
            target.push('?');
            if !uri.write_query(&|_| None, &mut target) {
                return Err(JwksUrlError::HasVariables);
            }
        }
        let origin = OriginSpec::of(&uri, None, None);
        if !origin.tls && !origin.is_local() {
            return Err(JwksUrlError::Insecure);
        }
        Ok(Self { origin, target })
    }
}

// === impl OriginSpec ===

impl OriginSpec {
    /// The origin of a URI; roots and name to verify count for TLS only.
    pub fn of(uri: &OriginUri, roots: Option<&std::path::Path>, server_name: Option<&str>) -> Self {
        let tls = uri.scheme() == Scheme::Https;
        Self {
            tls,
            host: uri.host().to_owned(),
            port: uri.port(),
            roots: roots.filter(|_| tls).map(Into::into),
            server_name: server_name.filter(|_| tls).map(ToOwned::to_owned),
            client_certificate: None,
        }
    }

    /// The same, shown a certificate; without TLS nobody could be.
    #[must_use]
    pub fn shown(mut self, certificate: Option<&CertificateFiles>) -> Self {
        self.client_certificate = certificate.filter(|_| self.tls).cloned();
        self
    }

    /// Whether it is this machine.
    pub fn is_local(&self) -> bool {
        match self.host.parse::<std::net::IpAddr>() {
            Ok(address) => address.to_canonical().is_loopback(),
            Err(_) => self.host == "localhost" || self.host.ends_with(".localhost"),
        }
    }
}

// === impl Stage ===

impl Stage {
    /// `arn:aws:execute-api:{region}:{account}:{api}`.
    pub fn api_arn(&self) -> String {
        let Self {
            region, account, api, ..
        } = self;
        format!("arn:aws:execute-api:{region}:{account}:{api}")
    }

    /// Its name where it is told from its canary, as Amazon's logs and metrics do: `TEST`, `TEST/Canary`.
    pub fn label(&self) -> Cow<'_, str> {
        match self.is_canary {
            true => Cow::Owned(format!("{}/Canary", self.name)),
            false => Cow::Borrowed(&self.name),
        }
    }

    /// Whether its access log or a mapping of one of its routes uses a variable for which `wanted` says yes.
    pub fn uses(&self, wanted: &dyn Fn(&Variable) -> bool) -> bool {
        let logged = self.access_log.as_ref().is_some_and(|spec| spec.template.uses(wanted));
        logged || self.routes.iter().any(|route| route.integration.uses(wanted))
    }
}
