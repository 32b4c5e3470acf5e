//! A certificate with its private key: what one side of a TLS connection proves to be.

use std::{fmt, sync::Arc};

use portcullis_core::{Secret, Timestamp};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, RsaKeySize,
};
use rustls::sign::SingleCertAndKey;

use crate::tls::{self, KeyPairFault};

/// The subject of certificates that nobody issued.
const PLACEHOLDER: &str = "placeholder until a certificate is issued";
/// `serialNumber` of a subject (X.520 section 6.2.9).
const SERIAL_NUMBER: [u64; 4] = [2, 5, 4, 5];
const DAY_S: i64 = 24 * 60 * 60;

/// A [`tls::KeyPair`] that an origin is shown, or that is made here.
pub struct Identity(tls::KeyPair);

/// The kinds of key that are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA on P-256.
    #[default]
    P256,
    /// RSA of 2048 bits, for origins that know nothing else.
    Rsa2048,
}

/// The random source or the cryptographic library failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no certificate could be made: the system's cryptography failed")]
pub struct NotMade;

// === impl Identity ===

impl Identity {
    /// Reads PEM: the certificate first, then those that certify it; the key from its own text, which may be the same.
    ///
    /// # Errors
    /// They cannot be read or do not belong together. Whether the certificate is valid today is not looked at: see
    /// [`Self::expires`].
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, KeyPairFault> {
        tls::KeyPair::read(certificates, key).map(Self)
    }

    /// A new key with a certificate that it signs itself: for the two sides of a connection that are told of each other.
    /// Gives the PEM of the certificate and that of the key (PKCS#8).
    ///
    /// `name` is its subject's common name; beside it stands a number of the key, for OpenSSL looks trusted certificates up by
    /// subject alone, and would not find the second of two. It is valid from a day ago, for clocks differ, and for `days` from today, both
    /// at midnight UTC.
    pub fn self_signed(name: &str, kind: KeyKind, now: Timestamp, days: u16) -> Result<(String, Secret), NotMade> {
        let key = kind.generate()?;
        let mut params = CertificateParams::default();
        let mut subject = DistinguishedName::new();
        subject.push(DnType::CommonName, name);
        subject.push(DnType::from_oid(&SERIAL_NUMBER), digits(key.public_key_raw()));
        params.distinguished_name = subject;
        let [from, to] = [-DAY_S, i64::from(days) * DAY_S].map(|seconds| ymd(now.plus_seconds(seconds)));
        params.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
        params.not_after = rcgen::date_time_ymd(to.0, to.1, to.2);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.self_signed(&key).map_err(|_| NotMade)?;
        Ok((certificate.pem(), Secret::new(key.serialize_pem().into_bytes())))
    }

    /// A certificate for `names` that nobody trusts, to serve with until a real one is there; known again by
    /// [`Self::is_placeholder`]. Gives the PEM of the certificate and that of the key (PKCS#8).
    pub fn placeholder(names: &[String], kind: KeyKind, now: Timestamp) -> Result<(String, Secret), NotMade> {
        let key = kind.generate()?;
        let mut params = CertificateParams::new(names).map_err(|_| NotMade)?;
        let mut subject = DistinguishedName::new();
        subject.push(DnType::CommonName, PLACEHOLDER);
        params.distinguished_name = subject;
        let [from, to] = [-DAY_S, 365 * DAY_S].map(|seconds| ymd(now.plus_seconds(seconds)));
        params.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
        params.not_after = rcgen::date_time_ymd(to.0, to.1, to.2);
        let certificate = params.self_signed(&key).map_err(|_| NotMade)?;
        Ok((certificate.pem(), Secret::new(key.serialize_pem().into_bytes())))
    }

    /// Whether the first certificate is a [`Self::placeholder`].
    pub fn is_placeholder(&self) -> bool {
        self.subject() == format!("CN={PLACEHOLDER}")
    }

    /// The names that the first certificate is for (subjectAltName), in lower case.
    pub fn names(&self) -> &[String] {
        &self.0.certificate().names
    }

