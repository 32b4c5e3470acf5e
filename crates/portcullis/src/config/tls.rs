//! `[listeners.tls]`: what a listener proves its names with, and whom it lets in.

use std::{path::PathBuf, time::Duration};

use portcullis_core::Place;
use portcullis_net::tls::TlsVersion;
use portcullis_openapi::document::Located;

use super::section::Section;

/// Certificates of one listener at most.
const CERTIFICATES_MAX: usize = 1_000;
/// The longest handshake that may be allowed.
const HANDSHAKE_TIMEOUT_MS_MAX: u64 = 60_000;
/// Handshakes under way at most.
const HANDSHAKES_MAX: u64 = 100_000;

/// TLS of a listener. The files are not read here.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ListenerTls {
    /// One at least; the first is for clients that name none of the others.
    pub(crate) certificates: Vec<CertificateFiles>,
    /// The lowest version that is spoken (default TLS 1.2).
    pub(crate) minimum: TlsVersion,
    /// How long a handshake may take (default 10 s).
    pub(crate) handshake_timeout: Duration,
    /// Handshakes under way at once (default 1,000).
    pub(crate) handshakes_max: usize,
}

/// Where a certificate and its key are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CertificateFiles {
    /// Where both are named.
    pub(crate) place: Place,
    /// The chain in PEM, the certificate itself first.
    pub(crate) certificate: Located<PathBuf>,
    /// Its private key in PEM.
    pub(crate) key: Located<PathBuf>,
}

impl ListenerTls {
    /// Whether two differ in nothing but what can be changed while the listener is open.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.handshake_timeout == other.handshake_timeout && self.handshakes_max == other.handshakes_max
    }

    /// Every file that it names.
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let pairs = self.certificates.iter();
        pairs.flat_map(|pair| [&pair.certificate.value, &pair.key.value])
    }
}

pub(super) fn read(section: &Section<'_>) -> Option<ListenerTls> {
    let certificates: Vec<_> = section
        .tables("certificates", CERTIFICATES_MAX)
        .iter()
        .filter_map(read_certificate)
        .collect();
    if section.is_absent_or_empty("certificates") {
        section.report.missing(
            &section.place,
            format!("`{}` names no certificate", section.full("certificates")),
            "add `certificates = [{ certificate = \"tls/api.pem\", key = \"tls/api.key\" }]`",
        );
    }
    let minimum = section.text("minimum").and_then(|text| version(section, &text));
    let handshake_timeout = section.integer("handshake_timeout_ms", 1..=HANDSHAKE_TIMEOUT_MS_MAX);
    let handshakes_max = section.integer("handshakes_max", 1..=HANDSHAKES_MAX);
    section.finish();
    Some(ListenerTls {
        certificates,
        minimum: minimum.unwrap_or(TlsVersion::Tls12),
        handshake_timeout: Duration::from_millis(handshake_timeout.map_or(10_000, |found| found.value)),
        handshakes_max: handshakes_max
            .and_then(|found| usize::try_from(found.value).ok())
            .unwrap_or(1_000),
    })
}

/// `{ certificate = …, key = … }`.
pub(super) fn read_certificate(section: &Section<'_>) -> Option<CertificateFiles> {
    let certificate = section.required("certificate", |key| section.path(key));
    let key = section.required("key", |key| section.path(key));
    section.finish();
    Some(CertificateFiles {
        place: section.place.clone(),
        certificate: certificate?,
        key: key?,
    })
}

fn version(section: &Section<'_>, text: &Located<String>) -> Option<TlsVersion> {
    match text.value.as_str() {
        "1.2" => Some(TlsVersion::Tls12),
        "1.3" => Some(TlsVersion::Tls13),
        other => {
            let message = format!("`{}` is `{other}`", section.full("minimum"));
            let remedy = "write \"1.2\" or \"1.3\": what is older is not spoken";
            section.report.error(&text.place, "bad-tls-version", message, remedy);
            None
        }
    }
}
