//! Browsers on other origins, through the whole binary: HTTP APIs that say what is allowed, REST APIs that answer OPTIONS by a
//! method of their own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use portcullis_testkit::{Answer, Origin};
use support::{Running, Setup};

const APP: &str = "https://app.example";

const HTTP: &str = r#"
openapi: 3.0.1
info: {title: Web, version: "1"}
x-amazon-apigateway-cors:
  allowOrigins: [https://app.example, "http://localhost:3000"]
  allowMethods: [GET, POST]
  allowHeaders: [authorization, content-type]
  exposeHeaders: [x-total]
  maxAge: 300
  allowCredentials: true
paths:
  /a:
    get:
      x-amazon-apigateway-integration:
        type: http_proxy
        httpMethod: GET
        payloadFormatVersion: "1.0"
        uri: "http://${stageVariables.origin}/a"
"#;

/// What an origin says that has ideas of its own.
const LOOSE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nVary: Accept\r\nAccess-Control-Allow-Origin: *\r\n\
                     access-control-allow-headers: *\r\nX-Total: 7\r\n\r\nok";

fn start(origin: &Origin, cors: &[(&str, &str)]) -> Running {
    let setup = Setup::open(origin.address())
        .document(HTTP)
        .in_config("kind = \"rest\"", "kind = \"http\"");
    cors.iter()
        .fold(setup, |setup, (from, to)| setup.in_document(from, to))
        .start()
}

fn call(running: &Running, arguments: &[&str]) -> Answer {
    running.call("/a", arguments)
}

fn preflight(running: &Running, path: &str, origin: &str) -> Answer {
    let origin = format!("Origin: {origin}");
    running.call(
        path,
        &[
            "-X",
            "OPTIONS",
            "-H",
            &origin,
            "-H",
            "Access-Control-Request-Method: POST",
        ],
    )
}

/// The fields about other origins, in order of their names, without what they begin with.
fn shared(answer: &Answer) -> Vec<(String, String)> {
    let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
    let fields = answer.headers.iter();
    let mut found: Vec<_> = fields
        .filter_map(|(name, value)| Some((name.as_str().strip_prefix("access-control-")?.to_owned(), text(value))))
        .collect();
    found.sort();
    found
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn an_http_api_says_what_its_document_says() {
    let origin = Origin::answering(LOOSE);
    let running = start(&origin, &[]);
    let asked = preflight(&running, "/a", APP);
    assert_eq!((asked.status, asked.text()), (204, ""));
    let expected = [
        ("allow-credentials", "true"),
        ("allow-headers", "authorization,content-type"),
        ("allow-methods", "GET,POST"),
        ("allow-origin", APP),
        ("expose-headers", "x-total"),
        ("max-age", "300"),
    ];
    assert_eq!(shared(&asked), pairs(&expected));
    assert_eq!(asked.header("vary"), Some("Origin"));
    assert!(asked.header("apigw-requestid").is_some());
    assert_eq!(
        preflight(&running, "/nowhere", APP).status,
        204,
        "a preflight needs no route"
    );
    let stranger = preflight(&running, "/a", "https://app.example.evil.example");
    assert_eq!((stranger.status, shared(&stranger)), (204, vec![]));
    assert_eq!(origin.requests().len(), 0, "no preflight reaches the origin");

    // What the origin says of it is ignored; the rest of its answer is not.
    let answer = call(&running, &["-H", "Origin: http://localhost:3000"]);
    assert_eq!(
        (answer.status, answer.text(), answer.header("x-total")),
        (200, "ok", Some("7"))
    );
    let expected = [
        ("allow-credentials", "true"),
        ("allow-origin", "http://localhost:3000"),
        ("expose-headers", "x-total"),
    ];
    assert_eq!(shared(&answer), pairs(&expected));
    let vary: Vec<_> = answer.headers.get_all("vary").iter().collect();
    assert_eq!(vary, ["Accept", "Origin"]);
    for arguments in [&["-H", "Origin: https://evil.example"][..], &[]] {
        let answer = call(&running, arguments);
        assert_eq!((answer.status, shared(&answer)), (200, vec![]), "{arguments:?}");
        assert!(answer.headers.get_all("vary").iter().any(|value| value == "Origin"));
    }
    // A refusal can be read by the page, too.
    let lost = running.call("/nowhere", &["-H", &format!("Origin: {APP}")]);
    assert_eq!(
        (lost.status, lost.header("access-control-allow-origin")),
        (404, Some(APP))
    );
    running.stop();
}

#[test]
fn everyone_may_be_allowed_and_without_the_extension_the_origin_decides() {
    let origin = Origin::answering(LOOSE);
    let everyone = [
        ("[https://app.example, \"http://localhost:3000\"]", "['*']"),
        ("  allowCredentials: true\n", ""),
        ("  exposeHeaders: [x-total]\n", ""),
    ];
    let running = start(&origin, &everyone);
    let answer = call(&running, &["-H", "Origin: null"]);
    assert_eq!(shared(&answer), pairs(&[("allow-origin", "*")]));
    assert_eq!(
        answer.header("vary"),
        Some("Accept"),
        "the answer does not depend on the origin"
    );
    running.stop();

    let extension = HTTP.split_once("x-amazon").unwrap().1.split_once("paths:").unwrap().0;
    let running = start(&origin, &[(&format!("x-amazon{extension}"), "")]);
    let answer = call(&running, &["-H", &format!("Origin: {APP}")]);
    assert_eq!(shared(&answer), pairs(&[("allow-headers", "*"), ("allow-origin", "*")]));
    assert_eq!(preflight(&running, "/a", APP).status, 404);
    running.stop();
}

/// The way of a REST API: an OPTIONS method with a mock integration, as Amazon's console makes it.
#[test]
fn a_rest_api_answers_options_by_a_mock() {
    let options = r#"paths:
  /{proxy+}:
    options:
      parameters: [{name: proxy, in: path, required: true, schema: {type: string}}]
      responses:
        "200":
          headers:
            Access-Control-Allow-Origin: {schema: {type: string}}
            Access-Control-Allow-Methods: {schema: {type: string}}
      x-amazon-apigateway-integration:
        type: mock
        requestTemplates: {application/json: '{"statusCode": 200}'}
        passthroughBehavior: when_no_match
        contentHandling: CONVERT_TO_TEXT
        responses:
          default:
            statusCode: "200"
            responseParameters:
              method.response.header.Access-Control-Allow-Methods: "'DELETE,GET,HEAD,OPTIONS,PATCH,POST,PUT'"
              method.response.header.Access-Control-Allow-Headers: "'Content-Type,Authorization'"
              method.response.header.Access-Control-Allow-Origin: "'*'"
"#;
    let origin = Origin::answering(LOOSE);
    let setup = Setup::new(origin.address()).in_document("paths:\n  /{proxy+}:\n", options);
    let running = setup.start();
    let asked = preflight(&running, "/a/b", APP);
    assert_eq!((asked.status, asked.text()), (200, ""));
    let expected = [
        ("allow-headers", "Content-Type,Authorization"),
        ("allow-methods", "DELETE,GET,HEAD,OPTIONS,PATCH,POST,PUT"),
        ("allow-origin", "*"),
    ];
    assert_eq!(shared(&asked), pairs(&expected));
    assert_eq!(
        call(&running, &[]).status,
        401,
        "the method beside it is protected as before"
    );
    assert_eq!(origin.requests().len(), 0);
    running.stop();
}

#[test]
fn what_no_browser_understands_is_refused() {
    let check = |kind: &str, from: &str, to: &str, status: i32, expected: &str| {
        let setup = Setup::open("127.0.0.1:9000").document(HTTP).in_document(from, to);
        let place = setup
            .in_config("kind = \"rest\"", &format!("kind = \"{kind}\""))
            .written();
        let said = place.run(&["check", "--config", "portcullis.toml"]);
        assert_eq!(said.status, status, "{said:?}");
        assert!(said.err.contains(expected), "`{expected}` in {said:?}");
    };
    let origins = "[https://app.example, \"http://localhost:3000\"]";
    check("http", "info:", "info:", 0, "");
    check(
        "rest",
        "info:",
        "info:",
        1,
        "`x-amazon-apigateway-cors` belongs to HTTP APIs [not-supported]",
    );
    check("http", origins, "['*']", 1, "[cors-credentials]");
    check(
        "http",
        origins,
        "[\"https://*\"]",
        0,
        "warning: whoever has a page at `https://*`",
    );
    check(
        "http",
        origins,
        "[https://app.example/]",
        1,
        "no browser sends `https://app.example/` as its origin",
    );
    check("http", origins, "[]", 1, "allows no origin");
    check(
        "http",
        "[GET, POST]",
        "[get]",
        1,
        "`get` is no method that can be allowed [cors-method]",
    );
    check("http", "[GET, POST]", "['*']", 0, "[cors-literal]");
    check(
        "http",
        "[x-total]",
        "['x total']",
        1,
        "`x total` is no header's name [cors-header]",
    );
    check("http", "maxAge: 300", "maxAge: 100000", 1, "[out-of-range]");
}
