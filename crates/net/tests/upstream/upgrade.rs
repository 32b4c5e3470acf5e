//! Leaving HTTP.

use http::{HeaderMap, Method, header};
use portcullis_net::Body;
use portcullis_net::upstream::{Call, UpstreamError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::origin::{Step, send, serve};
use crate::{call, client, get, plain, read};

fn asking() -> Call {
    let mut headers = HeaderMap::new();
    headers.insert(header::UPGRADE, "websocket".parse().unwrap());
    Call {
        headers,
        upgrade: true,
        ..get()
    }
}

const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n";

#[tokio::test]
async fn a_tunnel_carries_both_ways_from_the_first_byte() {
    // The first bytes come in one segment with the head.
    let script = vec![
        Step::Head,
        send(format!("{SWITCHED}hello")),
        Step::Read(4),
        send("pong"),
        Step::EndSide,
        Step::ReadAll,
    ];
    let origin = serve(vec![script]).await;
    let address = origin.address;
    let answer = client().call(&plain(address), asking()).await.unwrap();
    assert_eq!(answer.status, 101);
    let Body::Tunnel(mut tunnel) = answer.body else {
        panic!("no tunnel: {:?}", answer.body)
    };
    let mut bytes = [0; 5];
    tunnel.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"hello");
    tunnel.write_all(b"ping").await.unwrap();
    let mut rest = Vec::new();
    tunnel.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"pong");
    // The origin has ended its side, ours still works.
    tunnel.write_all(b"bye").await.unwrap();
    tunnel.shutdown().await.unwrap();
    let expected =
        format!("GET / HTTP/1.1\r\nhost: {address}\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\npingbye");
    assert_eq!(origin.seen().await, [expected]);
}

#[tokio::test]
async fn an_origin_may_decline() {
    let declined = "HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno";
    let origin = serve(vec![vec![Step::Head, send(declined), Step::ReadAll]]).await;
    let answer = client().call(&plain(origin.address), asking()).await.unwrap();
    assert_eq!(
        (answer.status.as_u16(), read(answer.body).await.unwrap()),
        (400, b"no".to_vec())
    );
}

#[tokio::test]
async fn switching_to_something_else_is_refused() {
    for (response, call) in [
        ("HTTP/1.1 101 \r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", asking()),
        ("HTTP/1.1 101 \r\nConnection: Upgrade\r\n\r\n", asking()),
        ("HTTP/1.1 101 \r\nUpgrade: websocket\r\n\r\n", asking()),
        (SWITCHED, get()),
        (SWITCHED, call(Method::POST, Body::Empty)),
    ] {
        let origin = serve(vec![vec![Step::Head, send(response), Step::ReadAll]]).await;
        let error = client().call(&plain(origin.address), call).await.unwrap_err();
        assert_eq!(error, UpstreamError::UpgradeUnexpected, "{response:?}");
        origin.seen().await; // returns because the connection was closed
    }
}
