//! A deadline that costs nothing as long as it is not reached.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};

/// One timer that serves one deadline after another.
///
/// Moving the deadline back only notes it: the runtime's timer stays where it is, and when it fires too early it is set anew. A
/// connection that serves a thousand requests in a row registers one timer instead of a thousand.
pub(crate) struct Timer {
    sleep: Pin<Box<Sleep>>,
    due: Instant,
}

// === impl Timer ===

impl Timer {
    /// A timer that is due at `due`. Needs a runtime with time.
    pub(crate) fn new(due: Instant) -> Self {
        Self {
            sleep: Box::pin(sleep_until(due)),
            due,
        }
    }

    /// Sets the next deadline.
    pub(crate) fn set(&mut self, due: Instant) {
        self.due = due;
        if due < self.sleep.deadline() {
            self.sleep.as_mut().reset(due);
        }
    }

    /// Ready once the deadline is reached.
    pub(crate) fn poll_due(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.sleep.as_mut().poll(context).is_ready() {
            if self.sleep.deadline() >= self.due {
                return Poll::Ready(());
            }
            self.sleep.as_mut().reset(self.due);
        }
        Poll::Pending
    }
}
