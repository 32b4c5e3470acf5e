//! An HTTP API (`kind = "http"`) with its `jwt` authoriser, through the whole binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use portcullis_core::{Clock, SystemClock};
use portcullis_jose::{Algorithm, SigningKey, issue};
use portcullis_testkit::{Answer, Origin};
use serde_json::{Value, json};
use support::{Running, Setup, ok};

const DOCUMENT: &str = r#"
openapi: 3.0.1
info: {title: Pets, version: "1"}
components:
  securitySchemes:
    Jwt:
      type: oauth2
      x-amazon-apigateway-authorizer:
        type: jwt
        identitySource: $request.header.Authorization
        jwtConfiguration: {issuer: "ISSUER", audience: [pets]}
paths:
  /pets/{id}:
    get:
      security: [{Jwt: [read]}]
      x-amazon-apigateway-integration:
        type: http_proxy
        httpMethod: ANY
        payloadFormatVersion: "1.0"
        uri: "http://${stageVariables.origin}/v1/{id}"
"#;

/// A gateway whose issuer tells its keys as OpenID Connect does.
struct Issuer {
    url: String,
    key: SigningKey,
    _discovery: Origin,
    _keys: Origin,
}

impl Issuer {
    fn new() -> Self {
        let key = SigningKey::generate(Algorithm::RS256).unwrap();
        let mut jwk = key.public_jwk().unwrap();
        jwk["kid"] = "one".into();
        let keys = Origin::answering(ok(&json!({ "keys": [jwk] }).to_string()));
        let jwks_uri = format!("http://{}/keys", keys.address());
        let discovery = Origin::answering(ok(&json!({ "jwks_uri": jwks_uri }).to_string()));
        Self {
            url: format!("http://{}/issuer", discovery.address()),
            key,
            _discovery: discovery,
            _keys: keys,
        }
    }

    /// A good token, but for these claims.
    fn token(&self, but: Value) -> String {
        let now = SystemClock.now().unix_seconds();
        let mut claims =
            json!({"iss": self.url, "aud": "pets", "scope": "read write", "iat": now, "nbf": now, "exp": now + 600});
        for (name, value) in but.as_object().unwrap() {
            claims[name] = value.clone();
        }
        issue(claims.as_object().unwrap(), &self.key, Some("one")).unwrap()
    }
}

fn call(running: &Running, token: &str) -> Answer {
    running.call("/pets/7", &["-H", &format!("Authorization: Bearer {token}")])
}

#[test]
fn a_jwt_is_checked_against_its_issuers_keys() {
    let issuer = Issuer::new();
    let origin = Origin::ok("a pet");
    let running = Setup::open(origin.address())
        .document(DOCUMENT.replace("ISSUER", &issuer.url))
        .in_config("kind = \"rest\"", "kind = \"http\"")
        .in_config("name = \"TEST\"", "name = \"$default\"")
        .start();

    let good = call(&running, &issuer.token(json!({})));
    assert_eq!((good.status, good.text()), (200, "a pet"));
    assert!(good.header("apigw-requestid").is_some() && good.header("x-amzn-requestid").is_none());
    let received = &origin.requests()[0];
    assert_eq!(received.request_line(), "GET /v1/7 HTTP/1.1");
    assert!(
        received.header("forwarded").unwrap().starts_with("for=127.0.0.1;"),
        "{}",
        received.head
    );

    let without = running.call("/pets/7", &[]);
    assert_eq!(
        (without.status, without.text()),
        (401, "{\"message\":\"Unauthorized\"}")
    );
    assert_eq!(without.header("www-authenticate"), Some("Bearer"));
    let now = SystemClock.now().unix_seconds();
    for (but, status, told) in [
        (json!({"aud": "other"}), 401, "the token does not have a valid audience"),
        (json!({"iss": "http://127.0.0.1:9/"}), 401, "the issuer does not match"),
        (json!({"exp": now - 60}), 401, "the token has expired"),
        (json!({"nbf": now + 600}), 401, "the token is not valid"),
        (json!({"scope": "write"}), 403, "insufficient_scope"),
    ] {
        let answer = call(&running, &issuer.token(but.clone()));
        assert_eq!(answer.status, status, "{but}");
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.contains(told), "{but}: {challenge}");
    }
    let unrouted = running.call("/dogs", &[]);
    assert_eq!((unrouted.status, unrouted.text()), (404, "{\"message\":\"Not Found\"}"));
    assert_eq!(origin.requests().len(), 1, "no refused call reaches the origin");
    running.stop();
}
