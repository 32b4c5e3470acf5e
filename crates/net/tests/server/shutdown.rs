//! Stopping: what runs is finished, what rests is closed, what does not end is cut.

use std::thread;
use std::time::{Duration, Instant};

use portcullis_net::server::Sent;

use crate::harness::{await_open, subject};

const WAIT: &str = "GET /wait HTTP/1.1\r\nhost: a\r\n\r\n";

#[test]
fn finishes_what_runs_and_closes_what_rests() {
    let subject = subject();
    let mut resting = subject.connect();
    resting.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    resting.expect("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
    assert!(subject.receipt().complete);
    let mut running = subject.connect();
    running.send(WAIT);
    subject.waiting.recv().unwrap();
    let gate = subject.gate.clone();
    let address = subject.address();
    let stats = subject.server.stats();
    let stopping = thread::spawn(move || subject.server.shutdown(Duration::from_secs(30)));
    assert_eq!(resting.rest(), "", "closed at once, while the other still runs");
    await_open(&stats, 1);
    assert!(std::net::TcpStream::connect(address).is_err(), "nobody listens");
    gate.add_permits(1);
    let last = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\nwaited";
    running.end();
    assert_eq!(running.rest(), last);
    stopping.join().unwrap();
    assert_eq!(
        subject.receipts.recv().unwrap(),
        Sent {
            body_bytes: 6,
            complete: true
        }
    );
    assert_eq!(stats.open(), 0);
}

#[test]
fn cuts_what_does_not_end() {
    for is_dropped in [false, true] {
        let subject = subject();
        let stats = subject.server.stats();
        let mut running = subject.connect();
        running.send(WAIT);
        subject.waiting.recv().unwrap();
        let mut reading = subject.connect();
        reading.send("GET /large HTTP/1.1\r\nhost: a\r\n\r\n".repeat(64)); // and reads nothing
        while subject.receipts.recv().is_ok_and(|sent| !sent.complete) {}
        let begun = Instant::now();
        if is_dropped {
            drop(subject.server);
        } else {
            subject.server.shutdown(Duration::from_millis(50));
        }
        assert!(begun.elapsed() < Duration::from_secs(10));
        assert!(matches!(running.rest().as_str(), "" | " RESET"));
        assert_eq!(stats.open(), 0);
        let last = subject.receipts.iter().last().expect("the answer that was cut off");
        assert!(!last.complete, "every answer has its receipt");
    }
}

#[test]
fn who_never_closes_does_not_hold_up_the_end() {
    let subject = subject();
    let mut refused = subject.connect();
    refused.send("nonsense\n");
    subject.receipt(); // the answer is out, and the client could still be sending
    let begun = Instant::now();
    subject.server.shutdown(Duration::from_secs(30));
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert!(refused.rest().starts_with("HTTP/1.1 400 "));
}
