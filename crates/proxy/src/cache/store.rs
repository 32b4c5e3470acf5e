//! The entries of one stage, shared by all workers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use moka::{Expiry, sync::Cache};

use super::{
    entry::Entry,
    flight::{Flights, Joined},
    key::Key,
    shared::SharedStage,
};

/// What an entry takes beside its key and content.
const OVERHEAD_BYTES: usize = 256;
/// For how long answers to a request that turned out not to be kept are fetched side by side, without waiting for one another.
const PASS_TTL: Duration = Duration::from_secs(5);
/// Requests of that kind that are remembered at most.
const PASSES_MAX: u64 = 10_000;

/// A stage's stored answers.
#[derive(Debug)]
pub(crate) struct ResponseCache {
    bytes_max: u64,
    entries: Cache<Key, Stored>,
    passes: Cache<Key, ()>,
    flights: Arc<Flights>,
    flushes: AtomicU64,
    /// What other gateways keep and forget, where they share it.
    shared: Option<SharedStage>,
}

/// An entry with the time for which it may be of any use.
#[derive(Clone, Debug)]
struct Stored {
    entry: Arc<Entry>,
    lifetime: Duration,
    /// What it is forgotten by when another gateway says so.
    tag: Option<Arc<str>>,
}

/// Entries are dropped when they are of no use any more: they may be about people.
#[derive(Debug)]
struct Lifetime;

// === impl ResponseCache ===

impl ResponseCache {
    /// Without entries.
    pub(crate) fn new(bytes_max: u64, shared: Option<SharedStage>) -> Self {
        let weigh = |key: &Key, stored: &Stored| {
            u32::try_from(key.len() + stored.entry.bytes() + OVERHEAD_BYTES).unwrap_or(u32::MAX)
        };
        Self {
            bytes_max,
            entries: Cache::builder()
                .max_capacity(bytes_max)
                .weigher(weigh)
                .expire_after(Lifetime)
                .support_invalidation_closures()
                .build(),
            passes: Cache::builder().max_capacity(PASSES_MAX).time_to_live(PASS_TTL).build(),
            flights: Arc::default(),
            flushes: AtomicU64::new(0),
            shared,
        }
    }

    /// Whether it is one of that size, shared or not.
    pub(crate) fn is_as(&self, bytes_max: u64, is_shared: bool) -> bool {
        self.bytes_max == bytes_max && self.shared.is_some() == is_shared
    }

    /// What other gateways keep and forget; `None` where nothing is shared.
    pub(super) fn shared(&self) -> Option<&SharedStage> {
        self.shared.as_ref()
    }

    /// The entry of a key, however old.
    pub(super) fn get(&self, key: &Key) -> Option<Arc<Entry>> {
        self.entries.get(key).map(|stored| stored.entry)
    }

    /// Joins the fetch of a key, or begins it, unless there is an entry that `is_wanted`.
    pub(super) fn join(&self, key: &Key, is_wanted: &dyn Fn(&Entry) -> bool) -> Joined {
        self.flights
            .join(key, || self.get(key).filter(|entry| is_wanted(entry)))
    }

    /// Stores an entry for as long as it may be of use, unless anything was forgotten since `generation` was read.
    pub(super) fn put(&self, key: Key, entry: Arc<Entry>, lifetime: Duration, tag: Option<Arc<str>>, generation: u64) {
        if self.generation() != generation {
            return;
        }
        self.passes.invalidate(&key);
        self.entries.insert(key, Stored { entry, lifetime, tag });
    }

    /// Forgets one entry.
    pub(super) fn remove(&self, key: &Key) {
        self.entries.invalidate(key);
    }

    /// Counts the times that something was forgotten by order: an answer that was on its way then must not be stored behind it.
    pub(super) fn generation(&self) -> u64 {
        self.flushes.load(Ordering::Acquire)
    }

    /// Notes that the answers of this key are not kept for now.
    pub(super) fn pass(&self, key: &Key) {
        self.passes.insert(key.clone(), ());
    }

    /// Whether the answers of this key are not kept for now.
    pub(super) fn is_passed(&self, key: &Key) -> bool {
        self.passes.contains_key(key)
    }

    /// Forgets everything here. What is being fetched is given to those who wait for it by now, and to nobody else.
    pub(super) fn flush_here(&self) {
        self.flushes.fetch_add(1, Ordering::AcqRel);
        self.entries.invalidate_all();
        self.passes.invalidate_all();
        self.flights.part();
    }

    /// Forgets the entries here that are wanted gone, by their keys and tags.
    pub(super) fn forget_here(&self, is_gone: impl Fn(&Key, Option<&str>) -> bool) -> usize {
        self.flushes.fetch_add(1, Ordering::AcqRel);
        let gone = self
            .entries
            .iter()
            .filter(|(key, stored)| is_gone(key, stored.tag.as_deref()));
        let keys: Vec<_> = gone.map(|(key, _)| key).collect();
        keys.iter().for_each(|key| self.entries.invalidate(&**key));
        keys.len()
    }

    /// Entries and their bytes now. Finishes what the cache put off, so it is for those who look seldom.
    pub(crate) fn usage(&self) -> (u64, u64) {
        self.entries.run_pending_tasks();
        (self.entries.entry_count(), self.entries.weighted_size())
    }
}

// === impl Lifetime ===

impl Expiry<Key, Stored> for Lifetime {
    fn expire_after_create(&self, _: &Key, stored: &Stored, _: Instant) -> Option<Duration> {
        Some(stored.lifetime)
    }

    fn expire_after_update(&self, _: &Key, stored: &Stored, _: Instant, _: Option<Duration>) -> Option<Duration> {
        Some(stored.lifetime)
    }
}
