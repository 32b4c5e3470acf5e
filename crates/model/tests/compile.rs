//! Documents and settings into snapshots: every refusal and warning with its line, and the accepted twin.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "compile/limits.rs"]
mod limits;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use portcullis_core::{Findings, Place, RequestPath, Verb};
use portcullis_limit::Rate;
use portcullis_model::{
    ApiSource, Snapshot, StageLimits, StageSource, compile,
    snapshot::{Integration, KeySource, LogDestination},
};
use portcullis_openapi::document::{ApiKind, Located};

/// A REST API with one protected route; tests change lines of it.
const REST: &str = r#"openapi: 3.0.1
info: {title: T, version: "1"}
components:
  securitySchemes:
    Token:
      type: apiKey
      name: Token
      in: header
      x-portcullis-authorizer:
        type: token
        algorithms: [HS256]
        secret: file:s
paths:
  /a/{id}:
    get:
      parameters: [{name: id, in: path, required: true, schema: {type: string}}]
      security: [{Token: []}]
      x-amazon-apigateway-integration:
        type: http_proxy
        httpMethod: GET
        uri: http://${stageVariables.origin}/{id}
        requestParameters:
          integration.request.path.id: method.request.path.id
"#;

fn source(kind: ApiKind, text: &str) -> ApiSource {
    let (document, findings) = portcullis_openapi::read("api.yaml", text, kind);
    assert!(!findings.has_errors(), "{}", list(&findings));
    ApiSource {
        id: "api".into(),
        region: "eu-west-1".into(),
        account: "123456789012".into(),
        document: document.unwrap(),
        directory: PathBuf::from("/etc/portcullis"),
        stages: vec![stage("TEST", "/")],
        disable_default_endpoint: None,
    }
}

fn stage(name: &str, mount: &str) -> StageSource {
    let place = Place::new(Arc::from("portcullis.toml"), 9, 1);
    StageSource {
        place: place.clone(),
        name: name.into(),
        mount: Located {
            value: mount.into(),
            place: place.clone(),
        },
        variables: BTreeMap::from([("origin".into(), "127.0.0.1:9000".into())]),
        throttle: Rate::new(10_000.0, 5_000).unwrap().into(),
        limits: StageLimits::default(),
        access_log: Some((
            LogDestination::Stdout,
            Located {
                value: "clf".into(),
                place,
            },
        )),
        origin_roots: None,
        origin_client_certificate: None,
        deployment: None,
        role: portcullis_model::Role::Whole,
        cache: None,
    }
}

fn list(findings: &Findings) -> String {
    findings
        .iter()
        .map(|finding| {
            format!(
                "{}: {}: {} [{}]\n",
                finding.place, finding.severity, finding.message, finding.code
            )
        })
        .collect()
}

/// Replaces `from` by `to` in [`REST`] and compiles; the findings are exactly `expected`.
fn check(from: &str, to: &str, expected: &str) {
    assert!(REST.contains(from), "{from}");
    let (snapshot, findings) = compile(&vec![source(ApiKind::Rest, &REST.replace(from, to))].into(), None);
    assert_eq!(list(&findings), expected, "{from} -> {to}");
    assert_eq!(snapshot.is_some(), !findings.has_errors());
}

#[test]
fn a_sound_document_has_no_findings() {
    check("T", "T", "");
}

