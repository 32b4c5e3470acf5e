//! `[listeners.tls]`: what a listener proves its names with, and whom it lets in.

use std::{path::PathBuf, time::Duration};

use portcullis_core::Place;
use portcullis_net::tls::{ClientMode, RevocationRules, TlsVersion};
use portcullis_openapi::document::Located;

use super::section::Section;

/// Certificates of one listener at most.
const CERTIFICATES_MAX: usize = 1_000;
/// Files with revocation lists at most.
const LISTS_MAX: usize = 1_000;
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
    /// What is asked of clients; nothing where it is `None`.
    pub(crate) clients: Option<ClientCertificates>,
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

/// `client_certificates`: whom a listener or a domain lets in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ClientCertificates {
    /// Where it is said.
    pub(crate) place: Place,
    /// What is asked.
    pub(crate) mode: ClientMode,
    /// The authorities in PEM; there unless any certificate will do.
    pub(crate) truststore: Option<Located<PathBuf>>,
    /// What they have taken back.
    pub(crate) revocation_lists: Vec<Located<PathBuf>>,
    /// How far it is looked at.
    pub(crate) rules: RevocationRules,
}

impl ClientCertificates {
    /// Every file that it names.
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let truststore = self.truststore.iter();
        truststore.chain(&self.revocation_lists).map(|file| &file.value)
    }
}

impl ListenerTls {
    /// Whether two differ in nothing but what can be changed while the listener is open.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.handshake_timeout == other.handshake_timeout && self.handshakes_max == other.handshakes_max
    }

    /// Every file that it names.
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let pairs = self.certificates.iter();
        let pairs = pairs.flat_map(|pair| [&pair.certificate.value, &pair.key.value]);
        pairs.chain(self.clients.iter().flat_map(ClientCertificates::files))
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
    let clients = section.table("client_certificates");
    let clients = clients.map(|table| read_clients(&table));
    let handshake_timeout = section.integer("handshake_timeout_ms", 1..=HANDSHAKE_TIMEOUT_MS_MAX);
    let handshakes_max = section.integer("handshakes_max", 1..=HANDSHAKES_MAX);
    section.finish();
    Some(ListenerTls {
        certificates,
        minimum: minimum.unwrap_or(TlsVersion::Tls12),
        clients: match clients {
            None => None,
            Some(clients) => Some(clients?), // a finding, and nobody must be let in for want of it
        },
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

/// `client_certificates = { mode = …, truststore = … }`.
pub(super) fn read_clients(section: &Section<'_>) -> Option<ClientCertificates> {
    let mode = section.required("mode", |key| mode(section, &section.text(key)?));
    let truststore = section.path("truststore");
    let revocation_lists = section.paths("revocation_lists", LISTS_MAX);
    let depth = section.text("revocation_depth");
    let whole_chain = choice(
        section,
        "revocation_depth",
        depth,
        [("chain", true), ("end_entity", false)],
    );
    let outdated = section.text("outdated_revocation_lists");
    let outdated_count = choice(
        section,
        "outdated_revocation_lists",
        outdated,
        [("refuse", false), ("allow", true)],
    );
    section.finish();
    let is_any = mode == Some(ClientMode::Any);
    for key in [
        "truststore",
        "revocation_lists",
        "revocation_depth",
        "outdated_revocation_lists",
    ] {
        if is_any && section.has(key) {
            let message = format!(
                "`{}` has no meaning with `mode = \"any\"`, which looks at no issuer",
                section.full(key)
            );
            let remedy = "remove it, or write `mode = \"request\"`, which accepts good certificates only";
            section.report.error(&section.place, "unused-key", message, remedy);
        }
    }
    if !is_any && !section.has("truststore") {
        let message = format!(
            "`{}` is missing: nobody says whose clients are let in",
            section.full("truststore")
        );
        let remedy = "name a file with the authorities' certificates in PEM, or write `mode = \"any\"`";
        section.report.missing(&section.place, message, remedy);
    }
    Some(ClientCertificates {
        place: section.place.clone(),
        mode: mode?,
        truststore,
        revocation_lists: revocation_lists.unwrap_or_default(),
        rules: RevocationRules {
            whole_chain: whole_chain.unwrap_or(true),
            outdated_count: outdated_count.unwrap_or(false),
        },
    })
}

fn mode(section: &Section<'_>, text: &Located<String>) -> Option<ClientMode> {
    let modes = [
        ("any", ClientMode::Any),
        ("request", ClientMode::Request),
        ("require", ClientMode::Require),
    ];
    choice(section, "mode", Some(text.clone()), modes)
}

/// One of a few words.
fn choice<T: Copy, const N: usize>(
    section: &Section<'_>,
    key: &str,
    text: Option<Located<String>>,
    choices: [(&str, T); N],
) -> Option<T> {
    let Located { value, place } = text?;
    let found = choices.iter().find(|(word, _)| *word == value);
    if found.is_none() {
        let message = format!("`{}` is `{value}`", section.full(key));
        let words: Vec<_> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        let remedy = format!("write {}", words.join(" or "));
        section.report.error(&place, "unknown-word", message, remedy);
    }
    found.map(|(_, choice)| *choice)
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
