//! Certificates from a real ACME server, and what becomes of them.

use std::fs;

use portcullis_testkit::{Authority, Nginx, Pebble, ReservedPort, Stream, curl, try_curl};

use crate::{
    setup::{origin, setup},
    support::{Running, Setup, poll},
};

const LASTS_S: u64 = 90 * 24 * 60 * 60;

/// An ACME server, the 80 of its world, and what a gateway needs to trust it.
struct World {
    pebble: Pebble,
    http: ReservedPort,
    authority: Authority,
    origin: Nginx,
}

impl World {
    fn new(lasts_s: u64) -> Self {
        let authority = Authority::root("of the ACME server");
        let server = authority.server(&["127.0.0.1"]);
        let http = ReservedPort::new();
        Self {
            pebble: Pebble::start(server.chain(), server.key(), http.number(), lasts_s),
            http,
            authority,
            origin: origin(),
        }
    }

    /// A gateway with one certificate of `names`; `more` stands below `[[acme.certificates]]`.
    fn setup(&self, names: &str, more: &str) -> Setup {
        let acme = format!(
            "[acme]\ndirectory = \"{}\"\nroots = \"acme-root.pem\"\nagree_to_terms = true\ncontacts = [\"mailto:ops@example.com\"]\n\
             http_address = \"{}\"\n[[acme.certificates]]\nnames = {names}\ncertificate = \"api.pem\"\nkey = \"api.key\"\n{more}\n\n[metrics]",
            self.pebble.directory(),
            self.http.address()
        );
        setup(
            &self.origin,
            "certificates = [{ certificate = \"api.pem\", key = \"api.key\" }]",
        )
        .in_config("[metrics]", &acme)
        .file("acme-root.pem", self.authority.pem())
    }

    /// The status of a call to the gateway by a name, trusting what the ACME server issues; 0 when it is not trusted.
    fn call(&self, running: &Running, name: &str) -> u16 {
        let trusted = running.place.path("acme-root.pem").display().to_string();
        let root = curl(&["--cacert", &trusted, &self.pebble.root()]);
        let root = running.place.write("root.pem", root.text()).display().to_string();
        let port = running.gateway.address().port();
        let (url, resolve) = (
            format!("https://{name}:{port}/a.txt"),
            format!("{name}:{port}:127.0.0.1"),
        );
        try_curl(&["--cacert", &root, "--resolve", &resolve, &url]).map_or(0, |answer| answer.status)
    }
}

#[test]
fn a_certificate_is_issued_by_http_and_taken_up_without_a_restart() {
    let world = World::new(LASTS_S);
    let setup = world.setup("[\"api.example.com\", \"www.example.com\"]", "");
    let place = setup.written();
    place.run(&["check"]).expect(0, "", "is not there yet");
    let running = Running::start(place);
    running.gateway.child().wait_for_line(Stream::Stderr, 0, |line| {
        line.contains("a placeholder that no client trusts")
    });
    let placeholder = fs::read_to_string(running.place.path("api.key")).unwrap();
    running.gateway.child().wait_for_line(Stream::Stderr, 0, |line| {
        line.contains("a certificate for api.example.com was issued")
    });
    poll(|| world.call(&running, "api.example.com"), |status| *status == 200);
    assert_eq!(world.call(&running, "www.example.com"), 200);
    assert_eq!(
        world.call(&running, "other.example.com"),
        0,
        "it is for its names alone"
    );
    // What answers challenges answers nothing else, and this one not any more.
    let other = curl(&[&format!("http://{}/a.txt", world.http.address())]);
    assert_eq!(
        (other.status, other.text()),
        (404, "only ACME challenges are answered here\n")
    );
    // The key that pins were made of before is the certificate's.
    assert_eq!(fs::read_to_string(running.place.path("api.key")).unwrap(), placeholder);

    // Another start finds it in order and asks nobody.
    let issued = fs::read_to_string(running.place.path("api.pem")).unwrap();
    let place = running.stop_in_place();
    let running = Running::start(place);
    assert_eq!(world.call(&running, "api.example.com"), 200);
    assert_eq!(fs::read_to_string(running.place.path("api.pem")).unwrap(), issued);
    running.place.run(&["acme", "obtain"]).expect(0, "nothing is due", "");
    running.stop();
}

