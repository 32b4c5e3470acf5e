//! What may happen to the process: a full disk, signals, power cuts, neighbours.

use std::{fs, net::TcpStream, thread};

use portcullis_testkit::{Origin, Portcullis, Step, Stream, Wire, WireEnd, curl};

use crate::support::{BINARY, Running, SECRET, Setup, ok, poll};

const REQUEST: &str = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";

#[test]
fn a_full_disk_under_the_access_log_stops_nobody() {
    const REQUESTS: u64 = 1_500;
    let origin = Origin::ok("hello");
    let setup = Setup::open(origin.address())
        .root("workers = 1")
        .access_log("file:access.log", "$context.requestId $context.identity.userAgent");
    let log = setup.place.path("access.log");
    std::os::unix::fs::symlink("/dev/full", &log).unwrap();
    let running = setup.start();
    // Lines wait for a while, and these are long enough to fill that room several times over.
    let agent = "x".repeat(8_000);
    let mut wire = Wire::connect(running.gateway.address());
    for _ in 0..REQUESTS {
        wire.send(format!("GET /a HTTP/1.1\r\nHost: x\r\nUser-Agent: {agent}\r\n\r\n"));
        assert_eq!(wire.read_answer().status, 200);
    }
    let total = |name: &str| running.metrics().value(name) as u64;
    let dropped = poll(|| total("portcullis_access_log_dropped_total"), |dropped| *dropped > 0);
    assert!(dropped < REQUESTS, "some still wait");
    poll(|| total("portcullis_access_log_errors_total"), |errors| *errors > 0);
    assert_eq!(total("portcullis_access_log_lines_total"), 0);
    assert_eq!(running.probe("/readyz").status, 200);

    // There is room again: what waited is written, and no line is both or neither.
    fs::remove_file(&log).unwrap();
    running.gateway.child().signal("HUP");
    let told = || {
        let samples = running.metrics();
        ["lines", "dropped"].map(|what| samples.value(&format!("portcullis_access_log_{what}_total")) as u64)
    };
    let [lines, dropped] = poll(told, |[lines, dropped]| lines + dropped == REQUESTS);
    assert!(lines > 0 && dropped > 0, "{lines} and {dropped}");
    assert_eq!(wire.send(REQUEST).read_answer().status, 200);
    drop(wire);
    let place = running.stop_in_place();
    let text = place.read("access.log");
    assert_eq!(text.lines().count() as u64, lines + 1);
    assert!(
        text.lines()
            .rev()
            .skip(1)
            .all(|line| line.len() == 36 + 1 + agent.len()),
        "each is whole"
    );
}

#[test]
fn a_termination_lets_requests_under_way_end() {
    let answer = vec![
        Step::ReadRequest,
        Step::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello".into()),
        Step::AwaitRelease,
        Step::Send(b"world".into()),
    ];
    let origin = Origin::scripted(vec![answer]);
    let running = Setup::open(origin.address()).start();
    let mut under_way = Wire::connect(running.gateway.address());
    let head = under_way.send(REQUEST).read_head();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(under_way.read_exact(5), b"hello");
    assert_eq!(
        (running.probe("/livez").status, running.probe("/readyz").status),
        (200, 200)
    );

    let mut at_rest = Wire::connect(running.gateway.address());
    running.gateway.child().signal("TERM");
    running
        .gateway
        .child()
        .wait_for_line(Stream::Stderr, 0, |line| line.starts_with("ending: "));
    assert_eq!(at_rest.read_to_end().0, b"", "nobody waits for a connection at rest");
    poll(
        || TcpStream::connect(running.gateway.address()).is_err(),
        |is_refused| *is_refused,
    );
    assert_eq!(
        (running.probe("/livez").status, running.probe("/readyz").status),
        (200, 503)
    );

    origin.release();
    assert_eq!(under_way.read_exact(5), b"world");
    assert_eq!(under_way.read_to_end(), (Vec::new(), WireEnd::Closed));
    let ended = running.gateway.wait();
    assert!(ended.status.success(), "{ended:?}");
    assert!(
        ended.stdout.contains(" 200 10 "),
        "the last answer is logged: {ended:?}"
    );
}

