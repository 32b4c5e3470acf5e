//! A listener's TLS: certificates by name, swapped as a whole while connections go on.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, NoServerSessionStorage, ProducesTickets, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, SupportedProtocolVersion};

use super::clients::ClientPolicy;
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
    /// What is asked of clients; nothing where it is `None`.
    pub clients: Option<Arc<ClientPolicy>>,
    /// Names for which something else holds.
    pub domains: Vec<TlsDomain>,
}

/// A name with settings of its own.
#[derive(Clone, Debug)]
pub struct TlsDomain {
    /// `api.example.com` or `*.example.com`, in lower case.
    pub name: String,
    /// Served for it in place of the listener's.
    pub key_pair: Option<Arc<KeyPair>>,
    /// Asked of its clients in place of what the listener asks.
    pub clients: Option<Arc<ClientPolicy>>,
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
    /// Counts changes, so that what was found under earlier settings is looked at again.
    epoch: AtomicU64,
}

/// What is in force.
struct Table {
    default: Site,
    /// By the names of domains that ask something else of their clients.
    domains: ByName<Site>,
    settings: ServerTlsSettings,
}

/// What holds for a name.
#[derive(Clone)]
struct Site {
    config: Arc<ServerConfig>,
    clients: Option<Arc<ClientPolicy>>,
}

/// Something for names and wildcards.
struct ByName<T> {
    exact: HashMap<String, T>,
    /// By what stands behind `*.`.
    wildcard: HashMap<String, T>,
}

/// Certificates by the names that clients ask for.
struct Resolver {
    names: ByName<Vec<Arc<CertifiedKey>>>,
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
            epoch: AtomicU64::new(0),
        })
    }

    /// Puts others in force. Handshakes under way end with those that they began with; the clients of open connections are
    /// looked at anew with their next request.
    pub fn swap(&self, settings: ServerTlsSettings) -> Result<(), TlsSettingsFault> {
        self.table.store(Arc::new(Table::new(settings, &self.tickets)?));
        self.epoch.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// The certificates in force, the default first.
    pub fn key_pairs(&self) -> Vec<Arc<KeyPair>> {
        let table = self.table.load();
        let of_domains = table
            .settings
            .domains
            .iter()
            .filter_map(|domain| domain.key_pair.as_ref());
        table.settings.key_pairs.iter().chain(of_domains).cloned().collect()
    }

    /// What a handshake with a client that asks for `name` goes on with.
    pub(crate) fn config(&self, name: Option<&str>) -> Arc<ServerConfig> {
        Arc::clone(&self.table.load().site(name).config)
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// What is asked of the clients of a name.
    pub(super) fn clients(&self, name: Option<&str>) -> Option<Arc<ClientPolicy>> {
        self.table.load().site(name).clients.clone()
    }

    /// Whether the same is asked of the clients of two names.
    pub(super) fn asks_the_same(&self, name: Option<&str>, other: &str) -> bool {
        let table = self.table.load();
        if table.domains.is_empty() {
            return true;
        }
        let other = other.strip_suffix('.').unwrap_or(other);
        let lower; // hosts are compared without case (RFC 9110 section 4.2.3)
        let other = match other.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => {
                lower = other.to_ascii_lowercase();
                &lower
            }
            false => other,
        };
        match (&table.site(name).clients, &table.site(Some(other)).clients) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        }
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
        let resolver = Arc::new(Resolver::new(&settings));
        let site = |clients: &Option<Arc<ClientPolicy>>| Site::new(&settings, &resolver, clients, tickets);
        let default = site(&settings.clients)?;
        let mut domains = ByName::default();
        for domain in settings.domains.iter().filter(|domain| domain.clients.is_some()) {
            *domains.entry(&domain.name).or_insert_with(|| default.clone()) = site(&domain.clients)?;
        }
        Ok(Self {
            default,
            domains,
            settings,
        })
    }

    fn site(&self, name: Option<&str>) -> &Site {
        name.and_then(|name| self.domains.find(name)).unwrap_or(&self.default)
    }
}

// === impl Site ===

impl Site {
    fn new(
        settings: &ServerTlsSettings,
        resolver: &Arc<Resolver>,
        clients: &Option<Arc<ClientPolicy>>,
        tickets: &Arc<dyn ProducesTickets>,
    ) -> Result<Self, TlsSettingsFault> {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(settings.minimum.and_newer())
            .map_err(|_| TlsSettingsFault::Versions)?;
        let builder = match clients {
            Some(clients) => builder.with_client_cert_verifier(clients.verifier()),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::clone(resolver) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = ApplicationProtocol::offered(settings.http2);
        // Tickets alone: a store on the server would be one more thing that workers share and that grows.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = Arc::clone(tickets);
        // A phone without AES instructions prefers ChaCha20 for its battery's sake: its order counts, all suites are good.
        config.ignore_client_order = false;
        Ok(Self {
            config: Arc::new(config),
            clients: clients.clone(),
        })
    }
}

// === impl ByName ===

impl<T> ByName<T> {
    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.wildcard.is_empty()
    }

    fn entry(&mut self, name: &str) -> Entry<'_, String, T> {
        match name.strip_prefix("*.") {
            Some(rest) => self.wildcard.entry(rest.to_owned()),
            None => self.exact.entry(name.to_owned()),
        }
    }

    /// An exact name before a wildcard, a wildcard for one label only (RFC 6125 section 6.4.3).
    fn find(&self, name: &str) -> Option<&T> {
        let parent = name.split_once('.').map(|(_, parent)| parent);
        let exact = self.exact.get(name);
        exact.or_else(|| self.wildcard.get(parent?))
    }
}

impl<T> Default for ByName<T> {
    fn default() -> Self {
        Self {
            exact: HashMap::new(),
            wildcard: HashMap::new(),
        }
    }
}

/// TLS 1.3's suites and, of TLS 1.2, ECDHE with AES-GCM or ChaCha20-Poly1305: forward secrecy only.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

// === impl Resolver ===

impl Resolver {
    fn new(settings: &ServerTlsSettings) -> Self {
        let mut names: ByName<Vec<Arc<CertifiedKey>>> = ByName::default();
        for pair in &settings.key_pairs {
            for name in &pair.certificate().names {
                names.entry(name).or_default().push(Arc::clone(pair.certified()));
            }
        }
        for domain in &settings.domains {
            if let Some(pair) = &domain.key_pair {
                *names.entry(&domain.name).or_default() = vec![Arc::clone(pair.certified())];
            }
        }
        // Whoever has a second certificate of another kind for the names of the first means both.
        let first = settings.key_pairs.first().map(|pair| &pair.certificate().names);
        let same = settings
            .key_pairs
            .iter()
            .filter(|pair| Some(&pair.certificate().names) == first);
        Self {
            names,
            default: same.map(|pair| Arc::clone(pair.certified())).collect(),
        }
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = hello.server_name().and_then(|name| self.names.find(name));
        let found = named.unwrap_or(&self.default);
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
