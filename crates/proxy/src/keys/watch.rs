//! Looks after files that hold keys and deny lists: reads them again when they may have changed.
//!
//! It polls, once a second: the files are few and small, and polling sees what file events miss, such as the symbolic
//! links that orchestrators swap and network file systems.

use std::{
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use super::{DenyList, FileError, KeyRing};

/// How often files are looked at.
const PERIOD: Duration = Duration::from_secs(1);

/// A thread that watches key rings and deny lists for as long as this value and they live.
#[derive(Debug)]
pub struct Watch {
    watched: Arc<Mutex<Watched>>,
    stop: Option<mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Watched {
    rings: Vec<One<KeyRing>>,
    deny_lists: Vec<One<DenyList>>,
}

/// One thing that is watched for as long as others hold it.
#[derive(Debug)]
struct One<T> {
    of: Weak<T>,
    failing: Arc<AtomicBool>,
}

// === impl Watch ===

impl Watch {
    /// Starts the thread.
    pub fn start() -> std::io::Result<Self> {
        let watched = Arc::<Mutex<Watched>>::default();
        let (stop, stopped) = mpsc::channel();
        let looked_at = Arc::clone(&watched);
        let thread = thread::Builder::new().name("key-watch".into()).spawn(move || {
            while let Err(mpsc::RecvTimeoutError::Timeout) = stopped.recv_timeout(PERIOD) {
                look(&looked_at);
            }
        })?;
        Ok(Self {
            watched,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Looks at all files now, beside the thread that does so every second.
    pub fn look(&self) {
        look(&self.watched);
    }

    /// Watches a ring's files until nobody else holds the ring.
    pub fn ring(&self, ring: &Arc<KeyRing>) {
        lock(&self.watched).rings.push(One::new(ring));
    }

    /// Watches a deny list until nobody else holds it.
    pub fn deny_list(&self, list: &Arc<DenyList>) {
        lock(&self.watched).deny_lists.push(One::new(list));
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // it holds nothing that a panic in it could have broken
        }
    }
}

fn look(watched: &Mutex<Watched>) {
    let (rings, lists) = {
        let mut watched = lock(watched);
        watched.rings.retain(|watched| watched.of.strong_count() > 0);
        watched.deny_lists.retain(|watched| watched.of.strong_count() > 0);
        (watched.rings.clone(), watched.deny_lists.clone())
    };
    for watched in rings {
        if let Some(ring) = watched.of.upgrade() {
            watched.report(ring.reread(), "verification keys");
        }
    }
    for watched in lists {
        if let Some(list) = watched.of.upgrade() {
            watched.report(list.reread(), "a deny list");
        }
    }
}

fn lock(watched: &Mutex<Watched>) -> std::sync::MutexGuard<'_, Watched> {
    watched.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl One ===

impl<T> One<T> {
    fn new(of: &Arc<T>) -> Self {
        Self {
            of: Arc::downgrade(of),
            failing: Arc::default(),
        }
    }

    /// Tells of a change, and of a failure once until it is over: a file is looked at every second.
    fn report(&self, reread: Result<bool, FileError>, what: &str) {
        let was_failing = self.failing.swap(reread.is_err(), Ordering::Relaxed);
        match reread {
            Ok(true) => tracing::info!("{what} changed"),
            Ok(false) if was_failing => tracing::info!("{what} can be read again"),
            Ok(false) => {}
            Err(error) if !was_failing => tracing::warn!(%error, "{what} cannot be read again; the old ones stay"),
            Err(_) => {}
        }
    }
}

impl<T> Clone for One<T> {
    fn clone(&self) -> Self {
        Self {
            of: Weak::clone(&self.of),
            failing: Arc::clone(&self.failing),
        }
    }
}
