//! Reading a parsed TOML table key by key, with a finding for whatever is not as it should be.

use std::{cell::RefCell, ops::RangeInclusive};

use portcullis_core::Place;
use portcullis_openapi::document::Located;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::report::Report;
use crate::report::did_you_mean;

/// A table that is being read. Every key asked for is known; [`Section::finish`] reports the others.
pub(super) struct Section<'t> {
    pub(super) report: &'t Report<'t>,
    /// Where its header, or the table itself, stands.
    pub(super) place: Place,
    /// How messages call it: `apis`, `apis.stages`; empty for the root.
    name: String,
    table: &'t DeTable<'t>,
    known: RefCell<Vec<&'static str>>,
}

// === impl Section ===

impl<'t> Section<'t> {
    pub(super) fn root(report: &'t Report<'t>, table: &'t DeTable<'t>) -> Self {
        Self {
            report,
            place: report.whole(),
            name: String::new(),
            table,
            known: RefCell::default(),
        }
    }

    /// Reports every key that nobody asked for.
    pub(super) fn finish(&self) {
        let known = self.known.borrow();
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if !known.contains(&name) {
                let place = self.report.place(key.span());
                self.report.error(
                    &place,
                    "unknown-key",
                    format!("`{}` is unknown", self.full(name)),
                    did_you_mean(name, &known),
                );
            }
        }
    }

    /// Whether the key is there, whatever its value.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Whether the key is not there, or an empty list.
    pub(super) fn is_absent_or_empty(&self, key: &str) -> bool {
        self.table
            .get(key)
            .is_none_or(|value| value.get_ref().as_array().is_some_and(|items| items.is_empty()))
    }

    /// The value that `read` makes of the key; a finding when the key is not there.
    pub(super) fn required<T>(&self, key: &'static str, read: impl FnOnce(&'static str) -> Option<T>) -> Option<T> {
        if !self.has(key) {
            self.known.borrow_mut().push(key);
            self.report.missing(
                &self.place,
                format!("`{}` is missing", self.full(key)),
                format!("add `{key} = …` here"),
            );
            return None;
        }
        read(key)
    }

    pub(super) fn text(&self, key: &'static str) -> Option<Located<String>> {
        let value = self.value(key)?;
        self.as_text(&self.full(key), value)
    }

    pub(super) fn flag(&self, key: &'static str) -> Option<Located<bool>> {
        let value = self.value(key)?;
        let place = self.report.place(value.span());
        match value.get_ref().as_bool() {
            Some(value) => Some(Located { value, place }),
            None => self.wrong_type(&self.full(key), value, "`true` or `false`"),
        }
    }

    pub(super) fn texts(&self, key: &'static str, max: usize) -> Option<Vec<Located<String>>> {
        let value = self.value(key)?;
        let full = self.full(key);
        let Some(items) = value.get_ref().as_array() else {
            return self.wrong_type(&full, value, "a list of texts, as in `[\"a\", \"b\"]`");
        };
        if items.len() > max {
            let message = format!("`{full}` has {} entries; at most {max} are allowed", items.len());
            self.report
                .error(&self.report.place(value.span()), "too-many", message, "remove some");
            return None;
        }
        items.iter().map(|item| self.as_text(&full, item)).collect()
    }

    /// A list of whole numbers; those that are none, or out of range, are reported and left out.
    pub(super) fn integers(
        &self,
        key: &'static str,
        max: usize,
        range: RangeInclusive<u64>,
    ) -> Option<Vec<Located<u64>>> {
        let value = self.value(key)?;
        let full = self.full(key);
        let Some(items) = value.get_ref().as_array() else {
            return self.wrong_type(&full, value, "a list of whole numbers, as in `[200, 404]`");
        };
        if items.len() > max {
            let message = format!("`{full}` has {} entries; at most {max} are allowed", items.len());
            self.report
                .error(&self.report.place(value.span()), "too-many", message, "remove some");
            return None;
        }
        Some(
            items
                .iter()
                .filter_map(|item| self.as_integer(&full, item, &range))
                .collect(),
        )
    }

    pub(super) fn integer(&self, key: &'static str, range: RangeInclusive<u64>) -> Option<Located<u64>> {
        let value = self.value(key)?;
        self.as_integer(&self.full(key), value, &range)
    }

    fn as_integer(
        &self,
        full: &str,
        value: &Spanned<DeValue<'_>>,
        range: &RangeInclusive<u64>,
    ) -> Option<Located<u64>> {
        let DeValue::Integer(digits) = value.get_ref() else {
            return self.wrong_type(full, value, "a whole number");
        };
        let place = self.report.place(value.span());
        let number = u64::from_str_radix(digits.as_str(), digits.radix())
            .ok()
            .filter(|number| range.contains(number));
        if number.is_none() {
            let message = format!(
                "`{full}` is {digits}, which is not between {} and {}",
                range.start(),
                range.end()
            );
            self.report
                .error(&place, "out-of-range", message, "choose a number in that range");
        }
        number.map(|value| Located { value, place })
    }

    pub(super) fn number(&self, key: &'static str, range: RangeInclusive<f64>) -> Option<Located<f64>> {
        let value = self.value(key)?;
        let full = self.full(key);
        let (written, number) = match value.get_ref() {
            DeValue::Integer(digits) => (
                digits.to_string(),
                u64::from_str_radix(digits.as_str(), digits.radix())
                    .ok()
                    .map(|whole| whole as f64),
            ),
            DeValue::Float(digits) => (digits.to_string(), digits.as_str().parse().ok()),
            DeValue::String(_) | DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
                return self.wrong_type(&full, value, "a number");
            }
        };
        let place = self.report.place(value.span());
        let number = number.filter(|number| range.contains(number)); // NaN is in no range
        if number.is_none() {
            let message = format!(
                "`{full}` is {written}, which is not between {} and {}",
                range.start(),
                range.end()
            );
            self.report
                .error(&place, "out-of-range", message, "choose a number in that range");
        }
        number.map(|value| Located { value, place })
    }

    pub(super) fn table(&self, key: &'static str) -> Option<Section<'t>> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::Table(table) => Some(self.below(key, value, table)),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_) => self.wrong_type(&self.full(key), value, "a table, as in `{ key = \"value\" }`"),
        }
    }

    pub(super) fn tables(&self, key: &'static str, max: usize) -> Vec<Section<'t>> {
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        let full = self.full(key);
        let Some(items) = value.get_ref().as_array() else {
            self.wrong_type::<()>(&full, value, &format!("a list of tables: write `[[{full}]]`"));
            return Vec::new();
        };
        if items.len() > max {
            let message = format!("there are {} `{full}`; at most {max} are allowed", items.len());
            self.report.error(
                &self.report.place(value.span()),
                "too-many",
                message,
                "split them between processes",
            );
            return Vec::new();
        }
        let section = |item: &'t Spanned<DeValue<'t>>| match item.get_ref() {
            DeValue::Table(table) => Some(self.below(key, item, table)),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_) => self.wrong_type(&full, item, "a table"),
        };
        items.iter().filter_map(section).collect()
    }

    /// All keys of a table whose keys are names of the author's own, with their tables.
    pub(super) fn named_tables(&self) -> Vec<(Located<String>, Section<'t>)> {
        let entry = |(key, value): (&'t Spanned<toml::de::DeString<'t>>, &'t Spanned<DeValue<'t>>)| {
            let name: &str = key.get_ref();
            let name = Located {
                value: name.to_owned(),
                place: self.report.place(key.span()),
            };
            let full = self.full(&name.value);
            let Some(table) = value.get_ref().as_table() else {
                return self.wrong_type(&full, value, "a table, as in `{ key = \"value\" }`");
            };
            let table = self.below(&name.value, value, table);
            Some((name, table))
        };
        self.table.iter().filter_map(entry).collect()
    }

    /// All keys of a table whose keys are names of the author's own, with their text values.
    pub(super) fn entries(&self) -> Vec<(Located<String>, Located<String>)> {
        let entry = |(key, value): (&'t Spanned<toml::de::DeString<'t>>, &'t Spanned<DeValue<'t>>)| {
            let name: &str = key.get_ref();
            let text = self.as_text(&self.full(name), value)?;
            Some((
                Located {
                    value: name.to_owned(),
                    place: self.report.place(key.span()),
                },
                text,
            ))
        };
        self.table.iter().filter_map(entry).collect()
    }

    fn below(&self, key: &str, value: &Spanned<DeValue<'_>>, table: &'t DeTable<'t>) -> Section<'t> {
        let place = self.report.place(value.span());
        Section {
            report: self.report,
            place,
            name: self.full(key),
            table,
            known: RefCell::default(),
        }
    }

    fn value(&self, key: &'static str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.known.borrow_mut().push(key);
        self.table.get(key)
    }

    /// A key's name in messages.
    pub(super) fn full(&self, key: &str) -> String {
        if self.name.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.name)
        }
    }

    fn as_text(&self, full: &str, value: &Spanned<DeValue<'_>>) -> Option<Located<String>> {
        match value.get_ref() {
            DeValue::String(text) => Some(Located {
                value: text.to_string(),
                place: self.report.place(value.span()),
            }),
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => self.wrong_type(full, value, "a text in double quotes"),
        }
    }

    fn wrong_type<T>(&self, full: &str, value: &Spanned<DeValue<'_>>, wanted: &str) -> Option<T> {
        let message = format!("`{full}` is {}", with_article(value.get_ref().type_str()));
        self.report.error(
            &self.report.place(value.span()),
            "wrong-type",
            message,
            format!("it must be {wanted}"),
        );
        None
    }
}

fn with_article(kind: &str) -> String {
    match kind {
        "string" => "a text".to_owned(),
        "array" | "integer" => format!("an {kind}"),
        _ => format!("a {kind}"),
    }
}
