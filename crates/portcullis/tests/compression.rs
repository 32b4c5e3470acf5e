//! Answers compressed for clients that ask for it, through the whole binary, with the real curl and nginx.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use portcullis_testkit::{Answer, Nginx, Origin};
use support::{Running, Setup};

const EXTENSION: &str = "x-amazon-apigateway-minimum-compression-size: 1000\npaths:";

fn text() -> String {
    "{\"beneficiary\":\"somebody\"}\n".repeat(2_000)
}

fn start(origin: impl std::fmt::Display) -> Running {
    Setup::open(origin).in_document("paths:", EXTENSION).start()
}

/// The coding, the length announced, and the answer; curl decodes it when it is told to.
fn call(running: &Running, path: &str, arguments: &[&str]) -> (Option<String>, Option<u64>, Answer) {
    let answer = running.call(path, arguments);
    let coding = answer.header("content-encoding").map(str::to_owned);
    let length = answer.header("content-length").map(|length| length.parse().unwrap());
    (coding, length, answer)
}

#[test]
fn clients_get_what_they_ask_for() {
    let text = text();
    let nginx = Nginx::serving("/large.json", text.as_str()).start();
    let running = start(nginx.address());
    for accepted in ["gzip", "deflate", "br, gzip;q=1.0", "x-gzip, identity;q=0.5"] {
        let field = format!("Accept-Encoding: {accepted}");
        let (coding, length, answer) = call(&running, "/large.json", &["--compressed", "-H", &field]);
        let expected = if accepted == "deflate" { "deflate" } else { "gzip" };
        assert_eq!((coding.as_deref(), length), (Some(expected), None), "{accepted}");
        assert_eq!(answer.text(), text, "curl reads it back");
        assert!(answer.header("etag").unwrap().starts_with("W/\""));
        assert_eq!(answer.header("vary"), Some("Accept-Encoding"));
        let raw = running.call("/large.json", &["-H", &field]);
        assert!(
            raw.body.len() * 20 < text.len(),
            "{} bytes of {}",
            raw.body.len(),
            text.len()
        );
    }
    for arguments in [
        &["-H", "Accept-Encoding:"][..],
        &["-H", "Accept-Encoding: *"],
        &["-H", "Accept-Encoding: br;q=1, gzip;q=0.5"],
        &["-H", "Accept-Encoding: gzip", "-H", "Cache-Control: no-transform"],
    ] {
        let (coding, length, answer) = call(&running, "/large.json", arguments);
        assert_eq!((coding, length), (None, Some(text.len() as u64)), "{arguments:?}");
        assert_eq!(
            (answer.text(), answer.header("vary")),
            (text.as_str(), Some("Accept-Encoding"))
        );
        assert!(answer.header("etag").unwrap().starts_with('"'));
    }
    // What was compressed is still fresh to its origin.
    let (_, _, first) = call(&running, "/large.json", &["-H", "Accept-Encoding: gzip"]);
    let known = format!("If-None-Match: {}", first.header("etag").unwrap());
    assert_eq!(
        running
            .call("/large.json", &["-H", "Accept-Encoding: gzip", "-H", &known])
            .status,
        304
    );
    let (coding, length, part) = call(
        &running,
        "/large.json",
        &["-H", "Accept-Encoding: gzip", "-r", "0-1999"],
    );
    assert_eq!(
        (part.status, coding, length),
        (206, None, Some(2_000)),
        "a part is one of the plain bytes"
    );
    let (coding, length, head) = call(&running, "/large.json", &["-I", "-H", "Accept-Encoding: gzip"]);
    assert_eq!((head.status, coding, length), (200, None, Some(text.len() as u64)));
    running.stop();
}

/// Of a chunked answer the beginning is waited for; a short one gets its length.
#[test]
fn a_length_that_nobody_told_is_found_out() {
    for (lines, coding) in [(10, None), (100, Some("gzip"))] {
        let text = "{\"beneficiary\":\"somebody\"}\n".repeat(lines);
        let chunk = format!("{:x}\r\n{text}\r\n0\r\n\r\n", text.len());
        let origin = Origin::answering(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}"));
        let running = start(origin.address());
        let (found, length, answer) = call(&running, "/a", &["--compressed", "-H", "Accept-Encoding: gzip"]);
        assert_eq!((found.as_deref(), answer.text()), (coding, text.as_str()));
        assert_eq!(length, coding.is_none().then_some(text.len() as u64));
        running.stop();
    }
}

#[test]
fn without_the_extension_and_of_refusals_nothing_is_compressed() {
    let text = text();
    let origin = Origin::ok(&text);
    let gzip = ["-H", "Accept-Encoding: gzip"];
    let running = Setup::open(origin.address()).start();
    let (coding, length, answer) = call(&running, "/a", &gzip);
    assert_eq!((coding, length), (None, Some(text.len() as u64)));
    assert_eq!(answer.header("vary"), None);
    assert_eq!(
        origin.requests()[0].header("accept-encoding"),
        Some("gzip"),
        "the origin may do it"
    );
    running.stop();

    let running = Setup::new(origin.address())
        .in_document("paths:", &EXTENSION.replace("1000", "0"))
        .start();
    let (coding, _, refused) = call(&running, "/a", &gzip);
    assert_eq!((refused.status, coding), (401, None));
    running.stop();
}