#[test]
fn what_cannot_be_honoured_is_refused() {
    check(
        "method.request.path.id",
        "method.request.path.ID",
        "api.yaml:23:40: error: GET /a/{id}: the resource has no path parameter `ID` [mapping]\n",
    );
    check(
        "method.request.path.id",
        "method.request.body",
        "api.yaml:23:40: error: GET /a/{id}: the mapping to `integration.request.path.id` cannot be honoured: \
         `method.request.body` maps a part of a body, which is not supported: send it as a header or query value [mapping]\n",
    );
    check(
        "integration.request.path.id: method",
        "integration.request.header.Host: method",
        "api.yaml:23:44: error: GET /a/{id}: the mapping to `integration.request.header.Host` cannot be honoured: the \
         header `Host` cannot be mapped: the gateway sets it [mapping]\n",
    );
    check(
        "${stageVariables.origin}",
        "${stageVariables.orgin}",
        "api.yaml:21:14: error: GET /a/{id}: the URI cannot be called on stage `TEST`: the stage variable `orgin` is not \
         set [integration-uri]\n",
    );
    check(
        "http://${stageVariables.origin}/{id}",
        "http://{id}.example/",
        "api.yaml:21:14: error: GET /a/{id}: the URI cannot be called: a path parameter cannot be a part of the host: a \
         caller would choose whom the gateway connects to [integration-uri]\n",
    );
    check(
        "origin}/{id}",
        "origin}/{other}",
        "api.yaml:21:14: error: GET /a/{id}: `{other}` in the URI has no value [integration-uri]\n",
    );
    check(
        "[HS256]",
        "[HS255]",
        "api.yaml:11:22: error: `HS255` is no signature algorithm that can be verified [algorithm-unknown]\n",
    );
    check(
        "[HS256]",
        "[RS256]",
        "api.yaml:12:17: error: authoriser `Token` allows algorithms with public keys but has shared secrets \
         [authorizer-keys]\n",
    );
    check(
        "secret: file:s",
        "jwks: https://keys.example/jwks",
        "api.yaml:12:15: error: authoriser `Token` allows an HMAC algorithm with a public key set [authorizer-keys]\n",
    );
    check(
        "algorithms: [HS256]\n        secret: file:s",
        "algorithms: [ES256]\n        jwks: http://keys.example/jwks",
        "api.yaml:12:15: error: keys cannot be fetched from `http://keys.example/jwks`: keys are fetched over plain HTTP \
         from this machine only: who can change them can sign any token [jwks-url]\n",
    );
    check(
        "secret: file:s",
        "secret: file:s\n        identityValidationExpression: \"(\"",
        "api.yaml:13:39: error: identityValidationExpression cannot be used: unclosed group \
         [expression-invalid]\n",
    );
    check(
        "secret: file:s",
        "secret: file:s\n        policy: {Version: \"2012-10-17\", Statement: [{Effect: Permit, Action: '*', Resource: '*'}]}",
        "api.yaml:13:9: error: the policy of authoriser `Token` cannot be used: the effect `Permit` is unknown at \
         `/Statement/0/Effect`: write `Allow` or `Deny` [policy-invalid]\n",
    );
}

#[test]
fn advice_is_given_where_it_is_probably_not_meant() {
    check(
        "http://${stageVariables.origin}",
        "http://origin.example",
        "api.yaml:21:14: warning: GET /a/{id} sends its requests over plain HTTP to origin.example, on stage `TEST` \
         [origin-plain-http]\n",
    );
    check("http://${stageVariables.origin}", "https://origin.example", "");
    check(
        "paths:\n",
        "paths:\n  /open:\n    get:\n      x-amazon-apigateway-integration: {type: http_proxy, httpMethod: GET, uri: \
         \"http://127.0.0.1:9/\"}\n",
        "api.yaml:15:5: warning: GET /open is open to anyone beside routes that are protected [route-unprotected]\n",
    );
    check(
        "secret: file:s",
        "secret: file:s\n        requireExpiry: false",
        "api.yaml:5:5: warning: authoriser `Token` accepts tokens that never expire [expiry-not-required]\n",
    );
}

#[test]
fn stages_have_advice_too() {
    let mock = r#"openapi: 3.0.1
info: {title: T, version: "1"}
paths:
  /a:
    get:
      x-amazon-apigateway-integration:
        type: mock
        requestTemplates: {application/json: '{"statusCode": 200}'}
        responses: {default: {statusCode: "200"}}
"#;
    let mut api = source(ApiKind::Rest, mock);
    let mut live = stage("prod", "/prod");
    live.access_log = None;
    api.stages.push(live);
    let (snapshot, findings) = compile(&vec![api].into(), None);
    assert_eq!(
        list(&findings),
        "api.yaml:6:7: warning: GET /a answers with a constant on stage `prod` [mock-on-live-stage]\n\
         portcullis.toml:9:1: warning: stage `prod` of `api` keeps no access log [logging-off]\n"
    );
    assert_eq!(snapshot.unwrap().stages.len(), 2);
}

#[test]
fn policies_that_allow_everyone_everything_are_warned_about() {
    let policy = "x-amazon-apigateway-policy: {Version: \"2012-10-17\", Statement: [{Effect: Allow, Principal: \"*\", \
                  Action: \"execute-api:Invoke\", Resource: \"*\"}]}\ncomponents:\n";
    let (snapshot, findings) = compile(
        &vec![source(ApiKind::Rest, &REST.replace("components:\n", policy))].into(),
        None,
    );
    assert!(
        list(&findings).contains("warning: the resource policy: statement 0 allows every request"),
        "{}",
        list(&findings)
    );
    assert!(snapshot.is_some());
    let denied = policy.replace("Effect: Allow", "Effect: Refuse");
    let (snapshot, findings) = compile(
        &vec![source(ApiKind::Rest, &REST.replace("components:\n", &denied))].into(),
        None,
    );
    assert!(list(&findings).contains("[policy-invalid]"), "{}", list(&findings));
    assert!(snapshot.is_none());
}

