//! A client that was not written here.

use std::process::Command;

use portcullis_net::server::Sent;

use super::subject;

fn curl(arguments: &[&str]) -> String {
    let output = Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--max-time",
            "30",
            "--noproxy",
            "*",
            "--http2-prior-knowledge",
        ])
        .args(arguments)
        .output();
    let output = output.expect("curl is installed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    match output.status.code() {
        Some(0) => text,
        code => format!("{text}[{code:?}]"),
    }
}

/// What curl reads, and what the receipt says of it.
fn check(arguments: &[&str], expected: &str, body_bytes: u64, complete: bool) {
    let subject = subject();
    let (path, options) = arguments.split_last().unwrap();
    let url = format!("http://{}{path}", subject.address());
    let answer = curl(&[options, &[url.as_str()]].concat());
    let shown = &answer[..answer.len().min(200)];
    assert!(answer == expected, "{arguments:?}: {shown}");
    assert_eq!(subject.receipt(), Sent { body_bytes, complete }, "{arguments:?}");
    assert_eq!(subject.server.stats().http2(), 1, "{arguments:?}");
}

#[test]
fn curl_gets_what_it_asks_for() {
    let status = [
        "-o",
        "/dev/null",
        "-w",
        "%{http_version} %{http_code} %header{content-length}",
    ];
    let with = |path| [&status[..], &[path]].concat();
    let large = "x".repeat(300_000);
    let file = std::env::temp_dir().join(format!("portcullis-net-http2-curl-{}", std::process::id()));
    std::fs::write(&file, &large).unwrap();
    let upload = format!("@{}", file.display());
    check(&["/"], "hello", 5, true);
    check(&["/pieces"], "onetwothree", 11, true);
    check(&["/known"], "onetwo", 6, true);
    check(&with("/large"), "2 200 1048576", 1 << 20, true);
    check(&["-d", "some=form", "/echo"], "some=form", 9, true);
    check(&["--data-binary", &upload, "/echo"], &large, 300_000, true);
    check(&["--data-binary", &upload, "/stream"], &large, 300_000, true);
    check(
        &["-H", "Content-Length:", "--data-binary", &upload, "/stream"],
        &large,
        300_000,
        true,
    );
    check(
        &["-w", "%{http_code}", "--data-binary", &upload, "/unread"],
        "no413",
        2,
        true,
    );
    check(&with("/204"), "2 204 ", 0, true);
    check(&with("/304"), "2 304 5", 0, true);
    check(&[&["-I"], &with("/large")[..]].concat(), "2 200 ", 0, true);
    check(&with("/empty"), "2 200 0", 0, true);
    check(&with("/close"), "2 200 3", 3, true);
    std::fs::remove_file(file).unwrap();
}

#[test]
fn what_belongs_to_other_versions_is_not_sent() {
    let subject = subject();
    let url = |path: &str| format!("http://{}{path}", subject.address());
    let head = curl(&["-D", "-", "-o", "/dev/null", &url("/confused")]);
    assert_eq!(
        head,
        "HTTP/2 200 \r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\nx-kept: yes\r\ncontent-length: 5\r\n\r\n"
    );
    let head = curl(&["-D", "-", "-o", "/dev/null", &url("/close")]);
    assert!(
        head.contains("date: ") && !head.contains("keep-alive") && !head.contains("connection"),
        "{head}"
    );
    assert_eq!(curl(&[&url("/100")]), "[Some(92)]", "an interim answer is none");
    assert_eq!(subject.server.stats().broken(), 1);
}

#[test]
fn a_listener_speaks_what_it_is_told_to() {
    let plain = crate::harness::subject();
    let refused = curl(&[&format!("http://{}/", plain.address())]);
    assert!(
        refused.starts_with("[Some("),
        "not without TLS unless it is set: {refused}"
    );
    let both = subject();
    let url = format!("http://{}/", both.address());
    assert_eq!(curl(&[&url, "--next", "--silent", "--http1.1", &url]), "hellohello");
    assert_eq!(both.server.stats().http2(), 1);
}
