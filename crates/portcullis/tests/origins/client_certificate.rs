//! Origins that answer nobody but the gateway, because they know its certificate.

use portcullis_testkit::{Nginx, curl};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};

use crate::support::{Place, Running, Setup, poll};

/// A private certification authority, for the origin's own certificate and for given client certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "the authority");
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Certificate and key of `name`.
    fn issue(&self, name: &str, usage: ExtendedKeyUsagePurpose) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![usage];
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// A real nginx that refuses whoever does not show one of the certificates in `trusted`.
    fn locked_origin(&self, place: &Place, body: &str, trusted: &str) -> Nginx {
        place.write("gateway.pem", trusted);
        let (certificate, key) = self.issue("127.0.0.1", ExtendedKeyUsagePurpose::ServerAuth);
        Nginx::serving("/a.txt", body)
            .tls(&certificate, &key)
            .with(&format!(
                "ssl_client_certificate {}; ssl_verify_client on; add_header X-Shown $ssl_client_s_dn;",
                place.path("gateway.pem").display()
            ))
            .start()
    }
}

fn setup(authority: &Authority, origin: &str, certificate: &str) -> Setup {
    let stage = format!("name = \"TEST\"\norigin_roots = \"roots.pem\"\norigin_client_certificate = {certificate}");
    Setup::open(origin)
        .in_document("uri: http:", "uri: https:")
        .in_config("name = \"TEST\"", &stage)
        .file("roots.pem", authority.0.pem())
}

/// Points the running gateway to another origin.
fn point_to(running: &Running, before: &str, origin: &Nginx) {
    let config = std::fs::read_to_string(running.place.path("portcullis.toml")).unwrap();
    assert!(config.contains(before), "{config}");
    let config = config.replace(before, &origin.address().to_string());
    running.place.write("portcullis.toml", config);
}

#[test]
fn a_generated_certificate_opens_a_locked_origin_and_rotates_with_both_trusted() {
    let authority = Authority::new();
    for (kind, subject_key) in [("P-256", "id-ecPublicKey"), ("RSA-2048", "2048 bit")] {
        let certificate = format!("{{ generate = true, key_type = \"{kind}\" }}");
        let running = setup(&authority, "127.0.0.1:9", &certificate).start();
        let shown = running.place.run(&["origin-certificate", "show"]);
        shown.expect(0, "BEGIN CERTIFICATE", ",CN=proxy/TEST, until");
        assert!(!shown.out.contains("PRIVATE"), "{kind}");
        running.place.write("shown.pem", &shown.out);
        let text = openssl(&running.place, &["x509", "-in", "shown.pem", "-noout", "-text"]);
        assert!(text.contains(subject_key), "{kind}: {text}");

        let origin = authority.locked_origin(&running.place, "first", &shown.out);
        let direct = curl(&["-k", &format!("https://{}/a.txt", origin.address())]);
        assert_eq!(
            direct.status, 400,
            "nginx tells everyone else that a certificate is missing"
        );
        point_to(&running, "127.0.0.1:9", &origin);
        let answer = poll(|| running.call("/a.txt", &[]), |answer| answer.status == 200);
        assert_eq!(answer.text(), "first");
        assert!(
            answer.header("x-shown").unwrap().ends_with("CN=proxy/TEST"),
            "{answer:?}"
        );
        if kind == "P-256" {
            rotate(&authority, &running, &shown.out, &origin);
        }
        running.stop();
    }
}

fn rotate(authority: &Authority, running: &Running, first: &str, locked: &Nginx) {
    let place = &running.place;
    place
        .run(&["origin-certificate", "rotate", "--activate"])
        .expect(1, "there is no next certificate", "");
    place
        .run(&["origin-certificate", "rotate"])
        .expect(0, "the next certificate is there", "");
    place
        .run(&["origin-certificate", "rotate", "--stage", "TEST"])
        .expect(1, "is there already", "");
    let both = place.run(&["origin-certificate", "show"]);
    both.expect(0, "", "have the origin trust both");
    assert_eq!(both.out.matches("BEGIN CERTIFICATE").count(), 2);
    assert!(both.out.starts_with(first.trim_end()), "the first one is still in use");

    let origin = authority.locked_origin(place, "second", &both.out);
    point_to(running, &locked.address().to_string(), &origin);
    poll(|| running.call("/a.txt", &[]), |answer| answer.text() == "second");
    // The origin trusts both, so no call fails while the gateway takes the new one up.
    let shown = || {
        let answer = running.call("/a.txt", &[]);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.header("x-shown").map(ToOwned::to_owned)
    };
    let before = shown();
    place
        .run(&["origin-certificate", "rotate", "--activate"])
        .expect(0, "in use now", "");
    poll(shown, |now| *now != before);
    let name = "portcullis_origin_certificate_expiry_timestamp_seconds{api=\"proxy\",stage=\"TEST\"}";
    assert!(running.metrics().value(name) > 1_790_000_000.0);
    // The origin that trusts the first one alone refuses it from now on.
    point_to(running, &origin.address().to_string(), locked);
    poll(|| running.call("/a.txt", &[]), |answer| answer.status == 400);
}

#[test]
fn a_given_certificate_is_shown_and_one_that_cannot_be_is_named() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue("gateway.example", ExtendedKeyUsagePurpose::ClientAuth);
    let (_, other_key) = authority.issue("other.example", ExtendedKeyUsagePurpose::ClientAuth);
    let given = "{ certificate = \"client.pem\", key = \"client.key\" }";
    let place = Place::new();
    let origin = authority.locked_origin(&place, "given", &authority.0.pem());
    let address = origin.address().to_string();
    let running = setup(&authority, &address, given)
        .file("client.pem", &certificate)
        .file("client.key", &key)
        .start();
    assert_eq!(running.call("/a.txt", &[]).status, 200);
    running.stop();

    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    for (certificate, key, expected) in [
        (
            certificate.as_str(),
            other_key.as_str(),
            "the private key belongs to another certificate",
        ),
        (&certificate, encrypted, "the private key is encrypted"),
        (&certificate, "", "it holds no private key in PEM"),
        ("", &key, "it holds no certificate in PEM"),
    ] {
        let place = setup(&authority, &address, given)
            .file("client.pem", certificate)
            .file("client.key", key)
            .written();
        place.run(&["check"]).expect(1, "", expected);
        place.run(&["serve"]).expect(2, "", expected);
    }
    for (written, expected) in [
        (
            "{ generate = false }",
            "neither a certificate with its key nor `generate = true`",
        ),
        (
            "{ certificate = \"client.pem\" }",
            "neither a certificate with its key nor `generate = true`",
        ),
        ("{ generate = true, key = \"client.key\" }", "either generated or given"),
        (
            "{ generate = true, key_type = \"P-512\" }",
            "no kind of key that is generated",
        ),
        ("{ generate = \"yes\" }", "it must be `true` or `false`"),
        ("{ generate = true, days = 3 }", "days"),
    ] {
        let place = setup(&authority, &address, written).written();
        place.run(&["check"]).expect(1, "", expected);
    }
    let plain = setup(&authority, &address, "{ generate = true }").in_document("uri: https:", "uri: http:");
    plain
        .written()
        .run(&["check"])
        .expect(0, "", "calls its origin without TLS");
}

fn openssl(place: &Place, arguments: &[&str]) -> String {
    let mut command = std::process::Command::new("openssl");
    let output = command.args(arguments).current_dir(place.path("")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}
