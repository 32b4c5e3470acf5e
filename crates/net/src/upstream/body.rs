//! A response's body as it arrives.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::Instant;

use super::exchange::Exchange;
use super::pool::Pool;
use crate::body::BodyError;
use crate::http1::{Decoded, Decoder};

/// How much is asked of the system at once.
const READ_BYTES: usize = 64 * 1024;

/// The body of an upstream's response.
///
/// While it is read it goes on sending the request's body, so that an upstream may answer before it has read everything. The
/// connection goes back to its pool with the last byte, and is closed when this is dropped before. A response that ends
/// before the request was sent ends the sending.
pub struct UpstreamBody(Box<Reading>);

struct Reading {
    /// `None` once the body has ended or broken.
    exchange: Option<Exchange>,
    decoder: Decoder,
    /// What came along with the head.
    arrived: Bytes,
    /// Where the connection goes; `None` when it is not to be used again.
    home: Option<OwnedHome>,
    idle_timeout: Duration,
    waiting: Waiting,
}

/// Whether we wait for the upstream, and what had gone out when that began.
enum Waiting {
    No,
    SinceWritten(u64),
}

/// Where a connection goes when its response has ended.
pub(super) struct Home<'a> {
    pub(super) pool: &'a Arc<Pool>,
    pub(super) origin: u64,
    pub(super) timeout: Option<Duration>,
}

struct OwnedHome {
    pool: Arc<Pool>,
    origin: u64,
    timeout: Option<Duration>,
}

// === impl Home ===

impl Home<'_> {
    /// Takes the connection in if nothing is in flight on it any more, and closes it otherwise.
    pub(super) fn take_in(&self, exchange: Exchange) {
        let Exchange { connection, upload } = exchange;
        if upload.is_done() && connection.input.is_empty() {
            self.pool.put(self.origin, connection, self.timeout);
        }
    }
}

// === impl UpstreamBody ===

impl UpstreamBody {
    /// Whether the body ends where the connection does, so that nobody can tell a whole one from one that broke off.
    pub fn ends_with_connection(&self) -> bool {
        self.0.decoder.is_until_close()
    }

    pub(super) fn new(
        exchange: Exchange,
        decoder: Decoder,
        arrived: Bytes,
        home: Option<Home<'_>>,
        idle_timeout: Duration,
    ) -> Self {
        let home = home.map(|Home { pool, origin, timeout }| OwnedHome {
            pool: Arc::clone(pool),
            origin,
            timeout,
        });
        let exchange = Some(exchange);
        Self(Box::new(Reading {
            exchange,
            decoder,
            arrived,
            home,
            idle_timeout,
            waiting: Waiting::No,
        }))
    }
}

impl http_body::Body for UpstreamBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let reading = &mut *self.0;
        if !reading.arrived.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut reading.arrived)))));
        }
        let polled = reading.poll_data(context);
        if let Poll::Ready(Some(Err(_))) = polled {
            reading.exchange = None;
        }
        polled.map_ok(Frame::data)
    }

    fn is_end_stream(&self) -> bool {
        self.0.exchange.is_none() && self.0.arrived.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let arrived = self.0.arrived.len() as u64;
        match self.0.decoder.remaining() {
            Some(remaining) => SizeHint::with_exact(arrived + remaining),
            None => {
                let mut hint = SizeHint::new();
                hint.set_lower(arrived);
                hint
            }
        }
    }
}

// === impl Reading ===

impl Reading {
    fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            let Some(exchange) = &mut self.exchange else {
                return Poll::Ready(None);
            };
            if let Poll::Ready(Err(error)) = exchange.poll_upload(context) {
                return Poll::Ready(Some(Err(error)));
            }
            match self.decoder.decode(&mut exchange.connection.input) {
                Err(_) => return Poll::Ready(Some(Err(BodyError::UpstreamBroken))),
                Ok(Decoded::Data(data)) => {
                    self.waiting = Waiting::No;
                    // The end often lies behind the last data: then the connection is free now. A fault there is met again.
                    let _ = self.decoder.settle(&mut exchange.connection.input);
                    if self.decoder.is_ended() {
                        self.finish();
                    }
                    return Poll::Ready(Some(Ok(data)));
                }
                Ok(Decoded::End) => {
                    self.finish();
                    return Poll::Ready(None);
                }
                Ok(Decoded::NeedMore) => {}
            }
            match exchange.connection.poll_fill(context, READ_BYTES) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(Ok(0)) => match self.decoder.end_of_input() {
                    Ok(()) => {}
                    Err(_) => return Poll::Ready(Some(Err(BodyError::UpstreamBroken))),
                },
                Poll::Ready(Err(_)) => return Poll::Ready(Some(Err(BodyError::UpstreamBroken))),
                Poll::Pending => return self.poll_idle(context),
            }
        }
    }

    /// The upstream has nothing for us. Its time begins when we begin to wait, not when it last sent something: meanwhile it
    /// was perhaps our own client that was slow. Sending counts as progress.
    fn poll_idle(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let Some(Exchange { connection, upload }) = &mut self.exchange else {
            return Poll::Ready(None);
        };
        let is_waiting = matches!(self.waiting, Waiting::SinceWritten(written) if written == upload.written());
        if !is_waiting {
            connection.timer.set(Instant::now() + self.idle_timeout);
            self.waiting = Waiting::SinceWritten(upload.written());
        }
        connection
            .timer
            .poll_due(context)
            .map(|()| Some(Err(BodyError::TimedOut)))
    }

    fn finish(&mut self) {
        if let (Some(exchange), Some(home)) = (self.exchange.take(), self.home.take()) {
            Home {
                pool: &home.pool,
                origin: home.origin,
                timeout: home.timeout,
            }
            .take_in(exchange);
        }
    }
}

impl Drop for Reading {
    /// A client that went away before reading what has arrived already need not cost the connection.
    fn drop(&mut self) {
        let Some(exchange) = &mut self.exchange else { return };
        while let Ok(Decoded::Data(_)) = self.decoder.decode(&mut exchange.connection.input) {}
        if self.decoder.is_ended() {
            self.finish();
        }
    }
}
