//! `portcullis.toml`: what a process serves and where, read with all findings at once.
//!
//! [`read`] is pure: it opens none of the files that the configuration names and asks no clock. Whether a document, a log
//! template or an origin makes sense is said by those who use them, against the places kept here.

mod access_log;
mod acme;
mod alarm;
mod api;
mod cache;
mod canary;
mod domain;
mod endpoint;
mod execution_log;
mod listener;
mod methods;
mod origin_certificate;
mod otlp;
mod plans;
mod redis;
mod report;
mod section;
mod stage;
#[cfg(test)]
mod tests;
mod throttle;
mod tls;
mod values;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::Arc,
};

use portcullis_core::{Findings, Place};
use portcullis_openapi::document::Located;

pub(crate) use self::{
    access_log::{AccessLog, Destination, Format},
    acme::{Acme, AcmeCertificate},
    alarm::{Alarm, Notify},
    api::{ACCOUNT, Api, REGION, is_account, is_region},
    canary::{LATENCY_MS_MAX, REQUESTS_MIN, WINDOW_S},
    domain::Domain,
    endpoint::Endpoint,
    listener::{Listener, is_same as is_same_listener},
    methods::MethodSettings,
    origin_certificate::OriginCertificate,
    otlp::Otlp,
    plans::{ApiKey, UsagePlan},
    redis::Redis,
    stage::{Stage, check_mount, check_stage_name, check_variable},
    throttle::{KeyedThrottle, Throttle},
    tls::{CertificateFiles, ClientCertificates, ListenerTls},
};
use self::{report::Report, section::Section};

/// The longest configuration that is read, in bytes.
pub(crate) const CONFIG_BYTES_MAX: usize = 1024 * 1024;
/// Listeners of one process at most.
const LISTENERS_MAX: usize = 64;
/// APIs of one process at most.
const APIS_MAX: usize = 300;
/// Worker threads at most.
const WORKERS_MAX: u64 = 1024;
/// Deployments of an API that can be kept at most.
const DEPLOYMENTS_MAX_MAX: u64 = 1_000;
/// Where a process keeps what must outlive it, when the configuration does not say.
const DATA_DIR: &str = "portcullis-data";

/// What a configuration says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Config {
    /// The directory that belongs to this process alone; `None` when there is nothing to keep.
    pub(crate) data_dir: Option<Located<PathBuf>>,
    /// Worker threads of the data plane; `None` for one per core.
    pub(crate) workers: Option<NonZeroUsize>,
    /// Deployments of an API that are kept, beside those in use.
    pub(crate) deployments_max: usize,
    /// Where callers are accepted; at least one, when it was read without errors.
    pub(crate) listeners: Vec<Listener>,
    /// What is served; at least one, each with at least one stage, when it was read without errors.
    pub(crate) apis: Vec<Api>,
    /// Host names of its own whose base paths lead to stages.
    pub(crate) domains: Vec<Domain>,
    /// Certificates that are obtained and renewed by themselves.
    pub(crate) acme: Option<Acme>,
    /// Who may use how much of which stages.
    pub(crate) usage_plans: Vec<UsagePlan>,
    /// The API keys.
    pub(crate) api_keys: Vec<ApiKey>,
    /// Where gateways count together.
    pub(crate) redis: Option<Redis>,
    /// Where `/metrics`, `/livez` and `/readyz` are answered.
    pub(crate) metrics: Option<Located<SocketAddr>>,
    /// What of the metrics is watched.
    pub(crate) alarms: Vec<Alarm>,
    /// Where traces and metrics are sent.
    pub(crate) otlp: Option<Otlp>,
}

