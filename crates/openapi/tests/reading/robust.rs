//! Whatever the bytes are, reading returns; and the bounds hold for documents as a whole.

use std::fmt::Write;

use portcullis_openapi::{ApiKind, ROUTES_MAX, fuzzing::fuzz_document, read};
use proptest::prelude::*;

use crate::{HTTP, REST, SWAGGER, clean, mutated};

fn document(routes: usize) -> String {
    let mut text = "openapi: 3.0.1\npaths:\n".to_owned();
    for route in 0..routes {
        writeln!(
            text,
            "  /r{route}: {{get: {{x-amazon-apigateway-integration: {{$ref: '#/x-shared'}}}}}}"
        )
        .unwrap();
    }
    text + "x-shared: {type: http_proxy, httpMethod: GET, uri: http://origin.example/}\n"
}

fn codes(text: &str) -> Vec<&'static str> {
    let (_, findings) = read("t", text, ApiKind::Rest);
    findings.iter().map(|finding| finding.code).collect()
}

#[test]
fn routes_are_bounded() {
    assert_eq!(clean(&document(ROUTES_MAX), ApiKind::Rest).operations.len(), ROUTES_MAX);
    assert_eq!(codes(&document(ROUTES_MAX + 1)), ["too-many-routes"]);
}

#[test]
fn findings_are_bounded() {
    let nonsense = "paths:\n".to_owned() + &"  x: 1\n".repeat(20_000);
    let codes = codes(&nonsense);
    assert_eq!((codes.len(), codes.contains(&"too-many-findings")), (1_000, true));
}

/// References repeat values as aliases do, and have a bound of their own.
#[test]
fn a_bomb_of_references_is_refused() {
    let with = |text: &str| document(ROUTES_MAX).replace("http://origin.example/", text);
    assert_eq!(codes(&with(&"x".repeat(1_000_000)))[0], "document-too-large");
    assert_eq!(codes(&with("http://other.example/")), [""; 0]);
}

#[test]
fn references_in_a_circle_end() {
    let shared = "x-shared: {type: http_proxy, httpMethod: GET, uri: http://origin.example/}";
    let circle = mutated(
        &document(1),
        shared,
        "x-shared: {$ref: '#/x-other'}\nx-other: {$ref: '#/x-shared'}",
    );
    assert_eq!(codes(&circle), ["circular-reference"]);
    assert_eq!(codes(&document(1)), [""; 0]);
}

#[test]
fn parameters_are_bounded() {
    let with = |count: usize| {
        let parameters = "{name: a, in: query},".repeat(count);
        document(1).replace("{get: {", &format!("{{get: {{parameters: [{parameters}], "))
    };
    assert_eq!(codes(&with(257)), ["too-many-parameters"]);
    assert_eq!(codes(&with(256)), [""; 0]);
}

/// Every file of the corpus, which a fuzzer also starts from.
#[test]
fn the_corpus_returns() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz-corpus/document");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        fuzz_document(&std::fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count >= 10, "{count} files");
}

fn cases() -> u32 {
    let factor = std::env::var("PORTCULLIS_SOAK")
        .ok()
        .and_then(|text| text.parse::<u32>().ok())
        .unwrap_or(1);
    128 * factor.max(1)
}

/// One change to a document.
#[derive(Clone, Debug)]
enum Change {
    Remove { at: usize, length: usize },
    Repeat { at: usize, length: usize, to: usize },
    Insert { at: usize, what: &'static str },
}

fn change() -> impl Strategy<Value = Change> {
    let place = 0..5_000_usize;
    let words = [
        "{",
        "}",
        "[",
        "]",
        ":",
        "\n",
        " ",
        "- ",
        "\t",
        "&a ",
        "*a",
        "<<: *a",
        "!Ref ",
        "$ref: '#/paths'",
        "null",
        "%",
        "\"",
        "'",
        "|",
        "x-amazon-apigateway-",
        "security: ",
        "\u{feff}",
        "é",
        "99999999999",
        "{$ref: '#/'}",
        "---\n",
    ];
    prop_oneof![
        (place.clone(), 1..200_usize).prop_map(|(at, length)| Change::Remove { at, length }),
        (place.clone(), 1..200_usize, place.clone()).prop_map(|(at, length, to)| Change::Repeat { at, length, to }),
        (place, prop::sample::select(words.to_vec())).prop_map(|(at, what)| Change::Insert { at, what }),
    ]
}

fn apply(mut text: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        let bounded = |at: usize| at % (text.len() + 1);
        match change {
            Change::Remove { at, length } => {
                let start = bounded(*at);
                text.drain(start..(start + length).min(text.len()));
            }
            Change::Repeat { at, length, to } => {
                let (start, to) = (bounded(*at), bounded(*to));
                let piece = text[start..(start + length).min(text.len())].to_vec();
                text.splice(to..to, piece);
            }
            Change::Insert { at, what } => {
                let at = bounded(*at);
                text.splice(at..at, what.bytes());
            }
        }
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_documents_return(
        base in prop::sample::select(vec![REST, HTTP, SWAGGER]),
        changes in prop::collection::vec(change(), 1..6),
    ) {
        fuzz_document(&apply(base.as_bytes().to_vec(), &changes));
    }

    #[test]
    fn bytes_return(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        fuzz_document(&bytes);
    }
}
