//! TLS towards an upstream.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use std::io;

use super::error::TlsFault;
use crate::identity::Identity;

/// How TLS to an upstream is spoken and whom it trusts: TLS 1.2 and 1.3, forward secrecy only, sessions resumed.
///
/// Share one between all origins that trust the same roots: sessions are resumed per name within it.
#[derive(Debug)]
pub struct OriginTls {
    pub(super) config: Arc<ClientConfig>,
    pub(super) server_name: Option<ServerName<'static>>,
}

/// Which certificates' issuers are trusted.
#[derive(Clone, Copy, Debug)]
pub enum Roots<'a> {
    /// Mozilla's list, compiled in.
    Mozilla,
    /// These and no others, as PEM.
    Private(&'a [u8]),
}

/// Why TLS settings cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsSettingsError {
    /// The PEM is malformed, holds no certificate, or holds one that cannot be a root.
    #[error("the root certificates are not PEM certificates that can be trusted")]
    Roots,
    /// The server name is neither a DNS name nor an IP address.
    #[error("the server name is not a DNS name or IP address")]
    ServerName,
    /// The cryptographic library has none of the protocol versions.
    #[error("TLS 1.2 and 1.3 are not available")]
    Versions,
}

// === impl OriginTls ===

impl OriginTls {
    /// Trusts `roots`. The certificate must be for the origin's host, or for `server_name` where that is given; the same name
    /// goes out as SNI. `identity` is shown to an origin that asks for a client certificate.
    pub fn new(
        roots: Roots<'_>,
        server_name: Option<&str>,
        identity: Option<&Identity>,
    ) -> Result<Self, TlsSettingsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| TlsSettingsError::Versions)?
            .with_root_certificates(root_store(roots)?);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => builder.with_client_cert_resolver(identity.resolver()),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()]; // RFC 7301: never offer what we do not speak
        let server_name = server_name
            .map(|name| ServerName::try_from(name.to_owned()).map_err(|_| TlsSettingsError::ServerName))
            .transpose()?;
        Ok(Self {
            config: Arc::new(config),
            server_name,
        })
    }
}

fn root_store(roots: Roots<'_>) -> Result<RootCertStore, TlsSettingsError> {
    let mut store = RootCertStore::empty();
    match roots {
        Roots::Mozilla => store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Roots::Private(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|_| TlsSettingsError::Roots)?;
                store.add(certificate).map_err(|_| TlsSettingsError::Roots)?;
            }
        }
    }
    if store.is_empty() {
        Err(TlsSettingsError::Roots)
    } else {
        Ok(store)
    }
}

/// What a failed handshake means.
pub(super) fn fault(error: &io::Error) -> TlsFault {
    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        return TlsFault::BrokenOff;
    };
    // Foreign enums that grow: everything that has no fact of its own here is a failed handshake or an invalid certificate.
    match error {
        rustls::Error::InvalidCertificate(reason) => match reason {
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => TlsFault::CertificateExpired,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                TlsFault::CertificateForOtherName
            }
            // A root of the same name with another key shows as a bad signature.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => TlsFault::CertificateUntrusted,
            _ => TlsFault::CertificateInvalid,
        },
        _ => TlsFault::Handshake,
    }
}
