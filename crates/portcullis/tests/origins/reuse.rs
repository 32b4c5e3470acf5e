//! Connections to origins are kept and used again, and a call is sent twice only when that does no harm.

use portcullis_testkit::{Origin, Step, try_curl};

use crate::support::{Setup, ok};

#[test]
fn a_connection_is_used_again() {
    let origin = Origin::answering(ok("hello"));
    let running = Setup::open(origin.address()).root("workers = 1").start();
    for _ in 0..5 {
        assert_eq!(running.call("/a", &[]).text(), "hello");
        assert_eq!(running.call("/a", &["--data", "body"]).text(), "hello");
    }
    let received = origin.requests();
    assert_eq!((received.len(), origin.connection_count()), (10, 1));
    let samples = running.metrics();
    assert_eq!(samples.value("portcullis_upstream_connections_opened_total"), 1.0);
    assert_eq!(samples.value("portcullis_upstream_connections_reused_total"), 9.0);
    running.wait_for_metric("portcullis_upstream_connections_idle", 1.0);
    running.stop();
    origin.wait_until_idle();
}

#[test]
fn what_an_origin_wants_closed_is_not_used_again() {
    let closing = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello";
    let origin = Origin::answering(closing);
    let running = Setup::open(origin.address()).root("workers = 1").start();
    for count in 1..=3 {
        assert_eq!(running.call("/a", &[]).text(), "hello");
        assert_eq!(origin.connection_count(), count);
    }
    running.stop();
}

/// An origin that ends the second call on its first connection without a word.
fn tired() -> Origin {
    let first = vec![
        Step::ReadRequest,
        Step::Send(ok("first")),
        Step::ReadRequest,
        Step::Close,
    ];
    Origin::scripted(vec![first, vec![Step::ReadRequest, Step::Send(ok("again"))]])
}

#[test]
fn only_a_harmless_call_is_sent_again() {
    let check = |arguments: &[&str], expected: (u16, usize)| {
        let origin = tired();
        let running = Setup::open(origin.address()).root("workers = 1").start();
        assert_eq!(running.call("/a", &[]).text(), "first");
        let status = running.call("/a", arguments).status;
        assert_eq!((status, origin.requests().len()), expected, "{arguments:?}");
        assert!(try_curl(&[&running.gateway.url("/a")]).is_ok(), "the next call is well");
        running.stop();
    };
    check(&[], (200, 3));
    check(&["-X", "DELETE"], (200, 3));
    check(&["-X", "POST"], (504, 2)); // it may have been acted upon
    check(&["--data", "pay=1"], (504, 2));
}
