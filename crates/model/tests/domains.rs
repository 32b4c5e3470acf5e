//! Custom domains: which host and path lead where, and what is said of domains that make no sense.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::BTreeMap, path::PathBuf};

use portcullis_core::{Place, RequestPath};
use portcullis_limit::Rate;
use portcullis_model::{
    ApiSource, DomainSource, MappingSource, Snapshot, Sources, StageLimits, StageSource, Unlocated, compile,
    snapshot::LogDestination,
};
use portcullis_openapi::document::{ApiKind, Located};
use proptest::prelude::*;

const DOCUMENT: &str = r#"
openapi: 3.0.1
info: {title: T, version: "1"}
paths:
  /{rest+}:
    get:
      parameters: [{name: rest, in: path, required: true, schema: {type: string}}]
      x-amazon-apigateway-integration: {type: http_proxy, httpMethod: GET, uri: "http://127.0.0.1:9000/"}
"#;

fn located(value: &str) -> Located<String> {
    Located {
        value: value.into(),
        place: Place::whole("portcullis.toml"),
    }
}

fn api(id: &str, kind: ApiKind, stages: &[(&str, &str)]) -> ApiSource {
    let (document, _) = portcullis_openapi::read("api.yaml", DOCUMENT, kind);
    let stage = |(name, mount): &(&str, &str)| StageSource {
        place: Place::whole("portcullis.toml"),
        name: (*name).into(),
        mount: located(mount),
        variables: BTreeMap::new(),
        throttle: Rate::new(1.0, 1).unwrap().into(),
        limits: StageLimits::default(),
        access_log: Some((LogDestination::Stdout, located("clf"))),
        origin_roots: None,
        deployment: None,
        role: portcullis_model::Role::Whole,
        origin_client_certificate: None,
        cache: None,
    };
    ApiSource {
        id: id.into(),
        region: "eu-west-1".into(),
        account: "123456789012".into(),
        document: document.unwrap(),
        directory: PathBuf::new(),
        stages: stages.iter().map(stage).collect(),
        disable_default_endpoint: None,
    }
}

/// A domain with mappings as `base path → API stage`.
fn domain(name: &str, mappings: &[(&str, &str)]) -> DomainSource {
    let mapping = |(base_path, target): &(&str, &str)| {
        let (api, stage) = target.split_once(' ').unwrap();
        MappingSource {
            base_path: located(base_path),
            api: located(api),
            stage: located(stage),
        }
    };
    DomainSource {
        name: located(name),
        mappings: mappings.iter().map(mapping).collect(),
    }
}

fn compiled(sources: &Sources) -> (Option<Snapshot>, String) {
    let (snapshot, findings) = compile(sources, None);
    let line =
        |finding: &portcullis_core::Finding| format!("{}: {} [{}]\n", finding.severity, finding.message, finding.code);
    (snapshot, findings.iter().map(line).collect())
}

