//! Bodies that are compressed while they go by.

use std::{
    io::{self, Write as _},
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use flate2::{
    Compression as Level,
    write::{GzEncoder, ZlibEncoder},
};
use http_body::{Frame, SizeHint};
use portcullis_net::{Body, BodyError};

use super::accept::Coding;

/// Between the fastest and the smallest.
const LEVEL: u32 = 4;
/// How much is compressed before others have their turn: well below a millisecond's work.
const TURN_BYTES: usize = 32 * 1024;

/// A body on its way through an encoder. Its memory is the encoder's, some 300 KiB, and one piece of the body.
pub(super) struct Compressed {
    body: Body,
    /// What came and is not compressed yet.
    waiting: Bytes,
    encoder: Option<Encoder>,
    /// Whether the encoder holds what its reader could have already.
    holds: bool,
}

enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Deflate(ZlibEncoder<Vec<u8>>),
}

/// A body whose beginning has been read.
pub(super) struct Resumed {
    ahead: Bytes,
    rest: Result<Body, BodyError>,
}

// === impl Compressed ===

impl Compressed {
    pub(super) fn new(body: Body, coding: Coding) -> Self {
        let level = Level::new(LEVEL);
        Self {
            body,
            waiting: Bytes::new(),
            encoder: Some(match coding {
                Coding::Gzip => Encoder::Gzip(GzEncoder::new(Vec::new(), level)),
                Coding::Deflate => Encoder::Deflate(ZlibEncoder::new(Vec::new(), level)),
            }),
            holds: false,
        }
    }
}

impl http_body::Body for Compressed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let Some(encoder) = &mut this.encoder else {
            return Poll::Ready(None);
        };
        if this.waiting.is_empty() {
            match Pin::new(&mut this.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => this.waiting = frame.into_data().unwrap_or_default(),
                Poll::Ready(Some(Err(error))) => {
                    this.encoder = None; // without its end, so that nobody takes it for whole
                    return Poll::Ready(Some(Err(error)));
                }
                Poll::Ready(None) => {
                    let end = this.encoder.take().map(Encoder::finish);
                    return Poll::Ready(end.map(framed));
                }
                // The origin pauses: what has come so far is not kept from the reader.
                Poll::Pending if mem::take(&mut this.holds) => {
                    return match encoder.flush() {
                        Ok(bytes) if bytes.is_empty() => Poll::Pending,
                        flushed => Poll::Ready(Some(framed(flushed))),
                    };
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        let piece = this.waiting.split_to(this.waiting.len().min(TURN_BYTES));
        this.holds |= !piece.is_empty();
        match encoder.write(&piece) {
            // Nothing to show for it yet; others first, for a body that shrinks to nothing would keep its worker to its end.
            Ok(bytes) if bytes.is_empty() => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
            written => Poll::Ready(Some(framed(written))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.encoder.is_none()
    }
}

/// Writing to memory does not fail; if it did, the body would be broken.
fn framed(bytes: io::Result<Vec<u8>>) -> Result<Frame<Bytes>, BodyError> {
    match bytes {
        Ok(bytes) => Ok(Frame::data(bytes.into())),
        Err(_) => Err(BodyError::UpstreamBroken),
    }
}

// === impl Encoder ===

impl Encoder {
    /// Takes bytes in and gives what is ready.
    fn write(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip(encoder) => {
                encoder.write_all(bytes)?;
                Ok(mem::take(encoder.get_mut()))
            }
            Self::Deflate(encoder) => {
                encoder.write_all(bytes)?;
                Ok(mem::take(encoder.get_mut()))
            }
        }
    }

    /// Gives everything that came so far.
    fn flush(&mut self) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip(encoder) => {
                encoder.flush()?;
                Ok(mem::take(encoder.get_mut()))
            }
            Self::Deflate(encoder) => {
                encoder.flush()?;
                Ok(mem::take(encoder.get_mut()))
            }
        }
    }

    fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip(encoder) => encoder.finish(),
            Self::Deflate(encoder) => encoder.finish(),
        }
    }
}

// === impl Resumed ===

impl Resumed {
    pub(super) fn new(ahead: Bytes, rest: Body) -> Self {
        Self { ahead, rest: Ok(rest) }
    }

    /// One that broke off behind its beginning.
    pub(super) fn broken(ahead: Bytes, error: BodyError) -> Self {
        Self {
            ahead,
            rest: Err(error),
        }
    }
}

impl http_body::Body for Resumed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if !self.ahead.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(mem::take(&mut self.ahead)))));
        }
        match &mut self.rest {
            Ok(body) => Pin::new(body).poll_frame(context),
            Err(error) => Poll::Ready(Some(Err(*error))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ahead.is_empty() && self.rest.as_ref().is_ok_and(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
