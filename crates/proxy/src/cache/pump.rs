//! Collecting a body while it goes to the first caller, at the origin's pace and not at that caller's: nobody who waits for the
//! entry depends on how fast the first one reads, or on whether it stays.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::{Bytes, BytesMut};
use http_body::{Body as _, Frame, SizeHint};
use portcullis_model::cache::ENTRY_BYTES_MAX;
use portcullis_net::{Body, BodyError, Reply};

use super::{Absent, entry::EntryHead, flight::Lead};

/// Keeps an answer that may be kept, at once or when its body has come, and gives it on.
pub(super) fn collect(reply: Reply, absent: Absent, lead: Option<Lead>) -> Reply {
    let head = EntryHead::of(&reply, absent.now);
    let Reply { status, fields, body } = reply;
    let body = match body {
        Body::Full(bytes) => {
            absent.store(head.complete(bytes.clone()), lead);
            Body::Full(bytes)
        }
        Body::Upstream(_) => {
            let length = body.length();
            let shared = Arc::new(Mutex::new(Shared::default()));
            tokio::spawn(pump(body, Arc::clone(&shared), head, absent, lead));
            Body::stream(Reader {
                shared,
                remaining: length,
            })
        }
        // Streams are never kept; nothing is nothing.
        body @ (Body::Empty | Body::Stream(_) | Body::Tunnel(_)) => {
            absent.store(head.complete(Bytes::new()), lead);
            body
        }
    };
    Reply { status, fields, body }
}

/// Between who reads the origin and who reads for the first caller.
#[derive(Default)]
struct Shared {
    pieces: VecDeque<Bytes>,
    end: Option<End>,
    reader: Option<Waker>,
}

/// What comes behind the last piece.
enum End {
    /// Nothing: it was the whole body.
    Whole,
    /// It broke.
    Broken(BodyError),
    /// The rest of a body that is too large to be kept, at the reader's own pace.
    Rest(Body),
}

/// The first caller's part.
struct Reader {
    shared: Arc<Mutex<Shared>>,
    remaining: Option<u64>,
}

async fn pump(mut body: Body, shared: Arc<Mutex<Shared>>, head: EntryHead, absent: Absent, lead: Option<Lead>) {
    let mut kept = BytesMut::new();
    let end = loop {
        let polled = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
        match polled {
            Some(Ok(frame)) => {
                let data = frame.into_data().unwrap_or_default(); // trailers are not forwarded
                kept.extend_from_slice(&data);
                push(&shared, data);
                if kept.len() > ENTRY_BYTES_MAX {
                    break End::Rest(body);
                }
            }
            Some(Err(error)) => break End::Broken(error),
            None => break End::Whole,
        }
    };
    match &end {
        End::Whole => absent.store(head.complete(kept.freeze()), lead),
        End::Broken(_) | End::Rest(_) => absent.give_up(lead),
    }
    let mut shared = lock(&shared);
    shared.end = Some(end);
    wake(&mut shared);
}

fn push(shared: &Mutex<Shared>, data: Bytes) {
    let mut shared = lock(shared);
    shared.pieces.push_back(data);
    wake(&mut shared);
}

fn wake(shared: &mut Shared) {
    if let Some(reader) = shared.reader.take() {
        reader.wake();
    }
}

/// Nothing panics while it is held.
fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Reader ===

impl http_body::Body for Reader {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let mut shared = lock(&this.shared);
        if let Some(piece) = shared.pieces.pop_front() {
            this.remaining = this.remaining.map(|bytes| bytes.saturating_sub(piece.len() as u64));
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        match &mut shared.end {
            Some(End::Whole) => Poll::Ready(None),
            Some(End::Broken(error)) => Poll::Ready(Some(Err(*error))),
            Some(End::Rest(body)) => Pin::new(body).poll_frame(context),
            None => {
                shared.reader = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.remaining.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}
