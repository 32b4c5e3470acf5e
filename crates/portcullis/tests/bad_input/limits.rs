//! Limits on callers: throttles, connections, and who calls through a load balancer.

use std::{net::SocketAddr, sync::Barrier, thread};

use portcullis_testkit::{Answer, Origin, Wire, try_curl};

use crate::support::{Running, Setup, poll};

const REQUEST: &str = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
const CALLERS: usize = 24;
const CALLS_EACH: usize = 4;

/// Of requests that come at the same time exactly a burst pass, and the others are told when to come back.
#[track_caller]
fn check_throttle(rate_per_s: f64, burst: u32, retry_after_s: Option<u64>) {
    let origin = Origin::ok("hello");
    let running = Setup::open(origin.address())
        .root("workers = 2")
        .throttle(rate_per_s, burst)
        .start();
    let answers = at_once(running.gateway.address());
    let (passed, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    let expected = (burst as usize).min(CALLERS * CALLS_EACH);
    assert_eq!((passed.len(), origin.requests().len()), (expected, expected));
    assert_eq!(passed.len() + refused.len(), CALLERS * CALLS_EACH);
    for answer in refused {
        assert_eq!(
            (answer.status, answer.text()),
            (429, "{\"message\":\"Too Many Requests\"}")
        );
        assert_eq!(answer.header("x-amzn-errortype"), Some("TooManyRequestsException"));
        let told = answer
            .header("retry-after")
            .map(|seconds| seconds.parse::<u64>().unwrap());
        // Less what has passed since the burst began: seconds at most, even on a machine that stalls.
        let is_right = match (told, retry_after_s) {
            (Some(told), Some(expected)) => told <= expected && told + 60 > expected,
            (told, expected) => told == expected,
        };
        assert!(is_right, "{told:?} for {retry_after_s:?}");
    }
    running.wait_for_route_metric("portcullis_count_total", (CALLERS * CALLS_EACH) as f64);
    let refused = (CALLERS * CALLS_EACH - expected) as f64;
    running.wait_for_route_metric("portcullis_4xx_errors_total", refused);
    running.stop();
}

/// All answers to several requests on each of several connections, begun at the same time.
fn at_once(address: SocketAddr) -> Vec<Answer> {
    let barrier = Barrier::new(CALLERS);
    let call = || {
        let mut wire = Wire::connect(address);
        barrier.wait();
        let answers = (0..CALLS_EACH).map(|_| wire.send(REQUEST).read_answer());
        answers.collect::<Vec<_>>()
    };
    thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS).map(|_| scope.spawn(call)).collect();
        callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
    })
}

#[test]
fn a_throttle_is_exact_over_all_workers() {
    check_throttle(0.001, 17, Some(1_000)); // a token in 1000 s: none comes back meanwhile
    check_throttle(0.0, 5, None); // none ever does
    check_throttle(0.0, 0, None);
    check_throttle(10_000.0, 5_000, None);
}

/// A connection that the gateway serves.
#[track_caller]
fn served(running: &Running) -> Wire {
    let mut wire = Wire::connect(running.gateway.address());
    assert_eq!(wire.send(REQUEST).read_answer().status, 200);
    wire
}

/// The next connection is closed without a word, and counted under this name; when one ends there is a place again.
#[track_caller]
fn check_connections(listener: &str, refused: &str) {
    let origin = Origin::ok("hello");
    let running = Setup::open(origin.address())
        .root("workers = 2")
        .listener(listener)
        .start();
    let mut open: Vec<_> = (0..3).map(|_| served(&running)).collect();
    let mut one_more = Wire::connect(running.gateway.address());
    assert_eq!(one_more.read_to_end().0, b"", "closed without a word");
    running.wait_for_metric(refused, 1.0);
    running.wait_for_metric("portcullis_connections_open", 3.0);
    for wire in &mut open {
        assert_eq!(
            wire.send(REQUEST).read_answer().status,
            200,
            "those that were there stay"
        );
    }
    drop(open.pop());
    let again = poll(
        || try_curl(&[&running.gateway.url("/a")]).map(|answer| answer.status).ok(),
        Option::is_some,
    );
    assert_eq!(again, Some(200));
    drop(open);
    running.stop();
}

#[test]
fn connections_are_limited_per_source_and_in_all() {
    check_connections(
        "connections_per_source_max = 3",
        "portcullis_connections_refused_source_total",
    );
    check_connections("connections_max = 3", "portcullis_connections_refused_full_total");
}

/// A header of the PROXY protocol, version 2, for a TCP connection over IPv4.
fn proxy_header(source: [u8; 4]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    header.extend(source);
    header.extend([192, 0, 2, 1, 0x12, 0x34, 0, 80]); // destination; the ports
    header
}

#[test]
fn a_load_balancer_tells_who_calls() {
    let origin = Origin::ok("hello");
    let serve = |from: &str| {
        Setup::open(origin.address())
            .listener(&format!("proxy_protocol = {{ from = [{from:?}] }}"))
            .start()
    };
    let running = serve("127.0.0.0/8");
    let mut wire = Wire::connect(running.gateway.address());
    wire.send([&proxy_header([203, 0, 113, 9])[..], REQUEST.as_bytes()].concat());
    assert_eq!(wire.read_answer().status, 200);
    assert_eq!(origin.requests()[0].header("x-forwarded-for"), Some("203.0.113.9"));
    drop(wire);
    assert!(running.gateway.wait_for_access_log(1)[0].starts_with("203.0.113.9 "));

    // Nobody is served who does not say for whom, not even with version 1.
    for begin in [
        REQUEST,
        "PROXY TCP4 203.0.113.9 192.0.2.1 4660 80\r\n",
        "\r\n\r\n\0\r\nQUIT\n\x31",
    ] {
        let mut wire = Wire::connect(running.gateway.address());
        let _ = wire.try_send(begin); // it may be closed before all is sent
        assert_eq!(wire.read_to_end().0, b"", "{begin:?}");
    }
    running.wait_for_metric("portcullis_connections_refused_proxy_header_total", 3.0);
    assert_eq!(origin.requests().len(), 1);
    running.stop();

    // Nor anyone who only claims to be a load balancer.
    let running = serve("192.0.2.0/24");
    let mut wire = Wire::connect(running.gateway.address());
    let _ = wire.try_send([&proxy_header([203, 0, 113, 9])[..], REQUEST.as_bytes()].concat());
    assert_eq!(wire.read_to_end().0, b"");
    assert_eq!(origin.requests().len(), 1);
    running.stop();
}

#[test]
fn only_trusted_proxies_are_believed() {
    let origin = Origin::ok("hello");
    let source = |trusted: &str, forwarded: &str| {
        let setup = Setup::open(origin.address()).access_log("stdout", "$context.identity.sourceIp $context.requestId");
        let running = setup.listener(&format!("trusted_proxies = [{trusted}]")).start();
        running.call("/a", &["-H", &format!("X-Forwarded-For: {forwarded}")]);
        let line = running.gateway.wait_for_access_log(1).remove(0);
        running.stop();
        line.split(' ').next().unwrap().to_owned()
    };
    assert_eq!(source("", "203.0.113.9"), "127.0.0.1");
    assert_eq!(source("\"127.0.0.1/32\"", "203.0.113.9"), "203.0.113.9");
    assert_eq!(
        source("\"127.0.0.1/32\"", "198.51.100.1, 203.0.113.9"),
        "203.0.113.9",
        "from the right"
    );
    assert_eq!(source("\"127.0.0.1/32\"", "nonsense"), "127.0.0.1");
}
