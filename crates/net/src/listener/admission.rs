//! Counting connections: in all, and per source. Touched when a connection opens and closes, never by a request.

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// So that workers that accept at the same time rarely meet at one lock.
const SHARDS: usize = 16;

/// The counts of one listener over all its workers; exact.
pub(crate) struct Admission {
    connections_max: usize,
    per_source_max: usize,
    open: AtomicUsize,
    sources: [Mutex<HashMap<IpAddr, usize>>; SHARDS],
    /// Keyed, so that nobody can choose addresses that share a shard.
    hasher: RandomState,
}

/// One admitted connection; dropping it gives its place back.
pub(crate) struct Permit {
    admission: Arc<Admission>,
    source: Option<IpAddr>,
}

// === impl Admission ===

impl Admission {
    pub(crate) fn new(connections_max: usize, per_source_max: usize) -> Arc<Self> {
        Arc::new(Self {
            connections_max,
            per_source_max,
            open: AtomicUsize::new(0),
            sources: Default::default(),
            hasher: RandomState::new(),
        })
    }

    /// A place for one more connection, `None` when all are taken.
    pub(crate) fn admit(self: &Arc<Self>) -> Option<Permit> {
        if self.open.fetch_add(1, Ordering::Relaxed) >= self.connections_max {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Permit {
            admission: Arc::clone(self),
            source: None,
        })
    }

    fn shard(&self, source: IpAddr) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        let index = self.hasher.hash_one(source) as usize % SHARDS;
        self.sources[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Permit ===

impl Permit {
    /// Charges the connection to its source as well; `None` (and the place is free again) when the source has its share.
    ///
    /// A step of its own, because behind the PROXY protocol the source is only known once its header was read.
    pub(crate) fn charge(mut self, source: IpAddr) -> Option<Self> {
        let source = network(source);
        let mut shard = self.admission.shard(source);
        let count = shard.entry(source).or_insert(0);
        if *count >= self.admission.per_source_max {
            if *count == 0 {
                shard.remove(&source);
            }
            return None;
        }
        *count += 1;
        drop(shard);
        self.source = Some(source);
        Some(self)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.admission.open.fetch_sub(1, Ordering::Relaxed);
        let Some(source) = self.source else { return };
        if let Entry::Occupied(mut count) = self.admission.shard(source).entry(source) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// What counts as one source: whoever has one IPv6 address has the 2^64 around it too.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn counts_all_and_each_source() {
        let admission = Admission::new(3, 2);
        let first = admission.admit().unwrap().charge(address("192.0.2.1")).unwrap();
        let second = admission.admit().unwrap().charge(address("::ffff:192.0.2.1")).unwrap();
        assert!(
            admission.admit().unwrap().charge(address("192.0.2.1")).is_none(),
            "the source has two"
        );
        let third = admission.admit().unwrap().charge(address("192.0.2.2")).unwrap();
        assert!(admission.admit().is_none(), "three are open");
        drop(first);
        let fourth = admission.admit().unwrap().charge(address("192.0.2.1"));
        assert!(fourth.is_some(), "the source has one place again");
        drop((second, third, fourth));
        assert_eq!(admission.open.load(Ordering::Relaxed), 0);
        assert!(
            admission.sources.iter().all(|shard| shard.lock().unwrap().is_empty()),
            "nothing is remembered"
        );
    }

    #[test]
    fn an_ipv6_source_is_a_network() {
        let admission = Admission::new(10, 1);
        let _held = admission.admit().unwrap().charge(address("2001:db8::1")).unwrap();
        assert!(admission.admit().unwrap().charge(address("2001:db8::ffff:2")).is_none());
        assert!(admission.admit().unwrap().charge(address("2001:db8:0:1::1")).is_some());
    }

    #[test]
    fn a_limit_of_none_refuses_all_and_remembers_nothing() {
        let admission = Admission::new(1, 0);
        assert!(admission.admit().unwrap().charge(address("192.0.2.1")).is_none());
        assert!(admission.sources.iter().all(|shard| shard.lock().unwrap().is_empty()));
    }
}
