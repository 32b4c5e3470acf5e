//! One connection: its streams, its deadlines, its end.

use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use h2::server::{Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::{Method, Request};
use tokio::time::timeout;

use super::answer::{self, Outlet};
use super::guard::{Gauge, Guard};
use super::watch::{Fate, Watch};
use super::{body, request};
use crate::listener::ListenerSettings;
use crate::server::handler::{Fault, Handler, Peer};
use crate::server::receipt::Counter;
use crate::server::wire::Link;
use crate::server::worker::Worker;

/// What a client may send of one body before we ask for more.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
/// The same of all bodies of a connection.
const CONNECTION_WINDOW_BYTES: u32 = 256 * 1024;
/// What one stream may have handed over without its having been written.
const SEND_BUFFER_BYTES: usize = 64 * 1024;
/// Streams that the client reset before they were begun; one more ends the connection.
const PENDING_RESETS_MAX: usize = 20;
/// Malformed requests over a connection's whole life; one more ends it.
const MALFORMED_MAX: usize = 256;

/// How long a client gets to read an answer that does not wait for the rest of its request, before it is told to stop sending.
const LINGER: Duration = Duration::from_secs(1);

/// What a connection's streams share.
struct Shared<'c, H: Handler> {
    handler: &'c H,
    peer: &'c Peer,
    settings: &'c ListenerSettings,
    worker: &'c Worker,
    gauge: &'c Arc<Gauge>,
    /// Answers that are handed over; they are complete once they are written.
    handed_over: Mutex<Vec<Counter<H::Receipt>>>,
}

/// Serves a connection whose first bytes may be in `input` already.
pub(in crate::server) async fn serve<IO: Link, H: Handler>(
    link: IO,
    input: BytesMut,
    handler: &H,
    peer: &Peer,
    settings: &ListenerSettings,
    worker: &Worker,
) {
    let gauge = Gauge::new();
    let guard = Guard::new(link, input, Arc::clone(&gauge));
    let Some(connection) = greet(guard, settings, worker).await else {
        return;
    };
    worker.stats().count_http2();
    let shared = Shared {
        handler,
        peer,
        settings,
        worker,
        gauge: &gauge,
        handed_over: Mutex::default(),
    };
    Box::pin(converse(connection, &shared)).await;
}

/// Exchanges prefaces; `None` when the client does not keep to it in time, or the server ends.
async fn greet<IO: Link>(
    guard: Guard<IO>,
    settings: &ListenerSettings,
    worker: &Worker,
) -> Option<Connection<Guard<IO>, Bytes>> {
    let limits = settings.head_limits();
    // Twice ours: what is somewhat too large is refused as over HTTP/1.1, with a body and a record; what is far too large by `h2`.
    let head_bytes = 2 * (limits.line_bytes_max + limits.fields_bytes_max);
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(settings.http2_streams_max)
        .max_header_list_size(u32::try_from(head_bytes).unwrap_or(u32::MAX))
        .max_send_buffer_size(SEND_BUFFER_BYTES)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_local_error_reset_streams(Some(MALFORMED_MAX));
    let mut handshake = Box::pin(builder.handshake(guard));
    let greeted = poll_fn(|context| match worker.is_stopping() {
        true => Poll::Ready(None),
        false => handshake.as_mut().poll(context).map(Result::ok),
    });
    timeout(settings.head_timeout, greeted).await.ok().flatten()
}

