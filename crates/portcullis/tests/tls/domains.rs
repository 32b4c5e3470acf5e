//! Domains with certificates and client certificates of their own.

use portcullis_testkit::{Authority, Identity, try_curl};

use crate::{
    setup::{origin, serving},
    support::Running,
};

const DOMAINS: &str = "[[domains]]
name = \"bank.example.com\"
certificate = { certificate = \"bank.pem\", key = \"bank.key\" }
client_certificates = { mode = \"require\", truststore = \"clients.pem\" }
mappings = [{ base_path = \"/\", api = \"proxy\", stage = \"TEST\" }]

[[domains]]
name = \"*.example.com\"
mappings = [{ base_path = \"/\", api = \"proxy\", stage = \"TEST\" }]

[metrics]";

/// The status of a call that asks for `name` in the handshake and for `host` behind it.
fn status(running: &Running, root: &Authority, name: &str, host: &str, client: Option<&Identity>) -> Option<u16> {
    let port = running.gateway.address().port();
    let roots = running.place.write("roots.pem", root.pem()).display().to_string();
    let (url, resolve) = (
        format!("https://{name}:{port}/a.txt"),
        format!("{name}:{port}:127.0.0.1"),
    );
    let host = format!("Host: {host}");
    let mut arguments = vec!["--cacert", &roots, "--resolve", &resolve, "-H", &host, &url];
    let paths = client.map(|client| client.write(&running.place.path(""), "client"));
    let paths = paths.map(|(certificate, key)| [certificate, key].map(|path| path.display().to_string()));
    if let Some([certificate, key]) = &paths {
        arguments.extend(["--cert", certificate, "--key", key]);
    }
    try_curl(&arguments).ok().map(|answer| answer.status)
}

#[test]
fn a_domain_that_asks_for_certificates_is_not_reached_around_them() {
    let root = Authority::root("Root");
    let ours = Authority::root("Clients");
    let origin = origin();
    let setup = serving(&origin, &[&root.server(&["localhost", "*.example.com"])], "").in_config("[metrics]", DOMAINS);
    root.server(&["bank.example.com"]).write(&setup.place.path(""), "bank");
    let running = setup.file("clients.pem", ours.pem()).start();
    let (ann, stranger) = (ours.client("ann"), root.client("stranger"));
    let (bank, shop) = ("bank.example.com", "shop.example.com");
    for (name, host, client, expected) in [
        (bank, bank, Some(&ann), Some(200)),
        (bank, bank, None, None),
        (bank, bank, Some(&stranger), None),
        (shop, shop, None, Some(200)),
        // Around the certificate by another name in the handshake, or by none that is known.
        (shop, bank, None, Some(421)),
        (shop, "BANK.example.com.", None, Some(421)),
        ("localhost", bank, None, Some(421)),
        // Nor does a certificate that one domain asked for count at another, where it could be taken for consent.
        (bank, shop, Some(&ann), Some(421)),
        // Names that ask for the same may share a connection.
        (shop, "other.example.com", None, Some(200)),
    ] {
        assert_eq!(
            status(&running, &root, name, host, client),
            expected,
            "{name} then {host}"
        );
    }
    running.stop();
}

#[test]
fn what_a_domain_cannot_have_is_refused_with_its_place() {
    let root = Authority::root("Root");
    let origin = origin();
    let domain = |certificate: &Identity| {
        let setup = serving(&origin, &[&root.server(&["localhost"])], "").in_config("[metrics]", DOMAINS);
        certificate.write(&setup.place.path(""), "bank");
        setup.file("clients.pem", root.pem())
    };
    let place = domain(&root.server(&["bank.example.com"])).written();
    place.run(&["check"]).expect(0, "0 errors", "");
    let place = domain(&root.server(&["other.example.com"])).written();
    let message = "the certificate in `bank.pem` is not for `bank.example.com` [certificate-for-others]";
    place.run(&["check"]).expect(1, "1 error", message);
    let plain = domain(&root.server(&["bank.example.com"]))
        .in_config("[[apis]]", "[[listeners]]\naddress = \"127.0.0.1:0\"\n\n[[apis]]")
        .written();
    let message = "speaks no TLS: whoever calls there is not asked [clients-not-asked]";
    plain.run(&["check"]).expect(1, "1 error", message);
}
