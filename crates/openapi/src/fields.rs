//! Values out of a mapping: each typed, located, and reported when it is something else.

use std::ops::RangeInclusive;

use indexmap::IndexMap;
use portcullis_core::{Place, suggest::closest};

use crate::{
    document::Located,
    report::{Report, did_you_mean, quote},
    tree::{Entry, Map, Node},
};

/// A mapping whose keys mean something, and what its findings are about (`GET /pets`).
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    /// The mapping.
    pub(crate) map: &'a Map,
    /// Where it stands.
    pub(crate) place: Place,
    about: String,
}

// === impl Fields ===

impl<'a> Fields<'a> {
    /// The keys of `node`, or an error when it is no mapping.
    pub(crate) fn of(node: &'a Node, place: &Place, about: impl Into<String>, report: &mut Report) -> Option<Self> {
        let about = about.into();
        match node.as_map() {
            Some(map) => Some(Self {
                map,
                place: place.clone(),
                about,
            }),
            None => {
                let message = format!("{about}: a mapping is expected here, not {}", node.noun());
                report.error(
                    &node.place,
                    "wrong-type",
                    message,
                    "write `key: value` lines, or an object in JSON",
                );
                None
            }
        }
    }

    /// `message` with what it is about in front.
    pub(crate) fn says(&self, message: impl AsRef<str>) -> String {
        format!("{}: {}", self.about, message.as_ref())
    }

