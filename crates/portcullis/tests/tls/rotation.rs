//! Certificates that are replaced while clients call.

use std::{
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use portcullis_testkit::{Authority, Stream, curl};

use crate::setup::{call, origin, serving};

/// How much longer the long tests run: `PORTCULLIS_SOAK`, 1 unless set.
fn soak() -> u32 {
    let text = std::env::var("PORTCULLIS_SOAK").ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// The serial number of the certificate that a new handshake is shown.
fn served(address: &str) -> String {
    let script = format!("openssl s_client -connect {address} </dev/null 2>/dev/null | openssl x509 -noout -serial");
    let output = Command::new("sh")
        .args(["-c", &script])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8(output.stdout)
        .unwrap()
        .trim()
        .trim_start_matches("serial=")
        .to_ascii_lowercase()
}

#[test]
fn certificates_are_rotated_under_load_and_no_call_fails() {
    let rotations = 3 * soak().min(7); // twenty when it is about endurance
    let root = Authority::root("Root");
    let origin = origin();
    let running = serving(&origin, &[&root.server(&["localhost"])], "").start();
    let roots = running.place.write("roots.pem", root.pem()).display().to_string();
    let url = running.gateway.secure_url("/a.txt");
    let (is_over, calls) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                // Each curl is a handshake and ten requests over it; it fails when one of them does.
                let mut arguments = vec!["--cacert", &roots, "--fail"];
                arguments.extend([url.as_str(); 10]);
                while !is_over.load(Ordering::Relaxed) {
                    curl(&arguments);
                    calls.fetch_add(10, Ordering::Relaxed);
                }
            });
        }
        let address = running.gateway.address().to_string();
        for rotation in 0..rotations {
            let next = root.server(&["localhost"]);
            next.write(&running.place.path(""), "s0");
            let said = usize::try_from(rotation).unwrap();
            running
                .gateway
                .child()
                .wait_for_line(Stream::Stderr, said, |line| line.starts_with("reloaded"));
            let serial: String = next.serial().iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(served(&address), serial);
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert!(calls.load(Ordering::Relaxed) >= 20);
    running.stop();
}

#[test]
fn a_bad_pair_is_reported_and_the_old_one_goes_on() {
    let root = Authority::root("Root");
    let origin = origin();
    let good = root.server(&["localhost"]);
    let running = serving(&origin, &[&good], "").start();
    let expires = |running: &crate::support::Running| {
        let name = format!(
            "portcullis_certificate_expires_seconds{{listener=\"{}\",name=\"localhost\"}}",
            running.gateway.address()
        );
        running.metrics().value(&name)
    };
    let before = expires(&running);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs_f64();
    assert!((before - now - 89.0 * 86_400.0).abs() < 600.0, "{before}");
    // Half of a rotation: the certificate without its key.
    let next = root.issue(&portcullis_testkit::Leaf::server(&["localhost"]).between(-60, 86_400 * 40));
    running.place.write("s0.pem", next.chain());
    running.gateway.child().wait_for_line(Stream::Stderr, 0, |line| {
        line.contains("what was served before goes on")
    });
    assert!(
        running
            .gateway
            .child()
            .lines(Stream::Stderr)
            .iter()
            .any(|line| line.contains("[key-mismatch]"))
    );
    assert_eq!(call(&running, &root, &[]).status, 200);
    assert_eq!(expires(&running), before);
    // The other half.
    running.place.write("s0.key", next.key());
    running
        .gateway
        .child()
        .wait_for_line(Stream::Stderr, 0, |line| line.starts_with("reloaded"));
    assert_eq!(call(&running, &root, &[]).status, 200);
    assert!((expires(&running) - now - 40.0 * 86_400.0).abs() < 600.0);
    running.stop();
}
