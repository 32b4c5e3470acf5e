//! A connection's bytes: what was read and not yet used, and writing with a deadline.

use std::cell::RefCell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use std::{io, mem};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::outbox::Outbox;
use crate::http1::{Decoder, RequestFraming};
use crate::listener::ListenerSettings;
use crate::timer::Timer;

/// How much is read at once while a head is expected.
pub(super) const HEAD_READ_BYTES: usize = 4 * 1024;
/// How much is read at once of a body.
pub(super) const BODY_READ_BYTES: usize = 32 * 1024;
/// The largest buffer that a thread keeps for its next read.
const SPARE_BYTES_MAX: usize = 8 * 1024;

thread_local! {
    /// A head mostly comes in one piece and is copied out of it at once, so one buffer serves all connections of a thread one
    /// after another, and a connection at rest holds none.
    static SPARE: RefCell<BytesMut> = RefCell::new(BytesMut::new());
}

/// What a connection runs over.
pub(super) trait Link: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Makes closing visible as a failure: where an answer lasts until the connection's end, a plain end would look complete.
    fn reset_on_close(&mut self);

    /// Whether the end has to be announced for the other side to know that nothing was cut off (TLS, RFC 8446 section 6.1).
    const IS_END_ANNOUNCED: bool = false;
}

/// One connection. Shared between its task and the body of the request that it serves, which may be polled elsewhere.
pub(super) struct Wire<IO> {
    pub(super) link: IO,
    /// Read, not yet used.
    pub(super) input: BytesMut,
    /// The client will send no more.
    pub(super) is_ended: bool,
    /// Of what is waited for on the reading side: a head, a body, the end.
    pub(super) timer: Timer,
    /// Where the current request's body ends.
    pub(super) decoder: Decoder,
    /// Counts requests, so that a body that outlives its request reads nothing of the next one.
    pub(super) turn: u64,
    pub(super) continuation: Continuation,
    /// A body that broke: nothing behind it can be read as a request.
    pub(super) is_broken: bool,
    /// Whether the reading side has waited since the last byte came, so that the deadline is set.
    pub(super) is_waiting: bool,
    pub(super) times: Times,
    write_timer: Option<Timer>,
    is_write_waiting: bool,
}

/// How long a connection waits for what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) head: Duration,
    pub(super) idle: Duration,
    pub(super) body: Duration,
    pub(super) write: Duration,
    pub(super) tunnel: Duration,
}

/// `100 Continue` (RFC 9110 section 10.1.1): owed from the head on, paid when the body is first asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Continuation {
    /// The client does not wait for it, or no longer needs it.
    None,
    /// The client waits.
    Due,
    /// So many of its bytes are out.
    Sending(usize),
}

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Why an answer could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WriteFault {
    /// The connection is gone.
    Gone,
    /// The client took nothing for too long.
    TimedOut,
}

/// The connection as its task and its request body hold it.
pub(super) type Shared<IO> = Arc<Mutex<Wire<IO>>>;

/// Never contended within a task and never held over an await.
pub(super) fn lock<IO>(wire: &Mutex<Wire<IO>>) -> MutexGuard<'_, Wire<IO>> {
    wire.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Link ===

impl Link for TcpStream {
    fn reset_on_close(&mut self) {
        let _ = self.set_zero_linger(); // a socket that is gone already needs no reset
    }
}

#[cfg(test)]
impl Link for tokio::io::DuplexStream {
    fn reset_on_close(&mut self) {}
}

// === impl Times ===

impl Times {
    pub(super) fn of(settings: &ListenerSettings) -> Self {
        Self {
            head: settings.head_timeout,
            idle: settings.idle_timeout,
            body: settings.body_idle_timeout,
            write: settings.write_idle_timeout,
            tunnel: settings.tunnel_idle_timeout,
        }
    }
}

// === impl Wire ===

impl<IO: Link> Wire<IO> {
    pub(super) fn new(link: IO, times: Times) -> Self {
        Self {
            link,
            input: BytesMut::new(),
            is_ended: false,
            timer: Timer::new(Instant::now() + times.idle),
            decoder: Decoder::request(RequestFraming::None),
            turn: 0,
            continuation: Continuation::None,
            is_broken: false,
            is_waiting: false,
            times,
            write_timer: None,
            is_write_waiting: false,
        }
    }

