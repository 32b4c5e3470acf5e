//! The certificates that origins are shown, while the gateway runs: kept valid, their end told in time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use portcullis_core::{Clock, SystemClock, Timestamp};
use portcullis_telemetry::metrics::Metrics;

use crate::{
    failure::Failure,
    origin_certificates::{CertificateError, Change, StageCertificate},
    report,
};

/// How often they are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(60 * 60);
/// How often an end that is near is told again.
const WARN_EVERY_S: i64 = 24 * 60 * 60;

/// The certificates in force.
#[derive(Debug, Default)]
pub(super) struct Certificates {
    watched: Vec<Watched>,
    looked: Option<Instant>,
}

#[derive(Debug)]
struct Watched {
    certificate: StageCertificate,
    /// When it ends, in seconds since 1970; read by the metrics.
    expires: Arc<AtomicI64>,
    warned: Option<Timestamp>,
}

// === impl Certificates ===

impl Certificates {
    /// Puts other certificates in force: makes what is missing, tells what ends soon.
    ///
    /// # Errors
    /// One cannot be made or read; those before stay in force.
    pub(super) fn replace(&mut self, named: Vec<StageCertificate>, metrics: &Metrics) -> Result<(), Failure> {
        let mut watched = Vec::new();
        for certificate in named {
            let before = self.watched.iter().find(|known| known.certificate == certificate);
            let mut next = Watched {
                expires: before.map_or_else(Arc::default, |known| Arc::clone(&known.expires)),
                warned: before.and_then(|known| known.warned),
                certificate,
            };
            let name = next.certificate.name();
            next.look(SystemClock.now())
                .map_err(|error| Failure::OriginCertificate(name, error))?;
            next.measure(metrics)?;
            watched.push(next);
        }
        self.watched = watched;
        self.looked = Some(Instant::now());
        Ok(())
    }

    /// Looks at them again when it is time. What cannot be mended is told; what was in force stays.
    pub(super) fn tend(&mut self) {
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK_EVERY) {
            return;
        }
        self.looked = Some(Instant::now());
        for watched in &mut self.watched {
            if let Err(error) = watched.look(SystemClock.now()) {
                let name = watched.certificate.name();
                report::note(&format!(
                    "error: the certificate that the origins of {name} are shown: {error}"
                ));
            }
        }
    }
}

// === impl Watched ===

impl Watched {
    fn look(&mut self, now: Timestamp) -> Result<(), CertificateError> {
        let name = self.certificate.name();
        if let Some(change) = self.certificate.tend(now)? {
            report::note(&told(change, &name));
        }
        let expires = self.certificate.active()?.expires();
        self.expires.store(expires.unix_seconds(), Ordering::Relaxed);
        let is_due = self
            .warned
            .is_none_or(|warned| now.unix_seconds() - warned.unix_seconds() >= WARN_EVERY_S);
        if let (Some(days), true) = (StageCertificate::ends_in_days(expires, now), is_due) {
            self.warned = Some(now);
            report::note(&ending(&name, days, self.certificate.generated.is_some()));
        }
        Ok(())
    }

    fn measure(&self, metrics: &Metrics) -> Result<(), Failure> {
        let expires = Arc::clone(&self.expires);
        let StageCertificate { api, stage, .. } = &self.certificate;
        let end = move || expires.load(Ordering::Relaxed) as f64;
        let name = "portcullis_origin_certificate_expiry_timestamp_seconds";
        let help = "When the certificate ends that the origins of a stage are shown, in seconds since 1970.";
        metrics
            .gauge(name, help, &[("api", api), ("stage", stage)], end)
            .map_err(Failure::Readings)
    }
}

fn told(change: Change, name: &str) -> String {
    let show = "`portcullis origin-certificate show` prints it";
    match change {
        Change::Made => format!("a certificate for the origins of {name} was made: have them trust it; {show}"),
        Change::NextMade => {
            format!("warning: the next certificate for the origins of {name} is there: have them trust it too; {show}")
        }
        Change::Replaced => format!("the origins of {name} are shown their next certificate from now on"),
    }
}

fn ending(name: &str, days: i64, is_generated: bool) -> String {
    let remedy = if is_generated {
        "the next one takes its place a week before: have them trust it by then (`portcullis origin-certificate show`)"
    } else {
        "put another in its place, which they trust by then"
    };
    format!("warning: the certificate that the origins of {name} are shown ends in {days} days; {remedy}")
}