#[test]
fn wildcards_are_proved_by_a_hook_and_renewed_with_or_without_their_key() {
    let world = World::new(LASTS_S);
    let hook = format!(
        "#!/bin/sh\nset -eu\necho \"$@\" >> \"$(dirname \"$0\")/calls\"\ncase $1 in\n\
         present) exec curl -sSf http://{0}/set-txt -d \"{{\\\"host\\\": \\\"$2.\\\", \\\"value\\\": \\\"$3\\\"}}\" ;;\n\
         remove) exec curl -sSf http://{0}/clear-txt -d \"{{\\\"host\\\": \\\"$2.\\\"}}\" ;;\nesac\n",
        world.pebble.names()
    );
    let setup = world.setup(
        "[\"*.example.com\"]",
        "proof = \"dns-01\"\ndns_hook = [\"sh\", \"hook\"]",
    );
    let hook_path = setup.place.write("hook", hook).display().to_string();
    let running = setup.in_config("\"hook\"", &format!("{hook_path:?}")).start();
    poll(|| world.call(&running, "any.example.com"), |status| *status == 200);
    let calls = running.place.read("calls");
    assert!(calls.starts_with("present _acme-challenge.example.com "), "{calls}");
    assert!(
        calls
            .lines()
            .last()
            .unwrap()
            .starts_with("remove _acme-challenge.example.com "),
        "{calls}"
    );

    let (first, first_key) = (running.place.read("api.pem"), running.place.read("api.key"));
    running
        .place
        .run(&["acme", "obtain", "--now", "--name", "*.example.com"])
        .expect(0, "*.example.com: issued", "");
    assert_ne!(running.place.read("api.pem"), first);
    assert_eq!(
        running.place.read("api.key"),
        first_key,
        "the key stays, and pins with it"
    );
    let config = running
        .place
        .read("portcullis.toml")
        .replace("proof =", "keep_key = false\nproof =");
    running.place.write("portcullis.toml", config);
    running.place.run(&["acme", "obtain", "--now"]).expect(0, "issued", "");
    assert_ne!(
        running.place.read("api.key"),
        first_key,
        "the key went, as was asked for"
    );
    poll(|| world.call(&running, "any.example.com"), |status| *status == 200);
    running.stop();
}

#[test]
fn what_fails_is_told_and_what_was_served_goes_on() {
    let world = World::new(LASTS_S);
    // Nobody sets the record.
    let running = world
        .setup("[\"*.example.com\"]", "proof = \"dns-01\"\ndns_hook = [\"true\"]")
        .start();
    let line = running.gateway.child().wait_for_line(Stream::Stderr, 0, |line| {
        line.contains("error: no certificate for *.example.com")
    });
    assert!(
        line.contains("_acme-challenge") || line.contains("unauthorized") || line.contains("TXT"),
        "{line}"
    );
    running.wait_for_metric("portcullis_acme_failures_total", 1.0);
    assert_eq!(curl(&["-k", &running.gateway.secure_url("/a.txt")]).status, 200);
    running.stop();

    for (names, more, expected) in [
        ("[\"*.example.com\"]", "", "wildcards are issued for"),
        ("[\"localhost\"]", "", "no certificate can be had for `localhost`"),
        ("[]", "", "one name at least"),
        (
            "[\"a.example.com\"]",
            "proof = \"tls-alpn-01\"",
            "no proof that can be given",
        ),
        (
            "[\"a.example.com\"]",
            "key_type = \"P-384\"",
            "no kind of key that is made",
        ),
        (
            "[\"a.example.com\"]",
            "dns_hook = [\"x\"]",
            "`dns_hook` is for `dns-01`",
        ),
        ("[\"a.example.com\"]", "proof = \"dns-01\"", "not renewed by itself"),
    ] {
        let status = i32::from(!expected.contains("renewed"));
        world
            .setup(names, more)
            .written()
            .run(&["check"])
            .expect(status, "", expected);
    }
    for (from, to, expected) in [
        ("agree_to_terms = true", "agree_to_terms = false", "agree to the terms"),
        (
            "directory = \"https:",
            "directory = \"http:",
            "not the URL of an ACME server",
        ),
        ("mailto:ops", "ops", "is no contact"),
    ] {
        let setup = world.setup("[\"a.example.com\"]", "").in_config(from, to);
        setup.written().run(&["check"]).expect(1, "", expected);
    }
}
