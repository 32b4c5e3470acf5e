mod limits;

use std::{path::Path, time::Duration};

use super::*;
use portcullis_openapi::document::ApiKind;

/// The shape that every document shows, with all that a stage may say.
const WHOLE: &str = r#"data_dir = "state"
workers = 2

[[listeners]]
address = "127.0.0.1:8080"
proxy_protocol = { from = ["10.0.0.0/8", "192.0.2.1"] }
connections_max = 100
connections_per_source_max = 10
head_timeout_ms = 1000
body_idle_timeout_ms = 2000
write_idle_timeout_ms = 3000
keep_alive_timeout_ms = 4000
trusted_proxies = ["2001:db8::/32"]

[[apis]]
id = "proxy"
document = "proxy.yaml"
kind = "rest"
region = "eu-west-1"
account = "123456789012"

[[apis.stages]]
name = "TEST"
mount = "/"
variables = { origin = "127.0.0.1:9000" }
throttle = { rate_per_s = 0.5, burst = 7 }
access_log = { destination = "file:access.log", format = "$context.requestId" }
origin_roots = "roots.pem"
description = "for the test"

[[apis.stages]]
name = "PROD"

[[apis]]
id = "web"
document = "/etc/web.yaml"
kind = "http"
[[apis.stages]]
name = "$default"
mount = "/web/"

[metrics]
address = "127.0.0.1:9100"
"#;

/// A configuration without findings, to put one slip in.
const LEAST: &str = r#"[[listeners]]
address = "127.0.0.1:8080"
[[apis]]
id = "a"
document = "a.yaml"
[[apis.stages]]
name = "TEST"
"#;

#[test]
fn reads_everything_that_can_be_said() {
    let (config, findings) = read("portcullis.toml", WHOLE, Path::new("/etc/p"));
    assert_eq!(findings.iter().map(ToString::to_string).collect::<Vec<_>>(), [""; 0]);
    assert_eq!(config.data_dir.unwrap().value, Path::new("/etc/p/state"));
    assert_eq!(config.workers.unwrap().get(), 2);
    assert_eq!(config.metrics.unwrap().value.to_string(), "127.0.0.1:9100");

    let listener = &config.listeners[0];
    assert_eq!(listener.address.value.to_string(), "127.0.0.1:8080");
    assert_eq!(listener.address.place.to_string(), "portcullis.toml:5:11");
    let from: Vec<_> = listener
        .proxy_protocol
        .as_ref()
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(from, ["10.0.0.0/8", "192.0.2.1/32"]);
    assert_eq!(
        (listener.connections_max, listener.connections_per_source_max),
        (100, 10)
    );
    assert_eq!(listener.head_timeout, Duration::from_secs(1));
    assert_eq!(listener.body_idle_timeout, Duration::from_secs(2));
    assert_eq!(listener.write_idle_timeout, Duration::from_secs(3));
    assert_eq!(listener.keep_alive_timeout, Duration::from_secs(4));
    assert_eq!(listener.trusted_proxies[0].to_string(), "2001:db8::/32");

    let [proxy, web] = config.apis.as_slice() else {
        panic!("two APIs")
    };
    assert_eq!((proxy.id.value.as_str(), proxy.kind), ("proxy", ApiKind::Rest));
    assert_eq!(proxy.document.value, Path::new("/etc/p/proxy.yaml"));
    assert_eq!(
        (proxy.region.as_str(), proxy.account.as_str()),
        ("eu-west-1", "123456789012")
    );
    let [test, prod] = proxy.stages.as_slice() else {
        panic!("two stages")
    };
    assert_eq!((test.name.value.as_str(), test.mount.value.as_str()), ("TEST", "/"));
    assert_eq!(test.variables["origin"].value, "127.0.0.1:9000");
    assert_eq!((test.throttle.rate_per_s, test.throttle.burst), (0.5, 7));
    assert_eq!(
        test.access_log.destination.value,
        Destination::File("/etc/p/access.log".into())
    );
    assert_eq!(
        test.access_log.format.value,
        Format::Template("$context.requestId".into())
    );
    assert_eq!(test.access_log.format.place.to_string(), "portcullis.toml:27:58");
    assert_eq!(test.origin_roots.as_ref().unwrap().value, Path::new("/etc/p/roots.pem"));
    assert_eq!(test.description.as_deref(), Some("for the test"));

    assert_eq!((prod.name.value.as_str(), prod.mount.value.as_str()), ("PROD", "/PROD"));
    assert_eq!((prod.throttle.rate_per_s, prod.throttle.burst), (10_000.0, 5_000));
    assert_eq!(
        (&prod.access_log.destination.value, &prod.access_log.format.value),
        (&Destination::Stdout, &Format::Clf)
    );

    assert_eq!(
        (web.kind, web.region.as_str(), web.account.as_str()),
        (ApiKind::Http, "us-east-1", "000000000000")
    );
    assert_eq!(web.document.value, Path::new("/etc/web.yaml"));
    assert_eq!(
        (web.stages[0].name.value.as_str(), web.stages[0].mount.value.as_str()),
        ("$default", "/web")
    );
}

