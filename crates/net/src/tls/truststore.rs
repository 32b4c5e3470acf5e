//! From files to a [`ClientPolicy`]: authorities, and lists of what they have taken back.

use std::sync::Arc;

use portcullis_core::Timestamp;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use rustls::server::WebPkiClientVerifier;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use super::certificate::{Certificate, CertificateFault};
use super::clients::{Chains, ClientPolicy};
use super::{name, server::provider};

/// Certificates of one truststore at most.
const AUTHORITIES_MAX: usize = 1_000;
/// Revocation lists in one file at most.
const LISTS_MAX: usize = 1_000;

/// Authorities whose clients are let in, in the order of their file.
///
/// One that signed itself, and one whose issuer is not there, is an anchor: trusted as it is. The others stand between clients
/// and anchors.
#[derive(Clone, Debug)]
pub struct Truststore {
    authorities: Vec<(CertificateDer<'static>, Certificate)>,
}

/// What one authority has taken back.
#[derive(Clone, Debug)]
pub struct RevocationList {
    der: CertificateRevocationListDer<'static>,
    /// Whose it is.
    pub issuer: String,
    /// When the next one is due; a list that does not say is good for ever.
    pub next_update: Option<Timestamp>,
    /// How many certificates are on it.
    pub revoked: usize,
}

/// How the status of clients' certificates is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevocationRules {
    /// Whether the authorities between a client and the anchor are looked up as well.
    pub whole_chain: bool,
    /// Whether a list counts whose successor is overdue. If not, certificates of its issuer are refused.
    pub outdated_count: bool,
}

/// Why a file is no truststore or revocation list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TruststoreFault {
    /// A certificate cannot be read, counted from 1.
    #[error("certificate {0}: {1}")]
    Certificate(usize, CertificateFault),
    /// There is nothing in it.
    #[error("it holds nothing in PEM")]
    Empty,
    /// A revocation list cannot be read, counted from 1.
    #[error("revocation list {0} is malformed, or of a kind that is not supported")]
    List(usize),
    /// A PEM section does not end, or holds what is no base64.
    #[error("it is not PEM, or it was cut off")]
    NotPem,
    /// It holds more than anybody needs.
    #[error("it holds more than {AUTHORITIES_MAX} certificates or {LISTS_MAX} lists")]
    TooMany,
    /// A certificate cannot be trusted, counted from 1.
    #[error("certificate {0} cannot be an authority")]
    Unusable(usize),
}

// === impl Truststore ===

impl Truststore {
    /// Reads certificates in PEM.
    pub fn read(pem: &[u8]) -> Result<Self, TruststoreFault> {
        let mut authorities = Vec::new();
        for (index, der) in CertificateDer::pem_slice_iter(pem).enumerate() {
            if index == AUTHORITIES_MAX {
                return Err(TruststoreFault::TooMany);
            }
            let der = der.map_err(|_| TruststoreFault::NotPem)?;
            let certificate =
                Certificate::read(&der).map_err(|fault| TruststoreFault::Certificate(index + 1, fault))?;
            authorities.push((der, certificate));
        }
        match authorities.is_empty() {
            true => Err(TruststoreFault::Empty),
            false => Ok(Self { authorities }),
        }
    }

    /// What is in it.
    pub fn authorities(&self) -> impl Iterator<Item = &Certificate> {
        self.authorities.iter().map(|(_, certificate)| certificate)
    }

    /// Lets in whom these authorities vouch for. Without lists the status of certificates is not looked at.
    pub fn policy(
        &self,
        is_required: bool,
        lists: &[RevocationList],
        rules: RevocationRules,
    ) -> Result<ClientPolicy, TruststoreFault> {
        let mut anchors = RootCertStore::empty();
        let (mut intermediates, mut intermediates_end) = (Vec::new(), Vec::new());
        for (index, (der, certificate)) in self.authorities.iter().enumerate() {
            if self.is_anchor(certificate) {
                let added = anchors.add(der.clone());
                added.map_err(|_| TruststoreFault::Unusable(index + 1))?;
            } else {
                intermediates.push(der.clone());
                intermediates_end.push(certificate.not_after);
            }
        }
        let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(anchors), provider())
            .with_crls(lists.iter().map(|list| list.der.clone()))
            .allow_unauthenticated();
        if !rules.whole_chain {
            builder = builder.only_check_end_entity_revocation();
        }
        let mut lists_end = Vec::new();
        if !rules.outdated_count {
            builder = builder.enforce_revocation_expiration();
            lists_end = lists.iter().filter_map(|list| list.next_update).collect();
        }
        let chains = Chains {
            anchored: builder.build().map_err(|_| TruststoreFault::List(1))?,
            intermediates,
            intermediates_end,
            is_required,
        };
        Ok(ClientPolicy::anchored(chains, lists_end))
    }

    fn is_anchor(&self, certificate: &Certificate) -> bool {
        let is_there = |issuer: &str| self.authorities().any(|other| other.subject == issuer);
        certificate.subject == certificate.issuer || !is_there(&certificate.issuer)
    }
}

// === impl RevocationList ===

impl RevocationList {
    /// Reads lists in PEM, or one in DER.
    pub fn read(bytes: &[u8]) -> Result<Vec<Self>, TruststoreFault> {
        const SEQUENCE: u8 = 0x30;
        if bytes.first() == Some(&SEQUENCE) {
            return Ok(vec![Self::of(bytes.to_vec().into(), 1)?]);
        }
        let mut lists = Vec::new();
        for (index, der) in CertificateRevocationListDer::pem_slice_iter(bytes).enumerate() {
            if index == LISTS_MAX {
                return Err(TruststoreFault::TooMany);
            }
            lists.push(Self::of(der.map_err(|_| TruststoreFault::NotPem)?, index + 1)?);
        }
        match lists.is_empty() {
            true => Err(TruststoreFault::Empty),
            false => Ok(lists),
        }
    }

    fn of(der: CertificateRevocationListDer<'static>, number: usize) -> Result<Self, TruststoreFault> {
        let read = CertificateRevocationList::from_der(&der).ok();
        let (_, list) = read
            .filter(|(rest, _)| rest.is_empty())
            .ok_or(TruststoreFault::List(number))?;
        let issuer = name::text(list.issuer());
        let next_update = list.next_update();
        let next_update = next_update.map(|time| Timestamp::from_unix_seconds(time.timestamp()));
        let revoked = list.iter_revoked_certificates().count();
        // The verifier is stricter (delta lists, unknown critical extensions): it is asked now, so that the file is named.
        let mut anchors = RootCertStore::empty();
        anchors.extend(webpki_roots::TLS_SERVER_ROOTS.iter().take(1).cloned()); // it builds nothing without one
        WebPkiClientVerifier::builder_with_provider(Arc::new(anchors), provider())
            .with_crls([der.clone()])
            .build()
            .map_err(|_| TruststoreFault::List(number))?;
        Ok(Self {
            der,
            issuer,
            next_update,
            revoked,
        })
    }
}
