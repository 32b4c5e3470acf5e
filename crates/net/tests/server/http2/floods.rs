//! Clients that cost more than requests do. Each flood ends its own connection and nobody else's, and honest clients that do a
//! little of the same are unhurt.

use std::time::{Duration, Instant};

use super::subject;
use super::wire::{
    CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, End, HEADERS, PING, PRIORITY,
    PROTOCOL_ERROR, RST_STREAM, SETTINGS, WINDOW_UPDATE, Wire, fields, frame, get, post,
};
use crate::harness::Subject;

/// Sends `bytes` until the server has had enough of it, while another client is served as ever.
fn ends(bytes: impl Fn(u32) -> Vec<u8>, times: u32, codes: &[u32]) -> Subject {
    let subject = subject();
    let mut honest = Wire::open(subject.address(), &[]);
    let mut wire = Wire::open(subject.address(), &[]);
    let begun = Instant::now();
    for time in 0..times {
        if wire.try_send(bytes(time)).is_err() {
            break;
        }
    }
    let end = wire.end();
    let is_expected = match end {
        End::Away(code) => codes.contains(&code),
        End::Closed => true, // what we still sent has reset the connection before its farewell could be read
    };
    assert!(is_expected, "{end:?}");
    assert!(begun.elapsed() < Duration::from_secs(10));
    honest.request(1, &get("/"));
    assert_eq!(honest.answer(1).unwrap(), b"hello");
    subject
}

/// Sends `bytes` so often, which must be endured, and then gets an answer on stream 999.
fn endured(bytes: impl Fn(u32) -> Vec<u8>, times: u32) {
    let subject = subject();
    let mut wire = Wire::open(subject.address(), &[]);
    for time in 0..times {
        wire.send(bytes(time));
    }
    wire.request(999, &get("/"));
    assert_eq!(wire.answer(999).unwrap(), b"hello");
    assert_eq!(subject.server.stats().floods(), 0);
}

fn reset(time: u32) -> Vec<u8> {
    let stream = 2 * time + 1;
    let mut bytes = frame(HEADERS, END_HEADERS | END_STREAM, stream, &get("/"));
    bytes.extend(frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes()));
    bytes
}

#[test]
fn rapid_reset() {
    // CVE-2023-44487. What is not begun when its reset comes is never begun.
    let subject = ends(reset, 100_000, &[ENHANCE_YOUR_CALM]);
    assert_eq!(subject.server.stats().floods(), 1);
    assert!(
        subject.calls().len() < 2_000,
        "{} requests were begun",
        subject.calls().len()
    );
    endured(reset, 15);
}

#[test]
fn resets_of_streams_that_were_begun() {
    // The same, slower, with a body that never comes: each is begun before it is reset.
    let begun = |time: u32| {
        let stream = 2 * time + 1;
        let mut bytes = frame(HEADERS, END_HEADERS, stream, &post("/echo"));
        bytes.extend(frame(PING, 0, 0, b"12345678"));
        bytes.extend(frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes()));
        bytes
    };
    ends(begun, 100_000, &[ENHANCE_YOUR_CALM]);
}

#[test]
fn continuations() {
    // CVE-2024-27316 and its kin: a head without an end.
    let flood = |time: u32| match time {
        0 => frame(HEADERS, 0, 1, &get("/")),
        _ => frame(CONTINUATION, 0, 1, &fields(&[("x", "y")])),
    };
    ends(flood, 100_000, &[ENHANCE_YOUR_CALM, PROTOCOL_ERROR]);
    let empty = |time: u32| match time {
        0 => frame(HEADERS, 0, 1, &get("/")),
        _ => frame(CONTINUATION, 0, 1, &[]),
    };
    ends(empty, 100_000, &[ENHANCE_YOUR_CALM, PROTOCOL_ERROR]);
}

#[test]
fn settings() {
    let subject = ends(|_| frame(SETTINGS, 0, 0, &[]), 100_000, &[ENHANCE_YOUR_CALM]);
    assert_eq!(subject.server.stats().floods(), 1);
    let window = |time: u32| {
        frame(
            SETTINGS,
            0,
            0,
            &[&[0, 4][..], &(1_000 + time).to_be_bytes()].concat().repeat(500),
        )
    };
    ends(window, 100_000, &[ENHANCE_YOUR_CALM]);
    endured(|_| frame(SETTINGS, 0, 0, &[]), 20);
}

