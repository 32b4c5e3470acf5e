//! Whom a server lets in by certificate: at the handshake, and as long as the connection lasts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use portcullis_core::Timestamp;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::certificate::Certificate;

/// Certificates that a client may send, as at Amazon.
pub const CLIENT_CHAIN_MAX: usize = 4;

/// What is asked of clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientMode {
    /// A certificate may be shown, whoever issued it; the client proves that it holds the key. Whoever wants to know more
    /// looks at its digest.
    Any,
    /// A certificate may be shown; one that is must be good.
    Request,
    /// A good certificate must be shown.
    Require,
}

/// Which clients a server lets in.
pub struct ClientPolicy {
    mode: ClientMode,
    verifier: Arc<Verifier>,
    /// When revocation lists end that are looked at, where an old one counts for nothing.
    lists_end: Vec<Timestamp>,
}

/// Why a client's certificate does not let it in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[repr(u8)]
pub enum ClientCertificateFault {
    /// Its time is over, or has not begun.
    #[error("the client's certificate is not within its time")]
    Expired = 1,
    /// It is malformed, or not made for this.
    #[error("the client's certificate is not made for clients, or cannot be read")]
    Invalid = 2,
    /// One is required, and there is none.
    #[error("a client certificate is required")]
    Missing = 3,
    /// Its issuer has taken it back.
    #[error("the client's certificate is revoked")]
    Revoked = 4,
    /// Whether it was revoked cannot be known: there is no revocation list, or none that is still good.
    #[error("whether the client's certificate is revoked cannot be known")]
    StatusUnknown = 5,
    /// No authority of the truststore stands behind it.
    #[error("the client's certificate is not from an authority of the truststore")]
    Untrusted = 6,
}

/// What rustls asks at the handshake, and we again behind it.
pub(super) struct Verifier {
    /// `None` where any certificate will do.
    chains: Option<Chains>,
    algorithms: WebPkiSupportedAlgorithms,
}

/// How chains are followed.
pub(super) struct Chains {
    pub(super) anchored: Arc<dyn ClientCertVerifier>,
    /// Authorities of the truststore below its anchors, so that clients need not send them.
    pub(super) intermediates: Vec<CertificateDer<'static>>,
    pub(super) intermediates_end: Vec<Timestamp>,
    pub(super) is_required: bool,
}

// === impl ClientPolicy ===

impl ClientPolicy {
    /// Lets anybody in who can prove to hold the key of the certificate that is shown, and those who show none.
    pub fn any() -> Self {
        Self {
            mode: ClientMode::Any,
            verifier: Arc::new(Verifier::new(None)),
            lists_end: Vec::new(),
        }
    }

    pub(super) fn anchored(chains: Chains, lists_end: Vec<Timestamp>) -> Self {
        Self {
            mode: match chains.is_required {
                true => ClientMode::Require,
                false => ClientMode::Request,
            },
            verifier: Arc::new(Verifier::new(Some(chains))),
            lists_end,
        }
    }

    /// What is asked.
    pub fn mode(&self) -> ClientMode {
        self.mode
    }

    /// Whether a client with this chain (empty: none was shown) is let in at `now`, and until when that need not be asked
    /// again.
    pub fn verify(&self, chain: &[CertificateDer<'_>], now: Timestamp) -> Result<Timestamp, ClientCertificateFault> {
        let Some(chains) = &self.verifier.chains else {
            return Ok(FOREVER);
        };
        let Some((own, others)) = chain.split_first() else {
            return match chains.is_required {
                true => Err(ClientCertificateFault::Missing),
                false => Ok(FOREVER),
            };
        };
        let verified = self.verifier.verify_client_cert(own, others, unix_time(now));
        verified.map_err(|error| ClientCertificateFault::of(&error))?;
        let shown = chain.iter().filter_map(|der| Certificate::read(der).ok());
        let ends = shown.map(|certificate| certificate.not_after);
        let ends = ends.chain(chains.intermediates_end.iter().chain(&self.lists_end).copied());
        // What has ended already did not matter now.
        Ok(ends.filter(|end| *end >= now).min().unwrap_or(FOREVER))
    }

    pub(super) fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.verifier) as Arc<dyn ClientCertVerifier>
    }
}

/// Later than anything ends.
pub(super) const FOREVER: Timestamp = Timestamp::from_unix_seconds(i64::MAX);

fn unix_time(now: Timestamp) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now.unix_seconds()).unwrap_or(0)))
}

impl fmt::Debug for ClientPolicy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ClientPolicy")
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

// === impl ClientCertificateFault ===

impl ClientCertificateFault {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Expired,
        Self::Invalid,
        Self::Missing,
        Self::Revoked,
        Self::StatusUnknown,
        Self::Untrusted,
    ];

    /// Foreign enums that grow: what has no fact of its own here makes a certificate invalid.
    fn of(error: &Error) -> Self {
        let Error::InvalidCertificate(error) = error else {
            return Self::Invalid;
        };
        match error {
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => Self::Expired,
            CertificateError::Revoked => Self::Revoked,
            CertificateError::UnknownRevocationStatus
            | CertificateError::ExpiredRevocationList
            | CertificateError::ExpiredRevocationListContext { .. } => Self::StatusUnknown,
            // An authority of the same name with another key shows as a bad signature.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::Untrusted,
            _ => Self::Invalid,
        }
    }
}

// === impl Verifier ===

impl Verifier {
    fn new(chains: Option<Chains>) -> Self {
        Self {
            chains,
            algorithms: rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms,
        }
    }
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.chains.as_ref().is_some_and(|chains| chains.is_required)
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        match &self.chains {
            Some(chains) => chains.anchored.root_hint_subjects(),
            None => &[],
        }
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if others.len() >= CLIENT_CHAIN_MAX {
            return Err(Error::InvalidCertificate(
                CertificateError::ApplicationVerificationFailure,
            ));
        }
        let Some(chains) = &self.chains else {
            return match Certificate::read(own) {
                Ok(_) => Ok(ClientCertVerified::assertion()),
                Err(_) => Err(Error::InvalidCertificate(CertificateError::BadEncoding)),
            };
        };
        let mut between = others.to_vec();
        between.extend_from_slice(&chains.intermediates);
        chains.anchored.verify_client_cert(own, &between, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Verifier").finish_non_exhaustive()
    }
}
