use serde_json::{Value, json};

use crate::{CONFIG, PROXY, Place, SECRET};

fn place() -> Place {
    let place = Place::new();
    place.write("proxy.yaml", PROXY);
    place.write("portcullis.toml", CONFIG);
    place
}

const WITH_SECRET: [(&str, &str); 1] = [("APPROOV_SECRET", SECRET)];

#[test]
fn what_is_good_is_said_to_be() {
    let place = place();
    for arguments in [
        &["check", "proxy.yaml", "--variable", "origin=127.0.0.1:9000"][..],
        &["check", "--config", "portcullis.toml"],
        &[
            "check",
            "/x=proxy.yaml",
            "proxy.yaml",
            "--variable",
            "origin=127.0.0.1:9000",
            "--stage",
            "dev",
        ],
    ] {
        let said = place.run_with(arguments, "", &WITH_SECRET);
        said.expect(0, "0 errors, 0 warnings: ", "").expect(
            0,
            "env:APPROOV_SECRET looks like base64 and is read as base64: a key of 64 bytes",
            "",
        );
        assert_eq!(said.hides(&[SECRET]).err, "");
    }
}

#[test]
fn every_finding_comes_at_once_with_its_place() {
    let place = place();
    place.write(
        "proxy.yaml",
        &PROXY
            .replace("secretEncoding", "secretEncodng")
            .replace("passthroughBehavior", "passtroughBehavior"),
    );
    place.write(
        "portcullis.toml",
        &CONFIG.replace("mount", "muont").replace("127.0.0.1:8080", "localhost"),
    );
    let said = place.run_with(&["check", "--config", "portcullis.toml"], "", &WITH_SECRET);
    for finding in [
        "portcullis.toml:4:11: error: `localhost` is not an address and a port [bad-address]",
        "portcullis.toml:12:1: error: `apis.stages.muont` is unknown [unknown-key]\n    did you mean `mount`?",
        "proxy.yaml:14:9: error: ",
        "did you mean `secretEncoding`?",
        "proxy.yaml:28:9: error: ",
        "did you mean `passthroughBehavior`?",
    ] {
        said.expect(1, "4 errors, 0 warnings: nothing can be served from this", finding);
    }
    let lines: Vec<_> = said.err.lines().filter(|line| line.contains(": error: ")).collect();
    assert!(
        lines.is_sorted_by_key(|line| line.split(':').next().map(str::to_owned)),
        "by place: {lines:?}"
    );
}

#[test]
fn warnings_alone_are_no_failure_unless_denied() {
    let place = place();
    let arguments = ["check", "proxy.yaml", "--variable", "origin=origin.example"];
    let said = place.run_with(&arguments, "", &WITH_SECRET);
    said.expect(
        0,
        "0 errors, 1 warning: 1 API with 1 route can be served",
        "over plain HTTP to origin.example",
    );
    let denied = place.run_with(&[&arguments[..], &["--deny-warnings"]].concat(), "", &WITH_SECRET);
    denied.expect(1, "0 errors, 1 warning", "over plain HTTP");
    place
        .run_with(
            &[
                "check",
                "proxy.yaml",
                "--variable",
                "origin=127.0.0.1:1",
                "--deny-warnings",
            ],
            "",
            &WITH_SECRET,
        )
        .expect(0, "0 warnings", "");
}

#[test]
fn a_secret_that_is_not_here_or_weak_is_doubted_and_never_shown() {
    let place = place();
    let check = |secret: &str, out: &str, err: &str| {
        let environment = [("APPROOV_SECRET", secret)];
        let environment = if secret.is_empty() { &[][..] } else { &environment[..] };
        let said = place.run_with(&["check", "--config", "portcullis.toml"], "", environment);
        said.expect(0, out, err);
        if !secret.is_empty() {
            said.hides(&[secret]);
        }
    };
    check(
        "",
        "0 errors, 1 warning",
        "proxy.yaml:13:17: warning: the environment variable APPROOV_SECRET is not set",
    );
    check("aHVudGVyMmh1bnRlcjI=", "a key of 14 bytes", "HS256 needs at least 32");
    check(SECRET, "0 errors, 0 warnings", "");
    let text = "hunter2!hunter2!hunter2!hunter2!x";
    let said = place.run_with(
        &["check", "--config", "portcullis.toml"],
        "",
        &[("APPROOV_SECRET", text)],
    );
    said.expect(
        1,
        "1 error, 0 warnings: nothing can be served",
        "proxy.yaml:13:17: error: env:APPROOV_SECRET cannot be used as a key: the secret is not base64",
    );
    assert!(
        said.hides(&[text]).err.matches("not base64").count() == 1,
        "once: {said:?}"
    );
    place.write("proxy.yaml", &PROXY.replace("env:APPROOV_SECRET", "hunter2hunter2"));
    place
        .run("check --config portcullis.toml")
        .expect(1, "1 error", "[secret-in-document]")
        .hides(&["hunter2"]);
}

