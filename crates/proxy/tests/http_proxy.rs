//! The `http_proxy` integration: what the origin receives, what comes back, and what a failing origin is to the caller.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use portcullis_openapi::document::ApiKind;
use portcullis_testkit::{Origin, Received, ReservedPort};
use support::{Bench, StageSpec, request, serve};

fn rest(origin: &str, integration: &str) -> Bench {
    let document = format!(
        r#"
openapi: 3.0.1
info: {{title: Proxy, version: "1"}}
paths:
  /pets/{{id}}/{{proxy+}}:
    x-amazon-apigateway-any-method:
      parameters:
        - {{name: id, in: path, required: true, schema: {{type: string}}}}
        - {{name: proxy, in: path, required: true, schema: {{type: string}}}}
      x-amazon-apigateway-integration:
        type: http_proxy
{integration}
"#
    );
    let variables = vec![("origin", origin.to_owned()), ("env", "prod".to_owned())];
    serve(
        ApiKind::Rest,
        &document,
        vec![StageSpec {
            variables,
            ..StageSpec::default()
        }],
    )
}

const FORWARD: &str = r#"
        httpMethod: ANY
        uri: http://${stageVariables.origin}/v1/{proxy}
        requestParameters: {integration.request.path.proxy: method.request.path.proxy}
        timeoutInMillis: 200"#;

