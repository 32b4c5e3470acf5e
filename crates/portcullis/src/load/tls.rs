//! The certificates that listeners are to serve, read from their files with all findings at once.

use std::{io, path::Path, sync::Arc};

use portcullis_core::{Findings, Place, Timestamp};
use portcullis_net::listener::Http2;
use portcullis_net::tls::{Certificate, KeyPair, KeyPairFault, ServerTlsSettings, TlsDomain};

use super::{clients, read_bytes};
use crate::config::{CertificateFiles, Config, Domain, ListenerTls};

/// A certificate chain or a key is read up to here.
const PEM_BYTES_MAX: u64 = 1024 * 1024;
/// So long before a certificate's end it is warned of.
pub(crate) const WARNED_BEFORE_DAYS: i64 = 30;
const DAY_S: i64 = 86_400;

/// What each listener is to offer, in their order; `None` where it speaks no TLS, or where something is missing.
pub(crate) fn open_tls(config: &Config, now: Timestamp, findings: &mut Findings) -> Vec<Option<ServerTlsSettings>> {
    if config.listeners.iter().all(|listener| listener.tls.is_none()) {
        return vec![None; config.listeners.len()];
    }
    let domains: Vec<_> = config
        .domains
        .iter()
        .filter_map(|domain| domain_tls(domain, now, findings))
        .collect();
    let listeners = config.listeners.iter();
    listeners
        .map(|listener| settings(listener.tls.as_ref()?, listener.http2, &domains, now, findings))
        .collect()
}

/// How long a certificate is still good, where that is worth a word.
pub(crate) fn expiry_warning(certificate: &Certificate, now: Timestamp) -> Option<String> {
    let left_s = certificate.not_after.unix_seconds().saturating_sub(now.unix_seconds());
    let until = certificate.not_after.to_rfc3339();
    let subject = &certificate.subject;
    match left_s {
        ..0 => Some(format!("the certificate of `{subject}` has expired ({until})")),
        _ if left_s < WARNED_BEFORE_DAYS * DAY_S => Some(format!(
            "the certificate of `{subject}` expires in {} days ({until})",
            left_s / DAY_S
        )),
        _ => None,
    }
}

/// What holds for a domain on every listener; `None` where that is what holds for all names, or where something is missing.
fn domain_tls(domain: &Domain, now: Timestamp, findings: &mut Findings) -> Option<TlsDomain> {
    let key_pair = domain.certificate().map(|files| key_pair(files, now, findings));
    let clients = domain.clients().map(|clients| clients::policy(clients, now, findings));
    if let (Some(Some(pair)), Some(files)) = (&key_pair, domain.certificate()) {
        let name = &domain.name().value;
        if !pair.is_for(name) {
            let message = format!(
                "the certificate in `{}` is not for `{name}`",
                files.certificate.value.display()
            );
            let remedy = "clients would refuse it: have one issued that has the name";
            findings.error(files.place.clone(), "certificate-for-others", message, remedy);
        }
    }
    (key_pair.is_some() || clients.is_some()).then_some(())?;
    Some(TlsDomain {
        name: domain.name().value.clone(),
        key_pair: key_pair.flatten(), // a finding, where it is there and cannot be read
        clients: clients.flatten(),
    })
}

fn settings(
    tls: &ListenerTls,
    http2: Http2,
    domains: &[TlsDomain],
    now: Timestamp,
    findings: &mut Findings,
) -> Option<ServerTlsSettings> {
    let pairs: Vec<_> = tls
        .certificates
        .iter()
        .map(|files| key_pair(files, now, findings))
        .collect();
    let clients = tls
        .clients
        .as_ref()
        .map(|clients| clients::policy(clients, now, findings));
    Some(ServerTlsSettings {
        minimum: tls.minimum,
        key_pairs: pairs.into_iter().collect::<Option<_>>()?, // after all have been looked at
        http2: http2 != Http2::Off,
        clients: match clients {
            None => None,
            Some(clients) => Some(clients?),
        },
        domains: domains.to_vec(),
    })
}

