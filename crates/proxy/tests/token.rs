//! The built-in token authoriser: what is refused before anything is evaluated, what is denied, what is cached.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use portcullis_jose::digest;
use portcullis_openapi::document::ApiKind;
use serde_json::{Value, json};
use support::{Bench, NOW, SECOND, SECRET, StageSpec, serve, sign, token};

/// A mock behind an authoriser with `settings` (YAML, indented by eight).
fn bench(settings: &str) -> Bench {
    let document = format!(
        r#"
openapi: 3.0.1
info: {{title: Token, version: "1"}}
components:
  securitySchemes:
    Token:
      type: apiKey
      name: Token
      in: header
      x-amazon-apigateway-authtype: custom
      x-portcullis-authorizer:
        type: token
        algorithms: [HS256]
        secretEncoding: raw
{settings}
paths:
  /{{proxy+}}:
    get:
      parameters: [{{name: proxy, in: path, required: true, schema: {{type: string}}}}]
      security: [{{Token: []}}]
      x-amazon-apigateway-integration:
        type: mock
        requestTemplates: {{application/json: '{{"statusCode": 200}}'}}
        responses: {{default: {{statusCode: "200"}}}}
"#
    );
    serve(ApiKind::Rest, &document, vec![StageSpec::default()])
}

const EXPLICIT: &str = "with an explicit deny in an identity-based policy";
const IMPLICIT: &str = "because no identity-based policy allows the execute-api:Invoke action";

async fn check(bench: &Bench, token: &str, status: u16, text: &str) {
    let answer = bench.get("/a", &[("token", token)]).await;
    assert_eq!(answer.status, status, "{answer:?}");
    assert!(answer.body.contains(text), "{answer:?}");
}

