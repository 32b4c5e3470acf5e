//! What is agreed on with OpenSSL's client.

use std::process::Command;

use portcullis_testkit::Authority;

use crate::{
    setup::{call, origin, serving, try_call},
    support::{Running, poll},
};

/// What `openssl s_client` says of a handshake with these arguments, and whether there was one.
fn s_client(running: &Running, arguments: &[&str]) -> (bool, String) {
    let output = Command::new("openssl")
        .args(["s_client", "-connect", &running.gateway.address().to_string()])
        .args(arguments)
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said)
}

#[test]
fn the_versions_and_ciphers_of_a_listener() {
    let root = Authority::root("Root");
    let origin = origin();
    let identity = root.server(&["localhost"]);
    let check = |running: &Running, arguments: &[&str], expected: Option<&str>| {
        let (is_done, said) = s_client(running, &[&["-brief"], arguments].concat());
        match expected {
            Some(text) => assert!(is_done && said.contains(text), "{arguments:?}: {said}"),
            None => assert!(!is_done && said.contains("alert"), "{arguments:?}: {said}"),
        }
    };
    let running = serving(&origin, &[&identity], "").start();
    check(&running, &[], Some("Protocol version: TLSv1.3"));
    check(&running, &["-tls1_2"], Some("Protocol version: TLSv1.2"));
    check(
        &running,
        &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"],
        Some("ECDHE-ECDSA-AES128-GCM-SHA256"),
    );
    check(
        &running,
        &["-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"],
        Some("ECDHE-ECDSA-CHACHA20-POLY1305"),
    );
    check(&running, &["-alpn", "http/1.1"], Some("TLSv1.3"));
    // Older versions, ciphers without forward secrecy or without authentication of what is encrypted, protocols not spoken.
    check(&running, &["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"], None);
    check(&running, &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256"], None);
    check(&running, &["-tls1_2", "-cipher", "AES128-GCM-SHA256"], None);
    check(&running, &["-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256"], None);
    check(&running, &["-alpn", "imap"], None);
    running.stop();

    let running = serving(&origin, &[&identity], "minimum = \"1.3\"").start();
    check(&running, &[], Some("Protocol version: TLSv1.3"));
    check(&running, &["-tls1_2"], None);
    running.stop();
}

#[test]
fn sessions_are_resumed_on_any_worker() {
    let root = Authority::root("Root");
    let origin = origin();
    let running = serving(&origin, &[&root.server(&["localhost"])], "")
        .root("workers = 4")
        .start();
    for version in ["-tls1_2", "-tls1_3"] {
        let session = running.place.path("session").display().to_string();
        // A TLS 1.3 ticket comes behind the handshake: with the answer to a request, at the latest.
        let request = "printf 'GET /a.txt HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n'";
        let connect = format!(
            "openssl s_client -quiet -connect {} {version}",
            running.gateway.address()
        );
        let first = running
            .place
            .shell(&format!("{request} | {connect} -sess_out '{session}'"));
        first.expect(0, "hello", "");
        let before = running
            .metrics()
            .value("portcullis_tls_handshakes_total{kind=\"resumed\"}");
        for _ in 0..4 {
            let (is_done, said) = s_client(&running, &[version, "-sess_in", &session]);
            assert!(is_done && said.contains("Reused, "), "{version}: {said}");
        }
        let name = "portcullis_tls_handshakes_total{kind=\"resumed\"}";
        poll(|| running.metrics().value(name), |now| *now == before + 4.0);
    }
    running.stop();
}

#[test]
fn what_is_no_handshake_is_closed_and_counted() {
    let root = Authority::root("Root");
    let origin = origin();
    let running = serving(&origin, &[&root.server(&["localhost"])], "handshake_timeout_ms = 200").start();
    let failed = |reason: &str| format!("portcullis_tls_handshakes_failed_total{{reason=\"{reason}\"}}");
    let address = running.gateway.address().to_string();
    // Plain HTTP gets an alert and the end.
    let plain = portcullis_testkit::try_curl(&[&running.gateway.url("/a.txt")]).unwrap_err();
    assert!([1, 52, 56].contains(&plain.code), "{plain:?}");
    running.wait_for_metric(&failed("not_tls"), 1.0);
    // Silence is cut off by the deadline, however slowly it goes on.
    let mut silent = std::net::TcpStream::connect(&address).unwrap();
    std::io::Write::write_all(&mut silent, b"\x16\x03\x01").unwrap();
    running.wait_for_metric(&failed("timed_out"), 1.0);
    let mut rest = Vec::new();
    let _ = std::io::Read::read_to_end(&mut silent, &mut rest); // ended, by a reset or not
    assert_eq!(rest, b"");
    // A client that does not trust the certificate says so.
    let other = Authority::root("Other");
    assert_eq!(try_call(&running, &other, &[]).unwrap_err().code, 60);
    running.wait_for_metric(&failed("refused_by_client"), 1.0);
    // One that is gone.
    drop(std::net::TcpStream::connect(&address).unwrap());
    running.wait_for_metric(&failed("broken_off"), 1.0);
    assert_eq!(call(&running, &root, &[]).text(), "hello");
    running.wait_for_metric("portcullis_tls_handshakes_total{kind=\"full\"}", 1.0);
    running.stop();
}
