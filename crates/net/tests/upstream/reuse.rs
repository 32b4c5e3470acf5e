//! Which connections are used again, and what happens when one turns out to be dead.

use std::io::{Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Method;
use http_body_util::BodyExt;
use portcullis_net::upstream::{Call, Client, ClientSettings, RetryRule, UpstreamError};
use portcullis_net::{Body, BodyError};

use crate::origin::{Step, send, serve};
use crate::{PLENTY, call, client, get, plain, read, stream};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[tokio::test]
async fn a_connection_is_used_again_only_when_its_response_has_ended_cleanly() {
    // What is superfluous must come together with the rest here: once the next request is out, nobody can tell.
    let steps = |response: &str, is_kept: bool| {
        let slowly = is_kept.then(|| Step::Slowly(response.into()));
        [Step::Send(response.into())]
            .into_iter()
            .chain(slowly)
            .collect::<Vec<_>>()
    };
    for (response, is_kept) in [
        (OK, true),
        ("HTTP/1.1 204 No Content\r\n\r\n", true),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5, max=9\r\nContent-Length: 2\r\n\r\nok",
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nok",
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
            false,
        ),
        (
            "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
            false,
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok!", false),
        ("HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", false),
    ] {
        for step in steps(response, is_kept) {
            let again = vec![Step::Head, step, Step::Head, send(OK), Step::ReadAll];
            let origin = serve(vec![again, vec![Step::Head, send(OK), Step::ReadAll]]).await;
            let (client, target) = (client(), plain(origin.address));
            let first = client.call(&target, get()).await.unwrap();
            read(first.body).await.unwrap();
            assert_eq!(client.stats().idle(), u64::from(is_kept), "{response:?}");
            let second = client.call(&target, get()).await.unwrap();
            assert_eq!(second.reused, is_kept, "{response:?}");
            assert_eq!(read(second.body).await.unwrap(), b"ok");
            let stats = client.stats();
            assert_eq!(
                (stats.opened(), stats.reused(), stats.retried()),
                if is_kept { (1, 1, 0) } else { (2, 0, 0) }
            );
        }
    }
}

#[tokio::test]
async fn a_connection_that_dies_under_a_request_costs_a_get_a_retry_and_a_post_its_answer() {
    for (method, body, retry, expected) in [
        (Method::GET, Body::Empty, RetryRule::Safe, Ok((2, false))),
        (
            Method::PUT,
            Body::Full(Bytes::from_static(b"x")),
            RetryRule::Safe,
            Ok((2, false)),
        ),
        (Method::GET, Body::Empty, RetryRule::Never, Err(UpstreamError::Reset)),
        (
            Method::POST,
            Body::Full(Bytes::from_static(b"x")),
            RetryRule::Never,
            Err(UpstreamError::Reset),
        ),
        (
            Method::PUT,
            stream(vec![Ok("x")]),
            RetryRule::Safe,
            Err(UpstreamError::Reset),
        ),
    ] {
        // The origin reads the second request and closes instead of answering.
        let dying = vec![Step::Head, send(OK), Step::Head];
        let origin = serve(vec![dying, vec![Step::Head, send(OK), Step::ReadAll]]).await;
        let (client, target) = (client(), plain(origin.address));
        client.call(&target, get()).await.unwrap();
        let mut second = call(method.clone(), body);
        second.retry = retry;
        let outcome = client
            .call(&target, second)
            .await
            .map(|answer| (answer.attempts, answer.reused));
        assert_eq!(outcome, expected, "{method} {retry:?}");
        assert_eq!(client.stats().retried(), u64::from(expected.is_ok()));
    }
}

#[tokio::test]
async fn nothing_is_sent_twice_on_a_new_connection_or_after_a_byte_of_a_response() {
    let origin = serve(vec![
        vec![Step::Head],
        vec![Step::Head, send(OK), Step::Head, send("H")],
    ])
    .await;
    let (client, target) = (client(), plain(origin.address));
    assert_eq!(client.call(&target, get()).await.unwrap_err(), UpstreamError::Reset);
    client.call(&target, get()).await.unwrap();
    assert_eq!(client.call(&target, get()).await.unwrap_err(), UpstreamError::Reset);
    assert_eq!((client.stats().opened(), client.stats().retried()), (2, 0));
}

#[tokio::test]
async fn a_connection_closed_while_it_rested_is_not_used_even_by_a_post() {
    for method in [Method::GET, Method::POST] {
        let origin = serve(vec![vec![Step::Head, send(OK)]]).await;
        let (client, target) = (client(), plain(origin.address));
        client.call(&target, get()).await.unwrap();
        origin.seen().await; // closed now; nobody listens any more
        let error = client.call(&target, call(method, Body::Empty)).await.unwrap_err();
        assert_eq!(error, UpstreamError::Connect(std::io::ErrorKind::ConnectionRefused));
        assert_eq!(
            (client.stats().idle(), client.stats().failed(), client.stats().retried()),
            (0, 1, 0)
        );
    }
}

#[tokio::test]
async fn a_post_sees_a_close_that_the_runtime_has_not_noticed() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = plain(listener.local_addr().unwrap());
    let (close, closing) = std::sync::mpsc::channel::<()>();
    let origin = std::thread::spawn(move || {
        let serve = move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.extend_from_slice(&byte);
            }
            stream.write_all(OK.as_bytes()).unwrap();
            stream
        };
        let first = serve();
        closing.recv().unwrap();
        drop(first);
        std::thread::spawn(move || drop(serve()))
    });
    let client = client();
    client.call(&target, get()).await.unwrap();
    // Nothing is awaited here: the runtime does not look at the socket before the next call.
    close.send(()).unwrap();
    let second = origin.join().unwrap();
    let answer = client.call(&target, call(Method::POST, Body::Empty)).await.unwrap();
    assert_eq!((answer.reused, answer.attempts, client.stats().stale()), (false, 1, 1));
    second.join().unwrap();
}

