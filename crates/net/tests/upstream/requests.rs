//! What goes out on the wire, byte for byte.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use portcullis_net::upstream::{Call, OriginError, UpstreamError};
use portcullis_net::{Body, BodyError};

use crate::origin::{Step, send, serve};
use crate::{call, client, get, plain, stream};

const NO_CONTENT: &str = "HTTP/1.1 204 No Content\r\n\r\n";

fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let field =
        |(name, value): &(&'static str, &'static str)| (HeaderName::from_static(name), HeaderValue::from_static(value));
    fields.iter().map(field).collect()
}

/// Sends `call` and compares what the origin received; `HOST` in `expected` stands for its address.
async fn check(call: Call, expected: &str) {
    let body_bytes = expected.split_once("\r\n\r\n").unwrap().1.len();
    let origin = serve(vec![vec![
        Step::Head,
        Step::Read(body_bytes),
        send(NO_CONTENT),
        Step::ReadAll,
    ]])
    .await;
    let address = origin.address;
    let client = client();
    client.call(&plain(address), call).await.unwrap();
    assert_eq!(
        client.stats().idle(),
        1,
        "the request was not sent as a whole: {expected:?}"
    );
    drop(client);
    assert_eq!(origin.seen().await, [expected.replace("HOST", &address.to_string())]);
}

#[tokio::test]
async fn heads_and_framing() {
    let full = || Body::Full(Bytes::from_static(b"hello"));
    check(get(), "GET / HTTP/1.1\r\nhost: HOST\r\n\r\n").await;
    check(
        call(Method::DELETE, Body::Empty),
        "DELETE / HTTP/1.1\r\nhost: HOST\r\n\r\n",
    )
    .await;
    check(
        call(Method::POST, Body::Empty),
        "POST / HTTP/1.1\r\nhost: HOST\r\ncontent-length: 0\r\n\r\n",
    )
    .await;
    check(
        call(Method::PUT, full()),
        "PUT / HTTP/1.1\r\nhost: HOST\r\ncontent-length: 5\r\n\r\nhello",
    )
    .await;
    check(
        call(Method::GET, full()),
        "GET / HTTP/1.1\r\nhost: HOST\r\ncontent-length: 5\r\n\r\nhello",
    )
    .await;
    // What the body knows beats what the caller says.
    let lying = Call {
        body_length: Some(7),
        ..call(Method::POST, full())
    };
    check(lying, "POST / HTTP/1.1\r\nhost: HOST\r\ncontent-length: 5\r\n\r\nhello").await;
    let streamed = || stream(vec![Ok("hel"), Ok(""), Ok("lo")]);
    check(
        call(Method::POST, streamed()),
        "POST / HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
    )
    .await;
    let announced = Call {
        body_length: Some(5),
        ..call(Method::POST, streamed())
    };
    check(
        announced,
        "POST / HTTP/1.1\r\nhost: HOST\r\ncontent-length: 5\r\n\r\nhello",
    )
    .await;
    let target = Call {
        target: "/a%20b/?c=d&e".parse().unwrap(),
        ..get()
    };
    check(target, "GET /a%20b/?c=d&e HTTP/1.1\r\nhost: HOST\r\n\r\n").await;
    let host = Call {
        host: Some(HeaderValue::from_static("example.com")),
        ..get()
    };
    check(host, "GET / HTTP/1.1\r\nhost: example.com\r\n\r\n").await;
}

