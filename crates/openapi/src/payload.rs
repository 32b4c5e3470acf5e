//! What is said of bodies: from which size on answers are compressed, which media types are bytes, and conversions.

use crate::{
    document::{ApiKind, Located},
    fields::Fields,
    read::Reader,
    report::quote,
    root::Root,
};

const COMPRESSION: &str = "x-amazon-apigateway-minimum-compression-size";
const BINARY: &str = "x-amazon-apigateway-binary-media-types";
/// The largest body there is (aws).
const COMPRESSION_MIN_BYTES_MAX: u32 = 10_485_760;
/// Binary media types of an API at most.
const BINARY_TYPES_MAX: usize = 100;

/// From how many bytes on answers are compressed.
pub(crate) fn compression(root: &Root<'_>, reader: &mut Reader<'_>) -> Option<Located<u32>> {
    let report = &mut reader.report;
    let entry = root.entry(COMPRESSION).filter(|entry| !entry.value.is_null())?;
    if reader.kind == ApiKind::Http {
        let message = format!("`{COMPRESSION}`: HTTP APIs do not compress");
        let remedy = "let the origin compress, or serve the document with `kind = \"rest\"`";
        report.error(&entry.key_place, "not-supported", message, remedy);
        return None;
    }
    root.number(COMPRESSION, 0..=COMPRESSION_MIN_BYTES_MAX, "out-of-range", report)
}

/// The media types whose bodies are bytes.
pub(crate) fn binary_media_types(root: &Root<'_>, reader: &mut Reader<'_>) -> Vec<Located<String>> {
    let report = &mut reader.report;
    let types = root.texts(BINARY, report);
    if let Some(first) = types.first().filter(|_| reader.kind == ApiKind::Http) {
        let message = format!("`{BINARY}` belongs to REST APIs and has no effect");
        let remedy = "take it out: bodies go through unchanged";
        report.warn(&first.place, "ignored-for-http", message, remedy);
        return Vec::new();
    }
    if let Some(over) = types.get(BINARY_TYPES_MAX) {
        let message = format!("`{BINARY}` has more than {BINARY_TYPES_MAX} entries");
        report.error(&over.place, "out-of-range", message, "write `*/*`, or `type/*`");
    }
    for text in types.iter().filter(|text| !is_media_type(&text.value)) {
        let message = format!("`{}` is no media type", quote(&text.value));
        let remedy = "write `type/subtype`, `type/*` or `*/*`, without parameters";
        report.error(&text.place, "wrong-value", message, remedy);
    }
    types
}

/// RFC 6838 section 4.2: two restricted names; `*` for all.
fn is_media_type(text: &str) -> bool {
    let is_name = |name: &str| {
        (1..=127).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    match text.split_once('/') {
        Some(("*", "*")) => true,
        Some((kind, "*")) => is_name(kind),
        Some((kind, subtype)) => is_name(kind) && is_name(subtype),
        None => false,
    }
}

/// `contentHandling` of an integration or one of its responses. Text stays text, so that `CONVERT_TO_TEXT` says nothing while
/// no media type is binary; whatever would encode or decode base64 is not supported.
pub(crate) fn check_content_handling(fields: &Fields<'_>, reader: &mut Reader<'_>) {
    let Some(handling) = fields.text("contentHandling", &mut reader.report) else {
        return;
    };
    let binary = reader.root.get(BINARY);
    let has_binary =
        binary.is_some_and(|list| !list.is_null() && list.as_sequence().is_none_or(|list| !list.is_empty()));
    let (code, message, remedy) = match handling.value.as_str() {
        "CONVERT_TO_TEXT" if !has_binary => return,
        "CONVERT_TO_TEXT" => (
            "integration-not-supported",
            "`contentHandling: CONVERT_TO_TEXT` would encode bodies of binary media types as base64, which is not supported yet",
            "take it out: bodies go through unchanged",
        ),
        "CONVERT_TO_BINARY" => (
            "integration-not-supported",
            "`contentHandling: CONVERT_TO_BINARY` would decode bodies from base64, which is not supported yet",
            "take it out: bodies go through unchanged",
        ),
        _ => (
            "wrong-value",
            "`contentHandling` is neither `CONVERT_TO_TEXT` nor `CONVERT_TO_BINARY`",
            "take it out: bodies go through unchanged",
        ),
    };
    reader.report.error(&handling.place, code, fields.says(message), remedy);
}
