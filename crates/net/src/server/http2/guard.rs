//! The connection as `h2` sees it: every byte passes here, and what passes is told to whoever watches the time.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::frames::{Allowance, Frames};
use crate::server::wire::Link;

/// What all streams of a connection together may have handed over without its having been written.
const QUEUED_BYTES_MAX: usize = 256 * 1024;

/// A link with a [`Gauge`] on it.
pub(super) struct Guard<IO: Link> {
    link: IO,
    /// Read before the connection was known to be HTTP/2.
    input: BytesMut,
    gauge: Arc<Gauge>,
}

/// What is known of a connection's bytes. Never contended: connection and streams are one task.
pub(super) struct Gauge(Mutex<Reading>);

/// What a [`Gauge`] says.
pub(super) struct Reading {
    /// Bytes read in all.
    pub(super) read: u64,
    /// Bytes written in all.
    pub(super) written: u64,
    /// How often all that was in `h2`'s buffer was written.
    pub(super) flushes: u64,
    /// The client takes no more at present.
    pub(super) is_stalled: bool,
    /// It has cost us more than it may; nothing more is read.
    pub(super) is_overspent: bool,
    /// Closing must show as a failure.
    pub(super) resets_on_close: bool,
    /// What streams have handed over since everything was written.
    queued: usize,
    /// Streams that wait for that.
    waiting: Vec<Waker>,
    pub(super) frames: Frames,
    pub(super) allowance: Allowance,
}

// === impl Gauge ===

impl Gauge {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Reading {
            read: 0,
            written: 0,
            flushes: 0,
            is_stalled: false,
            is_overspent: false,
            resets_on_close: false,
            queued: 0,
            waiting: Vec::new(),
            frames: Frames::new(),
            allowance: Allowance::new(Instant::now()),
        })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Reading> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ready when a stream may hand over more. However many streams there are, what waits to be written stays bounded.
    pub(super) fn poll_room(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut reading = self.lock();
        if reading.queued < QUEUED_BYTES_MAX {
            return Poll::Ready(());
        }
        reading.waiting.push(context.waker().clone());
        Poll::Pending
    }

    /// Ready once all that was handed over until now, when `flushes` were counted, is written; or never will be.
    pub(super) fn poll_written(&self, flushes: u64, context: &mut Context<'_>) -> Poll<()> {
        let mut reading = self.lock();
        if reading.flushes > flushes && !reading.is_stalled {
            return Poll::Ready(());
        }
        reading.waiting.push(context.waker().clone());
        Poll::Pending
    }

    /// A stream has handed over so many bytes.
    pub(super) fn queue(&self, bytes: usize) {
        self.lock().queued += bytes;
    }
}

// === impl Reading ===

impl Reading {
    /// Nothing waits any more, whatever became of it: a stream that was reset leaves nothing to be written.
    pub(super) fn is_written(&mut self) {
        self.queued = 0;
        self.wake();
    }

    fn wake(&mut self) {
        self.waiting.drain(..).for_each(Waker::wake);
    }
}

// === impl Guard ===

impl<IO: Link> Guard<IO> {
    /// Over `link`, whose first bytes may be in `input` already.
    pub(super) fn new(link: IO, input: BytesMut, gauge: Arc<Gauge>) -> Self {
        Self { link, input, gauge }
    }

    fn wrote(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let mut reading = self.gauge.lock();
        match &result {
            Poll::Ready(Ok(written)) => {
                reading.queued = reading.queued.saturating_sub(*written);
                reading.written += *written as u64;
                reading.is_stalled = false;
                reading.allowance.took(*written as u64);
                if reading.queued < QUEUED_BYTES_MAX / 2 {
                    reading.wake();
                }
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => reading.is_stalled = true,
        }
        result
    }
}

impl<IO: Link> AsyncRead for Guard<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let guard = &mut *self;
        let before = buffer.filled().len();
        if guard.gauge.lock().is_overspent {
            return Poll::Pending; // whoever watches has seen it and ends the connection
        }
        if guard.input.is_empty() {
            ready!(Pin::new(&mut guard.link).poll_read(context, buffer))?;
        } else {
            let length = guard.input.len().min(buffer.remaining());
            buffer.put_slice(&guard.input[..length]);
            guard.input.advance(length);
            if guard.input.is_empty() {
                guard.input = BytesMut::new();
            }
        }
        let passed = &buffer.filled()[before..];
        let mut reading = guard.gauge.lock();
        reading.read += passed.len() as u64;
        let cost = reading.frames.pass(passed);
        if cost > 0 && !reading.allowance.charge(cost) {
            reading.is_overspent = true;
            buffer.set_filled(before); // none of it is acted on
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: Link> AsyncWrite for Guard<IO> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.link).poll_write(context, bytes);
        self.wrote(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.link).poll_write_vectored(context, slices);
        self.wrote(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.link.is_write_vectored()
    }

    /// `h2` asks for this once all that it had in its buffer is written.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.link).poll_flush(context) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => {
                self.gauge.lock().is_stalled = true;
                return Poll::Pending;
            }
        }
        let mut reading = self.gauge.lock();
        reading.flushes += 1;
        reading.is_stalled = false;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.link).poll_shutdown(context)
    }
}

impl<IO: Link> Drop for Guard<IO> {
    fn drop(&mut self) {
        let mut reading = self.gauge.lock();
        if reading.resets_on_close {
            self.link.reset_on_close();
        }
        reading.flushes += 1;
        reading.is_stalled = false;
        reading.is_written(); // who waits finds its stream gone
    }
}
