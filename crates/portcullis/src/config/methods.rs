//! `[[apis.stages.methods]]`: settings of some methods of a stage.

use portcullis_core::Place;
use portcullis_model::{
    MethodVerb,
    cache::{CacheSettings, MethodCache},
};
use portcullis_openapi::document::Located;

use super::{
    cache,
    section::Section,
    throttle::{self, Throttle},
};

/// Entries of one stage at most.
pub(super) const METHODS_MAX: usize = 1_000;

/// Settings of the methods that a path and a verb select.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MethodSettings {
    /// Where it stands.
    pub(crate) place: Place,
    /// A resource's path; `None` for `*`, which is the default.
    pub(crate) path: Option<Located<String>>,
    /// Which methods of it; `*` is the default.
    pub(crate) verb: MethodVerb,
    /// A throttle for each of them.
    pub(crate) throttle: Option<Throttle>,
    /// Their cache, where it differs from the stage's.
    pub(crate) cache: Option<MethodCache>,
}

pub(super) fn read(section: &Section<'_>, stage_cache: &CacheSettings) -> Option<MethodSettings> {
    let path = section.text("path");
    let verb = match section.text("method") {
        Some(text) => read_verb(section, &text),
        None => (!section.has("method")).then_some(MethodVerb::Every),
    };
    let throttle = section.table("throttle").map(|table| throttle::read_shared(&table));
    let cache = cache::read_method(section, stage_cache);
    section.finish();
    if let Some(path) = path
        .as_ref()
        .filter(|path| path.value != "*" && !path.value.starts_with('/'))
    {
        let message = format!("`{}` is no resource's path", path.value);
        let remedy = "write it as the document does, as in `/pets/{id}`, or `*` for every one";
        section.report.error(&path.place, "bad-method", message, remedy);
    }
    Some(MethodSettings {
        place: section.place.clone(),
        path: path.filter(|path| path.value != "*"),
        verb: verb?,
        throttle,
        cache,
    })
}

fn read_verb(section: &Section<'_>, text: &Located<String>) -> Option<MethodVerb> {
    let verb = MethodVerb::parse(&text.value);
    if verb.is_none() {
        let message = format!("`{}` is not a method", text.value);
        let remedy = "write a verb in capital letters, `ANY` for the method of that name, or `*` for every one";
        section.report.error(&text.place, "bad-method", message, remedy);
    }
    verb
}