#[test]
fn hosts_and_base_paths_lead_to_stages() {
    let mut closed = api("closed", ApiKind::Rest, &[("TEST", "/closed")]);
    closed.disable_default_endpoint = Some(true);
    let mut web = api("web", ApiKind::Http, &[("$default", "/web")]);
    web.disable_default_endpoint = Some(true);
    let sources = Sources {
        apis: vec![api("open", ApiKind::Rest, &[("TEST", "/"), ("v1", "/v1")]), closed, web],
        domains: vec![
            domain(
                "api.example.com",
                &[
                    ("v2", "open v1"),
                    ("", "open TEST"),
                    ("v2/deep", "closed TEST"),
                    ("v2/deep/er", "web $default"),
                ],
            ),
            domain("*.example.com", &[("a", "open v1")]),
            domain("only.example.com", &[("x", "web $default")]),
        ],
        ..Sources::default()
    };
    let (snapshot, findings) = compiled(&sources);
    assert_eq!(findings, "");
    let snapshot = snapshot.unwrap();
    let none = Err(Unlocated::NoMapping);
    let cases = [
        ("api.example.com", "/a", Ok("open TEST /a (none)")),
        ("API.Example.Com", "/v2/a", Ok("open v1 /a v2")),
        ("api.example.com.", "/v2", Ok("open v1 / v2")),
        ("api.example.com", "/%762/a", Ok("open v1 /a v2")),
        ("api.example.com", "/v22/a", Ok("open TEST /v22/a (none)")),
        ("api.example.com", "/V2/a", Ok("open TEST /V2/a (none)")),
        ("api.example.com", "//v2/a", Ok("open TEST //v2/a (none)")),
        ("api.example.com", "/v2/deeper", Ok("open v1 /deeper v2")),
        ("api.example.com", "/v2%2Fdeep/a", Ok("open TEST /v2%2Fdeep/a (none)")),
        ("api.example.com", "/v2/deep/a%2F/", Ok("closed TEST /a%2F/ v2/deep")),
        ("api.example.com", "/v2/deep/er/", Ok("web $default / v2/deep/er")),
        // A default mount means nothing on a domain.
        ("api.example.com", "/v1/a", Ok("open TEST /v1/a (none)")),
        ("b.example.com", "/a/b", Ok("open v1 /b a")),
        ("b.example.com", "/b", none),
        // An exact name comes before a wildcard, which stands for one label.
        ("only.example.com", "/x/y", Ok("web $default /y x")),
        ("only.example.com", "/a/b", none),
        ("b.c.example.com", "/v1/a", Ok("open v1 /a -")),
        ("example.com", "/v1/a", Ok("open v1 /a -")),
        (".example.com", "/v1/a", Ok("open v1 /a -")),
        ("open.execute-api.example", "/v1/a", Ok("open v1 /a -")),
        ("127.0.0.1", "/closed/a", Ok("open TEST /closed/a -")),
        (
            "closed.execute-api.example",
            "/TEST/a",
            Err(Unlocated::EndpointDisabled(ApiKind::Rest)),
        ),
        (
            "web.execute-api.example",
            "/a",
            Err(Unlocated::EndpointDisabled(ApiKind::Http)),
        ),
        ("none.execute-api.example", "/a", Err(Unlocated::NoStage)),
    ];
    for (host, path, expected) in cases {
        let found = snapshot
            .locate(Some(host), RequestPath::parse(path).unwrap())
            .map(|found| {
                let matched = found
                    .mapping
                    .map_or("-", |index| snapshot.domains.at(index).unwrap().matched());
                format!(
                    "{} {} {} {matched}",
                    found.stage.api,
                    found.stage.name,
                    found.path.as_received()
                )
            });
        assert_eq!(found.as_deref().map_err(|error| *error), expected, "{host} {path}");
    }
}

#[test]
fn a_stage_that_is_served_by_domains_alone_hides_none_and_needs_no_mount_of_its_own() {
    let mut closed = api("closed", ApiKind::Http, &[("prod", "/prod")]);
    closed.disable_default_endpoint = Some(true);
    let mut other = api("other", ApiKind::Http, &[("prod", "/prod")]);
    other.disable_default_endpoint = Some(true);
    let sources = Sources {
        apis: vec![closed, other, api("open", ApiKind::Rest, &[("prod", "/prod/api")])],
        domains: vec![domain("a.example", &[("", "closed prod")])],
        ..Sources::default()
    };
    let (snapshot, findings) = compiled(&sources);
    assert_eq!(
        findings,
        "warning: stage `prod` of `other` cannot be reached: its default address is disabled and no domain leads to it \
         [stage-unreachable]\n"
    );
    let snapshot = snapshot.unwrap();
    let locate = |path| {
        snapshot
            .locate(None, RequestPath::parse(path).unwrap())
            .map(|found| &*found.stage.api)
    };
    assert_eq!(locate("/prod/api/x"), Ok("open"));
    assert_eq!(locate("/prod/x"), Err(Unlocated::EndpointDisabled(ApiKind::Http)));
    assert_eq!(locate("/x"), Err(Unlocated::NoStage));
}

