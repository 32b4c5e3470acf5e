//! Deployments, canaries and one process after another, with the real binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod canary;
mod deployments;
mod load;
mod swaps;
mod takeover;

use portcullis_testkit::{Portcullis, Stream};
use support::{BINARY, Place};

/// An API that answers with `word`, or with a status.
fn document(word: &str) -> String {
    let (status, word) = match word.parse::<u16>() {
        Ok(status) => (status, "refused"),
        Err(_) => (200, word),
    };
    format!(
        "openapi: 3.0.1\ninfo: {{title: T, version: \"1\"}}\npaths:\n  /word:\n    get:\n      \
         x-amazon-apigateway-integration:\n        type: mock\n        \
         requestTemplates: {{application/json: '{{\"statusCode\": {status}}}'}}\n        responses:\n          \
         default: {{statusCode: \"{status}\", responseTemplates: {{application/json: '{{\"word\": \"{word}\"}}'}}}}\n"
    )
}

/// What serves it: `stage` are more lines of its one stage.
fn config(stage: &str) -> String {
    format!(
        "data_dir = \"state\"\nworkers = 2\n\n[[listeners]]\naddress = \"127.0.0.1:0\"\n\n[[apis]]\nid = \"proxy\"\n\
         document = \"proxy.yaml\"\n\n[[apis.stages]]\nname = \"TEST\"\nmount = \"/\"\n\
         access_log = {{ format = \"$context.stage $context.deploymentId $context.isCanaryRequest $context.status $context.requestId\" }}\n{stage}\n\
         throttle = {{ rate_per_s = 1e7, burst = 10000000 }}\n\n[metrics]\naddress = \"127.0.0.1:0\"\n"
    )
}

/// A place that holds both.
fn place(word: &str, stage: &str) -> Place {
    let place = Place::new();
    place.write("proxy.yaml", document(word));
    place.write("portcullis.toml", config(stage));
    place
}

fn serve(place: &Place, more: &[&str]) -> Portcullis {
    Portcullis::command(BINARY)
        .args([&["serve", "--config", "portcullis.toml"], more].concat())
        .directory(place.path(""))
        .listeners(2)
        .start()
}

/// What the API answers now.
#[track_caller]
fn word(gateway: &Portcullis) -> String {
    load::get(gateway.address()).unwrap()
}

/// The first `count` lines of its access log, without the ids at their ends.
fn logged(gateway: &Portcullis, count: usize) -> Vec<String> {
    let lines = gateway.wait_for_access_log(count);
    let cut = |line: &String| line.rsplit_once(' ').unwrap().0.to_owned();
    lines.iter().map(cut).collect()
}

/// Waits until it has told of `count` reloads.
fn wait_for_reloads(gateway: &Portcullis, count: usize) {
    let is_it = |line: &str| line.starts_with("reloaded: ") || line.starts_with("error: nothing can be served");
    gateway.child().wait_for_line(Stream::Stderr, count - 1, is_it);
}

fn soak() -> usize {
    std::env::var("PORTCULLIS_SOAK")
        .ok()
        .and_then(|factor| factor.parse().ok())
        .unwrap_or(1)
}
