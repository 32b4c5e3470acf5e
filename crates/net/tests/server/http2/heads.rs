//! What a head must be before a handler sees it as a request, and how it does.

use super::subject;
use super::wire::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PROTOCOL_ERROR, RST_STREAM, Wire, fields, frame, get,
    post,
};

/// Pseudo-fields that are right, then `more`.
fn with(more: &[(&str, &str)]) -> Vec<u8> {
    [get("/"), fields(more)].concat()
}

/// What the handler is called with: a request or a fault.
fn seen(head: &[u8]) -> String {
    let subject = subject();
    let mut wire = Wire::open(subject.address(), &[]);
    wire.request(1, head);
    assert!(wire.answer(1).is_ok(), "an answer comes");
    assert_eq!(subject.calls().len(), 1);
    subject.receipt();
    subject.calls().remove(0)
}

/// What is malformed by RFC 9113 section 8: nobody is asked, and stream or connection end.
fn malformed(head: &[u8]) {
    let subject = subject();
    let mut wire = Wire::open(subject.address(), &[]);
    wire.request(1, head);
    let code = loop {
        let frame = wire.read();
        match frame.kind {
            RST_STREAM => break frame.payload,
            GOAWAY => break frame.payload[4..8].to_vec(),
            _ => assert_ne!(frame.kind, HEADERS, "{:?}", String::from_utf8_lossy(head)),
        }
    };
    assert_eq!(
        code,
        PROTOCOL_ERROR.to_be_bytes(),
        "{:?}",
        String::from_utf8_lossy(head)
    );
    assert!(subject.calls().is_empty());
}

#[test]
fn requests_look_as_over_http1() {
    assert_eq!(seen(&get("/a?b=c")), "GET /a?b=c");
    assert_eq!(seen(&get("/%2e")), "GET /%2e");
    let star = fields(&[
        (":method", "OPTIONS"),
        (":scheme", "http"),
        (":authority", "a"),
        (":path", "*"),
    ]);
    assert_eq!(seen(&star), "OPTIONS *");
    let by_host = fields(&[(":method", "GET"), (":scheme", "http"), (":path", "/"), ("host", "a")]);
    assert_eq!(seen(&by_host), "GET /");
    assert_eq!(seen(&with(&[("host", "A")])), "GET /");
    assert_eq!(seen(&with(&[("te", "trailers")])), "GET /");
}

#[test]
fn what_two_readers_could_take_differently_is_refused() {
    let pseudo = |authority: &str, path: &str| {
        fields(&[
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", authority),
            (":path", path),
        ])
    };
    let none = fields(&[(":method", "GET"), (":scheme", "http"), (":path", "/")]);
    let long = "x".repeat(10_240);
    let many: Vec<(&str, &str)> = (0..101).map(|_| ("x", "y")).collect();
    for (head, fault) in [
        (none, "Host is missing"),
        (
            with(&[("host", "b")]),
            "the request target and Host name different hosts",
        ),
        (with(&[("host", "a"), ("host", "a")]), "Host is given more than once"),
        (pseudo("a,b", "/"), "Host is malformed"),
        (pseudo("user@a", "/"), "Host is malformed"),
        (pseudo("a", "*"), "the request target is malformed"),
        (with(&[("x", " y")]), "a header field is malformed"),
        (with(&[("x", "y\t")]), "a header field is malformed"),
        (pseudo("a", &format!("/{long}")), "the first line is too long"),
        (with(&[("x", &long)]), "the header fields are too large"),
        (with(&many), "there are too many header fields"),
    ] {
        assert_eq!(seen(&head), format!("fault: {fault}"));
    }
    let fits = "x".repeat(10_000);
    assert_eq!(seen(&with(&[("x", &fits)])), "GET /");
    assert_eq!(seen(&pseudo("a", &format!("/{fits}"))), format!("GET /{fits}"));
    assert_eq!(seen(&with(&many[..98])), "GET /", "with Host");
}

