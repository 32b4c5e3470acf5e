//! Heads over whose meaning two readers could disagree: each refused, and nothing behind it looked at.

use crate::harness::{settings, subject, subject_with};

const BEHIND: &str = "GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n";

/// `head` is refused with `status`; `BEHIND` is never called, wherever a lenient reader would see it.
fn check(head: &[u8], status: u16) {
    let subject = subject();
    let bytes = [head, b"0\r\n\r\n", BEHIND.as_bytes(), BEHIND.as_bytes()].concat();
    let answer = subject.talk(bytes);
    let shown = String::from_utf8_lossy(head);
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{shown}: {answer}");
    assert!(
        answer.ends_with("content-length: 0\r\nconnection: close\r\n\r\n"),
        "{shown}: {answer}"
    );
    let calls = subject.calls();
    assert!(
        calls.len() == 1 && calls[0].starts_with("fault: "),
        "{shown}: {calls:?}"
    );
    assert_eq!(subject.server.stats().faults(), 1);
    assert!(subject.receipt().complete);
}

#[test]
fn refuses_ambiguous_framing() {
    for fields in [
        "content-length: 5\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
        "content-length: 5\r\ncontent-length: 5\r\n",
        "content-length: 5\r\ncontent-length: 6\r\n",
        "content-length: 5, 5\r\n",
        "content-length: +5\r\n",
        "content-length: -5\r\n",
        "content-length: 0x5\r\n",
        "content-length: 5 5\r\n",
        "content-length:\r\n",
        "content-length: 18446744073709551616\r\n",
        "transfer-encoding: xchunked\r\n",
        "transfer-encoding: chunked, chunked\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: gzip, chunked\r\n",
        "transfer-encoding: identity\r\n",
        "transfer-encoding: \"chunked\"\r\n",
        "transfer-encoding: \x0bchunked\r\n",
        "transfer-encoding : chunked\r\n",
        "transfer-encoding\r\n: chunked\r\n",
        "transfer-encoding:\r\n chunked\r\n",
        "content-length : 5\r\n",
        "content length: 5\r\n",
        " content-length: 5\r\n",
        "x: y\r\n\tcontent-length: 5\r\n",
        "x: y\ncontent-length: 5\r\n",
        "x: y\rcontent-length: 5\r\n",
        "x: y\0z\r\n",
        "x\0y: z\r\n",
        ": y\r\n",
        "x\r\n",
        "host: b\r\n",
    ] {
        check(
            format!("POST /echo HTTP/1.1\r\nhost: a\r\n{fields}\r\n").as_bytes(),
            400,
        );
    }
    check(
        b"POST /echo HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n",
        400,
    );
}

#[test]
fn refuses_heads_that_are_none() {
    for (head, status) in [
        (&b"POST /echo HTTP/1.1\r\n\r\n"[..], 400),
        (b"GET http://b/echo HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nhost: a\n\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"GET  / HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        (b"GET /a b HTTP/1.1\r\nhost: a\r\n\r\n", 505), // `b HTTP/1.1` is no version
        (b"GET /\x80 HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nhost: a\r\n\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n", 400),
        (b"\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n", 400), // a TLS record
    ] {
        check(head, status);
    }
}

#[test]
fn accepts_their_twins() {
    for request in [
        "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello",
        "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding:chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nx: y\r\n\r\n",
        "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 05\r\n\r\nhello",
        "POST http://a/echo HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello",
        "POST /echo HTTP/1.0\r\nconnection: keep-alive\r\ncontent-length: 5\r\n\r\nhello",
        "\r\nPOST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\nx:  y \r\n\r\nhello",
    ] {
        let subject = subject();
        let answer = subject.talk_half_closed(format!("{request}GET /next HTTP/1.1\r\nhost: a\r\n\r\n"));
        assert_eq!(answer.matches("HTTP/1.1 200 OK\r\n").count(), 2, "{request}: {answer}");
        assert_eq!(answer.matches("\r\n\r\nhello").count(), 2, "{request}: {answer}");
        assert_eq!(subject.calls().len(), 2, "{request}");
    }
}

#[test]
fn nothing_behind_a_broken_body_is_looked_at() {
    for body in [
        "5\r\nhelloX0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        "g\r\nhello\r\n0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n", // 2^64 + 5
        "5;\n\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\n x: y\r\n\r\n",
        "5\r\nhello\r\n0\r\nx : y\r\n\r\n",
        "5\r\nhello\r\n0\n\n",
    ] {
        for path in ["/echo", "/unread", "/stream"] {
            let subject = subject();
            let head = format!("POST {path} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
            let answer = subject.talk(format!("{head}{body}{BEHIND}{BEHIND}"));
            assert_eq!(subject.calls(), [format!("POST {path}")], "{body:?}: {answer}");
            let is_truncated = !answer.ends_with("0\r\n\r\n");
            assert!(path != "/stream" || is_truncated, "{body:?}: {answer}");
        }
    }
}

#[test]
fn limits_heads() {
    let mut settings = settings();
    settings.line_bytes_max = 100;
    settings.fields_bytes_max = 200;
    let line = |bytes: usize| {
        format!(
            "GET /{} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
            "x".repeat(bytes - 14)
        )
    };
    let fields = |bytes: usize| {
        let rest = "x".repeat(bytes - "host: a\r\nconnection: close\r\nx: \r\n\r\n".len());
        format!("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx: {rest}\r\n\r\n")
    };
    let many = |count: usize| {
        format!(
            "GET / HTTP/1.1\r\nhost: a\r\n{}connection: close\r\n\r\n",
            "a:\r\n".repeat(count - 2)
        )
    };
    for (request, status) in [
        (line(100), 200),
        (line(101), 414),
        ("x".repeat(102), 414), // before the line has ended
        (fields(200), 200),
        (fields(201), 431),
        (format!("GET / HTTP/1.1\r\nx: {}", "x".repeat(200)), 431),
        (many(40), 200),
    ] {
        let answer = subject_with(settings.clone()).talk(&request);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{request}: {answer}"
        );
    }
    for (count, status) in [(100, 200), (101, 431)] {
        assert!(
            subject().talk(many(count)).starts_with(&format!("HTTP/1.1 {status} ")),
            "{count} fields"
        );
    }
}