#[test]
fn every_answer_is_logged_before_the_end() {
    const CALLERS: usize = 8;
    const CALLS_EACH: usize = 50;
    let origin = Origin::ok("hello");
    let running = Setup::open(origin.address())
        .access_log("file:access.log", "$context.requestId $context.status")
        .start();
    let call = || {
        let mut wire = Wire::connect(running.gateway.address());
        let ids = (0..CALLS_EACH).map(|_| {
            let answer = wire.send(REQUEST).read_answer();
            format!("{} {}", answer.header("x-amzn-requestid").unwrap(), answer.status)
        });
        ids.collect::<Vec<_>>()
    };
    let mut answered: Vec<_> = thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS).map(|_| scope.spawn(call)).collect();
        callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
    });
    let place = running.stop_in_place();
    let text = place.read("access.log");
    let mut logged: Vec<_> = text.lines().map(str::to_owned).collect();
    answered.sort();
    logged.sort();
    assert!(logged == answered, "{} of {} are logged", logged.len(), answered.len());
}

#[test]
fn a_power_cut_leaves_a_directory_that_serves_again() {
    let origin = Origin::ok("hello");
    let running = Setup::open(origin.address())
        .access_log("file:access.log", "json")
        .start();
    assert_eq!(running.call("/a", &[]).status, 200);
    let second = running.place.run(&["serve", "--config", "portcullis.toml"]);
    second
        .expect(
            2,
            "",
            "data_dir: `portcullis-data` belongs to another process that is still running",
        )
        .expect(2, "", "give this one a `data_dir` of its own");
    assert_eq!(running.call("/a", &[]).status, 200, "the first one goes on");

    let Running { gateway, place } = running;
    let ended = gateway.kill();
    assert!(!ended.status.success());
    // What a torn write leaves behind.
    let log = place.path("access.log");
    fs::write(&log, "{\"requestId\":\"torn").unwrap();
    let again = Running::start(place);
    assert_eq!(again.call("/a", &[]).status, 200);
    let place = again.stop_in_place();
    let lines: Vec<_> = place.read("access.log").lines().map(str::to_owned).collect();
    assert_eq!((lines.len(), lines[0].as_str()), (2, "{\"requestId\":\"torn"));
    assert!(
        serde_json::from_str::<serde_json::Value>(&lines[1]).is_ok(),
        "a line of its own: {lines:?}"
    );
}

#[test]
fn a_port_of_another_gateway_is_busy() {
    let origin = Origin::answering(ok("first"));
    let first = Setup::open(origin.address()).start();
    // Both would share the port without a word if the system let them.
    let address = first.gateway.address().to_string();
    let place = &first.place;
    let variable = format!("origin={}", origin.address());
    let arguments = ["serve", "proxy.yaml", "--variable", &variable, "--listen"];
    let second = place.run(&[&arguments[..], &[&address]].concat());
    let port = first.gateway.address().port();
    second
        .expect(2, "", &format!("error: `{address}` cannot be listened on"))
        .expect(2, "", &format!("another process listens on port {port}"))
        .expect(2, "", "or listen elsewhere, as in `--listen 127.0.0.1:");
    assert!(!second.err.contains("listening on"), "{second:?}");
    let metrics = first.gateway.addresses()[1].to_string();
    let third = place.run(&[&arguments[..], &["127.0.0.1:0", "--metrics-listen", &metrics]].concat());
    third.expect(2, "", &format!("error: `{metrics}` cannot be listened on"));
    assert!(!third.err.contains("listening on"), "{third:?}");

    let elsewhere = Portcullis::command(BINARY)
        .args([&arguments[..], &["127.0.0.1:0"]].concat())
        .env("APPROOV_SECRET", SECRET)
        .directory(place.path(""))
        .start();
    assert_eq!(curl(&[&elsewhere.url("/a")]).text(), "first");
    assert!(elsewhere.stop().status.success());
    first.stop();
}
