//! The walk of an API's owner: an origin that demands a key, protected by the documented files, called with curl.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use portcullis_core::{Clock, Secret, SystemClock};
use portcullis_jose::{Algorithm, SecretEncoding, SigningKey, issue};
use portcullis_testkit::{Answer, Nginx, Portcullis, curl};
use serde_json::json;
use support::{BINARY, CONFIG, EXPLICIT_DENY, IMPLICIT_DENY, ORIGIN_KEY, PROXY, Place, Running, SECRET, Setup, poll};

const BODY: &str = "{\"message\":\"Hello from the origin\"}";
const PATH: &str = "/example.json";

/// An origin that answers callers with its key only.
fn origin() -> Nginx {
    Nginx::serving(PATH, BODY).demanding("apikey", ORIGIN_KEY).start()
}

/// The answer is exactly this one, and carries the headers of Amazon's.
#[track_caller]
fn check(answer: &Answer, status: u16, body: &str, error_type: Option<&str>) {
    assert_eq!((answer.status, answer.text()), (status, body), "{answer:?}");
    assert_eq!(answer.header("x-amzn-errortype"), error_type);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let id = answer.header("x-amzn-requestid").unwrap();
    let lengths: Vec<_> = id.split('-').map(str::len).collect();
    assert_eq!(lengths, [8, 4, 4, 4, 12], "`{id}` is a UUID");
    assert_eq!(answer.headers.get_all("x-amzn-requestid").iter().count(), 1);
}

#[track_caller]
fn check_denied(answer: &Answer, body: &str) {
    check(answer, 403, body, Some("AccessDeniedException"));
}

/// A token that the binary would not make: its claims as given.
fn signed(claims: serde_json::Value) -> String {
    let key = SigningKey::hmac(&Secret::new(SECRET.into()), SecretEncoding::Base64, Algorithm::HS256).unwrap();
    issue(claims.as_object().unwrap(), &key, None).unwrap()
}

/// The token with one character of its signature changed. Not the last one: some of its bits stand for nothing.
fn one_character_changed(token: &str) -> String {
    let at = token.rfind('.').unwrap() + 1;
    let changed = if token.as_bytes()[at] == b'A' { "B" } else { "A" };
    [&token[..at], changed, &token[at + 1..]].concat()
}

#[test]
fn an_owner_protects_an_origin() {
    let nginx = origin();
    let running = Setup::new(nginx.address()).start();
    let direct = format!("http://{}{PATH}", nginx.address());
    assert_eq!(
        curl(&[&direct]).status,
        403,
        "the origin answers nobody but the gateway"
    );

    let token = running.place.token("env:APPROOV_SECRET", "10y");
    let changed = one_character_changed(&token);
    let expired = signed(json!({"iss": "Monitor", "exp": SystemClock.now().unix_seconds() - 1}));
    let endless = signed(json!({"iss": "Monitor"}));
    let unauthorized = "{\"message\":\"Unauthorized\"}";

    let without = running.call(PATH, &[]);
    check(&without, 401, unauthorized, Some("UnauthorizedException"));
    let empty = running.call(PATH, &["-H", "Approov-Token;"]);
    check(&empty, 401, unauthorized, Some("UnauthorizedException"));
    let good = running.call_with(PATH, &token);
    check(&good, 200, BODY, None);
    let mut answers = vec![without, empty, good];
    for bad in [&*changed, &*expired, &*endless, "not-a-token", "a.b.c"] {
        let answer = running.call_with(PATH, bad);
        check_denied(&answer, EXPLICIT_DENY);
        answers.push(answer);
    }
    let again = running.call_with(PATH, &token);
    check(&again, 200, BODY, None);
    answers.push(again);
    let missing = running.call_with("/absent.json", &token);
    assert_eq!(missing.status, 404, "the origin's own answer");
    answers.push(missing);

    let lines = running.gateway.wait_for_access_log(answers.len());
    check_log(&lines, &answers);
    let ended = running.stop();
    let all = format!("{}{}", ended.stdout, ended.stderr);
    let parts = [&token, &expired, &endless].map(|token| token.split('.').collect::<Vec<_>>());
    let parts = parts.iter().flatten().skip(1).filter(|part| **part != parts[0][0]);
    for secret in parts.copied().chain([&*changed, "not-a-token", ORIGIN_KEY, SECRET]) {
        assert!(!all.contains(secret), "`{secret}` is told in\n{all}");
    }
    let expected = ["403", "200", "200"].map(|status| format!("GET {PATH} {status}"));
    let requests = nginx.stop();
    assert_eq!(requests[..3], expected, "refused calls never reach the origin");
    assert_eq!(requests[3..], ["GET /absent.json 404"]);
}

