use std::fs;

use portcullis_testkit::Stream;
use serde_json::Value;

use crate::{config, document, logged, place, serve, support::Place, wait_for_reloads, word};

/// Number and users of each deployment, the newest first.
fn listed(place: &Place) -> Vec<(u64, String)> {
    let said = place.run(&["deployments", "--json"]);
    let list: Value = serde_json::from_str(&said.expect(0, "[", "").out).unwrap();
    let entry = |entry: &Value| {
        let users: Vec<_> = entry["servedBy"]
            .as_array()
            .unwrap()
            .iter()
            .map(|user| user.as_str().unwrap())
            .collect();
        (entry["number"].as_u64().unwrap(), users.join(", "))
    };
    list.as_array().unwrap().iter().map(entry).collect()
}

#[test]
fn a_stage_follows_its_document_until_it_is_pinned() {
    let place = place("one", "");
    let gateway = serve(&place, &[]);
    assert_eq!(word(&gateway), "one");
    place.write("proxy.yaml", document("two"));
    wait_for_reloads(&gateway, 1);
    assert_eq!(word(&gateway), "two");
    assert_eq!(
        listed(&place),
        [(2, "TEST (as it stands)".to_owned()), (1, String::new())]
    );

    // Back to the first, whatever stands in the file, even when it is no document.
    place
        .run(&["rollback", "TEST"])
        .expect(0, "TEST of proxy serves deployment 1", "");
    assert_eq!(word(&gateway), "one");
    place.write("proxy.yaml", "half a docu");
    gateway.child().signal("HUP");
    wait_for_reloads(&gateway, 2);
    assert_eq!(word(&gateway), "one");
    place.run(&["deploy"]).expect(2, "", "proxy.yaml:1:1: error");
    place
        .run(&["check", "--config", "portcullis.toml"])
        .expect(1, "", "proxy.yaml:1:1: error");

    place.write("proxy.yaml", document("three"));
    assert_eq!(word(&gateway), "one");
    place
        .run(&["deploy", "--description", "the third"])
        .expect(0, "TEST of proxy serves deployment 3", "");
    assert_eq!(word(&gateway), "three");
    // Each worker writes its lines for itself: their order is not that of the calls.
    let lines = logged(&gateway, 6);
    assert!(lines.contains(&"TEST 3 - 200".to_owned()), "{lines:?}");
    place.run(&["deployments"]).expect(0, "the third", "");

    // The same after a power cut, with another document in the file.
    gateway.kill();
    place.write("proxy.yaml", document("four"));
    let gateway = serve(&place, &[]);
    assert_eq!(word(&gateway), "three");
    place
        .run(&["rollback", "TEST", "2"])
        .expect(0, "serves deployment 2", "");
    assert_eq!(word(&gateway), "two");
    place
        .run(&["deploy", "--follow"])
        .expect(0, "TEST of proxy follows its document", "");
    assert_eq!(word(&gateway), "four");
    assert_eq!(listed(&place)[0], (4, "TEST (as it stands)".to_owned()));
}

#[test]
fn what_cannot_be_done_is_refused_with_a_way_out() {
    let place = place("one", "");
    // Without a gateway the data directory itself is changed; what it is told is the same.
    place
        .run(&["rollback", "TEST"])
        .expect(2, "", "`proxy` has no deployment before the present one");
    place
        .run(&["deploy"])
        .expect(0, "TEST of proxy serves deployment 1", "no gateway runs");
    place
        .run(&["rollback", "TEST", "7"])
        .expect(2, "", "the newest are 1; `portcullis deployments` lists all");
    for (arguments, status, err) in [
        (
            &["deploy", "--stage", "PROD"][..],
            2,
            "`proxy` has no stage `PROD`\n    known are: TEST",
        ),
        (
            &["deploy", "--api", "pets"],
            2,
            "there is no API `pets`\n    known are: proxy",
        ),
        (
            &["deploy", "--canary-percent", "101"],
            2,
            "101 % is no part of the requests",
        ),
        (
            &["deploy", "--canary-percent", "5", "--canary-variable", "a-b=1"],
            2,
            "the variable `a-b` cannot be honoured",
        ),
        (
            &["canary", "set", "TEST", "--percent", "5"],
            2,
            "TEST of proxy has no canary\n    `portcullis deploy --canary-percent 5`",
        ),
        (&["canary", "promote", "TEST"], 2, "TEST of proxy has no canary"),
        (
            &["canary", "resume", "TEST"],
            2,
            "no canary of TEST of proxy was rolled back",
        ),
        (&["deployments", "--api", "pets"], 2, "known are: proxy"),
    ] {
        place.run(arguments).expect(status, "", err);
    }
    let gateway = serve(&place, &[]);
    place
        .run(&["canary", "promote", "TEST"])
        .expect(2, "", "TEST of proxy has no canary");
    place
        .run(&["deploy", "--canary-percent", "5"])
        .expect(0, "deployment 2 gets 5 %", "");
    place.run(&["deploy"]).expect(
        2,
        "",
        "TEST has a canary, deployment 2\n    `portcullis canary promote`",
    );

    // What the configuration says is changed there.
    place.write(
        "portcullis.toml",
        config("deployment = 1\ncanary = { percent = 5, deployment = 2 }"),
    );
    for arguments in [&["deploy"][..], &["rollback", "TEST"], &["deploy", "--follow"]] {
        place
            .run(arguments)
            .expect(2, "", "TEST is pinned to deployment 1 at portcullis.toml:15:14");
    }
    for command in [
        &["set", "--percent", "1", "TEST"][..],
        &["remove", "TEST"],
        &["promote", "TEST"],
    ] {
        let arguments = [&["canary"], command].concat();
        place
            .run(&arguments)
            .expect(2, "", "the canary of TEST is declared at portcullis.toml:16:10");
    }
    drop(gateway);
}

