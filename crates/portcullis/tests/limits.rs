//! API keys, usage plans and quotas of the whole binary: alone, over restarts, and shared through a real Redis.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use portcullis_testkit::{Portcullis, Redis, Wire, curl};
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_portcullis");
/// printf %s "0123456789012345678901234567890123456789" | sha256sum
const KEY: &str = "0123456789012345678901234567890123456789";
const DIGEST: &str = "fb526cd4ad0ec978c1a9e78f7c0728711139978424d618eb228be59e21188970";

const DOCUMENT: &str = r#"openapi: 3.0.1
info: {title: T, version: "1"}
components:
  securitySchemes:
    api_key: {type: apiKey, name: x-api-key, in: header}
paths:
  /keyed:
    get:
      security: [{api_key: []}]
      x-amazon-apigateway-integration: &mock
        type: mock
        requestTemplates: {application/json: '{"statusCode": 200}'}
        responses: {default: {statusCode: "200"}}
  /open:
    get:
      x-amazon-apigateway-integration: *mock
"#;

/// A gateway's directory, with `more` at the end of its configuration and `stage` in that of its stage.
fn place(stage: &str, more: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("api.yaml"), DOCUMENT).unwrap();
    let digest = digest(KEY);
    let text = format!(
        "[[listeners]]\naddress = \"127.0.0.1:0\"\n[[apis]]\nid = \"api\"\ndocument = \"api.yaml\"\n[[apis.stages]]\nname = \
         \"TEST\"\nmount = \"/\"\naccess_log = {{ format = \"$context.identity.apiKeyId $context.requestId\" }}\n{stage}\n[[api_keys]]\nname = \
         \"acme\"\nsha256 = \"{digest}\"\nplans = [\"gold\"]\n[metrics]\naddress = \"127.0.0.1:0\"\n{more}\n"
    );
    fs::write(directory.path().join("portcullis.toml"), text).unwrap();
    directory
}

fn plan(throttle: &str, quota: u32) -> String {
    format!(
        "[[usage_plans]]\nname = \"gold\"\napis = [{{ api = \"api\", stage = \"TEST\" }}]\n{throttle}\nquota = {{ limit = \
         {quota}, period = \"MONTH\" }}"
    )
}

fn digest(value: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("key");
    fs::write(&file, value).unwrap();
    let output = Command::new(BINARY)
        .args(["key", "digest"])
        .arg(&file)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn start(directory: &Path) -> Portcullis {
    let setup = Portcullis::command(BINARY).args(["serve", "--config", "portcullis.toml"]);
    setup.directory(directory).listeners(2).start()
}

fn call(gateway: &Portcullis, path: &str, key: Option<&str>) -> portcullis_testkit::Answer {
    let url = gateway.url(path);
    match key {
        Some(key) => curl(&["-H", &format!("x-api-key: {key}"), &url]),
        None => curl(&[&url]),
    }
}

fn metric(gateway: &Portcullis, name: &str) -> f64 {
    let url = format!("http://{}/metrics", gateway.addresses()[1]);
    let text = curl(&[&url]).text().to_owned();
    let line = text
        .lines()
        .find(|line| line.starts_with(name) && !line.starts_with('#'));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
        .unwrap_or_else(|| panic!("no {name} in {text}"))
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what} did not come true");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// How many of `calls` are answered 200; the others are all refused for their limits.
fn admitted(gateway: &Portcullis, calls: usize) -> usize {
    let statuses: Vec<_> = (0..calls).map(|_| call(gateway, "/keyed", Some(KEY)).status).collect();
    assert!(
        statuses.iter().all(|status| [200, 429].contains(status)),
        "{statuses:?}"
    );
    statuses.iter().filter(|status| **status == 200).count()
}

#[test]
fn keys_are_digested_in_amazons_words() {
    assert_eq!(digest(KEY), DIGEST);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("key");
    let check = |value: &str, expected: &str| {
        fs::write(&file, value).unwrap();
        let output = Command::new(BINARY)
            .args(["key", "digest"])
            .arg(&file)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(expected), "{said}");
        assert_eq!(output.status.success(), expected.is_empty());
    };
    check(&"k".repeat(19), "API Key value should be at least 20 characters");
    check(&"k".repeat(20), "");
    check(&"k".repeat(128), "");
    check(&"k".repeat(129), "API Key value exceeds maximum size of 128 characters");
    let made = Command::new(BINARY)
        .args(["key", "generate", "--name", "acme"])
        .output()
        .unwrap();
    let (key, toml) = (
        String::from_utf8(made.stdout).unwrap(),
        String::from_utf8(made.stderr).unwrap(),
    );
    assert_eq!(key.trim().len(), 40);
    assert!(toml.contains(&format!("sha256 = \"{}\"", digest(&key))), "{toml}");
    assert!(!toml.contains(key.trim()));
}

