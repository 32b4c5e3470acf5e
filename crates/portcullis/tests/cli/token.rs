use portcullis_jose::{Algorithm, SigningKey, issue};
use serde_json::{Value, json};

use crate::{Place, Said};

/// base64 of 31 bytes of text.
const SECRET: &str = "dGhpcyBpcyBub3QgYSBzZWNyZXQgdG8gYW55b25lIQ==";

fn place() -> Place {
    let place = Place::new();
    place.write("s", SECRET);
    std::process::Command::new("chmod")
        .args(["600", "s"])
        .current_dir(place.path(""))
        .status()
        .unwrap();
    place
}

#[track_caller]
fn token(said: &Said) -> String {
    said.expect(0, "", "").hides(&[SECRET]);
    assert_eq!(said.out.lines().count(), 1, "the token stands alone: {said:?}");
    said.out.trim().to_owned()
}

#[test]
fn an_issued_token_is_valid_and_says_what_was_asked_for() {
    let place = place();
    let arguments = [
        "token",
        "issue",
        "--secret",
        "file:s",
        "--issuer",
        "Monitor",
        "--subject",
        "app",
        "--audience",
        "a",
        "--audience",
        "b",
        "--expires",
        "10y",
        "--claim",
        "level=3",
        "--claim",
        "name=Ann Lee",
        "--claim",
        "amr=[\"pwd\"]",
        "--claim",
        "text=\"3\"",
        "--claim",
        "id=007",
    ];
    let said = place.run_with(&arguments, "", &[]);
    said.expect(0, "", "looks like base64 and is read as such").expect(
        0,
        "",
        "good for 10 years: give it to a server you trust",
    );
    let token = token(&said);

    let checked = place.run_with(
        &[
            "token",
            "check",
            "-",
            "--secret",
            "file:s",
            "--issuer",
            "Monitor",
            "--audience",
            "b",
            "--json",
        ],
        &token,
        &[],
    );
    let answer: Value = serde_json::from_str(&checked.expect(0, "", "").out).unwrap();
    assert_eq!(answer["valid"], json!(true));
    let claims = answer["claims"].as_object().unwrap();
    let life = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert_eq!(life, 10 * 365 * 86_400);
    let mut rest = claims.clone();
    rest.remove("exp");
    rest.remove("iat");
    let expected = json!({
        "iss": "Monitor", "sub": "app", "aud": ["a", "b"], "level": 3, "name": "Ann Lee", "amr": ["pwd"], "text": "3", "id": "007"
    });
    assert_eq!(Value::Object(rest), expected);

    let plain = place.run(&format!("token check {token} --secret file:s"));
    plain
        .expect(0, "\"iss\": \"Monitor\"", "")
        .expect(0, "valid until 20", "")
        .expect(0, " more", "")
        .hides(&[SECRET, &token]);
}

#[test]
fn a_refused_token_says_why() {
    let place = place();
    let good = token(&place.run("token issue --secret file:s --audience me"));
    let flipped = good.replace(good.rsplit('.').next().unwrap(), "AAAA");
    let check = |options: &str, token: &str, status: i32, reason: &str| {
        let line = format!("token check - --secret file:s {options}");
        let arguments: Vec<_> = line.split_whitespace().collect();
        place
            .run_with(&arguments, token, &[])
            .expect(status, reason, "")
            .hides(&[SECRET, token]);
    };
    check("", &good, 0, "valid until ");
    check("--audience me", &good, 0, "valid until ");
    check("", &format!("  {good}\n"), 0, "valid until ");
    check("", &flipped, 1, "invalid: the signature is wrong");
    check("", "nonsense", 1, "invalid: the token does not have three segments");
    check(
        "",
        &"x".repeat(17_000),
        1,
        "invalid: the token is longer than 16384 bytes",
    );
    check("--issuer Monitor", &good, 1, "invalid: the issuer does not match");
    check(
        "--audience you",
        &good,
        1,
        "invalid: the token does not have a valid audience",
    );
    check(
        "--algorithm HS512",
        &good,
        1,
        "invalid: the signature algorithm is not allowed",
    );
    check("--secret-encoding raw", &good, 1, "invalid: the signature is wrong");
    place
        .run_with(&["token", "check", "-", "--secret", "file:s"], &"x".repeat(20_000), &[])
        .expect(2, "", "standard input has more than");
}

#[test]
fn a_token_out_of_time_still_tells_its_claims() {
    let place = place();
    let key = SigningKey::hmac(
        &portcullis_core::Secret::new(SECRET.into()),
        portcullis_jose::SecretEncoding::Base64,
        Algorithm::HS256,
    )
    .unwrap();
    let make = |claims: Value| issue(claims.as_object().unwrap(), &key, None).unwrap();
    let check = |claims: Value, options: &str, status: i32, reason: &str| {
        let line = format!("token check {} --secret file:s {options}", make(claims));
        place
            .run(&line)
            .expect(status, reason, "")
            .expect(status, "\"sub\": \"me\"", "");
    };
    check(
        json!({"sub": "me", "exp": 1_500_000_000}),
        "",
        1,
        "invalid: the token has expired at 2017-07-14T02:40:00Z, ",
    );
    check(
        json!({"sub": "me", "exp": 32_503_680_000_i64, "nbf": 4_000_000_000_i64}),
        "",
        1,
        "invalid: the token is not yet valid before 2096-10-02T07:06:40Z",
    );
    check(
        json!({"sub": "me", "exp": 32_503_680_000_i64}),
        "",
        0,
        "valid until 3000-01-01T00:00:00Z",
    );
    check(
        json!({"sub": "me"}),
        "--allow-no-expiry",
        0,
        "valid, and it never expires",
    );
    let line = format!("token check {} --secret file:s", make(json!({"sub": "me"})));
    place.run(&line).expect(1, "invalid: the token has no expiry", "");
}

