//! One connection from its first byte to its last: a request, its answer, the next request.

use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, Method, Request, Version, header};
use tokio::io::ReadBuf;
use tokio::time::{Duration, Instant};

use super::answer::{self, Asked, Outcome};
use super::handler::{Fault, Handler, Peer};
use super::request_body::{RequestBody, Source};
use super::wire::{Continuation, HEAD_READ_BYTES, Link, Shared, Times, Wire, lock};
use super::worker::Worker;
use crate::http1::{Decoder, HeadReader, RequestFraming, RequestHead, framing, persistence};
use crate::listener::ListenerSettings;

/// How much of a body that nobody wanted is read to keep the connection.
const DRAIN_BYTES_MAX: u64 = 64 * 1024;
/// How long a connection at rest may still bring a request once the server stops: it may be under way already, and a client
/// that sent it as the connection closed could not tell whether it was served.
const LAST_REQUEST_WAIT: Duration = Duration::from_millis(250);
/// How long a connection is kept open for the client to read the last answer.
const LINGER: Duration = Duration::from_secs(5);
/// The same once the server is to stop: nobody who never closes may hold that up.
const LINGER_STOPPING: Duration = Duration::from_millis(250);

/// Why no request comes.
enum NoRequest {
    /// What came is none.
    Fault(Fault),
    /// The client has ended, broke off, or rested for too long.
    End,
}

/// How a connection goes on behind an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    /// With the next request.
    Next,
    /// It ends, but the client may still be sending: closing at once would reset the connection and destroy the answer in the
    /// client's receive buffer (RFC 9112 section 9.6).
    Linger,
    /// It is closed.
    Close,
    /// It is closed in the middle of something, and the client shall see that.
    Cut,
}

/// Serves a connection whose first bytes may be in `input` already.
pub(super) async fn serve<IO: Link, H: Handler>(
    link: IO,
    input: BytesMut,
    handler: Arc<H>,
    peer: Peer,
    settings: &ListenerSettings,
    worker: &Worker,
) {
    let mut wire = Wire::new(link, Times::of(settings));
    wire.input = input;
    let wire: Shared<IO> = Arc::new(Mutex::new(wire));
    let mut reader = HeadReader::new(settings.head_limits());
    let after = loop {
        let after = match next(&wire, &mut reader, worker).await {
            Ok((head, framing)) => exchange(&wire, head, framing, &*handler, &peer, settings, worker).await,
            Err(NoRequest::Fault(fault)) => {
                worker.stats().count_fault();
                let (reply, receipt) = handler.refuse(fault, &peer);
                answer::send(&wire, Asked::UNREADABLE, reply, receipt, worker).await;
                After::Linger
            }
            Err(NoRequest::End) => After::Close,
        };
        if after != After::Next {
            break after;
        }
    };
    match after {
        After::Linger => linger(&wire, worker).await,
        After::Close if IO::IS_END_ANNOUNCED => announce_end(&wire).await,
        After::Next | After::Close | After::Cut => {}
    }
}

/// Waits for the next head.
async fn next<IO: Link>(
    wire: &Shared<IO>,
    reader: &mut HeadReader,
    worker: &Worker,
) -> Result<(RequestHead, RequestFraming), NoRequest> {
    let mut has_begun = false;
    let mut is_last = false;
    {
        let mut wire = lock(wire);
        wire.rest();
        let idle = Instant::now() + wire.times.idle;
        wire.timer.set(idle);
    }
    poll_fn(|context| {
        let mut wire = lock(wire);
        loop {
            if !wire.input.is_empty() {
                match reader.request(&mut wire.input) {
                    Ok(Some(head)) => {
                        wire.spare_input();
                        return Poll::Ready(framed(head));
                    }
                    Ok(None) => {}
                    Err(fault) => return Poll::Ready(Err(NoRequest::Fault(Fault::Head(fault)))),
                }
                if !has_begun {
                    has_begun = true;
                    let due = Instant::now() + wire.times.head;
                    wire.timer.set(due);
                }
            } else if worker.is_stopping() && !is_last {
                is_last = true;
                let due = Instant::now() + LAST_REQUEST_WAIT;
                wire.timer.set(due);
            }
            match wire.poll_fill(context, HEAD_READ_BYTES) {
                Poll::Ready(Ok(1..)) => {}
                // Half a head is no request; whoever sent it is not there to read an answer.
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(NoRequest::End)),
                Poll::Pending => break,
            }
        }
        wire.timer.poll_due(context).map(|()| match has_begun {
            true => Err(NoRequest::Fault(Fault::HeadTimeout)),
            false => Err(NoRequest::End),
        })
    })
    .await
}

fn framed(head: RequestHead) -> Result<(RequestHead, RequestFraming), NoRequest> {
    match framing::of_request(&head) {
        Ok(framing) => Ok((head, framing)),
        Err(fault) => Err(NoRequest::Fault(Fault::Framing(fault))),
    }
}

