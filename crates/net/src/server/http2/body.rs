//! A request's body as its stream brings it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::{Reason, RecvStream};
use tokio::time::Instant;

use crate::body::BodyError;
use crate::server::request_body::{RequestBody, Source};
use crate::timer::Timer;

/// The receiving half of a stream. Who does not ask for more makes the client wait: its window opens with what is taken.
pub(super) struct Stream(Mutex<Receiving>);

struct Receiving {
    stream: RecvStream,
    patience: Duration,
    /// Runs while someone waits and nothing comes.
    timer: Option<Timer>,
}

/// The body of a request that is announced with `length` bytes, and what it comes from unless it is there already.
pub(super) fn of(
    stream: RecvStream,
    length: Option<u64>,
    bytes_max: u64,
    patience: Duration,
) -> (RequestBody, Option<Arc<Stream>>) {
    if stream.is_end_stream() {
        return (RequestBody::empty(), None);
    }
    let receiving = Receiving {
        stream,
        patience,
        timer: None,
    };
    let stream = Arc::new(Stream(Mutex::new(receiving)));
    let source = Arc::clone(&stream) as Arc<dyn Source>;
    (RequestBody::stream(source, 0, length, bytes_max), Some(stream))
}

impl Stream {
    /// Ready once the client has ended its body or the stream. What comes is discarded and its window stays shut.
    pub(super) fn poll_unwanted(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut receiving = self.lock();
        loop {
            match ready!(receiving.stream.poll_data(context)) {
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Poll::Ready(()),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Receiving> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for Stream {
    fn poll_piece(&self, context: &mut Context<'_>, _: u64) -> Poll<Option<Result<Bytes, BodyError>>> {
        self.lock().poll(context)
    }
}

impl Receiving {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            match self.stream.poll_data(context) {
                Poll::Ready(Some(Ok(data))) => {
                    self.timer = None;
                    if self.stream.flow_control().release_capacity(data.len()).is_err() {
                        return Poll::Ready(Some(Err(BodyError::ClientGone)));
                    }
                    if !data.is_empty() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(fault(&error)))),
                Poll::Ready(None) => {
                    // Trailers are not forwarded, but a body that ends with malformed ones is no whole body.
                    return match ready!(self.stream.poll_trailers(context)) {
                        Ok(_) => Poll::Ready(None),
                        Err(error) => Poll::Ready(Some(Err(fault(&error)))),
                    };
                }
                Poll::Pending => {
                    let patience = self.patience;
                    let timer = self.timer.get_or_insert_with(|| Timer::new(Instant::now() + patience));
                    return timer.poll_due(context).map(|()| Some(Err(BodyError::TimedOut)));
                }
            }
        }
    }
}

/// `h2` itself ends a stream whose body is not as long as announced (RFC 9113 section 8.1.1).
fn fault(error: &h2::Error) -> BodyError {
    if error.is_library() && error.is_reset() && error.reason() == Some(Reason::PROTOCOL_ERROR) {
        BodyError::LengthMismatch
    } else {
        BodyError::ClientGone
    }
}
