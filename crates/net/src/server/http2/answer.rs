//! Writing an answer to its stream: its head, and its body as fast as it comes and the client takes it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use http::{HeaderValue, Response, StatusCode, Version, header};
use http_body::Body as _;
use tokio::time::{Instant, timeout};

use super::guard::Gauge;
use crate::body::Body;
use crate::fields::Fields;
use crate::http1::KEEP_ALIVE;
use crate::reply::Reply;
use crate::server::date;
use crate::server::handler::Receipt;
use crate::server::receipt::Counter;
use crate::server::worker::Worker;
use crate::timer::Timer;

/// Where an answer goes and what it is measured by.
pub(super) struct Outlet<'c> {
    pub(super) respond: SendResponse<Bytes>,
    pub(super) gauge: &'c Arc<Gauge>,
    pub(super) is_head: bool,
    /// How long the client may take nothing.
    pub(super) patience: Duration,
    pub(super) worker: &'c Worker,
}

/// How a stream comes to an early end.
enum Broken {
    /// The client has ended it, or the connection.
    Gone,
    /// The client took nothing for too long.
    TimedOut,
    /// The body failed, or is not as long as announced.
    Body,
}

/// A body on its way.
struct Pump<'c> {
    stream: SendStream<Bytes>,
    body: Body,
    /// Taken from the body, not yet handed over.
    piece: Bytes,
    is_body_ended: bool,
    /// As announced, less what was taken from the body.
    remaining: Option<u64>,
    handed_over: u64,
    gauge: &'c Gauge,
    patience: Duration,
    timer: Option<Timer>,
}

/// Sends `reply`. What comes back is to be completed when everything that was handed over is written; `None` when the answer
/// broke off, and the receipt knows.
pub(super) async fn send<R: Receipt>(mut outlet: Outlet<'_>, reply: Reply, receipt: R) -> Option<Counter<R>> {
    let mut counter = Counter::new(receipt);
    let Reply { status, fields, body } = reply;
    if status.is_informational() || matches!(body, Body::Tunnel(_)) {
        // Neither is an answer; tunnels are never asked for over HTTP/2, where `Upgrade` is malformed.
        outlet.worker.stats().count_broken();
        outlet.respond.send_reset(Reason::INTERNAL_ERROR);
        return None;
    }
    let is_bodiless = outlet.is_head || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let length = body.length();
    let is_over = is_bodiless || length == Some(0);
    let head = head(status, &fields, length, is_bodiless);
    let stream = outlet.respond.send_response(head, is_over).ok()?; // the client may have ended the stream
    if is_over {
        return Some(counter);
    }
    let mut pump = Pump::new(stream, body, length, &outlet);
    let ended = poll_fn(|context| pump.poll(context)).await;
    counter.flushed(pump.handed_over);
    match ended {
        Ok(()) => return Some(counter),
        Err(Broken::Gone) => {}
        Err(Broken::TimedOut) => {
            outlet.worker.stats().count_timeout();
            pump.stream.send_reset(Reason::CANCEL);
        }
        Err(Broken::Body) => {
            outlet.worker.stats().count_broken();
            if pump.handed_over > 0 {
                written(pump.gauge, pump.patience).await; // a reset overtakes what waits
            }
            pump.stream.send_reset(Reason::INTERNAL_ERROR); // no client takes a part for the whole
        }
    }
    None
}

/// Waits for what was handed over, as long as the client takes anything.
async fn written(gauge: &Gauge, patience: Duration) {
    let flushes = gauge.lock().flushes;
    let written = poll_fn(|context| gauge.poll_written(flushes, context));
    let _ = timeout(patience, written).await; // it is broken with or without these bytes
}

