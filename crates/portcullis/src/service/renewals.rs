//! Certificates renewed by themselves, on a thread of their own: an order waits for others, and nothing waits for it.

use std::{
    collections::HashMap,
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use portcullis_core::{Clock, SystemClock};
use portcullis_net::{acme::Proof, server::Server};
use portcullis_telemetry::metrics::{Metrics, ReadingError};

use crate::{
    acme::{self, Challenges, Hook, ObtainError},
    config::{Acme, AcmeCertificate},
    failure::Failure,
    report,
};

/// How often certificates are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(60 * 60);
/// How long to wait after a first failure, and at most: servers count failed orders against their callers.
const RETRY_FIRST: Duration = Duration::from_secs(60);
const RETRY_LAST: Duration = Duration::from_secs(6 * 60 * 60);

/// The renewals of a running gateway.
pub(super) struct Renewals {
    configured: Sender<Option<Acme>>,
    challenges: Challenges,
    responder: Option<Server>,
    failed: Arc<AtomicU64>,
}

/// What is done on the thread.
struct Worker {
    acme: Option<Acme>,
    data_dir: PathBuf,
    challenges: Challenges,
    /// By the file of a certificate: when to try again, and how long to wait after the next failure.
    waiting: HashMap<PathBuf, (Instant, Duration)>,
    failed: Arc<AtomicU64>,
}

// === impl Renewals ===

impl Renewals {
    /// Starts the thread, which does nothing before [`Self::configure`].
    pub(super) fn start(data_dir: PathBuf) -> io::Result<Self> {
        let (configured, orders) = mpsc::channel();
        let (challenges, failed) = (Challenges::default(), Arc::<AtomicU64>::default());
        let mut worker = Worker {
            acme: None,
            data_dir,
            challenges: challenges.clone(),
            waiting: HashMap::new(),
            failed: Arc::clone(&failed),
        };
        thread::Builder::new().name("acme".to_owned()).spawn(move || {
            let mut wait = LOOK_EVERY;
            loop {
                match orders.recv_timeout(wait) {
                    Ok(acme) => {
                        worker.acme = acme;
                        worker.waiting.clear(); // a person has changed something: look at once
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
                wait = worker.look();
            }
        })?;
        Ok(Self {
            configured,
            challenges,
            responder: None,
            failed,
        })
    }

    /// Puts a configuration in force. The listener for challenges stays where it is until the next start.
    pub(super) fn configure(&mut self, acme: Option<&Acme>) -> Result<(), Failure> {
        if let Some(address) = acme.and_then(|acme| acme.http_address.as_ref())
            && self.responder.is_none()
        {
            let server = self.challenges.serve(address.value);
            self.responder = Some(server.map_err(|error| Failure::Bind(address.value, error))?);
        }
        let _ = self.configured.send(acme.cloned()); // the thread lives as long as this
        Ok(())
    }

    /// Tells of orders that came to nothing.
    pub(super) fn register(&self, metrics: &Metrics) -> Result<(), ReadingError> {
        let failed = Arc::clone(&self.failed);
        metrics.counter(
            "portcullis_acme_failures",
            "Times a certificate could not be obtained from its ACME server.",
            &[],
            move || failed.load(Ordering::Relaxed),
        )
    }
}

// === impl Worker ===

impl Worker {
    /// Obtains what is due, and gives how long to wait then.
    fn look(&mut self) -> Duration {
        let Some(acme) = self.acme.clone() else {
            return LOOK_EVERY;
        };
        for wanted in &acme.certificates {
            let file = &wanted.certificate.value;
            let now = Instant::now();
            if self.waiting.get(file).is_some_and(|(until, _)| now < *until) {
                continue;
            }
            let name = wanted.names.first().cloned().unwrap_or_default();
            match self.renew(&acme, wanted) {
                Ok(false) => {}
                Ok(true) => {
                    self.waiting.remove(file);
                    report::note(&format!(
                        "a certificate for {name} was issued and is in `{}`",
                        file.display()
                    ));
                }
                Err(error) => {
                    self.failed.fetch_add(1, Ordering::Relaxed);
                    let wait = self.waiting.get(file).map_or(RETRY_FIRST, |(_, wait)| *wait);
                    self.waiting
                        .insert(file.clone(), (now + wait, (wait * 2).min(RETRY_LAST)));
                    let wait = wait.as_secs() / 60;
                    report::note(&format!(
                        "error: no certificate for {name}: {error}\n    it is tried again in {wait} min; what is there is served until then"
                    ));
                }
            }
        }
        let now = Instant::now();
        let next = self
            .waiting
            .values()
            .map(|(until, _)| until.saturating_duration_since(now))
            .min();
        next.unwrap_or(LOOK_EVERY).min(LOOK_EVERY)
    }

    /// Whether a certificate was obtained.
    fn renew(&self, acme: &Acme, wanted: &AcmeCertificate) -> Result<bool, ObtainError> {
        if acme::due(wanted, SystemClock.now())?.is_none() {
            return Ok(false);
        }
        if wanted.proof == Proof::Dns01 && wanted.dns_hook.is_empty() {
            let name = wanted.names.first().map_or("", String::as_str);
            report::note(&format!(
                "warning: the certificate for {name} is due and nobody sets its TXT record: run `portcullis acme obtain`"
            ));
            return Ok(false);
        }
        let failed = |error| ObtainError::File(self.data_dir.clone(), error);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        runtime.block_on(async {
            match wanted.proof {
                Proof::Http01 => acme::obtain(acme, wanted, &self.data_dir, &self.challenges).await,
                Proof::Dns01 => {
                    let hook = Hook(wanted.dns_hook.clone());
                    acme::obtain(acme, wanted, &self.data_dir, &hook).await
                }
            }
        })?;
        Ok(true)
    }
}
