//! The upstream client against scripted origins on real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod duplex;
mod origin;
mod requests;
mod responses;
mod reuse;
mod timeouts;
mod tls;
mod upgrade;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use http_body_util::BodyExt;
use portcullis_net::upstream::{Call, Client, ClientSettings, FieldLines, Origin, RetryRule};
use portcullis_net::{Body, BodyError};
use tokio::time::Instant;

/// Long enough for any machine; whoever expects a timeout sets a short one.
const PLENTY: Duration = Duration::from_secs(60);

fn client() -> Client {
    // Nothing is thrown out while a test runs.
    Client::new(ClientSettings {
        idle_timeout: PLENTY,
        ..ClientSettings::default()
    })
}

fn plain(address: std::net::SocketAddr) -> Arc<Origin> {
    Arc::new(Origin::http(&address.to_string()).unwrap())
}

fn call(method: Method, body: Body) -> Call {
    Call {
        retry: if method.is_safe() {
            RetryRule::Safe
        } else {
            RetryRule::Never
        },
        method,
        target: "/".parse().unwrap(),
        headers: HeaderMap::new(),
        lines: FieldLines::default(),
        host: None,
        body,
        body_length: None,
        deadline: Instant::now() + PLENTY,
        body_idle_timeout: PLENTY,
        upgrade: false,
    }
}

fn get() -> Call {
    call(Method::GET, Body::Empty)
}

/// A body that streams these frames and then ends or breaks.
fn stream(frames: Vec<Result<&'static str, BodyError>>) -> Body {
    let frames = frames
        .into_iter()
        .map(|frame| frame.map(|text| http_body::Frame::data(Bytes::from(text))));
    Body::stream(http_body_util::StreamBody::new(futures_util::stream::iter(frames)))
}

/// All of a body, or how it broke.
async fn read(mut body: Body) -> Result<Vec<u8>, BodyError> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        bytes.extend_from_slice(&frame?.into_data().unwrap());
    }
    Ok(bytes)
}
