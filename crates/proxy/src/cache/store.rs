//! The entries of one stage, shared by all workers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use moka::{Expiry, sync::Cache};
use portcullis_model::cache::CacheSettings;

use super::{
    entry::Entry,
    flight::{Flights, Joined},
    key::Key,
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
}

/// An entry with the time for which it may be of any use.
#[derive(Clone, Debug)]
struct Stored {
    entry: Arc<Entry>,
    lifetime: Duration,
}

/// Entries are dropped when they are of no use any more: they may be about people.
#[derive(Debug)]
struct Lifetime;

// === impl ResponseCache ===

impl ResponseCache {
    /// Without entries.
    pub(crate) fn new(bytes_max: u64) -> Self {
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
        }
    }

    /// Bytes of all entries at most.
    pub(crate) fn bytes_max(&self) -> u64 {
        self.bytes_max
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

    /// Stores an entry, unless everything was forgotten since `generation` was read.
    pub(super) fn put(&self, key: Key, entry: Arc<Entry>, settings: &CacheSettings, generation: u64) {
        if self.generation() != generation {
            return;
        }
        let stale_s = settings.stale_while_revalidate_s.max(settings.stale_if_error_s);
        let lifetime = Duration::from_secs(u64::from(settings.ttl_s) + u64::from(stale_s));
        self.passes.invalidate(&key);
        self.entries.insert(key, Stored { entry, lifetime });
    }

    /// Forgets one entry.
    pub(super) fn remove(&self, key: &Key) {
        self.entries.invalidate(key);
    }

    /// Counts the times that everything was forgotten: an answer that was on its way then must not be stored behind it.
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

    /// Forgets everything. What is being fetched is given to those who wait for it by now, and to nobody else.
    pub(crate) fn flush(&self) {
        self.flushes.fetch_add(1, Ordering::AcqRel);
        self.entries.invalidate_all();
        self.passes.invalidate_all();
        self.flights.part();
    }

    /// Forgets the entries whose keys are wanted gone.
    pub(crate) fn forget(&self, is_gone: impl Fn(&Key) -> bool) -> usize {
        let keys: Vec<_> = self
            .entries
            .iter()
            .map(|(key, _)| key)
            .filter(|key| is_gone(key))
            .collect();
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
