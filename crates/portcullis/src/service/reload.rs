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

use portcullis_model::snapshot::CertificateFiles;
use portcullis_openapi::document::Located;
use portcullis_proxy::{Fixtures, Gateway, Live};

use super::{alarms::Watch, certificates::Certificates, renewals::Renewals, tls::Tls};
use crate::{
    acme,
    config::{Acme, Config, Otlp, is_same_listener},
    failure::Failure,
    load::{Compiled, Loaded},
    origin_certificates,
    report::{self, Form},
};

/// Reads everything that is served once more.
pub(crate) type Load = Box<dyn Fn() -> Result<Loaded, Failure>>;

/// What is served, and how to load it again.
pub(crate) struct Reloader {
    load: Load,
    running: Config,
    /// The listeners' TLS and addresses.
    tls: (Tls, Vec<SocketAddr>),
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
        match self.replace(gateway, fixtures) {
            Ok(stages) => report::note(&format!("reloaded: {} served", report::count(stages, "stage"))),
            Err(failure) => report::note(&format!("error: {failure}\n    what was served before goes on")),
        }
    }

    fn replace(&mut self, gateway: &Gateway, fixtures: &Fixtures) -> Result<usize, Failure> {
        let mut loaded = (self.load)()?;
        acme::have_something(&loaded.config)?;
        let previous = gateway.live();
        let compiled = loaded.open(Some(previous.snapshot()));
        let files = loaded.files();
        let Loaded {
            config,
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
        let stages = live.snapshot().stages.len();
        if !same_process(&self.running, &config) {
            report::note(
                "warning: listeners, workers, metrics, telemetry and data_dir stay as they are until the next start",
            );
        }
        self.tls.0.swap(tls)?;
        if let Some(alarms) = &self.alarms {
            alarms.replace(&config.alarms)?;
        }
        gateway.publish(Arc::clone(&live));
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

/// Whether what belongs to the process, and not to its APIs, is the same.
fn same_process(one: &Config, other: &Config) -> bool {
    let Config {
        data_dir,
        workers,
        listeners,
        apis: _,
        domains: _,
        acme,
        metrics,
        alarms: _,
        otlp,
    } = one;
    value(data_dir) == value(&other.data_dir)
        && *workers == other.workers
        && challenges(acme) == challenges(&other.acme)
        && value(metrics) == value(&other.metrics)
        && is_same_otlp(otlp.as_ref(), other.otlp.as_ref())
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