#[test]
fn the_least_has_defaults() {
    let (config, findings) = read("portcullis.toml", LEAST, Path::new(""));
    assert!(findings.is_empty());
    assert_eq!(config.data_dir.unwrap().value, Path::new("portcullis-data"));
    assert_eq!((config.workers, config.metrics), (None, None));
    assert_eq!(config.listeners[0], Listener::at(config.listeners[0].address.clone()));
    assert_eq!(
        (
            config.listeners[0].connections_max,
            config.listeners[0].connections_per_source_max
        ),
        (10_000, 1_000)
    );
    assert_eq!(config.apis[0].kind, ApiKind::Rest);
}

/// Puts `inserted` behind the line that `behind` begins (or at the top) and compares all findings, written as
/// `line:column: severity: code: message`.
#[track_caller]
fn check(behind: &str, inserted: &str, expected: &[&str]) {
    let mut text = String::new();
    let mut is_in = behind.is_empty();
    if is_in {
        text.push_str(inserted);
        text.push('\n');
    }
    for line in LEAST.lines() {
        let replaces = !behind.is_empty() && line.starts_with(behind) && !is_in;
        let key = |text: &str| text.split('=').next().map(str::trim).map(str::to_owned);
        if !(replaces && key(line) == key(inserted)) {
            text.push_str(line);
            text.push('\n');
        }
        if replaces {
            is_in = true;
            text.push_str(inserted);
            text.push('\n');
        }
    }
    assert!(is_in, "{behind} is in the text");
    check_whole(&text, expected);
}

#[track_caller]
fn check_whole(text: &str, expected: &[&str]) {
    let (_, findings) = read("p", text, Path::new(""));
    let short = |finding: &portcullis_core::Finding| {
        let (place, severity) = (&finding.place, finding.severity);
        assert!(!finding.remedy.is_empty(), "a finding says what to do: {finding}");
        format!(
            "{}:{}: {severity}: {}: {}",
            place.line, place.column, finding.code, finding.message
        )
    };
    let found: Vec<_> = findings.iter().map(short).collect();
    assert_eq!(found, expected, "\n{text}");
}

#[test]
fn slips_at_the_top_are_named() {
    check("", "wrokers = 2", &["1:1: error: unknown-key: `wrokers` is unknown"]);
    check("", "workers = 2", &[]);
    check(
        "",
        "workers = 0",
        &["1:11: error: out-of-range: `workers` is 0, which is not between 1 and 1024"],
    );
    check("", "workers = \"2\"", &["1:11: error: wrong-type: `workers` is a text"]);
    check(
        "",
        "data_dir = \"\"",
        &["1:12: error: bad-path: `data_dir` is not a path"],
    );
    check(
        "",
        "data_dir = 1",
        &["1:12: error: wrong-type: `data_dir` is an integer"],
    );
    check(
        "",
        "metrics = { }",
        &["1:11: error: missing-key: `metrics.address` is missing"],
    );
    check(
        "",
        "metrics = { address = \"127.0.0.1:9100\", path = \"/m\" }",
        &["1:41: error: unknown-key: `metrics.path` is unknown"],
    );
    check("", "metrics = { address = \"127.0.0.1:9100\" }", &[]);
    check(
        "",
        "metrics = \"127.0.0.1:9100\"",
        &["1:11: error: wrong-type: `metrics` is a text"],
    );
    let twice = "`127.0.0.1:8080` is listened on twice; first in line 3";
    check(
        "",
        "metrics = { address = \"127.0.0.1:8080\" }",
        &[&format!("1:23: error: duplicate-address: {twice}")],
    );
}

