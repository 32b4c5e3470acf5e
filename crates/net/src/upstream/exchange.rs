//! One request and its response's head on one connection.

use std::task::{Context, Poll};

use http::StatusCode;

use super::connection::Connection;
use super::error::UpstreamError;
use super::upload::Upload;
use crate::body::BodyError;
use crate::http1::{HeadReader, ResponseHead};

/// How much is asked of the system while a head is awaited; small bodies come along in the same read.
const READ_BYTES: usize = 16 * 1024;
/// How many interim responses are skipped in front of the final one.
const INTERIM_MAX: u8 = 8;

/// A connection with a request on its way.
pub(super) struct Exchange {
    pub(super) connection: Box<Connection>,
    pub(super) upload: Upload,
}

/// What an [`Exchange`] needs to remember only until the head has come.
pub(super) struct AwaitedHead {
    reader: HeadReader,
    interim: u8,
    /// Whether any byte of a response has come: from then on, a second try would be a second response.
    pub(super) has_begun: bool,
}

// === impl AwaitedHead ===

impl AwaitedHead {
    pub(super) fn new(reader: HeadReader) -> Self {
        Self {
            reader,
            interim: 0,
            has_begun: false,
        }
    }
}

// === impl Exchange ===

impl Exchange {
    /// Sends, and reads until the final response's head is there. The deadline is the connection's timer.
    pub(super) fn poll_head(
        &mut self,
        awaited: &mut AwaitedHead,
        context: &mut Context<'_>,
    ) -> Poll<Result<ResponseHead, UpstreamError>> {
        loop {
            // First: a response that ends while the request is still being sent costs the connection.
            if let Poll::Ready(Err(error)) = self.poll_upload(context) {
                return Poll::Ready(Err(UpstreamError::RequestBody(error)));
            }
            while !self.connection.input.is_empty() {
                match awaited.reader.response(&mut self.connection.input) {
                    Err(fault) => return Poll::Ready(Err(fault.into())),
                    Ok(None) => break,
                    Ok(Some(head)) if is_interim(head.status) => {
                        awaited.interim += 1;
                        if awaited.interim > INTERIM_MAX {
                            return Poll::Ready(Err(UpstreamError::InterimTooMany));
                        }
                    }
                    Ok(Some(head)) => return Poll::Ready(Ok(head)),
                }
            }
            match self.connection.poll_fill(context, READ_BYTES) {
                Poll::Ready(Ok(1..)) => awaited.has_begun = true,
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(UpstreamError::Reset)),
                Poll::Pending if self.connection.timer.poll_due(context).is_ready() => {
                    return Poll::Ready(Err(UpstreamError::HeadTimeout));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Sends what can be sent; see [`Upload::poll`].
    pub(super) fn poll_upload(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        let Connection { stream, output, .. } = &mut *self.connection;
        self.upload.poll(stream, output, context)
    }
}

/// 1xx but for 101, after which HTTP is over (RFC 9110 section 15.2).
fn is_interim(status: StatusCode) -> bool {
    status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
}
