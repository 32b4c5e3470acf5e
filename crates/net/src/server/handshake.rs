//! From a TCP connection to an encrypted one, within bounds.

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use portcullis_core::{Clock, SystemClock};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::wire::Link;
use super::worker::{Listener, Worker};
use crate::tls::{HandshakeFault, ServerTls, TlsFacts};

/// A TCP connection of which some bytes were read already.
pub(super) struct Prefixed {
    read: BytesMut,
    stream: TcpStream,
}

/// A handshake under way; dropping it gives its place back.
struct Place<'l>(&'l AtomicUsize);

/// Shakes hands. Whatever comes of it is counted.
pub(super) async fn shake(
    worker: &Worker,
    listener: &Listener,
    tls: &Arc<ServerTls>,
    stream: Prefixed,
) -> Result<(TlsStream<Prefixed>, TlsFacts), HandshakeFault> {
    let place = Place::take(&listener.handshakes, listener.settings.handshakes_max);
    let outcome = match &place {
        Some(_) => timeout(listener.settings.handshake_timeout, negotiate(worker, tls, stream))
            .await
            .unwrap_or(Err(HandshakeFault::TimedOut)),
        None => Err(HandshakeFault::Full),
    };
    match &outcome {
        Ok((_, facts)) => worker.stats().count_handshake(facts.is_resumed),
        Err(fault) => {
            worker.stats().count_handshake_failed(*fault);
            tracing::debug!(listener = %listener.settings.address, %fault, "a TLS handshake failed");
        }
    }
    outcome
}

async fn negotiate(
    worker: &Worker,
    tls: &Arc<ServerTls>,
    stream: Prefixed,
) -> Result<(TlsStream<Prefixed>, TlsFacts), HandshakeFault> {
    let fault = |error: io::Error| HandshakeFault::of(&error);
    let mut first = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream);
    let begun = poll_fn(|context| match Pin::new(&mut first).poll(context) {
        // As a connection at rest: whoever has not begun is not waited for.
        Poll::Pending if worker.is_stopping() => Poll::Ready(Err(HandshakeFault::BrokenOff)),
        polled => polled.map_err(fault),
    })
    .await?;
    let config = tls.config(begun.client_hello().server_name());
    let stream = begun.into_stream(config).await.map_err(fault)?;
    let facts = TlsFacts::of(stream.get_ref().1, tls).ok_or(HandshakeFault::Unagreed)?;
    // A session that is resumed brings the certificate of its first handshake along, unverified.
    facts
        .client_standing(SystemClock.now())
        .map_err(|_| HandshakeFault::ClientCertificate)?;
    Ok((stream, facts))
}

// === impl Place ===

impl<'l> Place<'l> {
    fn take(count: &'l AtomicUsize, max: usize) -> Option<Self> {
        let place = Self(count); // dropped, and the count with it, when there is no room
        (count.fetch_add(1, Ordering::Relaxed) < max).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

// === impl Prefixed ===

impl Prefixed {
    pub(super) fn new(stream: TcpStream, read: BytesMut) -> Self {
        Self { read, stream }
    }
}

impl Link for TlsStream<Prefixed> {
    fn reset_on_close(&mut self) {
        let _ = self.get_ref().0.stream.set_zero_linger(); // a socket that is gone already needs no reset
    }

    const IS_END_ANNOUNCED: bool = true;
}

impl AsyncRead for Prefixed {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.read.is_empty() {
            return Pin::new(&mut this.stream).poll_read(context, buffer);
        }
        let count = this.read.len().min(buffer.remaining());
        buffer.put_slice(&this.read[..count]);
        this.read.advance(count);
        if this.read.is_empty() {
            this.read = BytesMut::new(); // gives the buffer back
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Prefixed {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