#[test]
fn slips_of_listeners_are_named() {
    let here = "address = \"127";
    check(
        here,
        "address = \"127.0.0.1\"",
        &["2:11: error: bad-address: `127.0.0.1` is not an address and a port"],
    );
    check(here, "address = \"[::1]:0\"", &[]);
    check(
        here,
        "address = 8080",
        &["2:11: error: wrong-type: `listeners.address` is an integer"],
    );
    check(
        here,
        "connections_max = 0",
        &["3:19: error: out-of-range: `listeners.connections_max` is 0, which is not between 1 and 1000000"],
    );
    check(
        here,
        "head_timeout_ms = 3600001",
        &["3:19: error: out-of-range: `listeners.head_timeout_ms` is 3600001, which is not between 1 and 3600000"],
    );
    check(
        here,
        "head_timeout_ms = -1",
        &["3:19: error: out-of-range: `listeners.head_timeout_ms` is -1, which is not between 1 and 3600000"],
    );
    check(
        here,
        "head_timeout = 1",
        &["3:1: error: unknown-key: `listeners.head_timeout` is unknown"],
    );
    check(
        here,
        "trusted_proxies = [\"10.0.0.1/8\"]",
        &["3:20: error: bad-network: `10.0.0.1/8` has bits set behind its prefix"],
    );
    check(
        here,
        "trusted_proxies = [\"ten\", \"10.0.0.0/33\"]",
        &[
            "3:20: error: bad-network: `ten` is not a network",
            "3:27: error: bad-network: `10.0.0.0/33` is not a network",
        ],
    );
    check(here, "trusted_proxies = [\"10.0.0.1\", \"::1\"]", &[]);
    check(
        here,
        "trusted_proxies = \"10.0.0.1\"",
        &["3:19: error: wrong-type: `listeners.trusted_proxies` is a text"],
    );
    check(
        here,
        "trusted_proxies = [1]",
        &["3:20: error: wrong-type: `listeners.trusted_proxies` is an integer"],
    );
    check(
        here,
        "trusted_proxies = [\"::/0\"]",
        &[
            "3:20: warning: trusts-everyone: `trusted_proxies` holds `::/0`: every caller may choose the address that policies see",
        ],
    );
    check(
        here,
        "proxy_protocol = { from = [] }",
        &["3:18: error: no-networks: `proxy_protocol.from` names no network, so every connection would be refused"],
    );
    check(
        here,
        "proxy_protocol = { form = [] }",
        &[
            "3:18: error: missing-key: `listeners.proxy_protocol.from` is missing",
            "3:20: error: unknown-key: `listeners.proxy_protocol.form` is unknown",
        ],
    );
    check(
        here,
        "[[listeners]]\naddress = \"127.0.0.1:8080\"",
        &["4:11: error: duplicate-address: `127.0.0.1:8080` is listened on twice; first in line 2"],
    );
    check(here, "[[listeners]]\naddress = \"127.0.0.1:8081\"", &[]);
}

#[test]
fn slips_of_apis_are_named() {
    check(
        "id",
        "id = \"a b\"",
        &["4:6: error: bad-id: `a b` cannot be an API's id"],
    );
    check(
        "id",
        "kind = \"REST\"",
        &["5:8: error: bad-kind: `REST` is not a kind of API"],
    );
    check("id", "kind = \"http\"", &[]);
    check(
        "id",
        "region = \"eu west\"",
        &["5:10: error: bad-region: `eu west` cannot be a region"],
    );
    check(
        "id",
        "account = \"123\"",
        &["5:11: error: bad-account: `123` is not an account number"],
    );
    check(
        "id",
        "account = 123456789012",
        &["5:11: error: wrong-type: `apis.account` is an integer"],
    );
    check(
        "document",
        "document = \"\"",
        &["5:12: error: bad-path: `apis.document` is not a path"],
    );
    check(
        "name",
        "[[apis]]\nid = \"a\"\ndocument = \"b\"\n[[apis.stages]]\nname = \"OTHER\"",
        &["9:6: error: duplicate-id: the API `a` is there twice; first in line 4"],
    );
    check(
        "name",
        "[[apis]]\nid = \"b\"\ndocument = \"b\"\n[[apis.stages]]\nname = \"TEST\"\nmount = \"/b\"",
        &[],
    );
    check(
        "name",
        "[[apis]]\nid = \"b\"",
        &[
            "8:1: error: missing-key: `apis.document` is missing",
            "8:1: error: missing-key: this API has no stage, so it is served nowhere",
        ],
    );
}

