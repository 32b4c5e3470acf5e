//! The response cache: what is kept, for whom, for how long, and that one fetch serves all who wait.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;

use portcullis_core::{Place, Timestamp, Verb};
use portcullis_model::{
    MethodSource, MethodVerb,
    cache::{CacheSettings, Invalidation, MethodCache, Unpermitted},
};
use portcullis_openapi::document::{ApiKind, Located};
use portcullis_proxy::Step as PipelineStep;
use portcullis_testkit::{Origin, origin::Step};
use serde_json::json;
use support::{Answer, Bench, NOW, StageSpec, cached, request, serve, token};

/// One open route that is cached by path, `page` and the header `X-Tenant`, and one behind a token.
fn document(origin: &str) -> String {
    format!(
        r#"
openapi: 3.0.1
info: {{title: Cached, version: "1"}}
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
              Resource: "arn:aws:execute-api:*:*:proxy/*/GET/*"
            - Effect: Allow
              Action: execute-api:InvalidateCache
              Resource: "arn:aws:execute-api:*:*:proxy/*/GET/${{claims.fresh}}/*"
paths:
  /open/{{rest+}}:
    x-amazon-apigateway-any-method:
      parameters:
        - {{name: rest, in: path, required: true, schema: {{type: string}}}}
        - {{name: page, in: query, schema: {{type: string}}}}
        - {{name: X-Tenant, in: header, schema: {{type: string}}}}
      x-amazon-apigateway-integration:
        type: http_proxy
        httpMethod: ANY
        uri: http://{origin}/{{rest}}
        requestParameters: {{integration.request.path.rest: method.request.path.rest}}
        cacheKeyParameters: [integration.request.path.rest, method.request.querystring.page, method.request.header.X-Tenant]
        timeoutInMillis: 2000
  /closed/{{rest}}:
    get:
      parameters: [{{name: rest, in: path, required: true, schema: {{type: string}}}}]
      security: [{{Token: []}}]
      x-amazon-apigateway-integration:
        type: http_proxy
        httpMethod: GET
        uri: http://{origin}/{{rest}}
        cacheKeyParameters: [method.request.path.rest]
    post:
      parameters: [{{name: rest, in: path, required: true, schema: {{type: string}}}}]
      x-amazon-apigateway-integration: {{type: http_proxy, httpMethod: POST, uri: "http://{origin}/{{rest}}", cacheKeyParameters: [method.request.path.rest]}}
    put:
      parameters: [{{name: rest, in: path, required: true, schema: {{type: string}}}}]
      x-amazon-apigateway-integration: {{type: http_proxy, httpMethod: PUT, uri: "http://{origin}/{{rest}}", cacheKeyParameters: [method.request.path.rest]}}
    delete:
      parameters: [{{name: rest, in: path, required: true, schema: {{type: string}}}}]
      x-amazon-apigateway-integration: {{type: http_proxy, httpMethod: DELETE, uri: "http://{origin}/{{rest}}", cacheKeyParameters: [method.request.path.rest]}}
"#
    )
}

fn bench(origin: &Origin, settings: CacheSettings) -> Bench {
    bench_with(origin, settings, Vec::new())
}

fn bench_with(origin: &Origin, settings: CacheSettings, methods: Vec<MethodSource>) -> Bench {
    let stage = StageSpec {
        cache: cached(settings),
        methods,
        ..StageSpec::default()
    };
    let document = document(&origin.address().to_string());
    serve(ApiKind::Rest, &document, vec![stage])
}

/// What the cache step said.
fn said(answer: &Answer) -> &str {
    let step = answer.steps.iter().find(|(step, _)| *step == PipelineStep::Cache);
    step.map_or("", |(_, verdict)| verdict)
}

impl Bench {
    fn later(&self, seconds: i64) {
        self.clock.set(Timestamp::from_unix_seconds(NOW + seconds));
    }
}

/// Method, path, headers, and how many requests the origin has seen by then.
type Call<'c> = (&'c str, &'c str, &'c [(&'c str, &'c str)], usize);

