//! What one listener allows its clients.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::http1::HeadLimits;
use crate::tls::ServerTls;

/// One address to listen on and the limits of its connections.
#[derive(Clone, Debug)]
pub struct ListenerSettings {
    /// Port 0 takes a free one; [`crate::server::Server::local_addresses`] says which.
    pub address: SocketAddr,
    /// Whether a load balancer tells the client's address in front of each connection.
    pub proxy_protocol: ProxyProtocol,
    /// TLS, where it is spoken.
    pub tls: Option<Arc<ServerTls>>,
    /// From a connection's first byte to the end of its TLS handshake.
    pub handshake_timeout: Duration,
    /// TLS handshakes under way over all workers; one more is closed as soon as it is accepted.
    pub handshakes_max: usize,
    /// Whether HTTP/2 is spoken.
    pub http2: Http2,
    /// Requests of one HTTP/2 connection under way at once; more are refused (REFUSED_STREAM).
    pub http2_streams_max: u32,
    /// Requests under way in one worker at once; one more is answered 503 at once.
    pub requests_in_flight_max: usize,
    /// Open connections over all workers; one more is closed as soon as it is accepted.
    pub connections_max: usize,
    /// Open connections of one client address over all workers. An IPv6 client is its /64 network.
    pub connections_per_source_max: usize,
    /// The request line in bytes: 414 when longer.
    pub line_bytes_max: usize,
    /// All header fields together in bytes: 431 when more.
    pub fields_bytes_max: usize,
    /// The body of one request in bytes: [`crate::BodyError::TooLarge`] when more.
    pub body_bytes_max: u64,
    /// From a head's first byte to its last; also for the whole PROXY protocol header.
    pub head_timeout: Duration,
    /// How long a connection may rest before its first byte and between requests.
    pub idle_timeout: Duration,
    /// How long a request body may make no progress while someone waits for it.
    pub body_idle_timeout: Duration,
    /// How long a client may take no byte of its answer.
    pub write_idle_timeout: Duration,
    /// How long an upgraded connection may be silent in both directions.
    pub tunnel_idle_timeout: Duration,
}

/// How a client comes to speak HTTP/2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Http2 {
    /// It does not.
    Off,
    /// By TLS's negotiation (ALPN); never without TLS.
    #[default]
    Negotiated,
    /// Also without TLS, by beginning with HTTP/2's preface (RFC 9113 section 3.3): for load balancers that speak it to the gateway.
    PriorKnowledge,
}

/// The PROXY protocol, version 2 (version 1, the textual one, is refused).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// Connections begin with HTTP.
    #[default]
    Off,
    /// Every connection begins with a header, and comes from one of these networks; others are closed.
    Required {
        /// The load balancers' networks.
        from: Vec<IpNet>,
    },
}

// === impl ListenerSettings ===

impl ListenerSettings {
    /// The defaults for `address`: what an API behind Amazon API Gateway is used to, and times that slow clients can keep.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            proxy_protocol: ProxyProtocol::Off,
            tls: None,
            handshake_timeout: Duration::from_secs(10),
            handshakes_max: 1_000,
            http2: Http2::Negotiated,
            http2_streams_max: 100,
            requests_in_flight_max: 4_096,
            connections_max: 10_000,
            connections_per_source_max: 1_000,
            line_bytes_max: 10_240,
            fields_bytes_max: 10_240,
            body_bytes_max: 10 * 1024 * 1024,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            body_idle_timeout: Duration::from_secs(15),
            write_idle_timeout: Duration::from_secs(30),
            tunnel_idle_timeout: Duration::from_secs(600),
        }
    }

    pub(crate) fn head_limits(&self) -> HeadLimits {
        HeadLimits {
            line_bytes_max: self.line_bytes_max,
            fields_bytes_max: self.fields_bytes_max,
        }
    }
}
