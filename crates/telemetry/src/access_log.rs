//! The access log: lines are collected per worker and written by a thread of their own.
//!
//! A worker appends a line to memory and goes on; it makes a system call only to wake a sleeping writer. The writer takes
//! what was collected every [`FLUSH_EVERY`], or as soon as [`BUFFER_BYTES`] are there, and writes it in whole lines, one
//! writer to a destination. When the destination does not keep up or cannot be written (a full disk, a slow reader), lines
//! wait in bounded memory, then they are dropped and counted. What was written in part is finished before anything else.

mod buffer;
mod destination;
mod rotation;
mod writer;

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, Thread},
    time::{Duration, Instant},
};

pub use buffer::LogBuffer;
use buffer::Slot;
use destination::Output;
pub use rotation::{Every, Rotation};
use writer::Writer;

/// How long a line waits at most before its destination is asked to take it.
pub const FLUSH_EVERY: Duration = Duration::from_millis(100);
/// How much one buffer collects before the writer is woken early, in bytes.
pub const BUFFER_BYTES: usize = 64 * 1024;
/// How much one buffer holds at most while the writer is behind, in bytes; more is dropped. A tenth of a second of what the
/// busiest worker writes, for the writer may have to wait for a processor; the memory is given back when it caught up.
pub const BUFFER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The longest line, in bytes; a longer one is dropped.
pub const LINE_BYTES_MAX: usize = 64 * 1024;
/// How long dropping the last handle waits for what is still to be written.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// Where the lines go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Destination {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A file, appended to; made with mode 0640 when it is not there.
    File(PathBuf),
}

/// A log with its writer. Clones are handles to the same log; a process should open a destination once, for two writers to
/// one file may part each other's lines.
///
/// When the last handle is dropped, the writer gets a second to write what was collected. Buffers do not keep it alive.
#[derive(Clone, Debug)]
pub struct AccessLog(Arc<Owner>);

/// Whoever drops the last handle stops the writer.
#[derive(Debug)]
struct Owner(Arc<Shared>);

/// What handles, buffers and the writer share.
#[derive(Debug, Default)]
struct Shared {
    buffers: Mutex<Buffers>,
    orders: Mutex<Orders>,
    /// Signalled when [`Orders::flushed`] or [`Orders::ended`] changes.
    progress: Condvar,
    /// The writer sleeps until it is woken: there was nothing to write for a whole period.
    idle: AtomicBool,
    writer: OnceLock<Thread>,
    lines: AtomicU64,
    dropped: AtomicU64,
    write_errors: AtomicU64,
}

#[derive(Debug, Default)]
struct Buffers {
    slots: Vec<Arc<Slot>>,
    /// Nobody will take lines out any more.
    closed: bool,
}

/// What the writer was asked to do and how far it is.
#[derive(Clone, Copy, Debug, Default)]
struct Orders {
    rotation: Option<Rotation>,
    reopen: bool,
    /// To end when all is written, or at this time.
    stop: Option<Instant>,
    /// Counts up with every wish to have all lines so far written.
    flush: u64,
    /// The last wish that was fulfilled.
    flushed: u64,
    /// Set when the writer has ended: whether everything was written.
    ended: Option<bool>,
}

// === impl AccessLog ===

impl AccessLog {
    /// Opens the destination and starts the writer. An error names the file.
    pub fn open(destination: Destination) -> io::Result<Self> {
        Self::start(Output::open(destination)?)
    }

    fn start(output: Output) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let writer = Writer::new(Arc::clone(&shared), output);
        let handle = thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || writer.run())?;
        let _ = shared.writer.set(handle.thread().clone()); // set here alone
        Ok(Self(Arc::new(Owner(shared))))
    }

    /// A buffer for one worker; workers that share one wait for each other.
    pub fn buffer(&self) -> LogBuffer {
        let slot = Arc::new(Slot::default());
        let mut buffers = lock(&self.0.0.buffers);
        if buffers.closed {
            slot.close();
        } else {
            buffers.slots.push(Arc::clone(&slot));
        }
        drop(buffers);
        LogBuffer::new(slot, Arc::clone(&self.0.0))
    }

    /// Opens the file again under its name, after someone moved it away (logrotate). Does not wait for it: the next line
    /// may still go to the old file, but every line is whole in one of them. If the file cannot be opened the old one is
    /// kept and the process's own log says so.
    pub fn reopen(&self) {
        self.0.0.order(|orders| orders.reopen = true);
    }

    /// Has the file rotated from now on, or not any more; other destinations never are.
    pub fn rotate(&self, rotation: Option<Rotation>) {
        self.0.0.order(|orders| orders.rotation = rotation);
    }

    /// Waits until all lines so far are written; `false` when that takes longer than `wait`.
    pub fn flush(&self, wait: Duration) -> bool {
        let mut wish = 0;
        self.0.0.order(|orders| {
            orders.flush += 1;
            wish = orders.flush;
        });
        self.0
            .0
            .wait_until(Instant::now() + wait, |orders| orders.flushed >= wish)
            .flushed
            >= wish
    }

    /// Waits until all lines so far are written and ends the writer; later lines are dropped. `false` when that takes longer
    /// than `wait`: what is left is then lost.
    pub fn close(&self, wait: Duration) -> bool {
        self.0.0.close(wait)
    }

    /// Lines written since the start.
    pub fn lines(&self) -> u64 {
        self.0.0.lines.load(Ordering::Relaxed)
    }

    /// Lines lost since the start: the writer was too far behind, or they were too long.
    pub fn dropped(&self) -> u64 {
        self.0.0.dropped.load(Ordering::Relaxed)
    }

    /// Times the destination refused to take what was to be written.
    pub fn write_errors(&self) -> u64 {
        self.0.0.write_errors.load(Ordering::Relaxed)
    }
}

// === impl Owner ===

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.close(CLOSE_WAIT);
    }
}

// === impl Shared ===

impl Shared {
    fn close(&self, wait: Duration) -> bool {
        let deadline = Instant::now() + wait;
        self.order(|orders| orders.stop = Some(orders.stop.map_or(deadline, |earlier| earlier.min(deadline))));
        self.wait_until(deadline, |orders| orders.ended.is_some()).ended == Some(true)
    }

    fn order(&self, give: impl FnOnce(&mut Orders)) {
        give(&mut lock(&self.orders));
        self.wake();
    }

    fn wake(&self) {
        self.idle.store(false, Ordering::Relaxed);
        if let Some(writer) = self.writer.get() {
            writer.unpark();
        }
    }

    fn wait_until(&self, deadline: Instant, done: impl Fn(&Orders) -> bool) -> Orders {
        let mut orders = lock(&self.orders);
        while !done(&orders) && orders.ended.is_none() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let (guard, _) = self
                .progress
                .wait_timeout(orders, left)
                .unwrap_or_else(PoisonError::into_inner);
            orders = guard;
        }
        *orders
    }
}

/// Every value behind these locks is whole between two statements, so that a poisoned one is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