#[test]
fn a_plan_lets_its_keys_in_and_counts_them_over_restarts() {
    let directory = place("", &plan("throttle = { rate_per_s = 0.001, burst = 100 }", 4));
    let gateway = start(directory.path());
    for (key, expected) in [
        (None, 403),
        (Some("an unknown key of forty characters......"), 403),
        (Some(KEY), 200),
    ] {
        let answer = call(&gateway, "/keyed", key);
        assert_eq!(answer.status, expected, "{key:?}");
        if expected == 403 {
            assert_eq!(answer.text(), "{\"message\":\"Forbidden\"}");
            assert_eq!(answer.header("x-amzn-errortype"), Some("ForbiddenException"));
        } else {
            let policy = answer.header("ratelimit-policy").unwrap();
            assert!(
                policy.starts_with("\"plan\";q=100;w=100000, \"stage\";q=5000;w=1, \"quota\";q=4;w="),
                "{policy}"
            );
            let limit = answer.header("ratelimit").unwrap();
            assert!(
                limit.starts_with("\"plan\";r=99;t=1000, ") && limit.contains("\"quota\";r=3;t="),
                "{limit}"
            );
        }
    }
    assert_eq!(call(&gateway, "/open", None).header("ratelimit"), None);
    assert_eq!(admitted(&gateway, 1), 1);
    let lines = gateway.wait_for_access_log(5);
    let mut keys: Vec<_> = lines.iter().map(|line| line.split(' ').next().unwrap()).collect();
    keys.sort_unstable(); // each worker writes its own lines
    assert_eq!(keys, ["-", "-", "-", "acme", "acme"]);
    gateway.stop();

    let gateway = start(directory.path());
    assert_eq!(admitted(&gateway, 5), 2, "two of four were used before the restart");
    let refused = call(&gateway, "/keyed", Some(KEY));
    assert_eq!(
        (refused.status, refused.text()),
        (429, "{\"message\":\"Limit Exceeded\"}")
    );
    assert!(refused.header("retry-after").is_some());
    let usage = Command::new(BINARY)
        .args(["usage", "--json", "--plan", "gold"])
        .current_dir(directory.path())
        .output()
        .unwrap();
    let usage = String::from_utf8(usage.stdout).unwrap();
    assert!(
        usage.contains("\"used\": 4") && usage.contains("\"remaining\": 0"),
        "{usage}"
    );

    // Written every second; whoever kills the gateway gets at most the last one's requests again.
    wait_until("the count is written", || {
        let text = fs::read_to_string(directory.path().join("portcullis-data/usage.json"));
        text.is_ok_and(|text| text.contains("\"used\":4"))
    });
    gateway.kill();
    let gateway = start(directory.path());
    assert_eq!(admitted(&gateway, 3), 0);
}

