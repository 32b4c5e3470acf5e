//! Certificates from an ACME server (RFC 8555).
//!
//! The protocol is `instant-acme`'s; its requests travel through our own client, so that they are bounded, verified and
//! logged as everything else that goes out. What stands behind a challenge (a listener, a DNS record) is the caller's: see
//! [`Presenter`].

mod http;

use std::{future::Future, time::Duration};

use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Identifier, NewAccount, NewOrder, OrderStatus,
    RetryPolicy,
};
use portcullis_core::Secret;
use rcgen::{CertificateParams, DistinguishedName, KeyPair};

use crate::{identity::KeyKind, upstream::OriginTls};
use http::Http;

/// How long the server may take to look at the challenges, and then to issue.
const PATIENCE: Duration = Duration::from_secs(120);
/// Names of one certificate at most (the usual limit of public servers).
pub const NAMES_MAX: usize = 100;

/// An account with an ACME server.
pub struct AcmeAccount(Account);

/// How control over a name is proved (RFC 8555 section 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// `http-01`: a text at `http://NAME/.well-known/acme-challenge/TOKEN`. Not for wildcards.
    Http01,
    /// `dns-01`: a TXT record at `_acme-challenge.NAME`.
    Dns01,
}

/// What the server will look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// A text behind a path of the name, port 80.
    Http {
        /// The name.
        name: String,
        /// What follows `/.well-known/acme-challenge/`.
        token: String,
        /// The body to answer with.
        text: String,
    },
    /// A TXT record.
    Dns {
        /// The record's name, `_acme-challenge.example.com`.
        record: String,
        /// Its value.
        value: String,
    },
}

/// Puts up what the server will look for.
pub trait Presenter {
    /// Puts it up; done when the server may look. The text of an error is for people.
    fn present(&self, challenge: &Challenge) -> impl Future<Output = Result<(), String>> + Send;
    /// Takes it down again, whatever came of it.
    fn withdraw(&self, challenge: &Challenge) -> impl Future<Output = ()> + Send;
}

/// What the server issued.
#[derive(Debug)]
pub struct Issued {
    /// The certificate, then those that certify it, as PEM.
    pub chain_pem: String,
    /// The private key as PEM (PKCS#8).
    pub key_pem: Secret,
}

