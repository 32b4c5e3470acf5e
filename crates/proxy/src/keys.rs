//! Verification keys while the gateway runs: read, watched, fetched, replaced without a request noticing.
//!
//! Requests read the current set without a lock. A set that cannot be replaced stays in force; a set that never could be
//! had refuses every token with `AUTHORIZER_FAILURE`. Every change counts the epoch up, and what was cached under another
//! epoch is verified anew.

mod fetch;
mod files;
mod watch;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use portcullis_jose::KeySet;
use portcullis_model::snapshot::KeySource;

pub use files::{DenyList, FileError, load_key_set, read_secret};
pub use watch::Watch;

/// The least time between two fetches of one URL that answered.
const FETCH_PAUSE: Duration = Duration::from_secs(10);
/// The least time between two fetches of one URL when the last one failed.
const FETCH_PAUSE_FAILED: Duration = Duration::from_secs(2);
/// The age from which a fetched set is fetched again beside the requests that use it.
const FETCHED_FRESH: Duration = Duration::from_secs(60 * 60);
/// The age from which a fetched set is no longer trusted when it cannot be fetched again.
const FETCHED_STALE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The keys of one source.
#[derive(Debug)]
pub struct KeyRing {
    source: KeySource,
    current: ArcSwapOption<Held>,
    epochs: AtomicU64,
    fetching: tokio::sync::Mutex<LastFetch>,
}

/// A key set in force.
#[derive(Debug)]
pub struct Held {
    /// The keys.
    pub keys: KeySet,
    /// Counts up with every change; 1 for the first set.
    pub epoch: u64,
    since: Instant,
}

#[derive(Debug, Default)]
struct LastFetch {
    at: Option<Instant>,
    failed: bool,
}

/// The keys cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("the keys cannot be had")]
pub(crate) struct KeysUnavailable;

// === impl KeyRing ===

impl KeyRing {
    /// A ring for a source. Secrets and files are read at once and an error says what is wrong with them; a URL is fetched
    /// when the first token comes.
    pub fn open(source: KeySource) -> Result<Arc<Self>, FileError> {
        let local = load_key_set(&source)?;
        let ring = Self {
            source,
            current: ArcSwapOption::empty(),
            epochs: AtomicU64::new(0),
            fetching: tokio::sync::Mutex::default(),
        };
        if let Some(keys) = local {
            ring.replace(keys);
        }
        Ok(Arc::new(ring))
    }

    /// Where the keys come from.
    pub fn source(&self) -> &KeySource {
        &self.source
    }

    /// The keys in force, fetched first if there are none yet.
    pub(crate) async fn keys(self: &Arc<Self>) -> Result<Arc<Held>, KeysUnavailable> {
        match self.current.load_full() {
            Some(held) if !self.is_remote() => Ok(held),
            Some(held) if held.since.elapsed() < FETCHED_FRESH => Ok(held),
            Some(held) if held.since.elapsed() < FETCHED_STALE_MAX => {
                let ring = Arc::clone(self);
                tokio::spawn(async move { ring.fetch_again(held.epoch).await });
                self.current.load_full().ok_or(KeysUnavailable)
            }
            Some(held) => Box::pin(self.fetch_again(held.epoch)).await,
            None => Box::pin(self.fetch_again(0)).await,
        }
    }

    /// The keys after `epoch`, for a token whose key is not among them; fetches at most once in a while.
    pub(crate) async fn keys_after(self: &Arc<Self>, epoch: u64) -> Result<Arc<Held>, KeysUnavailable> {
        if self.is_remote() {
            Box::pin(self.fetch_again(epoch)).await
        } else {
            self.current.load_full().ok_or(KeysUnavailable)
        }
    }

    /// Reads secrets and files again and puts them in force if they changed. `Ok(true)` when they did.
    pub fn reread(&self) -> Result<bool, FileError> {
        Ok(load_key_set(&self.source)?.is_some_and(|keys| self.replace(keys)))
    }

    /// Whether they are fetched.
    pub(crate) fn is_remote(&self) -> bool {
        match self.source {
            KeySource::Secrets { .. } | KeySource::JwksFile(_) => false,
            KeySource::JwksUrl(_) | KeySource::Discovery(_) => true,
        }
    }

    /// One fetch for all who wait: the second in line finds the work done. Its future is large and boxed where it is awaited:
    /// every request would carry the room for it otherwise.
    async fn fetch_again(&self, epoch: u64) -> Result<Arc<Held>, KeysUnavailable> {
        let mut last = self.fetching.lock().await;
        if let Some(held) = self.current.load_full()
            && held.epoch > epoch
            && held.since.elapsed() < FETCHED_FRESH
        {
            return Ok(held);
        }
        let pause = if last.failed { FETCH_PAUSE_FAILED } else { FETCH_PAUSE };
        if last.at.is_none_or(|at| at.elapsed() >= pause) {
            let fetched = fetch::fetch(&self.source).await;
            *last = LastFetch {
                at: Some(Instant::now()),
                failed: fetched.is_err(),
            };
            match fetched {
                Ok(keys) => {
                    self.replace(keys);
                }
                Err(error) => tracing::warn!(%error, "verification keys could not be fetched"),
            }
        }
        drop(last);
        let usable = |held: &Arc<Held>| held.since.elapsed() < FETCHED_STALE_MAX;
        self.current.load_full().filter(usable).ok_or(KeysUnavailable)
    }

    /// Puts a set in force. The same keys again only renew their age.
    fn replace(&self, keys: KeySet) -> bool {
        let before = self.current.load_full();
        let changed = before
            .as_ref()
            .is_none_or(|held| held.keys.fingerprint() != keys.fingerprint());
        let epoch = match before {
            Some(held) if !changed => held.epoch,
            _ => self.epochs.fetch_add(1, Ordering::Relaxed) + 1,
        };
        self.current.store(Some(Arc::new(Held {
            keys,
            epoch,
            since: Instant::now(),
        })));
        changed
    }
}