/// Serves requests until client or server end the connection, then waits for those that were begun.
async fn converse<IO: Link, H: Handler>(connection: Connection<Guard<IO>, Bytes>, shared: &Shared<'_, H>) {
    let streams_max = shared.settings.http2_streams_max as usize;
    let mut watch = Watch::new(shared.settings, shared.gauge, shared.worker);
    let mut streams = FuturesUnordered::new();
    let mut open = Some(connection);
    poll_fn(|context| {
        loop {
            if let Some(connection) = &mut open {
                let mut is_over = false;
                loop {
                    match poll_next(connection, streams.len() < streams_max, context) {
                        Poll::Ready(Some(Ok((request, respond)))) => streams.push(exchange(request, respond, shared)),
                        Poll::Ready(Some(Err(error))) => {
                            count_end(&error, shared.worker);
                            is_over = true;
                        }
                        Poll::Ready(None) => is_over = true,
                        Poll::Pending => break,
                    }
                    if is_over {
                        break;
                    }
                }
                if watch.has_written() {
                    shared.handed_over().drain(..).for_each(Counter::complete);
                }
                if is_over || watch.look(connection, streams.is_empty(), context) == Fate::Cut {
                    open = None; // streams find themselves cut off; requests that were begun go on
                }
            }
            let mut has_ended = false;
            while let Poll::Ready(Some(())) = streams.poll_next_unpin(context) {
                has_ended = true;
            }
            if open.is_none() {
                shared.handed_over().clear(); // nobody takes it any more
                return if streams.is_empty() {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                };
            }
            if !has_ended {
                return Poll::Pending;
            }
            // It may have left something to be written, and made room for the next.
        }
    })
    .await;
}

/// The next request if there is room for one; without room the connection is kept going all the same.
#[expect(clippy::type_complexity, reason = "as `h2` has it")]
fn poll_next<IO: Link>(
    connection: &mut Connection<Guard<IO>, Bytes>,
    has_room: bool,
    context: &mut Context<'_>,
) -> Poll<Option<Result<(Request<RecvStream>, SendResponse<Bytes>), h2::Error>>> {
    if has_room {
        connection.poll_accept(context)
    } else {
        connection.poll_closed(context).map(|closed| closed.err().map(Err))
    }
}

/// One request and its answer. What panics takes only its own stream with it.
async fn exchange<H: Handler>(request: Request<RecvStream>, respond: SendResponse<Bytes>, shared: &Shared<'_, H>) {
    let _ = AssertUnwindSafe(answered(request, respond, shared))
        .catch_unwind()
        .await; // the panic is reported where it is raised
}

async fn answered<H: Handler>(mut request: Request<RecvStream>, respond: SendResponse<Bytes>, shared: &Shared<'_, H>) {
    let outlet = Outlet {
        respond,
        gauge: shared.gauge,
        is_head: request.method() == Method::HEAD,
        patience: shared.settings.write_idle_timeout,
        worker: shared.worker,
    };
    let read = request::read(&mut request, shared.settings.head_limits());
    let (head, stream) = request.into_parts();
    let length = read.unwrap_or_default();
    let (bytes_max, patience) = (shared.settings.body_bytes_max, shared.settings.body_idle_timeout);
    let (body, arriving) = body::of(stream, length, bytes_max, patience);
    let place = shared.worker.load().take(shared.settings.requests_in_flight_max);
    let (reply, receipt) = match read {
        Ok(_) if place.is_none() => {
            shared.worker.stats().count_shed();
            shared.handler.refuse(Fault::Overloaded, shared.peer)
        }
        Ok(_) => shared.handler.call(Request::from_parts(head, body), shared.peer).await,
        Err(fault) => {
            shared.worker.stats().count_fault();
            shared.handler.refuse(fault, shared.peer)
        }
    };
    let answered = answer::send(outlet, reply, receipt).await;
    let Some(answered) = answered else { return };
    shared.handed_over().push(answered);
    if let Some(stream) = arriving {
        // Ending the stream while the client still sends makes some clients lose the answer that they have.
        let _ = timeout(LINGER, poll_fn(|context| stream.poll_unwanted(context))).await;
    }
}

/// Tells a client that was sent away from one that left.
fn count_end(error: &h2::Error, worker: &Worker) {
    if error.is_library() && error.reason() == Some(Reason::ENHANCE_YOUR_CALM) {
        worker.stats().count_flood();
    } else if error.is_library() {
        worker.stats().count_fault();
    }
}

// === impl Shared ===

impl<H: Handler> Shared<'_, H> {
    /// Never contended: connection and streams are one task.
    fn handed_over(&self) -> MutexGuard<'_, Vec<Counter<H::Receipt>>> {
        self.handed_over.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
