//! Who may connect, and for how long.

use std::process::Command;
use std::time::Duration;

use portcullis_net::listener::Http2;
use portcullis_net::server::{Sent, Server, ServerSettings};

use crate::harness::{Wire, await_open, settings, subject, subject_with};

const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

/// With `held` connections open, one more is closed at once, and it is not when one of them has left.
fn check(connections_max: usize, per_source_max: usize, held: usize, refused: impl Fn(&Server) -> u64) {
    let mut settings = settings();
    settings.connections_max = connections_max;
    settings.connections_per_source_max = per_source_max;
    let subject = subject_with(settings);
    let mut open: Vec<Wire> = (0..held).map(|_| subject.connect()).collect();
    for wire in &mut open {
        wire.send(GET);
        wire.expect(HELLO);
    }
    assert_eq!(subject.server.stats().open(), held as u64);
    for attempt in 1..=3 {
        let mut one_more = subject.connect();
        let _ = one_more.try_send(GET); // the connection may be gone already
        assert!(matches!(one_more.rest().as_str(), "" | " RESET"));
        assert_eq!(refused(&subject.server), attempt);
    }
    let mut leaving = open.pop().unwrap();
    leaving.send("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    assert!(leaving.rest().ends_with("hello"));
    await_open(&subject.server.stats(), held as u64 - 1);
    let mut one_more = subject.connect();
    one_more.send(GET);
    one_more.expect(HELLO);
}

#[test]
fn limits_all_connections() {
    check(3, 100, 3, |server| server.stats().refused_full());
}

#[test]
fn limits_the_connections_of_a_source() {
    check(100, 2, 2, |server| server.stats().refused_source());
}

#[test]
fn a_client_that_does_not_read_is_given_up() {
    let mut settings = settings();
    settings.write_idle_timeout = Duration::from_millis(50);
    let subject = subject_with(settings);
    let mut wire = subject.connect();
    // More than the socket buffers of both sides hold.
    wire.send("GET /large HTTP/1.1\r\nhost: a\r\n\r\n".repeat(64));
    let mut last = subject.receipt();
    while last.complete {
        last = subject.receipt();
    }
    assert_eq!(
        last,
        Sent {
            body_bytes: 0,
            complete: false
        }
    );
    assert_eq!(subject.server.stats().timeouts(), 1);
    assert!(wire.rest().ends_with(" RESET"));
}

#[test]
fn several_workers_share_a_listener() {
    let subject = subject();
    let busy = Server::start(
        ServerSettings {
            workers: 2,
            listeners: vec![{
                let mut settings = settings();
                settings.address = subject.address();
                settings
            }],
        },
        |_| -> crate::tunnel::Forward { unreachable!("nothing can be bound") },
    );
    assert_eq!(busy.map(|_| ()).unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
}

#[test]
fn one_request_too_many_is_refused_at_once() {
    for is_http2 in [false, true] {
        let mut settings = settings();
        settings.requests_in_flight_max = 1;
        settings.http2 = Http2::PriorKnowledge;
        let subject = subject_with(settings);
        let mut running = subject.connect();
        running.send("GET /wait HTTP/1.1\r\nhost: a\r\n\r\n");
        subject.waiting.recv().unwrap();
        let ask = || {
            let mut curl = Command::new("curl");
            curl.args([
                "-s",
                "--noproxy",
                "*",
                "--max-time",
                "30",
                "-o",
                "/dev/null",
                "-w",
                "%{http_code}",
            ]);
            curl.args(is_http2.then_some("--http2-prior-knowledge"));
            let output = curl
                .args(["-d", "body", &format!("http://{}/echo", subject.address())])
                .output();
            String::from_utf8(output.unwrap().stdout).unwrap()
        };
        assert_eq!(ask(), "503", "HTTP/2: {is_http2}");
        assert_eq!(subject.server.stats().shed(), 1);
        subject.gate.add_permits(1);
        running.expect("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nwaited");
        running.send(GET); // the place is free once the answer is out
        running.expect(HELLO);
        assert_eq!(ask(), "200", "HTTP/2: {is_http2}");
    }
}
