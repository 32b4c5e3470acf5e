//! Stored answers shared through a real Redis: whole gateways beside one another, flushes of one that the others see, what
//! stands in Redis, and what becomes of it all when Redis goes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::process::Command;

use portcullis_testkit::{Origin, Redis};
use support::{Running, Setup, open, poll};

const KEY: &str = "Dw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8=";
const OTHER_KEY: &str = "f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0";
const BODY: &str = "the balance of someone";

fn setup(origin: &Origin, redis: &str, cache: &str) -> Setup {
    let document = open().replace(
        "        passthroughBehavior",
        "        cacheKeyParameters: [method.request.path.proxy, method.request.header.X-Tenant]\n        passthroughBehavior",
    );
    Setup::new(origin.address()).document(document).in_config(
        "\n[metrics]",
        &format!("\n[apis.stages.cache]\nenabled = true\n{cache}\n{redis}\n[metrics]"),
    )
}

fn gateway(origin: &Origin, redis: &Redis, key: &str) -> Running {
    let section = format!(
        "[redis]\nurl = \"redis://{}\"\ncache_key = \"file:cache.key\"\ndeadline_ms = 500",
        redis.address()
    );
    let setup = setup(origin, &section, "shared = true").file("cache.key", key);
    setup.start()
}

/// What Redis says to a command, as text.
fn ask(redis: &Redis, command: &[&str]) -> String {
    let port = redis.address().port().to_string();
    let output = Command::new("redis-cli")
        .args(["-p", &port])
        .args(command)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn names_of_answers(redis: &Redis) -> Vec<String> {
    let names = ask(redis, &["KEYS", "portcullis:answer:*"]);
    names.split_whitespace().map(ToOwned::to_owned).collect()
}

fn answers(redis: &Redis) -> usize {
    names_of_answers(redis).len()
}

/// The first gateway's fetch is in Redis when this returns.
#[track_caller]
fn store(gateway: &Running, redis: &Redis, path: &str) {
    let before = answers(redis);
    assert_eq!(gateway.call(path, &["-H", "X-Tenant: acme"]).text(), BODY);
    poll(|| answers(redis), |now| *now > before);
}

/// Whether the answer is a stored one.
#[track_caller]
fn is_stored(gateway: &Running, path: &str) -> bool {
    let answer = gateway.call(path, &["-H", "X-Tenant: acme"]);
    assert_eq!((answer.status, answer.text()), (200, BODY), "{path}");
    answer.header("age").is_some()
}

/// Both share what they store, from now on.
fn wait_until_shared(redis: &Redis, gateways: &[&Running], name: &str) {
    let mut number = 0;
    for gateway in gateways {
        let before = answers(redis);
        poll(
            || {
                number += 1;
                is_stored(gateway, &format!("/{name}{number}"));
                answers(redis)
            },
            |now| *now > before,
        );
    }
}

#[test]
fn two_gateways_share_what_they_store_and_what_they_forget() {
    let (origin, redis) = (Origin::ok(BODY), Redis::start());
    let [first, second] = [(); 2].map(|()| gateway(&origin, &redis, KEY));
    wait_until_shared(&redis, &[&first, &second], "warm");

    store(&first, &redis, "/secret-path");
    let fetched = origin.requests().len();
    assert!(is_stored(&second, "/secret-path"), "the first one stored it");
    assert!(is_stored(&second, "/secret-path"), "and now it has it");
    assert_eq!(origin.requests().len(), fetched);

    // A key of its own finds nothing of theirs, and leaves theirs alone.
    let stranger = gateway(&origin, &redis, OTHER_KEY);
    assert!(!is_stored(&stranger, "/secret-path"));
    stranger.stop();

    // Neither names nor values can be read by whoever has Redis.
    let names = ask(&redis, &["KEYS", "*"]);
    let values: String = names.lines().map(|name| ask(&redis, &["GET", name])).collect();
    assert!(names.contains("portcullis:answer:") && names.contains("portcullis:answers:") && values.len() > 100);
    for readable in ["secret-path", "acme", "balance", "proxy", "TEST", "content-type"] {
        assert!(!names.contains(readable) && !values.contains(readable), "{readable}");
    }

    // A value that was put under another name does not open there.
    let [one, two] = ["/one", "/two"].map(|path| {
        let before = names_of_answers(&redis);
        store(&first, &redis, path);
        let mut names = names_of_answers(&redis).into_iter();
        names.find(|name| !before.contains(name)).unwrap()
    });
    assert_eq!(ask(&redis, &["COPY", &one, &two, "REPLACE"]).trim(), "1");
    assert!(!is_stored(&second, "/two") && is_stored(&second, "/one"));

    // One path, and then everything: the other learns of both, and nothing comes back.
    store(&first, &redis, "/kept");
    store(&first, &redis, "/gone");
    assert!(is_stored(&second, "/kept") && is_stored(&second, "/gone"));
    let said = first.place.run(&["flush", "--cache-entry", "GET", "/gone"]);
    assert_eq!(said.status, 0, "{said:?}");
    let fetched = origin.requests().len();
    assert!(!is_stored(&first, "/gone"));
    assert_eq!(origin.requests().len(), fetched + 1);
    let said = first.place.run(&["flush", "--cache"]);
    assert!(said.status == 0 && !format!("{said:?}").contains("away"), "{said:?}");
    assert!(!is_stored(&first, "/kept"), "neither here nor in Redis");
    poll(|| is_stored(&second, "/secret-path"), |stored| !stored);
    first.stop();
    second.stop();
}

#[test]
fn one_path_is_forgotten_by_the_others_too() {
    let (origin, redis) = (Origin::ok(BODY), Redis::start());
    let [first, second] = [(); 2].map(|()| gateway(&origin, &redis, KEY));
    wait_until_shared(&redis, &[&first, &second], "warm");
    store(&first, &redis, "/kept");
    store(&first, &redis, "/gone");
    assert!(is_stored(&second, "/kept") && is_stored(&second, "/gone"));
    // The second one is told to forget what the first one stored; the first has it, and learns of it.
    let said = second.place.run(&["flush", "--cache-entry", "GET", "/gone"]);
    assert_eq!(said.status, 0, "{said:?}");
    poll(|| is_stored(&first, "/gone"), |stored| !stored);
    assert!(is_stored(&first, "/kept") && is_stored(&second, "/kept"));
    first.stop();
    second.stop();
}

#[test]
fn without_redis_each_stores_alone_and_a_flush_is_told_later() {
    let (origin, redis) = (Origin::ok(BODY), Redis::start());
    let [first, second] = [(); 2].map(|()| gateway(&origin, &redis, KEY));
    wait_until_shared(&redis, &[&first, &second], "warm");
    store(&first, &redis, "/both");
    assert!(is_stored(&second, "/both"));

    let port = redis.killed();
    for (path, stored) in [("/both", true), ("/alone", false), ("/alone", true)] {
        assert_eq!(is_stored(&first, path), stored, "{path}");
    }
    assert!(is_stored(&second, "/both") && !is_stored(&second, "/alone"));
    let said = first.place.run(&["flush", "--cache"]);
    assert_eq!(said.status, 0);
    assert!(format!("{said:?}").contains("told when it is back"), "{said:?}");
    assert!(!is_stored(&first, "/both"));

    let redis = Redis::at(port);
    poll(|| is_stored(&second, "/both"), |stored| !stored);
    wait_until_shared(&redis, &[&first, &second], "again");
    store(&first, &redis, "/new");
    assert!(is_stored(&second, "/new"));
    first.stop();
    second.stop();
}

#[test]
fn a_configuration_is_told_what_sharing_needs() {
    let origin = Origin::ok(BODY);
    let check = |redis: &str, cache: &str, expected: &str| {
        let place = setup(&origin, redis, cache).file("cache.key", KEY).written();
        let said = place.run(&["check", "--config", "portcullis.toml"]);
        let text = format!("{said:?}");
        assert!(text.contains(expected), "{expected}\n{text}");
        assert_eq!(said.status == 0, expected.is_empty(), "{text}");
    };
    let redis = "[redis]\nurl = \"redis://127.0.0.1:6379\"";
    let with_key = format!("{redis}\ncache_key = \"file:cache.key\"");
    check(&with_key, "shared = true", "");
    check("", "shared = false", "");
    check("", "shared = true", "shared-without-redis");
    check(redis, "shared = true", "shared-without-key");
    check(
        &with_key.replace("file:", ""),
        "shared = true",
        "secret-in-configuration",
    );
    check(&with_key, "shared = \"yes\"", "shared");

    let short = with_key.replace("6379", "1");
    let place = setup(&origin, &short, "shared = true")
        .file("cache.key", "c2hvcnQ=")
        .written();
    let said = place.run(&["serve", "--config", "portcullis.toml"]);
    assert!(format!("{said:?}").contains("32 are asked for"), "{said:?}");
}
