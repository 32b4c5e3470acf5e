//! Requests without bodies and the framing of their answers.

use std::fmt::Write;

use portcullis_net::server::Sent;

use crate::harness::{subject, undated};

const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
const HELLO_LAST: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";

fn check(request: &str, expected: &str) {
    let subject = subject();
    assert_eq!(subject.talk_half_closed(request), expected, "{request}");
}

#[test]
fn frames_each_kind_of_answer() {
    let close = "host: a\r\nconnection: close\r\n\r\n";
    for (request, expected) in [
        (format!("GET / HTTP/1.1\r\n{close}"), HELLO_LAST.to_owned()),
        (format!("GET /empty HTTP/1.1\r\n{close}"), "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned()),
        (format!("HEAD / HTTP/1.1\r\n{close}"), "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_owned()),
        (
            format!("HEAD /confused HTTP/1.1\r\n{close}"), // the length that GET would have had stands
            "HTTP/1.1 200 OK\r\ncontent-length: 99\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\nx-kept: yes\r\nconnection: close\r\n\r\n".to_owned(),
        ),
        (
            format!("GET /confused HTTP/1.1\r\n{close}"),
            "HTTP/1.1 200 OK\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\nx-kept: yes\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello".to_owned(),
        ),
        (format!("GET /204 HTTP/1.1\r\n{close}"), "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n".to_owned()),
        (
            format!("GET /304 HTTP/1.1\r\n{close}"),
            "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\netag: \"1\"\r\nconnection: close\r\n\r\n".to_owned(),
        ),
        (
            format!("GET /pieces HTTP/1.1\r\n{close}"),
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n3\r\none\r\n3\r\ntwo\r\n5\r\nthree\r\n0\r\n\r\n".to_owned(),
        ),
        (format!("HEAD /pieces HTTP/1.1\r\n{close}"), "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_owned()),
        (
            format!("GET /known HTTP/1.1\r\n{close}"),
            "HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\nonetwo".to_owned(),
        ),
    ] {
        check(&request, &undated(&expected));
    }
}

#[test]
fn keeps_the_connection_when_both_sides_want_it() {
    let old_kept = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: keep-alive\r\n\r\nhello";
    let bye = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\nbye";
    let old_pieces = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nonetwothree";
    for (first, expected) in [
        ("GET / HTTP/1.1\r\nhost: a\r\n\r\n", format!("{HELLO}{HELLO}")),
        (
            "GET / HTTP/1.1\r\nhost: a\r\nconnection: Keep-Alive, x\r\n\r\n",
            format!("{HELLO}{HELLO}"),
        ),
        (
            "GET / HTTP/1.1\r\nhost: a\r\nconnection: x, Close\r\n\r\n",
            HELLO_LAST.to_owned(),
        ),
        ("GET /close HTTP/1.1\r\nhost: a\r\n\r\n", bye.to_owned()),
        ("GET / HTTP/1.0\r\n\r\n", HELLO_LAST.to_owned()),
        (
            "GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n",
            format!("{old_kept}{HELLO}"),
        ),
        (
            "GET /pieces HTTP/1.0\r\nconnection: keep-alive\r\n\r\n",
            old_pieces.to_owned(),
        ), // no chunks: ends with the connection
        ("\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n", format!("{HELLO}{HELLO}")),
    ] {
        check(&format!("{first}GET /next HTTP/1.1\r\nhost: a\r\n\r\n"), &expected);
    }
}

#[test]
fn answers_pipelined_requests_in_order() {
    let subject = subject();
    let mut requests = String::new();
    let mut expected = String::new();
    for number in 0..100 {
        let body = format!("number {number}");
        let length = body.len();
        if number % 2 == 0 {
            write!(
                requests,
                "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n{body}"
            )
            .unwrap();
        } else {
            write!(
                requests,
                "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"
            )
            .unwrap();
        }
        write!(expected, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}").unwrap();
    }
    assert_eq!(subject.talk_half_closed(requests), expected);
    assert_eq!(subject.calls().len(), 100);
    for _ in 0..100 {
        assert!(subject.receipt().complete);
    }
    assert!(subject.receipts.try_recv().is_err(), "one receipt per answer");
}

#[test]
fn a_broken_answer_is_seen_to_be_broken() {
    for (request, expected, body_bytes) in [
        (
            "GET /breaks HTTP/1.1\r\nhost: a\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n",
            0,
        ),
        ("GET /breaks HTTP/1.0\r\n\r\n", " RESET", 0), // without a length only a reset tells
        (
            "GET /short HTTP/1.1\r\nhost: a\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nonetwo",
            0,
        ),
        (
            "GET /long HTTP/1.1\r\nhost: a\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\none",
            0,
        ),
        ("GET /100 HTTP/1.1\r\nhost: a\r\n\r\n", "", 0),
    ] {
        let subject = subject();
        let answer = subject.talk(request);
        assert!(
            expected == answer || expected.starts_with(&answer),
            "{request}: {answer}"
        );
        assert!(!answer.ends_with("0\r\n\r\n"), "{request}: {answer}");
        assert_eq!(
            subject.receipt(),
            Sent {
                body_bytes,
                complete: false
            },
            "{request}"
        );
        assert_eq!(subject.server.stats().broken(), 1, "{request}");
    }
}

#[test]
fn a_panic_ends_its_connection_and_nothing_else() {
    let subject = subject();
    let mut other = subject.connect();
    other.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    other.expect(HELLO);
    let panicked = subject.talk("GET /panic HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(panicked, "");
    other.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    other.expect(HELLO);
    assert_eq!(subject.talk_half_closed("GET / HTTP/1.1\r\nhost: a\r\n\r\n"), HELLO);
}

#[test]
fn a_receipt_tells_the_body_bytes() {
    let subject = subject();
    for (path, body_bytes) in [
        ("/", 5),
        ("/pieces", 11),
        ("/known", 6),
        ("/large", 1 << 20),
        ("/204", 0),
        ("/empty", 0),
    ] {
        subject.talk(format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"));
        assert_eq!(
            subject.receipt(),
            Sent {
                body_bytes,
                complete: true
            },
            "{path}"
        );
    }
}
