//! What a server is given to answer with.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::Request;

use super::request_body::RequestBody;
use crate::http1::{FramingFault, HeadFault};
use crate::reply::Reply;
use crate::tls::TlsFacts;

/// Answers requests. Each worker has its own, so what it holds needs no lock that is ever contended.
///
/// Of a response the server itself decides `Connection`, `Keep-Alive`, `Transfer-Encoding`, and `Content-Length` (but for HEAD and
/// 304, where the given one stands); it adds `Date` when there is none. Everything else goes out as given.
pub trait Handler: Send + Sync + 'static {
    /// What becomes of an answer.
    type Receipt: Receipt;

    /// Answers one request. The future runs in the connection's task and is dropped when the server is cut off; it is not
    /// dropped when the client goes away, because the client may have closed its sending side alone.
    fn call(&self, request: Request<RequestBody>, peer: &Peer) -> impl Future<Output = (Reply, Self::Receipt)> + Send;

    /// The answer to what could not be read as a request, and the connection is closed behind it; or to one too many.
    fn refuse(&self, fault: Fault, peer: &Peer) -> (Reply, Self::Receipt);
}

/// Told what became of an answer.
pub trait Receipt: Send {
    /// Called exactly once: when the last byte was handed to the system, or when it became clear that it never will be.
    fn finished(self, sent: Sent);
}

/// How much of an answer went out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Bytes of the body without its framing (in both directions of a tunnel: to the client). A broken answer counts what
    /// was flushed before it broke.
    pub body_bytes: u64,
    /// Whether the whole answer was handed to the system.
    pub complete: bool,
}

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The address that called, as the PROXY protocol or else the socket says; never an IPv4 address mapped into IPv6.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// The address that was called.
    pub local: SocketAddr,
    /// The listener's index in [`super::ServerSettings::listeners`].
    pub listener: usize,
    /// Whether the connection is encrypted.
    pub secure: bool,
    /// What the handshake has found out, where it was this server's.
    pub tls: Option<Arc<TlsFacts>>,
}

/// Why a request is refused before a handler has seen it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Where its body ends is not certain (400).
    #[error(transparent)]
    Framing(#[from] FramingFault),
    /// It is malformed or too large (400, 414, 431).
    #[error(transparent)]
    Head(#[from] HeadFault),
    /// It began but did not end in time (408).
    #[error("the head did not arrive in time")]
    HeadTimeout,
    /// Nothing is wrong with it, but too much is under way already (503).
    #[error("too many requests are under way")]
    Overloaded,
}
