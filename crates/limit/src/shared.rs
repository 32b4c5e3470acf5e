//! What of a request's limits is shared between gateways: what is asked, and what the answer means. Who carries the question
//! is no matter here.

use crate::{
    bucket::Level,
    limits::{Kind, Lease, Levels, Limits, Now, Part, Refused, Throttle},
    period::PeriodNumber,
    quota::Usage,
};

/// What is run where the limits are kept, in one step that nobody comes between.
pub const SCRIPT: &str = include_str!("shared.lua");

/// Seconds that a quota's count is kept behind its period, for clocks that disagree.
const KEPT_S: u64 = 86_400;

/// One limit as it is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// What all gateways know it by.
    pub name: String,
    /// The script's five arguments.
    pub arguments: [String; 5],
}

/// The shared limits of a request, asked for in one question. What this gateway counted while nobody answered goes with it;
/// dropped unsettled, that is told next time.
#[derive(Debug)]
pub struct Claims<'l> {
    limits: Limits<'l>,
    now: Now,
    asked: Vec<(Kind, Claim)>,
    /// The quota's period and what is told of it.
    told: Option<(PeriodNumber, u64)>,
}

/// The answer is not that of [`SCRIPT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer about shared limits is not understood")]
pub struct AnswerMalformed;

// === impl Claims ===

impl<'l> Claims<'l> {
    pub(crate) fn new(limits: Limits<'l>, now: Now) -> Self {
        let mut asked = Vec::with_capacity(Kind::ALL.len());
        let throttles = [
            (Kind::PlanMethod, limits.plan_method),
            (Kind::Plan, limits.plan),
            (Kind::Method, limits.method),
            (Kind::Stage, Some(limits.stage)),
        ];
        let shared = throttles
            .into_iter()
            .filter_map(|(kind, throttle)| throttle.map(|throttle| (kind, throttle)));
        for (kind, throttle) in shared {
            if let Some(name) = throttle.shared() {
                asked.push((kind, of_rate(name.to_owned(), throttle)));
            }
        }
        if let Some((keyed, name)) = limits
            .principal
            .as_ref()
            .and_then(|keyed| Some((keyed, keyed.shared.clone()?)))
        {
            asked.push((Kind::Principal, claim(name, keyed.buckets.rate())));
        }
        let mut told = None;
        if let Some((quota, name)) = limits.quota.and_then(|quota| Some((quota, quota.shared()?))) {
            let Usage { period, used } = quota.usage(now.unix_s);
            let unreported = quota.take_unreported();
            let kept_s = quota.rest_s(period, now.unix_s).saturating_add(KEPT_S);
            told = Some((period, unreported));
            let name = format!("{name}:{}", period.0);
            let arguments = [
                "q".to_owned(),
                quota.spec().limit.to_string(),
                kept_s.to_string(),
                used.saturating_sub(unreported).to_string(),
                unreported.to_string(),
            ];
            asked.push((Kind::Quota, Claim { name, arguments }));
        }
        asked.sort_by_key(|(kind, _)| *kind);
        Self {
            limits,
            now,
            asked,
            told,
        }
    }

    /// What to ask, in order.
    pub fn asked(&self) -> impl Iterator<Item = &Claim> {
        self.asked.iter().map(|(_, claim)| claim)
    }

    /// Takes the script's answer.
    ///
    /// # Errors
    /// It is not one; the claims are still there to be [settled here](Claims::settle_here).
    pub fn settle(&mut self, answer: &[i64]) -> Result<(Result<Lease, Refused>, Levels), AnswerMalformed> {
        let number = |at: usize| answer.get(at).copied().ok_or(AnswerMalformed);
        if answer.len() != 2 + 2 * self.asked.len() {
            return Err(AnswerMalformed);
        }
        let refused = match usize::try_from(number(0)?).map_err(|_| AnswerMalformed)? {
            0 => None,
            which => Some(self.asked.get(which - 1).ok_or(AnswerMalformed)?.0),
        };
        let mut levels = self.limits.levels(self.now);
        for (at, (kind, _)) in self.asked.iter().enumerate() {
            let natural = |at: usize| Ok(u64::try_from(number(at)?).unwrap_or(0));
            let (left, reset_ms) = (natural(2 + 2 * at)?, natural(3 + 2 * at)?);
            let level = &mut levels[*kind as usize];
            *level = Some(match (kind, *level) {
                // When a period ends is known here.
                (Kind::Quota, Some(known)) => Level { left, ..known },
                _ => Level { left, reset_ms },
            });
        }
        if let (Some((period, _)), Some(quota), Some(level)) =
            (self.told.take(), self.limits.quota, levels[Kind::Quota as usize])
        {
            let used = quota.spec().limit.saturating_sub(level.left);
            quota.learn(Usage { period, used });
        }
        let verdict = match refused {
            Some(Kind::Quota) => {
                let exceeded = self.limits.quota.map(|quota| quota.exceeded(self.now.unix_s));
                Err(Refused {
                    kind: Kind::Quota,
                    retry_after_ms: exceeded.map(|exceeded| exceeded.retry_after_s.saturating_mul(1_000)),
                })
            }
            Some(kind) => Err(Refused {
                kind,
                retry_after_ms: u64::try_from(number(1)?).ok(),
            }),
            // A quota that is not shared beside throttles that are is still to be charged.
            None => self.limits.charge_quota(Part::Own, self.now).map(|()| Lease::settled()),
        };
        Ok((verdict, levels))
    }

    /// Nobody answered: charges here what would have been charged there, by the same figures.
    pub fn settle_here(self) -> Result<Lease, Refused> {
        self.limits.charge(Part::Shared, self.now)?;
        self.limits.charge_quota(Part::Whole, self.now)?;
        Ok(Lease::settled())
    }

    /// The limits that they are of.
    pub fn limits(&self) -> &Limits<'l> {
        &self.limits
    }
}

impl Drop for Claims<'_> {
    fn drop(&mut self) {
        // Whether a lost question was counted is unknown; it is told again, for a count too high is the safe error.
        if let (Some((_, unreported)), Some(quota)) = (self.told, self.limits.quota) {
            quota.note_unreported(unreported);
        }
    }
}

fn of_rate(name: String, throttle: &Throttle) -> Claim {
    claim(name, throttle.rate())
}

fn claim(name: String, rate: crate::Rate) -> Claim {
    let interval_us = 1_000_000.0 / rate.rate_per_s();
    Claim {
        name,
        arguments: [
            "t".to_owned(),
            interval_us.to_string(),
            rate.burst().to_string(),
            String::new(),
            String::new(),
        ],
    }
}
