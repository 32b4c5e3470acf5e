//! Making sure that a receipt is called exactly once, also when a task is cut off or panics.

use super::handler::{Receipt, Sent};

/// A receipt and what it will say.
pub(super) struct Counter<R: Receipt> {
    receipt: Option<R>,
    body_bytes: u64,
}

// === impl Counter ===

impl<R: Receipt> Counter<R> {
    pub(super) fn new(receipt: R) -> Self {
        Self {
            receipt: Some(receipt),
            body_bytes: 0,
        }
    }

    /// So many bytes of the body are out by now.
    pub(super) fn flushed(&mut self, body_bytes: u64) {
        self.body_bytes = body_bytes;
    }

    /// Everything is out.
    pub(super) fn complete(mut self) {
        self.finish(true);
    }

    fn finish(&mut self, complete: bool) {
        if let Some(receipt) = self.receipt.take() {
            receipt.finished(Sent {
                body_bytes: self.body_bytes,
                complete,
            });
        }
    }
}

impl<R: Receipt> Drop for Counter<R> {
    fn drop(&mut self) {
        self.finish(false);
    }
}
