//! When periods make an alarm: pure, over datapoints.

use std::{fmt, str::FromStr};

use super::statistic::UnknownName;

/// When periods make an alarm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// How a datapoint is compared with the threshold to breach it.
    pub comparison: Comparison,
    /// The threshold, in the metric's unit.
    pub threshold: f64,
    /// How many of the last periods are looked at; at least one.
    pub evaluation_periods: usize,
    /// How many of them must breach; from one to all.
    pub datapoints_to_alarm: usize,
    /// What a period without a sample is.
    pub missing: MissingData,
}

/// How a datapoint breaches a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each says itself")]
pub enum Comparison {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// What a period without a sample is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingData {
    /// One that breaches: nobody calling is an alarm.
    Breaching,
    /// While it leaves the matter open, the state stays as it was.
    Ignore,
    /// While it leaves the matter open, there is too little data.
    Missing,
    /// One that does not breach.
    NotBreaching,
}

/// What is known of a period.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Datapoint {
    /// It had no sample.
    Missing,
    /// Nobody looked: it was before the start, or we slept.
    NotYet,
    /// Its number.
    Value(f64),
}

/// What an alarm is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Too little is known.
    InsufficientData,
    /// All is well.
    Ok,
    /// It is an alarm.
    Alarm,
}

// === impl Rule ===

impl Rule {
    /// What the last periods make of an alarm that was `before`.
    ///
    /// Where some of them are not known, the state is the one that they would lead to whatever they were; if there is no such
    /// state, the matter is open: for periods that nobody looked at it stays as it was, for those without a sample
    /// [`MissingData`] says what to do.
    pub fn judge(&self, window: &[Datapoint], before: State) -> State {
        let (mut breaching, mut unknown, mut missing) = (0, 0, 0);
        for datapoint in window {
            match (datapoint, self.missing) {
                (Datapoint::Value(value), _) => breaching += usize::from(self.comparison.holds(*value, self.threshold)),
                (Datapoint::Missing, MissingData::Breaching) => breaching += 1,
                (Datapoint::Missing, MissingData::NotBreaching) => {}
                (Datapoint::Missing, MissingData::Ignore) => unknown += 1,
                (Datapoint::Missing, MissingData::Missing) => missing += 1,
                (Datapoint::NotYet, _) => unknown += 1,
            }
        }
        if breaching >= self.datapoints_to_alarm {
            State::Alarm
        } else if breaching + unknown + missing < self.datapoints_to_alarm {
            State::Ok
        } else if missing > 0 {
            State::InsufficientData
        } else {
            before
        }
    }

    /// Why it is so, for people.
    pub fn reason(&self, window: &[Datapoint], state: State) -> String {
        let known = window.iter().filter_map(|datapoint| match datapoint {
            Datapoint::Value(value) => Some(*value),
            Datapoint::Missing | Datapoint::NotYet => None,
        });
        let values: Vec<String> = known.clone().map(|value| format!("{}", rounded(value))).collect();
        let breaching = known
            .filter(|value| self.comparison.holds(*value, self.threshold))
            .count();
        let Self {
            comparison,
            threshold,
            evaluation_periods,
            datapoints_to_alarm,
            missing: _,
        } = self;
        let without = window.len() - values.len();
        let without = match without {
            0 => String::new(),
            _ => format!(", {without} without data"),
        };
        let verdict = match state {
            State::Alarm => "threshold crossed",
            State::Ok => "threshold not crossed",
            State::InsufficientData => "too little data",
        };
        format!(
            "{verdict}: {breaching} of the last {evaluation_periods} datapoints [{}]{without} {comparison} {threshold} \
             ({datapoints_to_alarm} make an alarm)",
            values.join(", ")
        )
    }
}

/// Three digits behind the point are enough for people.
fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

// === impl Comparison ===

impl Comparison {
    /// Whether a value breaches.
    pub fn holds(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::Greater => value > threshold,
            Self::GreaterOrEqual => value >= threshold,
            Self::Less => value < threshold,
            Self::LessOrEqual => value <= threshold,
        }
    }

    /// Amazon's name of it.
    pub const fn amazon_name(self) -> &'static str {
        match self {
            Self::Greater => "GreaterThanThreshold",
            Self::GreaterOrEqual => "GreaterThanOrEqualToThreshold",
            Self::Less => "LessThanThreshold",
            Self::LessOrEqual => "LessThanOrEqualToThreshold",
        }
    }
}

impl FromStr for Comparison {
    type Err = UnknownName;

    /// `>`, `>=`, `<`, `<=`, or Amazon's names.
    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let all = [Self::Greater, Self::GreaterOrEqual, Self::Less, Self::LessOrEqual];
        all.into_iter()
            .find(|comparison| comparison.to_string() == text || comparison.amazon_name() == text)
            .ok_or(UnknownName)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
        })
    }
}

// === impl MissingData and State ===

impl MissingData {
    /// Amazon's name of it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Breaching => "breaching",
            Self::Ignore => "ignore",
            Self::Missing => "missing",
            Self::NotBreaching => "notBreaching",
        }
    }
}

impl FromStr for MissingData {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let all = [Self::Breaching, Self::Ignore, Self::Missing, Self::NotBreaching];
        all.into_iter()
            .find(|missing| missing.as_str() == text)
            .ok_or(UnknownName)
    }
}

impl State {
    /// Amazon's name of it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InsufficientData => "INSUFFICIENT_DATA",
            Self::Ok => "OK",
            Self::Alarm => "ALARM",
        }
    }
}
