//! Whom to call.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use http::uri::Authority;
use rustls::pki_types::ServerName;
use tokio::time::Instant;

use super::error::UpstreamError;
use super::tls::OriginTls;

/// How long the addresses of a name are used without asking again. The system's resolver does not tell us their lifetime.
const ADDRESSES_FRESH: Duration = Duration::from_secs(5);

/// An upstream's address and how to speak to it. Built once per integration; connections are kept per `Origin`.
#[derive(Debug)]
pub struct Origin {
    id: u64,
    host: String,
    port: u16,
    /// What `Host` says: the authority as written, without a port if none was written.
    authority: HeaderValue,
    secure: Option<Secure>,
    connect_timeout: Duration,
    resolved: Mutex<Option<Resolved>>,
}

/// Why an origin cannot be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// It is not `host` or `host:port` with a port from 1 to 65535; user information is refused too.
    #[error("an origin is `host` or `host:port`")]
    AuthorityMalformed,
    /// With TLS, the host must be a DNS name or an IP address.
    #[error("the host is not a DNS name or IP address, as TLS needs it")]
    ServerName,
}

/// What TLS needs to know about one origin.
#[derive(Debug)]
pub(super) struct Secure {
    pub(super) tls: Arc<OriginTls>,
    pub(super) server_name: ServerName<'static>,
}

#[derive(Debug)]
struct Resolved {
    addresses: Arc<[SocketAddr]>,
    until: Instant,
}

// === impl Origin ===

impl Origin {
    /// How long a new connection, TLS included, may take unless told otherwise.
    pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

    /// An origin without TLS: `127.0.0.1:8080`, `origin.internal`, `[::1]:80`. The port is 80 unless given.
    pub fn http(authority: &str) -> Result<Self, OriginError> {
        Self::new(authority, 80)
    }

    /// An origin with TLS. The port is 443 unless given.
    pub fn https(authority: &str, tls: Arc<OriginTls>) -> Result<Self, OriginError> {
        let mut origin = Self::new(authority, 443)?;
        let server_name = match &tls.server_name {
            Some(name) => name.clone(),
            None => ServerName::try_from(origin.host.clone()).map_err(|_| OriginError::ServerName)?,
        };
        origin.secure = Some(Secure { tls, server_name });
        Ok(origin)
    }

    /// Gives connecting, TLS included, another time than [`Self::CONNECT_TIMEOUT`].
    #[must_use]
    pub fn with_connect_timeout(self, timeout: Duration) -> Self {
        Self {
            connect_timeout: timeout,
            ..self
        }
    }

    fn new(text: &str, port: u16) -> Result<Self, OriginError> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        let authority = Authority::try_from(text).map_err(|_| OriginError::AuthorityMalformed)?;
        let host = authority.host();
        // Not `Authority::port`: that takes a port out of range for none.
        let port = match text.strip_prefix(host) {
            Some("") => Some(port),
            Some(rest) => rest.strip_prefix(':').and_then(port_number),
            None => None, // user information stands in front of the host
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let (Some(port), false) = (port, host.is_empty()) else {
            return Err(OriginError::AuthorityMalformed);
        };
        Ok(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            host,
            port,
            authority: HeaderValue::from_str(text).map_err(|_| OriginError::AuthorityMalformed)?,
            secure: None,
            connect_timeout: Self::CONNECT_TIMEOUT,
            resolved: Mutex::new(None),
        })
    }

    /// The authority as written.
    pub fn authority(&self) -> &HeaderValue {
        &self.authority
    }

    /// The host alone, an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether TLS is spoken.
    pub fn is_secure(&self) -> bool {
        self.secure.is_some()
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn secure(&self) -> Option<&Secure> {
        self.secure.as_ref()
    }

    pub(super) fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }

    /// The addresses to try in this order, at least one.
    pub(super) async fn addresses(&self) -> Result<Arc<[SocketAddr]>, UpstreamError> {
        if let Ok(address) = self.host.parse::<IpAddr>() {
            return Ok(Arc::new([SocketAddr::new(address, self.port)]));
        }
        if let Some(addresses) = self.fresh_addresses() {
            return Ok(addresses);
        }
        let found = tokio::net::lookup_host((self.host.as_str(), self.port))
            .await
            .map_err(|_| UpstreamError::Dns)?;
        let addresses: Arc<[SocketAddr]> = found.collect();
        if addresses.is_empty() {
            return Err(UpstreamError::Dns);
        }
        let resolved = Resolved {
            addresses: Arc::clone(&addresses),
            until: Instant::now() + ADDRESSES_FRESH,
        };
        *self.resolved.lock().unwrap_or_else(PoisonError::into_inner) = Some(resolved);
        Ok(addresses)
    }

    fn fresh_addresses(&self) -> Option<Arc<[SocketAddr]>> {
        let resolved = self.resolved.lock().unwrap_or_else(PoisonError::into_inner);
        resolved
            .as_ref()
            .filter(|resolved| Instant::now() < resolved.until)
            .map(|resolved| Arc::clone(&resolved.addresses))
    }
}

/// Digits alone: `str::parse` takes `+80` too.
fn port_number(text: &str) -> Option<u16> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|port| *port != 0)
}
