//! Requests with bodies.

use std::thread;

use crate::harness::{settings, subject, subject_with};

const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";

#[test]
fn continue_is_sent_when_the_body_is_asked_for() {
    let subject = subject();
    let mut wire = subject.connect();
    for head in ["content-length: 5\r\n", "transfer-encoding: chunked\r\n"] {
        wire.send(format!(
            "POST /echo HTTP/1.1\r\nhost: a\r\nexpect: 100-Continue\r\n{head}\r\n"
        ));
        wire.expect(CONTINUE);
        wire.send(if head.starts_with('c') {
            "hello"
        } else {
            "5\r\nhello\r\n0\r\n\r\n"
        });
        wire.expect("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
    }
}

#[test]
fn continue_is_not_sent_without_need() {
    let hello = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
    let hello_old = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";
    let no = "HTTP/1.1 413 Payload Too Large\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno";
    for (request, expected) in [
        (
            "POST /echo HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\nhello",
            hello,
        ), // it is there
        (
            "POST /unread HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n",
            no,
        ), // nobody asked
        ("POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\n\r\n", hello), // there is none
        (
            "POST /echo HTTP/1.1\r\nhost: a\r\nexpect: something\r\ncontent-length: 5\r\n\r\nhello",
            hello,
        ),
        (
            "POST /echo HTTP/1.0\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\nhello",
            hello_old,
        ),
    ] {
        assert_eq!(subject().talk_half_closed(request), expected, "{request}");
    }
}

#[test]
fn a_body_that_nobody_wanted_is_skipped_or_ends_the_connection() {
    let kept = "HTTP/1.1 413 Payload Too Large\r\ncontent-length: 2\r\n\r\nno";
    let last = "HTTP/1.1 413 Payload Too Large\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno";
    let next = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
    for (bytes, is_announced, expected) in [
        (10, true, format!("{kept}{next}")),
        (64 * 1024, true, format!("{kept}{next}")),
        (64 * 1024 + 1, true, last.to_owned()),
        (4 << 20, true, last.to_owned()),
        (10, false, format!("{kept}{next}")),
        (60 * 1024, false, format!("{kept}{next}")),
        (4 << 20, false, kept.to_owned()),
    ] {
        let subject = subject();
        let body = "x".repeat(bytes);
        let request = if is_announced {
            format!("POST /unread HTTP/1.1\r\nhost: a\r\ncontent-length: {bytes}\r\n\r\n{body}")
        } else {
            format!(
                "POST /unread HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{bytes:x}\r\n{body}\r\n0\r\n\r\n"
            )
        };
        // Written in whole before anything is read: closing early would reset the connection and lose the answer.
        let answer = subject.talk_half_closed(format!("{request}GET / HTTP/1.1\r\nhost: a\r\n\r\n"));
        assert_eq!(answer, expected, "{bytes} bytes, announced {is_announced}");
    }
}

#[test]
fn a_body_may_be_as_large_as_the_listener_says() {
    let mut settings = settings();
    settings.body_bytes_max = 100_000;
    for (bytes, is_accepted) in [
        (0, true),
        (5, true),
        (99_999, true),
        (100_000, true),
        (100_001, false),
        (200_000, false),
    ] {
        let body = "x".repeat(bytes);
        for chunked in [false, true] {
            let request = match (chunked, bytes) {
                (false, _) => format!("content-length: {bytes}\r\n\r\n{body}"),
                (true, 0) => "transfer-encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
                (true, _) => format!("transfer-encoding: chunked\r\n\r\n{bytes:x}\r\n{body}\r\n0\r\n\r\n"),
            };
            let subject = subject_with(settings.clone());
            let answer = subject.talk(format!(
                "POST /echo HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{request}"
            ));
            if is_accepted {
                assert!(
                    answer.starts_with("HTTP/1.1 200 ") && answer.ends_with(&format!("\r\n\r\n{body}")),
                    "{bytes}"
                );
            } else {
                let announced = if chunked { None } else { Some(bytes) };
                let expected = format!("the body is larger than 100000 bytes, announced {announced:?}");
                assert!(answer.ends_with(&expected), "{bytes}: {answer}");
            }
        }
    }
}

#[test]
fn ten_mebibytes_and_one_byte_are_too_many() {
    for (bytes, status) in [(10 << 20, 200), ((10 << 20) + 1, 400)] {
        let request = format!("POST /echo HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {bytes}\r\n\r\n");
        let subject = subject();
        let mut wire = subject.connect();
        let mut writer = wire.split();
        let sending = thread::spawn(move || {
            writer.send(request);
            writer.send("x".repeat(bytes));
        });
        let answer = wire.rest();
        sending.join().unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{bytes}: {}",
            &answer[..100]
        );
    }
}

#[test]
fn streams_both_ways_at_once() {
    let bytes = 9 << 20;
    for framing in ["content-length", "transfer-encoding"] {
        let subject = subject();
        let mut wire = subject.connect();
        let mut writer = wire.split();
        let head = match framing {
            "content-length" => format!("content-length: {bytes}"),
            _ => "transfer-encoding: chunked".to_owned(),
        };
        let sending = thread::spawn(move || {
            writer.send(format!(
                "POST /stream HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{head}\r\n\r\n"
            ));
            let piece = "0123456789abcdef".repeat(4096);
            for _ in 0..bytes / piece.len() {
                if !head.starts_with('c') {
                    writer.send(format!("{:x}\r\n", piece.len()));
                }
                writer.send(&piece);
                if !head.starts_with('c') {
                    writer.send("\r\n");
                }
            }
            if !head.starts_with('c') {
                writer.send("0\r\n\r\n");
            }
        });
        let answer = wire.rest();
        sending.join().unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let body = match head.contains("chunked") {
            true => dechunked(body),
            false => body.to_owned(),
        };
        assert_eq!(body.len(), bytes, "{framing}");
        assert!(body == "0123456789abcdef".repeat(bytes / 16), "{framing}");
        assert!(subject.receipt().complete);
    }
}

#[test]
fn a_client_that_leaves_in_its_body_is_noticed() {
    let subject = subject();
    for head in ["content-length: 10", "transfer-encoding: chunked"] {
        let request = format!("POST /echo HTTP/1.1\r\nhost: a\r\n{head}\r\n\r\n5\r\nhe");
        let answer = subject.talk_half_closed(request);
        assert!(answer.contains("the client went away"), "{answer}");
    }
}

fn dechunked(mut text: &str) -> String {
    let mut result = String::new();
    loop {
        let (size, rest) = text.split_once("\r\n").unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        result.push_str(&rest[..size]);
        text = rest[size..].strip_prefix("\r\n").unwrap();
        if size == 0 {
            assert_eq!(text, "");
            return result;
        }
    }
}
