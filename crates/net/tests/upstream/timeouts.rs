//! Origins that do nothing. What is waited for here is the timeout itself, so it is short.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use portcullis_net::BodyError;
use portcullis_net::upstream::{Call, Origin, OriginTls, Roots, UpstreamError};
use socket2::{Domain, Socket, Type};
use tokio::time::Instant;

use crate::origin::{Step, send, serve};
use crate::{PLENTY, client, get, plain, read};

const SHORT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn a_head_that_does_not_come() {
    for part in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 100 Continue\r\n\r\n"] {
        let origin = serve(vec![vec![Step::Head, send(part), Step::ReadAll]]).await;
        let client = client();
        let begun = Instant::now();
        let call = Call {
            deadline: begun + SHORT,
            ..get()
        };
        let error = client.call(&plain(origin.address), call).await.unwrap_err();
        assert_eq!(error, UpstreamError::HeadTimeout);
        assert!(begun.elapsed() >= SHORT && error.is_timeout());
        origin.seen().await; // returns because the connection was closed
        assert_eq!(client.stats().idle(), 0);
    }
}

#[tokio::test]
async fn the_deadline_of_a_kept_connection_is_that_of_its_call() {
    let ok = "HTTP/1.1 204 No Content\r\n\r\n";
    let origin = serve(vec![vec![
        Step::Head,
        send(ok),
        Step::Head,
        send(ok),
        Step::Head,
        Step::ReadAll,
    ]])
    .await;
    let (client, target) = (client(), plain(origin.address));
    for _ in 0..2 {
        client.call(&target, get()).await.unwrap(); // a minute each
    }
    let call = Call {
        deadline: Instant::now() + SHORT,
        ..get()
    };
    let begun = Instant::now();
    let error = client.call(&target, call).await.unwrap_err();
    assert_eq!(error, UpstreamError::HeadTimeout);
    assert!(begun.elapsed() < PLENTY / 2);
}

#[tokio::test]
async fn a_body_that_stops() {
    for framing in [
        "Content-Length: 9\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n4\r\n",
        "\r\n",
    ] {
        let response = format!("HTTP/1.1 200 OK\r\n{framing}some");
        let origin = serve(vec![vec![Step::Head, send(response), Step::ReadAll]]).await;
        let call = Call {
            body_idle_timeout: SHORT,
            ..get()
        };
        let answer = client().call(&plain(origin.address), call).await.unwrap();
        assert_eq!(read(answer.body).await, Err(BodyError::TimedOut), "{framing:?}");
        origin.seen().await;
    }
}

#[tokio::test]
async fn connections_that_do_not_come_about() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap(); // accepts by the system's backlog and never says a word
    let address = silent.local_addr().unwrap();
    let tls = Arc::new(OriginTls::new(Roots::Mozilla, None, None).unwrap());
    let origin = Arc::new(
        Origin::https(&address.to_string(), tls)
            .unwrap()
            .with_connect_timeout(SHORT),
    );
    let client = client();
    let error = client.call(&origin, get()).await.unwrap_err();
    assert_eq!(error, UpstreamError::ConnectTimeout);
    assert!(error.is_timeout() && !error.may_have_acted());

    drop(silent);
    let error = client.call(&plain(address), get()).await.unwrap_err();
    assert_eq!(error, UpstreamError::Connect(std::io::ErrorKind::ConnectionRefused));
    assert_eq!((client.stats().opened(), client.stats().failed()), (0, 2));
}

#[tokio::test]
async fn an_address_that_does_not_even_refuse() {
    // With a backlog of none, the kernel drops what asks for a connection while one is waiting to be accepted.
    let full = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    full.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    full.listen(0).unwrap();
    let address = full.local_addr().unwrap().as_socket().unwrap();
    let _waiting = std::net::TcpStream::connect(address).unwrap();
    let origin = Arc::new(Origin::http(&address.to_string()).unwrap().with_connect_timeout(SHORT));
    assert_eq!(
        client().call(&origin, get()).await.unwrap_err(),
        UpstreamError::ConnectTimeout
    );
    // The call's own deadline ends it too.
    let call = Call {
        deadline: Instant::now() + SHORT,
        ..get()
    };
    assert_eq!(
        client().call(&plain(address), call).await.unwrap_err(),
        UpstreamError::ConnectTimeout
    );
}

#[tokio::test]
async fn names_are_resolved() {
    let origin = serve(vec![vec![
        Step::Head,
        send("HTTP/1.1 204 No Content\r\n\r\n"),
        Step::ReadAll,
    ]])
    .await;
    let target = Arc::new(Origin::http(&format!("localhost:{}", origin.address.port())).unwrap());
    assert_eq!(client().call(&target, get()).await.unwrap().status, 204);
}
