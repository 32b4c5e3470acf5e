use std::path::Path;

use portcullis_testkit::{Origin, Portcullis, Stream, curl};

use crate::{CONFIG, PROXY, Place, SECRET};

const BINARY: &str = env!("CARGO_BIN_EXE_portcullis");

/// A gateway in front of an origin, with arguments behind `serve`.
fn start(place: &Place, arguments: &[&str], listeners: usize) -> Portcullis {
    place.write("proxy.yaml", PROXY);
    let all = [&["serve"], arguments].concat();
    Portcullis::command(BINARY)
        .args(all)
        .env("APPROOV_SECRET", SECRET)
        .directory(place.path(""))
        .listeners(listeners)
        .start()
}

fn token(place: &Place) -> String {
    let said = place.run_with(
        &["token", "issue", "--secret", "env:APPROOV_SECRET"],
        "",
        &[("APPROOV_SECRET", SECRET)],
    );
    format!("Approov-Token: {}", said.out.trim())
}

#[test]
fn a_document_is_served_with_its_log_metrics_and_probes() {
    let place = Place::new();
    let origin = Origin::ok("hello");
    let variable = format!("origin={}", origin.address());
    let arguments = [
        "proxy.yaml",
        "--variable",
        &variable,
        "--listen",
        "127.0.0.1:0",
        "--metrics-listen",
        "127.0.0.1:0",
        "--workers",
        "1",
    ];
    let gateway = start(&place, &arguments, 2);

    let token = token(&place);
    assert_eq!(curl(&[&gateway.url("/a")]).status, 401);
    let answer = curl(&["-H", &token, &gateway.url("/a")]);
    assert_eq!((answer.status, answer.text()), (200, "hello"));
    assert_eq!(curl(&["-H", &format!("{token}x"), &gateway.url("/a")]).status, 403);

    let metrics = |path: &str| curl(&[&format!("http://{}{path}", gateway.addresses()[1])]);
    assert_eq!(
        (metrics("/livez").status, metrics("/readyz").status, metrics("/").status),
        (200, 200, 404)
    );
    let text = metrics("/metrics").text().to_owned();
    for line in [
        "portcullis_count_total{api=\"proxy\",stage=\"TEST\",route=\"ANY /{proxy+}\"} 3",
        "portcullis_4xx_errors_total{api=\"proxy\",stage=\"TEST\",route=\"ANY /{proxy+}\"} 2",
        "portcullis_upstream_connections_opened_total 1",
        "portcullis_connections_accepted_total 3",
        "portcullis_tokens_remembered ",
        "portcullis_build{version=\"",
    ] {
        assert!(text.contains(line), "`{line}` in\n{text}");
    }
    assert_eq!(
        curl(&[&gateway.url("/metrics")]).status,
        401,
        "callers of the API do not see them"
    );

    let log = gateway.wait_for_access_log(4);
    let ended = gateway.stop();
    assert!(ended.status.success(), "{ended:?}");
    let statuses: Vec<_> = log
        .iter()
        .map(|line| line.split("HTTP/1.1\" ").nth(1).unwrap()[..3].to_owned())
        .collect();
    assert_eq!(statuses, ["401", "200", "403", "401"]);
    for secret in [SECRET, token.split(": ").nth(1).unwrap()] {
        assert!(
            !ended.stdout.contains(secret) && !ended.stderr.contains(secret),
            "a secret is in {ended:?}"
        );
    }
}

#[test]
fn a_configuration_is_served_and_its_directory_has_one_owner() {
    let place = Place::new();
    let origin = Origin::ok("hello");
    let config = CONFIG
        .replace("127.0.0.1:8080", "127.0.0.1:0")
        .replace("127.0.0.1:9000", &origin.address().to_string())
        .replace(
            "mount = \"/\"",
            "mount = \"/v1\"\naccess_log = { destination = \"file:access.log\", format = \"json\" }",
        );
    place.write("portcullis.toml", &config);
    let gateway = start(&place, &["--config", "portcullis.toml"], 1);
    assert_eq!(curl(&["-H", &token(&place), &gateway.url("/v1/a")]).status, 200);
    assert_eq!(
        curl(&["-H", &token(&place), &gateway.url("/a")]).status,
        403,
        "no stage is there"
    );

    let second = place.run_with(&["serve"], "", &[("APPROOV_SECRET", SECRET)]);
    second
        .expect(2, "", "`state` belongs to another process that is still running")
        .expect(2, "", "a `data_dir` of its own");

    // A log that was moved away is opened again.
    std::fs::rename(place.path("access.log"), place.path("access.log.1")).unwrap();
    gateway.child().signal("HUP");
    assert_eq!(curl(&[&gateway.url("/v1/b")]).status, 401);
    assert!(gateway.stop().status.success());
    let lines = |name: &str| {
        std::fs::read_to_string(place.path(name))
            .unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let all = [lines("access.log.1"), lines("access.log")].concat();
    let statuses: Vec<_> = all
        .iter()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["status"].clone())
        .collect();
    assert_eq!(statuses, ["200", "401"]);
    assert!(Path::new(&place.path("access.log")).exists(), "it was made again");

    let third = start(&place, &["--config", "portcullis.toml"], 1);
    assert!(third.stop().status.success(), "the lock went with its owner");
}