#[test]
fn what_http1_could_be_fooled_with_does_not_get_through() {
    for name in [
        "connection",
        "keep-alive",
        "proxy-connection",
        "transfer-encoding",
        "upgrade",
    ] {
        malformed(&with(&[(name, "x")]));
    }
    for (name, value) in [
        ("te", "gzip"),
        ("line", "break\r\nx: y"),
        ("null", "a\0b"),
        (":path", "/again"),
        (":unknown", "x"),
        (":status", "200"),
        ("content-length", "5"), // and the stream has ended
        ("content-length", "+0"),
        ("content-length", "0, 0"),
    ] {
        malformed(&with(&[(name, value)]));
    }
    for name in ["Upper", "line\nbreak", "a b", "a:", ""] {
        malformed(&with(&[(name, "x")]));
    }
    let behind = fields(&[
        (":method", "GET"),
        (":scheme", "http"),
        ("x", "y"),
        (":path", "/"),
        (":authority", "a"),
    ]);
    malformed(&behind);
    malformed(&fields(&[(":method", "GET"), (":scheme", "http"), (":authority", "a")]));
    malformed(&fields(&[(":method", "GET"), (":authority", "a"), (":path", "/")]));
    malformed(&fields(&[(":scheme", "http"), (":authority", "a"), (":path", "/")]));
    malformed(&fields(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "a"),
        (":path", ""),
    ]));
    malformed(&fields(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "a"),
        (":path", "/ HTTP/1.1"),
    ]));
    // Extended CONNECT: no WebSocket over HTTP/2.
    malformed(&fields(&[
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":authority", "a"),
        (":path", "/"),
    ]));
    assert_eq!(
        seen(&fields(&[(":method", "CONNECT"), (":authority", "a:80")])),
        "fault: the request target is malformed"
    );
}

#[test]
fn a_body_is_as_long_as_announced() {
    for (length, pieces, expected) in [
        ("5", &["hel", "lo"][..], Ok("hello")),
        ("5", &["hel", "l"], Err(())),
        ("5", &["hel", "lo!"], Err(())),
        ("0", &[""], Ok("")),
        ("0", &["x"], Err(())),
    ] {
        let subject = subject();
        let mut wire = Wire::open(subject.address(), &[]);
        let head = [post("/echo"), fields(&[("content-length", length)])].concat();
        wire.send(frame(HEADERS, END_HEADERS, 1, &head));
        for (index, piece) in pieces.iter().enumerate() {
            let flags = if index + 1 == pieces.len() { END_STREAM } else { 0 };
            wire.send(frame(DATA, flags, 1, piece.as_bytes()));
        }
        let answer = wire.answer(1).map(|body| String::from_utf8(body).unwrap());
        match expected {
            Ok(body) => assert_eq!(answer.unwrap(), body, "{pieces:?}"),
            Err(()) => assert_eq!(answer, Err(PROTOCOL_ERROR), "{length} {pieces:?}"),
        }
        wire.request(3, &get("/"));
        assert_eq!(wire.answer(3).unwrap(), b"hello", "the connection goes on");
    }
}

#[test]
fn a_head_may_come_in_pieces_and_a_body_with_trailers() {
    let subject = subject();
    let mut wire = Wire::open(subject.address(), &[]);
    let head = post("/echo");
    wire.send(frame(HEADERS, 0, 1, &head[..5]));
    wire.send(frame(CONTINUATION, 0, 1, &head[5..20]));
    wire.send(frame(CONTINUATION, END_HEADERS, 1, &head[20..]));
    wire.send(frame(DATA, 0, 1, b"body"));
    wire.send(frame(
        HEADERS,
        END_HEADERS | END_STREAM,
        1,
        &fields(&[("x-checksum", "1")]),
    ));
    assert_eq!(wire.answer(1).unwrap(), b"body");
}

#[test]
fn cookies_arrive_in_one_field() {
    let subject = subject();
    let mut wire = Wire::open(subject.address(), &[]);
    let head = [
        get("/fields"),
        fields(&[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2"), ("x", "z")]),
    ]
    .concat();
    wire.request(1, &head);
    let expected = "host: a\ncookie: a=1; b=2\nx: y\nx: z\n";
    let mut lines: Vec<_> = expected.lines().collect();
    lines.sort_unstable();
    let answer = String::from_utf8(wire.answer(1).unwrap()).unwrap();
    let mut seen: Vec<_> = answer.lines().collect();
    seen.sort_unstable();
    assert_eq!(seen, lines);
}