async fn received(origin: &Origin, bench: &Bench, method: &str, path: &str, headers: &[(&str, &str)]) -> Received {
    let before = origin.requests().len();
    let answer = bench.call(request(method, path, headers)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    origin.requests().into_iter().nth(before).unwrap()
}

#[tokio::test]
async fn the_target_goes_on_as_received() {
    let origin = Origin::ok("hi");
    let bench = rest(&origin.address().to_string(), FORWARD);
    let cases = [
        ("/pets/1/a/b", "/v1/a/b"),
        ("/pets/1/a%2Fb%20c/", "/v1/a%2Fb%20c/"),
        ("/pets/1/a//b?x=1&x=2&y", "/v1/a//b?x=1&x=2&y"),
        ("/pets/1/caf%c3%a9?q=%7Ba%7D", "/v1/caf%c3%a9?q=%7Ba%7D"),
    ];
    for (path, target) in cases {
        for method in ["GET", "DELETE", "OPTIONS"] {
            let received = received(&origin, &bench, method, path, &[]).await;
            assert_eq!(received.request_line(), format!("{method} {target} HTTP/1.1"));
        }
    }
}

#[tokio::test]
async fn headers_are_added_stripped_and_mapped() {
    let origin = Origin::ok("hi");
    let mapped = r#"
        httpMethod: POST
        uri: http://${stageVariables.origin}/v1/{id}?fixed=1&p={proxy}
        requestParameters:
          integration.request.header.apikey: "'an-origin-key'"
          integration.request.header.X-Env: stageVariables.env
          integration.request.header.X-Pet: method.request.path.id
          integration.request.header.X-Absent: method.request.header.absent
          integration.request.header.X-Id: context.requestId
          integration.request.header.X-Path: context.path
          integration.request.header.X-Domain: context.domainName
          integration.request.querystring.q: method.request.querystring.q
          integration.request.path.id: method.request.header.X-Where"#;
    let bench = rest(&origin.address().to_string(), mapped);
    let headers = [
        ("apikey", "the-callers"),
        ("x-where", "a/b c"),
        ("connection", "close, x-hop"),
        ("x-hop", "1"),
        ("authorization", "Bearer x"),
        ("x-forwarded-for", "203.0.113.9"),
    ];
    let seen = received(&origin, &bench, "GET", "/pets/7%20/rest?q=a%26b", &headers).await;
    // The verb of the integration; mapped path values are one segment; mapped query values are added.
    assert_eq!(
        seen.request_line(),
        "POST /v1/a%2Fb%20c?fixed=1&p=rest&q=a%26b&q=a%26b HTTP/1.1"
    );
    let expected = [
        ("apikey", Some("an-origin-key")),
        ("x-env", Some("prod")),
        ("x-pet", Some("7 ")),
        ("x-absent", None),
        ("x-path", Some("/pets/7%20/rest")),
        ("x-domain", Some("127.0.0.1")),
        ("x-hop", None),
        ("authorization", Some("Bearer x")),
        ("x-forwarded-for", Some("203.0.113.9, 127.0.0.1")),
        ("x-forwarded-proto", Some("http")),
        ("x-forwarded-port", Some("8080")),
        ("x-amzn-apigateway-api-id", Some("proxy")),
        ("user-agent", Some("AmazonAPIGateway_proxy")),
        ("accept", Some("application/json")),
    ];
    for (name, value) in expected {
        // A header's trailing space is no part of its value.
        assert_eq!(seen.header(name), value.map(str::trim), "{name} in {}", seen.head);
    }
    assert_eq!(seen.header("host"), Some(origin.address().to_string().as_str()));
    assert!(seen.header("x-amzn-trace-id").unwrap().starts_with("Root=1-"));
    assert_eq!(seen.header("x-id").unwrap().len(), 36);
}

#[tokio::test]
async fn a_mapped_value_cannot_climb_or_split() {
    let origin = Origin::ok("hi");
    let mapped = r#"
        httpMethod: ANY
        uri: http://${stageVariables.origin}/v1/{id}
        requestParameters:
          integration.request.path.id: method.request.querystring.where
          integration.request.header.X-Copy: method.request.querystring.copy"#;
    let bench = rest(&origin.address().to_string(), mapped);
    for path in [
        "/pets/1/x?where=..",
        "/pets/1/x?where=%2e%2e",
        "/pets/1/x?where=a&copy=a%0d%0aEvil:%201",
        "/pets/1/x",
    ] {
        let answer = bench.get(path, &[]).await;
        assert_eq!(answer.status, 500, "{path}: {answer:?}");
        assert_eq!(answer.body, r#"{"message":"Internal server error"}"#);
    }
    assert_eq!(origin.requests(), []);
    assert_eq!(bench.get("/pets/1/x?where=a/../b&copy=fine", &[]).await.status, 500);
    assert_eq!(bench.get("/pets/1/x?where=a&copy=fine", &[]).await.status, 200);
}

#[tokio::test]
async fn answers_come_back_as_they_are_but_for_the_origin_s_own_headers() {
    let origin = Origin::answering(
        "HTTP/1.1 404 Not Found\r\nServer: origin\r\nDate: yesterday\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\
         X-Amzn-RequestId: theirs\r\nWWW-Authenticate: Bearer\r\nContent-Encoding: br\r\nContent-Length: 4\r\n\r\ngone",
    );
    let bench = rest(&origin.address().to_string(), FORWARD);
    let answer = bench.get("/pets/1/x", &[]).await;
    assert_eq!((answer.status, answer.body.as_str()), (404, "gone"));
    let expected = [
        ("x-amzn-remapped-server", "origin"),
        ("x-amzn-remapped-date", "yesterday"),
        ("x-amzn-remapped-x-amzn-requestid", "theirs"),
        ("www-authenticate", "Bearer"),
        ("content-encoding", "br"),
    ];
    for (name, value) in expected {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    assert_eq!(answer.headers.get_all("set-cookie").iter().count(), 2);
    assert_eq!(answer.header("x-amzn-requestid").unwrap().len(), 36);
    assert_eq!(
        answer.header("x-amzn-errortype"),
        None,
        "the origin's own 404 is no gateway response"
    );
}

#[tokio::test]
async fn a_failing_origin_has_its_answer() {
    let reserved = ReservedPort::new();
    let hanging = Origin::hanging();
    let resetting = Origin::resetting();
    let closing = Origin::closing();
    let babbling = Origin::answering("SSH-2.0-OpenSSH\r\n\r\n");
    let ambiguous = Origin::answering(
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    );
    let unreachable = r#"{"message":"Network error communicating with endpoint"}"#;
    let malformed = r#"{"message":"Internal server error"}"#;
    let cases = [
        (reserved.address(), 504, unreachable),
        (hanging.address(), 504, r#"{"message":"Endpoint request timed out"}"#),
        (resetting.address(), 504, unreachable),
        (closing.address(), 504, unreachable),
        (babbling.address(), 502, malformed),
        (ambiguous.address(), 502, malformed),
    ];
    for (address, status, body) in cases {
        let answer = rest(&address.to_string(), FORWARD).get("/pets/1/x", &[]).await;
        assert_eq!((answer.status, answer.body.as_str()), (status, body), "{answer:?}");
        assert_eq!(answer.header("x-amzn-errortype"), Some("InternalServerErrorException"));
    }
}

#[tokio::test]
async fn a_mock_answers_with_its_constant() {
    let document = r#"
openapi: 3.0.1
info: {title: Mock, version: "1"}
paths:
  /a:
    get:
      x-amazon-apigateway-integration:
        type: mock
        requestTemplates: {application/json: '{"statusCode": 418}'}
        responses:
          "418":
            statusCode: "418"
            responseParameters: {method.response.header.X-Kind: "'teapot'"}
            responseTemplates: {application/problem+json: '{"pets": []}'}
"#;
    let bench = serve(ApiKind::Rest, document, vec![StageSpec::default()]);
    let answer = bench.get("/a", &[]).await;
    assert_eq!((answer.status, answer.body.as_str()), (418, r#"{"pets": []}"#));
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(answer.header("x-kind"), Some("teapot"));
}

#[tokio::test]
async fn http_apis_have_their_own_words() {
    let origin = Origin::answering("HTTP/1.1 200 OK\r\nX-Old: 1\r\nContent-Length: 2\r\n\r\nhi");
    let document = r#"
openapi: 3.0.1
info: {title: Http, version: "1"}
paths:
  /a/{id}:
    get:
      parameters: [{name: id, in: path, required: true, schema: {type: string}}]
      x-amazon-apigateway-integration:
        type: http_proxy
        httpMethod: GET
        payloadFormatVersion: "1.0"
        uri: http://${stageVariables.origin}/v2/{id}
        requestParameters:
          overwrite:path: /over/${request.path.id}
          append:header.X-Route: $context.routeKey
          remove:querystring.secret: ""
        responseParameters:
          "200":
            overwrite:statuscode: "201"
            remove:header.X-Old: ""
            append:header.X-New: now-${response.header.X-Old}
  /down:
    get:
      x-amazon-apigateway-integration:
        type: http_proxy
        httpMethod: GET
        payloadFormatVersion: "1.0"
        uri: http://${stageVariables.down}/
"#;
    let reserved = ReservedPort::new();
    let variables = vec![
        ("origin", origin.address().to_string()),
        ("down", reserved.address().to_string()),
    ];
    let bench = serve(
        ApiKind::Http,
        document,
        vec![StageSpec {
            name: "$default",
            variables,
            ..StageSpec::default()
        }],
    );
    let answer = bench.get("/a/7?secret=x&b=1", &[]).await;
    assert_eq!(
        (answer.status, answer.header("x-new"), answer.header("x-old")),
        (201, Some("now-1"), None),
        "{answer:?}"
    );
    assert!(answer.header("apigw-requestid").is_some() && answer.header("x-amzn-requestid").is_none());
    let seen = &origin.requests()[0];
    assert_eq!(seen.request_line(), "GET /over/7?b=1 HTTP/1.1");
    assert_eq!(seen.header("x-route"), Some("GET /a/{id}"));
    assert_eq!(
        seen.header("forwarded"),
        Some("for=127.0.0.1;proto=http;host=\"127.0.0.1\"")
    );

    let answer = bench.get("/nowhere", &[]).await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (404, r#"{"message":"Not Found"}"#)
    );
    assert_eq!(answer.header("x-amzn-errortype"), None);
    let answer = bench.get("/down", &[]).await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (503, r#"{"message":"Service Unavailable"}"#)
    );
}

#[tokio::test]
async fn a_trusted_proxy_speaks_for_the_caller() {
    let origin = Origin::ok("hi");
    let bench = rest(
        &origin.address().to_string(),
        &format!(
            "{}\n        requestParameters:\n          integration.request.path.proxy: method.request.path.proxy\n          \
             integration.request.header.X-Source: context.identity.sourceIp",
            FORWARD.replace(
                "        requestParameters: {integration.request.path.proxy: method.request.path.proxy}\n",
                ""
            )
        ),
    );
    let forwarded = [("x-forwarded-for", "198.51.100.1, 203.0.113.9")];
    for (peer, source, chain) in [
        ("192.0.2.10", "203.0.113.9", "198.51.100.1, 203.0.113.9, 192.0.2.10"),
        (
            "198.51.100.200",
            "198.51.100.200",
            "198.51.100.1, 203.0.113.9, 198.51.100.200",
        ),
    ] {
        bench.call_from(peer, request("GET", "/pets/1/x", &forwarded)).await;
        let seen = origin.requests().pop().unwrap();
        assert_eq!(
            (seen.header("x-source"), seen.header("x-forwarded-for")),
            (Some(source), Some(chain))
        );
    }
}
