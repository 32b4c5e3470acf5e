//! The body of a message on its way through the gateway.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::http1::DecodeFault;
use crate::upstream::{Tunnel, UpstreamBody};

/// A request's or response's body. Polled in the task of the request it belongs to; nothing runs on its own.
///
/// A length that is known is exact in `size_hint`. Only data frames come out of it: trailers are not forwarded.
#[derive(Default)]
pub enum Body {
    /// No body, or one of no bytes.
    #[default]
    Empty,
    /// All of it.
    Full(Bytes),
    /// From an upstream, as it arrives.
    Upstream(UpstreamBody),
    /// From anywhere else, above all from the client.
    Stream(BoxedBody),
    /// No body: with a 101 response, the connection to the upstream from there on. As a body it is empty.
    Tunnel(Tunnel),
}

/// A body whose type does not matter to whom it is given.
pub type BoxedBody = Pin<Box<dyn http_body::Body<Data = Bytes, Error = BodyError> + Send>>;

/// Why a body broke off. It is never to be taken for a body's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The client's connection ended before its request body did.
    #[error("the client went away")]
    ClientGone,
    /// A body of announced length that turned out shorter or longer.
    #[error("the body does not have the length that was announced")]
    LengthMismatch,
    /// The client's chunked framing is broken.
    #[error("the body is malformed: {0}")]
    Malformed(DecodeFault),
    /// No byte of it came for too long.
    #[error("the body made no progress in time")]
    TimedOut,
    /// More than may be sent.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// In bytes.
        limit: u64,
    },
    /// The upstream's connection or framing broke before its response body ended.
    #[error("the upstream broke off its response")]
    UpstreamBroken,
}

// === impl Body ===

impl Body {
    /// Boxes a body of another type.
    pub fn stream(body: impl http_body::Body<Data = Bytes, Error = BodyError> + Send + 'static) -> Self {
        Self::Stream(Box::pin(body))
    }

    /// All of it, where that is at most `bytes_max`.
    pub async fn read_whole(mut self, bytes_max: usize) -> Result<Vec<u8>, BodyError> {
        use http_body::Body as _;
        let mut bytes = Vec::new();
        while let Some(frame) = poll_fn(|context| Pin::new(&mut self).poll_frame(context)).await {
            if let Some(data) = frame?.data_ref() {
                if bytes.len() + data.len() > bytes_max {
                    let limit = bytes_max as u64;
                    return Err(BodyError::TooLarge { limit });
                }
                bytes.extend_from_slice(data);
            }
        }
        Ok(bytes)
    }

    /// The exact length in bytes, where it is known.
    pub fn length(&self) -> Option<u64> {
        http_body::Body::size_hint(self).exact()
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self {
            Self::Empty | Self::Tunnel(_) => Poll::Ready(None),
            Self::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Self::Empty;
                Poll::Ready(if bytes.is_empty() {
                    None
                } else {
                    Some(Ok(Frame::data(bytes)))
                })
            }
            Self::Upstream(body) => Pin::new(body).poll_frame(context),
            Self::Stream(body) => body.as_mut().poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty | Self::Tunnel(_) => true,
            Self::Full(bytes) => bytes.is_empty(),
            Self::Upstream(body) => body.is_end_stream(),
            Self::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty | Self::Tunnel(_) => SizeHint::with_exact(0),
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Upstream(body) => body.size_hint(),
            Self::Stream(body) => body.size_hint(),
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() {
            Self::Empty
        } else {
            Self::Full(bytes)
        }
    }
}

impl fmt::Debug for Body {
    /// Never the content: it may be a payment.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => formatter.write_str("Empty"),
            Self::Full(bytes) => write!(formatter, "Full({} bytes)", bytes.len()),
            Self::Upstream(_) => formatter.write_str("Upstream"),
            Self::Stream(_) => formatter.write_str("Stream"),
            Self::Tunnel(_) => formatter.write_str("Tunnel"),
        }
    }
}
