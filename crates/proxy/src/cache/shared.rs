//! What gateways share of a stage's stored answers: the answers, sealed, and what is to be forgotten of them.
//!
//! | Key in Redis | Value |
//! |---|---|
//! | of an entry: a keyed digest of the stage and the entry's key | the entry, sealed, with the [`Mark`] of when its fetch began |
//! | of a stage: a keyed digest of it | the *log*: its generation, and behind it the tags of what was forgotten in that |
//!
//! A flush writes a log with another generation; forgetting one path and query adds its tag to the log. An entry is good when its
//! generation is the log's, and its tag is not among those that were added since its fetch began: so no fetch that was on its
//! way, on whatever gateway, brings back what was forgotten. Every gateway reads the log with each answer that it asks for, and
//! once a second, and forgets its own entries then.
//!
//! Invariant: a gateway that could not write to the log takes nothing from Redis and brings nothing there until it has.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use portcullis_cluster::{Away, Cluster};
use portcullis_core::Timestamp;
use portcullis_jose::{SEAL_BYTES, SealingKey};
use tokio::sync::{Notify, Semaphore};

use super::{
    encoding,
    entry::Entry,
    log::{self, LOG_BYTES_MAX, Log, Mark, TAG_BYTES},
    store::ResponseCache,
};

/// How often the log is read while nobody asks for answers.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long an order to forget waits for its own gateway to have told the others.
const TELL_WAIT: Duration = Duration::from_secs(1);
/// How far another gateway's clock may be before ours.
const SKEW_MICROS_MAX: i64 = 1_000_000;
/// KiB of answers that are on their way to Redis at most; what comes beside them is not shared.
const WRITING_KIB_MAX: usize = 16_384;

/// How gateways share stored answers.
#[derive(Debug)]
pub struct SharedAnswers {
    cluster: Arc<Cluster>,
    key: SealingKey,
    writing: Arc<Semaphore>,
}

/// One stage's.
#[derive(Debug)]
pub(crate) struct SharedStage {
    answers: Arc<SharedAnswers>,
    /// What tells its keys from those of other stages.
    namespace: String,
    log_key: String,
    /// What of the log was done here; `None` before it was ever read.
    done: ArcSwapOption<Mark>,
    /// Flushes that were ordered here, and how many of them the log says.
    ordered: AtomicU64,
    told: AtomicU64,
    /// The log is not as it was.
    look: Arc<Notify>,
}

/// Where an entry is.
#[derive(Clone, Debug)]
pub(super) struct Place {
    name: String,
    pub(super) tag: Arc<str>,
}

/// What Redis says of an entry.
pub(super) struct Found {
    pub(super) entry: Option<Entry>,
    /// Where the log was.
    pub(super) mark: Mark,
}

/// Forgets everything of a cache, here and on the gateways that share it.
pub(super) fn flush(cache: &Arc<ResponseCache>) {
    // Ordered before it is done here: what is stored in between comes from nowhere else.
    if let Some(shared) = cache.shared() {
        shared.ordered.fetch_add(1, Ordering::AcqRel);
    }
    cache.flush_here();
    let own = Arc::clone(cache);
    tell(cache, async move { tend(&own).await });
}

/// Has the gateways that share a cache forget the entries of a tag; those here are forgotten.
pub(super) fn forget(cache: &Arc<ResponseCache>, tag: String) {
    let own = Arc::clone(cache);
    tell(cache, async move {
        let Some(shared) = own.shared() else { return };
        match shared.answers.cluster.append(&shared.log_key, tag.as_bytes()).await {
            // A log without a generation, or a full one, is begun anew.
            Ok(bytes) if bytes <= LOG_BYTES_MAX && bytes > TAG_BYTES => {}
            Ok(_) | Err(Away) => {
                shared.ordered.fetch_add(1, Ordering::AcqRel);
                tend(&own).await;
            }
        }
    });
}

/// Has the others told of something, and waits a moment for it.
fn tell(cache: &ResponseCache, work: impl Future<Output = ()> + Send + 'static) {
    let Some(shared) = cache.shared() else { return };
    let (done, is_done) = mpsc::channel();
    shared.answers.cluster.spawn(async move {
        work.await;
        let _ = done.send(()); // whoever waited may have gone
    });
    let _ = is_done.recv_timeout(TELL_WAIT);
}