/// Calls one after the other; each says how many requests the origin has seen behind it.
async fn check_calls(origin: &Origin, bench: &Bench, calls: &[Call<'_>]) {
    for (method, path, headers, expected) in calls {
        let answer = bench.call(request(method, path, headers)).await;
        assert_eq!(
            origin.requests().len(),
            *expected,
            "{method} {path} {headers:?}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn answers_are_kept_by_their_key_and_by_nothing_else() {
    let origin = Origin::ok("hello");
    let bench = bench(&origin, CacheSettings::default());
    let tenant = |name: &'static str| -> &'static [(&'static str, &'static str)] {
        if name == "a" {
            &[("x-tenant", "a")]
        } else {
            &[("x-tenant", "b")]
        }
    };
    let calls: [Call<'_>; 24] = [
        ("GET", "/open/x", &[], 1),
        ("GET", "/open/x", &[], 1),
        ("GET", "/open/x", &[("user-agent", "another")], 1),
        ("GET", "/open/x?other=1", &[], 1),
        ("GET", "/open/%78", &[], 1),
        // Path, query and header make entries of their own, also where values only look alike.
        ("GET", "/open/y", &[], 2),
        ("GET", "/open/x?page=1", &[], 3),
        ("GET", "/open/x?page=1", &[], 3),
        ("GET", "/open/x?page=%31&other", &[], 3),
        ("GET", "/open/x?page=2", &[], 4),
        ("GET", "/open/x?page=1&page=2", &[], 5),
        ("GET", "/open/x?page=2&page=1", &[], 6),
        ("GET", "/open/x?page", &[], 7),
        ("GET", "/open/x?page=", &[], 8),
        ("GET", "/open/x?page=a+b", &[], 9),
        ("GET", "/open/x?page=a%20b", &[], 10),
        ("GET", "/open/a/b", &[], 11),
        ("GET", "/open/a%2Fb", &[], 12),
        ("GET", "/open/a%2fb", &[], 12),
        ("GET", "/open/x", tenant("a"), 13),
        ("GET", "/open/x", tenant("b"), 14),
        ("GET", "/open/x", tenant("a"), 14),
        // Other verbs are not cached, and do not read what is.
        ("POST", "/open/x", &[], 15),
        ("HEAD", "/open/x", &[], 16),
    ];
    check_calls(&origin, &bench, &calls).await;
}

#[tokio::test]
async fn an_answer_from_the_cache_is_the_answer() {
    let origin = Origin::answering(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Two: 1\r\nX-Two: 2\r\nServer: origin\r\nAge: 7\r\n\
         Content-Length: 5\r\nConnection: close\r\n\r\nhello",
    );
    let bench = bench(&origin, CacheSettings::default());
    let first = bench.get("/open/x", &[]).await;
    assert!(
        said(&first).starts_with("miss; by integration.request.path.rest, "),
        "{first:?}"
    );
    bench.later(3);
    let second = bench.get("/open/x", &[]).await;
    assert!(said(&second).starts_with("hit; by "), "{second:?}");
    assert_eq!((second.status, second.body.as_str()), (200, "hello"));
    assert_eq!(second.header("age"), Some("10"), "the origin's and ours");
    for name in ["content-type", "x-amzn-remapped-server"] {
        assert_eq!(first.header(name), second.header(name), "{name}");
        assert!(second.header(name).is_some(), "{name}");
    }
    let values: Vec<_> = second.headers.get_all("x-two").iter().collect();
    assert_eq!(values, ["1", "2"]);
    assert_ne!(first.header("x-amzn-requestid"), second.header("x-amzn-requestid"));
    assert_eq!(second.headers.get_all("x-amzn-requestid").iter().count(), 1);
}

#[tokio::test]
async fn what_must_not_be_shared_is_not_kept() {
    let ok = |fields: &str| format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 2\r\n\r\nhi");
    let large = "x".repeat(1024 * 1024 + 1);
    let cases = [
        (ok(""), true),
        (ok("Vary: X-Tenant, Accept-Encoding\r\n"), true),
        (ok("Cache-Control: no-store\r\n"), true),
        (ok("Set-Cookie: a=1\r\n"), false),
        (ok("Vary: Origin\r\n"), false),
        (ok("Vary: *\r\n"), false),
        (ok("Content-Encoding: gzip\r\n"), false),
        (
            "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno".to_owned(),
            false,
        ),
        (
            "HTTP/1.1 206 Partial\r\nContent-Range: bytes 0-1/2\r\nContent-Length: 2\r\n\r\nhi".to_owned(),
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n".to_owned(),
            true,
        ),
        (
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{large}", large.len()),
            false,
        ),
        (
            format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}",
                large.len() - 1,
                &large[1..]
            ),
            true,
        ),
        (
            format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{large}\r\n0\r\n\r\n",
                large.len()
            ),
            false,
        ),
    ];
    for (response, is_kept) in cases {
        let shown: String = response.chars().take(90).collect();
        let origin = Origin::answering(response);
        let bench = bench(&origin, CacheSettings::default());
        let first = bench.get("/open/x", &[]).await;
        let second = bench.get("/open/x", &[]).await;
        let fetches = if is_kept { 1 } else { 2 };
        assert_eq!(origin.requests().len(), fetches, "{shown}");
        assert_eq!((first.status, &first.body), (second.status, &second.body), "{shown}");
    }
}

