//! What waits to be written to the client: small pieces together in one buffer, a large one behind it as it is.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;

use crate::http1::encode;

/// Pieces up to this size are copied behind each other; for larger ones a second vector is cheaper than a copy.
const COPY_BYTES_MAX: usize = 16 * 1024;
/// When this much waits, nothing is added until some of it is out.
const WAITING_BYTES_MAX: usize = 64 * 1024;
/// The largest buffer that a thread keeps for its next answer.
const KEPT_BYTES_MAX: usize = 96 * 1024;

thread_local! {
    /// Most answers go out in one write, so one buffer serves all connections of a thread one after another, and a connection
    /// at rest holds none.
    static SPARE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The answer on its way out.
pub(super) struct Outbox {
    small: Vec<u8>,
    large: Bytes,
    /// The line break behind `large`'s chunk is still to be appended once `large` is out.
    is_chunk_open: bool,
    /// The last chunk, too.
    is_last_due: bool,
}

// === impl Outbox ===

impl Outbox {
    /// An empty one, with this thread's spare buffer.
    pub(super) fn new() -> Self {
        Self {
            small: SPARE.take(),
            large: Bytes::new(),
            is_chunk_open: false,
            is_last_due: false,
        }
    }

    /// Where heads and chunk framing are written. Only while [`Self::is_full`] is false.
    pub(super) fn text(&mut self) -> &mut Vec<u8> {
        &mut self.small
    }

    /// Adds a piece of a body. Only while [`Self::is_full`] is false.
    pub(super) fn push(&mut self, data: Bytes, is_chunked: bool) {
        if data.is_empty() {
            return; // as a chunk it would end the body
        }
        if is_chunked {
            encode::chunk_start(&mut self.small, data.len());
        }
        if data.len() <= COPY_BYTES_MAX {
            self.small.extend_from_slice(&data);
            if is_chunked {
                encode::chunk_end(&mut self.small);
            }
        } else {
            self.large = data;
            self.is_chunk_open = is_chunked;
        }
    }

    /// Ends a chunked body: the last chunk comes behind all that waits.
    pub(super) fn close_chunks(&mut self) {
        if self.large.is_empty() {
            self.small.extend_from_slice(encode::LAST_CHUNK);
        } else {
            self.is_last_due = true;
        }
    }

    /// Whether something must go out before anything is added.
    pub(super) fn is_full(&self) -> bool {
        !self.large.is_empty() || self.small.len() >= WAITING_BYTES_MAX
    }

    /// Whether all is out.
    pub(super) fn is_empty(&self) -> bool {
        self.small.is_empty() && self.large.is_empty()
    }

    /// Writes once; `Ok(0)` when the connection takes nothing more.
    pub(super) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        link: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<usize>> {
        let link = Pin::new(link);
        let written = ready!(if self.large.is_empty() {
            link.poll_write(context, &self.small)
        } else if self.small.is_empty() {
            link.poll_write(context, &self.large)
        } else {
            link.poll_write_vectored(context, &[IoSlice::new(&self.small), IoSlice::new(&self.large)])
        })?;
        self.advance(written);
        Poll::Ready(Ok(written))
    }

    fn advance(&mut self, count: usize) {
        let small = count.min(self.small.len());
        self.small.drain(..small); // mostly all; else the little that is left moves to the front
        if count > small {
            self.large.advance(count - small);
        }
        if self.is_chunk_open && self.large.is_empty() {
            self.is_chunk_open = false;
            encode::chunk_end(&mut self.small);
        }
        if self.is_last_due && self.large.is_empty() {
            self.is_last_due = false;
            self.small.extend_from_slice(encode::LAST_CHUNK);
        }
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.small.clear();
        if self.small.capacity() <= KEPT_BYTES_MAX {
            let small = std::mem::take(&mut self.small);
            // A thread that is ending has no place for it any more.
            let _ = SPARE.try_with(|spare| spare.replace(small));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// Takes so many bytes at once.
    struct Sink {
        step: usize,
        written: Vec<u8>,
    }

    impl AsyncWrite for Sink {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            let taken = self.step.min(bytes.len());
            self.written.extend_from_slice(&bytes[..taken]);
            Poll::Ready(Ok(taken))
        }

        fn poll_write_vectored(
            self: Pin<&mut Self>,
            context: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let all: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
            self.poll_write(context, &all)
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn check(is_chunked: bool, step: usize) {
        let large = Bytes::from(vec![b'x'; COPY_BYTES_MAX + 1]);
        let mut context = Context::from_waker(Waker::noop());
        let mut sink = Sink {
            step,
            written: Vec::new(),
        };
        let mut outbox = Outbox::new();
        for data in [
            Bytes::from_static(b"head"),
            large.clone(),
            Bytes::new(),
            Bytes::from_static(b"tail"),
        ] {
            while outbox.is_full() {
                assert!(outbox.poll_write(&mut context, &mut sink).is_ready());
            }
            outbox.push(data, is_chunked);
        }
        if is_chunked {
            outbox.close_chunks();
        }
        while !outbox.is_empty() {
            assert!(outbox.poll_write(&mut context, &mut sink).is_ready());
        }
        let large = String::from_utf8(large.to_vec()).unwrap();
        let expected = if is_chunked {
            format!("4\r\nhead\r\n4001\r\n{large}\r\n4\r\ntail\r\n0\r\n\r\n")
        } else {
            format!("head{large}tail")
        };
        assert_eq!(
            String::from_utf8(sink.written).unwrap(),
            expected,
            "chunked {is_chunked}, by {step}"
        );
    }

    #[test]
    fn writes_pieces_in_order_whatever_is_taken_at_once() {
        for is_chunked in [false, true] {
            for step in [1, 7, 4096, usize::MAX] {
                check(is_chunked, step);
            }
        }
    }
}
