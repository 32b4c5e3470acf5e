//! The commands as a person types them into a shell, from an empty directory to a protected origin.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{fs, os::unix::fs::PermissionsExt as _};

use portcullis_testkit::{Nginx, Portcullis, Stream};
use support::{BINARY, CONFIG, EXPLICIT_DENY, ORIGIN_KEY, PROXY, Place, SECRET};

const BODY: &str = "{\"message\":\"Hello from the origin\"}";

/// What `protect` printed to be tried: the line that sets the token, and the calls with what stands behind their `#`.
struct Printed {
    token: String,
    calls: Vec<(String, String)>,
}

#[track_caller]
fn printed(gateway: &Portcullis) -> Printed {
    gateway
        .child()
        .wait_for_line(Stream::Stderr, 0, |line| line.contains("Ctrl-C"));
    let lines = gateway.child().lines(Stream::Stderr);
    let lines: Vec<_> = lines.iter().map(|line| line.trim()).collect();
    let token = lines.iter().find(|line| line.starts_with("token=")).unwrap();
    let calls = lines.iter().filter(|line| line.starts_with("curl "));
    let calls = calls.map(|line| {
        let (_, told) = line.split_once(" # ").unwrap();
        ((*line).to_owned(), told.trim().to_owned())
    });
    Printed {
        token: (*token).to_owned(),
        calls: calls.collect(),
    }
}

/// Each printed line, run as printed by a shell, answers what it says.
#[track_caller]
fn check_printed(place: &Place, printed: &Printed) {
    let answers: Vec<_> = printed
        .calls
        .iter()
        .map(|(line, told)| {
            let said = place.shell(&format!("{}\n{line}", printed.token));
            let status = said.out.split(' ').nth(1).unwrap_or_default().to_owned();
            if told.starts_with('4') {
                assert!(told.starts_with(&format!("{status}: ")), "{line}: {said:?}");
            }
            (status, said.out)
        })
        .collect();
    let statuses: Vec<_> = answers.iter().map(|(status, _)| status.as_str()).collect();
    assert_eq!(statuses, ["401", "200", "403"]);
    assert!(answers[0].1.ends_with("{\"message\":\"Unauthorized\"}"), "{answers:?}");
    assert!(answers[1].1.ends_with("home"), "{answers:?}");
    assert!(answers[2].1.ends_with(EXPLICIT_DENY), "{answers:?}");
}

fn mode(place: &Place, name: &str) -> u32 {
    fs::metadata(place.path(name)).unwrap().permissions().mode() & 0o777
}

#[test]
fn protect_makes_everything_from_nothing_and_keeps_it() {
    let nginx = Nginx::serving("/index.html", "home").start();
    let place = Place::new();
    let origin = format!("http://{}", nginx.address());
    let words = ["protect", &origin, "--header", "Approov-Token", "--secret", "file:s"];
    let protect = |more: &[&str]| {
        Portcullis::command(BINARY)
            .args([&words[..], more].concat())
            .directory(place.path(""))
            .start()
    };
    let gateway = protect(&["--listen", "127.0.0.1:0"]);
    let first = printed(&gateway);
    check_printed(&place, &first);
    assert_eq!(mode(&place, "s"), 0o600);
    let files = || ["s", "proxy.yaml", "portcullis.toml"].map(|name| place.read(name));
    let made = files();
    assert!(!made[1].contains(made[0].trim()) && !made[2].contains(made[0].trim()));
    let ended = gateway.stop();
    assert!(ended.status.success());
    assert!(
        !ended.stdout.contains(&first.token["token=".len()..]),
        "the log tells no token"
    );
    let all = ended.stdout + &ended.stderr;
    assert!(!all.contains(made[0].trim()), "nothing tells the secret");

    // Again, with the same words: the same secret and files, so that tokens of the first time are good.
    let again = protect(&["--listen", "127.0.0.1:0"]);
    let second = printed(&again);
    check_printed(&place, &second);
    check_printed(
        &place,
        &Printed {
            token: first.token.clone(),
            calls: second.calls,
        },
    );
    assert!(again.stop().status.success());
    assert_eq!(files(), made);

    // And without `protect`, from what it wrote.
    let served = Portcullis::command(BINARY)
        .args(["serve", "--config", "portcullis.toml"])
        .directory(place.path(""))
        .start();
    let at = |line: &str| {
        let (before, rest) = line.split_once("http://").unwrap();
        format!("{before}{}/{}", served.url(""), rest.split_once('/').unwrap().1)
    };
    let calls = first
        .calls
        .iter()
        .map(|(line, told)| (at(line), told.clone()))
        .collect();
    check_printed(
        &place,
        &Printed {
            token: first.token,
            calls,
        },
    );
    assert!(served.stop().status.success());
}

