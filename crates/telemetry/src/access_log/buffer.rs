//! Where one worker's lines wait.

use std::{
    fmt, mem,
    sync::{Arc, Mutex, atomic::Ordering},
};

use super::{BUFFER_BYTES, BUFFER_BYTES_MAX, LINE_BYTES_MAX, Shared, lock};

/// A worker's end of an [`AccessLog`](super::AccessLog).
pub struct LogBuffer {
    /// The line that is being made; of its own, so that the writer never waits for a line to be thought of.
    line: Mutex<Vec<u8>>,
    slot: Arc<Slot>,
    shared: Arc<Shared>,
}

/// Lines between a worker and the writer. The lock is held for one copy by the worker and for an exchange of two pointers
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
    count: u64,
}

/// What became of a line.
enum Appended {
    /// It waits.
    Waiting,
    /// It waits, and with it there is enough to write.
    Due,
    /// It found no room.
    Dropped,
}

// === impl LogBuffer ===

impl LogBuffer {
    pub(super) fn new(slot: Arc<Slot>, shared: Arc<Shared>) -> Self {
        Self {
            line: Mutex::default(),
            slot,
            shared,
        }
    }

    /// Appends a line, which `write` gives with or without a line break at its end. Nothing is logged when it gives nothing;
    /// line breaks within become spaces, for what is logged as one line must read as one. `write` must not log itself.
    pub fn line(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut line = lock(&self.line);
        line.clear(); // also of what a panic left
        write(&mut line);
        if line.ends_with(b"\n") {
            line.pop();
        }
        if line.is_empty() {
            return;
        }
        if holds_line_break(&line) {
            line.iter_mut()
                .filter(|byte| **byte == b'\n')
                .for_each(|byte| *byte = b' ');
        }
        line.push(b'\n');
        let appended = if line.len() > LINE_BYTES_MAX {
            *line = Vec::new();
            Appended::Dropped
        } else {
            self.slot.append(&line)
        };
        // Relaxed is enough for `idle`: the writer sets it before it looks into the slot for the last time, and the slot's
        // lock orders that look and this line.
        match appended {
            Appended::Due => self.shared.wake(),
            Appended::Waiting if self.shared.idle.load(Ordering::Relaxed) => self.shared.wake(),
            Appended::Waiting => {}
            // Without waking anyone: who is behind is not made faster by that.
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

/// Looks at every byte whatever it finds: so the compiler looks at many at once, and lines seldom hold one.
fn holds_line_break(line: &[u8]) -> bool {
    line.iter().fold(false, |so_far, byte| so_far | (*byte == b'\n'))
}

// === impl Slot ===

impl Slot {
    fn append(&self, line: &[u8]) -> Appended {
        let mut waiting = lock(&self.0);
        let before = waiting.lines.bytes.len();
        let after = before + line.len();
        if waiting.is_closed || after > BUFFER_BYTES_MAX {
            return Appended::Dropped;
        }
        waiting.lines.bytes.extend_from_slice(line);
        waiting.lines.count += 1;
        if before < BUFFER_BYTES && after >= BUFFER_BYTES {
            Appended::Due
        } else {
            Appended::Waiting
        }
    }

    /// Exchanges what was collected for empty `lines`.
    pub(super) fn exchange(&self, lines: &mut Lines) {
        mem::swap(&mut lock(&self.0).lines, lines);
    }

    pub(super) fn is_empty(&self) -> bool {
        lock(&self.0).lines.count == 0
    }

    /// Takes no more lines.
    pub(super) fn close(&self) {
        lock(&self.0).is_closed = true;
    }
}

// === impl Lines ===

impl Lines {
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
        self.count = 0;
    }
}

#[cfg(test)]
impl Lines {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.to_vec(),
            count: bytes.iter().filter(|byte| **byte == b'\n').count() as u64,
        }
    }
}