#[test]
fn pings() {
    let subject = ends(|_| frame(PING, 0, 0, b"12345678"), 100_000, &[ENHANCE_YOUR_CALM]);
    assert_eq!(subject.server.stats().floods(), 1);
    endured(|_| frame(PING, 0, 0, b"12345678"), 50);
}

#[test]
fn pieces_of_nothing() {
    let empty = |time: u32| match time {
        0 => frame(HEADERS, END_HEADERS, 1, &post("/echo")),
        _ => frame(DATA, 0, 1, &[]),
    };
    ends(empty, 100_000, &[ENHANCE_YOUR_CALM]);
    let padded = |time: u32| match time {
        0 => frame(HEADERS, END_HEADERS, 1, &post("/echo")),
        _ => frame(DATA, 0x8, 1, &[3, 0, 0, 0]), // nothing but padding
    };
    ends(padded, 1_000_000, &[ENHANCE_YOUR_CALM]);
    endured(
        |time| match time {
            0 => frame(HEADERS, END_HEADERS, 1, &post("/echo")),
            _ => frame(DATA, 0, 1, b"a small piece"),
        },
        200,
    );
}

#[test]
fn priorities_and_windows_without_use() {
    let nonsense = |time: u32| {
        frame(
            PRIORITY,
            0,
            2 * time + 1,
            &[&(2 * time + 3).to_be_bytes()[..], &[255]].concat(),
        )
    };
    ends(nonsense, 100_000, &[ENHANCE_YOUR_CALM]);
    endured(nonsense, 100);
    let windows = |_| frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes());
    ends(windows, 100_000, &[ENHANCE_YOUR_CALM]);
    endured(windows, 500);
    let itself = |_| frame(PRIORITY, 0, 1, &[&1_u32.to_be_bytes()[..], &[255]].concat());
    ends(itself, 100_000, &[ENHANCE_YOUR_CALM, PROTOCOL_ERROR]);
}

#[test]
fn frames_of_unknown_types() {
    ends(|_| frame(0xee, 0, 0, b"x"), 100_000, &[ENHANCE_YOUR_CALM]);
    endured(|_| frame(0xee, 0, 0, b"x"), 100);
}

#[test]
fn header_bombs() {
    // One large field in the table of HPACK, and then a byte for each repetition of it.
    let mut name_and_value = vec![0x40, 1, b'x', 127];
    let length = 3_900 - 127;
    name_and_value.extend([(length % 128) as u8 | 128, (length / 128) as u8]);
    name_and_value.extend("y".repeat(3_900).bytes());
    let bomb = |time: u32| {
        let more = vec![0x80 | 62; 8_000]; // the newest entry of the table (RFC 7541 section 2.3.3)
        let head = [get("/"), name_and_value.clone(), more].concat();
        frame(HEADERS, END_HEADERS | END_STREAM, 2 * time + 1, &head)
    };
    let subject = ends(bomb, 1_000, &[ENHANCE_YOUR_CALM, PROTOCOL_ERROR]);
    assert!(
        subject.calls().is_empty() || subject.calls() == ["GET /"],
        "only the honest one: {:?}",
        subject.calls()
    );
}

#[test]
fn malformed_requests_without_end() {
    let malformed = |time: u32| {
        let head = [get("/"), fields(&[("connection", "close")])].concat();
        frame(HEADERS, END_HEADERS | END_STREAM, 2 * time + 1, &head)
    };
    ends(malformed, 100_000, &[ENHANCE_YOUR_CALM]);
    endured(malformed, 100);
}

#[test]
fn an_honest_client_may_read_and_send_much() {
    let subject = subject();
    let mut wire = Wire::open(subject.address(), &[]);
    for stream in (1..=41).step_by(2) {
        wire.request(stream, &get("/large"));
        let mut read = 0;
        while read < 1 << 20 {
            let data = wire.read_until(DATA);
            read += data.payload.len();
            let length = u32::try_from(data.payload.len()).unwrap();
            if length > 0 {
                // As often as a client can: for each frame, twice.
                wire.send(frame(WINDOW_UPDATE, 0, 0, &length.to_be_bytes()));
                let _ = wire.try_send(frame(WINDOW_UPDATE, 0, stream, &length.to_be_bytes()));
            }
        }
    }
    assert_eq!(subject.server.stats().floods(), 0);
}
