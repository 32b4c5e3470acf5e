//! The response cache through the whole binary: a walk with curl in front of a real nginx, a thousand callers of one cold
//! entry, flushes, changes of the configuration, and what a configuration gets wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    io::{BufReader, Read as _, Write as _},
    net::TcpStream,
};

use portcullis_testkit::{Answer, Nginx, Origin, Step};
use support::{PROXY, Setup, ok, open, poll};

const CACHE: &str = "[apis.stages.cache]\nenabled = true\n";

/// The documented API, its answers told apart by path and `page`.
fn keyed(document: &str) -> String {
    document.replace(
        "        passthroughBehavior",
        "        cacheKeyParameters: [method.request.path.proxy, method.request.querystring.page]\n        passthroughBehavior",
    )
}

fn setup(origin: impl std::fmt::Display, document: &str, cache: &str) -> Setup {
    Setup::new(origin)
        .document(keyed(document))
        .in_config("\n[metrics]", &format!("\n{cache}\n[metrics]"))
}

/// Whether an answer came from the cache.
#[track_caller]
fn check(answer: &Answer, status: u16, is_stored: bool) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("age").is_some(), is_stored, "{answer:?}");
}

#[test]
fn a_cached_walk() {
    let nginx = Nginx::serving("/a.json", "{\"a\":1}").serving("/b.json", "{}").start();
    let running = setup(nginx.address(), PROXY, CACHE).start();
    let token = running.place.token("env:APPROOV_SECRET", "10m");
    let field = format!("Approov-Token: {token}");
    let call = |path: &str, more: &[&str]| running.call(path, &[&["-H", &*field], more].concat());
    let fresh = ["-H", "Cache-Control: max-age=0"];

    check(&call("/a.json", &[]), 200, false);
    let second = call("/a.json", &[]);
    check(&second, 200, true);
    assert_eq!(
        (second.text(), second.header("content-type")),
        ("{\"a\":1}", Some("application/json"))
    );
    check(&call("/a.json?page=2", &[]), 200, false);
    check(&call("/b.json", &[]), 200, false);
    // Who may not call the method gets nothing out of the cache.
    check(&running.call("/a.json", &[]), 401, false);
    check(&running.call_with("/a.json", "a.b.c"), 403, false);
    // A token's own policy allows no one to have an answer fetched anew.
    let warned = call("/a.json", &fresh);
    check(&warned, 200, true);
    let warning = "199 Cache-control headers were ignored because the caller was unauthorized.";
    assert_eq!(warned.header("warning"), Some(warning));
    for _ in 0..2 {
        check(&call("/absent.json", &[]), 404, false);
    }
    running.wait_for_route_metric("portcullis_cache_hit_count_total", 2.0);
    running.wait_for_route_metric("portcullis_cache_miss_count_total", 5.0);
    running.stop();
    let expected = [
        "/a.json 200",
        "/a.json?page=2 200",
        "/b.json 200",
        "/absent.json 404",
        "/absent.json 404",
    ];
    assert_eq!(nginx.stop(), expected.map(|line| format!("GET {line}")));
}

#[test]
fn a_thousand_callers_of_one_cold_entry_make_one_fetch() {
    const CALLERS: usize = 1_000;
    let script = vec![Step::ReadRequest, Step::AwaitRelease, Step::Send(ok("once"))];
    let origin = Origin::scripted(vec![script]);
    let running = setup(origin.address(), &open(), CACHE).root("workers = 4").start();
    let address = running.gateway.addresses()[0];
    let request = b"GET /cold HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(portcullis_testkit::PATIENCE)).unwrap();
            stream.write_all(request).unwrap();
            stream
        })
        .collect();
    origin.wait_for_requests(1);
    // The first of them goes away; it need not be the one that fetches, and if it is, nobody else notices.
    drop(callers.remove(0));
    poll(
        || running.metrics().value("portcullis_connections_accepted_total"),
        |open| *open >= CALLERS as f64,
    );
    origin.release();
    for stream in callers {
        let mut answer = String::new();
        BufReader::new(stream).read_to_string(&mut answer).unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\nonce"),
            "{answer}"
        );
    }
    assert_eq!(origin.requests().len(), 1);
    running.stop();
}

