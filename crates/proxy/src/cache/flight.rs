//! One fetch for many who wait: who asks for what is being fetched waits for that fetch, on whatever thread it runs.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::watch;

use super::{entry::Entry, key::Key};
use crate::Rejection;

/// The fetches under way by key.
#[derive(Debug, Default)]
pub(super) struct Flights {
    by_key: Mutex<ByKey>,
    /// Tells the fetches of one key, one after the other, apart.
    begun: AtomicU64,
}

type ByKey = HashMap<Key, (u64, watch::Receiver<Option<Outcome>>)>;

/// What became of a fetch.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// Here is the answer.
    Stored(Arc<Entry>),
    /// It cannot be shared.
    NotStored,
    /// The origin failed.
    Failed(Rejection),
    /// Who fetched went away.
    Abandoned,
}

/// What a request does that finds no answer.
pub(super) enum Joined {
    /// It has come in the meantime.
    Stored(Arc<Entry>),
    /// It fetches.
    Lead(Lead),
    /// It waits.
    Wait(Waiting),
}

/// The duty to say what became of a fetch. Dropped, it says that nobody fetches any more: nobody waits in vain.
#[derive(Debug)]
pub(super) struct Lead {
    flights: Arc<Flights>,
    key: Key,
    number: u64,
    outcome: watch::Sender<Option<Outcome>>,
}

/// A wait for a fetch.
#[derive(Debug)]
pub(super) struct Waiting(watch::Receiver<Option<Outcome>>);

// === impl Flights ===

impl Flights {
    /// Joins the fetch of a key, or begins it. `stored` looks for the answer while no fetch can begin or end: one that ended
    /// just now has left it there.
    pub(super) fn join(self: &Arc<Self>, key: &Key, stored: impl FnOnce() -> Option<Arc<Entry>>) -> Joined {
        let mut flights = self.lock();
        if let Some((_, outcome)) = flights.get(key) {
            return Joined::Wait(Waiting(outcome.clone()));
        }
        if let Some(entry) = stored() {
            return Joined::Stored(entry);
        }
        let (sender, receiver) = watch::channel(None);
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        flights.insert(key.clone(), (number, receiver));
        Joined::Lead(Lead {
            flights: Arc::clone(self),
            key: key.clone(),
            number,
            outcome: sender,
        })
    }

    /// Has nobody join what is being fetched now; who waits already goes on waiting.
    pub(super) fn part(&self) {
        self.lock().clear();
    }

    /// A map is whole between any two statements, so that a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, ByKey> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Lead ===

impl Lead {
    /// Ends the fetch. What is stored must be in the cache by now.
    pub(super) fn resolve(self, outcome: Outcome) {
        self.end(outcome);
    }

    fn end(&self, outcome: Outcome) {
        let mut flights = self.flights.lock();
        if flights.get(&self.key).is_some_and(|(number, _)| *number == self.number) {
            flights.remove(&self.key);
        }
        drop(flights);
        self.outcome.send_replace(Some(outcome));
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        if self.outcome.borrow().is_none() {
            self.end(Outcome::Abandoned);
        }
    }
}

// === impl Waiting ===

impl Waiting {
    /// What became of the fetch.
    pub(super) async fn outcome(mut self) -> Outcome {
        match self.0.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or(Outcome::Abandoned),
            Err(_) => Outcome::Abandoned,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        Key::from(text.as_bytes().to_vec())
    }

    fn lead(flights: &Arc<Flights>, name: &str) -> Lead {
        match flights.join(&key(name), || None) {
            Joined::Lead(lead) => lead,
            Joined::Stored(_) | Joined::Wait(_) => panic!("somebody fetches `{name}`"),
        }
    }

    fn wait(flights: &Arc<Flights>, name: &str) -> Waiting {
        match flights.join(&key(name), || None) {
            Joined::Wait(waiting) => waiting,
            Joined::Stored(_) | Joined::Lead(_) => panic!("nobody fetches `{name}`"),
        }
    }

    #[tokio::test]
    async fn who_waits_is_told_whatever_becomes_of_the_fetch() {
        let flights = Arc::new(Flights::default());
        let first = lead(&flights, "a");
        let waiting = [wait(&flights, "a"), wait(&flights, "a")];
        let other = lead(&flights, "b");
        first.resolve(Outcome::NotStored);
        for waiting in waiting {
            assert!(matches!(waiting.outcome().await, Outcome::NotStored));
        }
        let waiting = wait(&flights, "b");
        drop(other);
        assert!(
            matches!(waiting.outcome().await, Outcome::Abandoned),
            "nobody waits in vain"
        );
        // Both have ended, so that others can begin.
        drop((lead(&flights, "a"), lead(&flights, "b")));
        assert!(flights.lock().is_empty());
    }
}
