//! The fuzzers' corpus, and random changes to it, as an ordinary test.

use std::path::Path;

use portcullis_net::fuzzing::{fuzz_certificate, fuzz_chunked, fuzz_request_head, fuzz_response_head};

use crate::mutate::Mutator;
use crate::soak;

const CHANGES_PER_FILE: u32 = 200;

fn check(target: &str, fuzz: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz-corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= 10, "{} files in {}", files.len(), folder.display());
    let mut mutator = Mutator::new(0x5eed);
    for file in files {
        let data = std::fs::read(&file).unwrap();
        fuzz(&data);
        for _ in 0..CHANGES_PER_FILE * soak() {
            fuzz(&mutator.change(&data));
        }
    }
}

#[test]
fn certificates() {
    check("certificate", fuzz_certificate);
}

#[test]
fn request_heads() {
    check("request_head", fuzz_request_head);
}

#[test]
fn response_heads() {
    check("response_head", fuzz_response_head);
}

#[test]
fn chunked_bodies() {
    check("chunked", fuzz_chunked);
}