    /// Reads what there is, at most about `bytes_max`, behind what `input` holds. `Ok(0)` is the end of the client's sending.
    pub(super) fn poll_fill(&mut self, context: &mut Context<'_>, bytes_max: usize) -> Poll<io::Result<usize>> {
        if self.is_ended {
            return Poll::Ready(Ok(0));
        }
        if self.input.capacity() == 0 {
            self.input = SPARE.take();
            self.input.reserve(HEAD_READ_BYTES); // what it has lost at its front comes back by this
        }
        if self.input.capacity() - self.input.len() < bytes_max / 4 {
            self.input.reserve(bytes_max);
        }
        // The future holds nothing between polls, so one may be made for each (it is cancel safe).
        let Poll::Ready(read) = pin!(self.link.read_buf(&mut self.input)).poll(context) else {
            self.spare_input();
            return Poll::Pending;
        };
        self.is_ended = !matches!(read, Ok(1..));
        Poll::Ready(read)
    }

    /// Gives the buffer back when nothing waits in it.
    pub(super) fn spare_input(&mut self) {
        if self.input.is_empty() && self.input.capacity() != 0 {
            let spare = mem::take(&mut self.input);
            if spare.capacity() <= SPARE_BYTES_MAX {
                SPARE.set(spare);
            }
        }
    }

    /// Ready once `patience` has passed since the waiting began, that is since the first call after [`Self::progress`].
    pub(super) fn poll_patience(&mut self, context: &mut Context<'_>, patience: Duration) -> Poll<()> {
        if !self.is_waiting {
            self.is_waiting = true;
            self.timer.set(Instant::now() + patience);
        }
        self.timer.poll_due(context)
    }

    /// Something came: the next wait is a new one.
    pub(super) fn progress(&mut self) {
        self.is_waiting = false;
    }

    /// Pays the `100 Continue` that is owed.
    pub(super) fn poll_continue(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let sent = match self.continuation {
                Continuation::None => return Poll::Ready(Ok(())),
                Continuation::Due => 0,
                Continuation::Sending(sent) => sent,
            };
            if sent == CONTINUE.len() {
                ready!(Pin::new(&mut self.link).poll_flush(context))?;
                self.continuation = Continuation::None;
                continue;
            }
            let written = ready!(Pin::new(&mut self.link).poll_write(context, &CONTINUE[sent..]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.continuation = Continuation::Sending(sent + written);
        }
    }

    /// Writes all of `outbox`; each piece that goes out renews the client's time.
    pub(super) fn poll_send(&mut self, context: &mut Context<'_>, outbox: &mut Outbox) -> Poll<Result<(), WriteFault>> {
        if let Continuation::Sending(_) = self.continuation {
            match self.poll_continue(context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Err(WriteFault::Gone)),
                Poll::Pending => return self.poll_write_patience(context),
            }
        }
        while !outbox.is_empty() {
            match outbox.poll_write(context, &mut self.link) {
                Poll::Ready(Ok(1..)) => self.is_write_waiting = false,
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(WriteFault::Gone)),
                Poll::Pending => return self.poll_write_patience(context),
            }
        }
        match Pin::new(&mut self.link).poll_flush(context) {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
            Poll::Ready(Err(_)) => Poll::Ready(Err(WriteFault::Gone)),
            Poll::Pending => self.poll_write_patience(context),
        }
    }

    fn poll_write_patience(&mut self, context: &mut Context<'_>) -> Poll<Result<(), WriteFault>> {
        let due = Instant::now() + self.times.write;
        let timer = self.write_timer.get_or_insert_with(|| Timer::new(due));
        if !self.is_write_waiting {
            self.is_write_waiting = true;
            timer.set(due);
        }
        timer.poll_due(context).map(|()| Err(WriteFault::TimedOut))
    }

    /// Gives back what only a request needs.
    pub(super) fn rest(&mut self) {
        self.spare_input();
        self.write_timer = None;
    }
}