#[tokio::test]
async fn an_answer_that_ends_before_its_request_costs_the_connection() {
    for is_complete in [true, false] {
        let origin = serve(vec![vec![Step::Head, send(OK), Step::ReadAll]]).await;
        let client = client();
        let body = if is_complete {
            stream(vec![Ok("x")])
        } else {
            Body::stream(Unfinished)
        };
        let answer = client
            .call(&plain(origin.address), call(Method::POST, body))
            .await
            .unwrap();
        assert_eq!(read(answer.body).await.unwrap(), b"ok");
        assert_eq!(client.stats().idle(), u64::from(is_complete));
    }
}

/// A body that never comes to its end.
struct Unfinished;

impl http_body::Body for Unfinished {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, BodyError>>> {
        Poll::Pending
    }
}

#[tokio::test]
async fn a_body_dropped_half_way_closes_its_connection() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nsome";
    let origin = serve(vec![vec![Step::Head, send(head), Step::ReadAll]]).await;
    let client = client();
    let mut answer = client.call(&plain(origin.address), get()).await.unwrap();
    assert_eq!(answer.body.frame().await.unwrap().unwrap().into_data().unwrap(), "some");
    drop(answer);
    assert_eq!(client.stats().idle(), 0);
    origin.seen().await; // returns because the connection was closed
}

#[tokio::test]
async fn a_body_dropped_with_all_of_it_arrived_keeps_its_connection() {
    // More than is handed on in one piece with the head, yet one read.
    let body = "x".repeat(15_000);
    let response = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\ny\r\n{:X}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    let origin = serve(vec![vec![Step::Head, send(response), Step::ReadAll]]).await;
    let client = client();
    let answer = client.call(&plain(origin.address), get()).await.unwrap();
    drop(answer);
    assert_eq!(client.stats().idle(), 1);
}

