//! What a server counts about its connections. Requests are counted by whoever answers them.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::tls::HandshakeFault;

/// Counters of one server over all its listeners and workers. Relaxed: each is exact, but they are not a snapshot.
#[derive(Debug, Default)]
pub struct ServerStats {
    accepted: AtomicU64,
    closed: AtomicU64,
    refused_full: AtomicU64,
    refused_source: AtomicU64,
    refused_proxy_header: AtomicU64,
    accept_errors: AtomicU64,
    faults: AtomicU64,
    timeouts: AtomicU64,
    broken: AtomicU64,
    handshakes_full: AtomicU64,
    handshakes_resumed: AtomicU64,
    handshakes_failed: [AtomicU64; HandshakeFault::ALL.len()],
    http2: AtomicU64,
    floods: AtomicU64,
    shed: AtomicU64,
}

// === impl ServerStats ===

impl ServerStats {
    /// Connections accepted and admitted since the start.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Connections open now.
    pub fn open(&self) -> u64 {
        let closed = self.closed.load(Ordering::Relaxed); // first, so that the difference is never negative
        self.accepted().saturating_sub(closed)
    }

    /// Connections closed at once because the listener had as many as it may.
    pub fn refused_full(&self) -> u64 {
        self.refused_full.load(Ordering::Relaxed)
    }

    /// Connections closed because their source had as many as it may.
    pub fn refused_source(&self) -> u64 {
        self.refused_source.load(Ordering::Relaxed)
    }

    /// Connections closed because they did not begin with an acceptable PROXY header from a trusted network.
    pub fn refused_proxy_header(&self) -> u64 {
        self.refused_proxy_header.load(Ordering::Relaxed)
    }

    /// Errors of `accept` itself, above all too many open files.
    pub fn accept_errors(&self) -> u64 {
        self.accept_errors.load(Ordering::Relaxed)
    }

    /// Heads that were refused.
    pub fn faults(&self) -> u64 {
        self.faults.load(Ordering::Relaxed)
    }

    /// Answers that were given up because the client took none of their bytes for too long.
    pub fn timeouts(&self) -> u64 {
        self.timeouts.load(Ordering::Relaxed)
    }

    /// Answers that broke off because their body did.
    pub fn broken(&self) -> u64 {
        self.broken.load(Ordering::Relaxed)
    }

    /// TLS handshakes that began a new session.
    pub fn handshakes_full(&self) -> u64 {
        self.handshakes_full.load(Ordering::Relaxed)
    }

    /// TLS handshakes that resumed an earlier session.
    pub fn handshakes_resumed(&self) -> u64 {
        self.handshakes_resumed.load(Ordering::Relaxed)
    }

    /// TLS handshakes that failed for this reason.
    pub fn handshakes_failed(&self, fault: HandshakeFault) -> u64 {
        self.handshakes_failed[fault as usize].load(Ordering::Relaxed)
    }

    pub(super) fn count_handshake(&self, is_resumed: bool) {
        let count = if is_resumed {
            &self.handshakes_resumed
        } else {
            &self.handshakes_full
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_handshake_failed(&self, fault: HandshakeFault) {
        self.handshakes_failed[fault as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Connections that have spoken HTTP/2.
    pub fn http2(&self) -> u64 {
        self.http2.load(Ordering::Relaxed)
    }

    /// HTTP/2 connections ended because they cost more than requests do: floods of resets, pings, settings and the like.
    pub fn floods(&self) -> u64 {
        self.floods.load(Ordering::Relaxed)
    }

    /// Requests that were refused because too much was under way.
    pub fn shed(&self) -> u64 {
        self.shed.load(Ordering::Relaxed)
    }

    pub(super) fn count_shed(&self) {
        self.shed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_accepted(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_closed(&self) {
        self.closed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_refused_full(&self) {
        self.refused_full.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_refused_source(&self) {
        self.refused_source.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_refused_proxy_header(&self) {
        self.refused_proxy_header.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_accept_error(&self) {
        self.accept_errors.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_fault(&self) {
        self.faults.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_timeout(&self) {
        self.timeouts.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_broken(&self) {
        self.broken.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_http2(&self) {
        self.http2.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_flood(&self) {
        self.floods.fetch_add(1, Ordering::Relaxed);
    }
}