/// Reads a configuration's text; paths in it become relative to `directory`, where its file stands.
///
/// The configuration holds whatever is sound, so that its documents can be looked at as well. **It must not be served when
/// there are errors among the findings**: what they concern is missing from it.
pub(crate) fn read(source: &str, text: &str, directory: &Path) -> (Config, Findings) {
    let source: Arc<str> = source.into();
    if text.len() > CONFIG_BYTES_MAX {
        let mut findings = Findings::new();
        let message = format!(
            "the configuration has {} bytes; at most {CONFIG_BYTES_MAX} are read",
            text.len()
        );
        findings.error(
            Place::whole(source),
            "config-too-long",
            message,
            "is this the right file?",
        );
        return (Config::default(), findings);
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text); // a byte order mark, as some editors write
    let report = Report::new(source, text, directory);
    let (document, errors) = toml::de::DeTable::parse_recoverable(text);
    for error in &errors {
        let remedy = "see https://toml.io for the syntax; texts stand in double quotes";
        report.error(
            &report.place(error.span().unwrap_or(0..0)),
            "syntax-error",
            error.message(),
            remedy,
        );
    }
    // What could be parsed is read all the same, so that one slip does not hide the rest. Half a table looks like one
    // with missing keys, though: those findings would send a reader after ghosts.
    let root = Section::root(&report, document.get_ref());
    let config = read_root(&root);
    (config, report.into_findings(!errors.is_empty()))
}

fn read_root(root: &Section<'_>) -> Config {
    let data_dir = root.path("data_dir").unwrap_or_else(|| Located {
        value: root.report.relative(DATA_DIR),
        place: root.report.whole(),
    });
    let workers = root
        .integer("workers", 1..=WORKERS_MAX)
        .and_then(|found| NonZeroUsize::new(usize::try_from(found.value).ok()?));
    let deployments_max = root
        .integer("deployments_max", 1..=DEPLOYMENTS_MAX_MAX)
        .and_then(|found| usize::try_from(found.value).ok());
    let listener_tables = root.tables("listeners", LISTENERS_MAX);
    let listeners: Vec<_> = listener_tables.iter().filter_map(listener::read).collect();
    let api_tables = root.tables("apis", APIS_MAX);
    let apis: Vec<_> = api_tables.iter().filter_map(api::read).collect();
    let domains = domain::read(root, &apis);
    let acme = acme::read(root);
    let usage_plans = plans::read_plans(root, &apis);
    let api_keys = plans::read_keys(root);
    let redis = root.table("redis").and_then(|section| redis::read(&section));
    check_shared(root, &apis, redis.as_ref());
    let metrics = root.table("metrics").and_then(|section| {
        let address = section.required("address", |key| section.address(key));
        section.finish();
        address
    });
    let alarms = alarm::read_all(root);
    let otlp = otlp::read(root);
    root.finish();
    if root.is_absent_or_empty("listeners") {
        let remedy = "add `[[listeners]]` with `address = \"127.0.0.1:8080\"`";
        root.report
            .missing(&root.report.whole(), "there is no listener, so nobody can call", remedy);
    }
    if root.is_absent_or_empty("apis") {
        let remedy = "add `[[apis]]` with an `id`, a `document` and `[[apis.stages]]`";
        root.report
            .missing(&root.report.whole(), "there is no API, so nothing is served", remedy);
    }
    access_log::check_rotations(root.report, &apis);
    alarm::check_scopes(root.report, &alarms, &apis);
    check_domains_tls(root.report, &listeners, &domains);
    check_addresses(root.report, &listeners, metrics.as_ref());
    root.report.extend(check_names(&apis));
    Config {
        data_dir: Some(data_dir),
        workers,
        deployments_max: deployments_max.unwrap_or(portcullis_store::DEPLOYMENTS_MAX),
        listeners,
        apis,
        domains,
        acme,
        usage_plans,
        api_keys,
        redis,
        metrics,
        alarms,
        otlp,
    }
}

/// A domain that asks for certificates must be reached by TLS alone: elsewhere nobody is asked.
fn check_domains_tls(report: &Report<'_>, listeners: &[Listener], domains: &[Domain]) {
    let plain = listeners.iter().find(|listener| listener.tls.is_none());
    let secure = listeners.iter().any(|listener| listener.tls.is_some());
    for domain in domains {
        let name = domain.name();
        if domain.clients().is_some()
            && let Some(listener) = plain
        {
            let message = format!(
                "`{}` asks for client certificates, and `{}` speaks no TLS: whoever calls there is not asked",
                name.value, listener.address.value
            );
            let remedy = "give every listener of this process `[listeners.tls]`, or serve that one by another process";
            report.error(&name.place, "clients-not-asked", message, remedy);
        } else if domain.certificate().is_some() && !secure {
            let message = format!("`{}` has a certificate, and no listener speaks TLS", name.value);
            let remedy =
                "add `[listeners.tls]` to a listener; the certificate there is for clients that name nobody known";
            report.error(&name.place, "certificate-unused", message, remedy);
        }
    }
}

