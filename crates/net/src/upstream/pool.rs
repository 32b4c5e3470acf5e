//! Connections that rest between two requests.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

use super::connection::Connection;
use super::stats::UpstreamStats;

/// One worker's resting connections by [`Origin`](super::Origin).
///
/// The last one put back is the first one taken, so that the others grow old and are closed when fewer are needed. The lock is
/// never contended on the request path: only this worker's tasks take it, and none of them across an await.
pub(super) struct Pool {
    limits: PoolLimits,
    stats: Arc<UpstreamStats>,
    shelf: Mutex<Shelf>,
}

/// How many connections rest, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct PoolLimits {
    pub(super) per_origin_max: usize,
    pub(super) total_max: usize,
    pub(super) idle_timeout: Duration,
}

#[derive(Default)]
struct Shelf {
    by_origin: HashMap<u64, VecDeque<Resting>, BuildHasherDefault<OwnNumber>>,
    total: usize,
    /// Whether a task is there that throws old connections out.
    is_swept: bool,
}

/// Origins' numbers are ours, one after the other: nobody else chooses them, so that they may be their own hashes.
#[derive(Default)]
struct OwnNumber(u64);

struct Resting {
    connection: Box<Connection>,
    until: Instant,
}

// === impl OwnNumber ===

impl Hasher for OwnNumber {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64((*byte).into()));
    }

    fn write_u64(&mut self, number: u64) {
        // Spread over all bits (Knuth, The Art of Computer Programming, section 6.4): the map looks at the highest ones, too.
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

// === impl Pool ===

impl Pool {
    pub(super) fn new(limits: PoolLimits, stats: Arc<UpstreamStats>) -> Self {
        Self {
            limits,
            stats,
            shelf: Mutex::default(),
        }
    }

    /// A connection to the origin that is still usable as far as the runtime knows.
    pub(super) fn take(&self, origin: u64) -> Option<Box<Connection>> {
        let mut stale = 0;
        let mut shelf = self.lock();
        let shelf = &mut *shelf;
        let resting = shelf.by_origin.get_mut(&origin)?;
        let now = Instant::now();
        let mut found = None;
        while let Some(mut candidate) = resting.pop_back() {
            shelf.total -= 1;
            if now < candidate.until && candidate.connection.is_quiet() {
                found = Some(candidate.connection);
                break;
            }
            stale += 1;
        }
        if stale > 0 {
            self.stats.count_stale(stale);
        }
        self.stats.set_idle(shelf.total);
        found
    }

    /// Puts a connection back that has nothing in flight. `timeout` is what the upstream allows (RFC 2068 section 19.7.1.1's
    /// `Keep-Alive: timeout`), where it said so.
    pub(super) fn put(self: &Arc<Self>, origin: u64, mut connection: Box<Connection>, timeout: Option<Duration>) {
        let idle_timeout = timeout.map_or(self.limits.idle_timeout, |timeout| {
            timeout.min(self.limits.idle_timeout)
        });
        if idle_timeout.is_zero() {
            return;
        }
        connection.shrink();
        let until = Instant::now() + idle_timeout;
        let mut shelf = self.lock();
        let shelf = &mut *shelf;
        if !shelf.is_swept {
            // Without a runtime (it may be shutting down) nobody could throw it out again.
            let Ok(runtime) = Handle::try_current() else { return };
            runtime.spawn(sweep(Arc::downgrade(self), self.limits.idle_timeout));
            shelf.is_swept = true;
        }
        let resting = shelf.by_origin.entry(origin).or_default();
        if resting.len() >= self.limits.per_origin_max {
            // The newest is the likeliest to be alive.
            if resting.pop_front().is_none() {
                return;
            }
            shelf.total -= 1;
        }
        if shelf.total >= self.limits.total_max {
            return;
        }
        resting.push_back(Resting { connection, until });
        shelf.total += 1;
        self.stats.set_idle(shelf.total);
    }

    /// Throws out what is too old or was closed by the upstream; returns whether any connection is left.
    fn throw_out(&self) -> bool {
        let now = Instant::now();
        let mut shelf = self.lock();
        let shelf = &mut *shelf;
        let before = shelf.total;
        shelf.by_origin.retain(|_, resting| {
            resting.retain_mut(|resting| now < resting.until && resting.connection.is_quiet());
            !resting.is_empty()
        });
        shelf.total = shelf.by_origin.values().map(VecDeque::len).sum();
        self.stats.count_stale(before - shelf.total);
        self.stats.set_idle(shelf.total);
        shelf.is_swept = shelf.total > 0;
        shelf.is_swept
    }

    fn lock(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs while connections rest; ends with the last of them, or with the pool.
async fn sweep(pool: Weak<Pool>, every: Duration) {
    loop {
        sleep(every).await;
        match pool.upgrade() {
            Some(pool) if pool.throw_out() => {}
            _ => return,
        }
    }
}