#[tokio::test]
async fn a_body_that_broke_is_not_kept() {
    let broken = |response: &str| vec![Step::ReadRequest, Step::Send(response.into()), Step::Close];
    let whole = broken("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole");
    for response in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhal",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhal\r\n",
        // Without a length nobody can tell whether it is whole.
        "HTTP/1.1 200 OK\r\n\r\nhal",
    ] {
        let origin = Origin::scripted(vec![broken(response), whole.clone()]);
        let bench = bench(&origin, CacheSettings::default());
        let (first, _) = bench.try_call(request("GET", "/open/x", &[])).await;
        assert_eq!(first, 200);
        let second = bench.get("/open/x", &[]).await;
        assert_eq!(second.body, "whole", "{response}");
        assert_eq!(origin.requests().len(), 2, "{response}");
    }
}

#[tokio::test]
async fn some_requests_pass_the_cache_by() {
    let origin = Origin::ok("hello");
    let bench = bench(&origin, CacheSettings::default());
    let calls: [Call<'_>; 7] = [
        ("GET", "/open/x", &[], 1),
        ("GET", "/open/x", &[("range", "bytes=0-1")], 2),
        (
            "GET",
            "/open/x",
            &[("upgrade", "websocket"), ("connection", "upgrade")],
            3,
        ),
        ("GET", "/open/x", &[("if-match", "\"a\"")], 4),
        ("GET", "/open/x", &[("if-none-match", "\"a\"")], 4),
        ("GET", "/open/x", &[("cache-control", "no-cache")], 4),
        ("GET", "/open/x", &[], 4),
    ];
    check_calls(&origin, &bench, &calls).await;
    // What would make the answer another one than the key says does not reach the origin.
    let headers = [
        ("accept-encoding", "gzip"),
        ("x-forwarded-host", "evil.example"),
        ("if-none-match", "\"a\""),
        ("x-kept", "1"),
    ];
    bench.get("/open/other", &headers).await;
    let sent = origin.requests().pop().unwrap();
    let names: Vec<_> = headers.iter().filter(|(name, _)| sent.header(name).is_some()).collect();
    assert_eq!(names, [&("x-kept", "1")]);
}

#[tokio::test]
async fn entries_grow_stale() {
    let settings = CacheSettings {
        ttl_s: 10,
        ..CacheSettings::default()
    };
    let origin = Origin::ok("hello");
    let bench = bench(&origin, settings);
    for (seconds, fetches) in [(0, 1), (9, 1), (10, 2), (19, 2), (20, 3), (15, 4)] {
        bench.later(seconds);
        bench.get("/open/x", &[]).await;
        assert_eq!(
            origin.requests().len(),
            fetches,
            "after {seconds} s; a clock that was set back keeps nothing alive"
        );
    }
}

