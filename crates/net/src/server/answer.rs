//! Writing an answer: its head, its framing (RFC 9112 section 6), and its body as it comes.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use bytes::Bytes;
use http::{StatusCode, Version};
use http_body::Body as _;

use super::date;
use super::handler::Receipt;
use super::outbox::Outbox;
use super::receipt::Counter;
use super::tunnel;
use super::wire::{Continuation, Link, Shared, WriteFault, lock};
use super::worker::Worker;
use crate::body::Body;
use crate::fields::{Fields, Kind};
use crate::http1::{encode, persistence};
use crate::reply::Reply;

/// An unread body of more than this ends the connection, and the answer says so.
const UNREAD_BYTES_MAX: u64 = 64 * 1024;

/// What the request says about its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) version: Version,
    pub(super) is_head: bool,
    /// Whether the client means to keep the connection.
    pub(super) is_kept_alive: bool,
}

/// What became of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The answer is out and another may follow.
    Kept,
    /// The answer is out and is the last.
    Closing,
    /// The answer broke off, or the connection has served as a tunnel.
    Broken,
}

/// How the body of an answer is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// There is none.
    None,
    Length(u64),
    Chunked,
    UntilClose,
}

/// What of the answer's head is ours.
#[derive(Clone, Copy)]
struct Plan {
    framing: Framing,
    is_kept: bool,
    /// The handler's own `Content-Length` stands: it tells of the body that GET would have had (RFC 9110 section 8.6).
    is_length_given: bool,
}

// === impl Asked ===

impl Asked {
    /// Of a request that could not be read.
    pub(super) const UNREADABLE: Self = Self {
        version: Version::HTTP_11,
        is_head: false,
        is_kept_alive: false,
    };
}

/// Sends `reply` and tells `receipt`.
pub(super) async fn send<IO: Link, R: Receipt>(
    wire: &Shared<IO>,
    asked: Asked,
    reply: Reply,
    receipt: R,
    worker: &Worker,
) -> Outcome {
    let mut counter = Counter::new(receipt);
    let Reply { status, fields, body } = reply;
    if let Body::Tunnel(tunnel) = body {
        return upgrade(wire, status, &fields, tunnel, counter).await;
    }
    if status.is_informational() {
        worker.stats().count_broken(); // no answer: the client would wait for the next one for ever
        return Outcome::Broken;
    }
    let is_kept = may_keep(wire, &body) && !worker.is_stopping();
    let plan = plan(asked, status, &fields, &body, is_kept);
    let mut outbox = Outbox::new();
    head(outbox.text(), asked, status, &fields, plan);
    drop(fields);
    let written = match (plan.framing, body) {
        (Framing::None, _) | (_, Body::Empty) => flush(wire, &mut outbox).await,
        (_, Body::Full(bytes)) => {
            let length = bytes.len() as u64;
            outbox.push(bytes, false);
            let written = flush(wire, &mut outbox).await;
            if written.is_ok() {
                counter.flushed(length);
            }
            written
        }
        (framing, body) => stream(wire, &mut outbox, framing, body, &mut counter).await,
    };
    match written {
        Ok(()) => {
            counter.complete();
            if plan.is_kept { Outcome::Kept } else { Outcome::Closing }
        }
        Err(fault) => {
            break_off(wire, &mut outbox, plan.framing, fault, worker).await;
            Outcome::Broken // only now is the receipt told: who waits for it finds all counters counted
        }
    }
}

/// Makes a broken answer look broken to the client: what was framed goes out without its end, what was not ends in a reset.
async fn break_off<IO: Link>(wire: &Shared<IO>, outbox: &mut Outbox, framing: Framing, fault: Fault, worker: &Worker) {
    match fault {
        Fault::Write(WriteFault::Gone) => {}
        Fault::Write(WriteFault::TimedOut) => {
            worker.stats().count_timeout();
            lock(wire).link.reset_on_close(); // it does not read: the system need not try any longer
        }
        Fault::Body => {
            worker.stats().count_broken();
            if framing == Framing::UntilClose {
                lock(wire).link.reset_on_close();
            } else {
                let _ = flush(wire, outbox).await; // it is broken with or without these bytes
            }
        }
    }
}

/// Why an answer broke off.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    Write(WriteFault),
    /// Its body failed, or is not as long as announced.
    Body,
}

/// Whether what is unread of the request allows another one behind it. From here on `100 Continue` would be too late.
fn may_keep<IO: Link>(wire: &Shared<IO>, body: &Body) -> bool {
    let mut wire = lock(wire);
    if wire.is_continue_due() {
        wire.continuation = Continuation::None;
        return false; // whether the client still sends the body is its choice (RFC 9110 section 10.1.1)
    }
    // An answer that streams may still be reading the request: only its end will tell.
    let is_streaming = matches!(body, Body::Upstream(_) | Body::Stream(_));
    !wire.is_broken && (is_streaming || wire.decoder.remaining().is_none_or(|bytes| bytes <= UNREAD_BYTES_MAX))
}

