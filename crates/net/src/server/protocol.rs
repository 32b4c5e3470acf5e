//! Which HTTP a connection speaks.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use super::handler::{Handler, Peer};
use super::wire::Link;
use super::worker::Worker;
use super::{connection, http2};
use crate::listener::{Http2, ListenerSettings};
use crate::tls::ApplicationProtocol;

/// Serves a connection whose first bytes may be in `input` already.
pub(super) async fn serve<IO: Link, H: Handler>(
    mut link: IO,
    mut input: BytesMut,
    handler: Arc<H>,
    peer: Peer,
    settings: &ListenerSettings,
    worker: &Worker,
) {
    let is_http2 = match (&peer.tls, settings.http2) {
        (Some(facts), _) => facts.protocol == ApplicationProtocol::Http2, // offered only where it is spoken
        (None, Http2::Off | Http2::Negotiated) => false,
        (None, Http2::PriorKnowledge) => match begins_http2(&mut link, &mut input, settings, worker).await {
            Some(is_http2) => is_http2,
            None => return,
        },
    };
    if is_http2 {
        Box::pin(http2::serve(link, input, &*handler, &peer, settings, worker)).await;
    } else {
        connection::serve(link, input, handler, peer, settings, worker).await;
    }
}

/// Whether a connection begins with HTTP/2's preface; `None` when it does not begin in time, or ends.
async fn begins_http2<IO: Link>(
    link: &mut IO,
    input: &mut BytesMut,
    settings: &ListenerSettings,
    worker: &Worker,
) -> Option<bool> {
    loop {
        let known = input.len().min(http2::PREFACE.len());
        if input[..known] != http2::PREFACE[..known] {
            return Some(false);
        }
        if known == http2::PREFACE.len() {
            return Some(true);
        }
        let patience = if input.is_empty() {
            settings.idle_timeout
        } else {
            settings.head_timeout
        };
        let mut reading = pin!(link.read_buf(input));
        let read = poll_fn(|context| match worker.is_stopping() {
            true => Poll::Ready(None),
            false => reading.as_mut().poll(context).map(Result::ok),
        });
        if timeout(patience, read).await.ok().flatten()? == 0 {
            return None;
        }
    }
}
