//! The load over HTTP/2: several requests at a time on each connection.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{Request, StatusCode};

use crate::{
    failure::{Failure, Outcome},
    wire::{Connector, NAME},
};

/// Requests under way at a time on a connection.
pub(crate) const STREAMS: usize = 4;

/// Opens a connection, whose frames are moved by a task of its own.
pub(crate) async fn connect(connector: &Connector, address: SocketAddr) -> Outcome<SendRequest<Bytes>> {
    let stream = connector.connect(address).await?;
    let (requests, connection) = h2::client::handshake(stream).await.map_err(wrong)?;
    tokio::task::spawn_local(async move {
        let _ = connection.await; // its end is seen by the requests on it
    });
    Ok(requests)
}

/// Sends a request and compares its answer.
pub(crate) async fn ask(requests: &SendRequest<Bytes>, token: Option<&str>, body: &[u8]) -> Outcome<()> {
    let mut requests = requests.clone().ready().await.map_err(wrong)?;
    let mut request = Request::get(format!("https://{NAME}/example.json"))
        .header("user-agent", "bench")
        .header("accept", "*/*");
    if let Some(token) = token {
        request = request.header("approov-token", token);
    }
    let request = request
        .body(())
        .map_err(|error| Failure::new(format!("a request of the load: {error}")))?;
    let (answer, _) = requests.send_request(request, true).map_err(wrong)?;
    let answer = answer.await.map_err(wrong)?;
    if answer.status() != StatusCode::OK {
        return Err(Failure::new(format!("an answer has status {}", answer.status())));
    }
    let mut stream = answer.into_body();
    let mut at = 0;
    while let Some(piece) = stream.data().await {
        let piece = piece.map_err(wrong)?;
        if body.get(at..at + piece.len()) != Some(&piece[..]) {
            return Err(Failure::new("an answer has another body than the origin's"));
        }
        at += piece.len();
        stream.flow_control().release_capacity(piece.len()).map_err(wrong)?;
    }
    match at == body.len() {
        true => Ok(()),
        false => Err(Failure::new("an answer's body is cut off")),
    }
}

fn wrong(error: h2::Error) -> Failure {
    Failure::new(format!("HTTP/2 with the proxy: {error}"))
}
