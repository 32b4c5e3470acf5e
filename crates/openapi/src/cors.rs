//! `x-amazon-apigateway-cors` of HTTP APIs.

use crate::{
    document::{ApiKind, Cors, Located},
    fields::Fields,
    read::Reader,
    root::Root,
};

const KEY: &str = "x-amazon-apigateway-cors";
const KEYS: &[&str] = &[
    "allowCredentials",
    "allowHeaders",
    "allowMethods",
    "allowOrigins",
    "exposeHeaders",
    "maxAge",
];
/// Entries of a list at most.
const ENTRIES_MAX: usize = 100;
/// The longest time that a preflight's answer may be kept (aws).
const MAX_AGE_S_MAX: i32 = 86_400;

/// What browsers on other origins may do; `None` when nothing is said, or after an error.
pub(crate) fn read(root: &Root<'_>, reader: &mut Reader<'_>) -> Option<Cors> {
    let report = &mut reader.report;
    let settings = root.fields(KEY, report)?;
    if reader.kind == ApiKind::Rest {
        let message = format!("`{KEY}` belongs to HTTP APIs");
        let remedy =
            "describe an `options` operation with a `mock` integration, or serve the document with `kind = \"http\"`";
        report.error(&settings.place, "not-supported", message, remedy);
        return None;
    }
    let before = report.errors();
    settings.only(KEYS, report);
    let [allow_origins, allow_methods, allow_headers, expose_headers] =
        ["allowOrigins", "allowMethods", "allowHeaders", "exposeHeaders"].map(|key| texts(&settings, key, reader));
    let max_age_s = max_age(&settings, reader);
    let allow_credentials = settings.flag("allowCredentials", &mut reader.report);
    (reader.report.errors() == before).then(|| Cors {
        place: settings.place.clone(),
        allow_origins,
        allow_methods,
        allow_headers,
        expose_headers,
        max_age_s,
        allow_credentials: allow_credentials.is_some_and(|flag| flag.value),
    })
}

fn texts(settings: &Fields<'_>, key: &'static str, reader: &mut Reader<'_>) -> Vec<Located<String>> {
    let texts = settings.texts(key, &mut reader.report);
    if let Some(over) = texts.get(ENTRIES_MAX) {
        let message = settings.says(format!("`{key}` has more than {ENTRIES_MAX} entries"));
        reader.report.error(&over.place, "out-of-range", message, "remove some");
    }
    texts
}

/// In seconds; -1 has browsers keep nothing.
fn max_age(settings: &Fields<'_>, reader: &mut Reader<'_>) -> Option<i32> {
    let text = settings.text("maxAge", &mut reader.report)?;
    let seconds = text
        .value
        .parse()
        .ok()
        .filter(|seconds| (-1..=MAX_AGE_S_MAX).contains(seconds));
    if seconds.is_none() {
        let message = settings.says(format!("`maxAge` is not a whole number from -1 to {MAX_AGE_S_MAX}"));
        let remedy = "write seconds; -1 has browsers ask each time";
        reader.report.error(&text.place, "out-of-range", message, remedy);
    }
    seconds
}
