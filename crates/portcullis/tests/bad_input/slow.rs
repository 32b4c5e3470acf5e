//! Clients that are slow, or never get to the end.

use portcullis_testkit::{Origin, Step, Wire, WireEnd};

use crate::support::Setup;

const HEAD: &str = "GET /a HTTP/1.1\r\nHost: x\r\n";
const TIMED_OUT: &str = "{\"message\":\"Request timed out\"}";

#[test]
fn a_head_that_does_not_end_is_timed_out() {
    let origin = Origin::ok("hello");
    let running = Setup::open(origin.address())
        .listener("head_timeout_ms = 400\nkeep_alive_timeout_ms = 400")
        .start();
    let mut slow = Wire::connect(running.gateway.address());
    let answer = slow.send(HEAD).read_answer();
    assert_eq!((answer.status, answer.text()), (408, TIMED_OUT));
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(slow.read_to_end(), (Vec::new(), WireEnd::Closed));

    // A connection that never begins, and one that rests for too long, are closed without a word.
    let mut silent = Wire::connect(running.gateway.address());
    assert_eq!(silent.read_to_end(), (Vec::new(), WireEnd::Closed));
    let mut quick = Wire::connect(running.gateway.address());
    assert_eq!(quick.send(format!("{HEAD}\r\n")).read_answer().status, 200);
    assert_eq!(quick.read_to_end(), (Vec::new(), WireEnd::Closed));
    assert_eq!(origin.requests().len(), 1);
    drop(slow); // the gateway would wait for us to close, so that the answer is not lost
    running.stop();
}

#[test]
fn a_body_that_does_not_go_on_is_timed_out() {
    let origin = Origin::ok("hello");
    let running = Setup::open(origin.address())
        .listener("body_idle_timeout_ms = 400")
        .start();
    let send = |framing: &str, part: &str| {
        let mut wire = Wire::connect(running.gateway.address());
        wire.send(format!("POST /a HTTP/1.1\r\nHost: x\r\n{framing}\r\n{part}"));
        wire
    };
    for (framing, part) in [
        ("Content-Length: 10\r\n", "half"),
        ("Transfer-Encoding: chunked\r\n", "a\r\nhalf"),
        ("Content-Length: 10\r\n", ""),
    ] {
        let mut slow = send(framing, part);
        let answer = slow.read_answer();
        assert_eq!((answer.status, answer.text()), (408, TIMED_OUT), "{framing}");
        assert_eq!(slow.finish().read_to_end(), (Vec::new(), WireEnd::Closed));
    }
    assert_eq!(origin.requests().len(), 0, "the origin never sees a whole request");
    let mut quick = send("Content-Length: 10\r\n", "in two ");
    quick.send("go!");
    assert_eq!(quick.read_answer().status, 200);
    assert_eq!(origin.requests()[0].body, b"in two go!");
    drop(quick);
    running.stop();
}

#[test]
fn a_client_that_goes_away_takes_its_upstream_call_with_it() {
    let origin = Origin::ok("hello");
    let running = Setup::open(origin.address()).start();
    let mut gone = Wire::connect(running.gateway.address());
    gone.send("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf");
    drop(gone);
    let lines = running.gateway.wait_for_access_log(1);
    assert!(lines[0].contains(" 499 "), "{lines:?}");
    origin.wait_until_idle();
    assert_eq!(origin.requests().len(), 0, "half a request is none");
    running.stop();
}

#[test]
fn a_client_that_does_not_read_is_given_up() {
    let size = 64 << 20;
    let mut response = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n").into_bytes();
    response.resize(response.len() + size, b'x');
    let origin = Origin::scripted(vec![vec![Step::ReadRequest, Step::Send(response)]]);
    let running = Setup::open(origin.address())
        .listener("write_idle_timeout_ms = 400")
        .start();
    let mut slow = Wire::connect(running.gateway.address());
    slow.send(format!("{HEAD}\r\n"));
    running.wait_for_metric("portcullis_slow_clients_total", 1.0);
    let (received, end) = slow.read_to_end();
    assert_eq!(end, WireEnd::Reset, "no client takes a part for the whole");
    assert!(received.len() < size);
    let answer = running.call("/b", &[]);
    assert_eq!(
        (answer.status, answer.body.len()),
        (200, size),
        "who reads gets all of it"
    );
    running.stop();
}

#[test]
fn half_open_connections_hold_up_nobody() {
    let origin = Origin::ok("hello");
    let running = Setup::open(origin.address()).start();
    let mut half_open: Vec<_> = (0..300).map(|_| Wire::connect(running.gateway.address())).collect();
    for wire in &mut half_open {
        wire.send(HEAD);
    }
    running.wait_for_metric("portcullis_connections_open", 300.0);
    for _ in 0..10 {
        assert_eq!(running.call("/a", &["--max-time", "5"]).text(), "hello");
    }
    for wire in half_open.iter_mut().step_by(50) {
        assert_eq!(
            wire.send("\r\n").read_answer().text(),
            "hello",
            "the slow ones are still served"
        );
    }
    drop(half_open);
    running.stop();
}
