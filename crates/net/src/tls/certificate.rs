//! What a certificate says of itself.

use std::fmt::Write as _;
use std::net::IpAddr;

use portcullis_core::Timestamp;
use portcullis_jose::digest::sha256;
use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;

use super::name;

/// A certificate larger than this is not read.
const CERTIFICATE_BYTES_MAX: usize = 64 * 1024;
/// Names of one certificate that are looked at.
const NAMES_MAX: usize = 1_000;

/// A certificate, read. It says what it says: nothing here is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Who it is about, as in RFC 4514: `CN=client,O=Example`.
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// Its number in hexadecimal digits with colons: `0a:1b`.
    pub serial_number: String,
    /// From when on it is valid.
    pub not_before: Timestamp,
    /// Until when, inclusive.
    pub not_after: Timestamp,
    /// DNS names (`api.example.com`, `*.example.com`) in lower case, then IP addresses.
    pub names: Vec<String>,
    /// Its key: `P-256`, `RSA 2048`.
    pub key: String,
    /// Whether it may issue others.
    pub is_authority: bool,
    /// The SHA-256 digest of the whole certificate.
    pub sha256: [u8; 32],
    /// The SHA-256 digest of its public key (SubjectPublicKeyInfo), as pins hold it.
    pub spki_sha256: [u8; 32],
}

/// Why bytes are no certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFault {
    /// They are no X.509 certificate.
    #[error("it is not an X.509 certificate")]
    Malformed,
    /// They are more than anybody sends.
    #[error("it is larger than {CERTIFICATE_BYTES_MAX} bytes")]
    TooLarge,
}

/// The SHA-256 digest of a public key in DER (SubjectPublicKeyInfo), as pins hold it.
pub(super) fn spki_sha256(spki: &[u8]) -> [u8; 32] {
    sha256(spki)
}

// === impl Certificate ===

impl Certificate {
    /// Reads a certificate in DER.
    pub fn read(der: &CertificateDer<'_>) -> Result<Self, CertificateFault> {
        if der.len() > CERTIFICATE_BYTES_MAX {
            return Err(CertificateFault::TooLarge);
        }
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| CertificateFault::Malformed)?;
        if !rest.is_empty() {
            return Err(CertificateFault::Malformed);
        }
        let time = |time: x509_parser::time::ASN1Time| Timestamp::from_unix_seconds(time.timestamp());
        Ok(Self {
            subject: name::text(certificate.subject()),
            issuer: name::text(certificate.issuer()),
            serial_number: serial_number(certificate.raw_serial()),
            not_before: time(certificate.validity().not_before),
            not_after: time(certificate.validity().not_after),
            names: names(&certificate),
            key: key(&certificate),
            is_authority: certificate.is_ca(),
            sha256: sha256(der),
            spki_sha256: spki_sha256(certificate.public_key().raw),
        })
    }

    /// Whether it is within its time.
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.not_before.unix_seconds() <= now.unix_seconds() && now.unix_seconds() <= self.not_after.unix_seconds()
    }
}

fn serial_number(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 3);
    for byte in bytes {
        if !text.is_empty() {
            text.push(':');
        }
        let _ = write!(text, "{byte:02x}"); // a String takes everything
    }
    text
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(alternative)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let named = alternative.value.general_names.iter().take(NAMES_MAX);
    let (mut names, mut addresses) = (Vec::new(), Vec::new());
    for name in named {
        match name {
            GeneralName::DNSName(name) => names.push(name.to_ascii_lowercase()),
            GeneralName::IPAddress(bytes) => addresses.extend(address(bytes)),
            _ => {} // mail addresses and the like name no server
        }
    }
    names.extend(addresses);
    names
}

fn address(bytes: &[u8]) -> Option<String> {
    let address = match bytes.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?),
        16 => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
        _ => return None,
    };
    Some(address.to_string())
}

fn key(certificate: &X509Certificate<'_>) -> String {
    let spki = certificate.public_key();
    let algorithm = spki.algorithm.algorithm.to_id_string();
    match (spki.parsed(), algorithm.as_str()) {
        (Ok(PublicKey::RSA(key)), _) => format!("RSA {}", key.key_size()),
        (_, "1.3.101.112") => "Ed25519".to_owned(),
        (_, "1.2.840.10045.2.1") => {
            let curve = spki.algorithm.parameters.as_ref().and_then(|curve| curve.as_oid().ok());
            match curve.map(|curve| curve.to_id_string()).as_deref() {
                Some("1.2.840.10045.3.1.7") => "P-256".to_owned(),
                Some("1.3.132.0.34") => "P-384".to_owned(),
                Some("1.3.132.0.35") => "P-521".to_owned(),
                _ => "elliptic curve".to_owned(),
            }
        }
        _ => algorithm,
    }
}
