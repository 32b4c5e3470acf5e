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
        }
    }

    /// Who can do this work. nginx cannot check a token without a module from elsewhere.
    pub(crate) fn peers(self) -> &'static [Peer] {
        match self {
            Self::Plain => &[Peer::Nginx, Peer::Haproxy, Peer::Portcullis],
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
        }
    }

    /// The signature on its tokens.
    pub(crate) fn algorithm(self) -> Option<Algorithm> {
        match self {
            Self::Plain => None,
            Self::TokenHs256 | Self::NewHs256 => Some(Algorithm::HS256),
            Self::TokenRs256 | Self::NewRs256 => Some(Algorithm::RS256),
            Self::TokenEs256 | Self::NewEs256 => Some(Algorithm::ES256),
        }
    }

    /// Whether every request carries a token of its own.
    pub(crate) fn is_new_each_time(self) -> bool {
        matches!(self, Self::NewHs256 | Self::NewRs256 | Self::NewEs256)
    }
}
