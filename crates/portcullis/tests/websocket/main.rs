//! WebSocket connections (RFC 6455) through the whole binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod frame;
mod server;
#[path = "../support/mod.rs"]
mod support;

use frame::{BINARY, CLOSE, Frame, PING, PONG, TEXT};
use portcullis_testkit::{Origin, Wire};
use server::{ACCEPT, Echo, KEY};
use support::{EXPLICIT_DENY, ORIGIN_KEY, Running, Setup};

/// Asks for a WebSocket connection.
fn ask(running: &Running, fields: &str) -> Wire {
    let mut wire = Wire::connect(running.gateway.address());
    wire.send(format!(
        "GET /chat?room=1 HTTP/1.1\r\nHost: api.example\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Protocol: chat\r\n{fields}\r\n"
    ));
    wire
}

/// The connection is a WebSocket one from here on.
#[track_caller]
fn check_upgraded(wire: &mut Wire) {
    let head = wire.read_head();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let head = head.to_lowercase();
    for field in [
        "upgrade: websocket",
        "connection: upgrade",
        "sec-websocket-protocol: chat",
        "x-amzn-requestid: ",
    ] {
        assert!(head.contains(&format!("\r\n{field}")), "`{field}` in {head}");
    }
    assert!(
        head.contains(&format!("sec-websocket-accept: {}", ACCEPT.to_lowercase())),
        "{head}"
    );
    assert!(
        !head.contains("content-length") && !head.contains("transfer-encoding"),
        "{head}"
    );
}

/// The next frame from the gateway.
#[track_caller]
fn next(wire: &mut Wire) -> Frame {
    let read: Result<_, std::convert::Infallible> = Frame::read(|length| Ok(wire.read_exact(length)));
    read.unwrap()
}

/// What is sent comes back, unmasked.
#[track_caller]
fn check_echo(wire: &mut Wire, opcode: u8, payload: &[u8]) {
    wire.send(Frame::new(opcode, payload).masked([0x12, 0x34, 0x56, 0x78]));
    let echoed = next(wire);
    let expected = if opcode == PING { PONG } else { opcode };
    assert_eq!((echoed.opcode, echoed.is_masked), (expected, false));
    assert!(echoed.payload == payload, "{} bytes came back", echoed.payload.len());
}

#[test]
fn frames_pass_both_ways_until_both_have_closed() {
    let echo = Echo::start();
    let running = Setup::open(echo.address()).start();
    let mut wire = ask(&running, "");
    check_upgraded(&mut wire);
    let greeting = next(&mut wire);
    assert_eq!(
        (greeting.opcode, &greeting.payload[..]),
        (TEXT, &b"welcome"[..]),
        "the server may speak first"
    );
    check_echo(&mut wire, TEXT, b"hello");
    check_echo(&mut wire, TEXT, b"");
    check_echo(&mut wire, PING, b"alive?");
    check_echo(&mut wire, BINARY, &[0xff; 125]);
    check_echo(&mut wire, BINARY, &[0; 126]);
    check_echo(&mut wire, BINARY, &vec![7; 300_000]);
    for byte in Frame::new(TEXT, b"byte by byte").masked([1, 2, 3, 4]) {
        wire.send([byte]);
    }
    assert_eq!(next(&mut wire).payload, b"byte by byte");
    check_echo(&mut wire, CLOSE, &[0x03, 0xe8]);
    assert_eq!(wire.finish().read_to_end().0, b"", "nothing comes behind the close");
    drop(wire);

    let request = &echo.handshakes()[0];
    assert_eq!(request.request_line(), "GET /chat?room=1 HTTP/1.1");
    for (name, value) in [
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "chat"),
        ("apikey", ORIGIN_KEY),
        ("x-forwarded-for", "127.0.0.1"),
    ] {
        assert_eq!(request.header(name), Some(value), "{name} in {}", request.head);
    }
    assert!(request.header("connection").unwrap().eq_ignore_ascii_case("upgrade"));
    let lines = running.gateway.wait_for_access_log(1);
    assert!(
        lines[0].contains("\"GET /{proxy+} HTTP/1.1\" 101 30"),
        "its bytes are told: {lines:?}"
    );
    running.stop();
}

#[test]
fn a_connection_needs_a_token_like_any_call() {
    let echo = Echo::start();
    let running = Setup::new(echo.address()).start();
    let unauthorized = ask(&running, "").read_answer();
    assert_eq!(
        (unauthorized.status, unauthorized.text()),
        (401, "{\"message\":\"Unauthorized\"}")
    );
    let denied = ask(&running, "Approov-Token: a.b.c\r\n").read_answer();
    assert_eq!((denied.status, denied.text()), (403, EXPLICIT_DENY));
    assert_eq!(echo.handshakes().len(), 0, "the origin never hears of them");

    let token = running.place.token("env:APPROOV_SECRET", "10y");
    let mut wire = ask(&running, &format!("Approov-Token: {token}\r\n"));
    check_upgraded(&mut wire);
    assert_eq!(next(&mut wire).payload, b"welcome");
    check_echo(&mut wire, TEXT, b"hello");
    check_echo(&mut wire, CLOSE, b"");
    drop(wire);
    running.gateway.wait_for_access_log(3);
    let ended = running.stop();
    let signature = token.rsplit('.').next().unwrap();
    assert!(!ended.stdout.contains(signature) && !ended.stderr.contains(signature));
}

#[test]
fn an_origin_that_does_not_upgrade_is_heard() {
    let origin = Origin::answering("HTTP/1.1 426 Upgrade Required\r\nUpgrade: TLS/1.0\r\nContent-Length: 2\r\n\r\nno");
    let running = Setup::open(origin.address()).start();
    let mut wire = ask(&running, "");
    let answer = wire.read_answer();
    assert_eq!((answer.status, answer.text()), (426, "no"));
    // It is a connection for calls as it was.
    wire.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(wire.read_answer().status, 426);
    drop(wire);
    running.stop();
}

#[test]
fn no_other_protocol_is_tunnelled() {
    let origin = Origin::ok("hello");
    let running = Setup::open(origin.address()).start();
    let mut wire = Wire::connect(running.gateway.address());
    wire.send("GET /a HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AA\r\n\r\n");
    assert_eq!(wire.read_answer().text(), "hello");
    let request = &origin.requests()[0];
    assert_eq!(
        (request.header("upgrade"), request.header("http2-settings")),
        (None, None)
    );
    drop(wire);
    running.stop();
}

#[test]
fn who_goes_away_takes_the_other_side_along() {
    let echo = Echo::start();
    let running = Setup::open(echo.address()).start();
    let mut wire = ask(&running, "");
    check_upgraded(&mut wire);
    assert_eq!(next(&mut wire).payload, b"welcome");
    drop(wire);
    echo.wait_until_idle();

    let mut wire = ask(&running, "");
    check_upgraded(&mut wire);
    assert_eq!(next(&mut wire).payload, b"welcome");
    check_echo(&mut wire, TEXT, b"hello");
    echo.hang_up();
    assert_eq!(wire.read_to_end().0, b"");
    drop(wire);
    running.gateway.wait_for_access_log(2);
    running.stop();
}