/// Why no certificate was issued.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    /// What was kept of the account cannot be read.
    #[error("what is kept of the account is damaged")]
    Account,
    /// The kept key cannot be used for a certificate.
    #[error("the kept private key cannot be used")]
    Key,
    /// A name cannot be in a certificate.
    #[error("`{0}` cannot stand in a certificate")]
    Name(String),
    /// The server offers no such proof for a name.
    #[error("the server offers no {1} for `{0}`")]
    ProofNotOffered(String, &'static str),
    /// Somebody else's part failed.
    #[error("the challenge for `{0}` could not be put up: {1}")]
    NotPresented(String, String),
    /// The server is not satisfied.
    #[error("the server did not accept the proof: {0}")]
    Refused(String),
    /// The server, or the way to it.
    #[error("{0}")]
    Server(#[from] instant_acme::Error),
}

// === impl AcmeAccount ===

impl AcmeAccount {
    /// Opens an account at `directory` (the URL of the server's directory) from what [`Self::create`] gave.
    pub async fn open(tls: OriginTls, credentials: &Secret) -> Result<Self, AcmeError> {
        let credentials: AccountCredentials =
            serde_json::from_slice(credentials.expose()).map_err(|_| AcmeError::Account)?;
        let builder = Account::builder_with_http(Box::new(Http::new(tls)));
        Ok(Self(builder.from_credentials(credentials).await?))
    }

    /// Makes an account: its owner agrees to the server's terms. Gives what is to be kept, which holds a private key.
    pub async fn create(tls: OriginTls, directory: &str, contacts: &[String]) -> Result<(Self, Secret), AcmeError> {
        let contacts: Vec<&str> = contacts.iter().map(String::as_str).collect();
        let wanted = NewAccount {
            contact: &contacts,
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        let builder = Account::builder_with_http(Box::new(Http::new(tls)));
        let (account, credentials) = builder.create(&wanted, directory.to_owned(), None).await?;
        let kept = serde_json::to_vec(&credentials).map_err(|_| AcmeError::Account)?;
        Ok((Self(account), Secret::new(kept)))
    }

    /// Has a certificate issued for `names`, the first being what people call it. `key` is the PEM of a key to keep, so that
    /// pins stay true; without it a new one of `kind` is made.
    ///
    /// # Errors
    /// Whatever failed; what was presented is withdrawn in any case.
    pub async fn obtain(
        &self,
        names: &[String],
        proof: Proof,
        kind: KeyKind,
        key: Option<&Secret>,
        presenter: &impl Presenter,
    ) -> Result<Issued, AcmeError> {
        let key = match key {
            Some(pem) => std::str::from_utf8(pem.expose())
                .ok()
                .and_then(|pem| KeyPair::from_pem(pem).ok())
                .ok_or(AcmeError::Key)?,
            None => kind.generate().map_err(|_| AcmeError::Key)?,
        };
        let request = request(names, &key)?;
        let mut presented = Vec::new();
        let chain = self.order(names, proof, &request, presenter, &mut presented).await;
        for challenge in &presented {
            presenter.withdraw(challenge).await;
        }
        Ok(Issued {
            chain_pem: chain?,
            key_pem: Secret::new(key.serialize_pem().into_bytes()),
        })
    }

    async fn order(
        &self,
        names: &[String],
        proof: Proof,
        request: &[u8],
        presenter: &impl Presenter,
        presented: &mut Vec<Challenge>,
    ) -> Result<String, AcmeError> {
        let identifiers: Vec<_> = names.iter().map(|name| Identifier::Dns(name.clone())).collect();
        let mut order = self.0.new_order(&NewOrder::new(&identifiers)).await?;
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            if authorization.status == AuthorizationStatus::Valid {
                continue; // proved not long ago
            }
            let name = authorization.identifier().to_string();
            let kind = proof.kind();
            let mut offered = authorization
                .challenge(kind)
                .ok_or_else(|| AcmeError::ProofNotOffered(name.clone(), proof.as_str()))?;
            let answer = offered.key_authorization();
            let challenge = match proof {
                Proof::Http01 => Challenge::Http {
                    name: name.clone(),
                    token: offered.token.clone(),
                    text: answer.as_str().to_owned(),
                },
                Proof::Dns01 => Challenge::Dns {
                    record: format!("_acme-challenge.{}", name.trim_start_matches("*.")),
                    value: answer.dns_value(),
                },
            };
            presented.push(challenge.clone());
            let put_up = presenter.present(&challenge).await;
            put_up.map_err(|reason| AcmeError::NotPresented(name, reason))?;
            offered.set_ready().await?;
        }
        let patience = RetryPolicy::new().timeout(PATIENCE);
        if order.poll_ready(&patience).await? != OrderStatus::Ready {
            return Err(AcmeError::Refused(refusal(&mut order).await));
        }
        order.finalize_csr(request).await?;
        Ok(order.poll_certificate(&patience).await?)
    }
}

// === impl Proof ===

impl Proof {
    /// Its name in RFC 8555.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http01 => "http-01",
            Self::Dns01 => "dns-01",
        }
    }

    fn kind(self) -> ChallengeType {
        match self {
            Self::Http01 => ChallengeType::Http01,
            Self::Dns01 => ChallengeType::Dns01,
        }
    }
}

// === impl Challenge ===

impl Challenge {
    /// What it is about, for people.
    pub fn subject(&self) -> &str {
        match self {
            Self::Http { name, .. } => name,
            Self::Dns { record, .. } => record,
        }
    }
}

/// A certificate signing request (RFC 2986) in DER.
fn request(names: &[String], key: &KeyPair) -> Result<Vec<u8>, AcmeError> {
    let mut params =
        CertificateParams::new(names).map_err(|_| AcmeError::Name(names.first().cloned().unwrap_or_default()))?;
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(key).map_err(|_| AcmeError::Key)?;
    Ok(request.der().to_vec())
}

/// What the server says against the proofs.
async fn refusal(order: &mut instant_acme::Order) -> String {
    let mut authorizations = order.authorizations();
    let mut reasons = Vec::new();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let name = authorization.identifier().to_string();
        if let Ok(state) = authorization.refresh().await {
            let errors = state.challenges.iter().filter_map(|challenge| challenge.error.as_ref());
            reasons.extend(errors.map(|problem| format!("{name}: {problem}")));
        }
    }
    if reasons.is_empty() {
        "it gives no reason".to_owned()
    } else {
        reasons.join("; ")
    }
}
