//! The thread that writes.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use portcullis_core::{Clock, SystemClock};

use super::{
    FLUSH_EVERY, Orders, Rotation, Shared,
    buffer::{Lines, Slot},
    destination::Output,
    lock,
};

/// How long a destination that failed is left in peace.
const RETRY_AFTER: Duration = Duration::from_millis(200);
/// How long one that would have blocked is (someone else made a shared pipe non-blocking).
const RETRY_BLOCKED_AFTER: Duration = Duration::from_millis(5);

/// How long a rotation that failed is left in peace.
const ROTATE_AGAIN_AFTER: Duration = Duration::from_secs(10);

pub(super) struct Writer {
    shared: Arc<Shared>,
    output: Output,
    /// What is being written; of it, `written` bytes are.
    lines: Lines,
    written: usize,
    /// The last attempt failed; said once.
    is_failing: bool,
    rotation: Option<Rotation>,
    /// A rotation that failed is tried again from then on.
    rotates_from: Option<Instant>,
}

/// How an attempt to write ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// There was nothing to write.
    Nothing,
    /// All there was is written.
    Written,
    /// The destination refused the rest; to be asked again after this time.
    Refused(Duration),
}

// === impl Writer ===

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, output: Output) -> Self {
        Self {
            shared,
            output,
            lines: Lines::default(),
            written: 0,
            is_failing: false,
            rotation: None,
            rotates_from: None,
        }
    }

    pub(super) fn run(mut self) {
        loop {
            let orders = self.take_orders();
            self.rotation = orders.rotation;
            if orders.stop.is_some() {
                self.close_buffers();
            }
            let mut outcome = self.write_all();
            if orders.reopen && self.reopen() && matches!(outcome, Outcome::Refused(_)) {
                outcome = self.write_all();
            }
            if self.report(orders, outcome) {
                return;
            }
            match outcome {
                Outcome::Nothing => self.sleep_until_woken(),
                Outcome::Written => thread::park_timeout(FLUSH_EVERY),
                Outcome::Refused(pause) => thread::park_timeout(pause),
            }
        }
    }

    /// What a wish to flush covers is in the slots already, so that a round from now on fulfils it.
    fn take_orders(&self) -> Orders {
        let mut orders = lock(&self.shared.orders);
        let taken = *orders;
        orders.reopen = false;
        taken
    }

    /// Says how far the writer is; whether it is to end.
    fn report(&mut self, orders: Orders, outcome: Outcome) -> bool {
        let is_refused = matches!(outcome, Outcome::Refused(_));
        let ends = orders
            .stop
            .is_some_and(|deadline| !is_refused || Instant::now() >= deadline);
        let is_complete = ends && self.give_up() == 0;
        let mut current = lock(&self.shared.orders);
        if !is_refused {
            current.flushed = orders.flush;
        }
        if ends {
            current.ended = Some(is_complete);
        }
        drop(current);
        self.shared.progress.notify_all();
        ends
    }

    /// One round: what is left from the last, then every buffer once.
    fn write_all(&mut self) -> Outcome {
        let mut outcome = self.write_lines();
        let mut index = 0;
        while !matches!(outcome, Outcome::Refused(_)) {
            let Some(slot) = self.slot(index) else { break };
            slot.exchange(&mut self.lines);
            index += 1;
            match self.write_lines() {
                Outcome::Nothing => {}
                other => outcome = other,
            }
        }
        outcome
    }

    /// The buffer at `index`, forgetting empty ones that nobody writes to any more.
    fn slot(&self, index: usize) -> Option<Arc<Slot>> {
        let mut buffers = lock(&self.shared.buffers);
        loop {
            let slot = buffers.slots.get(index)?;
            if Arc::strong_count(slot) > 1 || !slot.is_empty() {
                return Some(Arc::clone(slot));
            }
            buffers.slots.swap_remove(index);
        }
    }

    /// Writes the rest of the lines at hand.
    fn write_lines(&mut self) -> Outcome {
        if self.lines.bytes().is_empty() {
            return Outcome::Nothing;
        }
        if self.written == 0 {
            self.rotate_if_due(); // between lines, never within one
        }
        while let Some(rest) = self.lines.bytes().get(self.written..).filter(|rest| !rest.is_empty()) {
            let error = match self.output.write(rest) {
                Ok(0) => io::ErrorKind::WriteZero.into(),
                Ok(bytes) => {
                    self.written += bytes;
                    continue;
                }
                Err(error) => error,
            };
            match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock => return Outcome::Refused(RETRY_BLOCKED_AFTER),
                _ => {
                    self.fail(&error);
                    return Outcome::Refused(RETRY_AFTER);
                }
            }
        }
        self.shared.lines.fetch_add(self.lines.count(), Ordering::Relaxed);
        self.lines.clear();
        self.written = 0;
        self.recover();
        Outcome::Written
    }

    fn rotate_if_due(&mut self) {
        let rests = self.rotates_from.is_some_and(|from| Instant::now() < from);
        let Some(rotation) = self.rotation.filter(|_| !rests) else {
            return;
        };
        let more = self.lines.bytes().len() as u64;
        self.rotates_from = None;
        if let Err(error) = self.output.rotate_if_due(&rotation, more, SystemClock.now()) {
            let destination = self.output.destination();
            tracing::error!(?destination, %error, "the log cannot be rotated; it is written on and tried again");
            self.rotates_from = Some(Instant::now() + ROTATE_AGAIN_AFTER);
        }
    }

    fn fail(&mut self, error: &io::Error) {
        self.shared.write_errors.fetch_add(1, Ordering::Relaxed);
        if !self.is_failing {
            self.is_failing = true;
            let destination = self.output.destination();
            tracing::error!(?destination, %error, "the access log cannot be written; lines wait, then they are dropped");
        }
    }

    fn recover(&mut self) {
        if self.is_failing {
            self.is_failing = false;
            let dropped = self.shared.dropped.load(Ordering::Relaxed);
            tracing::info!(destination = ?self.output.destination(), dropped, "the access log is written again");
        }
    }

    /// Whether another file is open now. A line that stands in the old one in part is written to the new one as a whole.
    fn reopen(&mut self) -> bool {
        if let Err(error) = self.output.reopen() {
            tracing::error!(%error, "the access log cannot be opened again; the old file stays in use");
            return false;
        }
        self.written = self.lines.whole_before(self.written);
        true
    }

    fn close_buffers(&self) {
        let mut buffers = lock(&self.shared.buffers);
        buffers.closed = true;
        buffers.slots.iter().for_each(|slot| slot.close());
    }

    /// Counts what will not be written any more.
    fn give_up(&mut self) -> u64 {
        let unwritten = self.lines.bytes().get(self.written..).unwrap_or_default();
        let unwritten = unwritten.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.shared
            .lines
            .fetch_add(self.lines.count() - unwritten, Ordering::Relaxed);
        let mut lost = unwritten;
        for slot in lock(&self.shared.buffers).slots.drain(..) {
            self.lines.clear();
            slot.exchange(&mut self.lines);
            lost += self.lines.count();
        }
        self.shared.dropped.fetch_add(lost, Ordering::Relaxed);
        lost
    }

    /// Sleeps until there is something to do. Whoever appends a line after the look below sees that the writer is idle.
    fn sleep_until_woken(&self) {
        self.shared.idle.store(true, Ordering::Relaxed);
        let is_empty = lock(&self.shared.buffers).slots.iter().all(|slot| slot.is_empty());
        if is_empty {
            thread::park();
        }
        self.shared.idle.store(false, Ordering::Relaxed);
    }
}
