//! Requests that could not be read, and so reached no stage whose log could tell of them: a few a second are told in the
//! process's log.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use portcullis_net::server::Peer;

use crate::{Rejection, record::Record};

/// Told in one second at most; the others are counted.
const TOLD_MAX: u64 = 5;

/// Bounds what is told: who sends rubbish must not fill a disk with it.
#[derive(Debug, Default)]
pub(crate) struct Unreadable {
    second: AtomicI64,
    in_second: AtomicU64,
    untold: AtomicU64,
}

// === impl Unreadable ===

impl Unreadable {
    /// Tells of a request, or counts it.
    pub(crate) fn tell(&self, record: &Record, rejection: &Rejection, peer: &Peer) {
        let Some(untold) = self.admit(record.started.unix_seconds()) else {
            return;
        };
        let (status, reason) = (rejection.facts().status, rejection.log_text());
        let (client, listener, id) = (peer.address, peer.local, record.id.as_str());
        tracing::info!(%client, %listener, id, status, %reason, untold, "a request could not be read");
    }

    /// How many were not told since the last one that was; `None` when this one is not either. Two workers at the turn of a
    /// second may let one more pass.
    fn admit(&self, second: i64) -> Option<u64> {
        if self.second.swap(second, Ordering::Relaxed) != second {
            self.in_second.store(0, Ordering::Relaxed);
        }
        if self.in_second.fetch_add(1, Ordering::Relaxed) < TOLD_MAX {
            return Some(self.untold.swap(0, Ordering::Relaxed));
        }
        self.untold.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_a_second_are_told_and_the_others_counted() {
        let unreadable = Unreadable::default();
        let told = |second| (0..8).map(|_| unreadable.admit(second)).collect::<Vec<_>>();
        let all = [Some(0), Some(0), Some(0), Some(0), Some(0), None, None, None];
        assert_eq!(told(1), all);
        assert_eq!(told(2), [[Some(3)].as_slice(), &all[1..]].concat());
    }
}
