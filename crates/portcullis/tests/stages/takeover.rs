use std::thread;

use portcullis_testkit::{Portcullis, Stream};

use crate::{
    config, document,
    load::{Load, Stop},
    place, serve, soak, word,
};

#[test]
fn one_process_follows_another_without_a_failed_request() {
    let place = place("word0", "");
    let mut gateway = serve(&place, &[]);
    let address = gateway.address();
    let load = Load::default();
    thread::scope(|scope| {
        let clients = load.start(scope, address, 2);
        let stop = Stop(&load);
        for change in 1..=2 * soak() {
            place.write("proxy.yaml", document(&format!("word{change}")));
            // Also with another number of workers: every socket is still served.
            let workers = ["2", "3", "1"][change % 3];
            let next = serve(&place, &["--take-over", "--workers", workers]);
            assert_eq!(next.addresses(), gateway.addresses(), "the same sockets");
            let ended = std::mem::replace(&mut gateway, next).wait();
            assert!(ended.status.success(), "{ended:?}");
            assert!(
                ended.stderr.contains("ending, for another process has taken over"),
                "{ended:?}"
            );
            load.wait_for_more(100, &clients);
        }
        drop(stop);
    });
    let words = load.words();
    assert!(words.keys().all(|word| word.starts_with("word")), "{words:?}");
    // The one that runs is the one that is told.
    place.run(&["deploy"]).expect(0, "TEST of proxy serves deployment", "");
    gateway.child().wait_for_line(Stream::Stderr, 0, |line| {
        line.starts_with("TEST of proxy serves deployment")
    });
    let second = place.run(&["serve", "--config", "portcullis.toml"]);
    second.expect(2, "", "belongs to another process that is still running");
}

#[test]
fn who_cannot_serve_takes_nothing_over() {
    let place = place("one", "");
    let gateway = serve(&place, &[]);
    place.write("portcullis.toml", config("nonsense = 1"));
    place
        .run(&["serve", "--config", "portcullis.toml", "--take-over"])
        .expect(2, "", "`apis.stages.nonsense` is unknown");
    assert_eq!(word(&gateway), "one");

    // An address that cannot be had, found out when everything else is handed over.
    let text = config("").replace("[[apis]]", "[[listeners]]\naddress = \"192.0.2.1:80\"\n\n[[apis]]");
    place.write("portcullis.toml", text);
    place
        .run(&["serve", "--config", "portcullis.toml", "--take-over"])
        .expect(2, "", "`192.0.2.1:80` cannot be listened on");
    gateway.child().wait_for_line(Stream::Stderr, 0, |line| {
        line.starts_with("warning: no other process took over")
    });
    assert_eq!(word(&gateway), "one");
    place.write("portcullis.toml", config(""));
    place
        .run(&["deploy"])
        .expect(0, "TEST of proxy serves deployment 2", "");
    assert!(gateway.stop().status.success());

    // With nobody to follow it starts as usual.
    let gateway: Portcullis = serve(&place, &["--take-over"]);
    assert_eq!(word(&gateway), "one");
}
