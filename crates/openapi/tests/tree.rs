#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
use portcullis_openapi::*;
#[test]
fn try_it() {
    let text = r##"openapi: 3.0.1
info: {title: Proxy, version: "1"}
components:
  securitySchemes:
    Approov:
      type: apiKey
      name: Approov-Token
      in: header
      x-amazon-apigateway-authtype: custom
      x-portcullis-authorizer:
        type: token
        algorithms: [HS256]
        secret: env:APPROOV_SECRET            # or a list; or jwks: file:… / https://…
        secretEncoding: base64                # or raw
        authorizerResultTtlInSeconds: 300
paths:
  /{proxy+}:
    x-amazon-apigateway-any-method:
      parameters: [{name: proxy, in: path, required: true, schema: {type: string}}]
      security: [{Approov: []}]
      x-amazon-apigateway-integration:
        type: http_proxy
        httpMethod: ANY
        uri: http://${stageVariables.origin}/{proxy}
        requestParameters:
          integration.request.path.proxy: method.request.path.proxy
          integration.request.header.apikey: "'an-origin-key'"
        passthroughBehavior: when_no_match
        timeoutInMillis: 29000
"##;
    let (document, findings) = read("t", text, ApiKind::Rest);
    println!("{document:#?}");
    for f in &findings { println!("{f}"); }
    assert!(findings.is_empty());
}
