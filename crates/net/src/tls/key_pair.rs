//! A certificate with its chain and private key, checked before it is served.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::certificate::{Certificate, CertificateFault, spki_sha256};
use super::pem::is_encrypted;

/// Certificates of one chain at most.
const CHAIN_MAX: usize = 10;

/// What one side of a connection proves its name with.
#[derive(Clone, Debug)]
pub struct KeyPair {
    certified: Arc<CertifiedKey>,
    chain: Vec<Certificate>,
}

/// Why files are no key pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyPairFault {
    /// A certificate of the chain cannot be read.
    #[error("certificate {0} of the chain: {1}")]
    Certificate(usize, CertificateFault),
    /// There is none in the certificate file.
    #[error("it holds no certificate in PEM")]
    CertificateMissing,
    /// The key belongs to another certificate of the chain.
    #[error("the key belongs to certificate {0} of the chain, which must stand first")]
    ChainOrder(usize),
    /// A certificate did not issue the one in front of it.
    #[error("certificate {0} of the chain did not issue the one in front of it")]
    ChainTorn(usize),
    /// A chain that nobody needs.
    #[error("it holds more than {CHAIN_MAX} certificates")]
    ChainTooLong,
    /// The private key is encrypted.
    #[error("the private key is encrypted; `openssl pkey -in … -out …` decrypts it")]
    KeyEncrypted,
    /// The private key belongs to none of the certificates.
    #[error("the private key belongs to another certificate")]
    KeyMismatch,
    /// There is none in the key file.
    #[error("it holds no private key in PEM")]
    KeyMissing,
    /// Neither RSA nor ECDSA (P-256, P-384, P-521) nor Ed25519, or broken.
    #[error("the private key is malformed, or of a kind that is not supported")]
    KeyUnsupported,
    /// A PEM section does not end, or holds what is no base64.
    #[error("it is not PEM")]
    NotPem,
}

// === impl KeyPair ===

impl KeyPair {
    /// Reads a chain in PEM, its owner's certificate first, and the private key in PEM.
    pub fn read(certificates_pem: &[u8], key_pem: &[u8]) -> Result<Self, KeyPairFault> {
        let der = certificates(certificates_pem)?;
        let mut chain = Vec::with_capacity(der.len());
        for (index, certificate) in der.iter().enumerate() {
            chain.push(Certificate::read(certificate).map_err(|fault| KeyPairFault::Certificate(index + 1, fault))?);
        }
        let key = any_supported_type(&private_key(key_pem)?).map_err(|_| KeyPairFault::KeyUnsupported)?;
        let pin = key.public_key().map(|spki| spki_sha256(&spki));
        let owner = chain
            .iter()
            .position(|certificate| Some(certificate.spki_sha256) == pin);
        match owner {
            Some(0) => {}
            Some(index) => return Err(KeyPairFault::ChainOrder(index + 1)),
            None => return Err(KeyPairFault::KeyMismatch),
        }
        if let Some(torn) = chain.windows(2).position(|pair| pair[0].issuer != pair[1].subject) {
            return Err(KeyPairFault::ChainTorn(torn + 2));
        }
        Ok(Self {
            certified: Arc::new(CertifiedKey::new(der, key)),
            chain,
        })
    }

    /// The certificates that are sent, the owner's first.
    pub fn chain(&self) -> &[Certificate] {
        &self.chain
    }

    /// The owner's certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.chain[0] // `read` has found the key's owner there
    }

    /// Whether the certificate is for `name`, a wildcard standing for one label (RFC 6125 section 6.4.3).
    pub fn is_for(&self, name: &str) -> bool {
        let parent = name.split_once('.').map(|(_, parent)| parent);
        let is_name = |own: &String| own == name || own.strip_prefix("*.").is_some_and(|own| Some(own) == parent);
        self.certificate().names.iter().any(is_name)
    }

    pub(crate) fn certified(&self) -> &Arc<CertifiedKey> {
        &self.certified
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, KeyPairFault> {
    let mut chain = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        if chain.len() == CHAIN_MAX {
            return Err(KeyPairFault::ChainTooLong);
        }
        chain.push(certificate.map_err(|_| KeyPairFault::NotPem)?);
    }
    match chain.is_empty() {
        true => Err(KeyPairFault::CertificateMissing),
        false => Ok(chain),
    }
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, KeyPairFault> {
    if is_encrypted(pem) {
        return Err(KeyPairFault::KeyEncrypted);
    }
    match PrivateKeyDer::from_pem_slice(pem) {
        Ok(key) => Ok(key),
        Err(rustls::pki_types::pem::Error::NoItemsFound) => Err(KeyPairFault::KeyMissing),
        Err(_) => Err(KeyPairFault::NotPem),
    }
}
