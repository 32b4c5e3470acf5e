use std::thread;

use crate::{
    document,
    load::{Load, Stop},
    place, serve, soak, wait_for_reloads,
};

/// A hundred in `make soak`.
#[test]
fn no_request_fails_while_snapshots_are_swapped() {
    let place = place("word0", "");
    let gateway = serve(&place, &[]);
    let load = Load::default();
    let count = 8 * soak();
    thread::scope(|scope| {
        let clients = load.start(scope, gateway.address(), 2);
        let stop = Stop(&load);
        for change in 1..=count {
            place.write("proxy.yaml", document(&format!("word{change}")));
            gateway.child().signal("HUP");
            wait_for_reloads(&gateway, change);
            load.wait_for_more(50, &clients);
        }
        drop(stop);
    });
    let words = load.words();
    assert!(words.keys().all(|word| word.starts_with("word")), "{words:?}");
    assert!(words.contains_key(&format!("word{count}")), "{words:?}");
}
