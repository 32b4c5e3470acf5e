//! A strict reader of what `/metrics` answers (OpenMetrics text, 1.0).

use std::collections::{BTreeMap, BTreeSet};

/// All samples, by their name with its labels as written.
#[derive(Debug, PartialEq)]
pub(crate) struct Samples(BTreeMap<String, f64>);

// === impl Samples ===

impl Samples {
    /// Reads a text; panics at what a strict scraper would refuse.
    #[track_caller]
    pub(crate) fn read(text: &str) -> Self {
        parse(text).unwrap_or_else(|error| panic!("{error} in\n{text}"))
    }

    /// A sample's value by its whole name: `name{label="value"}`.
    #[track_caller]
    pub(crate) fn value(&self, name: &str) -> f64 {
        *self
            .0
            .get(name)
            .unwrap_or_else(|| panic!("no `{name}` in {:#?}", self.0))
    }

    /// Whether there is a sample of that whole name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The value of a route's sample of the documented API.
    #[track_caller]
    pub(crate) fn route(&self, name: &str) -> f64 {
        self.value(&format!(
            "{name}{{api=\"proxy\",stage=\"TEST\",route=\"ANY /{{proxy+}}\"}}"
        ))
    }
}

fn parse(text: &str) -> Result<Samples, String> {
    let body = text.strip_suffix("# EOF\n").ok_or("no `# EOF` at its end")?;
    let (mut samples, mut families, mut family) = (BTreeMap::new(), BTreeSet::new(), (String::new(), String::new()));
    for line in body.split_terminator('\n') {
        let refused = |why: &str| format!("{why}: `{line}`");
        if let Some(description) = line.strip_prefix("# ") {
            let words: Vec<_> = description.splitn(3, ' ').collect();
            match words[..] {
                ["HELP", name, _] if families.insert(name.to_owned()) => family = (name.to_owned(), String::new()),
                ["TYPE", name, kind @ ("counter" | "gauge" | "histogram")] if name == family.0 => {
                    family.1 = kind.to_owned();
                }
                ["UNIT", name, unit] if name == family.0 && name.ends_with(&format!("_{unit}")) => {}
                _ => return Err(refused("an unexpected description")),
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').ok_or_else(|| refused("no value"))?;
        let value: f64 = value.parse().map_err(|_| refused("no number"))?;
        let name = check_series(series).map_err(&refused)?;
        let suffix = name
            .strip_prefix(&family.0)
            .ok_or_else(|| refused("not of its family"))?;
        let is_expected = match family.1.as_str() {
            "counter" => suffix == "_total" && value >= 0.0,
            "gauge" => suffix.is_empty(),
            "histogram" => ["_bucket", "_count", "_sum"].contains(&suffix),
            _ => false,
        };
        if !is_expected || samples.insert(series.to_owned(), value).is_some() {
            return Err(refused("not expected, or there twice"));
        }
    }
    Ok(Samples(samples))
}

/// The name of `name{label="value",…}`. No value here holds an escape or a quote.
fn check_series(series: &str) -> Result<&str, &'static str> {
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix("\"}").ok_or("labels without an end")?),
        None => (series, ""),
    };
    let is_name =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    for label in labels.split("\",").filter(|label| !label.is_empty()) {
        let (label, value) = label.split_once("=\"").ok_or("a label without a value")?;
        if !is_name(label) || value.contains(['"', '\\']) {
            return Err("a malformed label");
        }
    }
    if is_name(name) {
        Ok(name)
    } else {
        Err("a malformed name")
    }
}