    /// From when the first certificate is valid.
    pub fn begins(&self) -> Timestamp {
        self.0.certificate().not_before
    }

    /// The subject of the first certificate, as text for people.
    pub fn subject(&self) -> &str {
        &self.0.certificate().subject
    }

    /// When the first certificate ends.
    pub fn expires(&self) -> Timestamp {
        self.0.certificate().not_after
    }

    /// What is shown to who asks for it.
    pub(crate) fn resolver(&self) -> Arc<SingleCertAndKey> {
        Arc::new(SingleCertAndKey::from(Arc::clone(self.0.certified())))
    }
}

// === impl KeyKind ===

impl KeyKind {
    /// A new key of this kind.
    pub(crate) fn generate(self) -> Result<KeyPair, NotMade> {
        let made = match self {
            Self::P256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            Self::Rsa2048 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048),
        };
        made.map_err(|_| NotMade)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Identity")
            .field("subject", &self.subject())
            .field("expires", &self.expires())
            .finish_non_exhaustive()
    }
}

/// Eight bytes of a key, as digits. Those at its end: a point's or a modulus', never a header's.
fn digits(key: &[u8]) -> String {
    let tail = key.get(key.len().saturating_sub(8)..).unwrap_or_default();
    tail.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Year, month and day in UTC.
fn ymd(time: Timestamp) -> (i32, u8, u8) {
    let text = time.to_rfc3339();
    let mut parts = text.split(['-', 'T']);
    let mut next = || parts.next().and_then(|part| part.parse::<u16>().ok()).unwrap_or(1);
    (i32::from(next()), next().min(12) as u8, next().min(31) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        Timestamp::parse_rfc3339("2026-02-28T23:59:59Z").unwrap()
    }

    #[test]
    fn what_is_made_can_be_read_and_lasts_as_long_as_it_says() {
        for kind in [KeyKind::P256, KeyKind::Rsa2048] {
            let (certificate, key) = Identity::self_signed("pay/TEST", kind, now(), 365).unwrap();
            let identity = Identity::from_pem(certificate.as_bytes(), key.expose()).unwrap();
            assert!(identity.subject().ends_with(",CN=pay/TEST"), "{}", identity.subject());
            assert_eq!(identity.expires().to_rfc3339(), "2027-02-28T00:00:00Z");
            // Both from one file, as they are kept.
            let both = [certificate.as_bytes(), key.expose()].concat();
            assert!(Identity::from_pem(&both, &both).is_ok(), "{kind:?}");
            assert!(!format!("{identity:?}").contains("PRIVATE"));
        }
    }

    #[test]
    fn what_is_no_identity_is_refused_for_what_it_is() {
        let (certificate, key) = Identity::self_signed("a", KeyKind::P256, now(), 1).unwrap();
        let (_, other) = Identity::self_signed("b", KeyKind::P256, now(), 1).unwrap();
        let cut = &certificate[..certificate.len() / 2];
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let many = certificate.repeat(11);
        let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
        let junk = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let key = std::str::from_utf8(key.expose()).unwrap();
        let other = std::str::from_utf8(other.expose()).unwrap();
        use KeyPairFault::*;
        use tls::CertificateFault::Malformed;
        for (certificates, key, expected) in [
            ("", key, CertificateMissing),
            (key, key, CertificateMissing),
            (cut, key, NotPem),
            (broken, key, Certificate(1, Malformed)),
            (&many, key, ChainTooLong),
            (&certificate, "", KeyMissing),
            (&certificate, &certificate, KeyMissing),
            (&certificate, encrypted, KeyEncrypted),
            (&certificate, old, KeyEncrypted),
            (&certificate, junk, KeyUnsupported),
            (&certificate, other, KeyMismatch),
        ] {
            let refused = Identity::from_pem(certificates.as_bytes(), key.as_bytes()).unwrap_err();
            assert_eq!(refused, expected, "{certificates} {key}");
        }
    }
}