fn plan(asked: Asked, status: StatusCode, fields: &Fields, body: &Body, is_kept: bool) -> Plan {
    let is_bodiless = asked.is_head || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let framing = match body.length() {
        _ if is_bodiless => Framing::None, // RFC 9112 section 6.3, item 1
        Some(bytes) => Framing::Length(bytes),
        None if asked.version == Version::HTTP_10 => Framing::UntilClose, // it knows no chunks (RFC 9112 section 7)
        None => Framing::Chunked,
    };
    let wants_close = persistence::has_option(fields, "close");
    Plan {
        framing,
        is_kept: is_kept && asked.is_kept_alive && !wants_close && framing != Framing::UntilClose,
        is_length_given: is_bodiless && status != StatusCode::NO_CONTENT, // RFC 9110 section 8.6
    }
}

fn head(output: &mut Vec<u8>, asked: Asked, status: StatusCode, fields: &Fields, plan: Plan) {
    encode::status_line(output, Version::HTTP_11, status);
    let mut is_dated = false;
    for field in fields.iter() {
        let is_out = match field.kind() {
            Kind::Connection | Kind::KeepAlive | Kind::TransferEncoding => false,
            Kind::ContentLength => plan.is_length_given,
            Kind::Date => {
                is_dated = true;
                true
            }
            Kind::Other => true,
        };
        if is_out {
            output.extend_from_slice(field.line());
        }
    }
    if !is_dated {
        date::write(output);
    }
    match plan.framing {
        Framing::None | Framing::UntilClose => {}
        Framing::Length(bytes) => encode::content_length(output, bytes),
        Framing::Chunked => encode::chunked(output),
    }
    match (plan.is_kept, asked.version) {
        (false, _) => output.extend_from_slice(b"connection: close\r\n"),
        (true, Version::HTTP_10) => output.extend_from_slice(b"connection: keep-alive\r\n"),
        (true, _) => {}
    }
    encode::end_of_head(output);
}

/// Writes all that waits.
async fn flush<IO: Link>(wire: &Shared<IO>, outbox: &mut Outbox) -> Result<(), Fault> {
    poll_fn(|context| lock(wire).poll_send(context, outbox))
        .await
        .map_err(Fault::Write)
}

/// Writes a body as it comes: what is there goes out together, and nothing is held back while more is waited for.
async fn stream<IO: Link, R: Receipt>(
    wire: &Shared<IO>,
    outbox: &mut Outbox,
    framing: Framing,
    mut body: Body,
    counter: &mut Counter<R>,
) -> Result<(), Fault> {
    let mut pushed = 0_u64;
    let mut is_ended = false;
    poll_fn(|context| {
        loop {
            let mut is_pending = false;
            while !is_ended && !is_pending && !outbox.is_full() {
                match Pin::new(&mut body).poll_frame(context) {
                    Poll::Ready(Some(Ok(frame))) => {
                        let data = frame.into_data().unwrap_or_default(); // trailers are not forwarded
                        pushed += data.len() as u64;
                        push(outbox, data, framing, pushed)?;
                        is_ended = body.is_end_stream();
                    }
                    Poll::Ready(None) => is_ended = true,
                    Poll::Ready(Some(Err(_))) => return Poll::Ready(Err(Fault::Body)),
                    Poll::Pending => is_pending = true,
                }
                if is_ended {
                    finish(outbox, framing, pushed)?;
                }
            }
            if !outbox.is_empty() {
                match lock(wire).poll_send(context, outbox) {
                    Poll::Ready(Ok(())) => counter.flushed(pushed),
                    Poll::Ready(Err(fault)) => return Poll::Ready(Err(Fault::Write(fault))),
                    Poll::Pending => return Poll::Pending,
                }
            }
            if is_ended {
                return Poll::Ready(Ok(()));
            }
            if is_pending {
                return Poll::Pending;
            }
        }
    })
    .await
}

fn push(outbox: &mut Outbox, data: Bytes, framing: Framing, pushed: u64) -> Result<(), Fault> {
    if let Framing::Length(length) = framing
        && pushed > length
    {
        return Err(Fault::Body); // the client would take the rest for the next answer
    }
    outbox.push(data, framing == Framing::Chunked);
    Ok(())
}

fn finish(outbox: &mut Outbox, framing: Framing, pushed: u64) -> Result<(), Fault> {
    match framing {
        Framing::Length(length) if pushed != length => return Err(Fault::Body),
        Framing::Chunked => outbox.close_chunks(),
        Framing::None | Framing::Length(_) | Framing::UntilClose => {}
    }
    Ok(())
}

/// Answers 101 and becomes the connection to the upstream (RFC 9110 section 7.8).
async fn upgrade<IO: Link, R: Receipt>(
    wire: &Shared<IO>,
    status: StatusCode,
    fields: &Fields,
    tunnel: crate::upstream::Tunnel,
    mut counter: Counter<R>,
) -> Outcome {
    let mut outbox = Outbox::new();
    encode::status_line(outbox.text(), Version::HTTP_11, status);
    for field in fields.iter() {
        if matches!(field.kind(), Kind::Date | Kind::Other) {
            outbox.text().extend_from_slice(field.line());
        }
    }
    outbox.text().extend_from_slice(b"connection: upgrade\r\n");
    encode::end_of_head(outbox.text());
    if poll_fn(|context| lock(wire).poll_send(context, &mut outbox))
        .await
        .is_err()
    {
        return Outcome::Broken;
    }
    drop(outbox);
    let (to_client, ended) = tunnel::copy(wire, tunnel).await;
    counter.flushed(to_client);
    if ended == tunnel::End::Both {
        counter.complete();
    }
    Outcome::Broken
}
