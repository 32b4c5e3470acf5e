//! Counting what is open per source: connections of an address.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

/// So that cores that accept at the same time rarely meet at one lock.
const SHARDS: usize = 16;

/// How much may be open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceLimits {
    /// Of one source.
    pub per_source_max: usize,
    /// In all. Bounds the memory of the counts too: a source with nothing open is forgotten.
    pub total_max: usize,
}

/// What is open in all and per source; exact over all threads.
///
/// A source is an IPv4 address or the /64 network of an IPv6 address, for a single host is given that much. An IPv4 address
/// written as IPv6 (RFC 4291 section 2.5.5.2) is the IPv4 address.
#[derive(Debug)]
pub struct SourceCounts {
    limits: SourceLimits,
    open: AtomicUsize,
    shards: [Mutex<HashMap<IpAddr, usize>>; SHARDS],
    /// Keyed at random, so that nobody can choose addresses that share a shard.
    hasher: RandomState,
}

/// One place taken; dropping it gives it back.
#[derive(Debug)]
#[must_use = "dropping the guard gives the place back"]
pub struct SourceGuard {
    counts: Arc<SourceCounts>,
    source: IpAddr,
}

// === impl SourceCounts ===

impl SourceCounts {
    /// Nothing open yet.
    pub fn new(limits: SourceLimits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            open: AtomicUsize::new(0),
            shards: Default::default(),
            hasher: RandomState::new(),
        })
    }

    /// Takes a place for a source; `None` when it has its share or all places are taken.
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Option<SourceGuard> {
        if self.limits.per_source_max == 0 {
            return None;
        }
        let below_max = |open: usize| (open < self.limits.total_max).then_some(open + 1);
        self.open
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, below_max)
            .ok()?;
        let source = network(address);
        let mut shard = self.shard(source);
        let count = shard.entry(source).or_insert(0);
        // An entry that was just made counts 0, so that it is never left behind by this refusal.
        if *count >= self.limits.per_source_max {
            drop(shard);
            self.open.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        *count += 1;
        drop(shard);
        Some(SourceGuard {
            counts: Arc::clone(self),
            source,
        })
    }

    /// Places taken now.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Sources with a place now.
    pub fn sources(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    fn shard(&self, source: IpAddr) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        lock(&self.shards[self.hasher.hash_one(source) as usize % SHARDS])
    }
}

// === impl SourceGuard ===

impl Drop for SourceGuard {
    fn drop(&mut self) {
        let mut shard = self.counts.shard(self.source);
        if let Some(count) = shard.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                shard.remove(&self.source);
            }
        }
        drop(shard);
        self.counts.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A count is whole at every point where a thread may panic, so that a poisoned lock is as good as any.
fn lock(shard: &Mutex<HashMap<IpAddr, usize>>) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests;