fn key_pair(files: &CertificateFiles, now: Timestamp, findings: &mut Findings) -> Option<Arc<KeyPair>> {
    let certificate = file(
        &files.certificate.value,
        PEM_BYTES_MAX,
        &files.certificate.place,
        findings,
    );
    let key = file(&files.key.value, PEM_BYTES_MAX, &files.key.place, findings);
    let pair = match KeyPair::read(&certificate?, &key?) {
        Ok(pair) => pair,
        Err(fault) => {
            report(files, fault, findings);
            return None;
        }
    };
    let path = files.certificate.value.display();
    let place = &files.certificate.place;
    let own = pair.certificate();
    if !own.is_valid_at(now) {
        let (code, what) = match own.not_after < now {
            true => (
                "certificate-expired",
                format!("has expired ({})", own.not_after.to_rfc3339()),
            ),
            false => (
                "certificate-early",
                format!("is not valid before {}", own.not_before.to_rfc3339()),
            ),
        };
        let message = format!("the certificate in `{path}` {what}");
        findings.error(place.clone(), code, message, "clients would refuse it: renew it");
        return None;
    }
    for warning in pair
        .chain()
        .iter()
        .filter_map(|certificate| expiry_warning(certificate, now))
    {
        findings.warn(
            place.clone(),
            "certificate-expires",
            format!("`{path}`: {warning}"),
            "renew it",
        );
    }
    if own.names.is_empty() {
        let message = format!("the certificate in `{path}` has no name (subjectAltName)");
        findings.warn(
            place.clone(),
            "certificate-nameless",
            message,
            "clients look at no other: have it issued with names",
        );
    }
    Some(Arc::new(pair))
}

/// The content of a file that is there and not too long.
pub(super) fn file(path: &Path, bytes_max: u64, place: &Place, findings: &mut Findings) -> Option<Vec<u8>> {
    match read_bytes(path, bytes_max) {
        Ok(bytes) if bytes.len() as u64 <= bytes_max => Some(bytes),
        Ok(_) => {
            let message = format!("`{}` has more than {bytes_max} bytes", path.display());
            findings.error(place.clone(), "file-too-long", message, "is this the right file?");
            None
        }
        Err(error) => {
            let message = format!("`{}` cannot be read: {error}", path.display());
            let remedy = match error.kind() {
                io::ErrorKind::NotFound => super::missing_remedy(place, path),
                _ => "make it readable for this user".to_owned(),
            };
            findings.error(place.clone(), "file-unreadable", message, remedy);
            None
        }
    }
}

fn report(files: &CertificateFiles, fault: KeyPairFault, findings: &mut Findings) {
    let (of, code, remedy) = match fault {
        KeyPairFault::Certificate(..) => (
            &files.certificate,
            "certificate-malformed",
            "`openssl x509 -text -noout -in …` shows what it is",
        ),
        KeyPairFault::CertificateMissing => (
            &files.certificate,
            "certificate-missing",
            "write the chain in PEM, the certificate itself first (`openssl x509 -inform der` makes PEM of DER)",
        ),
        KeyPairFault::ChainOrder(_) | KeyPairFault::ChainTorn(_) => (
            &files.certificate,
            "certificate-order",
            "write the certificate itself first, then the one that issued it, and so on",
        ),
        KeyPairFault::ChainTooLong => (
            &files.certificate,
            "certificate-too-many",
            "write one chain into it: a truststore is something else",
        ),
        KeyPairFault::NotPem => (
            &files.certificate,
            "certificate-not-pem",
            "one of the two files is torn or no PEM; copy it again",
        ),
        KeyPairFault::KeyEncrypted => (
            &files.key,
            "key-encrypted",
            "guard the decrypted file by its owner and mode",
        ),
        KeyPairFault::KeyMismatch => (
            &files.key,
            "key-mismatch",
            "give the key that the certificate was issued for; `portcullis certificate pins` prints the same pin for both",
        ),
        KeyPairFault::KeyMissing => (
            &files.key,
            "key-missing",
            "write the private key in PEM (PKCS #8, PKCS #1 or SEC 1)",
        ),
        KeyPairFault::KeyUnsupported => (
            &files.key,
            "key-unsupported",
            "use RSA from 2048 bits, ECDSA P-256, P-384 or P-521, or Ed25519",
        ),
    };
    let message = format!("`{}`: {fault}", of.value.display());
    findings.error(of.place.clone(), code, message, remedy);
}