/// What is said to be shared needs something to share it by.
fn check_shared(root: &Section<'_>, apis: &[Api], redis: Option<&Redis>) {
    let stages = apis.iter().flat_map(|api| &api.stages);
    let caches = stages.filter_map(|stage| stage.cache.as_ref());
    for cache in caches.filter(|cache| cache.is_shared) {
        // What is wrong with `[redis]` itself was said.
        let (code, message) = if !root.has("redis") {
            (
                "shared-without-redis",
                "a cache is to be shared, and there is no `[redis]` to share it by",
            )
        } else if redis.is_some_and(|redis| redis.cache_key.is_none()) {
            (
                "shared-without-key",
                "a cache is to be shared, and `[redis]` has no `cache_key` to seal its answers with",
            )
        } else {
            continue;
        };
        let remedy = "add `[redis]` with a `url` and `cache_key = \"file:PATH\"` (or `env:NAME`) of 32 bytes in base64, as \
                      `openssl rand -base64 32` makes them, or take `shared` out";
        root.report.error(&cache.place, code, message, remedy);
    }
    if root.has("redis") {
        return;
    }
    for stage in apis.iter().flat_map(|api| &api.stages) {
        let of_methods = stage.methods.iter().filter_map(|method| method.throttle.as_ref());
        let of_principals = stage.principal_throttle.iter().map(|throttle| &throttle.each);
        let throttles = of_methods.chain(of_principals).chain([&stage.throttle]);
        for throttle in throttles.filter(|throttle| throttle.shared) {
            let message = "a throttle is to be shared, and there is no `[redis]` to share it by";
            let remedy = "add `[redis]` with a `url`, or take `shared` out";
            root.report
                .error(&throttle.place, "shared-without-redis", message, remedy);
        }
    }
}

/// Two listeners on one address would share its callers between them at random.
fn check_addresses(report: &Report<'_>, listeners: &[Listener], metrics: Option<&Located<SocketAddr>>) {
    let mut seen: BTreeMap<SocketAddr, &Place> = BTreeMap::new();
    for address in listeners.iter().map(|listener| &listener.address).chain(metrics) {
        if address.value.port() == 0 {
            continue; // the system chooses a free one for each
        }
        if let Some(first) = seen.get(&address.value) {
            let message = format!("`{}` is listened on twice; first in line {}", address.value, first.line);
            report.error(
                &address.place,
                "duplicate-address",
                message,
                "give each listener a port of its own",
            );
        } else {
            seen.insert(address.value, &address.place);
        }
    }
}

/// Two APIs of one id, or two stages of one name: logs and ARNs could not tell them apart. (Two stages at one mount are
/// the compiler's to find.)
pub(crate) fn check_names(apis: &[Api]) -> Findings {
    let mut findings = Findings::new();
    let mut ids: BTreeMap<&str, &Place> = BTreeMap::new();
    for api in apis {
        let id = &api.id;
        if let Some(first) = ids.insert(&id.value, &id.place) {
            let message = format!("the API `{}` is there twice{}", id.value, first_in(first));
            findings.error(
                id.place.clone(),
                "duplicate-id",
                message,
                "give each API an id of its own",
            );
        }
        let mut stages: BTreeMap<&str, &Place> = BTreeMap::new();
        for stage in &api.stages {
            let name = &stage.name;
            if let Some(first) = stages.insert(&name.value, &name.place) {
                let message = format!("`{}` has the stage `{}` twice{}", id.value, name.value, first_in(first));
                findings.error(
                    name.place.clone(),
                    "duplicate-stage",
                    message,
                    "rename or remove one of them",
                );
            }
        }
    }
    findings
}

fn first_in(place: &Place) -> String {
    if place.line == 0 {
        String::new()
    } else {
        format!("; first in line {}", place.line)
    }
}
