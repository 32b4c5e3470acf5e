//! What a handshake has found out, and whether it still holds.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_core::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::{HandshakeKind, ServerConnection};

use super::certificate::Certificate;
use super::clients::{ClientCertificateFault, FOREVER};
use super::server::{ServerTls, TlsVersion};

/// What is known of an encrypted connection.
#[derive(Debug)]
pub struct TlsFacts {
    /// The protocol version.
    pub version: TlsVersion,
    /// The cipher suite by its IANA name: `TLS13_AES_256_GCM_SHA384`.
    pub cipher_suite: &'static str,
    /// The name that the client asked for (SNI), in lower case.
    pub server_name: Option<Box<str>>,
    /// What was agreed on by ALPN; HTTP/1.1 where the client said nothing.
    pub protocol: ApplicationProtocol,
    /// Whether an earlier session was resumed.
    pub is_resumed: bool,
    /// The certificate that the client has shown and proved to hold the key of.
    pub client: Option<ClientCertificate>,
    standing: Standing,
}

/// A client's certificate.
pub struct ClientCertificate {
    chain: Vec<CertificateDer<'static>>,
    certificate: Certificate,
}

/// What is spoken inside TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplicationProtocol {
    /// HTTP/1.1 (or 1.0).
    Http1,
    /// HTTP/2.
    Http2,
}

/// The last verdict over the client, and how long it lasts. Written by the connection's own thread.
struct Standing {
    server: Arc<ServerTls>,
    /// The settings that it was made under.
    epoch: AtomicU64,
    /// Until then, in seconds.
    good_until_s: AtomicI64,
    /// 0, or the fault's number.
    fault: AtomicU8,
}

// === impl TlsFacts ===

impl TlsFacts {
    /// Of a connection whose handshake is done. The client's standing is not yet known.
    pub(crate) fn of(connection: &ServerConnection, server: &Arc<ServerTls>) -> Option<Self> {
        let version = match connection.protocol_version()? {
            rustls::ProtocolVersion::TLSv1_2 => TlsVersion::Tls12,
            rustls::ProtocolVersion::TLSv1_3 => TlsVersion::Tls13,
            _ => return None,
        };
        let suite = connection.negotiated_cipher_suite()?.suite();
        let client = match connection.peer_certificates() {
            Some(chain) => Some(ClientCertificate::read(chain)?),
            None => None,
        };
        Some(Self {
            version,
            cipher_suite: suite.as_str().unwrap_or("-"),
            server_name: connection.server_name().map(Into::into),
            protocol: ApplicationProtocol::of(connection.alpn_protocol()),
            is_resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
            client,
            standing: Standing::unknown(server),
        })
    }

    /// Whether the client is let in at `now`: its certificate is within its time, not revoked, and of a trusted issuer, or
    /// none is required.
    ///
    /// To be asked for every request. It costs two comparisons, unless settings have changed (a revocation list was replaced)
    /// or something has come to its end: then the chain is verified anew.
    pub fn client_standing(&self, now: Timestamp) -> Result<(), ClientCertificateFault> {
        let standing = &self.standing;
        let epoch = standing.server.epoch();
        let is_known = standing.epoch.load(Ordering::Relaxed) == epoch
            && now.unix_seconds() <= standing.good_until_s.load(Ordering::Relaxed);
        if !is_known {
            let verdict = self.judge(now);
            let (fault, good_until) = match verdict {
                Ok(good_until) => (0, good_until.unix_seconds()),
                // Asked again with the next second: a clock or a file may be mended.
                Err(fault) => (fault as u8, now.unix_seconds()),
            };
            standing.fault.store(fault, Ordering::Relaxed);
            standing.good_until_s.store(good_until, Ordering::Relaxed);
            standing.epoch.store(epoch, Ordering::Relaxed);
        }
        let number = standing.fault.load(Ordering::Relaxed);
        let fault = ClientCertificateFault::ALL
            .into_iter()
            .find(|fault| *fault as u8 == number);
        fault.map_or(Ok(()), Err)
    }

    /// Whether a request for `host` may come over this connection: the same is asked of its clients as of this one. A request
    /// that may not is misdirected (RFC 9110 section 15.5.20).
    pub fn admits(&self, host: &str) -> bool {
        self.standing.server.asks_the_same(self.server_name.as_deref(), host)
    }

    fn judge(&self, now: Timestamp) -> Result<Timestamp, ClientCertificateFault> {
        let Some(policy) = self.standing.server.clients(self.server_name.as_deref()) else {
            return Ok(FOREVER);
        };
        let chain = self.client.as_ref().map_or(&[][..], |client| &client.chain);
        policy.verify(chain, now)
    }
}

// === impl ClientCertificate ===

impl ClientCertificate {
    fn read(chain: &[CertificateDer<'_>]) -> Option<Self> {
        Some(Self {
            certificate: Certificate::read(chain.first()?).ok()?,
            chain: chain.iter().map(|der| der.clone().into_owned()).collect(),
        })
    }

    /// What it says.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// It and what the client has sent behind it, in DER.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// It in PEM, as `$context.identity.clientCert.clientCertPem` has it.
    pub fn to_pem(&self) -> String {
        const LINE_CHARS: usize = 64; // RFC 7468 section 2
        let encoded = STANDARD.encode(self.chain.first().map_or(&[][..], |der| der.as_ref()));
        let mut pem = String::with_capacity(encoded.len() + encoded.len() / LINE_CHARS + 64);
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        let mut rest = encoded.as_str();
        while !rest.is_empty() {
            let (line, after) = rest.split_at(rest.len().min(LINE_CHARS));
            pem.push_str(line);
            pem.push('\n');
            rest = after;
        }
        pem.push_str("-----END CERTIFICATE-----");
        pem
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ClientCertificate")
            .field("subject", &self.certificate.subject)
            .finish_non_exhaustive()
    }
}

// === impl ApplicationProtocol ===

impl ApplicationProtocol {
    /// What the server offers, the best first: the one place that says so (RFC 7301: never offer what we do not speak).
    pub(super) fn offered(http2: bool) -> Vec<Vec<u8>> {
        let h2 = http2.then(|| b"h2".to_vec());
        h2.into_iter().chain([b"http/1.1".to_vec()]).collect()
    }

    fn of(alpn: Option<&[u8]>) -> Self {
        match alpn {
            Some(b"h2") => Self::Http2,
            _ => Self::Http1,
        }
    }
}

// === impl Standing ===

impl Standing {
    fn unknown(server: &Arc<ServerTls>) -> Self {
        Self {
            server: Arc::clone(server),
            epoch: AtomicU64::new(u64::MAX),
            good_until_s: AtomicI64::new(i64::MIN),
            fault: AtomicU8::new(0),
        }
    }
}

impl fmt::Debug for Standing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Standing").finish_non_exhaustive()
    }
}
