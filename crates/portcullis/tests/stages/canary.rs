use std::thread;

use portcullis_testkit::{Origin, Portcullis, Stream};

use crate::{
    config, document,
    load::{Load, Stop},
    logged, place, serve, soak,
    support::{Place, metrics::Samples, poll},
    word,
};

/// Deployment 1 says `old`, the document says `new`, and a gateway serves the first.
fn pinned() -> (Place, Portcullis) {
    let place = place("old", "");
    place.run(&["deploy"]).expect(0, "deployment 1", "");
    place.write("proxy.yaml", document("new"));
    let gateway = serve(&place, &[]);
    assert_eq!(word(&gateway), "old");
    (place, gateway)
}

/// How many of `count` calls said `new`.
fn share(gateway: &Portcullis, count: usize) -> usize {
    (0..count).filter(|_| word(gateway) == "new").count()
}

#[test]
fn a_part_of_the_requests_goes_to_the_canary() {
    let (place, gateway) = pinned();
    place.run(&["deploy", "--canary-percent", "50"]).expect(
        0,
        "deployment 2 gets 50 % of the requests to TEST of proxy, deployment 1 the others",
        "",
    );
    let count = 200;
    let new = share(&gateway, count);
    assert!(
        (60..=140).contains(&new),
        "{new} of {count}: eight standard deviations would be out of it"
    );

    // Logs and metrics tell them apart.
    let lines = logged(&gateway, count + 1);
    assert_eq!(lines.iter().filter(|line| *line == "TEST 2 true 200").count(), new);
    assert_eq!(
        lines.iter().filter(|line| *line == "TEST 1 false 200").count(),
        count - new
    );
    let metrics = portcullis_testkit::curl(&[&format!("http://{}/metrics", gateway.addresses()[1])]);
    let name = "portcullis_count_total{api=\"proxy\",stage=\"TEST/Canary\",route=\"GET /word\"}";
    assert_eq!(Samples::read(metrics.text()).value(name), new as f64);

    for (percent, expected) in [("0", 0), ("100", 20)] {
        place.run(&["canary", "set", "TEST", "--percent", percent]).expect(
            0,
            &format!("deployment 2 gets {percent} %"),
            "",
        );
        assert_eq!(share(&gateway, 20), expected);
    }
    // It outlives the process.
    gateway.kill();
    let gateway = serve(&place, &[]);
    assert_eq!(share(&gateway, 20), 20);
    place
        .run(&["canary", "remove", "TEST"])
        .expect(0, "has no canary any more", "");
    assert_eq!(share(&gateway, 20), 0);
    let lines = logged(&gateway, 40);
    let without = lines.iter().filter(|line| *line == "TEST 1 - 200").count();
    assert_eq!(without, 20, "without a canary nothing is said of one");

    place
        .run(&["deploy", "--canary-percent", "1.5"])
        .expect(0, "deployment 3 gets 1.5 %", "");
    place
        .run(&["canary", "promote", "TEST"])
        .expect(0, "TEST of proxy serves deployment 3", "");
    assert_eq!(share(&gateway, 20), 20);
    place.run(&["deployments"]).expect(0, "", "");
}

#[test]
fn a_canary_has_variables_of_its_own() {
    let (one, two) = (Origin::ok("{\"word\": \"old\"}"), Origin::ok("{\"word\": \"new\"}"));
    let document = "openapi: 3.0.1\ninfo: {title: T, version: \"1\"}\npaths:\n  /word:\n    get:\n      \
                    x-amazon-apigateway-integration: {type: http_proxy, httpMethod: GET, uri: \
                    \"http://${stageVariables.origin}/${stageVariables.path}\"}\n";
    let place = Place::new();
    place.write("proxy.yaml", document);
    let stage = |more: &str| {
        let (one, two) = (one.address(), two.address());
        config(&format!(
            "variables = {{ origin = \"{one}\", path = \"both\" }}\ncanary = {{ deployment = 1, variables = {{ origin = \"{two}\" }}, {more} }}"
        ))
    };
    place.write(
        "portcullis.toml",
        config(&format!(
            "variables = {{ origin = \"{}\", path = \"a\" }}",
            one.address()
        )),
    );
    place.run(&["deploy", "--no-stage"]).expect(0, "deployment 1", "");
    place.write("portcullis.toml", stage("percent = 100"));
    let gateway = serve(&place, &[]);
    assert_eq!(word(&gateway), "new");
    assert_eq!(
        two.requests()[0].request_line(),
        "GET /both HTTP/1.1",
        "variables that it does not override are the stage's"
    );
    place.write("portcullis.toml", stage("percent = 0"));
    gateway
        .child()
        .wait_for_line(Stream::Stderr, 0, |line| line == "reloaded: 1 stage served");
    assert_eq!(word(&gateway), "old");
    drop(gateway);

    // Promoted, they are the stage's.
    let (place, gateway) = pinned();
    place
        .run(&["deploy", "--canary-percent", "5", "--canary-variable", "a=b"])
        .expect(0, "", "");
    place
        .run(&["canary", "promote", "TEST"])
        .expect(0, "its variables are kept with it", "");
    assert!(place.read("state/deployments/stages.json").contains("\"a\": \"b\""));
    assert_eq!(word(&gateway), "new");
}

