//! What a client has done, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one [`Client`](super::Client) since its start, and one gauge. Read them at any time from any thread; each is exact,
/// together they are not a snapshot.
#[derive(Debug, Default)]
pub struct UpstreamStats {
    opened: AtomicU64,
    reused: AtomicU64,
    failed: AtomicU64,
    stale: AtomicU64,
    retried: AtomicU64,
    idle: AtomicU64,
}

// === impl UpstreamStats ===

impl UpstreamStats {
    /// Connections opened, TLS included.
    pub fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// Times a kept connection was used again.
    pub fn reused(&self) -> u64 {
        self.reused.load(Ordering::Relaxed)
    }

    /// Connections that could not be opened.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Kept connections found closed, dirty or past their time.
    pub fn stale(&self) -> u64 {
        self.stale.load(Ordering::Relaxed)
    }

    /// Requests sent a second time.
    pub fn retried(&self) -> u64 {
        self.retried.load(Ordering::Relaxed)
    }

    /// Connections kept now.
    pub fn idle(&self) -> u64 {
        self.idle.load(Ordering::Relaxed)
    }

    pub(super) fn count_opened(&self) {
        self.opened.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_reused(&self) {
        self.reused.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_stale(&self, connections: usize) {
        self.stale.fetch_add(connections as u64, Ordering::Relaxed);
    }

    pub(super) fn count_retried(&self) {
        self.retried.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn set_idle(&self, connections: usize) {
        self.idle.store(connections as u64, Ordering::Relaxed);
    }
}