#[test]
fn mounts_and_hosts_lead_to_stages() {
    let mut first = source(ApiKind::Rest, REST);
    first.stages = vec![stage("TEST", "/"), stage("v1", "/v1"), stage("deep", "/v1/deep")];
    let mut second = source(ApiKind::Rest, REST);
    second.id = "other".into();
    second.stages = vec![stage("TEST", "/other")];
    let (snapshot, findings) = compile(&vec![first, second].into(), None);
    assert!(!findings.has_errors(), "{}", list(&findings));
    let snapshot = snapshot.unwrap();
    let cases = [
        (None, "/a/1", Some("api TEST /a/1")),
        (None, "/v1/a/1", Some("api v1 /a/1")),
        (None, "/v1", Some("api v1 /")),
        (None, "/v11/a", Some("api TEST /v11/a")),
        (None, "/%76%31/deep/a%2F/", Some("api deep /a%2F/")),
        (None, "/other/a", Some("other TEST /a")),
        (Some("localhost"), "/v1/a", Some("api v1 /a")),
        (Some("other.execute-api.example"), "/TEST/a", Some("other TEST /a")),
        (Some("OTHER.Execute-Api.example"), "/TEST", Some("other TEST /")),
        (Some("other.execute-api.example"), "/v1/a", None),
        (Some("nobody.execute-api.example"), "/TEST/a", None),
    ];
    for (host, path, expected) in cases {
        let found = snapshot.locate(host, RequestPath::parse(path).unwrap());
        let text = found
            .ok()
            .map(|found| format!("{} {} {}", found.stage.api, found.stage.name, found.path.as_received()));
        assert_eq!(text.as_deref(), expected, "{host:?} {path}");
    }
    let mut twice = source(ApiKind::Rest, REST);
    twice.stages.push(stage("again", "/"));
    let (none, findings) = compile(&vec![twice].into(), None);
    assert!(none.is_none());
    assert!(
        list(&findings).contains("`/` already leads to stage `TEST` of `api` [duplicate-mount]"),
        "{}",
        list(&findings)
    );
}

#[test]
fn a_throttle_is_carried_over_while_its_figures_stay() {
    let compiled = |rate: f64, previous: Option<&Snapshot>| {
        let mut api = source(ApiKind::Rest, REST);
        api.stages[0].throttle = Rate::new(rate, 1).unwrap().into();
        compile(&vec![api].into(), previous).0.unwrap()
    };
    let first = compiled(0.0, None);
    assert!(first.stages[0].throttle.try_take(0).is_ok());
    let same = compiled(0.0, Some(&first));
    assert!(
        same.stages[0].throttle.try_take(0).is_err(),
        "a change of configuration does not fill the bucket"
    );
    assert!(compiled(1.0, Some(&first)).stages[0].throttle.try_take(0).is_ok());
}

#[test]
fn what_is_compiled() {
    let (snapshot, _) = compile(&vec![source(ApiKind::Rest, REST)].into(), None);
    let snapshot = snapshot.unwrap();
    let stage = &snapshot.stages[0];
    assert_eq!(stage.arn_prefix, "arn:aws:execute-api:eu-west-1:123456789012:api/TEST/");
    let found = stage
        .router
        .find(RequestPath::parse("/a/7").unwrap(), Some(Verb::Get))
        .unwrap();
    let route = &stage.routes[found.route];
    assert_eq!(&*route.key, "GET /a/{id}");
    let Integration::HttpProxy(proxy) = &route.integration else {
        panic!("{route:?}")
    };
    assert_eq!(
        (
            stage.origins[proxy.origin].host.as_str(),
            stage.origins[proxy.origin].port
        ),
        ("127.0.0.1", 9000)
    );
    assert_eq!(proxy.timeout.as_millis(), 29_000);
    let KeySource::Secrets { references, .. } = &stage.authorizers[0].keys else {
        panic!("{stage:?}")
    };
    assert_eq!(
        references[0].to_string(),
        "file:/etc/portcullis/s",
        "relative to the document"
    );
}
