//! The fuzz targets over their seeds, and over random texts made of the languages' own words.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fs, path::Path};

use portcullis_template::fuzzing::{fuzz_gateway_template, fuzz_log_template, fuzz_mapping, fuzz_uri};
use proptest::prelude::*;

/// Every file as it is, each of its beginnings, and each with one bit flipped (in a soak, each bit).
fn check(target: &str, fuzz: fn(&[u8]), least: usize) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/seeds").join(target);
    let files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| fs::read(entry.unwrap().path()).unwrap())
        .collect();
    assert!(files.len() >= least, "only {} files", files.len());
    for file in files {
        fuzz(&file);
        for place in 0..file.len() {
            fuzz(&file[..place]);
            let bits = if soak() > 1 { 0..8 } else { place % 8..place % 8 + 1 };
            for bit in bits {
                let mut flipped = file.clone();
                flipped[place] ^= 1 << bit;
                fuzz(&flipped);
            }
        }
    }
}

#[test]
fn log_template() {
    check("log_template", fuzz_log_template, 9);
}

#[test]
fn gateway_template() {
    check("gateway_template", fuzz_gateway_template, 8);
}

#[test]
fn mapping() {
    check("mapping", fuzz_mapping, 12);
}

#[test]
fn uri() {
    check("uri", fuzz_uri, 9);
}

/// Words of all the languages, so that random sentences get past the first character.
const WORDS: &[&str] = &[
    "$context.requestId",
    "$context.status",
    "$context.path",
    "$context.error.messageString",
    "$stageVariables.a",
    "$method.request.header.X",
    "$method.request.querystring.q",
    "${context.requestId}",
    "${stageVariables.a}",
    "$",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "\\",
    ",",
    ":",
    "<",
    ">",
    "'",
    " ",
    "#",
    "/",
    "?",
    "&",
    "=",
    "@",
    "%2F",
    "..",
    "a",
    "1",
    "null",
    "http://",
    "https://",
    "append:",
    "overwrite:",
    "header.",
    "querystring.",
    "path.",
    "integration.request.",
    "method.request.",
    "context.requestId",
    "$request.path",
    "$request.header.X",
    "\n",
    "é",
    "\u{85}",
    "\u{202e}",
];

fn sentence() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(WORDS), 0..14).prop_map(|words| words.concat())
}

/// How many times the ordinary count is to be run.
fn soak() -> u32 {
    let factor = std::env::var("PORTCULLIS_SOAK").ok();
    factor.and_then(|factor| factor.parse().ok()).unwrap_or(1)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100 * soak()) })]

    #[test]
    fn sentences_hold_what_must_always_hold(text in sentence(), value in sentence()) {
        for prefix in ["", "{\"id\":\"$context.requestId\",\"a\":", "http://o/", "integration.request.", "{\"a\":\""] {
            for suffix in ["", "}", "\"}"] {
                let input = format!("{prefix}{text}{suffix}\n{value}");
                fuzz_log_template(input.as_bytes());
                fuzz_gateway_template(input.as_bytes());
                fuzz_mapping(input.as_bytes());
                fuzz_uri(input.as_bytes());
            }
        }
    }
}