#[test]
fn several_documents_have_paths_of_their_own() {
    let place = Place::new();
    let origin = Origin::ok("hello");
    place.write("open.yaml", &PROXY.replace("security: [{Approov: []}]", "security: []"));
    let variable = format!("origin={}", origin.address());
    let gateway = start(
        &place,
        &[
            "/a=proxy.yaml",
            "/b/c=open.yaml",
            "--variable",
            &variable,
            "--listen",
            "127.0.0.1:0",
            "--access-log",
            "off",
        ],
        1,
    );
    assert_eq!(curl(&[&gateway.url("/a/x")]).status, 401);
    assert_eq!(curl(&[&gateway.url("/b/c/x")]).status, 200);
    assert_eq!(origin.requests()[0].request_line(), "GET /x HTTP/1.1");
    let ended = gateway.stop();
    assert_eq!(ended.stdout, "", "no access log");
    assert!(ended.stderr.contains("[logging-off]"), "{ended:?}");
}

#[test]
fn nothing_is_served_while_there_is_an_error() {
    let place = Place::new();
    place.write("proxy.yaml", PROXY);
    let serve =
        |arguments: &[&str]| place.run_with(&[&["serve", "--listen", "127.0.0.1:0"], arguments].concat(), "", &[]);
    let origin = ["proxy.yaml", "--variable", "origin=127.0.0.1:9"];
    serve(&["proxy.yaml"])
        .expect(2, "", "error: nothing can be served from this")
        .expect(2, "", "origin");
    serve(&origin).expect(
        2,
        "",
        "authoriser `Approov`: the environment variable APPROOV_SECRET is not set",
    );
    serve(&[&origin[..], &["--access-log", "jsno"]].concat()).expect(2, "", "--access-log: error: `jsno` is neither");
    serve(&[&origin[..], &["--log", "a=b=c"]].concat()).expect(2, "", "--log: ");
    serve(&["proxy.yaml", "proxy.yaml", "--variable", "origin=127.0.0.1"]).expect(2, "", "write each as PATH=DOCUMENT");
    serve(&["--config", "portcullis.toml"]).expect(2, "", "cannot be used with");
    place.write("portcullis.toml", CONFIG);
    for options in [
        "--listen 127.0.0.1:0",
        "--variable a=b",
        "--kind rest",
        "--stage A",
        "--access-log off",
    ] {
        place
            .run(&format!("serve {options}"))
            .expect(2, "", "these options need a document");
    }
    Place::new()
        .run("serve")
        .expect(2, "", "no document is named, and there is no `portcullis.toml` here");
}

#[test]
fn a_busy_port_is_named_with_a_way_out() {
    let place = Place::new();
    place.write("proxy.yaml", PROXY);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let arguments = [
        "serve",
        "proxy.yaml",
        "--variable",
        "origin=127.0.0.1:9",
        "--listen",
        &address,
    ];
    let said = place.run_with(&arguments, "", &[("APPROOV_SECRET", SECRET)]);
    said.expect(2, "", &format!("`{address}` cannot be listened on"))
        .expect(2, "", "or listen elsewhere, as in `--listen 127.0.0.1:");
    let other = [
        "serve",
        "proxy.yaml",
        "--variable",
        "origin=127.0.0.1:9",
        "--listen",
        "192.0.2.1:80",
    ];
    place
        .run_with(&other, "", &[("APPROOV_SECRET", SECRET)])
        .expect(2, "", "this machine does not have that address");
}

#[test]
fn requests_under_way_are_answered_before_the_end() {
    use portcullis_testkit::Step::{AwaitRelease, ReadRequest, Send};
    let place = Place::new();
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate".to_vec();
    let origin = Origin::scripted(vec![vec![ReadRequest, AwaitRelease, Send(answer)]]);
    let variable = format!("origin={}", origin.address());
    let arguments = [
        "proxy.yaml",
        "--variable",
        &variable,
        "--listen",
        "127.0.0.1:0",
        "--metrics-listen",
        "127.0.0.1:0",
    ];
    let gateway = start(&place, &arguments, 2);
    let (token, url) = (token(&place), gateway.url("/slow"));
    let call = std::thread::spawn(move || curl(&["-H", &token, &url]).text().to_owned());
    origin.wait_for_requests(1);
    gateway.child().signal("INT");
    gateway
        .child()
        .wait_for_line(Stream::Stderr, 0, |line| line.starts_with("ending: "));
    origin.release();
    assert_eq!(call.join().unwrap(), "late");
    assert!(gateway.stop().status.success());
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let place = Place::new();
    let origin = Origin::hanging();
    let variable = format!("origin={}", origin.address());
    let gateway = start(
        &place,
        &["proxy.yaml", "--variable", &variable, "--listen", "127.0.0.1:0"],
        1,
    );
    let (token, url) = (token(&place), gateway.url("/slow"));
    let call = std::thread::spawn(move || portcullis_testkit::try_curl(&["-H", &token, &url]).map(|_| ()));
    origin.wait_for_requests(1);
    gateway.child().signal("TERM");
    gateway
        .child()
        .wait_for_line(Stream::Stderr, 0, |line| line.starts_with("ending: "));
    assert_eq!(gateway.stop().status.code(), Some(1));
    assert!(call.join().unwrap().is_err(), "the call was cut off");
}
