//! How what was counted in a period becomes one number.

use std::{fmt, str::FromStr};

use crate::metrics::{RouteTotal, Sum};

/// What an alarm watches, by Amazon's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Requests.
    Count,
    /// Requests answered with 400 to 499.
    Errors4xx,
    /// Requests answered with 500 to 599.
    Errors5xx,
    /// From a request's head to the end of its answer, in milliseconds.
    Latency,
    /// From the call of the integration to its answer, in milliseconds.
    IntegrationLatency,
    /// Requests answered from the response cache.
    CacheHitCount,
    /// Requests that the response cache did not answer.
    CacheMissCount,
    /// Bytes of answers' bodies.
    DataProcessed,
}

/// How a period's samples become one number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Statistic {
    /// Added up.
    Sum,
    /// Per request: of errors and cache hits their share, from 0 to 1.
    Average,
    /// The largest, as far as the histogram's bounds tell.
    Maximum,
    /// What so many percent do not exceed, interpolated within the histogram's bounds.
    Percentile(f64),
}

/// A text that names no metric or no statistic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is none of those that are known")]
pub struct UnknownName;

// === impl Metric ===

impl Metric {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Count,
        Self::Errors4xx,
        Self::Errors5xx,
        Self::Latency,
        Self::IntegrationLatency,
        Self::CacheHitCount,
        Self::CacheMissCount,
        Self::DataProcessed,
    ];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Errors4xx => "4XXError",
            Self::Errors5xx => "5XXError",
            Self::Latency => "Latency",
            Self::IntegrationLatency => "IntegrationLatency",
            Self::CacheHitCount => "CacheHitCount",
            Self::CacheMissCount => "CacheMissCount",
            Self::DataProcessed => "DataProcessed",
        }
    }

    /// Whether a statistic of it says something: latencies alone have percentiles, and the average of a count is always one.
    pub fn has(self, statistic: Statistic) -> bool {
        match (self, statistic) {
            (Self::Latency | Self::IntegrationLatency, _) => true,
            (_, Statistic::Maximum | Statistic::Percentile(_)) => false,
            (Self::Count, Statistic::Average) => false,
            (_, Statistic::Sum | Statistic::Average) => true,
        }
    }
}

impl FromStr for Metric {
    type Err = UnknownName;

    /// HTTP APIs write `4xx` and `5xx`.
    fn from_str(text: &str) -> Result<Self, UnknownName> {
        match text {
            "4xx" => Ok(Self::Errors4xx),
            "5xx" => Ok(Self::Errors5xx),
            _ => Self::ALL
                .into_iter()
                .find(|metric| metric.as_str() == text)
                .ok_or(UnknownName),
        }
    }
}

// === impl Statistic ===

impl Statistic {
    /// The number of a period; `None` when there was no sample.
    pub(super) fn of(self, metric: Metric, period: &RouteTotal) -> Option<f64> {
        let counted = |value: u64, samples: u64| {
            (samples > 0).then(|| match self {
                Self::Average => value as f64 / samples as f64,
                Self::Sum | Self::Maximum | Self::Percentile(_) => value as f64,
            })
        };
        let cached = period.cache_hits + period.cache_misses;
        match metric {
            Metric::Count => counted(period.count(), period.count()),
            Metric::Errors4xx => counted(period.errors_4xx, period.count()),
            Metric::Errors5xx => counted(period.errors_5xx, period.count()),
            Metric::CacheHitCount => counted(period.cache_hits, cached),
            Metric::CacheMissCount => counted(period.cache_misses, cached),
            Metric::DataProcessed => counted(period.bytes, period.count()),
            Metric::Latency => self.of_latencies(&period.latency),
            Metric::IntegrationLatency => self.of_latencies(&period.integration_latency),
        }
    }

    fn of_latencies(self, latencies: &Sum) -> Option<f64> {
        let samples = latencies.count();
        let seconds = match self {
            Self::Sum => (samples > 0).then(|| latencies.seconds()),
            Self::Average => (samples > 0).then(|| latencies.seconds() / samples as f64),
            Self::Maximum => latencies.maximum(),
            Self::Percentile(percent) => latencies.percentile(percent),
        };
        seconds.map(|seconds| seconds * 1_000.0)
    }
}

impl FromStr for Statistic {
    type Err = UnknownName;

    /// `sum`, `average`, `max`, or `p` and a percentage above 0 and up to 100.
    fn from_str(text: &str) -> Result<Self, UnknownName> {
        match text {
            "sum" => Ok(Self::Sum),
            "average" => Ok(Self::Average),
            "max" => Ok(Self::Maximum),
            _ => {
                let digits = text.strip_prefix('p').ok_or(UnknownName)?;
                let is_decimal = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
                let percent = digits
                    .parse()
                    .ok()
                    .filter(|percent| is_decimal && *percent > 0.0 && *percent <= 100.0);
                percent.map(Self::Percentile).ok_or(UnknownName)
            }
        }
    }
}

impl fmt::Display for Statistic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sum => formatter.write_str("sum"),
            Self::Average => formatter.write_str("average"),
            Self::Maximum => formatter.write_str("max"),
            Self::Percentile(percent) => write!(formatter, "p{percent}"),
        }
    }
}
