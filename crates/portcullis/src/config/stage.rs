//! `[[apis.stages]]`: where a deployment is mounted, with its variables, throttle and access log.

use std::{collections::BTreeMap, path::PathBuf};

use portcullis_core::RequestPath;
use portcullis_model::cache::StageCacheSource;
use portcullis_openapi::document::{ApiKind, Located};
use portcullis_store::Canary;

use super::{
    access_log::{self, AccessLog},
    api::is_name_byte,
    cache, canary,
    execution_log::{self, ExecutionLog},
    methods::{self, METHODS_MAX, MethodSettings},
    origin_certificate::{self, OriginCertificate},
    section::Section,
    throttle::{self, KeyedThrottle, Throttle},
};

/// A stage's name (aws: 1 to 128).
const NAME_BYTES_MAX: usize = 128;
/// A mount, like a base path mapping (aws: 300).
const MOUNT_BYTES_MAX: usize = 300;
/// Variables of a stage (aws).
const VARIABLES_MAX: usize = 100;
/// A variable's name (aws).
const VARIABLE_NAME_BYTES_MAX: usize = 64;
/// A variable's value (aws).
const VARIABLE_VALUE_BYTES_MAX: usize = 512;
/// A description (aws).
const DESCRIPTION_BYTES_MAX: usize = 1_024;
/// A stage without errors in its configuration.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stage {
    /// Its name, `[A-Za-z0-9_-]{1,128}`, or `$default` of an HTTP API.
    pub(crate) name: Located<String>,
    /// The path below which it is served: `/` or `/a/b`, without a slash at its end (default `/{name}`; `/` for `$default`).
    pub(crate) mount: Located<String>,
    /// Its variables.
    pub(crate) variables: BTreeMap<String, Located<String>>,
    /// Its throttle.
    pub(crate) throttle: Throttle,
    /// For each source of requests, before anything is decided.
    pub(crate) source_throttle: Option<KeyedThrottle>,
    /// For each principal.
    pub(crate) principal_throttle: Option<KeyedThrottle>,
    /// Whether answers tell what is left; `None` for those to API keys alone.
    pub(crate) rate_limit_headers: Option<bool>,
    /// Settings of some of its methods.
    pub(crate) methods: Vec<MethodSettings>,
    /// Where and how its requests are logged.
    pub(crate) access_log: AccessLog,
    /// Whether and where it writes an execution log.
    pub(crate) execution_log: Option<ExecutionLog>,
    /// PEM file with the roots that its origins' certificates must chain to, instead of the built-in ones.
    pub(crate) origin_roots: Option<Located<PathBuf>>,
    /// What its origins are shown when they ask for a client certificate.
    pub(crate) origin_client_certificate: Option<Located<OriginCertificate>>,
    /// Which of its answers are kept, and for how long.
    pub(crate) cache: Option<StageCacheSource>,
    /// What it is for.
    pub(crate) description: Option<String>,
    /// The deployment that it serves; `None` for its document as it stands, or what a command said.
    pub(crate) deployment: Option<Located<u32>>,
    /// Its canary.
    pub(crate) canary: Option<Located<Canary>>,
}

pub(super) fn read(section: &Section<'_>, kind: ApiKind) -> Option<Stage> {
    let name = section.required("name", |key| read_name(section, key, kind));
    let mount = match section.text("mount") {
        Some(written) => parse_mount(section, written),
        None if section.has("mount") => None, // of a wrong type, and said so
        None => name.as_ref().map(default_mount),
    };
    let variables = section
        .table("variables")
        .map(|table| read_variables(&table))
        .unwrap_or_default();
    let throttle = section.table("throttle").map_or_else(
        || Throttle::standard(section.place.clone()),
        |table| throttle::read_shared(&table),
    );
    let source_throttle = section.table("source_throttle");
    let source_throttle = source_throttle.map(|table| throttle::read_keyed(&table, "sources_max", false));
    let principal_throttle = section.table("principal_throttle");
    let principal_throttle = principal_throttle.map(|table| throttle::read_keyed(&table, "principals_max", true));
    let rate_limit_headers = section.flag("rate_limit_headers").map(|flag| flag.value);
    let method_tables = section.tables("methods", METHODS_MAX);
    let cache = cache::read(section);
    let methods = method_tables
        .iter()
        .filter_map(|table| methods::read(table, &cache.settings))
        .collect();
    let access_log = access_log::read(section);
    let execution_log = execution_log::read(section);
    let origin_roots = section.path("origin_roots");
    let origin_client_certificate = origin_certificate::read(section);
    let description = section.text("description");
    let deployment = canary::read_deployment(section);
    let canary = canary::read(section);
    section.finish();
    if let Some(text) = description
        .as_ref()
        .filter(|text| text.value.len() > DESCRIPTION_BYTES_MAX)
    {
        let message = format!(
            "`description` has {} bytes; at most {DESCRIPTION_BYTES_MAX} are allowed",
            text.value.len()
        );
        section.report.error(&text.place, "out-of-range", message, "shorten it");
    }
    let description = description.map(|text| text.value);
    Some(Stage {
        name: name?,
        mount: mount?,
        variables,
        throttle,
        source_throttle,
        principal_throttle,
        rate_limit_headers,
        methods,
        access_log,
        execution_log,
        origin_roots,
        origin_client_certificate,
        cache: cache.enabled(),
        description,
        deployment,
        canary,
    })
}

