//! Many requests at a time, and how they and their connection end.

use std::thread;
use std::time::Duration;

use portcullis_net::server::Sent;

use super::wire::{
    CANCEL, DATA, END_HEADERS, END_STREAM, End, GOAWAY, HEADERS, NO_ERROR, PING, RST_STREAM, SETTINGS, Wire, frame,
    get, post,
};
use super::{http2_settings, subject};
use crate::harness::{await_open, subject_with};

fn cancel(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes())
}

#[test]
fn a_slow_request_holds_up_no_other() {
    let subject = subject();
    let mut wire = Wire::open(subject.address(), &[]);
    wire.request(1, &get("/wait"));
    subject.waiting.recv().unwrap();
    wire.request(3, &get("/"));
    assert_eq!(wire.answer(3).unwrap(), b"hello");
    subject.gate.add_permits(1);
    assert_eq!(wire.answer(1).unwrap(), b"waited");
}

#[test]
fn what_panics_takes_only_its_own_stream_with_it() {
    let subject = subject();
    let mut wire = Wire::open(subject.address(), &[]);
    wire.request(1, &get("/wait"));
    subject.waiting.recv().unwrap();
    wire.request(3, &get("/panic"));
    assert!(wire.answer(3).is_err());
    subject.gate.add_permits(1);
    assert_eq!(wire.answer(1).unwrap(), b"waited");
}

#[test]
fn an_answer_without_its_request_body_is_whole() {
    let subject = subject();
    let mut wire = Wire::open(subject.address(), &[]);
    wire.send(frame(HEADERS, END_HEADERS, 1, &post("/unread")));
    assert_eq!(wire.answer(1).unwrap(), b"no");
    let reset = wire.read_until(RST_STREAM);
    assert_eq!(
        reset.payload,
        NO_ERROR.to_be_bytes(),
        "RFC 9113 section 8.1: send no more of it"
    );
    wire.request(3, &get("/"));
    assert_eq!(wire.answer(3).unwrap(), b"hello");
}

#[test]
fn a_request_that_was_begun_is_brought_to_its_end_and_holds_its_place() {
    let mut settings = http2_settings();
    settings.http2_streams_max = 2;
    let subject = subject_with(settings);
    let mut wire = Wire::open(subject.address(), &[]);
    for stream in [1, 3] {
        wire.request(stream, &get("/wait"));
        subject.waiting.recv().unwrap();
        wire.send(cancel(stream));
    }
    // To the client's books both streams are closed; to ours they make no room for a third.
    wire.request(5, &get("/"));
    wire.send(frame(PING, 0, 0, b"12345678"));
    wire.read_until(PING);
    assert_eq!(subject.calls(), ["GET /wait", "GET /wait"]);
    subject.gate.add_permits(1);
    assert_eq!(wire.answer(5).unwrap(), b"hello", "one has ended");
    subject.gate.add_permits(1);
    let mut receipts = [subject.receipt(), subject.receipt(), subject.receipt()];
    receipts.sort_by_key(|sent| sent.body_bytes);
    let told = |body_bytes, complete| Sent { body_bytes, complete };
    assert_eq!(receipts, [told(0, false), told(0, false), told(5, true)]);
}

#[test]
fn a_client_that_leaves_does_not_undo_what_it_asked_for() {
    let subject = subject();
    let stats = subject.server.stats();
    let mut wire = Wire::open(subject.address(), &[]);
    wire.request(1, &get("/wait"));
    subject.waiting.recv().unwrap();
    drop(wire);
    let mut next = Wire::open(subject.address(), &[]);
    next.request(1, &get("/"));
    assert_eq!(next.answer(1).unwrap(), b"hello");
    assert!(subject.receipt().complete);
    assert_eq!(stats.open(), 2, "the one that left counts until its request has ended");
    subject.gate.add_permits(1);
    assert!(!subject.receipt().complete);
    await_open(&stats, 1);
}

