use crate::{Place, mode};

#[test]
fn a_generated_secret_is_private_and_never_overwritten() {
    let place = Place::new();
    place
        .run("secret generate --out s")
        .expect(0, "", "a new secret is in `s`")
        .hides(&[place.read("s").trim()]);
    assert_eq!(mode(&place.path("s")), 0o600);
    let before = place.read("s");
    assert_eq!(before.trim().len(), 88, "64 bytes as base64");

    place
        .run("secret generate --out s")
        .expect(2, "", "`s` is already there and is never overwritten");
    assert_eq!(place.read("s"), before);
    place
        .run("secret generate --out no/s")
        .expect(2, "", "create its directory first");
}

#[test]
fn secrets_differ_and_are_printed_alone() {
    let place = Place::new();
    let mut seen = std::collections::BTreeSet::new();
    for (encoding, length) in [("base64", 88), ("raw", 64), ("base64", 88), ("raw", 64)] {
        let said = place.run(&format!("secret generate --encoding {encoding}"));
        said.expect(0, "", "");
        assert_eq!(
            (said.out.lines().count(), said.out.trim().len(), said.err.as_str()),
            (1, length, "")
        );
        assert!(seen.insert(said.out));
    }
    place
        .run("secret generate --encoding hex")
        .expect(2, "", "possible values: base64, raw");
}