#[tokio::test]
async fn who_may_have_an_answer_fetched_anew() {
    let fresh = ("cache-control", "max-age=0");
    let warning = "199 Cache-control headers were ignored because the caller was unauthorized.";
    let cases = [
        (Invalidation::Anyone, "open", 200, None, 2),
        (Invalidation::Permitted(Unpermitted::Refuse), "closed", 200, None, 2),
        (Invalidation::Permitted(Unpermitted::Refuse), "open", 403, None, 1),
        (
            Invalidation::Permitted(Unpermitted::Warn),
            "Invoke",
            200,
            Some(warning),
            1,
        ),
        (Invalidation::Permitted(Unpermitted::Ignore), "open", 200, None, 1),
    ];
    for (invalidation, fresh_below, status, expected, fetches) in cases {
        let settings = CacheSettings {
            invalidation,
            ..CacheSettings::default()
        };
        let origin = Origin::ok("hello");
        let bench = bench(&origin, settings);
        let token = token(json!({"fresh": fresh_below}));
        let first = bench.get("/closed/x", &[("token", &token)]).await;
        assert_eq!((first.status, first.header("warning")), (200, None));
        let second = bench.get("/closed/x", &[("token", &token), fresh]).await;
        assert_eq!(
            (second.status, second.header("warning")),
            (status, expected),
            "{invalidation:?} {fresh_below}"
        );
        assert_eq!(origin.requests().len(), fetches, "{invalidation:?} {fresh_below}");
        bench.get("/closed/x", &[("token", &token)]).await;
        assert_eq!(origin.requests().len(), fetches, "what was fetched anew is kept");
        // A stranger gets nothing out of the cache, however fresh.
        assert_eq!(bench.get("/closed/x", &[]).await.status, 401);
        assert_eq!(bench.get("/closed/x", &[("token", "a.b.c"), fresh]).await.status, 403);
        assert_eq!(origin.requests().len(), fetches);
    }
    // Where nobody has a policy, nobody is allowed anything by one.
    let origin = Origin::ok("hello");
    let bench = bench(&origin, CacheSettings::default());
    for _ in 0..2 {
        assert_eq!(bench.get("/open/x", &[fresh]).await.header("warning"), Some(warning));
    }
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test]
async fn a_failing_origin_is_stood_in_for_where_the_stage_says_so() {
    let ok = Step::Send(support::ok("hello"));
    let failing = Step::Send(b"HTTP/1.1 503 Down\r\nContent-Length: 4\r\n\r\ndown".into());
    let once = |then: Step| {
        let first = vec![
            Step::ReadRequest,
            ok.clone(),
            Step::ReadRequest,
            then.clone(),
            Step::Close,
        ];
        Origin::scripted(vec![first, vec![Step::ReadRequest, then, Step::Close]])
    };
    for (stale_if_error_s, broken, status, body) in [
        (60, failing.clone(), 200, "hello"),
        (60, Step::Reset, 200, "hello"),
        (0, failing, 503, "down"),
        (0, Step::Reset, 504, "Network error"),
    ] {
        let origin = once(broken);
        let settings = CacheSettings {
            ttl_s: 10,
            stale_if_error_s,
            ..CacheSettings::default()
        };
        let bench = bench(&origin, settings);
        assert_eq!(bench.get("/open/x", &[]).await.status, 200);
        bench.later(11);
        let answer = bench.get("/open/x", &[]).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(answer.body.contains(body), "{answer:?}");
        bench.later(71);
        let answer = bench.get("/open/x", &[]).await;
        assert_ne!(answer.status, 200, "not for ever: {answer:?}");
    }
}