#[test]
fn a_configuration_points_to_deployments_that_are_there() {
    let place = place("one", "");
    place
        .run(&["deploy", "--no-stage"])
        .expect(0, "deployment 1 of proxy recorded; no stage points to it", "");
    for (stage, err) in [
        ("deployment = 1", ""),
        (
            "deployment = 7",
            "portcullis.toml:15:14: error: `proxy` has no deployment 7",
        ),
        (
            "deployment = 0",
            "portcullis.toml:15:14: error: `apis.stages.deployment` is 0",
        ),
        ("canary = { percent = 5, deployment = 1 }", ""),
        (
            "canary = { percent = 5, deployment = 7 }",
            "portcullis.toml:15:10: error: `proxy` has no deployment 7",
        ),
        (
            "canary = { percent = 100.1, deployment = 1 }",
            "which is not between 0 and 100",
        ),
        (
            "canary = { percent = -1.0, deployment = 1 }",
            "which is not between 0 and 100",
        ),
        ("canary = { percent = 5 }", "`apis.stages.canary.deployment` is missing"),
        ("canary = { deployment = 1 }", "`apis.stages.canary.percent` is missing"),
        (
            "canary = { percent = 5, deployment = 1, ratio = 2 }",
            "`apis.stages.canary.ratio` is unknown",
        ),
        (
            "canary = { percent = 5, deployment = 1, rollback = { window_s = 60 } }",
            "this canary would never be rolled back",
        ),
        (
            "canary = { percent = 5, deployment = 1, variables = { \"a b\" = \"c\" } }",
            "the stage variable `a b`",
        ),
    ] {
        place.write("portcullis.toml", config(stage));
        place
            .run(&["check", "--config", "portcullis.toml"])
            .expect(i32::from(!err.is_empty()), "", err);
    }
    // A canary without a stage has nowhere to stand.
    let text = config("").replace(
        "[[apis.stages]]\nname = \"TEST\"\nmount = \"/\"",
        "canary = { percent = 5, deployment = 1 }",
    );
    place.write("portcullis.toml", text);
    place
        .run(&["check", "--config", "portcullis.toml"])
        .expect(1, "", "`apis.canary` is unknown");
}

#[test]
fn what_is_damaged_or_cannot_be_kept_is_not_served() {
    let place = place("one", "");
    place.run(&["deploy"]).expect(0, "deployment 1", "");
    let source = fs::read_dir(place.path("state/deployments/sources"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    fs::write(&source, document("other")).unwrap();
    place.run(&["serve", "--config", "portcullis.toml"]).expect(
        2,
        "",
        "is damaged: its digest is not the one that it is named by",
    );
    fs::write(&source, document("one")).unwrap();
    let gateway = serve(&place, &[]);
    assert_eq!(word(&gateway), "one");

    // Nobody, not even root, can make a directory where a file is.
    fs::remove_file(place.path("state/deployments/stages.json")).unwrap();
    fs::create_dir(place.path("state/deployments/stages.json")).unwrap();
    place.write("proxy.yaml", document("two"));
    let said = place.run(&["deploy"]);
    assert_eq!(said.status, 2, "{said:?}");
    assert!(said.err.contains("stages.json` cannot be read"), "{said:?}");
    assert_eq!(word(&gateway), "one");
    fs::remove_dir(place.path("state/deployments/stages.json")).unwrap();
    place
        .run(&["deploy"])
        .expect(0, "TEST of proxy serves deployment 2", "");
    assert_eq!(word(&gateway), "two");
    gateway
        .child()
        .wait_for_line(Stream::Stderr, 0, |line| line == "TEST of proxy serves deployment 2");
}

#[test]
fn a_log_that_no_stage_writes_to_any_more_is_closed() {
    let place = place("one", "");
    let text = config("").replace(
        "access_log = { format",
        "access_log = { destination = \"file:one.log\", format",
    );
    place.write("portcullis.toml", &text);
    let gateway = serve(&place, &[]);
    assert_eq!(word(&gateway), "one");
    let holds = |name: &str| {
        let files = fs::read_dir(format!("/proc/{}/fd", gateway.child().id())).unwrap();
        files
            .flatten()
            .any(|file| fs::read_link(file.path()).is_ok_and(|target| target.ends_with(name)))
    };
    assert!(holds("one.log"));
    place.write("portcullis.toml", text.replace("one.log", "two.log"));
    wait_for_reloads(&gateway, 1);
    assert_eq!(word(&gateway), "one");
    crate::support::poll(|| (holds("one.log"), holds("two.log")), |held| *held == (false, true));
    assert!(
        place.read("one.log").starts_with("TEST 1 - 200 "),
        "its last line was written"
    );
}
