//! Which certificate a name gets, and that it is the gateway's own word that the connection is encrypted.

use portcullis_testkit::{Authority, Leaf};

use crate::setup::{call, origin, serving, try_call};

#[test]
fn a_name_gets_its_certificate() {
    let root = Authority::root("Root");
    let origin = origin();
    let identities = [
        root.server(&["localhost", "first.example.com"]),
        root.server(&["*.example.com"]),
        root.issue(&Leaf::server(&["api.example.com"]).rsa()),
        root.server(&["api.example.com"]),
    ];
    let all: Vec<_> = identities.iter().collect();
    let running = serving(&origin, &all, "").start();
    let port = running.gateway.address().port();
    let check = |name: &str, arguments: &[&str], is_good: bool| {
        let (url, resolve) = (
            format!("https://{name}:{port}/a.txt"),
            format!("{name}:{port}:127.0.0.1"),
        );
        let roots = running.place.write("roots.pem", root.pem()).display().to_string();
        let called =
            portcullis_testkit::try_curl(&[&["--cacert", &roots, "--resolve", &resolve, &url], arguments].concat());
        match called {
            Ok(answer) => assert!(is_good && answer.text() == "hello", "{name} {answer:?}"),
            Err(failure) => assert!(!is_good, "{name}: {failure:?}"),
        }
    };
    check("localhost", &[], true);
    check("first.example.com", &[], true); // exact, before the wildcard that also has it
    check("second.example.com", &[], true);
    check("SECOND.example.com", &[], true);
    // Two kinds of key for one name: the client's signature algorithms choose.
    let [rsa, ecdsa] = ["RSA", "ECDSA"].map(|kind| {
        [
            "--tls-max",
            "1.2",
            "--ciphers",
            if kind == "RSA" { "aRSA" } else { "aECDSA" },
        ]
    });
    check("api.example.com", &rsa, true);
    check("api.example.com", &ecdsa, true);
    // A wildcard is for one label; whoever is not known gets the first certificate, which is not theirs.
    check("a.second.example.com", &[], false);
    check("example.com", &[], false);
    check("elsewhere.test", &[], false);
    running.stop();
}

#[test]
fn the_origin_is_told_that_the_connection_was_encrypted() {
    let root = Authority::root("Root");
    let origin = portcullis_testkit::Nginx::serving("/a.txt", "")
        .with("location = /proto { return 200 $http_x_forwarded_proto; }")
        .start();
    let running = serving(&origin, &[&root.server(&["localhost"])], "").start();
    let url = running.gateway.secure_url("/proto");
    let roots = running.place.write("roots.pem", root.pem()).display().to_string();
    assert_eq!(portcullis_testkit::curl(&["--cacert", &roots, &url]).text(), "https");
    // One connection, many requests.
    let many = vec![url.as_str(); 20];
    let mut arguments = vec!["--cacert", &roots];
    arguments.extend(many);
    portcullis_testkit::curl(&arguments);
    running.wait_for_metric("portcullis_tls_handshakes_total{kind=\"full\"}", 2.0);
    let _ = (call, try_call);
    running.stop();
}