#[tokio::test]
async fn a_body_dropped_with_its_end_in_the_buffer_keeps_its_connection() {
    for (rest, is_kept) in [
        ("1\r\na\r\n1\r\nb\r\n0\r\n\r\n", true),
        ("1\r\na\r\n1\r\nb\r\n0\r\n", false),
    ] {
        // The head alone first; the rest in one segment once the request's one byte has come.
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let origin = serve(vec![vec![
            Step::Head,
            send(head),
            Step::Read(1),
            send(rest),
            Step::ReadAll,
        ]])
        .await;
        let (sender, receiver) = tokio::sync::oneshot::channel::<&'static str>();
        let byte =
            futures_util::stream::once(async move { Ok(http_body::Frame::data(receiver.await.unwrap().into())) });
        let body = Body::stream(http_body_util::StreamBody::new(Box::pin(byte)));
        let client = client();
        let request = Call {
            body_length: Some(1),
            ..call(Method::POST, body)
        };
        let mut answer = client.call(&plain(origin.address), request).await.unwrap();
        sender.send("x").unwrap();
        assert_eq!(answer.body.frame().await.unwrap().unwrap().into_data().unwrap(), "a");
        assert_eq!(client.stats().idle(), 0);
        drop(answer);
        assert_eq!(client.stats().idle(), u64::from(is_kept), "{rest:?}");
    }
}

#[tokio::test]
async fn dropping_a_call_closes_its_connection() {
    let origin = serve(vec![vec![Step::Head, Step::ReadAll]]).await;
    let (client, target) = (client(), plain(origin.address));
    {
        let mut calling = std::pin::pin!(client.call(&target, get()));
        let mut seen = std::pin::pin!(origin.seen());
        // The call waits for ever: it is dropped once the other side has been started and both are pending.
        let both = futures_util::future::select(&mut calling, &mut seen);
        assert!(
            tokio::time::timeout(std::time::Duration::from_millis(50), both)
                .await
                .is_err()
        );
    }
    assert_eq!(client.stats().idle(), 0);
}

#[tokio::test]
async fn resting_connections_are_bounded() {
    let settings = ClientSettings {
        idle_per_origin_max: 2,
        idle_max: 3,
        idle_timeout: PLENTY,
        ..ClientSettings::default()
    };
    let client = Client::new(settings);
    let script = || vec![Step::Head, send(OK), Step::ReadAll];
    let first = serve((0..4).map(|_| script()).collect()).await;
    let second = serve((0..4).map(|_| script()).collect()).await;
    for (address, expected) in [(first.address, 2), (second.address, 3)] {
        let target = plain(address);
        let calls = (0..4).map(|_| client.call(&target, get()));
        for answer in futures_util::future::join_all(calls).await {
            assert_eq!(read(answer.unwrap().body).await.unwrap(), b"ok");
        }
        assert_eq!(client.stats().idle(), expected);
    }
}

#[tokio::test]
async fn a_connection_that_rested_too_long_is_not_used_and_is_thrown_out() {
    let idle_timeout = std::time::Duration::from_millis(20);
    let client = Client::new(ClientSettings {
        idle_timeout,
        ..ClientSettings::default()
    });
    let origin = serve(vec![vec![Step::Head, send(OK), Step::ReadAll]]).await;
    client.call(&plain(origin.address), get()).await.unwrap();
    assert_eq!(client.stats().idle(), 1);
    origin.seen().await; // returns because the sweep closes the connection
    assert_eq!((client.stats().idle(), client.stats().stale()), (0, 1));
}

#[tokio::test]
async fn origins_do_not_share_connections() {
    let script = || vec![Step::Head, send(OK), Step::ReadAll];
    let origin = serve(vec![script(), script()]).await;
    let client = client();
    for target in [plain(origin.address), plain(origin.address)] {
        assert!(!client.call(&target, get()).await.unwrap().reused);
    }
}

#[tokio::test]
async fn a_broken_response_is_not_followed_by_another_one() {
    let broken = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n";
    let origin = serve(vec![vec![Step::Head, send(broken), Step::ReadAll]]).await;
    let client = client();
    let answer = client.call(&plain(origin.address), get()).await.unwrap();
    assert_eq!(read(answer.body).await, Err(BodyError::UpstreamBroken));
    assert_eq!(client.stats().idle(), 0);
}
