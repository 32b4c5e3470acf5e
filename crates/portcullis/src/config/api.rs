//! `[[apis]]`: an API document and its stages.

use std::path::PathBuf;

use portcullis_openapi::document::{ApiKind, Located};

use super::{
    section::Section,
    stage::{self, Stage},
};

/// An id is one label of a host name, too (`{id}.execute-api.…`; RFC 1035 section 2.3.4).
const ID_BYTES_MAX: usize = 63;
/// Stages of one API at most.
const STAGES_MAX: usize = 100;
/// The region in ARNs when none is given: Amazon's own default.
pub(crate) const REGION: &str = "us-east-1";
/// The account in ARNs when none is given.
pub(crate) const ACCOUNT: &str = "000000000000";

/// An API as it is configured.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Api {
    /// Its id, `[A-Za-z0-9_-]{1,63}`.
    pub(crate) id: Located<String>,
    /// The OpenAPI document's file.
    pub(crate) document: Located<PathBuf>,
    /// Which product's rules hold (default REST).
    pub(crate) kind: ApiKind,
    /// The region in its ARNs (default `us-east-1`).
    pub(crate) region: String,
    /// The account in its ARNs, 12 digits (default `000000000000`).
    pub(crate) account: String,
    /// At least one, when it was read without errors.
    pub(crate) stages: Vec<Stage>,
    /// Whether it is served by custom domains alone; `None` for what its document says.
    pub(crate) disable_default_endpoint: Option<bool>,
}

/// Reads `rest` or `http`.
pub(crate) fn parse_kind(text: &str) -> Option<ApiKind> {
    match text {
        "rest" => Some(ApiKind::Rest),
        "http" => Some(ApiKind::Http),
        _ => None,
    }
}

pub(super) fn read(section: &Section<'_>) -> Option<Api> {
    let id = section.required("id", |key| read_id(section, key));
    let document = section.required("document", |key| section.path(key));
    let kind = read_kind(section);
    let region = read_region(section);
    let account = read_account(section);
    let stages: Vec<_> = section
        .tables("stages", STAGES_MAX)
        .iter()
        .filter_map(|table| stage::read(table, kind.unwrap_or(ApiKind::Rest)))
        .collect();
    let disable_default_endpoint = section.flag("disable_default_endpoint");
    section.finish();
    if section.is_absent_or_empty("stages") {
        let remedy = "add `[[apis.stages]]` with `name = \"TEST\"` below it";
        section
            .report
            .missing(&section.place, "this API has no stage, so it is served nowhere", remedy);
    }
    Some(Api {
        id: id?,
        document: document?,
        kind: kind?, // a document read as the wrong kind has errors of its own
        region,
        account,
        stages,
        disable_default_endpoint: disable_default_endpoint.map(|flag| flag.value),
    })
}

fn read_id(section: &Section<'_>, key: &'static str) -> Option<Located<String>> {
    let id = section.text(key)?;
    let is_good = (1..=ID_BYTES_MAX).contains(&id.value.len()) && id.value.bytes().all(is_name_byte);
    if !is_good {
        let message = format!("`{}` cannot be an API's id", id.value);
        section.report.error(
            &id.place,
            "bad-id",
            message,
            format!("use 1 to {ID_BYTES_MAX} of letters, digits, `-` and `_`"),
        );
    }
    is_good.then_some(id)
}

fn read_kind(section: &Section<'_>) -> Option<ApiKind> {
    let Some(text) = section.text("kind") else {
        return (!section.has("kind")).then_some(ApiKind::Rest);
    };
    let kind = parse_kind(&text.value);
    if kind.is_none() {
        let message = format!("`{}` is not a kind of API", text.value);
        section.report.error(
            &text.place,
            "bad-kind",
            message,
            "write `kind = \"rest\"` or `kind = \"http\"`",
        );
    }
    kind
}

fn read_region(section: &Section<'_>) -> String {
    let Some(text) = section.text("region") else {
        return REGION.to_owned();
    };
    if !is_region(&text.value) {
        let message = format!("`{}` cannot be a region", text.value);
        section.report.error(
            &text.place,
            "bad-region",
            message,
            format!("write it as in `{REGION}`: small letters, digits and `-`"),
        );
    }
    text.value
}

fn read_account(section: &Section<'_>) -> String {
    let Some(text) = section.text("account") else {
        return ACCOUNT.to_owned();
    };
    if !is_account(&text.value) {
        let message = format!("`{}` is not an account number", text.value);
        section.report.error(
            &text.place,
            "bad-account",
            message,
            "an account has 12 digits, in double quotes",
        );
    }
    text.value
}

/// Whether a text can be the region of an ARN.
pub(crate) fn is_region(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Whether a text can be the account of an ARN.
pub(crate) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

pub(super) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}
