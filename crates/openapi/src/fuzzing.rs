//! What a fuzzer calls: plain functions over bytes that must return.

use crate::{document::ApiKind, read, read_tree};

/// Reads bytes as a document of both kinds. Panics when a promise is broken: a document without routes in error.
pub fn fuzz_document(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for kind in [ApiKind::Rest, ApiKind::Http] {
        let (document, findings) = read("fuzz", &text, kind);
        assert!(
            document.is_some() || findings.has_errors(),
            "nothing was read, and nothing said why"
        );
        let printed: usize = findings.iter().map(|finding| finding.to_string().len()).sum();
        assert!(printed <= 16 * 1024 * 1024, "findings of {printed} bytes");
        for operation in document.iter().flat_map(|document| &document.operations) {
            let scheme = operation.security.as_ref().map(|security| &security.scheme);
            let known = document.as_ref().map(|document| &document.authorizers);
            assert!(
                scheme.is_none_or(|scheme| known.is_some_and(|known| known.contains_key(scheme))),
                "no authoriser"
            );
        }
    }
    let (tree, findings) = read_tree("fuzz", &text);
    assert!(
        tree.is_some() || findings.has_errors(),
        "no tree was read, and nothing said why"
    );
}