/// One request and its answer.
async fn exchange<IO: Link, H: Handler>(
    wire: &Shared<IO>,
    head: RequestHead,
    framing: RequestFraming,
    handler: &H,
    peer: &Peer,
    settings: &ListenerSettings,
    worker: &Worker,
) -> After {
    let asked = Asked {
        version: head.version,
        is_head: head.method == Method::HEAD,
        is_kept_alive: persistence::of_head(head.version, &head.headers, head.noted),
    };
    let body = body(wire, &head, framing, settings);
    // Boxed, so that a connection at rest does not hold the room that a request needs.
    let place = worker.load().take(settings.requests_in_flight_max);
    let (reply, receipt) = match place {
        Some(_) => Box::pin(handler.call(request(head, body), peer)).await,
        None => {
            worker.stats().count_shed();
            drop(body); // it is drained like any that nobody wanted
            handler.refuse(Fault::Overloaded, peer)
        }
    };
    let outcome = answer::send(wire, asked, reply, receipt, worker).await;
    let (after, undrained) = {
        let mut wire = lock(wire);
        wire.turn += 1; // whoever still holds the body gets no more of it
        let is_sending = !wire.decoder.is_ended() || !wire.input.is_empty();
        match outcome {
            Outcome::Broken => (After::Cut, false),
            // A client that asked for the end sends nothing more; any other may have sent its next request already.
            Outcome::Closing if asked.is_kept_alive || is_sending => (After::Linger, false),
            Outcome::Closing => (After::Close, false),
            Outcome::Kept if wire.is_broken => (After::Linger, false),
            Outcome::Kept => (After::Next, !wire.decoder.is_ended()),
        }
    };
    if undrained { drain(wire).await } else { after }
}

fn request(head: RequestHead, body: RequestBody) -> Request<RequestBody> {
    let mut request = Request::new(body);
    *request.method_mut() = head.method;
    *request.uri_mut() = head.uri;
    *request.version_mut() = head.version;
    *request.headers_mut() = head.headers;
    request
}

/// The body that `framing` announces. One that has arrived with its head is handed over as it is; only a longer one shares
/// the connection.
fn body<IO: Link>(
    wire: &Shared<IO>,
    head: &RequestHead,
    framing: RequestFraming,
    settings: &ListenerSettings,
) -> RequestBody {
    let length = match framing {
        RequestFraming::None | RequestFraming::Length(0) => return RequestBody::empty(),
        RequestFraming::Length(bytes) => Some(bytes),
        RequestFraming::Chunked => None,
    };
    let mut held = lock(wire);
    let arrived = length.and_then(|bytes| usize::try_from(bytes).ok());
    if let Some(bytes) = arrived.filter(|bytes| *bytes <= held.input.len()) {
        let mut body = RequestBody::full(Bytes::copy_from_slice(&held.input[..bytes]));
        held.input.advance(bytes);
        body.limit(settings.body_bytes_max);
        return body;
    }
    held.decoder = Decoder::request(framing);
    held.progress();
    held.continuation = if held.input.is_empty() && expects_continue(head.version, &head.headers) {
        Continuation::Due
    } else {
        Continuation::None
    };
    let source = Arc::clone(wire) as Arc<dyn Source>;
    RequestBody::stream(source, held.turn, length, settings.body_bytes_max)
}

/// An expectation in HTTP/1.0 is ignored, and so is any but `100-continue` (RFC 9110 section 10.1.1).
fn expects_continue(version: Version, headers: &HeaderMap) -> bool {
    let expectation = headers.get(header::EXPECT).map(|value| value.as_bytes());
    version != Version::HTTP_10 && expectation.is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue"))
}

/// Reads what is left of a body that nobody wanted, so that the connection can serve the next request.
async fn drain<IO: Link>(wire: &Shared<IO>) -> After {
    let mut drained = 0;
    poll_fn(|context| {
        let mut wire = lock(wire);
        loop {
            let left = wire.decoder.remaining().unwrap_or(0);
            if drained + left > DRAIN_BYTES_MAX {
                return Poll::Ready(After::Linger);
            }
            match wire.poll_piece(context) {
                Poll::Ready(Some(Ok(data))) => drained += data.len() as u64,
                Poll::Ready(Some(Err(_))) => return Poll::Ready(After::Linger),
                Poll::Ready(None) => return Poll::Ready(After::Next),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await
}

/// Says that nothing more comes, to a client that takes it at once: none is waited for that does not.
async fn announce_end<IO: Link>(wire: &Shared<IO>) {
    poll_fn(|context| {
        let _ = Pin::new(&mut lock(wire).link).poll_shutdown(context);
        Poll::Ready(())
    })
    .await;
}

/// Ends our side, then discards what the client sends until it ends its own.
async fn linger<IO: Link>(wire: &Shared<IO>, worker: &Worker) {
    let mut due = Instant::now() + LINGER;
    lock(wire).timer.set(due);
    let mut is_shut = false;
    let mut is_stopping = false;
    poll_fn(|context| {
        let mut wire = lock(wire);
        if !is_stopping && worker.is_stopping() {
            is_stopping = true;
            due = due.min(Instant::now() + LINGER_STOPPING);
            wire.timer.set(due);
        }
        if !is_shut {
            match Pin::new(&mut wire.link).poll_shutdown(context) {
                Poll::Ready(Ok(())) => is_shut = true,
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => return wire.timer.poll_due(context),
            }
        }
        while !wire.is_ended {
            let mut scratch = [mem::MaybeUninit::uninit(); 8 * 1024];
            let mut scratch = ReadBuf::uninit(&mut scratch);
            match Pin::new(&mut wire.link).poll_read(context, &mut scratch) {
                Poll::Ready(Ok(())) if !scratch.filled().is_empty() => {}
                Poll::Ready(Ok(()) | Err(_)) => break,
                Poll::Pending => return wire.timer.poll_due(context),
            }
            if Instant::now() >= due {
                break; // a client that never pauses must not stay for ever
            }
        }
        Poll::Ready(())
    })
    .await;
}
