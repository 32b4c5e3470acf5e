//! What stands in a PEM file, for people: certificates and keys, with the pin of each.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::{PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};

use super::certificate::{Certificate, CertificateFault, spki_sha256};

/// Sections of one file at most.
const ITEMS_MAX: usize = 1_000;

/// One section of a PEM file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PemItem {
    /// A certificate.
    Certificate(Box<Certificate>),
    /// A private key; nothing of it but the digest of its public half.
    PrivateKey([u8; 32]),
    /// A public key's digest.
    PublicKey([u8; 32]),
}

/// Why a PEM file cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PemFault {
    /// A certificate cannot be read, counted from 1 among the sections.
    #[error("section {0}: {1}")]
    Certificate(usize, CertificateFault),
    /// There is neither a certificate nor a key in it.
    #[error("it holds neither a certificate nor a key in PEM")]
    Empty,
    /// A private key is encrypted, malformed or of a kind that is not supported.
    #[error("section {0}: the private key is malformed, or of a kind that is not supported")]
    Key(usize),
    /// A private key is encrypted.
    #[error("a private key in it is encrypted")]
    KeyEncrypted,
    /// A section does not end, or holds what is no base64.
    #[error("it is not PEM, or it was cut off")]
    NotPem,
    /// It has more sections than anybody needs.
    #[error("it has more than {ITEMS_MAX} sections")]
    TooMany,
}

/// Reads every certificate and key of a file, in their order; other sections are skipped.
pub fn read_pem(pem: &[u8]) -> Result<Vec<PemItem>, PemFault> {
    let mut items = Vec::new();
    for (index, section) in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem).enumerate() {
        if index == ITEMS_MAX {
            return Err(PemFault::TooMany);
        }
        let (kind, der) = section.map_err(|_| PemFault::NotPem)?;
        items.extend(item(kind, der, index + 1)?);
    }
    match items.is_empty() {
        false => Ok(items),
        true if is_encrypted(pem) => Err(PemFault::KeyEncrypted),
        true => Err(PemFault::Empty),
    }
}

/// A pin as mobile applications are given it (RFC 7469 section 2.4): `sha256/` and the digest in base64.
pub fn pin(spki_sha256: &[u8; 32]) -> String {
    format!("sha256/{}", STANDARD.encode(spki_sha256))
}

/// Whether a private key in a PEM file is encrypted, in either of the two forms.
pub(super) fn is_encrypted(pem: &[u8]) -> bool {
    let holds = |mark: &[u8]| pem.windows(mark.len()).any(|window| window == mark);
    holds(b"-----BEGIN ENCRYPTED PRIVATE KEY-----") || holds(b"Proc-Type: 4,ENCRYPTED")
}

fn item(kind: SectionKind, der: Vec<u8>, number: usize) -> Result<Option<PemItem>, PemFault> {
    let key = match kind {
        SectionKind::Certificate => {
            let certificate = Certificate::read(&CertificateDer::from(der));
            let certificate = certificate.map_err(|fault| PemFault::Certificate(number, fault))?;
            return Ok(Some(PemItem::Certificate(Box::new(certificate))));
        }
        SectionKind::PublicKey => return Ok(Some(PemItem::PublicKey(spki_sha256(&der)))),
        SectionKind::PrivateKey => PrivateKeyDer::from(PrivatePkcs8KeyDer::from(der)),
        SectionKind::RsaPrivateKey => PrivateKeyDer::from(PrivatePkcs1KeyDer::from(der)),
        SectionKind::EcPrivateKey => PrivateKeyDer::from(PrivateSec1KeyDer::from(der)),
        _ => return Ok(None), // requests and lists have no pin
    };
    let key = any_supported_type(&key).map_err(|_| PemFault::Key(number))?;
    let public = key.public_key().ok_or(PemFault::Key(number))?;
    Ok(Some(PemItem::PrivateKey(spki_sha256(&public))))
}