#[test]
fn slips_of_stages_are_named() {
    check(
        "name",
        "name = \"A/B\"",
        &["7:8: error: bad-stage-name: `A/B` cannot be a stage's name"],
    );
    check(
        "name",
        "name = \"$default\"",
        &["7:8: error: bad-stage-name: `$default` cannot be a stage's name"],
    );
    check(
        "name",
        "[[apis.stages]]\nname = \"TEST\"",
        &["9:8: error: duplicate-stage: `a` has the stage `TEST` twice; first in line 7"],
    );
    check("name", "[[apis.stages]]\nname = \"PROD\"", &[]);
    for bad in ["TEST", "/a//b", "/a/../b", "/a/{b}", "/a%20b", "//", "/a b"] {
        check(
            "name",
            &format!("mount = \"{bad}\""),
            &[&format!("8:9: error: bad-mount: `{bad}` cannot be a mount")],
        );
    }
    for good in ["/", "/a", "/a/b/", "/v1.2/~x"] {
        check("name", &format!("mount = \"{good}\""), &[]);
    }
    check(
        "name",
        "mount = 1",
        &["8:9: error: wrong-type: `apis.stages.mount` is an integer"],
    );
    check(
        "name",
        "variables = { origin = 1 }",
        &["8:24: error: wrong-type: `apis.stages.variables.origin` is an integer"],
    );
    check(
        "name",
        "variables = { a-b = \"c\" }",
        &["8:15: error: bad-variable: the stage variable `a-b` cannot be honoured"],
    );
    check(
        "name",
        "variables = { ab = \"c\\n\" }",
        &["8:15: error: bad-variable: the stage variable `ab` cannot be honoured"],
    );
    check("name", "variables = { a_b = \"c\" }", &[]);
    check(
        "name",
        "throttle = { rate_per_s = -1, burst = 1.5 }",
        &[
            "8:27: error: out-of-range: `apis.stages.throttle.rate_per_s` is -1, which is not between 0 and 10000000",
            "8:39: error: wrong-type: `apis.stages.throttle.burst` is a float",
        ],
    );
    check(
        "name",
        "throttle = { rate_per_s = nan }",
        &["8:27: error: out-of-range: `apis.stages.throttle.rate_per_s` is nan, which is not between 0 and 10000000"],
    );
    check(
        "name",
        "throttle = { rate = 1 }",
        &["8:14: error: unknown-key: `apis.stages.throttle.rate` is unknown"],
    );
    check(
        "name",
        "throttle = { rate_per_s = 0, burst = 0 }",
        &["8:38: warning: refuses-everything: a burst of 0 refuses every request"],
    );
    check("name", "throttle = { rate_per_s = 1.5, burst = 1 }", &[]);
    check(
        "name",
        "access_log = { destination = \"file:\" }",
        &["8:30: error: bad-destination: `file:` is not a place for an access log"],
    );
    check("name", "access_log = { destination = \"off\" }", &[]);
    check(
        "name",
        "access_log = { format = \"cfl\" }",
        &["8:25: error: bad-format: `cfl` is neither a format's name nor a template"],
    );
    check(
        "name",
        "access_log = { format = \"json\", destination = \"stderr\" }",
        &[],
    );
    check(
        "name",
        &format!("description = \"{}\"", "x".repeat(1025)),
        &["8:15: error: out-of-range: `description` has 1025 bytes; at most 1024 are allowed"],
    );
}

#[test]
fn slips_of_domains_are_named() {
    let domain = |text: &str| format!("[[domains]]\n{text}");
    let mapping = "mappings = [{ api = \"a\", stage = \"TEST\" }]";
    let check = |text: &str, expected: &[&str]| check("name", &domain(text), expected);
    check(&format!("name = \"a.example\"\n{mapping}"), &[]);
    check(
        "name = \"a.example\"",
        &["8:1: error: missing-key: this domain has no mapping, so nobody can be served there"],
    );
    check(mapping, &["8:1: error: missing-key: `domains.name` is missing"]);
    check(
        &format!("name = \"a.example:443\"\n{mapping}"),
        &["9:8: error: bad-domain: `a.example:443` is not a host name"],
    );
    check(
        &format!("name = \"a.example\"\nnames = 1\n{mapping}"),
        &["10:1: error: unknown-key: `domains.names` is unknown"],
    );
    check(
        "name = \"a.example\"\nmappings = [{ base_path = \"/a%2Fb\", stage = \"TEST\" }]",
        &[
            "10:13: error: missing-key: `domains.mappings.api` is missing",
            "10:27: error: bad-base-path: `/a%2Fb` cannot be a base path",
        ],
    );
    check(
        "name = \"a.example\"\nmappings = [{ api = \"b\", stage = \"TEST\" }, { api = \"a\", stage = \"PROD\" }]",
        &[
            "10:21: error: unknown-api: there is no API `b`",
            "10:65: error: unknown-stage: `a` has no stage `PROD`",
        ],
    );
    let broken_api = "mount = \"x\"\n[[domains]]\nname = \"a.example\"\nmappings = [{ api = \"a\", stage = \"TEST\" }]";
    super::tests::check("name", broken_api, &["8:9: error: bad-mount: `x` cannot be a mount"]);
}

