//! Clients that are slow, or never get to the end.

use std::time::Duration;

use portcullis_net::listener::ListenerSettings;

use super::http2_settings;
use super::wire::{DATA, END_HEADERS, ENHANCE_YOUR_CALM, End, GOAWAY, HEADERS, NO_ERROR, Wire, frame, get, post};
use crate::harness::{Subject, await_open, subject_with};

const SHORT: Duration = Duration::from_millis(200);
const INITIAL_WINDOW_SIZE: u16 = 4;

fn subject(set: impl FnOnce(&mut ListenerSettings)) -> Subject {
    let mut settings = http2_settings();
    set(&mut settings);
    subject_with(settings)
}

#[test]
fn a_connection_that_rests_is_ended_in_order() {
    let subject = subject(|settings| settings.idle_timeout = SHORT);
    let mut wire = Wire::open(subject.address(), &[]);
    assert_eq!(wire.end(), End::Away(NO_ERROR), "without a request");
    let mut wire = Wire::open(subject.address(), &[]);
    wire.request(1, &get("/wait"));
    subject.waiting.recv().unwrap();
    std::thread::sleep(2 * SHORT); // what is being served does not rest
    subject.gate.add_permits(1);
    assert_eq!(wire.answer(1).unwrap(), b"waited");
    assert_eq!(wire.end(), End::Away(NO_ERROR));
    await_open(&subject.server.stats(), 0);
}

#[test]
fn a_preface_that_does_not_end_is_left() {
    let subject = subject(|settings| settings.head_timeout = SHORT);
    for begun in [&b"PRI"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r"] {
        let mut wire = Wire::silent(subject.address());
        wire.send(begun);
        assert_eq!(wire.end(), End::Closed);
    }
    assert_eq!(subject.server.stats().http2(), 0);
}

#[test]
fn a_head_that_does_not_end_is_left() {
    let subject = subject(|settings| settings.head_timeout = SHORT);
    let head = frame(HEADERS, 0, 3, &get("/"));
    for part in [&head[..3], &head[..12], &head[..]] {
        let mut wire = Wire::open(subject.address(), &[]);
        wire.request(1, &get("/wait"));
        subject.waiting.recv().unwrap();
        wire.send(part);
        let away = wire.read_until_goaway();
        assert_eq!(away.payload[4..8], ENHANCE_YOUR_CALM.to_be_bytes(), "{part:?}");
        subject.gate.add_permits(1);
        subject.receipt();
    }
    // Its twin: the same head in time, however long its answer takes.
    let mut wire = Wire::open(subject.address(), &[]);
    wire.request(1, &get("/wait"));
    subject.waiting.recv().unwrap();
    std::thread::sleep(2 * SHORT);
    subject.gate.add_permits(1);
    assert_eq!(wire.answer(1).unwrap(), b"waited");
}

#[test]
fn a_body_that_does_not_go_on_is_given_up() {
    let subject = subject(|settings| settings.body_idle_timeout = SHORT);
    let mut wire = Wire::open(subject.address(), &[]);
    wire.send(frame(HEADERS, END_HEADERS, 1, &post("/echo")));
    wire.send(frame(DATA, 0, 1, b"half"));
    let answer = String::from_utf8(wire.answer(1).unwrap()).unwrap();
    assert_eq!(answer, "the body made no progress in time, announced None");
    wire.request(3, &get("/"));
    assert_eq!(wire.answer(3).unwrap(), b"hello", "the connection goes on");
}

#[test]
fn a_window_that_stays_shut_is_not_waited_for() {
    let subject = subject(|settings| settings.write_idle_timeout = SHORT);
    let mut wire = Wire::open(subject.address(), &[(INITIAL_WINDOW_SIZE, 0)]);
    wire.request(1, &get("/large"));
    assert!(wire.answer(1).is_err(), "the stream is reset");
    assert_eq!(subject.server.stats().timeouts(), 1);
    let sent = subject.receipt();
    assert_eq!((sent.body_bytes, sent.complete), (0, false));
    wire.request(3, &get("/empty"));
    assert_eq!(wire.answer(3).unwrap(), b"", "what needs no window is served");
    // A window that opens in time, by however little.
    wire.settings(&[(INITIAL_WINDOW_SIZE, 1)]);
    wire.request(5, &get("/"));
    for piece in ["h", "e", "l", "l", "o"] {
        assert_eq!(wire.read_until(DATA).payload, piece.as_bytes());
        std::thread::sleep(SHORT / 4);
        let _ = wire.try_send(frame(super::wire::WINDOW_UPDATE, 0, 5, &1_u32.to_be_bytes()));
    }
}

#[test]
fn a_client_that_does_not_read_is_given_up() {
    let subject = subject(|settings| settings.write_idle_timeout = SHORT);
    let mut wire = Wire::open(subject.address(), &[(INITIAL_WINDOW_SIZE, 0x7fff_ffff)]);
    wire.send(frame(super::wire::WINDOW_UPDATE, 0, 0, &0x7fff_0000_u32.to_be_bytes()));
    for stream in (1..=127).step_by(2) {
        wire.request(stream, &get("/large"));
    }
    let stats = subject.server.stats();
    await_open(&stats, 0);
    assert!(stats.timeouts() >= 1);
    let sent: Vec<_> = subject.receipts.try_iter().collect();
    assert_eq!(sent.len(), 64, "every answer has its receipt");
    assert!(sent.iter().any(|sent| !sent.complete));
    assert_eq!(wire.end(), End::Closed);
}

#[test]
fn a_farewell_lets_begun_requests_end() {
    let subject = subject(|settings| settings.idle_timeout = SHORT);
    let mut wire = Wire::open(subject.address(), &[]);
    assert_eq!(wire.read_until_goaway().kind, GOAWAY);
    wire.request(1, &get("/")); // sent before the farewell could be read
    assert_eq!(wire.answer(1).unwrap(), b"hello");
}
