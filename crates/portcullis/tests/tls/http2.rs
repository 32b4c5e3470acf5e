//! HTTP/2 is what a client gets that asks for it in the handshake.

use std::process::Command;

use portcullis_testkit::Authority;

use crate::setup::{origin, serving};

/// What a command prints when it succeeds.
fn printed(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let (text, error) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    assert!(output.status.success(), "{program} {arguments:?}: {text}{error}");
    text
}

#[test]
fn a_client_gets_the_protocol_that_it_asks_for() {
    let root = Authority::root("Root");
    let origin = origin();
    let running = serving(&origin, &[&root.server(&["localhost"])], "")
        .access_log("stdout", "clf")
        .start();
    let roots = running.place.write("roots.pem", root.pem()).display().to_string();
    let call = |protocol: &str, path: &str| {
        let url = running.gateway.secure_url(path);
        let told = [
            "--path-as-is",
            "-o",
            "/dev/null",
            "-w",
            "%{http_version} %{http_code}",
            protocol,
            &url,
        ];
        printed(
            "curl",
            &[&["-s", "--noproxy", "*", "--cacert", &roots], &told[..]].concat(),
        )
    };
    assert_eq!(call("--http2", "/a.txt"), "2 200");
    assert_eq!(call("--http1.1", "/a.txt"), "1.1 200");
    assert_eq!(call("--http2", "/a/%2e%2e/b"), "2 400", "the same refusals");
    let lines = running.gateway.wait_for_access_log(2); // what is refused before a stage is known is in no stage's log
    assert!(
        lines[0].contains(" HTTP/2.0\" 200 ") && lines[1].contains(" HTTP/1.1\" 200 "),
        "{lines:?}"
    );
    running.wait_for_metric("portcullis_connections_http2_total", 2.0);
    running.stop();
}

#[test]
fn many_requests_share_a_connection() {
    let root = Authority::root("Root");
    let origin = origin();
    let running = serving(&origin, &[&root.server(&["localhost"])], "").start();
    let url = running.gateway.secure_url("/a.txt");
    let report = printed("h2load", &["-n", "2000", "-c", "4", "-m", "20", &url]);
    assert!(
        report.contains("2000 succeeded, 0 failed, 0 errored, 0 timeout"),
        "{report}"
    );
    assert!(report.contains("Application protocol: h2"), "{report}");
    running.wait_for_metric("portcullis_connections_http2_total", 4.0);
    running.wait_for_metric("portcullis_http2_floods_total", 0.0);
    running.stop();
}