/// Looks at the log for as long as the cache is used.
async fn watch(cache: Weak<ResponseCache>, look: Arc<Notify>) {
    loop {
        match cache.upgrade() {
            Some(cache) => tend(&cache).await,
            None => return,
        }
        let _ = tokio::time::timeout(LOOK_EVERY, look.notified()).await;
    }
}

/// Tells the others what is to be told, reads the log, and forgets what it says.
async fn tend(cache: &Arc<ResponseCache>) {
    let Some(shared) = cache.shared() else { return };
    let cluster = &shared.answers.cluster;
    let ordered = shared.ordered.load(Ordering::Acquire);
    if shared.told.load(Ordering::Acquire) != ordered {
        let begun = Mark::begin();
        if cluster.replace(&shared.log_key, &begun.generation).await.is_err() {
            return;
        }
        shared.done.store(Some(Arc::new(begun)));
        shared.told.fetch_max(ordered, Ordering::AcqRel);
    }
    let Ok(mut read) = cluster.read(&shared.log_key, LOG_BYTES_MAX + 1).await else {
        return;
    };
    if read.is_empty() {
        let begun = cluster.begin(&shared.log_key, &Mark::begin().generation).await;
        match begun.and(cluster.read(&shared.log_key, LOG_BYTES_MAX + 1).await) {
            Ok(bytes) => read = bytes,
            Err(Away) => return,
        }
    }
    match Log::parse(&read) {
        Some(log) => shared.follow(&log, cache),
        None => {
            // It is full, or somebody else wrote it.
            shared.ordered.fetch_add(1, Ordering::AcqRel);
            shared.look.notify_one();
        }
    }
}

// === impl SharedAnswers ===

impl SharedAnswers {
    /// Over a connection, sealed with a key.
    pub fn new(cluster: Arc<Cluster>, key: SealingKey) -> Self {
        Self {
            cluster,
            key,
            writing: Arc::new(Semaphore::new(WRITING_KIB_MAX)),
        }
    }

    /// The cache of a stage of an API, or of its canary's own.
    pub(crate) fn open(
        self: &Arc<Self>,
        bytes_max: u64,
        api_arn: &str,
        stage: &str,
        is_canary: bool,
    ) -> Arc<ResponseCache> {
        let namespace = format!("{api_arn} {stage} {is_canary}");
        let look = Arc::new(Notify::new());
        let shared = SharedStage {
            log_key: self
                .cluster
                .key("answers", &self.key.name(&[b"stage", namespace.as_bytes()])),
            answers: Arc::clone(self),
            namespace,
            done: ArcSwapOption::empty(),
            ordered: AtomicU64::new(0),
            told: AtomicU64::new(0),
            look: Arc::clone(&look),
        };
        let cache = Arc::new(ResponseCache::new(bytes_max, Some(shared)));
        self.cluster.spawn(watch(Arc::downgrade(&cache), look));
        cache
    }
}

// === impl SharedStage ===

impl SharedStage {
    /// Whether the others still have to be told of a flush.
    pub(super) fn owes(&self) -> bool {
        self.told.load(Ordering::Acquire) != self.ordered.load(Ordering::Acquire)
    }

    /// Where the log was when it was last read.
    pub(super) fn mark(&self) -> Option<Mark> {
        self.done.load().as_deref().cloned()
    }

    /// What the entries of a method, path and query are forgotten by.
    pub(super) fn tag(&self, prefix: &[u8], resource: &[&[u8]]) -> String {
        let own = [b"resource", self.namespace.as_bytes(), prefix];
        self.answers.key.name(&[&own, resource].concat())
    }

    /// Where the entry of a key is.
    pub(super) fn place(&self, key: &[u8], prefix: &[u8], resource: &[&[u8]]) -> Place {
        let name = self.answers.key.name(&[b"entry", self.namespace.as_bytes(), key]);
        Place {
            name: self.answers.cluster.key("answer", &name),
            tag: self.tag(prefix, resource).into(),
        }
    }

