//! The rows of the table and who takes part in them.

use clap::ValueEnum;
use portcullis_jose::Algorithm;

/// A proxy under measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Peer {
    /// nginx with one worker.
    Nginx,
    /// HAProxy with one thread.
    Haproxy,
    /// The gateway with one worker.
    Portcullis,
}

/// Work to be done for every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Row {
    /// Reverse proxy; the gateway with its route, throttle, metrics and access log.
    Plain,
    /// HS256, policy, throttle, JSON log; each connection keeps its token.
    TokenHs256,
    /// The same with RS256.
    TokenRs256,
    /// The same with ES256.
    TokenEs256,
    /// HS256, every token new.
    NewHs256,
    /// RS256, every token new.
    NewRs256,
    /// ES256, every token new.
    NewEs256,
    /// An answer from the response cache to who holds a token (HS256).
    CacheHit,
    /// As plain, over TLS 1.3 connections that are kept.
    Tls,
    /// As that, over HTTP/2.
    Http2,
    /// A TLS 1.3 connection for each request, with a full handshake.
    Handshake,
    /// The same with the client's certificate demanded and verified.
    MutualHandshake,
    /// A TLS 1.3 connection for each request, resumed by a ticket.
    Resumption,
}

/// How requests travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// HTTP/1.1 over TCP.
    Plain,
    /// HTTP/1.1 over TLS 1.3.
    Tls,
    /// HTTP/2 over TLS 1.3.
    Http2,
}

// === impl Peer ===

impl Peer {
    /// As people write it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
            Self::Portcullis => "Portcullis",
        }
    }
}

// === impl Row ===

impl Row {
    /// As the table says it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::TokenHs256 => "token (HS256), policy, throttle, JSON log",
            Self::TokenRs256 => "the same, RS256 seen before",
            Self::TokenEs256 => "the same, ES256 seen before",
            Self::NewHs256 => "the same, HS256 never seen before",
            Self::NewRs256 => "the same, RS256 never seen before",
            Self::NewEs256 => "the same, ES256 never seen before",
            Self::CacheHit => "response cache hit, authorised (others: plain)",
            Self::Tls => "plain, TLS 1.3 kept alive",
            Self::Http2 => "plain, HTTP/2 over TLS 1.3",
            Self::Handshake => "full TLS 1.3 handshake and a request",
            Self::MutualHandshake => "full mutual TLS 1.3 handshake and a request",
            Self::Resumption => "resumed TLS 1.3 handshake and a request",
        }
    }

    /// Who can do this work. nginx cannot check a token without a module from elsewhere.
    pub(crate) fn peers(self) -> &'static [Peer] {
        match self {
            Self::Plain | Self::Tls | Self::Http2 | Self::Handshake | Self::MutualHandshake | Self::Resumption => {
                &[Peer::Nginx, Peer::Haproxy, Peer::Portcullis]
            }
            _ => &[Peer::Haproxy, Peer::Portcullis],
        }
    }

    /// Against whom the ratio counts and what it shall be at most, where there is an aim.
    pub(crate) fn aim(self) -> Option<(Peer, f64)> {
        match self {
            Self::Plain => Some((Peer::Nginx, 1.0)),
            Self::TokenHs256 => Some((Peer::Haproxy, 0.55)),
            Self::TokenRs256 | Self::TokenEs256 => Some((Peer::Haproxy, 0.3)),
            Self::NewHs256 => None,
            Self::NewRs256 => Some((Peer::Haproxy, 0.65)),
            Self::NewEs256 => Some((Peer::Haproxy, 0.8)),
            Self::CacheHit => Some((Peer::Haproxy, 0.7)),
            Self::Tls | Self::Http2 => Some((Peer::Nginx, 0.9)),
            Self::MutualHandshake => Some((Peer::Nginx, 0.45)),
            Self::Handshake | Self::Resumption => None,
        }
    }

    /// The signature on its tokens.
    pub(crate) fn algorithm(self) -> Option<Algorithm> {
        match self {
            Self::Plain | Self::Tls | Self::Http2 | Self::Handshake | Self::MutualHandshake | Self::Resumption => None,
            Self::TokenHs256 | Self::NewHs256 | Self::CacheHit => Some(Algorithm::HS256),
            Self::TokenRs256 | Self::NewRs256 => Some(Algorithm::RS256),
            Self::TokenEs256 | Self::NewEs256 => Some(Algorithm::ES256),
        }
    }

    /// Whether a peer checks tokens in this row. A cache hit of the gateway's stands against a proxy that asks nobody.
    pub(crate) fn checks_tokens(self, peer: Peer) -> bool {
        self.algorithm().is_some() && !(self == Self::CacheHit && peer != Peer::Portcullis)
    }

    /// How its requests travel.
    pub(crate) fn way(self) -> Way {
        match self {
            Self::Tls | Self::Handshake | Self::MutualHandshake | Self::Resumption => Way::Tls,
            Self::Http2 => Way::Http2,
            _ => Way::Plain,
        }
    }

    /// Whether every request has a connection of its own.
    pub(crate) fn connects_each_time(self) -> bool {
        matches!(self, Self::Handshake | Self::MutualHandshake | Self::Resumption)
    }

    /// Whether the client proves who it is by a certificate.
    pub(crate) fn is_mutual(self) -> bool {
        self == Self::MutualHandshake
    }

    /// Whether sessions are resumed.
    pub(crate) fn resumes(self) -> bool {
        self == Self::Resumption
    }

    /// Whether every request carries a token of its own.
    pub(crate) fn is_new_each_time(self) -> bool {
        matches!(self, Self::NewHs256 | Self::NewRs256 | Self::NewEs256)
    }
}
