//! What bounds a stage's requests: which settings a method has, and which are refused.

use portcullis_core::{Findings, Place};
use portcullis_limit::Rate;
use portcullis_model::{ApiSource, MethodSource, MethodVerb, Snapshot, compile};
use portcullis_openapi::document::{ApiKind, Located};

use super::{source, stage};

const MOCK: &str = "{type: mock, requestTemplates: {application/json: '{\"statusCode\": 200}'}, responses: {default: \
                    {statusCode: \"200\"}}}";

fn api(methods: Vec<MethodSource>) -> ApiSource {
    let operations = [
        ("/a", "get"),
        ("/a", "post"),
        ("/a", "x-amazon-apigateway-any-method"),
        ("/b", "get"),
    ];
    let mut text = "openapi: 3.0.1\ninfo: {title: T, version: \"1\"}\npaths:\n".to_owned();
    let mut last = "";
    for (path, verb) in operations {
        if path != last {
            text.push_str(&format!("  {path}:\n"));
        }
        last = path;
        text.push_str(&format!("    {verb}:\n      x-amazon-apigateway-integration: {MOCK}\n"));
    }
    let mut api = source(ApiKind::Rest, &text);
    let mut stage = stage("TEST", "/");
    stage.limits.methods = methods;
    api.stages = vec![stage];
    api
}

fn place(line: u32) -> Place {
    Place::new("portcullis.toml".into(), line, 1)
}

fn list(findings: &Findings) -> Vec<String> {
    let errors = findings
        .iter()
        .filter(|finding| finding.code != "logging-off" && finding.code != "mock-on-live-stage");
    errors
        .map(|finding| {
            format!(
                "{}: {} [{}] {}",
                finding.place, finding.message, finding.code, finding.remedy
            )
        })
        .collect()
}

/// `GET /a 5` is the burst of an entry; `-` gives it no throttle.
fn entries(written: &[&str]) -> Vec<MethodSource> {
    let entry = |(at, text): (usize, &&str)| {
        let words: Vec<_> = text.split(' ').collect();
        let place = place(u32::try_from(at).unwrap() + 10);
        MethodSource {
            path: (words[1] != "*").then(|| Located {
                value: words[1].to_owned(),
                place: place.clone(),
            }),
            place,
            verb: MethodVerb::parse(words[0]).unwrap(),
            throttle: words[2].parse().ok().map(|burst| Rate::new(1.0, burst).unwrap().into()),
            cache: None,
        }
    };
    written.iter().enumerate().map(entry).collect()
}

fn bursts(snapshot: &Snapshot) -> Vec<Option<u32>> {
    let routes = &snapshot.stages[0].routes;
    let burst = |key: &str| {
        let route = routes.iter().find(|route| &*route.key == key).unwrap();
        route.throttle.as_ref().map(|throttle| throttle.rate().burst())
    };
    ["GET /a", "POST /a", "ANY /a", "GET /b"].map(burst).to_vec()
}

#[test]
fn the_most_specific_entry_that_has_a_setting_holds() {
    let check = |written: &[&str], expected: [u32; 4]| {
        let (snapshot, findings) = compile(&vec![api(entries(written))].into(), None);
        assert_eq!(list(&findings), [""; 0], "{written:?}");
        let expected = expected.map(|burst| (burst > 0).then_some(burst));
        assert_eq!(bursts(&snapshot.unwrap()), expected, "{written:?}");
    };
    check(&[], [0, 0, 0, 0]);
    check(&["* * 1"], [1, 1, 1, 1]);
    check(&["GET * 1"], [1, 0, 0, 1]);
    check(&["* /a 1"], [1, 1, 1, 0]);
    check(&["ANY /a 1"], [0, 0, 1, 0]);
    check(&["GET /a 4", "* /a 3", "GET * 2", "* * 1"], [4, 3, 3, 2]);
    check(&["* * 1", "GET * 2", "* /a 3", "GET /a 4"], [4, 3, 3, 2]);
    check(&["GET /a -", "* /a 3", "* * 1"], [3, 3, 3, 1]);
}

#[test]
fn entries_that_select_nothing_or_twice_the_same_are_refused() {
    let check = |written: &[&str], expected: &str| {
        let (snapshot, findings) = compile(&vec![api(entries(written))].into(), None);
        assert_eq!(list(&findings), [expected], "{written:?}");
        assert!(snapshot.is_none());
    };
    check(
        &["GET /aa 1"],
        "portcullis.toml:10:1: `api` has no method `GET /aa` [method-unknown] write a path as the document does (did you \
         mean `/a`?)",
    );
    check(
        &["DELETE /a 1"],
        "portcullis.toml:10:1: `api` has no method `DELETE /a` [method-unknown] there is GET /a, POST /a, ANY /a",
    );
    check(
        &["GET /a 1", "GET /a 2"],
        "portcullis.toml:11:1: stage `TEST` has settings of `GET /a` twice; first in line 10 [duplicate-method] put them \
         into one entry",
    );
}

#[test]
fn each_selected_method_has_a_bucket_of_its_own_that_is_carried_over() {
    let compiled = |written: &[&str], previous: Option<&Snapshot>| {
        compile(&vec![api(entries(written))].into(), previous).0.unwrap()
    };
    let take = |snapshot: &Snapshot, route: usize| {
        let throttle = snapshot.stages[0].routes[route].throttle.as_ref().unwrap();
        throttle.try_take(0).is_ok()
    };
    let first = compiled(&["* * 1"], None);
    assert!(take(&first, 0) && !take(&first, 0));
    assert!(take(&first, 1), "another method's");
    let second = compiled(&["* * 1", "* /b 2"], Some(&first));
    assert!(!take(&second, 0), "carried over");
    assert!(take(&second, 3), "other figures make a new one");
}
