//! The TLS of all listeners: put in force, swapped, and warned of before it expires.

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc, time::Duration};

use portcullis_core::{Clock, SystemClock, Timestamp};
use portcullis_net::tls::{KeyPair, ServerTls, ServerTlsSettings};
use portcullis_proxy::Fixtures;
use portcullis_telemetry::metrics::ReadingError;

use crate::{failure::Failure, load::expiry_warning, report};

/// How often certificates are warned of that will expire.
pub(super) const WARN_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// TLS by listener; `None` where plain HTTP is spoken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tls(Vec<Option<Arc<ServerTls>>>);

// === impl Tls ===

impl Tls {
    /// Puts settings in force, one for each listener.
    pub(super) fn new(settings: Vec<Option<ServerTlsSettings>>) -> Result<Self, Failure> {
        let each = settings
            .into_iter()
            .map(|settings| settings.map(ServerTls::new).transpose());
        let all = each.map(|tls| Ok(tls.map_err(Failure::Tls)?.map(Arc::new)));
        all.collect::<Result<_, _>>().map(Self)
    }

    /// What a listener is served with.
    pub(super) fn listener(&self, index: usize) -> Option<Arc<ServerTls>> {
        self.0.get(index).cloned().flatten()
    }

    /// Puts other settings in force. A listener that began with TLS keeps it, and one without stays so, until the next start.
    pub(super) fn swap(&self, settings: Vec<Option<ServerTlsSettings>>) -> Result<(), Failure> {
        for (tls, settings) in self.0.iter().zip(settings) {
            if let (Some(tls), Some(settings)) = (tls, settings) {
                tls.swap(settings).map_err(Failure::Tls)?;
            }
        }
        Ok(())
    }

    /// Tells when each certificate ends, by listener and name. To be called again when they have changed.
    pub(super) fn register(&self, addresses: &[SocketAddr], fixtures: &Fixtures) -> Result<(), ReadingError> {
        for (tls, address) in self.0.iter().zip(addresses) {
            let Some(tls) = tls else { continue };
            for name in tls.key_pairs().iter().map(|pair| name(pair)).collect::<BTreeSet<_>>() {
                let (tls, wanted) = (Arc::clone(tls), name.clone());
                fixtures.metrics.gauge(
                    "portcullis_certificate_expires_seconds",
                    "When a certificate ends, in seconds since 1970; not a number when it is not served any more.",
                    &[("listener", &address.to_string()), ("name", &name)],
                    move || {
                        let pairs = tls.key_pairs();
                        let ends = pairs
                            .iter()
                            .filter(|pair| self::name(pair) == wanted)
                            .map(|pair| end(pair));
                        ends.min().map_or(f64::NAN, |end| end.unix_seconds() as f64)
                    },
                )?;
            }
        }
        Ok(())
    }

    /// Warns of certificates that have expired or will soon.
    pub(super) fn warn(&self) {
        let now = SystemClock.now();
        let pairs: Vec<_> = self.0.iter().flatten().flat_map(|tls| tls.key_pairs()).collect();
        let certificates = pairs.iter().flat_map(|pair| pair.chain());
        let warnings: BTreeSet<_> = certificates
            .filter_map(|certificate| expiry_warning(certificate, now))
            .collect();
        for warning in warnings {
            report::note(&format!("warning: {warning}: renew it"));
        }
    }
}

/// How metrics call a certificate: by its first name, else by its subject.
fn name(pair: &KeyPair) -> String {
    let certificate = pair.certificate();
    certificate.names.first().unwrap_or(&certificate.subject).clone()
}

/// When the first certificate of the chain ends that does.
fn end(pair: &KeyPair) -> Timestamp {
    let ends = pair.chain().iter().map(|certificate| certificate.not_after);
    ends.min().unwrap_or(pair.certificate().not_after)
}
