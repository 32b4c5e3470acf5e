//! Keys from a JWK set: fetched, rotated, down, huge, full of duplicates; and the `jwt` authoriser of HTTP APIs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::sync::LazyLock;

use portcullis_jose::{Algorithm, SigningKey, issue};
use portcullis_openapi::document::ApiKind;
use portcullis_testkit::{Origin, ReservedPort, Step};
use serde_json::{Value, json};
use support::{Bench, NOW, StageSpec, serve};

/// One RSA key for all tests: making one takes a while.
static RSA: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate(Algorithm::RS256).unwrap());
static ELLIPTIC: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate(Algorithm::ES256).unwrap());

fn jwk(key: &SigningKey, kid: &str) -> Value {
    let mut jwk = key.public_jwk().unwrap();
    jwk["kid"] = kid.into();
    jwk
}

fn ok(body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into()
}

fn signed(claims: Value, key: &SigningKey, kid: Option<&str>) -> String {
    let mut claims = claims.as_object().unwrap().clone();
    claims.entry("exp").or_insert((NOW + 600).into());
    issue(&claims, key, kid).unwrap()
}

fn with_jwks(url: &str) -> Bench {
    let document = format!(
        r#"
openapi: 3.0.1
info: {{title: Keys, version: "1"}}
components:
  securitySchemes:
    Bearer:
      type: http
      scheme: bearer
      x-amazon-apigateway-authtype: custom
      x-portcullis-authorizer: {{type: token, algorithms: [ES256], jwks: "{url}"}}
paths:
  /a:
    get:
      security: [{{Bearer: []}}]
      x-amazon-apigateway-integration:
        type: mock
        requestTemplates: {{application/json: '{{"statusCode": 200}}'}}
        responses: {{default: {{statusCode: "200"}}}}
"#
    );
    serve(ApiKind::Rest, &document, vec![StageSpec::default()])
}

async fn status(bench: &Bench, token: &str) -> u16 {
    bench
        .get("/a", &[("authorization", &format!("Bearer {token}"))])
        .await
        .status
}

#[tokio::test]
async fn a_key_set_is_fetched_once_and_again_for_an_unknown_key() {
    let first = json!({"keys": [jwk(&ELLIPTIC, "one")]}).to_string();
    let answer = |body: &str| vec![Step::ReadRequest, Step::Send(ok(body)), Step::Close];
    let origin = Origin::scripted(vec![answer(&first)]);
    let bench = with_jwks(&format!("http://{}/keys", origin.address()));
    let token = signed(json!({"sub": "a"}), &ELLIPTIC, Some("one"));
    for _ in 0..3 {
        assert_eq!(status(&bench, &token).await, 200);
    }
    assert_eq!(origin.requests().len(), 1);
    assert_eq!(origin.requests()[0].request_line(), "GET /keys HTTP/1.1");
    // A key that nobody knows cannot make us fetch as often as it likes.
    for number in 0..5 {
        assert_eq!(
            status(&bench, &signed(json!({"n": number}), &ELLIPTIC, Some("two"))).await,
            403
        );
    }
    assert_eq!(
        origin.requests().len(),
        1,
        "the set is younger than the pause between two fetches"
    );
}

