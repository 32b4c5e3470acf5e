//! What is read from documents, and every finding about those that are refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod accepted;
mod documents;
mod refused;
mod robust;
mod tree;

use portcullis_openapi::{ApiKind, Document, read};

/// An accepted REST API with a little of everything.
const REST: &str = include_str!("documents/rest.yaml");
/// An accepted HTTP API, in the shape of Amazon's export.
const HTTP: &str = include_str!("documents/http.yaml");
/// An accepted Swagger 2.0 document, JSON indented by tabs.
const SWAGGER: &str = include_str!("documents/swagger.json");

/// The document and its findings, one to a line: `LINE: SEVERITY CODE: MESSAGE`.
fn findings(text: &str, kind: ApiKind) -> (Option<Document>, Vec<String>) {
    let (document, findings) = read("t", text, kind);
    let lines = findings.iter().map(|finding| {
        assert!(
            !finding.remedy.is_empty() && !finding.message.contains('\n'),
            "{finding}"
        );
        format!(
            "{}: {} {}: {}",
            finding.place.line, finding.severity, finding.code, finding.message
        )
    });
    (document, lines.collect())
}

/// `text` with its one occurrence of `from` replaced.
fn mutated(text: &str, from: &str, to: &str) -> String {
    assert_eq!(
        text.matches(from).count(),
        1,
        "`{from}` must stand once in the accepted document"
    );
    text.replacen(from, to, 1)
}

/// A document that must be read without a finding.
fn clean(text: &str, kind: ApiKind) -> Document {
    let (document, lines) = findings(text, kind);
    assert_eq!(lines, Vec::<String>::new());
    document.expect("a document")
}