/// One line per answer, each telling who, when, what, how it ended and which request it was. Workers write in turn, so the
/// order is only that of each worker.
#[track_caller]
fn check_log(lines: &[String], answers: &[Answer]) {
    assert_eq!(lines.len(), answers.len(), "{lines:#?}");
    for answer in answers {
        let (status, length) = (answer.status, answer.body.len());
        let id = answer.header("x-amzn-requestid").unwrap();
        let told = format!("] \"GET /{{proxy+}} HTTP/1.1\" {status} {length} {id} ");
        let is_told = |line: &String| line.starts_with("127.0.0.1 - - [") && line.contains(&told);
        assert_eq!(
            lines.iter().filter(|line| is_told(line)).count(),
            1,
            "`{told}` in {lines:#?}"
        );
    }
}

#[test]
fn a_token_that_expires_inside_the_ttl_is_denied() {
    let nginx = origin();
    let running = Setup::new(nginx.address()).start();
    // Short enough to wait for, long enough to be seen in time: longer on a machine that stalls.
    let seen = ["2s", "4s", "8s", "16s"].iter().find_map(|expires| {
        let token = running.place.token("env:APPROOV_SECRET", expires);
        (running.call_with(PATH, &token).status == 200).then_some(token)
    });
    let token = seen.expect("a token that is good at first");
    let denied = poll(|| running.call_with(PATH, &token), |answer| answer.status != 200);
    check_denied(&denied, IMPLICIT_DENY);
    running.stop();
}

#[test]
fn a_secret_is_replaced_in_its_file() {
    let nginx = origin();
    let running = Setup::new(nginx.address())
        .in_document("env:APPROOV_SECRET  ", "[file:current, file:previous]")
        .file("current", SECRET)
        .file(
            "previous",
            "cHJldmlvdXMtcHJldmlvdXMtcHJldmlvdXMtcHJldmlvdXMtcHJldmlvdXM=",
        )
        .start();
    let place = &running.place;
    let generate = |name: &str| {
        let said = place.run(&["secret", "generate", "--out", name]);
        assert_eq!(said.status, 0, "{said:?}");
    };
    generate("new");
    generate("another");
    let (old, new) = (place.token("file:current", "10y"), place.token("file:new", "10y"));
    check(&running.call_with(PATH, &old), 200, BODY, None);
    check_denied(&running.call_with(PATH, &new), EXPLICIT_DENY);

    // Both are listed: old tokens go on, and new ones are good.
    std::fs::rename(place.path("current"), place.path("previous")).unwrap();
    std::fs::rename(place.path("new"), place.path("current")).unwrap();
    poll(|| running.call_with(PATH, &new), |answer| answer.status == 200);
    check(&running.call_with(PATH, &old), 200, BODY, None);

    // The old one is gone: its tokens with it, though their policies were remembered.
    std::fs::rename(place.path("another"), place.path("previous")).unwrap();
    let denied = poll(|| running.call_with(PATH, &old), |answer| answer.status != 200);
    check_denied(&denied, EXPLICIT_DENY);
    check(&running.call_with(PATH, &new), 200, BODY, None);
    running.stop();
}

#[test]
fn the_documented_shapes_are_right_to_the_letter() {
    let place = Place::new();
    place.write("proxy.yaml", PROXY);
    place.write("portcullis.toml", CONFIG);
    place
        .run(&["check"])
        .expect(0, "0 errors, 0 warnings: 1 API with 1 route", "");
    // On ports of the system they are what all other tests serve; by arguments they are served the same.
    let nginx = origin();
    let variable = format!("origin={}", nginx.address());
    let arguments = [
        "serve",
        "proxy.yaml",
        "--variable",
        &variable,
        "--listen",
        "127.0.0.1:0",
    ];
    let gateway = Portcullis::command(BINARY)
        .args(arguments.into_iter().chain(["--metrics-listen", "127.0.0.1:0"]))
        .env("APPROOV_SECRET", SECRET)
        .directory(place.path(""))
        .listeners(2)
        .start();
    let running = Running { gateway, place };
    let token = running.place.token("env:APPROOV_SECRET", "10y");
    check(&running.call_with(PATH, &token), 200, BODY, None);
    check_denied(&running.call_with(PATH, &one_character_changed(&token)), EXPLICIT_DENY);
    running.stop();
}