#[test]
fn a_quota_is_neither_lost_nor_given_twice_when_another_process_takes_over() {
    let directory = place("", &plan("", 6));
    let old = start(directory.path());
    assert_eq!(admitted(&old, 2), 2);
    // The old process has this one's beginning when the other takes over, and counts it afterwards.
    let mut late = Wire::connect(old.address());
    late.send("GET /open HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert_eq!(late.read_answer().status, 200);
    late.send("GET /keyed HTTP/1.1\r\nhost: localhost\r\n");
    let words = ["serve", "--config", "portcullis.toml", "--take-over"];
    let setup = Portcullis::command(BINARY).args(words);
    let new = setup.directory(directory.path()).listeners(2).start();
    late.send(format!("x-api-key: {KEY}\r\n\r\n"));
    assert_eq!(late.read_answer().status, 200);
    assert!(old.wait().status.success());
    let file = directory.path().join("portcullis-data/usage.json");
    wait_until("what the old process counted is added", || {
        fs::read_to_string(&file).is_ok_and(|text| text.contains("\"used\":3"))
    });
    assert_eq!(admitted(&new, 5), 3, "three of six were used in the old process");
}

#[test]
fn sources_and_methods_are_throttled() {
    let stage = "source_throttle = { rate_per_s = 0.001, burst = 3 }\nrate_limit_headers = true\n[[apis.stages.methods]]\npath \
                 = \"/open\"\nthrottle = { rate_per_s = 0.001, burst = 1 }";
    let directory = place(stage, &plan("", 100));
    let gateway = start(directory.path());
    let first = call(&gateway, "/open", None);
    assert_eq!(first.status, 200);
    assert!(
        first
            .header("ratelimit")
            .unwrap()
            .starts_with("\"method\";r=0;t=1000, ")
    );
    let second = call(&gateway, "/open", None);
    assert_eq!(
        (second.status, second.text()),
        (429, "{\"message\":\"Too Many Requests\"}")
    );
    assert_eq!(second.header("retry-after"), Some("1000"));
    assert_eq!(
        call(&gateway, "/keyed", Some(KEY)).status,
        200,
        "another method has a bucket of its own"
    );
    assert_eq!(call(&gateway, "/keyed", Some(KEY)).status, 429, "the source had three");
}

#[test]
fn two_gateways_share_a_quota_and_go_on_without_redis() {
    let redis = Redis::start();
    let more = format!(
        "{}\n[redis]\nurl = \"redis://{}\"\ndeadline_ms = 500",
        plan("", 20),
        redis.address()
    );
    let places = [place("", &more), place("", &more)];
    let [first, second] = places.each_ref().map(|place| start(place.path()));
    let up = |gateway: &Portcullis, expected: f64| {
        wait_until("the state of Redis", || {
            metric(gateway, "portcullis_redis_up") == expected
        });
    };
    up(&first, 1.0);
    up(&second, 1.0);
    assert_eq!(admitted(&first, 5) + admitted(&second, 5), 10);
    let told = call(&first, "/keyed", Some(KEY));
    assert!(
        told.header("ratelimit").unwrap().contains("\"quota\";r=9;"),
        "{:?}",
        told.header("ratelimit")
    );

    // Without it each goes on from the count that it heard last, and nothing fails.
    let port = redis.killed();
    assert_eq!(admitted(&first, 1) + admitted(&second, 1), 2);
    up(&first, 0.0);
    up(&second, 0.0);
    assert!(metric(&first, "portcullis_redis_away_total") >= 1.0);

    // A new one knows nothing; it is told what was counted meanwhile.
    let _redis = Redis::at(port);
    up(&first, 1.0);
    up(&second, 1.0);
    let last = admitted(&first, 12) + admitted(&second, 12);
    // 13 were used; what either counted while Redis was away it tells, whatever the other knows of that.
    assert!((6..=9).contains(&last), "{last}");
    assert_eq!(admitted(&first, 2) + admitted(&second, 2), 0);
}

#[test]
fn plans_that_make_no_sense_are_refused_with_their_place() {
    let check = |stage: &str, more: &str, expected: &str| {
        let directory = place(stage, more);
        let output = Command::new(BINARY)
            .args(["check", "--config", "portcullis.toml"])
            .current_dir(directory.path())
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        assert!(said.contains(expected), "{expected}:\n{said}");
        assert_eq!(output.status.success(), expected.is_empty(), "{said}");
    };
    let gold = plan("", 1);
    check("", &gold, "");
    check("", &gold.replace("\"api\"", "\"apo\""), "plan-stage-unknown");
    check("", &gold.replace("\"TEST\"", "\"TOAST\""), "plan-stage-unknown");
    check(
        "",
        &gold.replace("apis = [{ api = \"api\", stage = \"TEST\" }]", ""),
        "names no API",
    );
    check("", &gold.replace("MONTH", "YEAR"), "bad-period");
    check("", &gold.replace("gold", "silver"), "plan-unknown");
    check("", &format!("{gold}\n{gold}"), "duplicate-name");
    check("throttle = { shared = true }", &gold, "shared-without-redis");
    check(
        "",
        &format!("{gold}\n[redis]\nurl = \"redis://:hunter2@localhost\""),
        "bad-redis-url",
    );
    let methods = "apis = [{ api = \"api\", stage = \"TEST\", throttle = { \"/keyed/PUT\" = { burst = 1 } } }]";
    let put = gold.replace("apis = [{ api = \"api\", stage = \"TEST\" }]", methods);
    check("", &put, "method-unknown");
    check("", &put.replace("PUT", "GET"), "");
}
