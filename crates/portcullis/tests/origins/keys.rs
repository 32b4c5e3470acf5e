//! Keys that come from elsewhere: down, huge, full of duplicates, and back again.

use portcullis_core::{Clock, SystemClock};
use portcullis_jose::{Algorithm, SigningKey, issue};
use portcullis_testkit::{Origin, ReservedPort, Step, Stream};
use serde_json::{Value, json};

use crate::support::{EXPLICIT_DENY, Running, Setup, ok, poll};

fn jwk(key: &SigningKey, kid: &str) -> Value {
    let mut jwk = key.public_jwk().unwrap();
    jwk["kid"] = kid.into();
    jwk
}

fn token(key: &SigningKey, kid: Option<&str>) -> String {
    let exp = SystemClock.now().unix_seconds() + 600;
    issue(json!({"sub": "a", "exp": exp}).as_object().unwrap(), key, kid).unwrap()
}

/// A gateway whose tokens are verified with the keys at `jwks`.
#[track_caller]
fn serve(origin: &Origin, jwks: &str) -> Running {
    setup(origin, jwks).start()
}

fn setup(origin: &Origin, jwks: &str) -> Setup {
    Setup::new(origin.address())
        .in_document("[HS256]", "[ES256]")
        .in_document("secret: env:APPROOV_SECRET ", &format!("jwks: {jwks:?} "))
        .in_document("        secretEncoding: base64                # or raw\n", "")
}

#[test]
fn keys_that_cannot_be_had_let_nobody_in_and_stop_nothing_else() {
    let key = SigningKey::generate(Algorithm::ES256).unwrap();
    let down = ReservedPort::new();
    let huge = Origin::answering(ok(
        &json!({"keys": [jwk(&key, "a")], "x": "x".repeat(160_000)}).to_string()
    ));
    let endless = Origin::scripted(vec![vec![
        Step::ReadRequest,
        Step::Send([b"HTTP/1.1 200 OK\r\n\r\n{\"keys\": [".to_vec(), vec![b' '; 1 << 20]].concat()),
        Step::Hang,
    ]]);
    let hanging = Origin::hanging();
    let wrong = Origin::ok("<html>not the keys</html>");
    let moved = Origin::answering("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n");
    for (address, reason) in [
        (down.address(), "could not connect: connection refused"),
        (huge.address(), "the answer is larger than 150000 bytes"),
        (endless.address(), "the answer is larger than 150000 bytes"),
        (hanging.address(), "could not be fetched"), // which of two deadlines says so is a race
        (wrong.address(), "no usable JWK set"),
        (moved.address(), "the answer's status is 302"),
    ] {
        let origin = Origin::ok("hello");
        let running = serve(&origin, &format!("http://{address}/keys"));
        let answer = running.call_with("/a", &token(&key, Some("a")));
        assert_eq!((answer.status, answer.text()), (500, "{\"message\":null}"));
        assert_eq!(answer.header("x-amzn-errortype"), Some("AuthorizerFailureException"));
        running
            .gateway
            .child()
            .wait_for_line(Stream::Stderr, 0, |line| line.contains(reason));
        assert_eq!(
            running.call("/a", &[]).status,
            401,
            "who brings no token is told so as ever"
        );
        assert_eq!(origin.connection_count(), 0);
        assert_eq!(running.probe("/readyz").status, 200);
        running.stop();
    }
}

#[test]
fn keys_are_fetched_once_and_outlive_their_origin() {
    let key = SigningKey::generate(Algorithm::ES256).unwrap();
    let keys = Origin::scripted(vec![
        vec![
            Step::ReadRequest,
            Step::Send(ok(&json!({"keys": [jwk(&key, "a")]}).to_string())),
            Step::Close,
        ],
        vec![Step::Reset],
    ]);
    let origin = Origin::ok("hello");
    let running = serve(&origin, &format!("http://{}/keys", keys.address()));
    for _ in 0..5 {
        assert_eq!(running.call_with("/a", &token(&key, Some("a"))).text(), "hello");
    }
    let stranger = SigningKey::generate(Algorithm::ES256).unwrap();
    assert_eq!(
        running.call_with("/a", &token(&stranger, Some("a"))).text(),
        EXPLICIT_DENY
    );
    assert_eq!(
        running.call_with("/a", &token(&stranger, Some("b"))).text(),
        EXPLICIT_DENY
    );
    assert_eq!(running.call_with("/a", &token(&key, Some("a"))).text(), "hello");
    assert_eq!(keys.requests().len(), 1);
    running.stop();
}

#[test]
fn a_file_of_keys_is_watched_and_duplicates_are_sorted_out() {
    let (first, second) = (
        SigningKey::generate(Algorithm::ES256).unwrap(),
        SigningKey::generate(Algorithm::ES256).unwrap(),
    );
    let origin = Origin::ok("hello");
    let write = |keys: &[Value]| json!({ "keys": keys }).to_string();
    let mut duplicates = vec![jwk(&first, "a"); 50];
    duplicates.push(json!({"kty": "OKP", "crv": "X25519", "x": "AA", "kid": "a"}));
    let running = setup(&origin, "file:keys.json")
        .file("keys.json", write(&duplicates))
        .start();
    assert_eq!(running.call_with("/a", &token(&first, Some("a"))).status, 200);
    assert_eq!(running.call_with("/a", &token(&second, Some("b"))).status, 403);
    // A broken file changes nothing; a good one does.
    running.place.write("keys.json", "{\"keys\": [");
    running
        .gateway
        .child()
        .wait_for_line(Stream::Stderr, 0, |line| line.contains("the old ones stay"));
    assert_eq!(running.call_with("/a", &token(&first, Some("a"))).status, 200);
    running.place.write("new.json", write(&[jwk(&second, "b")]));
    std::fs::rename(running.place.path("new.json"), running.place.path("keys.json")).unwrap();
    poll(
        || running.call_with("/a", &token(&second, Some("b"))).status,
        |status| *status == 200,
    );
    assert_eq!(running.call_with("/a", &token(&first, Some("a"))).status, 403);
    running.stop();
}
