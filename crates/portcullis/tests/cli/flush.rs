use portcullis_testkit::{Origin, Portcullis, curl};

use crate::{CONFIG, PROXY, Place, SECRET, mode};

#[test]
fn a_running_gateway_forgets_one_token_or_all() {
    let place = Place::new();
    place.write("proxy.yaml", PROXY);
    let origin = Origin::ok("hello");
    let config = CONFIG
        .replace("127.0.0.1:8080", "127.0.0.1:0")
        .replace("127.0.0.1:9000", &origin.address().to_string());
    place.write(
        "portcullis.toml",
        &format!("workers = 1\n{config}\n[metrics]\naddress = \"127.0.0.1:0\"\n"),
    );
    let gateway = Portcullis::command(env!("CARGO_BIN_EXE_portcullis"))
        .args(["serve", "--config", "portcullis.toml"])
        .env("APPROOV_SECRET", SECRET)
        .directory(place.path(""))
        .listeners(2)
        .start();
    let remembered = || {
        let metrics = curl(&[&format!("http://{}/metrics", gateway.addresses()[1])]);
        let line = metrics
            .text()
            .lines()
            .find(|line| line.starts_with("portcullis_tokens_remembered "))
            .unwrap()
            .to_owned();
        line.split(' ').nth(1).unwrap().to_owned()
    };
    let tokens: Vec<String> = ["a", "b", "c"]
        .map(|subject| {
            let arguments = ["token", "issue", "--secret", "env:APPROOV_SECRET", "--subject", subject];
            place
                .run_with(&arguments, "", &[("APPROOV_SECRET", SECRET)])
                .out
                .trim()
                .to_owned()
        })
        .into();
    let call = |token: &str| curl(&["-H", &format!("Approov-Token: {token}"), &gateway.url("/a")]).status;
    for token in &tokens {
        assert_eq!(call(token), 200);
    }
    assert_eq!(remembered(), "3.0");
    let said = place.run_with(&["flush", "--token", "-"], &format!("{}\n", tokens[0]), &[]);
    said.expect(0, "the token is verified anew", "").hides(&[&tokens[0]]);
    assert_eq!(remembered(), "2.0");
    place
        .run("flush --data-dir state")
        .expect(0, "every token is verified anew", "");
    assert_eq!(remembered(), "0.0");
    assert_eq!(call(&tokens[0]), 200);
    assert_eq!(mode(&place.path("state/control.sock")), 0o600);

    // What it cannot do.
    place.run_with(&["flush", "--token", "-"], "two tokens", &[]).expect(
        2,
        "",
        "there is no token in it, or more than one",
    );
    // Killed, it leaves its socket behind; the next one takes it over.
    gateway.kill();
    place
        .run("flush")
        .expect(2, "", "no running gateway could be told in `state`");
}
