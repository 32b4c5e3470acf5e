//! Where one worker's lines wait.

use std::{
    fmt, mem,
    sync::{Arc, Mutex, atomic::Ordering},
};

use super::{BUFFER_BYTES, BUFFER_BYTES_MAX, LINE_BYTES_MAX, Shared, lock};

/// A worker's end of an [`AccessLog`](super::AccessLog).
pub struct LogBuffer {
    slot: Arc<Slot>,
    shared: Arc<Shared>,
}

/// Lines between a worker and the writer. The lock is held for one line by the worker and for an exchange of two pointers
/// by the writer, never while anything is written out.
#[derive(Debug, Default)]
pub(super) struct Slot(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    lines: Lines,
    /// No more are taken.
    is_closed: bool,
}

/// Whole lines, each with its line break.
#[derive(Debug, Default)]
pub(super) struct Lines {
    bytes: Vec<u8>,
    /// Where the last whole line ends. More stands in `bytes` only when whoever wrote a line panicked within it.
    whole: usize,
    count: u64,
}

/// What became of a line.
enum Appended {
    /// It was empty.
    Nothing,
    /// It waits.
    Waiting,
    /// It waits, and with it there is enough to write.
    Due,
    /// It was too long or found no room.
    Dropped,
}

// === impl LogBuffer ===

impl LogBuffer {
    pub(super) fn new(slot: Arc<Slot>, shared: Arc<Shared>) -> Self {
        Self { slot, shared }
    }

    /// Appends a line, which `write` gives with or without a line break at its end. Nothing is logged when it gives nothing;
    /// line breaks within become spaces, for what is logged as one line must read as one.
    ///
    /// When the buffer is full `write` is not called and the line counts as dropped. `write` must only append, and must not
    /// log itself.
    pub fn line(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let appended = lock(&self.slot.0).append(write);
        // Relaxed is enough for `idle`: the writer sets it before it looks into the slot for the last time, and the slot's
        // lock orders that look and this line.
        match appended {
            Appended::Due => self.shared.wake(),
            Appended::Waiting if self.shared.idle.load(Ordering::Relaxed) => self.shared.wake(),
            Appended::Waiting | Appended::Nothing => {}
            Appended::Dropped => {
                self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl fmt::Debug for LogBuffer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LogBuffer").finish_non_exhaustive()
    }
}

// === impl Slot ===

impl Slot {
    /// Exchanges what was collected for empty `lines`.
    pub(super) fn exchange(&self, lines: &mut Lines) {
        mem::swap(&mut lock(&self.0).lines, lines);
        lines.bytes.truncate(lines.whole);
    }

    pub(super) fn is_empty(&self) -> bool {
        lock(&self.0).lines.whole == 0
    }

    /// Takes no more lines.
    pub(super) fn close(&self) {
        lock(&self.0).is_closed = true;
    }
}

// === impl Waiting ===

impl Waiting {
    fn append(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Appended {
        let is_full = self.lines.whole + LINE_BYTES_MAX > BUFFER_BYTES_MAX;
        // Without waking anyone: who is behind is not made faster by that.
        if self.is_closed || is_full {
            Appended::Dropped
        } else {
            self.lines.append(write)
        }
    }
}

// === impl Lines ===

impl Lines {
    fn append(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Appended {
        self.bytes.truncate(self.whole);
        write(&mut self.bytes);
        self.whole = self.whole.min(self.bytes.len());
        if self.bytes.len() > self.whole && self.bytes.ends_with(b"\n") {
            self.bytes.pop();
        }
        let line = self.bytes.get_mut(self.whole..).unwrap_or_default();
        if line.is_empty() {
            return Appended::Nothing;
        }
        if line.len() >= LINE_BYTES_MAX {
            self.bytes.truncate(self.whole);
            return Appended::Dropped;
        }
        if line.contains(&b'\n') {
            line.iter_mut()
                .filter(|byte| **byte == b'\n')
                .for_each(|byte| *byte = b' ');
        }
        self.bytes.push(b'\n');
        let before = mem::replace(&mut self.whole, self.bytes.len());
        self.count += 1;
        if before < BUFFER_BYTES && self.whole >= BUFFER_BYTES {
            Appended::Due
        } else {
            Appended::Waiting
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The end of the last whole line before `at`.
    pub(super) fn whole_before(&self, at: usize) -> usize {
        let before = self.bytes.get(..at).unwrap_or_default();
        before
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |line_break| line_break + 1)
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Empties it and keeps the memory of an ordinary load.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(2 * BUFFER_BYTES);
        self.whole = 0;
        self.count = 0;
    }
}

#[cfg(test)]
impl Slot {
    pub(super) fn append_for_test(&self, line: &str) {
        lock(&self.0).append(|out| out.extend_from_slice(line.as_bytes()));
    }
}