#[test]
fn public_keys_check_as_well() {
    let place = place();
    let key = SigningKey::generate(Algorithm::ES256).unwrap();
    let claims = json!({"exp": 32_503_680_000_i64});
    let token = issue(claims.as_object().unwrap(), &key, None).unwrap();
    let jwks = |key: &SigningKey| {
        json!({"keys": [key.public_jwk().unwrap(), {"kty": "oct", "kid": "x", "k": "AAAA"}]}).to_string()
    };
    place.write("jwks.json", &jwks(&key));
    place.write("other.json", &jwks(&SigningKey::generate(Algorithm::ES256).unwrap()));
    place.write("broken.json", "{}");
    place.run(&format!("token check {token} --jwks jwks.json")).expect(
        0,
        "valid until",
        "key 1 (`x`) is not used: it is a symmetric key",
    );
    place
        .run(&format!("token check {token} --jwks other.json"))
        .expect(1, "invalid: the signature is wrong", "");
    place.run(&format!("token check {token} --jwks broken.json")).expect(
        2,
        "",
        "`broken.json`: the JWK set has no array `keys`",
    );
    place
        .run(&format!("token check {token} --jwks absent.json"))
        .expect(2, "", "`absent.json` cannot be read");
    place
        .run(&format!("token check {token} --jwks jwks.json --secret file:s"))
        .expect(2, "", "cannot be used with");
    place.run(&format!("token check {token}")).expect(2, "", "--secret");
}

#[test]
fn secrets_come_by_reference_from_where_they_are_safe() {
    let place = place();
    let line = |reference: &str| format!("token issue --secret {reference}");
    place.run(&line("file:s")).expect(0, "eyJ", "");
    place
        .run(&line("file:absent"))
        .expect(2, "", "portcullis secret generate --out FILE");
    place
        .run(&line("env:PORTCULLIS_TEST_UNSET"))
        .expect(2, "", "export PORTCULLIS_TEST_UNSET=");
    let from_environment = place.run_with(
        &["token", "issue", "--secret", "env:TEST_SECRET"],
        "",
        &[("TEST_SECRET", SECRET)],
    );
    from_environment.expect(0, "eyJ", "").hides(&[SECRET]);
    place
        .run(&line("hunter2hunter2"))
        .expect(2, "", "a secret is given by reference")
        .hides(&["hunter2"]);
    place.write("empty", "\n");
    place.run(&line("file:empty")).expect(2, "", "empty is empty");

    place.write("public", SECRET);
    std::process::Command::new("chmod")
        .args(["644", "public"])
        .current_dir(place.path(""))
        .status()
        .unwrap();
    place
        .run(&line("file:public"))
        .expect(0, "eyJ", "can be read by other users: `chmod 600 public`");
    place.write("weak", "hunter2");
    place
        .run(&line("file:weak"))
        .expect(0, "eyJ", "HS256 needs at least 32")
        .hides(&["hunter2"]);
    place
        .run(&format!("{} --secret-encoding base64", line("file:weak")))
        .expect(0, "", "")
        .hides(&["hunter2"]);
    place.write("odd", "not base64!");
    place
        .run(&format!("{} --secret-encoding base64", line("file:odd")))
        .expect(2, "", "not base64")
        .hides(&["not base64!"]);
}

#[test]
fn what_cannot_be_issued_is_refused() {
    let place = place();
    let check = |options: &str, reason: &str| {
        place
            .run(&format!("token issue --secret file:s {options}"))
            .expect(2, "", reason)
            .hides(&[SECRET, "eyJ"]);
    };
    check("--expires 26y", "more than 25 years is refused");
    check("--expires soon", "write a number and a unit");
    check("--claim exp=1", "use --expires");
    check("--claim a=1 --claim a=2", "`a` is given twice");
    check("--claim a", "write NAME=VALUE");
    check("--algorithm none", "unknown signature algorithm");
    check("--algorithm RS256", "RS256 works with another kind of key");
    place
        .run("token issue --secret file:s --expires 25y --claim a=1 --algorithm HS384")
        .expect(0, "eyJ", "");
    place.run("token issue").expect(2, "", "--secret <REFERENCE>");
}

#[test]
fn the_guess_of_the_encoding_agrees_between_issue_and_check() {
    let place = Place::new();
    for encoding in ["base64", "raw"] {
        place
            .run(&format!("secret generate --encoding {encoding} --out {encoding}"))
            .expect(0, "", "");
        let guessed = token_of(&place, &format!("token issue --secret file:{encoding}"));
        place
            .run(&format!(
                "token check {guessed} --secret file:{encoding} --secret-encoding {encoding}"
            ))
            .expect(0, "valid until", "");
    }
}

fn token_of(place: &Place, line: &str) -> String {
    place.run(line).out.trim().to_owned()
}