/// The head without what belongs to HTTP/1.1's connections (RFC 9113 section 8.2.2).
fn head(status: StatusCode, fields: &Fields, length: Option<u64>, is_bodiless: bool) -> Response<()> {
    let mut headers = fields.to_map();
    for name in [header::CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE] {
        headers.remove(name);
    }
    headers.remove(KEEP_ALIVE);
    headers.remove("proxy-connection");
    // The handler's own length stands where it tells of the body that GET would have had (RFC 9110 section 8.6).
    if !is_bodiless || status == StatusCode::NO_CONTENT {
        headers.remove(header::CONTENT_LENGTH);
    }
    if let Some(length) = length.filter(|_| !is_bodiless) {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    if !headers.contains_key(header::DATE) {
        headers.insert(header::DATE, date::value());
    }
    let mut head = Response::new(());
    *head.status_mut() = status;
    *head.version_mut() = Version::HTTP_2;
    *head.headers_mut() = headers;
    head
}

// === impl Pump ===

impl<'c> Pump<'c> {
    fn new(stream: SendStream<Bytes>, body: Body, length: Option<u64>, outlet: &Outlet<'c>) -> Self {
        Self {
            stream,
            body,
            piece: Bytes::new(),
            is_body_ended: false,
            remaining: length,
            handed_over: 0,
            gauge: outlet.gauge,
            patience: outlet.patience,
            timer: None,
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        loop {
            if self.piece.is_empty() && !self.is_body_ended {
                match Pin::new(&mut self.body).poll_frame(context) {
                    Poll::Ready(Some(Ok(frame))) => {
                        self.piece = frame.into_data().unwrap_or_default(); // trailers are not forwarded
                        if let Some(remaining) = &mut self.remaining {
                            match remaining.checked_sub(self.piece.len() as u64) {
                                Some(less) => *remaining = less,
                                None => return Poll::Ready(Err(Broken::Body)),
                            }
                        }
                        self.is_body_ended = self.body.is_end_stream();
                    }
                    Poll::Ready(None) => self.is_body_ended = true,
                    Poll::Ready(Some(Err(_))) => return Poll::Ready(Err(Broken::Body)),
                    Poll::Pending => return self.poll_gone(context),
                }
                if self.is_body_ended && self.remaining.is_some_and(|bytes| bytes > 0) {
                    return Poll::Ready(Err(Broken::Body));
                }
            }
            if self.piece.is_empty() {
                if !self.is_body_ended {
                    continue;
                }
                let sent = self.stream.send_data(Bytes::new(), true);
                return Poll::Ready(sent.map_err(|_| Broken::Gone));
            }
            match self.poll_room(context) {
                Poll::Ready(Ok(room)) => {
                    self.timer = None;
                    let data = self.piece.split_to(room.min(self.piece.len()));
                    let length = data.len();
                    let is_last = self.is_body_ended && self.piece.is_empty();
                    if self.stream.send_data(data, is_last).is_err() {
                        return Poll::Ready(Err(Broken::Gone));
                    }
                    self.gauge.queue(length);
                    self.handed_over += length as u64;
                    if is_last {
                        return Poll::Ready(Ok(()));
                    }
                }
                Poll::Ready(Err(broken)) => return Poll::Ready(Err(broken)),
                Poll::Pending => return self.poll_patience(context),
            }
        }
    }

    /// How many bytes the client's windows and our own bound on what waits allow.
    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<Result<usize, Broken>> {
        self.stream.reserve_capacity(self.piece.len());
        let room = match self.stream.capacity() {
            0 => match self.stream.poll_capacity(context) {
                Poll::Ready(Some(Ok(room))) => room,
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(Err(Broken::Gone)),
                Poll::Pending => return Poll::Pending,
            },
            room => room,
        };
        self.gauge.poll_room(context).map(|()| Ok(room))
    }

    fn poll_patience(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        let patience = self.patience;
        let timer = self.timer.get_or_insert_with(|| Timer::new(Instant::now() + patience));
        match timer.poll_due(context) {
            Poll::Ready(()) => Poll::Ready(Err(Broken::TimedOut)),
            Poll::Pending => self.poll_gone(context),
        }
    }

    /// Whether the client has ended the stream: nobody needs the rest then, and the upstream is told by the body's end.
    fn poll_gone(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        self.stream.poll_reset(context).map(|_| Err(Broken::Gone))
    }
}
