//! An alarm from the first failing answer to the one who is told, and back.

use std::path::Path;

use portcullis_testkit::{Origin, Step};
use serde_json::Value;

use crate::{
    formats::python,
    support::{Running, Setup, ok, poll},
};

/// 32 bytes, as a receiver shows them.
const HOOK_SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// The state that `/alarms` tells of the first alarm.
fn state(running: &Running) -> String {
    let answer: Value = serde_json::from_str(running.probe("/alarms").text()).unwrap();
    answer["MetricAlarms"][0]["StateValue"].as_str().unwrap().to_owned()
}

/// Checks a signature with Python's own HMAC, and gives the message.
fn verified(request: &portcullis_testkit::Received) -> Value {
    const VERIFY: &str = "import base64,hashlib,hmac,json,sys; m=json.load(sys.stdin); \
        key=base64.b64decode(m['secret'].removeprefix('whsec_')); \
        text='.'.join([m['id'], m['time'], m['body']]).encode(); \
        print(json.dumps('v1,'+base64.b64encode(hmac.digest(key, text, hashlib.sha256)).decode()))";
    let header = |name: &str| {
        request
            .header(name)
            .unwrap_or_else(|| panic!("no {name} in {request:?}"))
    };
    let body = std::str::from_utf8(&request.body).unwrap();
    let asked = serde_json::json!({
        "secret": HOOK_SECRET, "id": header("webhook-id"), "time": header("webhook-timestamp"), "body": body,
    });
    assert_eq!(python(VERIFY, &asked.to_string()), header("webhook-signature"));
    assert_eq!(header("content-type"), "application/json");
    serde_json::from_str(body).unwrap()
}

#[test]
fn an_alarm_reaches_a_webhook_and_a_program_and_so_does_its_end() {
    let failed: Vec<u8> = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nRetry-After: 0\r\n\r\n".into();
    let hook = Origin::scripted(vec![
        vec![
            Step::ReadRequest,
            Step::Send(failed),
            Step::ReadRequest,
            Step::Send(ok("")),
        ],
        vec![Step::ReadRequest, Step::Send(ok(""))],
    ]);
    let origin = Origin::answering("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
    let setup = Setup::open(origin.address()).file("hook.secret", HOOK_SECRET);
    let told = setup.place.path("told.json");
    let alarm = format!(
        r#"access_log = {{ destination = "stdout", format = "clf" }}
[[alarms]]
name = "failing"
metric = "5XXError"
statistic = "sum"
threshold = 1
period_s = 1
missing_data = "notBreaching"
notify = [{{ webhook = "http://{}/hook?a=b", secret = "file:hook.secret" }}, {{ command = ["/usr/bin/tee", {:?}] }}]
"#,
        hook.address(),
        told.to_str().unwrap()
    );
    let running = setup
        .in_config("access_log = { destination = \"stdout\", format = \"clf\" }", &alarm)
        .start();
    assert_eq!(state(&running), "INSUFFICIENT_DATA");
    // The first period is left out, for we came in the middle of it.
    poll(
        || {
            running.call("/broken", &[]);
            state(&running)
        },
        |state| state == "ALARM",
    );
    running
        .place
        .run(&["alarms"])
        .expect(1, "failing", "")
        .expect(1, "ALARM", "");
    poll(|| state(&running), |state| state == "OK");
    running
        .place
        .run(&["alarms", "--json"])
        .expect(0, "\"StateValue\": \"OK\"", "");

    let requests = hook.wait_for_requests(3);
    assert_eq!(requests[0].request_line(), "POST /hook?a=b HTTP/1.1");
    let id = |index: usize| requests[index].header("webhook-id").unwrap();
    assert!(id(0) == id(1) && id(1) != id(2), "a second try is the same message");
    let messages: Vec<Value> = requests.iter().map(verified).collect();
    for (message, state) in messages.iter().zip(["ALARM", "ALARM", "OK"]) {
        assert_eq!(
            (&message["AlarmName"], &message["NewStateValue"]),
            (&"failing".into(), &state.into())
        );
        assert_eq!(
            message["Trigger"]["ComparisonOperator"],
            "GreaterThanOrEqualToThreshold"
        );
    }
    running.wait_for_metric("portcullis_alarm_notifications_total", 4.0);
    let samples = running.metrics();
    assert_eq!(samples.value("portcullis_alarm_notifications_failed_total"), 0.0);
    assert_eq!(samples.value("portcullis_alarms_active"), 0.0);
    assert_eq!(by_program(&told)["NewStateValue"], "OK");

    // Other alarms come with the configuration, and states go on where nothing changed.
    let config = running.place.read("portcullis.toml");
    let other = alarm_named(&config, "another");
    running.place.write("portcullis.toml", other);
    poll(
        || running.probe("/alarms").text().to_owned(),
        |text| text.contains("another") && text.contains("\"StateValue\":\"OK\""),
    );
    let ended = running.stop();
    assert!(!ended.stderr.contains("MDEyMzQ1"), "{ended:?}");
}

fn by_program(file: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// The configuration with one more alarm.
fn alarm_named(config: &str, name: &str) -> String {
    format!("{config}\n[[alarms]]\nname = \"{name}\"\nmetric = \"Count\"\nstatistic = \"sum\"\nthreshold = 1\n")
}

#[test]
fn who_cannot_be_told_stops_the_start() {
    let check = |notify: &str, expected: &str| {
        let alarm = format!(
            "\n[[alarms]]\nname = \"n\"\nmetric = \"Count\"\nstatistic = \"sum\"\nthreshold = 1\nnotify = [{notify}]\n"
        );
        let place = Setup::open("127.0.0.1:9").file("short", "whsec_c2hvcnQ=").written();
        let config = place.read("portcullis.toml");
        place.write("portcullis.toml", format!("{config}{alarm}"));
        place
            .run(&["serve", "--config", "portcullis.toml"])
            .expect(2, "", expected);
    };
    check(
        "{ webhook = \"https://hooks.example\", secret = \"file:none\" }",
        "the alarm `n`: the webhook's secret:",
    );
    check(
        "{ webhook = \"https://hooks.example\", secret = \"file:short\" }",
        "the secret has 5 bytes; 24 to 64 are asked for",
    );
    check("{ webhook = \"hooks.example\" }", "this is no URL that can be called");
}