#[test]
fn the_commands_fit_together_in_a_shell() {
    let nginx = Nginx::serving("/example.json", BODY)
        .demanding("apikey", ORIGIN_KEY)
        .start();
    let place = Place::new();
    place.write("proxy.yaml", PROXY);
    place.write(
        "portcullis.toml",
        CONFIG.replace("127.0.0.1:9000", &nginx.address().to_string()),
    );
    let shell = |script: &str| place.shell(&format!("set -eu\nportcullis() {{ '{BINARY}' \"$@\"; }}\n{script}"));

    shell("portcullis check --deny-warnings").expect(0, "0 errors, 0 warnings: 1 API with 1 route", "");
    let routes = shell("portcullis routes");
    routes
        .expect(0, "/{proxy+}", "")
        .expect(0, "Approov", "")
        .expect(0, "10000/s, burst 5000", "");

    shell("portcullis test GET /example.json")
        .expect(1, "refused  authenticate", "")
        .expect(1, "401 Unauthorized", "");
    let tested = shell(
        "token=$(portcullis token issue --secret env:APPROOV_SECRET --issuer Monitor --expires 10y)\n\
         portcullis test GET /example.json --header \"Approov-Token: $token\"",
    );
    tested.expect(0, "200 OK", "").expect(0, BODY, "");
    for step in [
        "receive",
        "locate",
        "route",
        "authenticate",
        "authorise",
        "throttle",
        "integrate",
    ] {
        tested.expect(0, &format!("µs  passed   {step}"), "");
    }
    tested.expect(0, "statement 0", "").expect(0, "", "10 years");
    assert_eq!(nginx.wait_for_requests(1), ["GET /example.json 200"]);

    shell("portcullis token issue --secret env:APPROOV_SECRET --claim level=3 | portcullis token check - --secret env:APPROOV_SECRET")
        .expect(0, "\"level\": 3", "")
        .expect(0, "valid until ", "");
    shell("portcullis secret generate --out other && portcullis token issue --secret file:other | portcullis token check - --secret env:APPROOV_SECRET")
        .expect(1, "invalid: ", "");
    shell("echo nonsense | portcullis token check - --secret env:APPROOV_SECRET").expect(1, "invalid: ", "");
    shell("portcullis token issue --secret env:APPROOV_SECRET --expires 26y").expect(2, "", "25 years");

    place.write(
        "policy.json",
        "{\"Version\": \"2012-10-17\", \"Statement\": [{\"Sid\": \"Read\", \"Effect\": \"Allow\", \"Action\": \"execute-api:Invoke\", \
         \"Resource\": \"arn:aws:execute-api:*:*:proxy/TEST/GET/*\"}]}",
    );
    shell(
        "portcullis policy simulate --policy policy.json --method GET --path /a\n\
         if portcullis policy simulate --policy policy.json --method PUT --path /a; then exit 9; fi\n\
         portcullis policy simulate --policy - --method GET --path /a </dev/null || exit $?",
    )
    .expect(2, "allow\nstatement 0 (Read)", "")
    .expect(2, "implicit deny\nno statement matches", "");
    for said in [&tested, &routes] {
        assert!(!said.out.contains(SECRET) && !said.err.contains(SECRET));
    }
}
