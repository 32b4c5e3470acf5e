//! Copying between a client and an upstream that have left HTTP behind, in the connection's task.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::wire::{Link, Shared, lock};
use crate::upstream::Tunnel;

/// What one direction holds at most.
const BUFFER_BYTES: usize = 16 * 1024;

/// How a tunnel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Each side has closed its own direction.
    Both,
    /// One side broke off.
    Broken,
    /// Nothing went either way for too long.
    Silent,
}

/// One direction.
struct Flow {
    waiting: BytesMut,
    copied: u64,
    is_flushed: bool,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The reading side has ended; the writing side is to be told once all is out.
    Ending,
    Ended,
}

/// Copies in both directions until both have ended: a side that has ended its sending may still receive.
/// Gives the bytes that went to the client.
pub(super) async fn copy<IO: Link>(wire: &Shared<IO>, mut tunnel: Tunnel) -> (u64, End) {
    let (left_over, patience) = {
        let mut wire = lock(wire);
        let patience = wire.times.tunnel;
        wire.timer.set(Instant::now() + patience);
        (std::mem::take(&mut wire.input), patience)
    };
    let mut up = Flow::new(left_over); // what the client sent right behind its request
    let mut down = Flow::new(BytesMut::new());
    let end = poll_fn(|context| {
        let mut wire = lock(wire);
        let before = (up.copied, down.copied);
        let both = (
            up.poll(context, &mut wire.link, &mut tunnel),
            down.poll(context, &mut tunnel, &mut wire.link),
        );
        match both {
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => return Poll::Ready(End::Both),
            (Poll::Ready(Err(_)), _) | (_, Poll::Ready(Err(_))) => return Poll::Ready(End::Broken),
            (Poll::Pending, _) | (_, Poll::Pending) => {}
        }
        if before != (up.copied, down.copied) {
            wire.timer.set(Instant::now() + patience);
        }
        wire.timer.poll_due(context).map(|()| End::Silent)
    })
    .await;
    (down.copied, end)
}

// === impl Flow ===

impl Flow {
    fn new(waiting: BytesMut) -> Self {
        Self {
            waiting,
            copied: 0,
            is_flushed: true,
            state: State::Open,
        }
    }

    fn poll(
        &mut self,
        context: &mut Context<'_>,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<()>> {
        loop {
            while !self.waiting.is_empty() {
                let written = ready!(Pin::new(&mut *to).poll_write(context, &self.waiting))?;
                if written == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.waiting.advance(written);
                self.copied += written as u64;
                self.is_flushed = false;
            }
            if self.state == State::Open {
                match self.poll_read(context, from) {
                    Poll::Ready(Ok(0)) => self.state = State::Ending,
                    Poll::Ready(Ok(_)) => continue,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending if self.is_flushed => return Poll::Pending,
                    Poll::Pending => {
                        ready!(Pin::new(&mut *to).poll_flush(context))?;
                        self.is_flushed = true;
                        return Poll::Pending;
                    }
                }
            }
            if self.state == State::Ending {
                ready!(Pin::new(&mut *to).poll_shutdown(context))?;
                self.state = State::Ended;
            }
            return Poll::Ready(Ok(()));
        }
    }

    /// Through the stack, so that a silent tunnel holds no buffers.
    fn poll_read(&mut self, context: &mut Context<'_>, from: &mut (impl AsyncRead + Unpin)) -> Poll<io::Result<usize>> {
        let mut scratch = [std::mem::MaybeUninit::uninit(); BUFFER_BYTES];
        let mut scratch = ReadBuf::uninit(&mut scratch);
        ready!(Pin::new(from).poll_read(context, &mut scratch))?;
        self.waiting = BytesMut::from(scratch.filled());
        Poll::Ready(Ok(scratch.filled().len()))
    }
}