#[tokio::test]
async fn refusals_have_amazon_s_answers() {
    let bench = bench("        secret: file:secret");
    let missing = bench.get("/a", &[]).await;
    assert_eq!(
        (missing.status, missing.body.as_str()),
        (401, r#"{"message":"Unauthorized"}"#)
    );
    assert_eq!(missing.header("x-amzn-errortype"), Some("UnauthorizedException"));
    check(&bench, "", 401, "Unauthorized").await;

    let good = token(json!({"sub": "alice"}));
    check(&bench, &good, 200, "").await;
    let mut changed = good.clone().into_bytes();
    let middle = changed.len() / 2;
    changed[middle] = if changed[middle] == b'A' { b'B' } else { b'A' };
    check(&bench, std::str::from_utf8(&changed).unwrap(), 403, EXPLICIT).await;
    check(&bench, "nonsense", 403, EXPLICIT).await;
    check(&bench, &token(json!({"exp": NOW - 1})), 403, EXPLICIT).await;
    check(&bench, &token(json!({"nbf": NOW + 60})), 403, EXPLICIT).await;
    check(
        &bench,
        &sign(json!({"sub": "alice"}).as_object().unwrap(), SECRET),
        403,
        EXPLICIT,
    )
    .await;
    check(
        &bench,
        &sign(
            json!({"exp": NOW + 60}).as_object().unwrap(),
            "another secret, thirty-two bytes long",
        ),
        403,
        EXPLICIT,
    )
    .await;
    let denied = bench.get("/a", &[("token", "nonsense")]).await;
    assert_eq!(denied.header("x-amzn-errortype"), Some("AccessDeniedException"));
    assert!(denied.body.starts_with(r#"{"Message":"#), "{}", denied.body);

    // Two tokens: two readers might take different ones.
    let answer = bench.get("/a", &[("token", &good), ("token", &good)]).await;
    assert_eq!(answer.status, 403);
}

#[tokio::test]
async fn the_policy_is_cached_and_the_verdict_is_not() {
    let bench = bench("        secret: file:secret\n        authorizerResultTtlInSeconds: 300");
    let short = token(json!({"exp": NOW + 60}));
    check(&bench, &short, 200, "").await;
    bench.clock.advance_seconds(59);
    check(&bench, &short, 200, "").await;
    // Past its `exp`, inside the TTL: nothing allows it any more.
    bench.clock.advance_seconds(1);
    check(&bench, &short, 403, IMPLICIT).await;
    // Never seen before it expired, it is refused as a token.
    check(&bench, &token(json!({"exp": NOW + 60, "jti": "2"})), 403, EXPLICIT).await;
    bench.gateway.live().flush_authorizers();
    check(&bench, &short, 403, EXPLICIT).await;
}

#[tokio::test]
async fn a_changed_secret_ends_cached_tokens() {
    let bench = bench("        secret: [file:secret, file:second]");
    let (old, new) = (token(json!({})), second(json!({})));
    check(&bench, &old, 200, "").await;
    check(&bench, &new, 200, "").await;
    bench.rewrite("secret", SECOND);
    check(&bench, &old, 403, EXPLICIT).await;
    check(&bench, &new, 200, "").await;
    // A file that cannot be used leaves the keys in force.
    bench.rewrite("secret", "");
    check(&bench, &new, 200, "").await;
}

fn second(claims: Value) -> String {
    let mut claims = claims.as_object().unwrap().clone();
    claims.insert("exp".into(), (NOW + 600).into());
    sign(&claims, SECOND)
}

#[tokio::test]
async fn policies_from_claims_are_evaluated_for_each_request() {
    let bench = bench(
        r#"        secret: file:secret
        principal: email
        policy:
          Version: "2012-10-17"
          Statement:
            - {Effect: Allow, Action: "execute-api:Invoke", Resource: "arn:aws:execute-api:*:*:proxy/TEST/GET/${claims.area}/*", Condition: {IpAddress: {"aws:SourceIp": "${claims.net}"}}}"#,
    );
    let mine = token(json!({"area": "mine", "net": "127.0.0.0/8", "email": "a@b"}));
    let get = |path: &'static str, token: String| {
        let bench = &bench;
        async move { bench.get(path, &[("token", &token)]).await }
    };
    assert_eq!(get("/mine/1", mine.clone()).await.status, 200);
    let other = get("/other/1", mine.clone()).await;
    assert_eq!(other.status, 403);
    assert!(other.body.contains(IMPLICIT));
    assert_eq!(
        other.steps.iter().filter(|(_, verdict)| verdict == "a@b").count(),
        1,
        "{:?}",
        other.steps
    );
    // A wildcard in a claim is a character, not a pattern.
    assert_eq!(
        get("/mine/1", token(json!({"area": "*", "net": "127.0.0.0/8"})))
            .await
            .status,
        403
    );
    // Another address is denied although the token is the same and cached.
    let elsewhere = bench
        .call_from("198.51.100.7", support::request("GET", "/mine/1", &[("token", &mine)]))
        .await;
    assert_eq!(elsewhere.status, 403);
    // A claim that the policy needs is missing: nobody can say what is allowed.
    let answer = get("/mine/1", token(json!({"net": "127.0.0.0/8"}))).await;
    assert_eq!((answer.status, answer.body.as_str()), (500, r#"{"message":null}"#));
    assert_eq!(
        answer.header("x-amzn-errortype"),
        Some("AuthorizerConfigurationException")
    );
}

#[tokio::test]
async fn bindings_and_the_deny_list_hold_for_cached_tokens() {
    let settings = "        secret: file:secret\n        denyList: file:denied\n        claimBindings:\n          - {claim: ip, to: sourceIp}\n          - {claim: dev, to: header.X-Device}";
    let bench = bench(settings);
    let device = digest::sha256_base64url(b"phone-1");
    let bound = token(json!({"ip": "127.0.0.1", "dev": device, "jti": "j1"}));
    let call = |source: &'static str, header: &'static str| {
        let (bench, bound) = (&bench, bound.clone());
        async move {
            let headers = [("token", bound.as_str()), ("x-device", header)];
            bench
                .call_from(source, support::request("GET", "/a", &headers))
                .await
                .status
        }
    };
    assert_eq!(call("127.0.0.1", "phone-1").await, 200);
    assert_eq!(call("127.0.0.1", "phone-2").await, 403);
    assert_eq!(call("198.51.100.7", "phone-1").await, 403);
    assert_eq!(call("127.0.0.1", "phone-1").await, 200);
    check(&bench, &bound, 403, EXPLICIT).await;
    // By its id, or by the digest of all of it.
    for entry in ["j1", &digest::sha256_hex(bound.as_bytes())] {
        bench.rewrite("denied", &format!("someone\n{entry}\n"));
        assert_eq!(call("127.0.0.1", "phone-1").await, 403, "{entry}");
        bench.rewrite("denied", "someone\n");
        assert_eq!(call("127.0.0.1", "phone-1").await, 200, "{entry}");
    }
}

#[tokio::test]
async fn an_expression_is_asked_before_any_signature() {
    let bench = bench("        secret: file:secret\n        identityValidationExpression: \"^ey[^ ]+$\"");
    check(&bench, "nonsense", 401, "Unauthorized").await;
    check(&bench, "eynonsense", 403, EXPLICIT).await;
    check(&bench, &token(json!({})), 200, "").await;
}