#[tokio::test]
async fn keys_that_cannot_be_had_refuse_every_token() {
    let reserved = ReservedPort::new();
    let huge = Origin::answering(ok(&format!("{{\"keys\": [], \"x\": \"{}\"}}", "x".repeat(160_000))));
    let broken = Origin::answering(ok("{\"keys\": 7}"));
    let refusing = Origin::answering("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n");
    let redirecting =
        Origin::answering("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
    let token = signed(json!({}), &ELLIPTIC, None);
    for address in [
        reserved.address(),
        huge.address(),
        broken.address(),
        refusing.address(),
        redirecting.address(),
    ] {
        let bench = with_jwks(&format!("http://{address}/keys"));
        let answer = bench.get("/a", &[("authorization", &format!("Bearer {token}"))]).await;
        assert_eq!((answer.status, answer.body.as_str()), (500, r#"{"message":null}"#));
        assert_eq!(answer.header("x-amzn-errortype"), Some("AuthorizerFailureException"));
        // Without a token nothing is fetched and nothing evaluated.
        assert_eq!(bench.get("/a", &[]).await.status, 401);
    }
}

#[tokio::test]
async fn duplicates_in_a_set_do_not_replace_the_first() {
    let other = SigningKey::generate(Algorithm::ES256).unwrap();
    let set = json!({"keys": [jwk(&ELLIPTIC, "one"), jwk(&other, "one")]}).to_string();
    let origin = Origin::answering(ok(&set));
    let bench = with_jwks(&format!("http://{}/keys", origin.address()));
    assert_eq!(status(&bench, &signed(json!({}), &ELLIPTIC, Some("one"))).await, 200);
    assert_eq!(status(&bench, &signed(json!({}), &other, Some("one"))).await, 403);
}

#[tokio::test]
async fn a_key_set_in_a_file_is_read_again() {
    let bench = {
        // The file has to be there before the document is served; `secret` is, whatever its name says.
        let set = json!({"keys": [jwk(&ELLIPTIC, "one")]}).to_string();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys.json");
        std::fs::write(&path, set).unwrap();
        let bench = with_jwks(&format!("file:{}", path.display()));
        (bench, directory, path)
    };
    let (bench, _directory, path) = bench;
    let token = signed(json!({}), &ELLIPTIC, Some("one"));
    assert_eq!(status(&bench, &token).await, 200);
    let other = SigningKey::generate(Algorithm::ES256).unwrap();
    std::fs::write(&path, json!({"keys": [jwk(&other, "two")]}).to_string()).unwrap();
    bench.fixtures.watch.look();
    assert_eq!(status(&bench, &token).await, 403);
    assert_eq!(status(&bench, &signed(json!({}), &other, Some("two"))).await, 200);
}

#[tokio::test]
async fn the_jwt_authoriser_of_http_apis() {
    let keys = Origin::answering(ok(&json!({"keys": [jwk(&RSA, "one")]}).to_string()));
    let discovery = Origin::answering(ok(
        &json!({"jwks_uri": format!("http://{}/keys", keys.address())}).to_string()
    ));
    let issuer = format!("http://{}/issuer", discovery.address());
    let document = format!(
        r#"
openapi: 3.0.1
info: {{title: Jwt, version: "1"}}
components:
  securitySchemes:
    Jwt:
      type: oauth2
      x-amazon-apigateway-authorizer:
        type: jwt
        identitySource: $request.header.Authorization
        jwtConfiguration: {{issuer: "{issuer}", audience: [app]}}
paths:
  /a:
    get:
      security: [{{Jwt: [read, admin]}}]
      x-amazon-apigateway-integration: {{type: http_proxy, httpMethod: GET, payloadFormatVersion: "1.0", uri: "http://127.0.0.1:1/"}}
"#
    );
    let bench = serve(ApiKind::Http, &document, vec![StageSpec::default()]);
    let claims = json!({"iss": issuer, "aud": "app", "scope": "x read", "iat": NOW});
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        signed(claims, &RSA, Some("one"))
    };
    let challenge = |text: &str| format!("Bearer scope=\"\" error=\"invalid_token\" error_description=\"{text}\"");
    let unauthorized = r#"{"message":"Unauthorized"}"#;
    let forbidden = r#"{"message":"Forbidden"}"#;
    let expired = Value::from(NOW - 1);
    let cases = [
        // What passes goes on to an origin that is not there.
        (
            with("sub", "a".into()),
            503,
            r#"{"message":"Service Unavailable"}"#,
            None,
        ),
        (
            with("scope", "admin".into()),
            503,
            r#"{"message":"Service Unavailable"}"#,
            None,
        ),
        (
            with("scope", "write".into()),
            403,
            forbidden,
            Some("Bearer error=\"insufficient_scope\"".to_owned()),
        ),
        (
            with("aud", "other".into()),
            401,
            unauthorized,
            Some(challenge("the token does not have a valid audience")),
        ),
        (
            with("iss", "other".into()),
            401,
            unauthorized,
            Some(challenge("the issuer does not match")),
        ),
        (
            with("exp", expired),
            401,
            unauthorized,
            Some(challenge("the token has expired")),
        ),
        (
            with("iat", (NOW + 60).into()),
            401,
            unauthorized,
            Some(challenge("the token is not valid")),
        ),
        (
            signed(claims.clone(), &ELLIPTIC, Some("one")),
            401,
            unauthorized,
            Some(challenge("the token is not valid")),
        ),
    ];
    for (token, status, body, www) in cases {
        for carried in [format!("Bearer {token}"), token.clone()] {
            let answer = bench.get("/a", &[("authorization", &carried)]).await;
            assert_eq!((answer.status, answer.body.as_str()), (status, body), "{answer:?}");
            assert_eq!(
                answer.header("www-authenticate").map(ToOwned::to_owned),
                www,
                "{answer:?}"
            );
        }
    }
    let missing = bench.get("/a", &[]).await;
    assert_eq!(
        (missing.status, missing.header("www-authenticate")),
        (401, Some("Bearer"))
    );
    let line = "GET /issuer/.well-known/openid-configuration HTTP/1.1";
    assert_eq!(
        discovery
            .requests()
            .iter()
            .map(|request| request.request_line())
            .collect::<Vec<_>>(),
        [line]
    );
    assert_eq!(keys.requests().len(), 1);
}