#[test]
fn more_streams_than_allowed_are_refused() {
    let mut settings = http2_settings();
    settings.http2_streams_max = 1;
    let subject = subject_with(settings);
    let mut wire = Wire::open(subject.address(), &[]);
    wire.request(1, &get("/wait"));
    subject.waiting.recv().unwrap();
    wire.request(3, &get("/"));
    assert_eq!(wire.answer(3), Err(7), "REFUSED_STREAM: safe to send again");
    subject.gate.add_permits(1);
    assert_eq!(wire.answer(1).unwrap(), b"waited");
    wire.request(5, &get("/"));
    assert_eq!(wire.answer(5).unwrap(), b"hello");
}

#[test]
fn shutting_down_ends_what_rests_and_finishes_what_runs() {
    let subject = subject();
    let stats = subject.server.stats();
    let mut resting = Wire::open(subject.address(), &[]);
    resting.request(1, &get("/"));
    assert_eq!(resting.answer(1).unwrap(), b"hello");
    let mut running = Wire::open(subject.address(), &[]);
    running.request(1, &get("/wait"));
    subject.waiting.recv().unwrap();
    let mut silent = Wire::silent(subject.address());
    await_open(&stats, 3);
    let gate = subject.gate.clone();
    let stopping = thread::spawn(move || subject.server.shutdown(Duration::from_secs(30)));
    assert_eq!(resting.end(), End::Away(NO_ERROR));
    assert_eq!(silent.end(), End::Closed);
    await_open(&stats, 1);
    assert_eq!(running.read_until_goaway().kind, GOAWAY, "send no more here");
    gate.add_permits(1);
    assert_eq!(running.answer(1).unwrap(), b"waited");
    assert_eq!(running.end(), End::Away(NO_ERROR));
    stopping.join().unwrap();
}

#[test]
fn no_client_takes_a_part_for_the_whole() {
    for (path, part) in [("/breaks", "one"), ("/short", "onetwo"), ("/long", "one")] {
        let subject = subject();
        let mut wire = Wire::open(subject.address(), &[]);
        wire.request(1, &get(path));
        let mut body = Vec::new();
        let reset = loop {
            let frame = wire.read();
            match frame.kind {
                DATA => body.extend(frame.payload),
                RST_STREAM => break frame,
                _ => {}
            }
        };
        assert_eq!(
            (body.as_slice(), reset.payload.as_slice()),
            (part.as_bytes(), &[0, 0, 0, 2][..]),
            "{path}"
        );
        let sent = subject.receipt();
        assert_eq!((sent.body_bytes, sent.complete), (part.len() as u64, false), "{path}");
        assert_eq!(subject.server.stats().broken(), 1);
        wire.request(3, &get("/"));
        assert_eq!(wire.answer(3).unwrap(), b"hello", "the connection goes on");
    }
}

#[test]
fn windows_are_kept_to() {
    const INITIAL_WINDOW_SIZE: u16 = 4;
    let subject = subject();
    let mut wire = Wire::open(subject.address(), &[(INITIAL_WINDOW_SIZE, 3)]);
    wire.request(1, &get("/"));
    assert_eq!(wire.read_until(DATA).payload, b"hel");
    wire.send(frame(PING, 0, 0, b"12345678"));
    wire.read_until(PING);
    wire.settings(&[(INITIAL_WINDOW_SIZE, 5)]);
    let rest = wire.read_until(DATA);
    assert_eq!((rest.payload.as_slice(), rest.flags), (&b"lo"[..], END_STREAM));
    assert!(subject.receipt().complete);
    // The server's own: it announces what it takes, and gives it back as a handler takes the body.
    let mut fresh = Wire::silent(subject.address());
    fresh.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    fresh.settings(&[]);
    let announced = fresh.read_until(SETTINGS).payload;
    let window: Vec<_> = announced
        .chunks(6)
        .filter(|setting| setting[1] == 4)
        .map(|setting| &setting[2..])
        .collect();
    assert_eq!(window, [&65_536_u32.to_be_bytes()[..]]);
}
