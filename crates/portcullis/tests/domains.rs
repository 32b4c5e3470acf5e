//! Custom domains through the whole binary: hosts and base paths to APIs and stages, the default address closed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use portcullis_testkit::{Answer, Origin, curl};
use support::{PROXY, Place, Running, Setup};

const DOMAINS: &str = r#"
[[domains]]
name = "api.example.com"
mappings = [
    { base_path = "/", api = "proxy", stage = "TEST" },
    { base_path = "/v2/deep", api = "proxy", stage = "TEST" },
]

[[domains]]
name = "*.tenants.example.com"
mappings = [{ base_path = "app", api = "proxy", stage = "TEST" }]
"#;

const HTTP: &str = r#"
openapi: 3.0.1
info: {title: Web, version: "1"}
paths:
  /$default:
    x-amazon-apigateway-any-method:
      isDefaultRoute: true
      x-amazon-apigateway-integration:
        type: http_proxy
        httpMethod: ANY
        payloadFormatVersion: "1.0"
        uri: "http://${stageVariables.origin}/"
"#;

/// Calls a host as its clients do, whatever DNS says.
fn call(running: &Running, host: &str, path: &str) -> Answer {
    let port = running.gateway.address().port();
    let resolve = format!("{}:{port}:127.0.0.1", host.trim_end_matches('.'));
    curl(&["--resolve", &resolve, &format!("http://{host}:{port}{path}")])
}

fn with_domains(setup: Setup) -> Setup {
    setup.in_config("[metrics]", &format!("{DOMAINS}\n[metrics]"))
}

const FORBIDDEN: &str = "{\"message\":\"Forbidden\"}";

#[test]
fn a_domain_s_base_paths_lead_to_stages() {
    let origin = Origin::ok("hello");
    let template = "$context.requestId $context.domainName $context.domainPrefix $context.customDomain.basePathMatched $context.path";
    let running = with_domains(Setup::open(origin.address()).access_log("stdout", template)).start();
    let served = [
        (
            "api.example.com",
            "/a?x=1",
            "GET /a?x=1 HTTP/1.1",
            "api.example.com api (none) /a",
        ),
        (
            "API.example.COM",
            "/v2/deep/a",
            "GET /a HTTP/1.1",
            "API.example.COM API v2/deep /v2/deep/a",
        ),
        (
            "one.tenants.example.com",
            "/app/b//c/",
            "GET /b//c/ HTTP/1.1",
            "one.tenants.example.com one app /app/b//c/",
        ),
        // Not a domain, so the default address, where the stage's mount is the root.
        (
            "elsewhere.example",
            "/app/b",
            "GET /app/b HTTP/1.1",
            "elsewhere.example elsewhere / /app/b",
        ),
    ];
    for (count, (host, path, line, logged)) in served.into_iter().enumerate() {
        let answer = call(&running, host, path);
        assert_eq!((answer.status, answer.text()), (200, "hello"), "{host}{path}");
        assert_eq!(origin.requests()[count].request_line(), line);
        let log = running.gateway.wait_for_access_log(count + 1);
        assert!(log[count].ends_with(logged), "`{}` ends with `{logged}`", log[count]);
    }
    for path in ["/", "/appx/b", "/v2/deep/a", "/APP/b"] {
        let answer = call(&running, "one.tenants.example.com", path);
        assert_eq!((answer.status, answer.text()), (403, FORBIDDEN), "{path}");
        assert_eq!(answer.header("x-amzn-errortype"), Some("ForbiddenException"));
    }
    assert_eq!(
        origin.requests().len(),
        served.len(),
        "no refused call reaches the origin"
    );
    running.stop();
}