#[test]
fn an_empty_text_lacks_everything() {
    check_whole(
        "",
        &[
            "0:0: error: missing-key: there is no API, so nothing is served",
            "0:0: error: missing-key: there is no listener, so nobody can call",
        ],
    );
    check_whole(
        "listeners = []\napis = [1]\n",
        &[
            "0:0: error: missing-key: there is no listener, so nobody can call",
            "2:9: error: wrong-type: `apis` is an integer",
        ],
    );
}

#[test]
fn syntax_errors_do_not_hide_other_findings_nor_invent_any() {
    let text = "wrokers = 1\n[[listeners]]\naddress = \"127.0.0.1:8080\n[[apis]]\nid = \"a\"\n";
    let (_, findings) = read("p", text, Path::new(""));
    let codes: Vec<_> = findings
        .iter()
        .map(|finding| (finding.place.line, finding.code))
        .collect();
    assert!(codes.contains(&(1, "unknown-key")), "{codes:?}");
    assert!(codes.contains(&(3, "syntax-error")), "{codes:?}");
    assert!(codes.iter().all(|(_, code)| *code != "missing-key"), "{codes:?}");
    check_whole(
        "a = 1\na = 2\n",
        &[
            "1:1: error: unknown-key: `a` is unknown",
            "2:1: error: syntax-error: duplicate key",
        ],
    );
}

#[test]
fn columns_count_characters_and_a_byte_order_mark_counts_nothing() {
    let text = format!("\u{feff}data_dir = \"ä\" ; \r\n{LEAST}");
    let (_, findings) = read("p", &text, Path::new(""));
    let place = &findings.iter().next().unwrap().place;
    assert_eq!((place.line, place.column), (1, 16));
    let text = format!("\u{feff}data_dir = \"ä\"\r\n{}", LEAST.replace('\n', "\r\n"));
    assert!(read("p", &text, Path::new("")).1.is_empty());
}

#[test]
fn sizes_are_bounded() {
    let many: String = (0..=LISTENERS_MAX)
        .map(|port| format!("[[listeners]]\naddress = \"127.0.0.1:{}\"\n", 1000 + port))
        .collect();
    let text = format!("{many}[[apis]]\nid = \"a\"\ndocument = \"d\"\n[[apis.stages]]\nname = \"T\"\n");
    let (_, findings) = read("p", &text, Path::new(""));
    assert_eq!(
        findings.iter().map(|finding| finding.code).collect::<Vec<_>>(),
        ["too-many"]
    );

    let (_, findings) = read("p", &"#".repeat(CONFIG_BYTES_MAX + 1), Path::new(""));
    assert_eq!(
        findings.iter().map(|finding| finding.code).collect::<Vec<_>>(),
        ["config-too-long"]
    );

    let nested = format!("a = {}{}", "[".repeat(100_000), "]".repeat(100_000));
    let (_, findings) = read("p", &nested, Path::new(""));
    assert!(findings.has_errors());
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(64))]
    #[test]
    fn a_mutated_text_never_panics_and_what_is_sound_without_findings_is_whole(
        at in 0..WHOLE.len(), cut in 0..40_usize, text in "[ -~\\n\"é=\\[\\]{}]{0,8}",
    ) {
        let end = (at + cut).min(WHOLE.len());
        let mutated = format!("{}{text}{}", &WHOLE[..at], &WHOLE[end..]);
        let (config, findings) = read("p", &mutated, Path::new(""));
        let is_whole = !config.listeners.is_empty() && !config.apis.is_empty() && config.apis.iter().all(|api| !api.stages.is_empty());
        proptest::prop_assert!(is_whole || findings.has_errors());
    }
}
