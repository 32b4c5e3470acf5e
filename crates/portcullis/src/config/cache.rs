//! `[apis.stages.cache]`, and `cache` of `[[apis.stages.methods]]`: which answers are kept, and for how long.

use portcullis_core::Place;
use portcullis_model::cache::{CacheSettings, Invalidation, MethodCache, StageCacheSource, TTL_S_MAX, Unpermitted};

use super::section::Section;

/// Bytes of a cache in MB at most: Amazon's largest, rounded up.
const SIZE_MB_MAX: u64 = 262_144;
/// Bytes of a cache unless it says so.
const SIZE_MB: u64 = 64;
/// How long a stale answer may be served at most: a day.
const STALE_S_MAX: u64 = 86_400;
/// Statuses that may be kept at most.
const STATUSES_MAX: usize = 20;

/// A stage's cache, also when it is off: what it says must be right, and methods begin with it.
pub(super) struct StageCache {
    place: Place,
    is_enabled: bool,
    size_mb_max: u64,
    is_shared: bool,
    pub(super) settings: CacheSettings,
}

/// Reads that of a stage.
pub(super) fn read(stage: &Section<'_>) -> StageCache {
    let standard = CacheSettings::default();
    let Some(section) = stage.table("cache") else {
        return StageCache {
            place: stage.place.clone(),
            is_enabled: false,
            size_mb_max: SIZE_MB,
            is_shared: false,
            settings: standard,
        };
    };
    let is_enabled = section.required("enabled", |key| section.flag(key));
    let size = section.integer("size_mb_max", 1..=SIZE_MB_MAX);
    let shared = section.flag("shared");
    let settings = read_settings(&section, &standard);
    section.finish();
    StageCache {
        place: section.place.clone(),
        is_enabled: is_enabled.is_some_and(|flag| flag.value),
        size_mb_max: size.map_or(SIZE_MB, |size| size.value),
        is_shared: shared.is_some_and(|flag| flag.value),
        settings,
    }
}

/// Reads that of some methods, which are cached unless they say otherwise; what they do not say is as the stage says.
pub(super) fn read_method(method: &Section<'_>, stage: &CacheSettings) -> Option<MethodCache> {
    let section = method.table("cache")?;
    let is_enabled = section.flag("enabled").is_none_or(|flag| flag.value);
    let settings = read_settings(&section, stage);
    section.finish();
    Some(if is_enabled {
        MethodCache::On(settings)
    } else {
        MethodCache::Off
    })
}

/// What is not said is as in `base`.
fn read_settings(section: &Section<'_>, base: &CacheSettings) -> CacheSettings {
    let seconds = |key: &'static str, max: u64, otherwise: u32| {
        let found = section.integer(key, 0..=max);
        found
            .and_then(|found| u32::try_from(found.value).ok())
            .unwrap_or(otherwise)
    };
    let ttl_s = seconds("ttl_s", TTL_S_MAX.into(), base.ttl_s);
    let stale_while_revalidate_s = seconds("stale_while_revalidate_s", STALE_S_MAX, base.stale_while_revalidate_s);
    let stale_if_error_s = seconds("stale_if_error_s", STALE_S_MAX, base.stale_if_error_s);
    let store_set_cookie = section
        .flag("store_set_cookie")
        .map_or(base.store_set_cookie, |flag| flag.value);
    CacheSettings {
        ttl_s,
        invalidation: read_invalidation(section, base.invalidation),
        stale_while_revalidate_s,
        stale_if_error_s,
        statuses: read_statuses(section).unwrap_or_else(|| base.statuses.clone()),
        store_set_cookie,
    }
}

fn read_invalidation(section: &Section<'_>, base: Invalidation) -> Invalidation {
    let required = section.flag("require_authorization_for_cache_control");
    let strategy = section.text("unauthorized_cache_control").and_then(|text| {
        let known = match text.value.as_str() {
            "FAIL_WITH_403" => Some(Unpermitted::Refuse),
            "SUCCEED_WITH_RESPONSE_HEADER" => Some(Unpermitted::Warn),
            "SUCCEED_WITHOUT_RESPONSE_HEADER" => Some(Unpermitted::Ignore),
            _ => None,
        };
        if known.is_none() {
            let message = format!(
                "`{}` does not say what becomes of a request that may not refresh the cache",
                text.value
            );
            let remedy = "write `FAIL_WITH_403`, `SUCCEED_WITH_RESPONSE_HEADER` or `SUCCEED_WITHOUT_RESPONSE_HEADER`";
            section.report.error(&text.place, "bad-strategy", message, remedy);
        }
        known
    });
    let otherwise = match base {
        Invalidation::Anyone => Unpermitted::Warn,
        Invalidation::Permitted(unpermitted) => unpermitted,
    };
    match required.map(|flag| flag.value) {
        Some(false) => Invalidation::Anyone,
        None if base == Invalidation::Anyone && strategy.is_none() => Invalidation::Anyone,
        Some(true) | None => Invalidation::Permitted(strategy.unwrap_or(otherwise)),
    }
}

/// `None` where nothing is said.
fn read_statuses(section: &Section<'_>) -> Option<Vec<u16>> {
    let given = section.integers("statuses", STATUSES_MAX, 200..=599)?;
    let mut statuses = Vec::new();
    for status in &given {
        // A part of an answer, and one without its body, are no answers to the same question asked by others.
        if matches!(status.value, 206 | 304) {
            let message = format!("{} is never kept: it is not the whole answer", status.value);
            section
                .report
                .error(&status.place, "bad-status", message, "take it out");
        }
        statuses.extend(u16::try_from(status.value));
    }
    if given.is_empty() {
        let message = "`statuses` is empty, so nothing would be kept";
        section.report.error(
            &section.place,
            "bad-status",
            message,
            "write `[200]`, or `enabled = false`",
        );
    }
    Some(statuses)
}

// === impl StageCache ===

impl StageCache {
    /// `None` when it is off.
    pub(super) fn enabled(self) -> Option<StageCacheSource> {
        self.is_enabled.then(|| StageCacheSource {
            place: self.place,
            bytes_max: self.size_mb_max * 1_000_000,
            is_shared: self.is_shared,
            settings: self.settings,
        })
    }
}