#[test]
fn a_canary_that_fails_is_rolled_back_and_stays_so() {
    let place = place("old", "");
    place.run(&["deploy"]).expect(0, "deployment 1", "");
    place.write("proxy.yaml", document("503"));
    let gateway = serve(&place, &[]);
    let rule = ["--rollback-error-percent", "10", "--rollback-requests-min", "5"];
    place
        .run(&[&["deploy", "--canary-percent", "100"], &rule[..]].concat())
        .expect(0, "deployment 2 gets 100 %", "");
    // What was before its first look does not count, so it is asked until it is over.
    poll(|| word(&gateway), |said| said == "old");
    let said = gateway
        .child()
        .wait_for_line(Stream::Stderr, 0, |line| line.contains("is rolled back"));
    assert!(
        said.starts_with("warning: the canary of TEST of proxy is rolled back: 100.00 % of its last "),
        "{said}"
    );
    place
        .run(&["deployments"])
        .expect(0, "the canary of TEST of proxy, deployment 2, was rolled back at ", "");
    place.run(&["deployments"]).expect(0, "TEST/Canary (rolled back)", "");

    gateway.kill();
    let gateway = serve(&place, &[]);
    assert_eq!(share_of(&gateway, "503", 20), 0);
    place.run(&["canary", "resume", "TEST"]).expect(
        0,
        "deployment 2 gets 100 % of the requests to TEST of proxy again",
        "",
    );
    assert_eq!(word(&gateway), "503");
    poll(|| word(&gateway), |said| said == "old");
}

fn share_of(gateway: &Portcullis, wanted: &str, count: usize) -> usize {
    (0..count).filter(|_| word(gateway) == wanted).count()
}

#[test]
fn a_declared_canary_is_rolled_back_too() {
    let place = place("old", "");
    place.run(&["deploy"]).expect(0, "deployment 1", "");
    place.write("proxy.yaml", document("503"));
    place.run(&["deploy", "--no-stage"]).expect(0, "deployment 2", "");
    let rule = "rollback = { error_percent_max = 0, requests_min = 1, window_s = 5 }";
    place.write(
        "portcullis.toml",
        config(&format!(
            "deployment = 1\ncanary = {{ percent = 100, deployment = 2, {rule} }}"
        )),
    );
    let gateway = serve(&place, &[]);
    assert_eq!(word(&gateway), "503");
    poll(|| word(&gateway), |said| said == "old");
    // It has no rule: it goes on failing.
    place.write(
        "portcullis.toml",
        config("deployment = 1\ncanary = { percent = 100, deployment = 2 }"),
    );
    gateway.child().signal("HUP");
    gateway
        .child()
        .wait_for_line(Stream::Stderr, 0, |line| line == "reloaded: 1 stage served");
    assert_eq!(word(&gateway), "old", "it was rolled back, and nobody said otherwise");
    place.run(&["canary", "resume", "TEST"]).expect(0, "again", "");
    assert_eq!(share_of(&gateway, "503", 20), 20);
}

#[test]
fn no_request_fails_while_a_canary_grows_and_ends() {
    let (place, gateway) = pinned();
    let load = Load::default();
    thread::scope(|scope| {
        let clients = load.start(scope, gateway.address(), 2);
        let stop = Stop(&load);
        place
            .run(&["deploy", "--canary-percent", "1"])
            .expect(0, "deployment 2 gets 1 %", "");
        for _ in 0..2 * soak() {
            for percent in ["1", "50", "0"] {
                place
                    .run(&["canary", "set", "TEST", "--percent", percent])
                    .expect(0, percent, "");
                load.wait_for_more(200, &clients);
            }
        }
        drop(stop);
    });
    let words = load.words();
    assert!(words["old"] > 0 && words["new"] > 0, "{words:?}");
    assert_eq!(words.len(), 2, "{words:?}");
}
