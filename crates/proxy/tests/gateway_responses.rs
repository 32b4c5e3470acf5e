//! Customised gateway responses.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use portcullis_openapi::document::ApiKind;
use support::{StageSpec, serve};

const DOCUMENT: &str = r##"
openapi: 3.0.1
info: {title: Responses, version: "1"}
x-amazon-apigateway-gateway-responses:
  MISSING_AUTHENTICATION_TOKEN:
    statusCode: "404"
    responseParameters:
      gatewayresponse.header.X-Request-Id: context.requestId
      gatewayresponse.header.X-Origin: method.request.header.Origin
      gatewayresponse.header.X-Stage: "'live'"
      gatewayresponse.header.X-Absent: method.request.header.Nothing
    responseTemplates:
      application/json: '{"error":$context.error.messageString,"kind":"$context.error.responseType","who":"$method.request.header.Origin","env":"$stageVariables.env"}'
      text/plain: "nothing at $context.path"
  DEFAULT_4XX:
    responseParameters: {gatewayresponse.header.Access-Control-Allow-Origin: "'*'"}
  DEFAULT_5XX:
    statusCode: 503
components:
  securitySchemes:
    Token:
      type: apiKey
      name: Token
      in: header
      x-portcullis-authorizer: {type: token, algorithms: [HS256], secret: "file:secret", secretEncoding: raw}
paths:
  /token:
    get:
      security: [{Token: []}]
      x-amazon-apigateway-integration: {type: http_proxy, httpMethod: GET, uri: "http://127.0.0.1:1/"}
  /down:
    get:
      x-amazon-apigateway-integration: {type: http_proxy, httpMethod: GET, uri: "http://127.0.0.1:1/"}
"##;

#[tokio::test]
async fn types_then_defaults_then_amazon_s_own() {
    let variables = vec![("env", "prod \"1\"".to_owned())];
    let bench = serve(
        ApiKind::Rest,
        DOCUMENT,
        vec![StageSpec {
            variables,
            ..StageSpec::default()
        }],
    );

    let answer = bench.get("/nowhere", &[("origin", "http://x\"y")]).await;
    assert_eq!(answer.status, 404);
    // What the caller sends cannot leave the string it is quoted in.
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(
        body,
        serde_json::json!({"error": "Missing Authentication Token", "kind": "MISSING_AUTHENTICATION_TOKEN", "who": "http://x\"y", "env": "prod \"1\""})
    );
    assert_eq!(answer.header("x-request-id"), answer.header("x-amzn-requestid"));
    assert_eq!(
        (answer.header("x-origin"), answer.header("x-stage")),
        (Some("http://x\"y"), Some("live"))
    );
    assert_eq!(answer.header("x-absent"), None);
    assert_eq!(
        answer.header("x-amzn-errortype"),
        Some("MissingAuthenticationTokenException")
    );
    assert_eq!(
        answer.header("access-control-allow-origin"),
        None,
        "its own type comes before the default"
    );

    let answer = bench.get("/nowhere", &[("accept", "text/plain")]).await;
    assert_eq!(
        (answer.body.as_str(), answer.header("content-type")),
        ("nothing at /nowhere", Some("text/plain"))
    );

    let answer = bench.get("/token", &[]).await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (401, r#"{"message":"Unauthorized"}"#)
    );
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));

    let answer = bench.get("/down", &[]).await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (503, r#"{"message":"Network error communicating with endpoint"}"#)
    );
}

#[tokio::test]
async fn bounds_of_a_request() {
    let bench = serve(ApiKind::Rest, DOCUMENT, vec![StageSpec::default()]);
    let long = format!("/{}", "a".repeat(10_240));
    let answer = bench.get(&long, &[]).await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (414, r#"{"message":"Request URI too long"}"#)
    );
    let big = "x".repeat(10_240);
    let answer = bench.get("/down", &[("x", &big)]).await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (431, r#"{"message":"Request header fields too large"}"#)
    );
    let answer = bench.get(&format!("/token/{}", "a".repeat(2_000)), &[]).await;
    assert_eq!(answer.status, 404);
}
