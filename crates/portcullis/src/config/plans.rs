//! `[[usage_plans]]` and `[[api_keys]]`: who may use which stage, and how much of it.

use portcullis_limit::{Period, QuotaSpec};
use portcullis_openapi::document::Located;

use super::{
    api::{Api, is_name_byte},
    section::Section,
    throttle::{self, Throttle},
};

/// Usage plans of one process at most (aws: 300).
const PLANS_MAX: usize = 300;
/// API keys of one process at most (aws: 10,000).
const KEYS_MAX: usize = 10_000;
/// Stages of one plan at most.
const STAGES_MAX: usize = 300;
/// Plans of one key at most (aws).
const PLANS_PER_KEY_MAX: usize = 10;
/// Throttles of methods of one stage of a plan at most (aws).
const METHODS_MAX: usize = 20;
/// A name or id.
const NAME_BYTES_MAX: usize = 128;

/// A usage plan without errors.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct UsagePlan {
    /// Its name.
    pub(crate) name: Located<String>,
    /// The stages that it covers, at least one.
    pub(crate) stages: Vec<PlanStage>,
    /// Over all of its stages, for each key.
    pub(crate) throttle: Option<Throttle>,
    /// Over all of its stages, for each key.
    pub(crate) quota: Option<QuotaSpec>,
    /// Whether gateways with one Redis count together (default true).
    pub(crate) shared: bool,
}

/// A stage that a plan covers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PlanStage {
    /// The API's id.
    pub(crate) api: Located<String>,
    /// The stage's name.
    pub(crate) stage: Located<String>,
    /// Throttles by `/path/VERB`.
    pub(crate) methods: Vec<(Located<String>, Throttle)>,
}

/// An API key without errors.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ApiKey {
    /// Its id (default its name).
    pub(crate) id: Located<String>,
    /// Its name.
    pub(crate) name: String,
    /// The SHA-256 of its value.
    pub(crate) digest: Located<[u8; 32]>,
    /// Whether it may be used (default true).
    pub(crate) enabled: bool,
    /// The plans that it is in.
    pub(crate) plans: Vec<Located<String>>,
}

/// Reads the plans; `apis` are those that they may cover.
pub(super) fn read_plans(root: &Section<'_>, apis: &[Api]) -> Vec<UsagePlan> {
    // An API with an error is not among `apis`; that it were unknown would send a reader after ghosts.
    let known = (!root.report.has_errors()).then_some(apis);
    let tables = root.tables("usage_plans", PLANS_MAX);
    tables.iter().filter_map(|table| read_plan(table, known)).collect()
}

/// Reads the keys.
pub(super) fn read_keys(root: &Section<'_>) -> Vec<ApiKey> {
    let tables = root.tables("api_keys", KEYS_MAX);
    tables.iter().filter_map(read_key).collect()
}

fn read_plan(section: &Section<'_>, apis: Option<&[Api]>) -> Option<UsagePlan> {
    let name = section.required("name", |key| read_name(section, key));
    let tables = section.tables("apis", STAGES_MAX);
    let stages: Vec<_> = tables.iter().map(|table| read_stage(table, apis)).collect();
    let throttle = section.table("throttle").map(|table| throttle::read(&table));
    let quota = section.table("quota").map(|table| read_quota(&table));
    let shared = section.flag("shared");
    section.text("description");
    section.finish();
    if section.is_absent_or_empty("apis") {
        let message = "this usage plan names no API, so that its keys open nothing";
        let remedy = "add `apis = [{ api = …, stage = … }]`";
        section.report.missing(&section.place, message, remedy);
    }
    Some(UsagePlan {
        name: name?,
        stages: stages.into_iter().collect::<Option<_>>()?,
        throttle,
        quota: match quota {
            Some(quota) => Some(quota?),
            None => None,
        },
        shared: shared.is_none_or(|shared| shared.value),
    })
}

fn read_stage(section: &Section<'_>, apis: Option<&[Api]>) -> Option<PlanStage> {
    let api = section.required("api", |key| section.text(key));
    let stage = section.required("stage", |key| section.text(key));
    let methods = section
        .table("throttle")
        .map(|table| read_methods(&table))
        .unwrap_or_default();
    section.finish();
    let (api, stage) = (api?, stage?);
    let Some(apis) = apis else {
        return Some(PlanStage { api, stage, methods });
    };
    let Some(found) = apis.iter().find(|found| found.id.value == api.value) else {
        let names = apis.iter().map(|api| api.id.value.as_str());
        unknown(section, "API", &api, names);
        return None;
    };
    if !found.stages.iter().any(|found| found.name.value == stage.value) {
        let names = found.stages.iter().map(|stage| stage.name.value.as_str());
        unknown(section, "stage", &stage, names);
        return None;
    }
    Some(PlanStage { api, stage, methods })
}

