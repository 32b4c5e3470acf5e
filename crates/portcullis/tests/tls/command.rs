//! `portcullis certificate`, against OpenSSL's own reading.

use portcullis_testkit::{Authority, Leaf};

use crate::support::Place;

#[test]
fn pins_are_those_that_openssl_computes() {
    let root = Authority::root("Root");
    for leaf in [
        Leaf::server(&["api.example.com"]),
        Leaf::server(&["api.example.com"]).rsa(),
    ] {
        let place = Place::new();
        root.issue(&leaf).write(&place.path(""), "api");
        let digest = "openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64";
        let expected = place.shell(&format!("openssl x509 -in api.pem -noout -pubkey | {digest}"));
        let pin = format!("sha256/{}", expected.out.trim());
        let said = place.run(&["certificate", "pins", "api.pem", "api.key"]);
        said.expect(0, &format!("{pin}  api.pem  CN=api.example.com\n"), "");
        said.expect(0, &format!("{pin}  api.key  private key\n"), "");
        // The public key alone, and what comes by standard input.
        place
            .shell("openssl pkey -in api.key -pubout -out api.pub")
            .expect(0, "", "");
        place
            .run(&["certificate", "pins", "api.pub"])
            .expect(0, &format!("{pin}  api.pub  public key"), "");
        place
            .run_with(&["certificate", "pins", "-"], &place.read("api.pem"))
            .expect(0, &pin, "");
        // No key ever shows.
        let key = place.read("api.key");
        let line = key.lines().nth(1).unwrap();
        assert!(!said.out.contains(line) && !said.err.contains(line));
        // What a configuration serves.
        place.write(
            "portcullis.toml",
            "[[listeners]]\naddress = \"127.0.0.1:0\"\n[listeners.tls]\ncertificates = [{ certificate = \"api.pem\", key = \"api.key\" }]\n",
        );
        place
            .run(&["certificate", "pins", "--config", "portcullis.toml"])
            .expect(0, &pin, "");
    }
}

#[test]
fn what_is_no_certificate_is_said_to_be_none() {
    let place = Place::new();
    let identity = Authority::root("Root").server(&["localhost"]);
    identity.write(&place.path(""), "s");
    place.write("empty.pem", "");
    place.write("torn.pem", &identity.chain()[..200]);
    place
        .shell("openssl pkcs8 -topk8 -passout pass:x -in s.key -out encrypted.key")
        .expect(0, "", "");
    place
        .run(&["certificate", "pins", "empty.pem"])
        .expect(2, "", "neither a certificate nor a key");
    place
        .run(&["certificate", "pins", "torn.pem"])
        .expect(2, "", "it is not PEM, or it was cut off");
    place
        .run(&["certificate", "pins", "encrypted.key"])
        .expect(2, "", "a private key in it is encrypted");
    place
        .run(&["certificate", "pins", "absent.pem"])
        .expect(2, "", "cannot be read");
    place.run(&["certificate", "pins"]).expect(2, "", "required");
}

#[test]
fn what_a_certificate_says_is_shown() {
    let place = Place::new();
    let leaf = Leaf {
        organization: Some("Example, Ltd".to_owned()),
        ..Leaf::server(&["api.example.com", "*.example.org", "127.0.0.1"])
    };
    Authority::root("Root").issue(&leaf).write(&place.path(""), "s");
    let said = place.run(&["certificate", "show", "s.pem"]);
    said.expect(0, "subject   O=Example\\, Ltd,CN=api.example.com\n", "");
    said.expect(0, "issuer    CN=Root\n", "")
        .expect(0, "names     api.example.com, *.example.org, 127.0.0.1\n", "");
    said.expect(0, ", valid\n", "")
        .expect(0, "key       P-256\n", "")
        .expect(0, "authority no\n", "");
    let serial =
        place.shell("openssl x509 -in s.pem -noout -serial | sed 's/serial=//' | tr A-F a-f | sed 's/../&:/g; s/:$//'");
    said.expect(0, &format!("serial    {}\n", serial.out.trim()), "");
    let digest = place.shell("openssl x509 -in s.pem -outform der | openssl dgst -sha256 -r | cut -d' ' -f1");
    said.expect(0, &format!("sha256    {}\n", digest.out.trim()), "");
}
