//! Everything an origin may answer, well or badly, at once and byte by byte.

use http::Method;
use portcullis_net::http1::{FramingFault, HeadFault};
use portcullis_net::upstream::UpstreamError;
use portcullis_net::{Body, BodyError};

use crate::origin::{Step, serve};
use crate::{call, client, plain, read};

type Outcome = Result<(u16, Result<String, BodyError>), UpstreamError>;

/// What a client makes of `response` before the origin closes.
async fn outcome(method: &Method, send: Step, then: Option<Step>) -> Outcome {
    let origin = serve(vec![[Step::Head, send].into_iter().chain(then).collect()]).await;
    let answer = client()
        .call(&plain(origin.address), call(method.clone(), Body::Empty))
        .await?;
    let body = read(answer.body).await.map(|body| String::from_utf8(body).unwrap());
    Ok((answer.status.as_u16(), body))
}

async fn check(method: Method, response: &str, expected: Outcome) {
    let at_once = outcome(&method, Step::Send(response.into()), None).await;
    assert_eq!(at_once, expected, "{method} {response:?}");
    if response.len() < 2_000 {
        let slowly = outcome(&method, Step::Slowly(response.into()), None).await;
        assert_eq!(slowly, expected, "byte by byte: {method} {response:?}");
    }
}

fn ok(status: u16, body: &str) -> Outcome {
    Ok((status, Ok(body.to_owned())))
}

const BROKEN: Outcome = Ok((200, Err(BodyError::UpstreamBroken)));

#[tokio::test]
async fn well_formed_responses_arrive_whole() {
    for (response, expected) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", ok(200, "hello")),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ok(200, "")),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, and more than was announced",
            ok(200, "hello"),
        ),
        ("HTTP/1.1 200 OK\r\n\r\nuntil close", ok(200, "until close")),
        ("HTTP/1.0 200 OK\r\n\r\nuntil close", ok(200, "until close")),
        ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", ok(200, "hello")),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x\r\n world\r\n0\r\nA: b\r\n\r\n",
            ok(200, "hello world"),
        ),
        ("HTTP/1.1 204 No Content\r\n\r\n", ok(204, "")),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", ok(304, "")),
        ("HTTP/1.1 503 \r\nContent-Length: 1\r\n\r\nx", ok(503, "x")),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
            ok(200, "x"),
        ),
    ] {
        check(Method::GET, response, expected).await;
    }
    check(
        Method::HEAD,
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        ok(200, ""),
    )
    .await;
    check(
        Method::HEAD,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        ok(200, ""),
    )
    .await;
}

#[tokio::test]
async fn a_body_that_breaks_off_is_never_taken_for_whole() {
    for response in [
        "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhell",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        check(Method::GET, response, BROKEN).await;
    }
    // A reset is not an end, not even of a body that lasts until the connection closes.
    for head in ["", "Content-Length: 6\r\n", "Transfer-Encoding: chunked\r\n"] {
        let response = format!("HTTP/1.1 200 OK\r\n{head}\r\n");
        let outcome = outcome(&Method::GET, Step::Send(response.into()), Some(Step::Reset)).await;
        assert!(
            outcome == BROKEN || outcome == Err(UpstreamError::Reset),
            "{head:?}: {outcome:?}"
        );
    }
}

#[tokio::test]
async fn malformed_heads_are_refused_for_the_right_reason() {
    let interim = |count: usize| format!("{}HTTP/1.1 204 \r\n\r\n", "HTTP/1.1 102 \r\n\r\n".repeat(count));
    let large = |length: usize| format!("HTTP/1.1 204 \r\nA: {}\r\n\r\n", "a".repeat(length - 7));
    for (response, expected) in [
        (String::new(), Err(UpstreamError::Reset)),
        ("HTTP/1.1 200 OK\r\nContent-".into(), Err(UpstreamError::Reset)),
        ("HTTP/1.1 100 Continue\r\n\r\n".into(), Err(UpstreamError::Reset)),
        (
            "SSH-2.0-OpenSSH_9.6\r\n\r\n".into(),
            Err(UpstreamError::HeadMalformed(HeadFault::VersionUnsupported)),
        ),
        (
            "HTTP/1.1 200 OK\nA: b\n\n".into(),
            Err(UpstreamError::HeadMalformed(HeadFault::BareLineFeed)),
        ),
        (
            "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n".into(),
            Err(UpstreamError::HeadMalformed(HeadFault::FieldFolded)),
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n".into(),
            Err(UpstreamError::Framing(FramingFault::Ambiguous)),
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello".into(),
            Err(UpstreamError::Framing(FramingFault::LengthRepeated)),
        ),
        (
            "HTTP/1.1 101 \r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n".into(),
            Err(UpstreamError::UpgradeUnexpected),
        ),
        (interim(8), ok(204, "")),
        (interim(9), Err(UpstreamError::InterimTooMany)),
        (large(65_536), ok(204, "")),
        (large(65_537), Err(UpstreamError::HeadTooLarge)),
        (format!("HTTP/1.1 204 \r\n{}\r\n", "A: b\r\n".repeat(100)), ok(204, "")),
        (
            format!("HTTP/1.1 204 \r\n{}\r\n", "A: b\r\n".repeat(101)),
            Err(UpstreamError::HeadTooLarge),
        ),
    ] {
        check(Method::GET, &response, expected).await;
    }
}

#[tokio::test]
async fn a_small_body_comes_in_one_piece_with_its_head() {
    for framing in [
        "Content-Length: 5\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    ] {
        let response = format!("HTTP/1.1 200 OK\r\nA: b\r\n{framing}");
        let origin = serve(vec![vec![Step::Head, Step::Send(response.into()), Step::ReadAll]]).await;
        let client = client();
        let answer = client.call(&plain(origin.address), crate::get()).await.unwrap();
        assert_eq!(format!("{:?}", answer.body), "Full(5 bytes)");
        assert_eq!(answer.fields.get("a"), Some(&b"b"[..]));
        assert_eq!(
            (answer.reused, answer.attempts, answer.connect_time.is_some()),
            (false, 1, true)
        );
        assert_eq!(client.stats().idle(), 1);
    }
}

#[tokio::test]
async fn the_announced_length_is_told_even_without_a_body() {
    for (method, response, length) in [
        (Method::HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Some(5)),
        (
            Method::GET,
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
            Some(7),
        ),
        (
            Method::GET,
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            Some(5),
        ),
        (
            Method::GET,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            None,
        ),
    ] {
        let origin = serve(vec![vec![Step::Head, Step::Send(response.into())]]).await;
        let answer = client()
            .call(&plain(origin.address), call(method, Body::Empty))
            .await
            .unwrap();
        assert_eq!(answer.body_length, length, "{response:?}");
    }
}
