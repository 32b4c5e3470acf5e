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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    /// How long after its making a timer is due that was made for `first` ms and then set to each of `next` ms.
    async fn check(first: u64, next: &[u64], expected: u64) {
        let begun = Instant::now();
        let mut timer = Timer::new(begun + Duration::from_millis(first));
        for millis in next {
            timer.set(begun + Duration::from_millis(*millis));
        }
        poll_fn(|context| timer.poll_due(context)).await;
        let elapsed = begun.elapsed();
        assert!(
            elapsed >= Duration::from_millis(expected),
            "{first} {next:?}: too early, after {elapsed:?}"
        );
        assert!(
            elapsed < Duration::from_millis(expected) + Duration::from_secs(30),
            "{first} {next:?}: too late"
        );
    }

    #[tokio::test]
    async fn the_last_deadline_counts_whether_it_is_earlier_or_later() {
        check(10, &[], 10).await;
        check(10, &[30], 30).await;
        check(10, &[30, 20], 20).await;
        check(60_000, &[10], 10).await;
        check(60_000, &[10, 40], 40).await;
    }
}
