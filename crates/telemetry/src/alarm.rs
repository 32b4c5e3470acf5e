//! Alarms on the metrics, as CloudWatch has them: a statistic of a metric per period, compared with a threshold; so many
//! periods of the last so many make an alarm.
//!
//! Nothing here asks a clock or tells anyone: [`Alarms::tick`] is given the time and gives back what is to be told.

mod rule;
mod statistic;

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use portcullis_core::Timestamp;

pub use rule::{Comparison, Datapoint, MissingData, Rule, State};
pub use statistic::{Metric, Statistic};

use crate::metrics::{RouteKey, RouteTotal};

/// Alarms of one process at most.
pub const ALARMS_MAX: usize = 200;

/// What an alarm watches and when it is one.
#[derive(Clone, Debug, PartialEq)]
pub struct AlarmSpec {
    /// Its name.
    pub name: String,
    /// What it is about, for people.
    pub description: Option<String>,
    /// What is watched.
    pub metric: Metric,
    /// How a period's samples become one number.
    pub statistic: Statistic,
    /// Which routes count.
    pub scope: Scope,
    /// How long a period is, in seconds; at least one.
    pub period_s: u32,
    /// When it is an alarm.
    pub rule: Rule,
}

/// Which routes count: all those that are what is named here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// An API's id.
    pub api: Option<String>,
    /// A stage's name.
    pub stage: Option<String>,
    /// A route's key.
    pub route: Option<String>,
}

/// All alarms of a process.
#[derive(Debug, Default)]
pub struct Alarms(Mutex<Vec<Alarm>>);

/// An alarm has become, or is not any more.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// The alarm.
    pub spec: AlarmSpec,
    /// What it was.
    pub from: State,
    /// What it is now.
    pub to: State,
    /// Why, for people.
    pub reason: String,
    /// When this was found.
    pub at: Timestamp,
    /// Whether it is to be told: an alarm that begins, or its end. Whatever comes between (no data) is not.
    pub is_news: bool,
}

/// How an alarm stands.
#[derive(Clone, Debug, PartialEq)]
pub struct AlarmStatus {
    /// The alarm.
    pub spec: AlarmSpec,
    /// Its state.
    pub state: State,
    /// Why, for people.
    pub reason: String,
    /// Since when; `None` when it has been so from the start.
    pub since: Option<Timestamp>,
}

#[derive(Debug)]
struct Alarm {
    status: AlarmStatus,
    /// The last periods' numbers, the newest last; as many as the rule looks at.
    window: VecDeque<Datapoint>,
    /// The period under way.
    period: Option<Period>,
    /// What was last told: `Ok` before anything was.
    told: State,
}

/// A period under way.
#[derive(Debug)]
struct Period {
    /// Its number since 1970.
    number: i64,
    /// What had been counted when it began; `None` when we came in the middle of it.
    before: Option<RouteTotal>,
}

// === impl Alarms ===

impl Alarms {
    /// Puts other alarms in force. Those that are the same as before keep their state.
    pub fn replace(&self, specs: Vec<AlarmSpec>) {
        let mut alarms = self.lock();
        let mut before = std::mem::take(&mut *alarms);
        *alarms = specs
            .into_iter()
            .map(|spec| match before.iter().position(|alarm| alarm.status.spec == spec) {
                Some(same) => before.swap_remove(same),
                None => Alarm::new(spec),
            })
            .collect();
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Looks at what has been counted. To be called about once a second; periods end when it is called first behind their end.
    pub fn tick(&self, now: Timestamp, routes: &[(RouteKey, RouteTotal)]) -> Vec<Transition> {
        let mut alarms = self.lock();
        alarms.iter_mut().filter_map(|alarm| alarm.tick(now, routes)).collect()
    }

    /// How each stands.
    pub fn statuses(&self) -> Vec<AlarmStatus> {
        self.lock().iter().map(|alarm| alarm.status.clone()).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Alarm>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Scope ===

impl Scope {
    /// What all routes that count have counted together.
    fn total(&self, routes: &[(RouteKey, RouteTotal)]) -> RouteTotal {
        let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
        let mut total = RouteTotal::default();
        routes
            .iter()
            .filter(|(key, _)| is(&self.api, &key.api) && is(&self.stage, &key.stage) && is(&self.route, &key.route))
            .for_each(|(_, route)| total.add(route));
        total
    }
}

// === impl Alarm ===

impl Alarm {
    fn new(spec: AlarmSpec) -> Self {
        let window = vec![Datapoint::NotYet; spec.rule.evaluation_periods];
        Self {
            status: AlarmStatus {
                spec,
                state: State::InsufficientData,
                reason: "no whole period has passed yet".to_owned(),
                since: None,
            },
            window: window.into(),
            period: None,
            told: State::Ok,
        }
    }

    fn tick(&mut self, now: Timestamp, routes: &[(RouteKey, RouteTotal)]) -> Option<Transition> {
        let spec = &self.status.spec;
        let number = now.unix_seconds().div_euclid(i64::from(spec.period_s.max(1)));
        let ended = match &self.period {
            Some(period) if period.number == number => return None,
            // A clock that was set back begins anew, as the first look does: in the middle of a period.
            Some(period) if period.number < number => self.period.take(),
            Some(_) | None => {
                self.period = Some(Period { number, before: None });
                return None;
            }
        }?;
        let total = spec.scope.total(routes);
        let datapoint = ended.before.map(|before| {
            let value = spec.statistic.of(spec.metric, &total.since(&before));
            value.map_or(Datapoint::Missing, Datapoint::Value)
        });
        self.period = Some(Period {
            number,
            before: Some(total),
        });
        // Who slept through whole periods does not know what happened in which of them; it is taken for the last one's.
        let slept = usize::try_from(number - ended.number - 1)
            .unwrap_or(0)
            .min(self.window.len());
        let slept = std::iter::repeat_n(Datapoint::NotYet, slept);
        for datapoint in slept.chain([datapoint?]) {
            self.window.pop_front();
            self.window.push_back(datapoint);
        }
        self.judge(now)
    }

    fn judge(&mut self, now: Timestamp) -> Option<Transition> {
        let Self {
            status, window, told, ..
        } = self;
        let rule = &status.spec.rule;
        let (from, to) = (status.state, rule.judge(window.make_contiguous(), status.state));
        status.reason = rule.reason(window.make_contiguous(), to);
        if from == to {
            return None;
        }
        status.state = to;
        status.since = Some(now);
        let is_news = to != State::InsufficientData && to != *told;
        if is_news {
            *told = to;
        }
        Some(Transition {
            spec: status.spec.clone(),
            from,
            to,
            reason: status.reason.clone(),
            at: now,
            is_news,
        })
    }
}

#[cfg(test)]
mod tests;
