//! Changes without a dropped request: what was loaded is loaded again, compiled and put in force; a bad change is reported
//! and the old one goes on.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use portcullis_core::{Clock, Findings, SystemClock};
use portcullis_model::snapshot::CertificateFiles;
use portcullis_openapi::document::Located;
use portcullis_proxy::{Fixtures, Gateway, Live};
use portcullis_store::StoreError;

use super::{alarms::Watch, certificates::Certificates, logs, renewals::Renewals, tls::Tls};
use crate::{
    acme,
    config::{Acme, Config, Otlp, is_same_listener},
    failure::Failure,
    load::{Amend, Compiled, Loaded},
    origin_certificates,
    releases::{Order, Releases, Wish, stopped_now},
    report::{self, Form, Sources},
};

/// Reads everything that is served once more, with a change of what is deployed.
pub(crate) type Load = Box<dyn Fn(Option<Amend<'_>>) -> Result<Loaded, Failure>>;

/// What is served, and how to load it again.
pub(crate) struct Reloader {
    load: Load,
    /// The configuration that the process was started with.
    running: Config,
    /// The listeners' TLS and addresses.
    tls: (Tls, Vec<SocketAddr>),
    /// The one that is in force.
    current: Config,
    /// The files that were read, as they were when they were read.
    read: Stamps,
    /// The files as they were when they were last looked at and had changed.
    changing: Option<Stamps>,
    certificates: Certificates,
    alarms: Option<Arc<Watch>>,
    renewals: Option<Renewals>,
}

/// Files by name, with what tells a change.
type Stamps = BTreeMap<PathBuf, Option<(SystemTime, u64)>>;

// === impl Reloader ===

impl Reloader {
    /// For a configuration that is in force.
    pub(crate) fn new(load: Load, running: Config, files: &[PathBuf]) -> Self {
        Self {
            load,
            current: running.clone(),
            running,
            tls: Default::default(),
            read: stamps(files),
            changing: None,
            certificates: Certificates::default(),
            alarms: None,
            renewals: None,
        }
    }

    /// Tells which TLS is to be swapped with the rest.
    pub(super) fn has_tls(&mut self, tls: Tls, addresses: &[SocketAddr]) {
        self.tls = (tls, addresses.to_vec());
    }

    /// Has alarms change with the configuration.
    pub(super) fn also(&mut self, alarms: &Arc<Watch>) {
        self.alarms = Some(Arc::clone(alarms));
    }

    /// Whether files have changed and are at rest again: an editor or a deployment may write them in several steps.
    pub(crate) fn is_due(&mut self) -> bool {
        let files: Vec<_> = self.read.keys().cloned().collect();
        let now = stamps(&files);
        if now == self.read {
            self.changing = None;
            return false;
        }
        let is_at_rest = self.changing.as_ref() == Some(&now);
        self.changing = Some(now);
        is_at_rest
    }

    /// Makes what a configuration needs of certificates for origins, before anything opens them.
    pub(super) fn keep_certificates(&mut self, config: &Config, fixtures: &Fixtures) -> Result<(), Failure> {
        self.certificates
            .replace(origin_certificates::named(config), &fixtures.metrics)?;
        for certificate in origin_certificates::named(config) {
            // As it stands now: what was made this moment is no change to look at.
            let CertificateFiles { certificate, key } = certificate.files;
            for file in [certificate, key] {
                self.read.insert(file.clone(), stamp(&file));
            }
        }
        Ok(())
    }

    /// Keeps them valid; one that was replaced is a file that has changed.
    pub(super) fn tend_certificates(&mut self) {
        self.certificates.tend();
    }

    /// Has certificates obtained and renewed from now on as a configuration says.
    pub(super) fn renew(&mut self, config: &Config, fixtures: &Fixtures) -> Result<(), Failure> {
        if let (None, Some(data_dir), true) = (&self.renewals, &config.data_dir, config.acme.is_some()) {
            let renewals = Renewals::start(data_dir.value.clone()).map_err(Failure::Start)?;
            renewals.register(&fixtures.metrics).map_err(Failure::Readings)?;
            self.renewals = Some(renewals);
        }
        match &mut self.renewals {
            Some(renewals) => renewals.configure(config.acme.as_ref()),
            None => Ok(()),
        }
    }

    /// Loads everything again and puts it in force, or says why not.
    pub(crate) fn reload(&mut self, gateway: &Gateway, fixtures: &Fixtures) {
        self.changing = None;
        let files: Vec<_> = self.read.keys().cloned().collect();
        // Stamped before it is read: what changes meanwhile is read once more.
        self.read = stamps(&files);
        match self.replace(gateway, fixtures, None) {
            Ok(stages) => report::note(&format!("reloaded: {} served", report::count(stages, "stage"))),
            Err(failure) => report::note(&format!("error: {failure}\n    what was served before goes on")),
        }
    }

    /// What the process was started with.
    pub(crate) fn running(&self) -> &Config {
        &self.running
    }

    /// Changes what a stage serves: tried first, then kept, then put in force. What could not be kept is not put in force.
    pub(crate) fn carry_out(
        &mut self,
        order: &Order,
        gateway: &Gateway,
        fixtures: &Fixtures,
    ) -> Result<String, Failure> {
        let previous = gateway.live();
        let serving = |api: &str, stage: &str| previous.snapshot().stage(api, stage)?.deployment;
        if matches!(order.wish, Wish::Share(_) | Wish::Resume) {
            return self.share(order, gateway, &serving);
        }
        let mut said = String::new();
        let mut amend = |config: &Config, releases: &mut Releases| {
            said = releases.carry_out(order, config, &serving).map_err(Failure::Refused)?;
            Ok(())
        };
        self.replace(gateway, fixtures, Some(&mut amend))?;
        report::note(&said);
        Ok(said)
    }

    /// Takes the requests from a canary, and keeps that and why. Whatever stands in the files today, this works.
    pub(crate) fn stop_canary(
        &self,
        gateway: &Gateway,
        (api, stage): (&str, &str),
        reason: String,
    ) -> Result<(), Failure> {
        let live = gateway.live();
        let canary = live
            .snapshot()
            .stage(api, stage)
            .and_then(|stage| stage.canary.as_ref());
        let Some(canary) = canary else { return Ok(()) };
        canary.share.set(0.0);
        let of_canary = live.snapshot().stages.get(canary.index);
        let Some(deployment) = of_canary.and_then(|stage| stage.deployment) else {
            return Ok(());
        };
        let mut releases = self.releases()?;
        releases.stop_canary(api, stage, stopped_now(deployment, SystemClock.now(), reason));
        releases.keep(&self.current).map_err(Failure::Store)
    }

    /// Another part for a canary, without a look at any document.
    fn share(
        &self,
        order: &Order,
        gateway: &Gateway,
        serving: &dyn Fn(&str, &str) -> Option<u32>,
    ) -> Result<String, Failure> {
        let mut releases = self.releases()?;
        let said = releases
            .carry_out(order, &self.current, serving)
            .map_err(Failure::Refused)?;
        releases.keep(&self.current).map_err(Failure::Store)?;
        let live = gateway.live();
        for api in &self.current.apis {
            for stage in &api.stages {
                let served = live.snapshot().stage(&api.id.value, &stage.name.value);
                let target = releases.target(api, stage);
                if let (Some(canary), Some(wanted)) = (served.and_then(|stage| stage.canary.as_ref()), target.canary) {
                    canary
                        .share
                        .set(if target.stopped.is_some() { 0.0 } else { wanted.percent });
                }
            }
        }
        report::note(&said);
        Ok(said)
    }

    fn releases(&self) -> Result<Releases, Failure> {
        let mut findings = Findings::new();
        let releases = Releases::read(&self.current, &mut findings);
        if findings.has_errors() {
            report::print(findings, &Sources::default(), Form::Text);
            return Err(Failure::Findings);
        }
        Ok(releases)
    }

    fn replace(&mut self, gateway: &Gateway, fixtures: &Fixtures, amend: Option<Amend<'_>>) -> Result<usize, Failure> {
        let is_asked_for = amend.is_some();
        let mut loaded = (self.load)(amend)?;
        acme::have_something(&loaded.config)?;
        let previous = gateway.live();
        let compiled = loaded.open(Some(previous.snapshot()));
        let files = loaded.files();
        let Loaded {
            config,
            mut releases,
            sources,
            findings,
            ..
        } = loaded;
        report::print(findings, &sources, Form::Text);
        for file in &files {
            // Also after an error: a document that is named now is watched from now on.
            self.read.entry(file.clone()).or_insert_with(|| stamp(file));
        }
        let Compiled { snapshot, tls } = compiled.ok_or(Failure::Findings)?;
        self.keep_certificates(&config, fixtures)?;
        let live = Live::open(snapshot, fixtures, Some(&previous)).map_err(Failure::Live)?;
        let stages = live.snapshot().stages.iter().filter(|stage| !stage.is_canary).count();
        if !same_process(&self.running, &config) {
            report::note(
                "warning: listeners, workers, metrics, telemetry, redis and data_dir stay as they are until the next start (`portcullis serve --take-over` makes one without a dropped request)",
            );
        }
        match releases.keep(&config) {
            Err(error) if is_asked_for => return Err(Failure::Store(error)),
            kept => note_unkept(kept),
        }
        self.tls.0.swap(tls)?;
        if let Some(alarms) = &self.alarms {
            alarms.replace(&config.alarms)?;
        }
        logs::apply(&config, fixtures)?;
        gateway.publish(Arc::clone(&live));
        self.current = config.clone();
        self.renew(&config, fixtures)?;
        if let Err(error) = self.tls.0.register(&self.tls.1, fixtures) {
            report::note(&format!(
                "warning: not every certificate's end is told by the metrics: {error}"
            ));
        }
        self.read.retain(|file, _| files.contains(file));
        Ok(stages)
    }
}

/// A change of a document that the history does not show is served all the same: nobody was told that it is kept.
pub(super) fn note_unkept(kept: Result<(), StoreError>) {
    if let Err(error) = kept {
        report::note(&format!(
            "warning: this change is served, but not in the history: {error}"
        ));
    }
}

/// Whether what belongs to the process, and not to its APIs, is the same.
fn same_process(one: &Config, other: &Config) -> bool {
    let Config {
        data_dir,
        workers,
        listeners,
        deployments_max: _, // looked at when a deployment is recorded
        apis: _,
        domains: _,
        acme,
        usage_plans: _,
        api_keys: _,
        redis,
        metrics,
        alarms: _,
        otlp,
    } = one;
    value(data_dir) == value(&other.data_dir)
        && *workers == other.workers
        && challenges(acme) == challenges(&other.acme)
        && value(metrics) == value(&other.metrics)
        && is_same_otlp(otlp.as_ref(), other.otlp.as_ref())
        && *redis == other.redis
        && listeners.len() == other.listeners.len()
        && listeners
            .iter()
            .zip(&other.listeners)
            .all(|(one, other)| is_same_listener(one, other))
}

/// Where challenges are answered.
fn challenges(acme: &Option<Acme>) -> Option<&SocketAddr> {
    value(&acme.as_ref()?.http_address)
}

/// Compared by all that is sent, and not by where it is written.
fn is_same_otlp(one: Option<&Otlp>, other: Option<&Otlp>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.is_same(other),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

fn value<T>(located: &Option<Located<T>>) -> Option<&T> {
    located.as_ref().map(|located| &located.value)
}

fn stamps(files: &[PathBuf]) -> Stamps {
    files.iter().map(|file| (file.clone(), stamp(file))).collect()
}

/// `None` while it is not there.
fn stamp(file: &Path) -> Option<(SystemTime, u64)> {
    let metadata = fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
