//! A response's body as it arrives.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::body::BodyError;

/// The body of an upstream's response; it goes on sending the request's body while that is not done.
pub struct UpstreamBody {
    never: std::convert::Infallible,
}

impl http_body::Body for UpstreamBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.never {}
    }

    fn is_end_stream(&self) -> bool {
        match self.never {}
    }

    fn size_hint(&self) -> SizeHint {
        match self.never {}
    }
}
