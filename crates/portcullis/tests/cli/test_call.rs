use portcullis_testkit::Origin;
use serde_json::{Value, json};

use crate::{CONFIG, PROXY, Place, SECRET, Said};

fn call(place: &Place, arguments: &[&str], stdin: &str) -> Said {
    place.run_with(&[&["test"], arguments].concat(), stdin, &[("APPROOV_SECRET", SECRET)])
}

fn place(origin: &Origin) -> Place {
    let place = Place::new();
    place.write("proxy.yaml", PROXY);
    let config = CONFIG.replace("127.0.0.1:9000", &origin.address().to_string());
    place.write(
        "portcullis.toml",
        &config.replace(
            "mount = \"/\"",
            "mount = \"/\"\naccess_log = { destination = \"file:access.log\" }",
        ),
    );
    place
}

fn token(place: &Place) -> String {
    let said = place.run_with(
        &["token", "issue", "--secret", "env:APPROOV_SECRET"],
        "",
        &[("APPROOV_SECRET", SECRET)],
    );
    format!("Approov-Token: {}", said.out.trim())
}

#[test]
fn a_call_shows_its_way_and_its_answer() {
    let origin = Origin::ok("hello");
    let place = place(&origin);
    let token = token(&place);
    let said = call(&place, &["GET", "/example.json?a=b", "--header", &token], "");
    said.expect(0, "HTTP/1.1 200 OK", "")
        .expect(0, "\n\nhello\n", "")
        .hides(&[SECRET, &token]);
    let steps = [
        "receive",
        "locate",
        "shield",
        "route",
        "preflight",
        "resource policy",
        "authenticate",
        "authorise",
        "throttle",
        "cache",
        "integrate",
    ];
    let found: Vec<_> = said.out.lines().take(steps.len()).collect();
    for (line, step) in found.iter().zip(steps) {
        assert!(line.contains(&format!("µs  passed   {step}")), "{step} in `{line}`");
    }
    said.expect(
        0,
        "allowed by statement 0 of the caller's policy: Allow execute-api:Invoke",
        "",
    );
    assert_eq!(origin.requests()[0].request_line(), "GET /example.json?a=b HTTP/1.1");
    assert!(!place.path("access.log").exists(), "the call is not logged");
    assert!(!place.path("state").exists(), "nor does it take the data directory");
}

#[test]
fn a_refusal_ends_the_way_with_its_reason() {
    let origin = Origin::ok("hello");
    let place = place(&origin);
    let said = call(&place, &["GET", "/example.json", "--json"], "");
    let answer: Value = serde_json::from_str(&said.expect(1, "", "").out).unwrap();
    assert_eq!(
        (&answer["status"], &answer["body"]),
        (&json!(401), &json!("{\"message\":\"Unauthorized\"}"))
    );
    let last = answer["steps"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&last["step"], &last["passed"]),
        (&json!("authenticate"), &json!(false))
    );
    assert!(last["micros"].is_u64());
    call(&place, &["GET", "/a/../b"], "").expect(1, "refused  receive", "");
    assert_eq!(origin.requests().len(), 0);
}

#[test]
fn a_body_a_source_and_a_document_can_be_given() {
    let origin = Origin::ok("hello");
    let place = place(&origin);
    let token = token(&place);
    let variable = format!("origin={}", origin.address());
    let arguments = [
        "POST",
        "/a",
        "--document",
        "proxy.yaml",
        "--variable",
        &variable,
        "--header",
        &token,
        "--header",
        "Content-Type: text/plain",
        "--body",
        "-",
        "--source-ip",
        "203.0.113.7",
    ];
    call(&place, &arguments, "some text").expect(0, "hello", "");
    let received = &origin.requests()[0];
    assert_eq!(
        (received.request_line(), &received.body[..]),
        ("POST /a HTTP/1.1", &b"some text"[..])
    );
    assert_eq!(received.header("x-forwarded-for"), Some("203.0.113.7"));
    assert_eq!(received.header("content-type"), Some("text/plain"));
}

#[test]
fn what_cannot_be_called_is_refused() {
    let origin = Origin::ok("hello");
    let place = place(&origin);
    call(&place, &["GET", "a"], "").expect(2, "", "`a` does not begin with a slash");
    call(&place, &["GET", "/a b"], "").expect(2, "", "TARGET: ");
    call(&place, &["GET", "/a", "--header", "x"], "").expect(2, "", "write `NAME: VALUE`");
    call(&place, &["GET", "/a", "--body", "absent"], "").expect(2, "", "`absent` cannot be read");
    call(&place, &["GET", "/a", "--document", "proxy.yaml"], "").expect(2, "", "nothing can be served from this");
    call(
        &place,
        &["GET", "/a", "--document", "proxy.yaml", "--config", "portcullis.toml"],
        "",
    )
    .expect(2, "", "cannot be used with");
    place
        .run("test GET /a")
        .expect(2, "", "the environment variable APPROOV_SECRET is not set");
}
