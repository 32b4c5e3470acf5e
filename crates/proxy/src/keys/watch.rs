//! Looks after files that hold keys and deny lists: reads them again when they may have changed.
//!
//! It polls, once a second: the files are few and small, and polling sees what file events miss, such as the symbolic
//! links that orchestrators swap and network file systems.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak, mpsc},
    thread,
    time::Duration,
};

use super::{DenyList, KeyRing};

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
    rings: Vec<Weak<KeyRing>>,
    deny_lists: Vec<Weak<DenyList>>,
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
        lock(&self.watched).rings.push(Arc::downgrade(ring));
    }

    /// Watches a deny list until nobody else holds it.
    pub fn deny_list(&self, list: &Arc<DenyList>) {
        lock(&self.watched).deny_lists.push(Arc::downgrade(list));
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
        watched.rings.retain(|ring| ring.strong_count() > 0);
        watched.deny_lists.retain(|list| list.strong_count() > 0);
        let rings: Vec<_> = watched.rings.iter().filter_map(Weak::upgrade).collect();
        let lists: Vec<_> = watched.deny_lists.iter().filter_map(Weak::upgrade).collect();
        (rings, lists)
    };
    for ring in rings {
        match ring.reread() {
            Ok(true) => tracing::info!("verification keys changed"),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "verification keys could not be read again; the old ones stay"),
        }
    }
    for list in lists {
        match list.reread() {
            Ok(true) => tracing::info!(file = %list.path().display(), "deny list changed"),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "deny list could not be read again; the old one stays"),
        }
    }
}

fn lock(watched: &Mutex<Watched>) -> std::sync::MutexGuard<'_, Watched> {
    watched.lock().unwrap_or_else(PoisonError::into_inner)
}