#[tokio::test]
async fn what_belongs_to_the_connection_is_never_taken_from_the_caller() {
    let fields = headers(&[
        ("accept", "*/*"),
        ("connection", "close, x-secret"),
        ("content-length", "999"),
        ("content-type", "text/plain"),
        ("expect", "100-continue"),
        ("host", "evil.example"),
        ("keep-alive", "timeout=1"),
        ("proxy-connection", "close"),
        ("te", "trailers"),
        ("trailer", "x"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("x-a", "1"),
        ("x-a", "2"),
    ]);
    check(
        Call {
            headers: fields,
            ..get()
        },
        "GET / HTTP/1.1\r\nhost: HOST\r\naccept: */*\r\ncontent-type: text/plain\r\nx-a: 1\r\nx-a: 2\r\n\r\n",
    )
    .await;
}

#[tokio::test]
async fn large_bodies_go_out_unchanged() {
    // Around the size up to which a body is copied beside its head.
    for length in [16_000, 16_384, 16_385, 1_000_000] {
        let body = "x".repeat(length);
        let full = Body::Full(Bytes::from(body.clone()));
        check(
            call(Method::POST, full),
            &format!("POST / HTTP/1.1\r\nhost: HOST\r\ncontent-length: {length}\r\n\r\n{body}"),
        )
        .await;
        let frames: Vec<_> = [Ok("y"), Ok(&*body.clone().leak()), Ok("z")].into();
        check(
            call(Method::POST, stream(frames)),
            &format!(
                "POST / HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding: chunked\r\n\r\n1\r\ny\r\n{length:X}\r\n{body}\r\n1\r\nz\r\n0\r\n\r\n"
            ),
        )
        .await;
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_the_clients_fault_and_ends_the_connection() {
    for (body, length, expected) in [
        (vec![Ok("he"), Err(BodyError::ClientGone)], None, BodyError::ClientGone),
        (
            vec![Ok("he"), Err(BodyError::TooLarge { limit: 2 })],
            Some(5),
            BodyError::TooLarge { limit: 2 },
        ),
        (vec![Ok("hello")], Some(4), BodyError::LengthMismatch),
        (vec![Ok("hello")], Some(6), BodyError::LengthMismatch),
    ] {
        let origin = serve(vec![vec![Step::ReadAll]]).await;
        let call = Call {
            body_length: length,
            ..call(Method::POST, stream(body))
        };
        let error = client().call(&plain(origin.address), call).await.unwrap_err();
        assert_eq!(error, UpstreamError::RequestBody(expected));
        assert!(error.may_have_acted());
        // Never a complete request: a chunked one lacks its last chunk, the other its last bytes or all of them.
        let seen = origin.seen().await.remove(0);
        assert!(!seen.contains("0\r\n\r\n") && !seen.ends_with("hello!"), "{seen:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_written_is_refused() {
    let origin = serve(vec![vec![Step::ReadAll], vec![Step::ReadAll], vec![Step::ReadAll]]).await;
    for call in [
        Call {
            target: "/ä".parse().unwrap(),
            ..get()
        },
        Call {
            target: "?a".parse().unwrap(),
            ..get()
        },
        call(Method::CONNECT, Body::Empty),
    ] {
        let error = client().call(&plain(origin.address), call).await.unwrap_err();
        assert_eq!(error, UpstreamError::TargetMalformed);
        assert!(!error.may_have_acted());
    }
    assert_eq!(origin.seen().await, ["", "", ""]);
}

#[test]
fn origins_are_hosts_with_ports() {
    use portcullis_net::upstream::Origin;
    for (text, host, port) in [
        ("example.com", "example.com", 80),
        ("example.com:8080", "example.com", 8080),
        ("127.0.0.1:1", "127.0.0.1", 1),
        ("[::1]", "::1", 80),
        ("[::1]:65535", "::1", 65535),
    ] {
        let origin = Origin::http(text).unwrap();
        assert_eq!(
            (origin.host(), origin.port(), origin.authority().to_str().unwrap()),
            (host, port, text)
        );
    }
    for text in [
        "", ":80", "a:", "a:0", "a:65536", "a:b", "a:+8", "u@a", "a/b", "a b", "http://a", "[::1", "a?b",
    ] {
        assert_eq!(
            Origin::http(text).unwrap_err(),
            OriginError::AuthorityMalformed,
            "{text:?}"
        );
    }
}
