//! Certificates, truststores and lists that cannot be served: each refused with its place and a way out.

use std::process::Command;

use portcullis_testkit::{Authority, Identity, Leaf};

use crate::{
    setup::{origin, setup},
    support::Setup,
};

const PAIR: &str = "certificates = [{ certificate = \"s.pem\", key = \"s.key\" }]";

/// What `check` says of this certificate and key; `serve` must not serve where it finds errors.
#[track_caller]
fn check(certificate: &str, key: &str, expected: Option<&str>) {
    let origin = origin();
    let place = setup(&origin, PAIR)
        .file("s.pem", certificate)
        .file("s.key", key)
        .written();
    match expected {
        None => {
            place.run(&["check"]).expect(0, "0 errors, 0 warnings", "");
        }
        Some(code) => {
            let said = place.run(&["check"]);
            said.expect(1, "1 error", &format!("[{code}]"))
                .expect(1, "", "portcullis.toml:6:");
            place.run(&["serve"]).expect(2, "", &format!("[{code}]"));
        }
    }
}

fn openssl(arguments: &[&str], input: &str) -> String {
    let place = crate::support::Place::new();
    let file = place.write("input", input).display().to_string();
    let output = Command::new("openssl")
        .args(arguments)
        .args(["-in", &file])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn key_pairs_that_cannot_be_served() {
    let root = Authority::root("Root");
    let below = root.intermediate("Below");
    let good = root.server(&["localhost"]);
    let (chained, other) = (below.server(&["localhost"]), root.server(&["localhost"]));
    let old = root.issue(&Leaf::server(&["localhost"]).between(-7_200, -3_600));
    let early = root.issue(&Leaf::server(&["localhost"]).between(3_600, 86_400 * 60));
    check(good.chain(), good.key(), None);
    check(chained.chain(), chained.key(), None);
    check(&(chained.chain().to_owned() + &root.pem()), chained.key(), None);
    check(
        Identity::self_signed(&Leaf::server(&["localhost"])).chain(),
        good.key(),
        Some("key-mismatch"),
    );
    check(good.chain(), other.key(), Some("key-mismatch"));
    check(old.chain(), old.key(), Some("certificate-expired"));
    check(early.chain(), early.key(), Some("certificate-early"));
    check("", good.key(), Some("certificate-missing"));
    check(good.key(), good.key(), Some("certificate-missing"));
    check(good.chain(), "", Some("key-missing"));
    check(good.chain(), good.chain(), Some("key-missing"));
    check(
        &good.chain()[..good.chain().len() - 60],
        good.key(),
        Some("certificate-not-pem"),
    );
    check(
        &(good.chain().to_owned() + chained.chain()),
        good.key(),
        Some("certificate-order"),
    );
    check(
        &(below.pem() + chained.chain()),
        chained.key(),
        Some("certificate-order"),
    );
    let encrypted = openssl(&["pkcs8", "-topk8", "-passout", "pass:secret"], good.key());
    check(good.chain(), &encrypted, Some("key-encrypted"));
    let traditional = openssl(&["ec", "-aes128", "-passout", "pass:secret"], good.key());
    check(good.chain(), &traditional, Some("key-encrypted"));
    // The same key in its older form is as good.
    check(good.chain(), &openssl(&["ec"], good.key()), None);
    // Soon to end: a warning.
    let soon = root.issue(&Leaf::server(&["localhost"]).between(-3_600, 86_400 * 5 - 600));
    let origin = origin();
    let place = setup(&origin, PAIR).written();
    soon.write(&place.path(""), "s");
    place
        .run(&["check"])
        .expect(0, "0 errors, 1 warning", "expires in 4 days");
    // Not there at all.
    std::fs::remove_file(place.path("s.key")).unwrap();
    place.run(&["check"]).expect(1, "1 error", "[file-unreadable]");
}

#[test]
fn truststores_and_lists_that_cannot_be_used() {
    let root = Authority::root("Root");
    let ours = Authority::root("Clients");
    let good = root.server(&["localhost"]);
    let origin = origin();
    let asking = |lines: &str, truststore: &str, list: &str| -> Setup {
        let setup = setup(
            &origin,
            &format!("{PAIR}\n[listeners.tls.client_certificates]\n{lines}"),
        );
        good.write(&setup.place.path(""), "s");
        setup.file("clients.pem", truststore).file("clients.crl", list)
    };
    let check = |lines: &str, truststore: &str, list: &str, status: i32, said: &str| {
        let place = asking(lines, truststore, list).written();
        place.run(&["check"]).expect(status, "", said);
    };
    let trusting = "mode = \"require\"\ntruststore = \"clients.pem\"";
    let listed = format!("{trusting}\nrevocation_lists = [\"clients.crl\"]");
    let (pem, list) = (ours.pem(), ours.revocation_list(&[]));
    check(trusting, &pem, "", 0, "");
    check(&listed, &pem, &list, 0, "");
    check(
        trusting,
        &pem[..pem.len() - 40],
        "",
        1,
        "portcullis.toml:9:14: error: `clients.pem`: it is not PEM, or it was cut off [truststore-unusable]",
    );
    check(trusting, "", "", 1, "it holds nothing in PEM [truststore-unusable]");
    check(&listed, &pem, "no list", 1, "[revocation-list-unusable]");
    check(&listed, &pem, &list[..list.len() - 40], 1, "[revocation-list-unusable]");
    let outdated = ours.revocation_list_until(&[], -60);
    check(
        &listed,
        &pem,
        &outdated,
        0,
        "certificates of its issuer are refused until there is a new one [revocation-list-outdated]",
    );
    let counted = format!("{listed}\noutdated_revocation_lists = \"allow\"");
    check(&counted, &pem, &outdated, 0, "it counts all the same");
    check(&listed, &pem, &root.revocation_list(&[]), 0, "[revocation-list-unused]");
    check(
        &listed,
        &(pem.clone() + &root.pem()),
        &list,
        0,
        "`CN=Root` has no revocation list",
    );
    check(trusting, good.chain(), "", 0, "[truststore-no-authority]");
    // The configuration itself.
    check("mode = \"require\"", &pem, "", 1, "truststore` is missing");
    check("truststore = \"clients.pem\"", &pem, "", 1, "mode` is missing");
    check(
        "mode = \"always\"",
        &pem,
        "",
        1,
        "write \"any\" or \"request\" or \"require\"",
    );
    check(
        &format!("{trusting}\nrevocation_depth = \"1\""),
        &pem,
        "",
        1,
        "write \"chain\" or \"end_entity\"",
    );
    check(
        "mode = \"any\"\ntruststore = \"clients.pem\"",
        &pem,
        "",
        1,
        "has no meaning with `mode = \"any\"`",
    );
    check(
        &format!("{trusting}\nresponder = \"http://ocsp.example.com\""),
        &pem,
        "",
        1,
        "is unknown",
    );
}
