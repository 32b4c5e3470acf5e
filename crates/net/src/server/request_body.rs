//! A request's body as the handler gets it.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::wire::{BODY_READ_BYTES, Continuation, Link, Wire, lock};
use crate::body::{Body, BodyError};
use crate::http1::Decoded;

/// The body of a request, read from the connection as it is polled: who does not poll makes the client wait.
///
/// Its length in `size_hint` is exact when the client announced it. `Expect: 100-continue` is answered by the first poll.
/// It may be polled in another task than the handler's, and it outlives its request as [`BodyError::ClientGone`].
pub struct RequestBody {
    kind: Kind,
    /// Still to come, where that is known.
    remaining: Option<u64>,
    received: u64,
    bytes_max: u64,
}

enum Kind {
    Ended,
    Full(Bytes),
    Stream { source: Arc<dyn Source>, turn: u64 },
}

/// The connection, whatever it runs over.
pub(super) trait Source: Send + Sync {
    /// The next piece of the body of the request with this number.
    fn poll_piece(&self, context: &mut Context<'_>, turn: u64) -> Poll<Option<Result<Bytes, BodyError>>>;
}

// === impl RequestBody ===

impl RequestBody {
    /// No body.
    pub fn empty() -> Self {
        Self::full(Bytes::new())
    }

    /// A body that is there already, of whatever size.
    pub fn full(bytes: Bytes) -> Self {
        let length = bytes.len() as u64;
        Self {
            kind: if bytes.is_empty() {
                Kind::Ended
            } else {
                Kind::Full(bytes)
            },
            remaining: Some(length),
            received: 0,
            bytes_max: u64::MAX,
        }
    }

    pub(super) fn stream(source: Arc<dyn Source>, turn: u64, length: Option<u64>, bytes_max: u64) -> Self {
        Self {
            kind: Kind::Stream { source, turn },
            remaining: length,
            received: 0,
            bytes_max,
        }
    }

    /// Whether there is no body, or no more of it.
    pub fn is_empty(&self) -> bool {
        matches!(self.kind, Kind::Ended)
    }

    /// How many bytes are to come, where the client has announced it. May be more than [`Self::bytes_max`]: a handler that asks
    /// can refuse before anything is sent.
    pub fn length(&self) -> Option<u64> {
        self.remaining
    }

    /// How many bytes the listener allows in all; the body is [`BodyError::TooLarge`] beyond it.
    pub fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// Allows `bytes_max` bytes in all where the listener allows more.
    pub fn limit(&mut self, bytes_max: u64) {
        self.bytes_max = self.bytes_max.min(bytes_max);
    }

    fn take(&mut self, data: Bytes) -> Result<Frame<Bytes>, BodyError> {
        let length = data.len() as u64;
        self.received = self.received.saturating_add(length);
        if self.received > self.bytes_max {
            return Err(self.too_large());
        }
        self.remaining = self.remaining.map(|remaining| remaining.saturating_sub(length));
        Ok(Frame::data(data))
    }

    fn too_large(&self) -> BodyError {
        BodyError::TooLarge { limit: self.bytes_max }
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let body = &mut *self;
        let announced = body.received.saturating_add(body.remaining.unwrap_or(0));
        let outcome = match &mut body.kind {
            Kind::Ended => return Poll::Ready(None),
            // Known before a byte of it is read, and before 100 (Continue) invites the client to send it.
            _ if announced > body.bytes_max => Some(Err(body.too_large())),
            Kind::Full(bytes) => Some(Ok(std::mem::take(bytes))),
            Kind::Stream { source, turn } => match source.poll_piece(context, *turn) {
                Poll::Ready(outcome) => outcome,
                Poll::Pending => return Poll::Pending,
            },
        };
        let outcome = outcome.map(|piece| piece.and_then(|data| body.take(data)));
        let is_full = matches!(body.kind, Kind::Full(_));
        if is_full || !matches!(outcome, Some(Ok(_))) || body.remaining == Some(0) {
            body.kind = Kind::Ended;
        }
        Poll::Ready(outcome)
    }

    fn is_end_stream(&self) -> bool {
        self.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        match self.kind {
            Kind::Ended => SizeHint::with_exact(0),
            _ => self.remaining.map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}

impl From<RequestBody> for Body {
    /// For forwarding it. The limit and the errors stay the same.
    fn from(body: RequestBody) -> Self {
        match body.kind {
            Kind::Ended => Self::Empty,
            Kind::Full(ref bytes) if bytes.len() as u64 <= body.bytes_max => Self::Full(bytes.clone()),
            Kind::Full(_) | Kind::Stream { .. } => Self::stream(body),
        }
    }
}

impl fmt::Debug for RequestBody {
    /// Never the content: it may be a payment.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RequestBody")
            .field("remaining", &self.remaining)
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}

// === impl Source ===

impl<IO: Link> Source for Mutex<Wire<IO>> {
    fn poll_piece(&self, context: &mut Context<'_>, turn: u64) -> Poll<Option<Result<Bytes, BodyError>>> {
        let mut wire = lock(self);
        if wire.turn != turn {
            return Poll::Ready(Some(Err(BodyError::ClientGone)));
        }
        wire.poll_piece(context)
    }
}

impl<IO: Link> Wire<IO> {
    /// The next piece of the current request's body.
    pub(super) fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let outcome = self.poll_decoded(context);
        match outcome {
            Poll::Ready(Some(Err(_))) => self.is_broken = true,
            Poll::Ready(Some(Ok(_)) | None) => {
                self.progress();
                if self.is_continue_due() {
                    self.continuation = Continuation::None; // the client did not wait for it (RFC 9110 section 10.1.1)
                }
            }
            Poll::Pending => {}
        }
        outcome
    }

    fn poll_decoded(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        if self.is_broken {
            return Poll::Ready(Some(Err(BodyError::ClientGone)));
        }
        loop {
            match self.decoder.decode(&mut self.input) {
                Ok(Decoded::Data(data)) => return Poll::Ready(Some(Ok(data))),
                Ok(Decoded::End) => return Poll::Ready(None),
                Ok(Decoded::NeedMore) => {}
                Err(fault) => return Poll::Ready(Some(Err(BodyError::Malformed(fault)))),
            }
            match self.poll_continue(context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Some(Err(BodyError::ClientGone))),
                Poll::Pending => return self.poll_body_patience(context),
            }
            match self.poll_fill(context, BODY_READ_BYTES) {
                Poll::Ready(Ok(1..)) => self.progress(),
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Some(Err(BodyError::ClientGone))),
                Poll::Pending => return self.poll_body_patience(context),
            }
        }
    }

    fn poll_body_patience(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let patience = self.times.body;
        self.poll_patience(context, patience)
            .map(|()| Some(Err(BodyError::TimedOut)))
    }

    /// Whether the client must be assumed to wait for a `100 Continue` that it did not get.
    pub(super) fn is_continue_due(&self) -> bool {
        self.continuation == Continuation::Due
    }
}
