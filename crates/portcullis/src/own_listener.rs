//! Listeners for the gateway's own sake: metrics, probes, challenges. One worker, few connections, no bodies, nothing counted.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use portcullis_net::{
    Reply,
    listener::ListenerSettings,
    server::{Receipt, Sent, ServerSettings},
};

/// Connections at once.
const CONNECTIONS_MAX: usize = 100;

/// These answers are not counted.
pub(crate) struct Uncounted;

impl Receipt for Uncounted {
    fn finished(self, _: Sent) {}
}

/// A server at one address.
pub(crate) fn settings(address: SocketAddr) -> ServerSettings {
    let listener = ListenerSettings {
        connections_max: CONNECTIONS_MAX,
        connections_per_source_max: CONNECTIONS_MAX,
        body_bytes_max: 0,
        body_idle_timeout: Duration::from_secs(1),
        ..ListenerSettings::new(address)
    };
    ServerSettings {
        workers: 1,
        listeners: vec![listener],
    }
}

/// An answer in plain text.
pub(crate) fn text(status: StatusCode, text: impl Into<String>) -> Reply {
    answer(status, "text/plain; charset=utf-8", text.into())
}

/// An answer that nobody keeps.
pub(crate) fn answer(status: StatusCode, media_type: &'static str, body: String) -> Reply {
    Reply::new(status, Bytes::from(body))
        .with(&header::CONTENT_TYPE, &HeaderValue::from_static(media_type))
        .with(&header::CACHE_CONTROL, &HeaderValue::from_static("no-store"))
}
