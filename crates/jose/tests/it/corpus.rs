//! Runs the fuzz targets over their committed corpus.

use std::{fs, path::Path};

use portcullis_jose::fuzzing::{fuzz_jwks, fuzz_jwt};

/// Every file as it is, each of its beginnings, and each with one bit flipped.
fn check(target: &str, fuzz: fn(&[u8]), least: usize) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz-corpus").join(target);
    let files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| fs::read(entry.unwrap().path()).unwrap())
        .collect();
    assert!(files.len() >= least, "only {} files", files.len());
    for file in files {
        fuzz(&file);
        let step = (file.len() / 64).max(1);
        for place in (0..file.len()).step_by(step) {
            fuzz(&file[..place]);
            let mut flipped = file.clone();
            flipped[place] ^= 1 << (place % 8);
            fuzz(&flipped);
        }
    }
}

#[test]
fn jwt() {
    check("jwt", fuzz_jwt, 12);
}

#[test]
fn jwks() {
    check("jwks", fuzz_jwks, 6);
}
