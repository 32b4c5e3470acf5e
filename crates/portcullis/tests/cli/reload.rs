use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use portcullis_testkit::{Origin, Portcullis, Stream, curl};

use crate::{CONFIG, Place};

/// A document with one open route.
fn document(route: &str) -> String {
    format!(
        "openapi: 3.0.1\ninfo: {{title: T, version: \"1\"}}\npaths:\n  {route}:\n    get:\n      \
         x-amazon-apigateway-integration: {{type: http_proxy, httpMethod: GET, uri: \
         \"http://${{stageVariables.origin}}/x\"}}\n"
    )
}

struct Running {
    place: Place,
    gateway: Portcullis,
    reloads: AtomicUsize,
}

impl Running {
    fn start(origin: &Origin) -> Self {
        let place = Place::new();
        place.write("proxy.yaml", &document("/one"));
        place.write("portcullis.toml", &config(origin));
        let gateway = Portcullis::command(env!("CARGO_BIN_EXE_portcullis"))
            .args(["serve", "--config", "portcullis.toml"])
            .directory(place.path(""))
            .start();
        Self {
            place,
            gateway,
            reloads: AtomicUsize::new(0),
        }
    }

    /// Waits for the next line about a reload.
    #[track_caller]
    fn told(&self, begins: &str) {
        let seen = self.reloads.fetch_add(1, Ordering::Relaxed);
        let about = |line: &str| line.starts_with("reloaded: ") || line.starts_with("error: nothing can be served");
        let line = self.gateway.child().wait_for_line(Stream::Stderr, seen, about);
        assert!(line.starts_with(begins), "{line}");
    }

    fn status(&self, path: &str) -> u16 {
        curl(&[&self.gateway.url(path)]).status
    }
}

/// With one worker, so that there is one pool of connections to the origin.
fn config(origin: &Origin) -> String {
    format!("workers = 1\n{CONFIG}")
        .replace("127.0.0.1:8080", "127.0.0.1:0")
        .replace("127.0.0.1:9000", &origin.address().to_string())
}

#[test]
fn a_good_change_is_put_in_force_and_a_bad_one_is_not() {
    let origin = Origin::ok("hello");
    let running = Running::start(&origin);
    assert_eq!((running.status("/one"), running.status("/two")), (200, 403));

    running.place.write("proxy.yaml", &document("/two"));
    running.told("reloaded: 1 stage served");
    assert_eq!((running.status("/one"), running.status("/two")), (403, 200));

    // Half a document: the one before goes on, and what is wrong is said with its place.
    running
        .place
        .write("proxy.yaml", &document("/three").replace("http_proxy", "http_prox"));
    running.told("error: nothing can be served");
    assert_eq!((running.status("/two"), running.status("/three")), (200, 403));
    let said = running.gateway.child().lines(Stream::Stderr);
    assert!(said.iter().any(|line| line.starts_with("proxy.yaml:6:")), "{said:?}");

    // Asked for by a signal, with what belongs to the process changed: that waits for the next start.
    running.place.write("proxy.yaml", &document("/three"));
    running.told("reloaded: 1 stage served");
    running.place.write(
        "portcullis.toml",
        &config(&origin).replace("workers = 1", "workers = 2"),
    );
    running.gateway.child().signal("HUP");
    running.told("reloaded: 1 stage served");
    let said = running.gateway.child().lines(Stream::Stderr);
    assert!(
        said.iter().any(|line| line.starts_with("warning: listeners, workers")),
        "{said:?}"
    );
    assert_eq!(running.status("/three"), 200);
    assert_eq!(origin.connection_count(), 1, "kept connections outlive a reload");
}

/// Set when it is dropped, also by a failed assertion: callers must not go on for ever.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn no_request_fails_while_configurations_change() {
    let origin = Origin::ok("hello");
    let running = Running::start(&origin);
    let done = AtomicBool::new(false);
    let answered = AtomicUsize::new(0);
    thread::scope(|scope| {
        let callers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        assert_eq!(running.status("/one"), 200);
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let ended = Done(&done);
        for change in 1..=5 {
            running
                .place
                .write("proxy.yaml", &format!("# change {change}\n{}", document("/one")));
            running.gateway.child().signal("HUP");
            running.told("reloaded: 1 stage served");
            while answered.load(Ordering::Relaxed) < change * 4 && !callers.iter().any(|caller| caller.is_finished()) {
                thread::yield_now();
            }
        }
        drop(ended);
    });
}