#[tokio::test]
async fn a_stale_answer_is_served_while_it_is_fetched_anew() {
    let again = vec![Step::ReadRequest, Step::Send(support::ok("two"))];
    let first = vec![
        Step::ReadRequest,
        Step::Send(support::ok("one")),
        Step::ReadRequest,
        Step::AwaitRelease,
    ];
    let origin = Origin::scripted(vec![[first, vec![Step::Send(support::ok("two"))]].concat(), again]);
    let settings = CacheSettings {
        ttl_s: 10,
        stale_while_revalidate_s: 5,
        ..CacheSettings::default()
    };
    let bench = bench(&origin, settings);
    assert_eq!(bench.get("/open/x", &[]).await.body, "one");
    bench.later(12);
    for _ in 0..3 {
        let answer = bench.get("/open/x", &[]).await;
        assert_eq!((answer.body.as_str(), answer.header("age")), ("one", Some("12")));
    }
    // One fetch goes on behind the callers' backs.
    while origin.requests().len() < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    origin.release();
    let mut answer = bench.get("/open/x", &[]).await;
    while answer.body == "one" {
        tokio::time::sleep(Duration::from_millis(1)).await;
        answer = bench.get("/open/x", &[]).await;
    }
    assert_eq!((answer.body.as_str(), origin.requests().len()), ("two", 2));
    bench.later(30);
    assert_eq!(
        bench.get("/open/x", &[]).await.header("age"),
        None,
        "too old to be served"
    );
}

#[tokio::test]
async fn methods_have_settings_of_their_own() {
    let method = |path: Option<&str>, verb, cache| MethodSource {
        place: Place::whole("test"),
        path: path.map(|path| Located {
            value: path.to_owned(),
            place: Place::whole("test"),
        }),
        verb,
        throttle: None,
        cache: Some(cache),
    };
    let on = || MethodCache::On(CacheSettings::default());
    let methods = vec![
        method(None, MethodVerb::Every, MethodCache::Off),
        method(Some("/closed/{rest}"), MethodVerb::Every, on()),
        method(Some("/closed/{rest}"), MethodVerb::One(Verb::Post), on()),
        method(Some("/closed/{rest}"), MethodVerb::One(Verb::Put), MethodCache::Off),
    ];
    let origin = Origin::ok("hello");
    let bench = bench_with(&origin, CacheSettings::default(), methods);
    let token = token(json!({"fresh": "none"}));
    let calls: [Call<'_>; 10] = [
        ("GET", "/open/x", &[], 1),
        ("GET", "/open/x", &[], 2),
        ("GET", "/closed/x", &[("token", &token)], 3),
        ("GET", "/closed/x", &[("token", &token)], 3),
        // A verb beside GET is cached where settings name it, and apart from GET.
        ("POST", "/closed/x", &[], 4),
        ("POST", "/closed/x", &[], 4),
        ("PUT", "/closed/x", &[], 5),
        ("PUT", "/closed/x", &[], 6),
        ("DELETE", "/closed/x", &[], 7),
        ("DELETE", "/closed/x", &[], 8),
    ];
    check_calls(&origin, &bench, &calls).await;
}

#[tokio::test]
async fn entries_are_forgotten_at_once() {
    let origin = Origin::ok("hello");
    let bench = bench(&origin, CacheSettings::default());
    let fill = async || {
        for path in ["/open/x?page=1", "/open/x?page=2"] {
            for tenant in ["a", "b"] {
                bench.get(path, &[("x-tenant", tenant)]).await;
            }
        }
        origin.requests().len()
    };
    let live = bench.gateway.live();
    let forget = |method: &str, target: &str| {
        live.forget_cached(&method.parse().unwrap(), &target.parse().unwrap())
            .map_err(|error| error.to_string())
    };
    assert_eq!((fill().await, fill().await), (4, 4));
    assert_eq!(live.cache_usage().0, 4);
    assert_eq!(forget("GET", "/open/x?page=%31&other=1"), Ok(2), "for each tenant");
    assert_eq!((fill().await, fill().await), (6, 6));
    assert_eq!(forget("GET", "/open/y"), Ok(0));
    assert_eq!(forget("POST", "/open/x?page=1"), Err("the method is not cached".into()));
    assert!(forget("GET", "/nowhere").unwrap_err().starts_with("no "));
    assert_eq!(live.flush_caches(Some("other"), None), 0);
    assert_eq!(live.flush_caches(None, Some("PROD")), 0);
    assert_eq!(fill().await, 6);
    assert_eq!(live.flush_caches(Some("proxy"), Some("TEST")), 1);
    assert_eq!(fill().await, 10);
}
