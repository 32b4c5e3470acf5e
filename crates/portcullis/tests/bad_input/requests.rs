//! Requests that are too large, ambiguous or malformed.

use portcullis_testkit::{Answer, Origin, Wire, WireEnd};

use crate::support::{Running, Setup, ok};

const BODY_BYTES_MAX: usize = 10 * 1024 * 1024;
const TOO_LARGE: &str = "HTTP content length exceeded 10485760 bytes.";

/// Sends a request as it is and gives its answer and how the connection ended.
#[track_caller]
fn raw(running: &Running, request: &str) -> (Answer, WireEnd) {
    let mut wire = Wire::connect(running.gateway.address());
    wire.send(request);
    let answer = wire.read_answer();
    (answer, wire.finish().read_to_end().1)
}

/// The gateway refuses it itself and ends the connection; the origin never hears of it.
#[track_caller]
fn check_refused(request: &str, status: u16, message: &str) {
    let origin = Origin::ok("hello");
    let running = Setup::open(origin.address()).start();
    let (answer, end) = raw(&running, request);
    let body = format!("{{\"message\":\"{message}\"}}");
    assert_eq!((answer.status, answer.text()), (status, &*body), "{request:.200}");
    assert_eq!(answer.header("x-amzn-errortype"), Some("BadRequestException"));
    assert_eq!(answer.header("x-amzn-requestid").unwrap().len(), 36);
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(end, WireEnd::Closed, "in order, so that the answer is not lost");
    assert_eq!(origin.connection_count(), 0);
    running.wait_for_metric("portcullis_malformed_requests_total", 1.0);
    running.stop();
}

/// The accepted twin: the origin receives exactly one request, whose line and body these are.
#[track_caller]
fn check_accepted(request: &str, line: &str, body: &[u8]) {
    let origin = Origin::ok("hello");
    let running = Setup::open(origin.address()).start();
    let (answer, _) = raw(&running, request);
    assert_eq!((answer.status, answer.text()), (200, "hello"), "{request:.200}");
    let requests = origin.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!((requests[0].request_line(), &requests[0].body[..]), (line, body));
    running.stop();
}

/// A request with these header lines and what follows them.
fn request(line: &str, fields: &str, body: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: api.example\r\n{fields}\r\n{body}")
}

#[test]
fn ambiguous_framing_is_never_forwarded() {
    let both = "Bad request: Content-Length and Transfer-Encoding are both present";
    for fields in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    ] {
        let smuggled = request("POST /a", fields, "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n");
        check_refused(&smuggled, 400, both);
    }
    let coding = "Bad request: Transfer-Encoding is not exactly `chunked`";
    for value in ["chunked, identity", "gzip, chunked", "xchunked"] {
        check_refused(
            &request("POST /a", &format!("Transfer-Encoding: {value}\r\n"), "0\r\n\r\n"),
            400,
            coding,
        );
    }
    let twice = "Content-Length: 2\r\nContent-Length: 3\r\n";
    check_refused(
        &request("POST /a", twice, "hi!"),
        400,
        "Bad request: Content-Length is given more than once",
    );
    for value in ["+2", "0x2", "2 2", "-1", "99999999999999999999"] {
        let fields = format!("Content-Length: {value}\r\n");
        check_refused(
            &request("POST /a", &fields, "hi"),
            400,
            "Bad request: Content-Length is malformed",
        );
    }
    check_accepted(
        &request("POST /a", "Content-Length: 2\r\n", "hi"),
        "POST /a HTTP/1.1",
        b"hi",
    );
    let chunked = request("POST /a", "Transfer-Encoding: chunked\r\n", "2\r\nhi\r\n0\r\n\r\n");
    check_accepted(&chunked, "POST /a HTTP/1.1", b"2\r\nhi\r\n0\r\n\r\n");
}

#[test]
fn header_bombs_are_refused() {
    let message = "Request header fields too large";
    let one = |bytes: usize| request("GET /a", &format!("X-Bomb: {}\r\n", "x".repeat(bytes)), "");
    check_refused(&one(10_240), 431, message);
    check_accepted(&one(10_000), "GET /a HTTP/1.1", b"");
    let many = |count: usize| request("GET /a", &"X-Many: 1\r\n".repeat(count), "");
    check_refused(&many(100), 431, message);
    check_accepted(&many(90), "GET /a HTTP/1.1", b"");
}

#[test]
fn long_and_malformed_targets_are_refused() {
    let long = |bytes: usize| request(&format!("GET /{}", "a".repeat(bytes)), "", "");
    check_refused(&long(10_300), 414, "Request URI too long");
    check_accepted(&long(1_000), &format!("GET /{} HTTP/1.1", "a".repeat(1_000)), b"");
    for path in ["/a/../b", "/a/%2e%2E/b", "/./a", "/a%zz", "/a%00", "/a\\b"] {
        let origin = Origin::ok("hello");
        let running = Setup::open(origin.address()).start();
        let (answer, _) = raw(&running, &request(&format!("GET {path}"), "", ""));
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
        assert!(
            answer.text().starts_with("{\"message\":\"Bad request: "),
            "{path}: {answer:?}"
        );
        assert_eq!(origin.connection_count(), 0, "{path}");
        running.stop();
    }
    check_accepted(&request("GET /a/..b/.c/%20", "", ""), "GET /a/..b/.c/%20 HTTP/1.1", b"");
}

