//! Reading a parsed TOML table key by key, with a finding for whatever is not as it should be.

use std::{
    cell::RefCell,
    net::{IpAddr, SocketAddr},
    ops::{Range, RangeInclusive},
    path::{Path, PathBuf},
    sync::Arc,
};

use ipnet::IpNet;
use portcullis_core::{Finding, Findings, Place, Severity};
use portcullis_openapi::document::Located;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::report::did_you_mean;

/// The code of findings about what is not there.
const MISSING_KEY: &str = "missing-key";

/// The findings about one text, and how a byte of it becomes a place.
pub(super) struct Report<'t> {
    source: Arc<str>,
    text: &'t str,
    line_starts: Vec<usize>,
    directory: &'t Path,
    findings: RefCell<Findings>,
}

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

// === impl Report ===

impl<'t> Report<'t> {
    pub(super) fn new(source: Arc<str>, text: &'t str, directory: &'t Path) -> Self {
        let line_starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        Self {
            source,
            text,
            line_starts,
            directory,
            findings: RefCell::default(),
        }
    }

    pub(super) fn error(
        &self,
        place: &Place,
        code: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.findings.borrow_mut().error(place.clone(), code, message, remedy);
    }

    pub(super) fn warn(
        &self,
        place: &Place,
        code: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.findings.borrow_mut().warn(place.clone(), code, message, remedy);
    }

    pub(super) fn missing(&self, place: &Place, message: impl Into<String>, remedy: impl Into<String>) {
        self.error(place, MISSING_KEY, message, remedy);
    }

    /// All of them by place; without those about missing keys when the text could not be parsed to its end.
    pub(super) fn into_findings(self, is_torn: bool) -> Findings {
        let mut kept = Findings::new();
        for finding in &self.findings.into_inner().sorted() {
            let Finding {
                place,
                severity,
                code,
                message,
                remedy,
            } = finding.clone();
            match severity {
                Severity::Error if is_torn && code == MISSING_KEY => {}
                Severity::Error => kept.error(place, code, message, remedy),
                Severity::Warning => kept.warn(place, code, message, remedy),
            }
        }
        kept
    }

    pub(super) fn whole(&self) -> Place {
        Place::whole(self.source.clone())
    }

    /// The place of the first byte of a span.
    pub(super) fn place(&self, span: Range<usize>) -> Place {
        let mut at = span.start.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        let line = self.line_starts.partition_point(|start| *start <= at);
        let before = &self.text[self.line_starts[line - 1]..at];
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Place::new(self.source.clone(), count(line), count(before.chars().count() + 1))
    }

    /// A path as the configuration writes it, from the process's own point of view.
    pub(super) fn relative(&self, path: &str) -> PathBuf {
        self.directory.join(path)
    }
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

    pub(super) fn integer(&self, key: &'static str, range: RangeInclusive<u64>) -> Option<Located<u64>> {
        let value = self.value(key)?;
        let full = self.full(key);
        let DeValue::Integer(digits) = value.get_ref() else {
            return self.wrong_type(&full, value, "a whole number");
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

    pub(super) fn path(&self, key: &'static str) -> Option<Located<PathBuf>> {
        let text = self.text(key)?;
        if text.value.is_empty() || text.value.contains('\0') {
            let message = format!("`{}` is not a path", self.full(key));
            self.report.error(
                &text.place,
                "bad-path",
                message,
                "write a path relative to this file, or an absolute one",
            );
            return None;
        }
        Some(Located {
            value: self.report.relative(&text.value),
            place: text.place,
        })
    }

    pub(super) fn address(&self, key: &'static str) -> Option<Located<SocketAddr>> {
        let text = self.text(key)?;
        match text.value.parse() {
            Ok(value) => Some(Located {
                value,
                place: text.place,
            }),
            Err(_) => {
                let message = format!("`{}` is not an address and a port", text.value);
                self.report
                    .error(&text.place, "bad-address", message, address_remedy(&text.value));
                None
            }
        }
    }

    pub(super) fn networks(&self, key: &'static str, max: usize) -> Option<Vec<Located<IpNet>>> {
        let texts = self.texts(key, max)?;
        let networks: Vec<_> = texts.into_iter().map(|text| self.as_network(text)).collect();
        networks.into_iter().collect() // after all have been looked at
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

    fn full(&self, key: &str) -> String {
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

    fn as_network(&self, text: Located<String>) -> Option<Located<IpNet>> {
        let Located { value, place } = text;
        let parsed = value
            .parse::<IpNet>()
            .ok()
            .or_else(|| value.parse::<IpAddr>().ok().map(IpNet::from));
        match parsed {
            Some(network) if network.trunc() == network => Some(Located { value: network, place }),
            Some(network) => {
                let message = format!("`{value}` has bits set behind its prefix");
                self.report.error(
                    &place,
                    "bad-network",
                    message,
                    format!("did you mean `{}`?", network.trunc()),
                );
                None
            }
            None => {
                let message = format!("`{value}` is not a network");
                self.report.error(
                    &place,
                    "bad-network",
                    message,
                    "write an address and a prefix length, as in `10.0.0.0/8`",
                );
                None
            }
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

fn address_remedy(written: &str) -> String {
    match written.rsplit_once(':') {
        Some(("" | "*", port)) if port.parse::<u16>().is_ok() => {
            format!("for every interface: `0.0.0.0:{port}` or `[::]:{port}`")
        }
        Some(("localhost", port)) if port.parse::<u16>().is_ok() => {
            format!("names are not looked up: `127.0.0.1:{port}`")
        }
        _ if written.parse::<IpAddr>().is_ok() => "add a port, as in `127.0.0.1:8080`".to_owned(),
        _ => "write an IP address and a port, as in `127.0.0.1:8080` or `[::1]:8080`".to_owned(),
    }
}
