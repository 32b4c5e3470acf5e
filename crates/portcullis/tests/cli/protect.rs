use portcullis_testkit::{Origin, Portcullis, curl};

use crate::{Place, mode};

const BINARY: &str = env!("CARGO_BIN_EXE_portcullis");

fn protect(place: &Place, origin: &str, more: &[&str]) -> Portcullis {
    let arguments = [
        &["protect", origin, "--header", "Approov-Token", "--secret", "file:s"],
        more,
    ]
    .concat();
    Portcullis::command(BINARY)
        .args(arguments)
        .directory(place.path(""))
        .start()
}

/// What it printed behind `token=`.
fn printed_token(gateway: &Portcullis) -> String {
    let line = gateway
        .child()
        .wait_for_line(portcullis_testkit::Stream::Stderr, 0, |line| line.contains("token="));
    line.split_once("token=").unwrap().1.to_owned()
}

#[track_caller]
fn check(gateway: &Portcullis, header: &str, token: &str) {
    let status = |arguments: &[&str], path: &str| curl(&[arguments, &[&gateway.url(path)]].concat()).status;
    let (good, bad) = (format!("{header}{token}"), format!("{header}{token}x"));
    for path in ["/", "/a/b?c=d"] {
        assert_eq!(status(&[], path), 401);
        assert_eq!(status(&["-H", &good], path), 200);
        assert_eq!(status(&["-H", &bad], path), 403);
    }
}

#[test]
fn an_origin_is_protected_with_one_call_and_kept_protected_by_its_files() {
    let place = Place::new();
    let origin = Origin::ok("hello");
    let url = format!("http://{}/base/", origin.address());
    let gateway = protect(&place, &url, &["--listen", "127.0.0.1:0"]);
    let token = printed_token(&gateway);
    check(&gateway, "Approov-Token: ", &token);
    assert_eq!(origin.requests()[1].request_line(), "GET /base/a/b?c=d HTTP/1.1");
    let ended = gateway.stop();
    assert!(ended.status.success());
    let secret = place.read("s");
    assert_eq!(mode(&place.path("s")), 0o600);
    assert!(!ended.stdout.contains(secret.trim()) && !ended.stderr.contains(secret.trim()));
    assert!(!ended.stdout.contains(&token), "the access log tells no token");
    for line in [
        "made a secret: `s`",
        "wrote `./proxy.yaml`",
        "wrote `./portcullis.toml`",
        "curl -i -H \"Approov-Token: $token\" http://127.0.0.1:",
    ] {
        assert!(ended.stderr.contains(line), "`{line}` in {}", ended.stderr);
    }
    assert!(!place.read("proxy.yaml").contains(secret.trim()));

    // What it wrote is valid and serves the same.
    let check_said = place.run("check");
    check_said.expect(0, "0 errors, 0 warnings: 1 API with 2 routes", "");
    let served = Portcullis::command(BINARY)
        .args(["serve", "--config", "portcullis.toml"])
        .directory(place.path(""))
        .start();
    check(&served, "Approov-Token: ", &token);
    assert!(served.stop().status.success());

    // A second call finds everything as it was, and the same secret.
    let files = (place.read("proxy.yaml"), place.read("portcullis.toml"), secret);
    let again = protect(&place, &url, &[]);
    check(&again, "Approov-Token: ", &token);
    let ended = again.stop();
    assert!(
        !ended.stderr.contains("wrote") && !ended.stderr.contains("says something else"),
        "{}",
        ended.stderr
    );
    assert_eq!(
        (place.read("proxy.yaml"), place.read("portcullis.toml"), place.read("s")),
        files
    );
}

#[test]
fn files_of_ones_own_are_served_as_they_are() {
    let place = Place::new();
    let origin = Origin::ok("hello");
    let url = format!("http://{}", origin.address());
    drop(protect(&place, &url, &["--listen", "127.0.0.1:0"]).stop());
    let edited = place.read("proxy.yaml").replace("Approov-Token", "X-Token");
    place.write("proxy.yaml", &edited);
    let gateway = protect(&place, &url, &["--listen", "127.0.0.1:0"]);
    check(&gateway, "X-Token: ", &printed_token(&gateway));
    let ended = gateway.stop();
    assert!(
        ended
            .stderr
            .contains("`./proxy.yaml` is there and says something else than these arguments"),
        "{}",
        ended.stderr
    );
    assert_eq!(place.read("proxy.yaml"), edited);
}

#[test]
fn authorization_carries_a_bearer_token_and_files_may_be_elsewhere() {
    let place = Place::new();
    let origin = Origin::ok("hello");
    let url = format!("http://{}", origin.address());
    place.run("secret generate --encoding raw --out own").expect(0, "", "");
    let arguments = [
        "protect",
        &url,
        "--header",
        "Authorization",
        "--secret",
        "file:own",
        "--directory",
        "d",
        "--listen",
        "127.0.0.1:0",
    ];
    let gateway = Portcullis::command(BINARY)
        .args(arguments)
        .directory(place.path(""))
        .start();
    check(&gateway, "Authorization: Bearer ", &printed_token(&gateway));
    assert!(gateway.stop().status.success());
    assert!(place.read("d/proxy.yaml").contains("secretEncoding: raw"));
    place.run("check --config d/portcullis.toml").expect(0, "0 errors", "");
}

#[test]
fn an_origin_that_is_down_is_noted_and_one_that_cannot_be_is_refused() {
    let place = Place::new();
    let gone = Origin::ok("").address(); // dropped at once
    let gateway = protect(&place, &format!("http://{gone}"), &["--listen", "127.0.0.1:0"]);
    let token = format!("Approov-Token: {}", printed_token(&gateway));
    assert_eq!(curl(&["-H", &token, &gateway.url("/")]).status, 504);
    assert!(gateway.stop().stderr.contains("cannot be reached now"));

    let other = Place::new();
    let refused = |origin: &str, reason: &str| {
        other
            .run(&format!("protect {origin} --header A --secret file:s"))
            .expect(2, "", reason);
    };
    refused("127.0.0.1:9000", "write it as in `https://api.example.com`");
    refused("ftp://a.example", "ORIGIN: `ftp://a.example`");
    refused("http://a.example/?b=c", "has a query");
    refused("http://a.example/{b}", "parameter");
    other
        .run("protect http://127.0.0.1:9 --header A:B --secret file:s")
        .expect(2, "", "a header's name has letters");
    other
        .run("protect http://127.0.0.1:9 --header A --secret hunter2hunter2")
        .expect(2, "", "given by reference")
        .hides(&["hunter2"]);
    other
        .run("protect http://127.0.0.1:9 --header A --secret env:PORTCULLIS_TEST_UNSET")
        .expect(2, "", "export PORTCULLIS_TEST_UNSET");
    other
        .run("protect http://127.0.0.1:9 --header A --secret file:s --stage a/b")
        .expect(2, "", "--stage: `a/b` cannot be");
}
