//! Origins that are down, hang, reset, lie about their length or take their time.

use std::{thread, time::Duration};

use portcullis_testkit::{Origin, ReservedPort, Step, Wire, WireEnd, curl, try_curl};

use crate::support::{Running, Setup, ok};

/// curl's exit status for an answer that ended too soon.
const CUT_SHORT: i32 = 18;

/// The caller reads this, and the log says why.
#[track_caller]
fn check(running: &Running, status: u16, message: &str, reason: &str) {
    let answer = running.call("/a", &[]);
    let body = format!("{{\"message\":\"{message}\"}}");
    assert_eq!((answer.status, answer.text()), (status, &*body));
    assert_eq!(answer.header("x-amzn-errortype"), Some("InternalServerErrorException"));
    let line = running.gateway.wait_for_access_log(1).remove(0);
    assert_eq!(
        line,
        format!("{} {status} {reason}", answer.header("x-amzn-requestid").unwrap())
    );
    let samples = running.metrics();
    assert_eq!(samples.route("portcullis_5xx_errors_total"), 1.0);
    assert_eq!(samples.route("portcullis_integration_latency_seconds_count"), 1.0);
}

fn logging(setup: Setup) -> Setup {
    setup.access_log(
        "stdout",
        "$context.requestId $context.status $context.integration.error",
    )
}

/// An origin whose first connection does this, and which is well afterwards.
fn once(steps: Vec<Step>) -> Origin {
    let first = [vec![Step::ReadRequest], steps, vec![Step::Close]].concat();
    Origin::scripted(vec![first, vec![Step::ReadRequest, Step::Send(ok("hello"))]])
}

#[test]
fn an_origin_that_gives_no_answer_is_504_and_502_and_the_next_call_is_well() {
    let unreachable = (
        504,
        "Network error communicating with endpoint",
        "the origin cannot be reached",
    );
    let timed_out = (504, "Endpoint request timed out", "the origin did not answer in time");
    let malformed = (
        502,
        "Internal server error",
        "the origin's answer is not well-formed HTTP",
    );
    let send = |text: &str| vec![Step::Send(text.as_bytes().to_vec())];
    for (steps, (status, message, reason)) in [
        (vec![], unreachable),
        (vec![Step::Reset], unreachable),
        (vec![Step::Hang], timed_out),
        (vec![Step::Trickle(ok("slow"), Duration::from_secs(5))], timed_out),
        (send("220 smtp.example ESMTP\r\n\r\n"), malformed),
        (
            send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
            malformed,
        ),
        (
            send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello"),
            malformed,
        ),
        (send("HTTP/1.1 200 OK\r\nX-A: 1"), unreachable),
        (
            send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
            malformed,
        ),
    ] {
        let origin = once(steps);
        let running = logging(Setup::open(origin.address()))
            .in_document("timeoutInMillis: 29000", "timeoutInMillis: 1000")
            .start();
        check(&running, status, message, reason);
        assert_eq!(running.call("/a", &[]).text(), "hello");
        running.stop();
    }
}

#[test]
fn an_origin_that_is_down_is_504_until_it_is_up() {
    let port = ReservedPort::new();
    let running = logging(Setup::open(port.address())).start();
    check(
        &running,
        504,
        "Network error communicating with endpoint",
        "the origin cannot be reached",
    );
    let listener = std::net::TcpListener::bind(port.address()).unwrap();
    let served = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        portcullis_testkit::read_request(&mut stream, &mut Vec::new(), 0).unwrap();
        std::io::Write::write_all(&mut stream, &ok("up")).unwrap();
    });
    assert_eq!(running.call("/a", &[]).text(), "up");
    served.join().unwrap();
    running.stop();
}

/// What an origin sends before it closes, and whether that was all of it.
#[track_caller]
fn check_body(response: &str, end: Step, expected: Result<&str, i32>) {
    let origin = Origin::scripted(vec![vec![Step::ReadRequest, Step::Send(response.into()), end]]);
    let running = Setup::open(origin.address()).start();
    let answer = try_curl(&[&running.gateway.url("/a")]);
    let found = answer
        .as_ref()
        .map(|answer| answer.text())
        .map_err(|failure| failure.code);
    assert_eq!(found, expected, "{response:?}");
    running.stop();
}

#[test]
fn a_body_that_breaks_off_never_looks_whole() {
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    check_body(
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        Step::Close,
        Ok("hello"),
    );
    check_body(
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
        Step::Close,
        Err(CUT_SHORT),
    );
    check_body(
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
        Step::Reset,
        Err(CUT_SHORT),
    );
    check_body(&format!("{CHUNKED}5\r\nhello\r\n0\r\n\r\n"), Step::Close, Ok("hello"));
    check_body(&format!("{CHUNKED}5\r\nhello\r\n"), Step::Close, Err(CUT_SHORT));
    check_body(&format!("{CHUNKED}5\r\nhello\r\nxx\r\n"), Step::Close, Err(CUT_SHORT));
    // Without a length the end of the connection is the end of the body, unless it is a reset.
    check_body("HTTP/1.1 200 OK\r\n\r\nhello", Step::Close, Ok("hello"));
    check_body("HTTP/1.0 200 OK\r\n\r\nhello", Step::Reset, Err(CUT_SHORT));
}

#[test]
fn more_than_was_announced_is_nobodys_answer() {
    let smuggled = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    let origin = Origin::answering(smuggled);
    let running = Setup::open(origin.address()).root("workers = 1").start();
    for count in 1..=3 {
        assert_eq!(running.call("/a", &[]).text(), "hello");
        assert_eq!(origin.connection_count(), count, "such a connection is not used again");
    }
    running.stop();
}

#[test]
fn an_http_1_0_client_sees_the_break_as_well() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    let check = |rest: &str, expected: WireEnd| {
        let origin = Origin::scripted(vec![vec![
            Step::ReadRequest,
            Step::Send(format!("{chunked}{rest}").into()),
            Step::Close,
        ]]);
        let running = Setup::open(origin.address()).start();
        let mut wire = Wire::connect(running.gateway.address());
        wire.send("GET /a HTTP/1.0\r\nHost: x\r\n\r\n");
        assert_eq!(wire.read_to_end().1, expected);
        running.stop();
    };
    check("0\r\n\r\n", WireEnd::Closed);
    check("", WireEnd::Reset); // it knows no chunks: only a reset can tell it
}

#[test]
fn a_slow_origin_is_waited_for_and_holds_up_nobody_else() {
    let origin = Origin::slow(ok("late"), Duration::from_millis(2));
    let running = Setup::open(origin.address()).start();
    assert_eq!(running.call("/a", &[]).text(), "late");
    running.stop();

    let origin = Origin::scripted(vec![
        vec![Step::ReadRequest, Step::AwaitRelease, Step::Send(ok("late"))],
        vec![Step::ReadRequest, Step::Send(ok("quick"))],
    ]);
    let running = Setup::open(origin.address()).root("workers = 1").start();
    let url = running.gateway.url("/slow");
    let slow = thread::spawn(move || curl(&[&url]).text().to_owned());
    origin.wait_for_requests(1);
    for _ in 0..20 {
        assert_eq!(running.call("/quick", &[]).text(), "quick");
    }
    assert!(!slow.is_finished());
    origin.release();
    assert_eq!(slow.join().unwrap(), "late");
    running.stop();
}
