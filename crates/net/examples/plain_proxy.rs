//! The bare data path: forwards everything to one origin and decides nothing.
//!
//! `plain_proxy 127.0.0.1:8080 127.0.0.1:9000 [workers]` listens on the first address and forwards to the second. It shows how
//! the server and the client fit together, and is what their own cost is measured with.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{Request, StatusCode, header};
use portcullis_net::Reply;
use portcullis_net::listener::ListenerSettings;
use portcullis_net::server::{Fault, Handler, Peer, Receipt, RequestBody, Sent, Server, ServerSettings};
use portcullis_net::upstream::{Call, Client, ClientSettings, FieldLines, Origin, RetryRule, UpstreamError};
use tokio::time::Instant;

struct PlainProxy {
    client: Client,
    origin: Arc<Origin>,
}

/// Nobody wants to know.
struct Unread;

impl Receipt for Unread {
    fn finished(self, _: Sent) {}
}

impl Handler for PlainProxy {
    type Receipt = Unread;

    async fn call(&self, request: Request<RequestBody>, _: &Peer) -> (Reply, Unread) {
        let (mut parts, body) = request.into_parts();
        // The client writes its own, and what belongs to one connection does not travel (RFC 9110 section 7.6.1).
        for name in [
            header::CONNECTION,
            header::HOST,
            header::CONTENT_LENGTH,
            header::TRANSFER_ENCODING,
        ] {
            parts.headers.remove(name);
        }
        let call = Call {
            method: parts.method,
            target: parts
                .uri
                .path_and_query()
                .cloned()
                .unwrap_or_else(|| PathAndQuery::from_static("/")),
            headers: parts.headers,
            lines: FieldLines::default(),
            host: None,
            body_length: body.length(),
            body: body.into(),
            deadline: Instant::now() + Duration::from_secs(29),
            body_idle_timeout: Duration::from_secs(15),
            retry: RetryRule::Safe,
            upgrade: false,
        };
        let reply = match self.client.call(&self.origin, call).await {
            Ok(answer) => Reply {
                status: answer.status,
                fields: answer.fields,
                body: answer.body,
            },
            Err(error) => refusal(error),
        };
        (reply, Unread)
    }

    fn refuse(&self, _: Fault, _: &Peer) -> (Reply, Unread) {
        (Reply::new(StatusCode::BAD_REQUEST, Bytes::new()), Unread)
    }
}

fn refusal(error: UpstreamError) -> Reply {
    let status = if error.is_timeout() {
        StatusCode::GATEWAY_TIMEOUT
    } else {
        StatusCode::BAD_GATEWAY
    };
    Reply::new(status, Bytes::from_static(b"Bad Gateway\n"))
}

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(origin)) = (arguments.next(), arguments.next()) else {
        return Err(io::Error::other("usage: plain_proxy ADDRESS ORIGIN [WORKERS]"));
    };
    let workers = arguments.next().and_then(|count| count.parse().ok()).unwrap_or(1);
    let origin = Arc::new(Origin::http(&origin).map_err(io::Error::other)?);
    let settings = ServerSettings {
        workers,
        listeners: vec![ListenerSettings::new(address.parse().map_err(io::Error::other)?)],
    };
    let server = Server::start(settings, |_| PlainProxy {
        client: Client::new(ClientSettings::default()),
        origin: Arc::clone(&origin),
    })?;
    println!("listening on {:?}", server.local_addresses());
    loop {
        std::thread::park(); // until the process is told to end
    }
}
