//! From configuration and documents to what the compiler takes.

use std::{path::Path, time::Duration};

use portcullis_core::{Clock, Findings, SystemClock};
use portcullis_model::{
    ApiSource, Role, Snapshot, Sources, StageSource, canary::RollbackRule, compile, snapshot::LogDestination,
};
use portcullis_net::tls::ServerTlsSettings;
use portcullis_openapi::document::Located;

use super::{Loaded, limits, tls::open_tls};
use crate::{
    config::{Api, Destination, Domain, Format, Stage},
    origin_certificates::StageCertificate,
    releases::Target,
};

/// What is put in force together.
pub(crate) struct Compiled {
    /// What is served.
    pub(crate) snapshot: Snapshot,
    /// What the listeners prove their names with, in their order.
    pub(crate) tls: Vec<Option<ServerTlsSettings>>,
}

impl Loaded {
    /// Compiles everything that was read, and opens the certificates. `None` when there is an error anywhere.
    pub(crate) fn open(&mut self, previous: Option<&Snapshot>) -> Option<Compiled> {
        let snapshot = self.compile(previous);
        let tls = open_tls(&self.config, SystemClock.now(), &mut self.findings);
        snapshot
            .filter(|_| !self.findings.has_errors())
            .map(|snapshot| Compiled { snapshot, tls })
    }

    /// Compiles everything that was read and adds what the compiler finds. `None` when there is an error anywhere.
    pub(crate) fn compile(&mut self, previous: Option<&Snapshot>) -> Option<Snapshot> {
        let (snapshot, found) = compile(&self.sources(), previous);
        self.findings.extend(found);
        snapshot.filter(|_| !self.findings.has_errors())
    }

    fn sources(&mut self) -> Sources {
        Sources {
            apis: self.api_sources(),
            domains: self.config.domains.iter().map(Domain::source).collect(),
            plans: limits::plans(&self.config, &mut self.findings),
            keys: limits::keys(&self.config),
        }
    }

    /// One source for each document: as it stands, and as it was in each deployment that is served. Canaries come last.
    fn api_sources(&mut self) -> Vec<ApiSource> {
        let Self {
            config,
            documents,
            deployed,
            releases,
            numbers,
            findings,
            ..
        } = self;
        let data_dir = config.data_dir.as_ref().map(|found| found.value.as_path());
        let mut sources = Vec::new();
        for (api, standing) in config.apis.iter().zip(documents.iter()) {
            let mut by_document: Vec<(Option<u32>, Vec<StageSource>)> = Vec::new();
            let mut canaries = Vec::new();
            for stage in &api.stages {
                let target = releases.target(api, stage);
                let Some(mut source) = stage_source(api, stage, data_dir, findings) else {
                    continue;
                };
                source.variables.extend(target.variables.clone());
                canaries.extend(canary_source(&source, &target));
                source.deployment = target.deployment.or_else(|| numbers.get(&api.id.value).copied());
                match by_document.iter_mut().find(|(number, _)| *number == target.deployment) {
                    Some((_, stages)) => stages.push(source),
                    None => by_document.push((target.deployment, vec![source])),
                }
            }
            let canaries = canaries.into_iter().map(|canary| (canary.deployment, vec![canary]));
            for (number, stages) in by_document.into_iter().chain(canaries) {
                let document = match number {
                    Some(number) => deployed.get(&(api.id.value.clone(), number)),
                    None => standing.as_ref(),
                };
                sources.extend(document.map(|document| api_source(api, document.clone(), stages)));
            }
        }
        sources
    }
}

fn api_source(api: &Api, document: portcullis_openapi::Document, stages: Vec<StageSource>) -> ApiSource {
    ApiSource {
        id: api.id.value.clone(),
        region: api.region.clone(),
        account: api.account.clone(),
        document,
        directory: directory(&api.document.value).to_owned(),
        stages,
        disable_default_endpoint: api.disable_default_endpoint,
    }
}

/// The stage once more, with the canary's deployment and variables.
fn canary_source(stage: &StageSource, target: &Target) -> Option<StageSource> {
    let canary = target.canary.as_ref()?;
    let mut source = stage.clone();
    source.variables.extend(canary.variables.clone());
    source.deployment = Some(canary.deployment);
    source.role = Role::Canary {
        percent: target.stopped.as_ref().map_or(canary.percent, |_| 0.0),
        use_stage_cache: canary.use_stage_cache,
        rollback: canary.rollback.as_ref().map(|rule| RollbackRule {
            error_percent_max: rule.error_percent_max,
            latency_p99_max: rule.latency_p99_ms_max.map(Duration::from_millis),
            requests_min: rule.requests_min,
            window: Duration::from_secs(rule.window_s),
        }),
    };
    Some(source)
}

/// The directory that file references in a document are relative to.
pub(crate) fn directory(document: &Path) -> &Path {
    document.parent().unwrap_or(Path::new(""))
}

fn stage_source(api: &Api, stage: &Stage, data_dir: Option<&Path>, findings: &mut Findings) -> Option<StageSource> {
    let throttle = limits::throttle(&stage.throttle, findings);
    let limits = limits::of_stage(stage, findings);
    let origin_client_certificate = stage.origin_client_certificate.as_ref().and_then(|certificate| {
        StageCertificate::of(&certificate.value, data_dir, &api.id.value, &stage.name.value).map(|found| found.files)
    });
    let format = match &stage.access_log.format.value {
        Format::Clf => "clf",
        Format::Csv => "csv",
        Format::Json => "json",
        Format::Xml => "xml",
        Format::Template(template) => template,
    };
    let format = Located {
        value: format.to_owned(),
        place: stage.access_log.format.place.clone(),
    };
    let destination = match &stage.access_log.destination.value {
        Destination::File(path) => Some(LogDestination::File(path.clone())),
        Destination::Off => None,
        Destination::Stderr => Some(LogDestination::Stderr),
        Destination::Stdout => Some(LogDestination::Stdout),
    };
    Some(StageSource {
        place: stage.name.place.clone(),
        name: stage.name.value.clone(),
        mount: stage.mount.clone(),
        variables: stage
            .variables
            .iter()
            .map(|(name, value)| (name.clone(), value.value.clone()))
            .collect(),
        throttle: throttle?,
        limits,
        access_log: destination.map(|destination| (destination, format)),
        origin_client_certificate,
        origin_roots: stage.origin_roots.as_ref().map(|roots| roots.value.clone()),
        deployment: None, // who knows the documents says it
        role: Role::Whole,
        cache: stage.cache.clone(),
    })
}
