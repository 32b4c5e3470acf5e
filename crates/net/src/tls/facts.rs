//! What a handshake has found out.

use rustls::{HandshakeKind, ServerConnection};

use super::server::TlsVersion;

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
}

/// What is spoken inside TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplicationProtocol {
    /// HTTP/1.1 (or 1.0).
    Http1,
    /// HTTP/2.
    Http2,
}

// === impl ApplicationProtocol ===

impl ApplicationProtocol {
    /// What the server offers, the best first: the one place that says so (RFC 7301: never offer what we do not speak).
    pub(super) fn offered(http2: bool) -> Vec<Vec<u8>> {
        let h2 = http2.then(|| b"h2".to_vec());
        h2.into_iter().chain([b"http/1.1".to_vec()]).collect()
    }

    pub(super) fn of(alpn: Option<&[u8]>) -> Self {
        match alpn {
            Some(b"h2") => Self::Http2,
            _ => Self::Http1,
        }
    }
}

// === impl TlsFacts ===

impl TlsFacts {
    /// Of a connection whose handshake is done.
    pub(crate) fn of(connection: &ServerConnection) -> Option<Self> {
        let version = match connection.protocol_version()? {
            rustls::ProtocolVersion::TLSv1_2 => TlsVersion::Tls12,
            rustls::ProtocolVersion::TLSv1_3 => TlsVersion::Tls13,
            _ => return None,
        };
        let suite = connection.negotiated_cipher_suite()?.suite();
        Some(Self {
            version,
            cipher_suite: suite.as_str().unwrap_or("-"),
            server_name: connection.server_name().map(Into::into),
            protocol: ApplicationProtocol::of(connection.alpn_protocol()),
            is_resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
        })
    }
}
