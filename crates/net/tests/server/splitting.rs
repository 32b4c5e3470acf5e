//! However a stream of requests is cut into writes, the answers are the same.

use std::fmt::Write;

use proptest::prelude::*;

use crate::harness::{Subject, soak, subject};

/// A request that is answered the same each time.
fn request() -> impl Strategy<Value = String> {
    let path = prop_oneof![
        Just("/"),
        Just("/pieces"),
        Just("/known"),
        Just("/304"),
        Just("/confused")
    ];
    let bodiless = (path, prop_oneof![Just("GET"), Just("HEAD")])
        .prop_map(|(path, method)| format!("{method} {path} HTTP/1.1\r\nhost: a\r\n\r\n"));
    let path = || prop_oneof![Just("/echo"), Just("/unread"), Just("/")];
    let sized = (path(), "[a-z]{0,200}").prop_map(|(path, body)| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    });
    let chunked = (path(), proptest::collection::vec("[a-z]{1,40}", 0..5)).prop_map(|(path, pieces)| {
        let mut text = format!("POST {path} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
        for piece in pieces {
            write!(text, "{:x};x=y\r\n{piece}\r\n", piece.len()).unwrap();
        }
        text + "0\r\nx: y\r\n\r\n"
    });
    prop_oneof![bodiless, sized, chunked]
}

fn talk_in_pieces(subject: &Subject, bytes: &str, cuts: &[prop::sample::Index]) -> String {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
    ends.push(bytes.len());
    ends.sort_unstable();
    let mut wire = subject.connect();
    let mut start = 0;
    for end in ends {
        wire.send(&bytes[start..end]);
        start = end;
        std::thread::yield_now();
    }
    wire.end();
    wire.rest()
}

#[test]
fn byte_by_byte_is_the_same() {
    let subject = subject();
    let bytes = "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3;x\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\nx: y\r\n\r\n\
                 GET /pieces HTTP/1.1\r\nhost: a\r\n\r\nPOST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc";
    let whole = subject.talk_half_closed(bytes);
    let mut wire = subject.connect();
    for byte in bytes.bytes() {
        wire.send([byte]);
    }
    wire.end();
    assert_eq!(wire.rest(), whole);
    assert_eq!(whole.matches("HTTP/1.1 200 OK").count(), 3);
}

#[test]
fn random_cuts_are_the_same() {
    let subject = subject();
    let config = ProptestConfig {
        cases: 128 * soak(),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let streams = (
        proptest::collection::vec(request(), 1..8),
        proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
    );
    proptest!(config, |((requests, cuts) in streams)| {
        let bytes = requests.concat();
        let whole = subject.talk_half_closed(&bytes);
        prop_assert_eq!(whole.matches("HTTP/1.1 ").count(), requests.len());
        prop_assert_eq!(talk_in_pieces(&subject, &bytes, &cuts), whole);
    });
}
