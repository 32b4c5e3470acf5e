//! What a fuzzer calls: plain functions over bytes that must return.

use http::{HeaderMap, HeaderValue, header};

/// Reads bytes as the values of `Accept-Encoding`, one on a line. Panics when a coding is chosen that the bytes do not name, or
/// when it depends on how the elements are spread over fields.
pub fn fuzz_accept_encoding(data: &[u8]) {
    let mut apart = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            apart.append(header::ACCEPT_ENCODING, value);
        }
    }
    let chosen = crate::compression::coding_name(&apart);
    let values = apart.get_all(header::ACCEPT_ENCODING);
    if let Some(name) = chosen {
        let named = |value: &HeaderValue| {
            String::from_utf8_lossy(value.as_bytes())
                .to_ascii_lowercase()
                .contains(name)
        };
        assert!(values.iter().any(named), "{name} is not asked for");
    }
    // A field that is no text counts for nothing; joined with others it would take them along.
    let texts: Option<Vec<&str>> = values.iter().map(|value| value.to_str().ok()).collect();
    if let Some(Ok(joined)) = texts.map(|texts| HeaderValue::try_from(texts.join(","))) {
        let together = HeaderMap::from_iter([(header::ACCEPT_ENCODING, joined)]);
        assert_eq!(crate::compression::coding_name(&together), chosen, "one field or many");
    }
}

/// Reads bytes as what another gateway stored: an entry, a log of what is forgotten, a sealed value.
pub fn fuzz_shared_answer(data: &[u8]) {
    crate::cache::fuzz_shared(data);
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    #[test]
    fn the_corpora_return() {
        check("accept_encoding", fuzz_accept_encoding);
        check("shared_answer", fuzz_shared_answer);
    }

    /// Every file as it is, each of its beginnings, and each with one bit flipped.
    fn check(name: &str, fuzz: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz-corpus").join(name);
        let files: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| fs::read(entry.unwrap().path()).unwrap())
            .collect();
        assert!(files.len() >= 4, "only {} files", files.len());
        for file in files {
            fuzz(&file);
            for place in 0..file.len() {
                fuzz(&file[..place]);
                let mut flipped = file.clone();
                flipped[place] ^= 1 << (place % 8);
                fuzz(&flipped);
            }
        }
    }
}
