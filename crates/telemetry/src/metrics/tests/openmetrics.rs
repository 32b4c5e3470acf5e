//! A strict reader of OpenMetrics text, as far as this crate writes it.

use std::collections::{BTreeMap, BTreeSet};

/// The samples of a text by name and labels.
pub(super) type Samples = BTreeMap<(String, BTreeMap<String, String>), f64>;

#[derive(Default)]
struct Family {
    name: String,
    kind: String,
    histograms: BTreeMap<BTreeMap<String, String>, Histogram>,
}

#[derive(Default)]
struct Histogram {
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: Option<f64>,
}

/// Reads a whole text, or says what is wrong with it.
pub(super) fn parse(text: &str) -> Result<Samples, String> {
    let body = text.strip_suffix("# EOF\n").ok_or("no end")?;
    let (mut samples, mut names, mut family) = (Samples::new(), BTreeSet::new(), Family::default());
    for line in body.split_terminator('\n') {
        if let Some(rest) = line.strip_prefix("# ") {
            let (what, rest) = rest.split_once(' ').ok_or("a bare comment")?;
            let (name, value) = rest.split_once(' ').ok_or("a description without text")?;
            if what == "HELP" {
                family.check()?;
                if !names.insert(name.to_owned()) {
                    return Err(format!("{name} is described twice"));
                }
                family = Family {
                    name: name.to_owned(),
                    ..Family::default()
                };
            }
            match what {
                _ if name != family.name => return Err(format!("{name} is not {}", family.name)),
                "HELP" if value.contains('\\') || !is_name(name) => return Err(line.to_owned()),
                "HELP" => {}
                "TYPE" if ["counter", "gauge", "histogram"].contains(&value) => family.kind = value.to_owned(),
                "UNIT" if name.ends_with(&format!("_{value}")) => {}
                _ => return Err(line.to_owned()),
            }
            continue;
        }
        let (name, labels, value) = sample(line)?;
        family
            .take(&name, &labels, value)
            .map_err(|error| format!("{line}: {error}"))?;
        if samples.insert((name, labels), value).is_some() {
            return Err(format!("{line}: twice"));
        }
    }
    family.check()?;
    Ok(samples)
}

fn sample(line: &str) -> Result<(String, BTreeMap<String, String>, f64), String> {
    let wrong = || line.to_owned();
    let end = line.find(['{', ' ']).ok_or_else(wrong)?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        while !rest.starts_with('}') {
            let (label, behind) = rest.split_once("=\"").ok_or_else(wrong)?;
            let (value, behind) = unquote(behind).ok_or_else(wrong)?;
            if !is_name(label) || labels.insert(label.to_owned(), value).is_some() {
                return Err(wrong());
            }
            rest = match behind.strip_prefix(',') {
                Some(behind) if behind.starts_with('}') => return Err(wrong()),
                Some(behind) => behind,
                None if behind.starts_with('}') => behind,
                None => return Err(wrong()),
            };
        }
        rest = &rest[1..];
    }
    let value = rest
        .strip_prefix(' ')
        .and_then(|value| value.parse().ok())
        .ok_or_else(wrong)?;
    if is_name(name) {
        Ok((name.to_owned(), labels, value))
    } else {
        Err(wrong())
    }
}

/// A label's value up to its closing quote, and what stands behind that.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match letters.next()?.1 {
                'n' => '\n',
                escaped @ ('"' | '\\') => escaped,
                _ => return None,
            }),
            _ => value.push(letter),
        }
    }
    None
}

fn is_name(name: &str) -> bool {
    let is_letter = |letter: char| letter.is_ascii_alphabetic() || letter == '_';
    name.starts_with(is_letter) && name.chars().all(|letter| is_letter(letter) || letter.is_ascii_digit())
}

impl Family {
    fn take(&mut self, name: &str, labels: &BTreeMap<String, String>, value: f64) -> Result<(), String> {
        let suffix = name.strip_prefix(&self.name).ok_or("stands with another family")?;
        let mut own = labels.clone();
        let bound = own.remove("le");
        match (self.kind.as_str(), suffix, bound) {
            ("gauge", "", None) => Ok(()),
            ("counter", "_total", None) if value >= 0.0 => Ok(()),
            ("histogram", "_bucket", Some(bound)) => {
                let bound = bound.parse::<f64>().map_err(|error| error.to_string())?;
                self.histograms.entry(own).or_default().buckets.push((bound, value));
                Ok(())
            }
            ("histogram", "_count", None) => {
                self.histograms.entry(own).or_default().count = Some(value);
                Ok(())
            }
            ("histogram", "_sum", None) => {
                self.histograms.entry(own).or_default().sum = Some(value);
                Ok(())
            }
            _ => Err(format!("is no sample of a {}", self.kind)),
        }
    }

    fn check(&self) -> Result<(), String> {
        for histogram in self.histograms.values() {
            let rises = histogram
                .buckets
                .windows(2)
                .all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1);
            let last = histogram.buckets.last();
            let is_whole =
                last.is_some_and(|(bound, count)| *bound == f64::INFINITY && histogram.count == Some(*count));
            if !rises || !is_whole || histogram.sum.is_none() {
                return Err(format!("{} is no histogram", self.name));
            }
        }
        Ok(())
    }
}