/// Policies see the path without the base path: what is allowed on one address is allowed on all.
#[test]
fn policies_see_the_path_behind_the_base_path() {
    let policy = r#"x-amazon-apigateway-policy:
  Version: "2012-10-17"
  Statement:
    - {Effect: Allow, Principal: "*", Action: "execute-api:Invoke", Resource: "execute-api:/TEST/GET/a"}
paths:"#;
    let origin = Origin::ok("hello");
    let running = with_domains(Setup::open(origin.address()).in_document("paths:", policy)).start();
    assert_eq!(call(&running, "api.example.com", "/v2/deep/a").status, 200);
    let refused = call(&running, "api.example.com", "/v2/deep/b");
    assert_eq!(refused.status, 403);
    assert!(
        refused.text().contains("proxy/TEST/GET/b because"),
        "{}",
        refused.text()
    );
    running.stop();
}

#[test]
fn a_closed_default_address_answers_nobody() {
    let origin = Origin::ok("hello");
    let closed = "document = \"proxy.yaml\"\ndisable_default_endpoint = true";
    let running = with_domains(Setup::open(origin.address()).in_config("document = \"proxy.yaml\"", closed)).start();
    assert_eq!(call(&running, "api.example.com", "/a").status, 200);
    for (host, path) in [
        ("127.0.0.1", "/a"),
        ("elsewhere.example", "/a"),
        ("proxy.execute-api.example", "/TEST/a"),
    ] {
        let answer = call(&running, host, path);
        assert_eq!((answer.status, answer.text()), (403, FORBIDDEN), "{host}");
        assert!(answer.header("x-amzn-requestid").is_some());
    }
    running.stop();

    // An HTTP API's client reads what an HTTP API says.
    let setup = Setup::open(origin.address())
        .in_config("document = \"proxy.yaml\"", closed)
        .document(HTTP)
        .in_config("kind = \"rest\"", "kind = \"http\"");
    let running = with_domains(setup).start();
    assert_eq!(call(&running, "api.example.com", "/a").status, 200);
    let answer = call(&running, "127.0.0.1", "/a");
    assert_eq!((answer.status, answer.text()), (404, "{\"message\":\"Not Found\"}"));
    assert!(answer.header("apigw-requestid").is_some() && answer.header("x-amzn-errortype").is_none());
    running.stop();
}

#[test]
fn domains_are_shown_and_checked() {
    let place = with_domains(Setup::open("127.0.0.1:9000")).written();
    place.run(&["check", "--config", "portcullis.toml"]).expect(
        0,
        "1 API with 1 route can be served, at 2 domains",
        "",
    );
    place
        .run(&["routes", "--config", "portcullis.toml"])
        .expect(0, "api.example.com/v2/deep/{proxy+}", "");
    let said = place.run(&["routes", "--config", "portcullis.toml", "--json"]);
    let rows: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(
        rows[0]["paths"],
        serde_json::json!([
            "/{proxy+}",
            "api.example.com/v2/deep/{proxy+}",
            "api.example.com/{proxy+}",
            "*.tenants.example.com/app/{proxy+}"
        ])
    );

    let bad = Place::new();
    bad.write("proxy.yaml", PROXY);
    let config = support::CONFIG.to_owned() + &DOMAINS.replace("*.tenants.example.com", "API.example.com.");
    bad.write(
        "portcullis.toml",
        config.replace("\"/v2/deep\", api = \"proxy\"", "\"/v2//deep\", api = \"proxi\""),
    );
    let said = bad.run(&["check", "--config", "portcullis.toml"]);
    said.expect(1, "", "bad-base-path").expect(1, "", "unknown-api");
}

/// A change of domains is put in force like any other.
#[test]
fn domains_change_without_a_restart() {
    let origin = Origin::ok("hello");
    let place = with_domains(Setup::open(origin.address())).written();
    let running = Running::start(place);
    assert_eq!(call(&running, "one.tenants.example.com", "/new/a").status, 403);
    let config = running.place.read("portcullis.toml");
    running.place.write(
        "portcullis.toml",
        config.replace("base_path = \"app\"", "base_path = \"new\""),
    );
    support::poll(
        || call(&running, "one.tenants.example.com", "/new/a").status,
        |status| *status == 200,
    );
    assert_eq!(call(&running, "one.tenants.example.com", "/app/a").status, 403);
    running.stop();
}