    /// Asks for an entry; `None` when Redis is away, or says nothing that can be trusted.
    pub(super) async fn ask(&self, place: &Place, now: Timestamp) -> Option<Found> {
        let SharedAnswers { cluster, key, .. } = &*self.answers;
        if self.owes() || !cluster.is_up() {
            return None;
        }
        let (log, sealed) = tokio::join!(
            cluster.read(&self.log_key, LOG_BYTES_MAX + 1),
            cluster.read(&place.name, encoding::BYTES_MAX + SEAL_BYTES),
        );
        let (log, sealed) = (log.ok()?, sealed.ok()?);
        let log = Log::parse(&log);
        let mark = log.as_ref().map(Log::mark);
        if mark.is_none() || self.done.load().as_deref() != mark.as_ref() {
            self.look.notify_one();
        }
        let (log, mark) = (log?, mark?);
        let opened = key.open(&place.name, sealed).and_then(encoding::decode);
        let entry = opened.filter(|(_, stored)| log.keeps(stored, &place.tag));
        Some(Found {
            entry: entry.and_then(|(entry, _)| in_our_time(entry, now)),
            mark,
        })
    }

    /// Brings an entry to Redis, behind the caller's back.
    pub(super) fn offer(&self, place: Place, entry: Arc<Entry>, mark: Mark, lifetime: Duration) {
        let answers = Arc::clone(&self.answers);
        let kib = u32::try_from(entry.bytes() / 1024 + 1).unwrap_or(u32::MAX);
        if self.owes() || lifetime.is_zero() || !answers.cluster.is_up() {
            return;
        }
        let Ok(permit) = Arc::clone(&answers.writing).try_acquire_many_owned(kib) else {
            return;
        };
        self.answers.cluster.spawn(async move {
            let encoded = encoding::encode(&entry, &mark);
            if let Some(Ok(sealed)) = encoded.map(|bytes| answers.key.seal(&place.name, bytes)) {
                let _ = answers.cluster.write(&place.name, &sealed, lifetime).await; // the next one may be
            }
            drop(permit);
        });
    }

    /// Takes an entry away from Redis, behind the caller's back: the origin says something else by now.
    pub(super) fn withdraw(&self, place: Place) {
        let answers = Arc::clone(&self.answers);
        if answers.cluster.is_up() {
            self.answers.cluster.spawn(async move {
                let _ = answers.cluster.remove(&place.name).await; // it ends by itself
            });
        }
    }

    /// Forgets here what the log says and was not done yet.
    fn follow(&self, log: &Log<'_>, cache: &ResponseCache) {
        let done = self.mark();
        match done.filter(|done| done.generation == log.mark().generation) {
            None => cache.flush_here(),
            Some(done) => {
                let tags: Vec<_> = log.tags_since(&done).collect();
                if !tags.is_empty() {
                    cache.forget_here(|_, tag| tag.is_some_and(|tag| tags.contains(&tag.as_bytes())));
                }
            }
        }
        self.done.store(Some(Arc::new(log.mark())));
    }
}

/// With a clock that is not behind the one that stored it. One that is far behind cannot tell how old the entry is.
fn in_our_time(mut entry: Entry, now: Timestamp) -> Option<Entry> {
    let ahead = entry.head.stored.unix_micros().saturating_sub(now.unix_micros());
    if ahead > SKEW_MICROS_MAX {
        return None;
    }
    entry.head.stored = entry.head.stored.min(now);
    Some(entry)
}

/// Reads bytes as an entry and as a log, and opens them. Panics when what was read is written otherwise.
pub(crate) fn fuzz(data: &[u8]) {
    if let Some((entry, mark)) = encoding::decode(data.to_vec()) {
        assert_eq!(
            encoding::encode(&entry, &mark).as_deref(),
            Some(data),
            "written otherwise"
        );
    }
    log::fuzz(data);
    let secret = portcullis_core::Secret::new(vec![b'0'; 64]);
    if let Ok(key) = SealingKey::new(&secret) {
        assert_eq!(key.open("name", data.to_vec()), None, "nobody sealed this");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_a_little_behind_is_borne_with() {
        let check = |ahead: i64, expected: Option<i64>| {
            let head = super::super::entry::EntryHead {
                status: http::StatusCode::OK,
                fields: portcullis_net::Fields::new(),
                stored: Timestamp::from_unix_micros(5_000_000 + ahead),
                age_s: 0,
            };
            let entry = in_our_time(
                head.complete(bytes::Bytes::new()),
                Timestamp::from_unix_micros(5_000_000),
            );
            assert_eq!(entry.map(|entry| entry.head.stored.unix_micros()), expected);
        };
        check(-1, Some(4_999_999));
        check(SKEW_MICROS_MAX, Some(5_000_000));
        check(SKEW_MICROS_MAX + 1, None);
    }
}
