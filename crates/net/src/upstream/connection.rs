//! One connection to an upstream with its buffers.

use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::timer::Timer;

/// What a connection may hold in memory while nobody uses it, per buffer.
const IDLE_BUFFER_BYTES_MAX: usize = 16 * 1024;

/// A connection and what has been read from it but not consumed. Boxed, so that handing it on moves a pointer.
pub(crate) struct Connection {
    pub(crate) stream: Stream,
    /// Read, not yet consumed.
    pub(crate) input: BytesMut,
    /// To be written.
    pub(crate) output: Vec<u8>,
    pub(crate) timer: Timer,
}

/// With or without TLS.
pub(crate) enum Stream {
    Plain(TcpStream),
    Secure(Box<TlsStream<TcpStream>>),
}

// === impl Connection ===

impl Connection {
    /// Reads what there is, at most `bytes_max`, behind what `input` holds already. `Ok(0)` means that the upstream has ended
    /// its side.
    pub(crate) fn poll_fill(&mut self, context: &mut Context<'_>, bytes_max: usize) -> Poll<io::Result<usize>> {
        if self.input.capacity() - self.input.len() < bytes_max / 4 {
            self.input.reserve(bytes_max);
        }
        // The future holds nothing between polls, so one may be made for each (it is cancel safe).
        pin!(self.stream.read_buf(&mut self.input)).poll(context)
    }

    /// Whether a connection that rested can be used again: open, and nothing unasked for has arrived.
    ///
    /// Asks the readiness that the runtime already knows; the system is only called when that says that there is something.
    pub(crate) fn is_quiet(&mut self) -> bool {
        let mut byte = [0_u8; 1];
        let mut buffer = ReadBuf::new(&mut byte);
        // Nobody waits for this read, so nobody needs to be woken.
        let mut context = Context::from_waker(Waker::noop());
        self.input.is_empty()
            && Pin::new(&mut self.stream)
                .poll_read(&mut context, &mut buffer)
                .is_pending()
    }

    /// As [`Self::is_quiet`], but asks the system and not the runtime, whose knowledge is as old as its last look.
    pub(crate) fn is_open_now(&self) -> bool {
        let socket = match &self.stream {
            Stream::Plain(stream) => SockRef::from(stream),
            Stream::Secure(stream) => SockRef::from(stream.get_ref().0),
        };
        let mut byte = [MaybeUninit::uninit()];
        matches!(socket.peek(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Gives large buffers back before the connection rests.
    pub(crate) fn shrink(&mut self) {
        if self.input.capacity() > IDLE_BUFFER_BYTES_MAX {
            self.input = BytesMut::new();
        }
        if self.output.capacity() > IDLE_BUFFER_BYTES_MAX {
            self.output = Vec::new();
        }
    }
}

// === impl Stream ===

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Secure(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Secure(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Secure(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Secure(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