#[test]
fn a_fetch_goes_on_without_the_one_who_began_it_and_a_slow_reader_holds_up_nobody() {
    let body = "x".repeat(600_000);
    let script = vec![Step::ReadRequest, Step::AwaitRelease, Step::Send(ok(&body))];
    let origin = Origin::scripted(vec![script]);
    let running = setup(origin.address(), &open(), CACHE).start();
    let mut slow = TcpStream::connect(running.gateway.addresses()[0]).unwrap();
    slow.write_all(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    origin.wait_for_requests(1);
    origin.release();
    // It reads nothing, and yet the entry is made.
    let answer = running.call("/slow", &[]);
    assert_eq!((answer.status, answer.body.len()), (200, body.len()));
    drop(slow);
    check(&running.call("/slow", &[]), 200, true);
    assert_eq!(origin.requests().len(), 1);
    running.stop();
}

#[test]
fn who_waits_for_a_failing_origin_fails_with_it() {
    let origin = Origin::scripted(vec![vec![Step::ReadRequest, Step::AwaitRelease, Step::Reset]]);
    let running = setup(origin.address(), &open(), CACHE).start();
    let request = b"GET /down HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let callers: Vec<_> = (0..20)
        .map(|_| {
            let mut stream = TcpStream::connect(running.gateway.addresses()[0]).unwrap();
            stream.write_all(request).unwrap();
            stream
        })
        .collect();
    poll(
        || running.metrics().value("portcullis_connections_accepted_total"),
        |open| *open >= 20.0,
    );
    // The one who fetches is tried a second time on another connection; whoever comes later fetches for itself.
    for _ in 0..60 {
        origin.release();
    }
    for stream in callers {
        let mut answer = String::new();
        BufReader::new(stream).read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
    }
    running.stop();
}

#[test]
fn stored_answers_are_flushed_by_command_and_dropped_with_their_deployment() {
    let origin = Origin::ok("hello");
    let running = setup(origin.address(), &open(), CACHE).start();
    let fetches = |path: &str| {
        assert_eq!(running.call(path, &[]).status, 200);
        origin.requests().len()
    };
    let flush = |arguments: &[&str], status: i32, text: &str| {
        let said = running.place.run(&[&["flush"], arguments].concat());
        assert_eq!(said.status, status, "{said:?}");
        assert!(format!("{said:?}").contains(text), "{said:?}");
    };
    assert_eq!((fetches("/a"), fetches("/a"), fetches("/a?page=2")), (1, 1, 2));
    flush(&["--cache-entry", "GET", "/a?page=2"], 0, "1 stored answer forgotten");
    assert_eq!((fetches("/a"), fetches("/a?page=2")), (2, 3));
    flush(
        &["--cache", "--api", "proxy", "--stage", "TEST"],
        0,
        "the stored answers of 1 stage are forgotten",
    );
    assert_eq!(fetches("/a"), 4);
    flush(&["--cache"], 0, "are forgotten");
    assert_eq!(fetches("/a"), 5);
    flush(&["--cache", "--stage", "PROD"], 1, "no stage of that name has a cache");
    flush(&["--cache-entry", "POST", "/a"], 1, "the method is not cached");
    flush(&["--cache-entry", "GET", "a"], 2, "is no path or URL");

    // A reload that changes nothing that shapes answers keeps them; another origin header does not.
    let text = std::fs::read_to_string(running.place.path("proxy.yaml")).unwrap();
    let reload = |text: &str, times: usize| {
        running.place.write("proxy.yaml", text);
        let reloaded = |line: &str| line.starts_with("reloaded: ");
        running
            .gateway
            .child()
            .wait_for_line(portcullis_testkit::Stream::Stderr, times, reloaded);
    };
    reload(&format!("{text}\n# a comment\n"), 0);
    assert_eq!(fetches("/a"), 5);
    reload(&text.replace("an-origin-key", "another-key"), 1);
    assert_eq!(fetches("/a"), 6);
    running.stop();
}

#[test]
fn a_configuration_is_told_what_is_wrong_with_its_cache() {
    let place = setup("127.0.0.1:9000", PROXY, CACHE).written();
    let said = |cache: &str, document: &str| {
        let place = setup("127.0.0.1:9000", document, cache).written();
        let said = place.run(&["check", "--config", "portcullis.toml"]);
        format!("{said:?}")
    };
    assert_eq!(place.run(&["check", "--config", "portcullis.toml"]).status, 0);
    for (cache, expected) in [
        (
            "[apis.stages.cache]\nttl_s = 10\n",
            "`apis.stages.cache.enabled` is missing",
        ),
        (
            "[apis.stages.cache]\nenabled = true\nttl_s = 3601\n",
            "which is not between 0 and 3600",
        ),
        (
            "[apis.stages.cache]\nenabled = true\nttl = 1\n",
            "`apis.stages.cache.ttl` is unknown",
        ),
        (
            "[apis.stages.cache]\nenabled = true\nstatuses = [206]\n",
            "206 is never kept",
        ),
        (
            "[apis.stages.cache]\nenabled = true\nunauthorized_cache_control = \"x\"\n",
            "FAIL_WITH_403",
        ),
        (
            "[apis.stages.cache]\nenabled = true\nstore_set_cookie = true\n",
            "one caller's cookie is handed to all",
        ),
        (
            "[[apis.stages.methods]]\npath = \"/{proxy+}\"\nmethod = \"ANY\"\ncache = { ttl_s = 5 }\n",
            "the stage has no cache",
        ),
    ] {
        let text = said(cache, PROXY);
        assert!(text.contains(expected), "{cache}\n{text}");
    }
    let unkeyed = PROXY.replace(
        "passthroughBehavior",
        "cacheNamespace: all\n        passthroughBehavior",
    );
    let place = Setup::new("127.0.0.1:9000")
        .document(unkeyed)
        .in_config("\n[metrics]", &format!("\n{CACHE}\n[metrics]"))
        .written();
    let text = format!("{:?}", place.run(&["check", "--config", "portcullis.toml"]));
    for expected in ["cache-key-without-path", "cache-key-shared"] {
        assert!(text.contains(expected), "{text}");
    }
    let misnamed = keyed(PROXY).replace("method.request.path.proxy, ", "method.request.path.prxoy, ");
    let place = Setup::new("127.0.0.1:9000")
        .document(misnamed)
        .in_config("\n[metrics]", &format!("\n{CACHE}\n[metrics]"))
        .written();
    let text = format!("{:?}", place.run(&["check", "--config", "portcullis.toml"]));
    assert!(text.contains("the resource has no path parameter `prxoy`"), "{text}");
}
