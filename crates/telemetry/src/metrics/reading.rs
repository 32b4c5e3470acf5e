//! What others count, read when someone asks.

use std::{collections::BTreeMap, fmt};

use prometheus_client::{
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet},
    metrics::{MetricType, exemplar::Exemplar},
};

/// Readings at most, over all metrics.
pub const READINGS_MAX: usize = 1_000;

/// Why something cannot be read as a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadingError {
    /// The help is empty, or has characters that would have to be escaped.
    #[error("the help of `{0}` is not one line without backslashes and quotes")]
    Help(&'static str),
    /// The name is a gauge's and a counter's, or a route's.
    #[error("`{0}` is a metric of another kind already")]
    Kind(&'static str),
    /// A label's name is not what Prometheus allows.
    #[error("`{0}` cannot be a label's name")]
    Label(&'static str),
    /// A metric's name is not what Prometheus allows, or ends in `_total`.
    #[error("`{0}` cannot be a metric's name")]
    Name(&'static str),
    /// There are [`READINGS_MAX`].
    #[error("there are {READINGS_MAX} readings already")]
    TooMany,
}

/// One metric of those that others count, as it is now.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Its name, without a counter's `_total`.
    pub name: &'static str,
    /// What it is.
    pub help: &'static str,
    /// Whether it only goes up.
    pub is_counter: bool,
    /// Its values by their labels.
    pub series: Vec<(Labels, f64)>,
}

/// How a value is read.
pub(super) enum Read {
    Counter(Box<dyn Fn() -> u64 + Send + Sync>),
    Gauge(Box<dyn Fn() -> f64 + Send + Sync>),
}

/// All readings by metric.
#[derive(Debug, Default)]
pub(super) struct Readings {
    by_name: BTreeMap<&'static str, Metric>,
}

struct Metric {
    help: &'static str,
    is_counter: bool,
    series: BTreeMap<Labels, Read>,
}

/// Labels with their values.
pub type Labels = Vec<(&'static str, String)>;

// === impl Readings ===

impl Readings {
    pub(super) fn add(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &[(&'static str, &str)],
        read: Read,
    ) -> Result<(), ReadingError> {
        if !is_name(name) || name.ends_with("_total") {
            return Err(ReadingError::Name(name));
        }
        if help.is_empty() || help.contains(['\n', '\\', '"']) {
            return Err(ReadingError::Help(name));
        }
        let mut key: Labels = labels
            .iter()
            .map(|(label, value)| (*label, (*value).to_owned()))
            .collect();
        key.sort();
        let twice = key
            .windows(2)
            .find(|pair| matches!(pair, [first, second] if first.0 == second.0));
        let wrong = key
            .iter()
            .find(|(label, _)| !is_name(label) || label.contains(':') || *label == "le");
        if let Some((label, _)) = wrong.or(twice.and_then(|pair| pair.first())) {
            return Err(ReadingError::Label(label));
        }
        let total: usize = self.by_name.values().map(|metric| metric.series.len()).sum();
        let is_counter = matches!(read, Read::Counter(_));
        let known = self.by_name.get(name);
        if known.is_some_and(|metric| metric.is_counter != is_counter) || is_route_metric(name) {
            return Err(ReadingError::Kind(name));
        }
        if total >= READINGS_MAX && !known.is_some_and(|metric| metric.series.contains_key(&key)) {
            return Err(ReadingError::TooMany);
        }
        let metric = self.by_name.entry(name).or_insert_with(|| Metric {
            help,
            is_counter,
            series: BTreeMap::new(),
        });
        metric.series.insert(key, read);
        Ok(())
    }

    pub(super) fn now(&self) -> Vec<Reading> {
        let metric = |(name, metric): (&&'static str, &Metric)| Reading {
            name,
            help: metric.help,
            is_counter: metric.is_counter,
            series: metric
                .series
                .iter()
                .map(|(labels, read)| (labels.clone(), read.now()))
                .collect(),
        };
        self.by_name.iter().map(metric).collect()
    }

    pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        for (
            name,
            Metric {
                help,
                is_counter,
                series,
            },
        ) in &self.by_name
        {
            let kind = if *is_counter {
                MetricType::Counter
            } else {
                MetricType::Gauge
            };
            let mut metric = encoder.encode_descriptor(name, help, None, kind)?;
            for (labels, read) in series {
                if labels.is_empty() {
                    read.encode(&mut metric)?;
                } else {
                    read.encode(&mut metric.encode_family(labels)?)?;
                }
            }
        }
        Ok(())
    }
}

// === impl Read ===

impl Read {
    fn now(&self) -> f64 {
        match self {
            Self::Gauge(read) => read(),
            Self::Counter(read) => read() as f64,
        }
    }

    fn encode(&self, metric: &mut MetricEncoder<'_>) -> fmt::Result {
        match self {
            Self::Gauge(read) => metric.encode_gauge(&read()),
            Self::Counter(read) => metric.encode_counter(&read(), None::<&Exemplar<NoLabelSet, u64>>),
        }
    }
}

/// OpenMetrics 1.0, section "ABNF": `metricname`.
fn is_name(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || byte == b':';
    name.bytes().next().is_some_and(is_letter) && name.bytes().all(|byte| is_letter(byte) || byte.is_ascii_digit())
}

/// Whether a name, or a sample of it, would fall together with those of the routes.
fn is_route_metric(name: &str) -> bool {
    const NAMES: [&str; 8] = [
        "portcullis_count",
        "portcullis_4xx_errors",
        "portcullis_5xx_errors",
        "portcullis_cache_hit_count",
        "portcullis_cache_miss_count",
        "portcullis_data_processed_bytes",
        "portcullis_latency_seconds",
        "portcullis_integration_latency_seconds",
    ];
    NAMES.iter().any(|route| {
        name.strip_prefix(route)
            .is_some_and(|rest| matches!(rest, "" | "_sum" | "_count" | "_bucket"))
    })
}

impl fmt::Debug for Metric {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Metric")
            .field("series", &self.series.keys())
            .finish_non_exhaustive()
    }
}
