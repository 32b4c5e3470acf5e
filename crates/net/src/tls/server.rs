//! A listener's TLS: certificates by name, swapped as a whole while connections go on.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, NoServerSessionStorage, ProducesTickets, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, SupportedProtocolVersion};

use super::facts::ApplicationProtocol;
use super::key_pair::KeyPair;

/// A protocol version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246), with ECDHE and AEAD ciphers only.
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

/// What a listener offers.
#[derive(Clone, Debug)]
pub struct ServerTlsSettings {
    /// The lowest version that is spoken.
    pub minimum: TlsVersion,
    /// One at least. The first is for clients that ask for no name, or for one that none of them has.
    pub key_pairs: Vec<Arc<KeyPair>>,
    /// Whether HTTP/2 is offered beside HTTP/1.1.
    pub http2: bool,
}

/// Why TLS cannot be set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsSettingsFault {
    /// There is no certificate.
    #[error("there is no certificate")]
    NoCertificate,
    /// The system gives no random bytes for the keys of session tickets.
    #[error("no keys for session tickets can be made")]
    Tickets,
    /// The cryptographic library has not the versions.
    #[error("the protocol versions are not available")]
    Versions,
}

/// TLS of one listener, shared by its workers.
pub struct ServerTls {
    table: ArcSwap<Table>,
    /// Kept over changes, so that sessions can be resumed behind them; the keys change every few hours by themselves.
    tickets: Arc<dyn ProducesTickets>,
}

/// What is in force.
struct Table {
    config: Arc<ServerConfig>,
    settings: ServerTlsSettings,
}

/// Certificates by the names that clients ask for.
struct Resolver {
    exact: HashMap<String, Vec<Arc<CertifiedKey>>>,
    /// By what stands behind `*.`.
    wildcard: HashMap<String, Vec<Arc<CertifiedKey>>>,
    default: Vec<Arc<CertifiedKey>>,
}

// === impl TlsVersion ===

impl TlsVersion {
    /// As OpenSSL and nginx write it: `TLSv1.3`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tls12 => "TLSv1.2",
            Self::Tls13 => "TLSv1.3",
        }
    }

    fn and_newer(self) -> &'static [&'static SupportedProtocolVersion] {
        const BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];
        const LAST: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
        match self {
            Self::Tls12 => BOTH,
            Self::Tls13 => LAST,
        }
    }
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

// === impl ServerTls ===

impl ServerTls {
    /// With these settings in force.
    pub fn new(settings: ServerTlsSettings) -> Result<Self, TlsSettingsFault> {
        let tickets = rustls::crypto::aws_lc_rs::Ticketer::new().map_err(|_| TlsSettingsFault::Tickets)?;
        let table = Table::new(settings, &tickets)?;
        Ok(Self {
            table: ArcSwap::from_pointee(table),
            tickets,
        })
    }

    /// Puts others in force. Handshakes under way end with those that they began with.
    pub fn swap(&self, settings: ServerTlsSettings) -> Result<(), TlsSettingsFault> {
        self.table.store(Arc::new(Table::new(settings, &self.tickets)?));
        Ok(())
    }

    /// The certificates in force, the default first.
    pub fn key_pairs(&self) -> Vec<Arc<KeyPair>> {
        self.table.load().settings.key_pairs.clone()
    }

    /// What a handshake that begins like this goes on with.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.table.load().config)
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ServerTls").finish_non_exhaustive()
    }
}

// === impl Table ===

impl Table {
    fn new(settings: ServerTlsSettings, tickets: &Arc<dyn ProducesTickets>) -> Result<Self, TlsSettingsFault> {
        if settings.key_pairs.is_empty() {
            return Err(TlsSettingsFault::NoCertificate);
        }
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(settings.minimum.and_newer())
            .map_err(|_| TlsSettingsFault::Versions)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Resolver::new(&settings.key_pairs)));
        config.alpn_protocols = ApplicationProtocol::offered(settings.http2);
        // Tickets alone: a store on the server would be one more thing that workers share and that grows.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = Arc::clone(tickets);
        // A phone without AES instructions prefers ChaCha20 for its battery's sake: its order counts, all suites are good.
        config.ignore_client_order = false;
        Ok(Self {
            config: Arc::new(config),
            settings,
        })
    }
}

/// TLS 1.3's suites and, of TLS 1.2, ECDHE with AES-GCM or ChaCha20-Poly1305: forward secrecy only.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

// === impl Resolver ===

impl Resolver {
    fn new(key_pairs: &[Arc<KeyPair>]) -> Self {
        let mut resolver = Self {
            exact: HashMap::new(),
            wildcard: HashMap::new(),
            default: Vec::new(),
        };
        for pair in key_pairs {
            for name in &pair.certificate().names {
                resolver.add(name, pair);
            }
        }
        if let Some(first) = key_pairs.first() {
            // Whoever has a second certificate of another kind for the same names means both.
            let names = &first.certificate().names;
            let same = key_pairs.iter().filter(|pair| pair.certificate().names == *names);
            resolver.default = same.map(|pair| Arc::clone(pair.certified())).collect();
        }
        resolver
    }

    fn add(&mut self, name: &str, pair: &KeyPair) {
        let (names, name) = match name.strip_prefix("*.") {
            Some(rest) => (&mut self.wildcard, rest),
            None => (&mut self.exact, name),
        };
        names
            .entry(name.to_owned())
            .or_default()
            .push(Arc::clone(pair.certified()));
    }

    /// An exact name before a wildcard, a wildcard for one label only (RFC 6125 section 6.4.3), else the default.
    fn find(&self, name: Option<&str>) -> &[Arc<CertifiedKey>] {
        let Some(name) = name else { return &self.default };
        if let Some(found) = self.exact.get(name) {
            return found;
        }
        let parent = name.split_once('.').map(|(_, parent)| parent);
        parent
            .and_then(|parent| self.wildcard.get(parent))
            .unwrap_or(&self.default)
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let found = self.find(hello.server_name());
        let schemes = hello.signature_schemes();
        let fitting = found.iter().find(|pair| pair.key.choose_scheme(schemes).is_some());
        fitting.or(found.first()).cloned()
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Resolver").finish_non_exhaustive()
    }
}