fn unknown<'n>(section: &Section<'_>, noun: &str, name: &Located<String>, names: impl Iterator<Item = &'n str>) {
    let message = format!("the usage plan covers the {noun} `{}`, which is not there", name.value);
    let near = portcullis_core::suggest::did_you_mean(&name.value, names);
    let remedy = format!("name one of this file{near}");
    section.report.error(&name.place, "plan-stage-unknown", message, remedy);
}

fn read_methods(table: &Section<'_>) -> Vec<(Located<String>, Throttle)> {
    let tables = table.named_tables();
    if tables.len() > METHODS_MAX {
        let message = format!(
            "there are throttles of {} methods; a stage of a plan has {METHODS_MAX} at most",
            tables.len()
        );
        table.report.error(&table.place, "too-many", message, "remove some");
    }
    let method = |(name, table): &(Located<String>, Section<'_>)| (name.clone(), throttle::read(table));
    tables.iter().map(method).collect()
}

fn read_quota(section: &Section<'_>) -> Option<QuotaSpec> {
    let limit = section.required("limit", |key| section.integer(key, 1..=QuotaSpec::LIMIT_MAX));
    let offset = section.integer("offset", 0..=QuotaSpec::LIMIT_MAX);
    let period = section.required("period", |key| section.text(key));
    section.finish();
    let period = period.and_then(|text| match text.value.parse::<Period>() {
        Ok(period) => Some(period),
        Err(error) => {
            let message = format!("`{}` is not a period", text.value);
            section
                .report
                .error(&text.place, "bad-period", message, error.to_string());
            None
        }
    });
    let (limit, offset) = (limit?.value, offset.map_or(0, |offset| offset.value));
    if offset > limit {
        let message = format!("the offset {offset} is more than the limit {limit}");
        let remedy = "it is taken off in the first period; write less, or leave it out";
        section.report.error(&section.place, "out-of-range", message, remedy);
    }
    Some(QuotaSpec {
        limit,
        offset,
        period: period?,
    })
}

fn read_key(section: &Section<'_>) -> Option<ApiKey> {
    let name = section.required("name", |key| read_name(section, key));
    let id = section.text("id").and_then(|id| check_name(section, id));
    let digest = section.required("sha256", |key| read_digest(section, key));
    let enabled = section.flag("enabled");
    let plans = section.texts("plans", PLANS_PER_KEY_MAX);
    section.finish();
    let name = name?;
    Some(ApiKey {
        id: id.unwrap_or_else(|| name.clone()),
        name: name.value,
        digest: digest?,
        enabled: enabled.is_none_or(|enabled| enabled.value),
        plans: plans.unwrap_or_default(),
    })
}

fn read_digest(section: &Section<'_>, key: &'static str) -> Option<Located<[u8; 32]>> {
    let text = section.text(key)?;
    let digest = parse_hex(&text.value);
    if digest.is_none() {
        // It may be the key itself, which is not to be shown.
        let message = "`sha256` is not the SHA-256 of an API key's value, which has 64 hexadecimal digits";
        let remedy = "`portcullis key digest` makes it of a value, `portcullis key generate` of a new one";
        section.report.error(&text.place, "bad-digest", message, remedy);
    }
    Some(Located {
        value: digest?,
        place: text.place,
    })
}

fn parse_hex(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    bytes.try_into().ok().filter(|_| digits.len() == 64)
}

fn read_name(section: &Section<'_>, key: &'static str) -> Option<Located<String>> {
    check_name(section, section.text(key)?)
}

fn check_name(section: &Section<'_>, name: Located<String>) -> Option<Located<String>> {
    let is_name = |byte: u8| is_name_byte(byte) || byte == b'.';
    if (1..=NAME_BYTES_MAX).contains(&name.value.len()) && name.value.bytes().all(is_name) {
        return Some(name);
    }
    let message = format!("`{}` cannot be a name", name.value);
    let remedy = "use 1 to 128 of letters, digits, `-`, `_` and `.`";
    section.report.error(&name.place, "bad-name", message, remedy);
    None
}