#[test]
fn findings_as_json_are_for_scripts() {
    let place = place();
    place.write("proxy.yaml", &PROXY.replace("HS256", "HS257"));
    let said = place.run_with(&["check", "--config", "portcullis.toml", "--json"], "", &WITH_SECRET);
    let answer: Value = serde_json::from_str(&said.expect(1, "", "").out).unwrap();
    assert_eq!((&answer["errors"], &answer["warnings"]), (&json!(1), &json!(0)));
    let finding = &answer["findings"][0];
    assert_eq!(
        (&finding["file"], &finding["line"], &finding["severity"]),
        (&json!("proxy.yaml"), &json!(12), &json!("error"))
    );
}

#[test]
fn what_cannot_be_read_is_named() {
    let place = place();
    place.run("check absent.yaml").expect(
        1,
        "1 error",
        "DOCUMENT: error: the document `absent.yaml` of the API `absent` cannot be read",
    );
    place
        .run("check --config absent.toml")
        .expect(2, "", "`absent.toml` cannot be read");
    place.write("portcullis.toml", &CONFIG.replace("proxy.yaml", "absent.yaml"));
    place.run("check --config portcullis.toml").expect(
        1,
        "1 error",
        "portcullis.toml:8:12: error: the document `absent.yaml`",
    );
    std::fs::write(place.path("proxy.yaml"), b"\xff\xfe").unwrap();
    place.run("check proxy.yaml").expect(1, "1 error", "it is not UTF-8");
    place.write("proxy.yaml", PROXY);
    place.run("check proxy.yaml").expect(1, "1 error", "origin");
    Place::new()
        .run("check")
        .expect(2, "", "no document is named, and there is no `portcullis.toml` here");
    place
        .run("check proxy.yaml --config portcullis.toml")
        .expect(2, "", "cannot be used with");
    place
        .run("check proxy.yaml --stage $default --variable a-b=c --variable origin=127.0.0.1")
        .expect(1, "2 errors", "--stage: error: ");
}

#[test]
fn files_that_the_gateway_would_open_are_looked_at() {
    let place = place();
    let check = |document: &str, config: &str, status: i32, finding: &str| {
        place.write("proxy.yaml", document);
        place.write("portcullis.toml", config);
        place
            .run_with(&["check", "--config", "portcullis.toml"], "", &WITH_SECRET)
            .expect(status, "", finding);
    };
    let stage = |line: &str| CONFIG.replace("mount = \"/\"", &format!("mount = \"/\"\n{line}"));
    let log = |path: &str| stage(&format!("access_log = {{ destination = \"file:{path}\" }}"));
    check(
        PROXY,
        &log("logs/access.log"),
        1,
        "portcullis.toml:11:8: error: the access log of stage `TEST` is to be in `logs`, which is no directory",
    );
    check(PROXY, &log("access.log"), 0, "");
    assert!(!place.path("access.log").exists(), "nothing is made by looking");

    let https = PROXY.replace("http://", "https://");
    check(
        &https,
        &stage("origin_roots = \"roots.pem\""),
        1,
        "portcullis.toml:11:8: error: stage `TEST` of `proxy`: the roots roots.pem cannot be read",
    );
    check(&https, CONFIG, 0, "");

    let jwks = PROXY
        .replace("HS256", "ES256")
        .replace("secret: env:APPROOV_SECRET", "jwks: file:jwks.json")
        .replace("        secretEncoding: base64\n", "");
    check(
        &jwks,
        CONFIG,
        0,
        "proxy.yaml:5:5: warning: authoriser `Approov`: jwks.json cannot be read",
    );
    place.write("jwks.json", "{}");
    check(
        &jwks,
        CONFIG,
        1,
        "proxy.yaml:5:5: error: authoriser `Approov`: jwks.json is no usable JWK set",
    );
    let key = portcullis_jose::SigningKey::generate(portcullis_jose::Algorithm::ES256).unwrap();
    place.write("jwks.json", &json!({"keys": [key.public_jwk().unwrap()]}).to_string());
    check(&jwks, CONFIG, 0, "");
}