#[test]
fn the_configuration_has_the_last_word_over_the_document() {
    let disabled = format!("x-amazon-apigateway-endpoint-configuration: {{disableExecuteApiEndpoint: true}}{DOCUMENT}");
    for (configured, is_served) in [(None, false), (Some(false), true), (Some(true), false)] {
        let mut api = api("a", ApiKind::Rest, &[("TEST", "/")]);
        api.document = portcullis_openapi::read("api.yaml", &disabled, ApiKind::Rest)
            .0
            .unwrap();
        api.disable_default_endpoint = configured;
        let (snapshot, findings) = compiled(&vec![api].into());
        assert_eq!(
            snapshot.unwrap().stages[0].default_endpoint,
            is_served,
            "{configured:?}"
        );
        assert_eq!(findings.contains("stage-unreachable"), !is_served, "{findings}");
    }
}

#[test]
fn what_is_there_twice_is_an_error() {
    let check = |domains: Vec<DomainSource>, expected: &str| {
        let apis = vec![api("a", ApiKind::Rest, &[("TEST", "/")])];
        let (snapshot, findings) = compiled(&Sources {
            apis,
            domains,
            ..Sources::default()
        });
        assert_eq!(findings, expected);
        assert_eq!(snapshot.is_some(), expected.is_empty());
    };
    let one = || domain("a.example", &[("v1", "a TEST")]);
    check(vec![one(), domain("b.example", &[("v1", "a TEST")])], "");
    check(
        vec![one(), one()],
        "error: the domain `a.example` is there twice [duplicate-domain]\n",
    );
    check(
        vec![domain("a.example", &[("v1", "a TEST"), ("v1", "a TEST")])],
        "error: `a.example` has the base path `/v1` twice [duplicate-base-path]\n",
    );
}

/// The longest base path whose decoded segments begin the path's; what comes of it.
fn naive<'b>(base_paths: &[&'b str], path: &str) -> Option<(&'b str, String)> {
    let decoded: Vec<_> = path[1..].split('/').map(portcullis_core::path::decode).collect();
    let covers = |base_path: &&&str| {
        let segments: Vec<_> = base_path.split('/').filter(|segment| !segment.is_empty()).collect();
        segments.len() <= decoded.len() && segments.iter().zip(&decoded).all(|(wanted, found)| wanted == found)
    };
    let found = base_paths
        .iter()
        .filter(covers)
        .max_by_key(|base_path| base_path.len())?;
    let depth = found.split('/').filter(|segment| !segment.is_empty()).count();
    let rest: Vec<_> = path[1..].split('/').skip(depth).collect();
    Some((found, format!("/{}", rest.join("/"))))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200 * soak()))]

    #[test]
    fn the_longest_base_path_wins(
        base_paths in prop::collection::btree_set("(a|b|ab)(/(a|b|ab)){0,3}|", 0..6),
        path in "(/(a|b|ab|%61|%61b|)){1,5}",
    ) {
        let base_paths: Vec<&str> = base_paths.iter().map(String::as_str).collect();
        let mappings: Vec<_> = base_paths.iter().map(|base_path| (*base_path, "a TEST")).collect();
        let sources = Sources {
            apis: vec![api("a", ApiKind::Rest, &[("TEST", "/")])],
            domains: vec![domain("a.example", &mappings)],
            ..Sources::default()
        };
        let snapshot = compile(&sources, None).0.unwrap();
        let found = snapshot.locate(Some("a.example"), RequestPath::parse(&path).unwrap());
        let found = found.ok().map(|found| {
            let base_path = &*snapshot.domains.at(found.mapping.unwrap()).unwrap().base_path;
            (base_path, found.path.as_received().to_owned())
        });
        prop_assert_eq!(found, naive(&base_paths, &path));
    }
}

fn soak() -> u32 {
    std::env::var("PORTCULLIS_SOAK")
        .ok()
        .and_then(|factor| factor.parse().ok())
        .unwrap_or(1)
}