#[test]
fn broken_heads_are_refused() {
    check_refused("GET /a HTTP/1.1\r\n\r\n", 400, "Bad request: Host is missing");
    check_refused(
        "GET /a HTTP/1.1\nHost: x\n\n",
        400,
        "Bad request: a line of the head does not end with CR LF",
    );
    check_refused(
        "GET /a HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        400,
        "Bad request: Host is given more than once",
    );
    check_refused(
        "GET /a HTTP/1.1\r\nHost : x\r\n\r\n",
        400,
        "Bad request: a header field is malformed",
    );
    check_refused("GET /a\r\n\r\n", 400, "Bad request: the request line is malformed");
    check_refused(
        "\u{16}\u{3}\u{1}\u{0}\u{a5}\u{1}\u{0}\u{0}\r\n\r\n",
        400,
        "Bad request: the request line is malformed",
    );
    check_accepted("GET /a HTTP/1.1\r\nHost: x\r\n\r\n", "GET /a HTTP/1.1", b"");
}

#[test]
fn a_body_over_ten_megabytes_is_refused_however_it_is_framed() {
    let origin = Origin::ok("hello");
    let running = Setup::open(origin.address()).start();
    let place = &running.place;
    let send = |bytes: usize, framing: &[&str]| {
        let data = format!("@{}", place.write("body", vec![b'x'; bytes]).display());
        let arguments = [
            &[
                "--data-binary",
                &*data,
                "-H",
                "Expect:",
                "-H",
                "Content-Type: text/plain",
            ],
            framing,
        ]
        .concat();
        running.call("/upload", &arguments)
    };
    let chunked = ["-H", "Transfer-Encoding: chunked"];
    for framing in [&[][..], &chunked] {
        let answer = send(BODY_BYTES_MAX + 1, framing);
        assert_eq!((answer.status, answer.text()), (413, TOO_LARGE), "{framing:?}");
        assert_eq!(answer.header("x-amzn-errortype"), Some("RequestTooLargeException"));
        assert_eq!(answer.header("content-type"), Some("text/plain"));
    }
    assert_eq!(origin.requests().len(), 0, "the origin never sees a whole request");
    for framing in [&[][..], &chunked] {
        assert_eq!(send(BODY_BYTES_MAX, framing).status, 200, "{framing:?}");
    }
    let requests = origin.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].body.len(), BODY_BYTES_MAX);
    assert!(requests[1].body.len() > BODY_BYTES_MAX, "the same in chunks");

    // A client that asks first is told before it sends (RFC 9110 section 10.1.1).
    let mut wire = Wire::connect(running.gateway.address());
    wire.send(request(
        "POST /a",
        "Content-Length: 10485761\r\nExpect: 100-continue\r\n",
        "",
    ));
    assert_eq!(wire.read_answer().status, 413);
    drop(wire); // the gateway would wait for us to close, so that the answer is not lost
    running.stop();
}

#[test]
fn broken_chunks_end_the_request_at_both_ends() {
    let origin = Origin::ok("hello");
    let running = Setup::open(origin.address()).start();
    for body in ["zz\r\nhi\r\n0\r\n\r\n", "2\r\nhi!\r\n0\r\n\r\n", "2;\nhi\r\n0\r\n\r\n"] {
        let (answer, _) = raw(&running, &request("POST /a", "Transfer-Encoding: chunked\r\n", body));
        assert_eq!(
            (answer.status, answer.text()),
            (400, "{\"message\":\"Invalid request body\"}"),
            "{body:?}"
        );
    }
    assert_eq!(origin.requests().len(), 0, "the origin never sees a whole request");
    assert_eq!(running.call("/a", &["--data", "hi"]).status, 200);
    running.stop();
}

#[test]
fn a_pipelined_request_is_answered_in_its_turn() {
    let origin = Origin::answering(ok("hello"));
    let running = Setup::open(origin.address()).start();
    let mut wire = Wire::connect(running.gateway.address());
    wire.send(request("GET /1", "", "") + &request("GET /2", "", "") + &request("GET /3", "Connection: close\r\n", ""));
    for _ in 0..3 {
        assert_eq!(wire.read_answer().text(), "hello");
    }
    assert_eq!(wire.read_to_end(), (Vec::new(), WireEnd::Closed));
    let lines: Vec<_> = origin
        .requests()
        .iter()
        .map(|seen| seen.request_line().to_owned())
        .collect();
    assert_eq!(lines, ["GET /1 HTTP/1.1", "GET /2 HTTP/1.1", "GET /3 HTTP/1.1"]);
    running.stop();
}