/// The documented API in another form of document.
#[track_caller]
fn check_form(name: &str, document: &str) {
    let nginx = origin();
    let place = Place::new();
    place.write(name, document);
    let variable = format!("origin={}", nginx.address());
    let arguments = ["serve", name, "--variable", &variable, "--listen", "127.0.0.1:0"];
    let gateway = Portcullis::command(BINARY)
        .args(arguments.into_iter().chain(["--metrics-listen", "127.0.0.1:0"]))
        .env("APPROOV_SECRET", SECRET)
        .directory(place.path(""))
        .listeners(2)
        .start();
    let running = Running { gateway, place };
    let token = running.place.token("env:APPROOV_SECRET", "1h");
    assert_eq!(running.call(PATH, &[]).status, 401, "{name}");
    check(&running.call_with(PATH, &token), 200, BODY, None);
    check_denied(&running.call_with(PATH, "a.b.c"), EXPLICIT_DENY);
    running.stop();
}

#[test]
fn each_form_of_document_protects_alike() {
    check_form("proxy-31.yaml", &PROXY.replace("openapi: 3.0.1", "openapi: 3.1.0"));
    let swagger = PROXY
        .replace("openapi: 3.0.1", "swagger: \"2.0\"")
        .replace(
            "components:\n  securitySchemes:\n    Approov:",
            "securityDefinitions:\n    Approov:",
        )
        .replace("schema: {type: string}", "type: string");
    check_form("proxy-20.yaml", &swagger);
    let integration = json!({
        "type": "http_proxy", "httpMethod": "ANY", "uri": "http://${stageVariables.origin}/{proxy}",
        "requestParameters": {
            "integration.request.path.proxy": "method.request.path.proxy",
            "integration.request.header.apikey": "'an-origin-key'",
        },
    });
    let authorizer = json!({
        "type": "token", "algorithms": ["HS256"], "secret": "env:APPROOV_SECRET", "secretEncoding": "base64",
    });
    let written = json!({
        "openapi": "3.0.1", "info": {"title": "Proxy", "version": "1"},
        "components": {"securitySchemes": {"Approov": {
            "type": "apiKey", "name": "Approov-Token", "in": "header", "x-amazon-apigateway-authtype": "custom",
            "x-portcullis-authorizer": authorizer,
        }}},
        "paths": {"/{proxy+}": {"x-amazon-apigateway-any-method": {
            "parameters": [{"name": "proxy", "in": "path", "required": true, "schema": {"type": "string"}}],
            "security": [{"Approov": []}], "x-amazon-apigateway-integration": integration,
        }}},
    });
    check_form("proxy.json", &format!("{written:#}"));
}

#[test]
fn a_resource_policy_holds_for_callers_with_a_good_token_too() {
    let nginx = origin();
    let policy = concat!(
        "x-amazon-apigateway-policy:\n  Version: \"2012-10-17\"\n  Statement:\n",
        "    - {Effect: Allow, Principal: \"*\", Action: execute-api:Invoke, Resource: \"execute-api:/*\"}\n",
        "    - Effect: Deny\n      Principal: \"*\"\n      Action: execute-api:Invoke\n      Resource: \"execute-api:/*\"\n",
        "      Condition: {NotIpAddress: {\"aws:SourceIp\": 203.0.113.0/24}}\n",
        "paths:\n",
    );
    let running = Setup::new(nginx.address())
        .in_document("paths:\n", policy)
        .listener("trusted_proxies = [\"127.0.0.1/32\"]")
        .start();
    let token = format!("Approov-Token: {}", running.place.token("env:APPROOV_SECRET", "1h"));
    let from = |address: &str| running.call(PATH, &["-H", &token, "-H", &format!("X-Forwarded-For: {address}")]);
    check(&from("203.0.113.7"), 200, BODY, None);
    let denied = from("198.51.100.7");
    assert_eq!(
        (denied.status, denied.header("x-amzn-errortype")),
        (403, Some("AccessDeniedException"))
    );
    assert!(
        denied
            .text()
            .ends_with("with an explicit deny in a resource-based policy\"}"),
        "{denied:?}"
    );
    // What a caller claims beyond the trusted proxy counts for nothing.
    assert_eq!(from("203.0.113.7, 198.51.100.7").status, 403);
    running.stop();
}