fn read_name(section: &Section<'_>, key: &'static str, kind: ApiKind) -> Option<Located<String>> {
    let name = section.text(key)?;
    match check_stage_name(&name.value, kind) {
        Ok(()) => Some(name),
        Err(remedy) => {
            section.report.error(
                &name.place,
                "bad-stage-name",
                format!("`{}` cannot be a stage's name", name.value),
                remedy,
            );
            None
        }
    }
}

/// Whether a text can name a stage, or what to write instead.
pub(crate) fn check_stage_name(name: &str, kind: ApiKind) -> Result<(), &'static str> {
    match (name, kind) {
        ("$default", ApiKind::Http) => Ok(()),
        ("$default", ApiKind::Rest) => {
            Err("only an HTTP API (`kind = \"http\"`) has a `$default` stage; mount a stage at `/` instead")
        }
        _ if (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_name_byte) => Ok(()),
        _ => Err("use 1 to 128 of letters, digits, `-` and `_`"),
    }
}

fn default_mount(name: &Located<String>) -> Located<String> {
    let value = if name.value == "$default" {
        "/".to_owned()
    } else {
        format!("/{}", name.value)
    };
    Located {
        value,
        place: name.place.clone(),
    }
}

fn parse_mount(section: &Section<'_>, written: Located<String>) -> Option<Located<String>> {
    let Located { value, place } = written;
    match check_mount(&value) {
        Ok(mount) => Some(Located { value: mount, place }),
        Err(remedy) => {
            section
                .report
                .error(&place, "bad-mount", format!("`{value}` cannot be a mount"), remedy);
            None
        }
    }
}

/// The mount that a text means, without a slash at its end, or what to write instead.
pub(crate) fn check_mount(text: &str) -> Result<String, String> {
    let mount = if text == "/" {
        text
    } else {
        text.strip_suffix('/').unwrap_or(text)
    };
    if !mount.starts_with('/') {
        return Err(format!("begin it with a slash: `/{mount}`"));
    }
    if mount.len() > MOUNT_BYTES_MAX {
        return Err(format!("it may have {MOUNT_BYTES_MAX} bytes at most"));
    }
    if text != "/" && mount[1..].split('/').any(str::is_empty) {
        return Err("remove the double slash".to_owned());
    }
    if mount.contains(['%', '{', '}']) {
        return Err("it is plain text: no parameters and no percent signs".to_owned());
    }
    RequestPath::parse(mount).map_err(|error| error.to_string())?;
    Ok(mount.to_owned())
}

pub(super) fn read_variables(table: &Section<'_>) -> BTreeMap<String, Located<String>> {
    let entries = table.entries();
    if entries.len() > VARIABLES_MAX {
        let message = format!(
            "there are {} variables; a stage has {VARIABLES_MAX} at most",
            entries.len()
        );
        table.report.error(&table.place, "too-many", message, "remove some");
    }
    for (name, value) in &entries {
        if let Err(remedy) = check_variable(&name.value, &value.value) {
            table.report.error(
                &name.place,
                "bad-variable",
                format!("the stage variable `{}` cannot be honoured", name.value),
                remedy,
            );
        }
    }
    entries.into_iter().map(|(name, value)| (name.value, value)).collect()
}

/// Whether a stage variable can be honoured, or what to write instead.
pub(crate) fn check_variable(name: &str, value: &str) -> Result<(), String> {
    let is_name = (1..=VARIABLE_NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !is_name {
        return Err(format!(
            "its name may have 1 to {VARIABLE_NAME_BYTES_MAX} letters, digits and `_`"
        ));
    }
    if value.len() > VARIABLE_VALUE_BYTES_MAX {
        return Err(format!(
            "its value has {} bytes; {VARIABLE_VALUE_BYTES_MAX} are allowed",
            value.len()
        ));
    }
    if value.chars().any(char::is_control) {
        return Err("its value holds a control character".to_owned());
    }
    Ok(())
}