    /// The value of a key that is there and not `null`.
    pub(crate) fn entry(&self, key: &str) -> Option<&'a Entry> {
        self.map.entry(key).filter(|entry| !entry.value.is_null())
    }

    /// Reports every key that is not known as an error: for objects whose keys are ours or Amazon's.
    pub(crate) fn only(&self, known: &[&str], report: &mut Report) {
        for (key, entry) in self.map.iter().filter(|(key, _)| !known.contains(key)) {
            if report.is_full() {
                return;
            }
            let message = self.says(format!("`{}` is unknown here", quote(key)));
            report.error(&entry.key_place, "unknown-key", message, did_you_mean(key, known));
        }
    }

    /// Reports unknown keys of OpenAPI's own objects: an error where it looks like a slip, which could leave a route
    /// open, else a warning. Vendor extensions pass.
    pub(crate) fn mostly(&self, known: &[&str], report: &mut Report) {
        for (key, entry) in self
            .map
            .iter()
            .filter(|(key, _)| !known.contains(key) && !is_extension(key))
        {
            if report.is_full() {
                return;
            }
            let message = self.says(format!("`{}` is unknown here", quote(key)));
            match closest(key, known.iter().copied()) {
                Some(candidate) => {
                    report.error(
                        &entry.key_place,
                        "unknown-key",
                        message,
                        format!("did you mean `{candidate}`?"),
                    );
                }
                None => report.warn(
                    &entry.key_place,
                    "unknown-key",
                    message,
                    "it has no effect: take it out",
                ),
            }
        }
    }

    /// A string (or a number as written).
    pub(crate) fn text(&self, key: &str, report: &mut Report) -> Option<Located<String>> {
        let value = &self.entry(key)?.value;
        self.as_text(key, value, report)
    }

    /// A string that must be there and not be empty.
    pub(crate) fn required_text(&self, key: &str, remedy: &str, report: &mut Report) -> Option<Located<String>> {
        if self.entry(key).is_none() {
            report.error(
                &self.place,
                "missing-key",
                self.says(format!("`{key}` is missing")),
                remedy,
            );
            return None;
        }
        let text = self.text(key, report)?;
        if text.value.is_empty() {
            report.error(
                &text.place,
                "missing-key",
                self.says(format!("`{key}` is empty")),
                remedy,
            );
            return None;
        }
        Some(text)
    }

    /// One string or a list of them; empty when absent.
    pub(crate) fn texts(&self, key: &str, report: &mut Report) -> Vec<Located<String>> {
        let Some(entry) = self.entry(key) else {
            return Vec::new();
        };
        match entry.value.as_sequence() {
            Some(items) => items
                .iter()
                .filter_map(|item| self.as_text(key, item, report))
                .collect(),
            None => self.as_text(key, &entry.value, report).into_iter().collect(),
        }
    }

    /// Strings by name; empty when absent.
    pub(crate) fn text_map(&self, key: &str, report: &mut Report) -> IndexMap<String, Located<String>> {
        let Some(fields) = self.fields(key, report) else {
            return IndexMap::new();
        };
        let texts = fields.map.iter().filter(|(_, entry)| !entry.value.is_null());
        texts
            .filter_map(|(name, entry)| Some((name.to_owned(), fields.as_text(name, &entry.value, report)?)))
            .collect()
    }

    /// A whole number within a range; what lies outside is an error with the given code.
    pub(crate) fn number(
        &self,
        key: &str,
        range: RangeInclusive<u32>,
        code: &'static str,
        report: &mut Report,
    ) -> Option<Located<u32>> {
        let value = &self.entry(key)?.value;
        let place = value.place.clone();
        let Some(text) = value.as_text() else {
            self.wrong_type(key, value, "a whole number", report);
            return None;
        };
        match text.parse::<u32>() {
            Ok(number) if range.contains(&number) => Some(Located { value: number, place }),
            Ok(_) | Err(_) => {
                let (low, high) = (range.start(), range.end());
                let message = self.says(format!("`{key}` is not a whole number from {low} to {high}"));
                report.error(&place, code, message, format!("write a number from {low} to {high}"));
                None
            }
        }
    }

    /// A boolean.
    pub(crate) fn flag(&self, key: &str, report: &mut Report) -> Option<Located<bool>> {
        let value = &self.entry(key)?.value;
        match value.as_bool() {
            Some(flag) => Some(Located {
                value: flag,
                place: value.place.clone(),
            }),
            None => {
                self.wrong_type(key, value, "`true` or `false`", report);
                None
            }
        }
    }

    /// The mapping of a key.
    pub(crate) fn fields(&self, key: &str, report: &mut Report) -> Option<Fields<'a>> {
        let entry = self.entry(key)?;
        match entry.value.as_map() {
            Some(map) => Some(Fields {
                map,
                place: entry.key_place.clone(),
                about: format!("{}, `{}`", self.about, quote(key)),
            }),
            None => {
                self.wrong_type(key, &entry.value, "a mapping", report);
                None
            }
        }
    }

    /// The sequence of a key; empty when absent.
    pub(crate) fn items(&self, key: &str, report: &mut Report) -> &'a [Node] {
        let Some(entry) = self.entry(key) else { return &[] };
        entry.value.as_sequence().unwrap_or_else(|| {
            self.wrong_type(key, &entry.value, "a list", report);
            &[]
        })
    }

    /// A value's text, or an error that says what stands there instead, never the value.
    fn as_text(&self, key: &str, value: &Node, report: &mut Report) -> Option<Located<String>> {
        match value.as_text() {
            Some(text) => Some(Located {
                value: text.to_owned(),
                place: value.place.clone(),
            }),
            None => {
                self.wrong_type(key, value, "a string", report);
                None
            }
        }
    }

    /// Says that a value is not what was expected.
    pub(crate) fn wrong_type(&self, key: &str, value: &Node, expected: &str, report: &mut Report) {
        let is_intrinsic = value.as_map().is_some_and(|map| map.len() == 1 && map.has("Ref"));
        let key = quote(key);
        if is_intrinsic {
            let message = self.says(format!("`{key}` is an unresolved `Ref`"));
            report.error(&value.place, "deploy-template", message, crate::tag::DEPLOY_REMEDY);
        } else {
            let message = self.says(format!("`{key}` is {}, not {expected}", value.noun()));
            report.error(&value.place, "wrong-type", message, format!("write {expected}"));
        }
    }
}

/// Names that OpenAPI leaves to others; extensions.rs looks at those that could be meant for us.
fn is_extension(key: &str) -> bool {
    key.get(..2).is_some_and(|prefix| prefix.eq_ignore_ascii_case("x-"))
}
