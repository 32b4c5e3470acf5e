//! The order of the steps: a request that is broken in every step at once is refused by the first; mended there, by the
//! second; and so on to an answer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use portcullis_limit::Rate;
use portcullis_model::{
    KeyedSource,
    cache::{CacheSettings, Invalidation, Unpermitted},
};
use portcullis_openapi::document::ApiKind;
use portcullis_proxy::Step;
use portcullis_testkit::Origin;
use serde_json::json;
use support::{StageSpec, cached, request, serve, token};

const DOCUMENT: &str = r#"
openapi: 3.0.1
info: {title: Order, version: "1"}
x-amazon-apigateway-policy:
  Version: "2012-10-17"
  Statement:
    - {Effect: Allow, Principal: "*", Action: "execute-api:Invoke", Resource: "execute-api:/*/DELETE/*"}
    - Sid: NoRobots
      Effect: Deny
      Principal: "*"
      Action: execute-api:Invoke
      Resource: execute-api:/*
      Condition: {StringLike: {aws:UserAgent: "robot*"}}
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
        secret: file:secret
        secretEncoding: raw
        policy:
          Version: "2012-10-17"
          Statement:
            - Effect: Allow
              Action: execute-api:Invoke
              Resource: "arn:aws:execute-api:*:*:proxy/*/${claims.verb}/*"
paths:
  /{name}/{rest+}:
    get:
      parameters:
        - {name: name, in: path, required: true, schema: {type: string}}
        - {name: rest, in: path, required: true, schema: {type: string}}
      security: [{Token: []}]
      x-amazon-apigateway-integration:
        type: http_proxy
        httpMethod: GET
        uri: http://${stageVariables.origin}/{name}
        requestParameters: {integration.request.path.name: method.request.path.name}
"#;

#[derive(Clone)]
struct Call {
    stage: &'static str,
    verb: &'static str,
    rest: &'static str,
    agent: &'static str,
    token: Option<String>,
    fresh: bool,
}

#[tokio::test]
async fn the_first_broken_step_answers() {
    let up = Origin::ok("hello");
    let reserved = portcullis_testkit::ReservedPort::new();
    let down = reserved.address().port();
    let stage = |name, mount, throttle, origin: String| StageSpec {
        name,
        mount,
        throttle,
        variables: vec![("origin", origin)],
        cache: cached(CacheSettings {
            invalidation: Invalidation::Permitted(Unpermitted::Refuse),
            ..CacheSettings::default()
        }),
        ..StageSpec::default()
    };
    let mut flooded = stage("FLOODED", "/flooded", (0.0, 0), format!("127.0.0.1:{down}"));
    flooded.limits.source = Some(KeyedSource {
        rate: Rate::new(1.0, 0).unwrap(),
        entries_max: 8,
        shared: false,
    });
    let bench = serve(
        ApiKind::Rest,
        DOCUMENT,
        vec![
            flooded,
            stage("EMPTY", "/empty", (0.0, 0), format!("127.0.0.1:{down}")),
            stage("DOWN", "/down", (10.0, 10), format!("127.0.0.1:{down}")),
            stage("UP", "/up", (10.0, 10), up.address().to_string()),
        ],
    );
    let mut call = Call {
        stage: "nowhere",
        verb: "POST",
        rest: "../x",
        agent: "robot/1",
        token: None,
        fresh: true,
    };
    type Mend = fn(&mut Call);
    let steps: [(Step, u16, &str, Mend); 10] = [
        (Step::Receive, 400, "dot segment", |call| call.rest = "x"),
        (Step::Locate, 403, "Forbidden", |call| call.stage = "flooded"),
        (Step::Shield, 429, "Too Many Requests", |call| call.stage = "empty"),
        (Step::Route, 403, "Missing Authentication Token", |call| {
            call.verb = "GET"
        }),
        (
            Step::ResourcePolicy,
            403,
            "explicit deny in a resource-based policy",
            |call| call.agent = "curl/8",
        ),
        (Step::Authenticate, 401, "Unauthorized", |call| {
            call.token = Some(token(json!({"verb": "POST"})))
        }),
        (Step::Authorize, 403, "no identity-based policy allows", |call| {
            call.token = Some(token(json!({"verb": "GET"})));
        }),
        (Step::Throttle, 429, "Too Many Requests", |call| call.stage = "down"),
        (Step::Cache, 403, "execute-api:InvalidateCache", |call| {
            call.fresh = false
        }),
        (
            Step::Integrate,
            504,
            "Network error communicating with endpoint",
            |call| call.stage = "up",
        ),
    ];
    let refusing: Vec<_> = Step::ALL.into_iter().filter(|step| *step != Step::Preflight).collect();
    assert_eq!(
        steps.map(|(step, ..)| step)[..],
        refusing,
        "a new step needs a line here"
    );
    for (step, status, text, mend) in steps {
        let answer = send(&bench, &call).await;
        let refused = answer.steps.last().unwrap();
        assert_eq!((refused.0, answer.status), (step, status), "{answer:?}");
        assert!(answer.body.contains(text), "{step}: {}", answer.body);
        // Everything before it passed, in order, and nothing behind it was reached.
        let passed: Vec<_> = answer.steps.iter().map(|(step, _)| *step).collect();
        assert_eq!(passed, Step::ALL[..=step as usize], "{step}");
        assert!(answer.header("x-amzn-requestid").is_some() && answer.header("x-amzn-errortype").is_some());
        mend(&mut call);
    }
    let answer = send(&bench, &call).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "hello"), "{answer:?}");
    assert_eq!(up.requests().len(), 1, "the origin saw the mended request alone");
}

async fn send(bench: &support::Bench, call: &Call) -> support::Answer {
    let path = format!("/{}/name/{}", call.stage, call.rest);
    let mut headers = vec![("user-agent", call.agent)];
    if let Some(token) = &call.token {
        headers.push(("token", token));
    }
    if call.fresh {
        headers.push(("cache-control", "max-age=0"));
    }
    bench.call(request(call.verb, &path, &headers)).await
}

/// A preflight carries no credentials and is answered before any step that could refuse it for want of them; whatever is no
/// preflight goes on.
#[tokio::test]
async fn a_preflight_is_answered_before_anybody_is_asked_who_calls() {
    const SHARED: &str = r#"
openapi: 3.0.1
info: {title: Shared, version: "1"}
x-amazon-apigateway-cors: {allowOrigins: ["https://app.example"], allowMethods: [GET], exposeHeaders: [x-a]}
components:
  securitySchemes:
    Token:
      type: apiKey
      name: Token
      in: header
      x-portcullis-authorizer: {type: token, algorithms: [HS256], secret: file:secret, secretEncoding: raw}
paths:
  /{rest+}:
    x-amazon-apigateway-any-method:
      security: [{Token: []}]
      x-amazon-apigateway-integration:
        type: http_proxy
        httpMethod: ANY
        payloadFormatVersion: "1.0"
        uri: http://127.0.0.1:9/
"#;
    let stage = StageSpec {
        throttle: (0.0, 0),
        ..StageSpec::default()
    };
    let bench = serve(ApiKind::Http, SHARED, vec![stage]);
    let origin = ("origin", "https://app.example");
    let asks = ("access-control-request-method", "GET");
    let last = async |verb: &str, path: &str, headers: &[(&str, &str)]| {
        let answer = bench.call(request(verb, path, headers)).await;
        (answer.status, answer.steps.last().unwrap().0)
    };
    for path in ["/a", "/"] {
        assert_eq!(
            last("OPTIONS", path, &[origin, asks]).await,
            (204, Step::Preflight),
            "{path}"
        );
    }
    assert_eq!(last("OPTIONS", "/a/../b", &[origin, asks]).await, (400, Step::Receive));
    for (verb, headers) in [
        ("OPTIONS", vec![origin]),
        ("OPTIONS", vec![asks]),
        ("GET", vec![origin, asks]),
    ] {
        assert_eq!(
            last(verb, "/a", &headers).await,
            (401, Step::Authenticate),
            "{verb} {headers:?}"
        );
    }
    // Refusals carry the fields, too, at whatever step behind the stage they happen.
    for (path, status) in [("/a", 401), ("/", 404)] {
        let answer = bench.get(path, &[origin]).await;
        assert_eq!(answer.status, status);
        assert_eq!(
            answer.header("access-control-allow-origin"),
            Some("https://app.example")
        );
        assert_eq!(answer.header("access-control-expose-headers"), Some("x-a"));
        assert_eq!(answer.header("vary"), Some("Origin"));
    }
    let twice = bench.get("/a", &[origin, ("origin", "https://evil.example")]).await;
    assert_eq!((twice.status, twice.header("access-control-allow-origin")), (401, None));
}
