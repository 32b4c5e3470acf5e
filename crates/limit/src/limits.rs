//! All that bounds one request, charged in one order, and the evidence that it was.

use crate::{
    bucket::{Level, Rate, Throttled, TokenBucket},
    keyed::KeyedBuckets,
    quota::Quota,
    shared::Claims,
};

/// A bucket that all gateways may share.
#[derive(Debug)]
pub struct Throttle {
    bucket: TokenBucket,
    shared: Option<Box<str>>,
}

/// The bucket of one key among many.
#[derive(Clone, Debug)]
pub struct Keyed<'l> {
    /// All of them.
    pub buckets: &'l KeyedBuckets,
    /// Which: [`KeyedBuckets::hash`] of the key.
    pub hash: u64,
    /// What other gateways know it by; `None` where each counts for itself.
    pub shared: Option<String>,
}

/// Everything that bounds one request. The fields stand in the order in which they are charged; the first that is empty
/// refuses, and those behind it are not charged.
#[derive(Clone, Debug)]
pub struct Limits<'l> {
    /// The usage plan's throttle of this method, for this API key.
    pub plan_method: Option<&'l Throttle>,
    /// The usage plan's throttle, for this API key.
    pub plan: Option<&'l Throttle>,
    /// The principal's.
    pub principal: Option<Keyed<'l>>,
    /// The method's.
    pub method: Option<&'l Throttle>,
    /// The stage's.
    pub stage: &'l Throttle,
    /// The usage plan's quota, for this API key. Last, so that what a throttle refuses uses up none of it.
    pub quota: Option<&'l Quota>,
}

/// The time, as the caller reads it from both of its clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Nanoseconds of a monotonic clock, from any start: what throttles go by.
    pub monotonic_ns: u64,
    /// Seconds since 1970: what quotas go by.
    pub unix_s: i64,
}

/// Which of a request's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the fields of `Limits`")]
pub enum Kind {
    PlanMethod,
    Plan,
    Principal,
    Method,
    Stage,
    Quota,
}

/// Evidence that every limit let a request pass. Only [`Limits`] makes one, and it cannot be copied.
#[derive(Debug)]
pub struct Lease {
    _taken: (),
}

/// A limit is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Which.
    pub kind: Kind,
    /// When to try again, in milliseconds, rounded up; `None` when it will never do.
    pub retry_after_ms: Option<u64>,
}

/// How far a request got without asking anybody.
#[derive(Debug)]
pub enum Began<'l> {
    /// Everything let it pass.
    Done(Lease),
    /// What counts here alone let it pass; the rest is to be claimed from what is shared.
    Shared(Claims<'l>),
}

/// What is left of each limit that there is, by [`Kind`].
pub type Levels = [Option<Level>; Kind::ALL.len()];

/// A limit as its callers are told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Which.
    pub kind: Kind,
    /// Requests in a window.
    pub quota: u64,
    /// The window's length in seconds, rounded up; `None` where nothing ever comes back.
    pub window_s: Option<u64>,
    /// What is left.
    pub level: Level,
}

/// Which limits are meant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Whole,
    Own,
    Shared,
}

// === impl Throttle ===

impl Throttle {
    /// A full bucket; `shared` is what other gateways know it by. One that nothing comes back to is counted by each alone.
    pub fn new(rate: Rate, shared: Option<Box<str>>) -> Self {
        Self {
            bucket: TokenBucket::new(rate),
            shared: shared.filter(|_| rate.rate_per_s() > 0.0 && rate.burst() > 0),
        }
    }

    /// Its figures.
    pub fn rate(&self) -> Rate {
        self.bucket.rate()
    }

    /// What other gateways know it by.
    pub fn shared(&self) -> Option<&str> {
        self.shared.as_deref()
    }

    /// Takes a token here, whoever shares it.
    pub fn try_take(&self, now_ns: u64) -> Result<(), Throttled> {
        self.bucket.try_take(now_ns)
    }
}

// === impl Limits ===

impl<'l> Limits<'l> {
    /// Charges all of them here, whoever shares them.
    pub fn admit(&self, now: Now) -> Result<Lease, Refused> {
        self.charge(Part::Whole, now)?;
        self.charge_quota(Part::Whole, now)?;
        Ok(Lease { _taken: () })
    }

    /// Charges what counts here alone; what is shared comes back as claims, to be settled in one round trip.
    pub fn begin(self, now: Now) -> Result<Began<'l>, Refused> {
        if !self.is_shared() {
            return self.admit(now).map(Began::Done);
        }
        self.charge(Part::Own, now)?;
        Ok(Began::Shared(Claims::new(self, now)))
    }

    /// What is left of each, as it is known here.
    pub fn levels(&self, now: Now) -> Levels {
        let bucket = |throttle: &Throttle| throttle.bucket.level(now.monotonic_ns);
        [
            self.plan_method.map(bucket),
            self.plan.map(bucket),
            self.principal
                .as_ref()
                .map(|keyed| keyed.buckets.level(keyed.hash, now.monotonic_ns)),
            self.method.map(bucket),
            Some(bucket(self.stage)),
            self.quota.map(|quota| quota.level(now.unix_s)),
        ]
    }

    /// What callers are told of each, with the levels that [`Limits::levels`] or a settled claim gave.
    pub fn standings(&self, levels: Levels, now: Now) -> impl Iterator<Item = Standing> {
        let of_rate = |rate: Rate| {
            let window_s =
                (rate.rate_per_s() > 0.0).then(|| (f64::from(rate.burst()) / rate.rate_per_s()).ceil() as u64);
            (u64::from(rate.burst()), window_s.map(|window| window.max(1)))
        };
        let figures = [
            self.plan_method.map(|throttle| of_rate(throttle.rate())),
            self.plan.map(|throttle| of_rate(throttle.rate())),
            self.principal.as_ref().map(|keyed| of_rate(keyed.buckets.rate())),
            self.method.map(|throttle| of_rate(throttle.rate())),
            Some(of_rate(self.stage.rate())),
            self.quota
                .map(|quota| (quota.spec().limit, Some(quota.window_s(now.unix_s)))),
        ];
        let all = Kind::ALL.into_iter().zip(figures).zip(levels);
        all.filter_map(|((kind, figures), level)| {
            let (quota, window_s) = figures?;
            Some(Standing {
                kind,
                quota,
                window_s,
                level: level?,
            })
        })
    }

    fn is_shared(&self) -> bool {
        let throttles = [self.plan_method, self.plan, self.method, Some(self.stage)];
        throttles
            .into_iter()
            .flatten()
            .any(|throttle| throttle.shared.is_some())
            || self.principal.as_ref().is_some_and(|keyed| keyed.shared.is_some())
            || self.quota.is_some_and(|quota| quota.shared().is_some())
    }

    pub(crate) fn charge(&self, part: Part, now: Now) -> Result<(), Refused> {
        let Self {
            plan_method,
            plan,
            principal,
            method,
            stage,
            quota: _, // charged behind all of them
        } = self;
        let refused = |kind: Kind| {
            move |empty: Throttled| Refused {
                kind,
                retry_after_ms: empty.retry_after_ms,
            }
        };
        let take = |kind: Kind, throttle: Option<&Throttle>| match throttle {
            Some(throttle) if part.holds(throttle.shared.is_some()) => {
                throttle.try_take(now.monotonic_ns).map_err(refused(kind))
            }
            _ => Ok(()),
        };
        take(Kind::PlanMethod, *plan_method)?;
        take(Kind::Plan, *plan)?;
        if let Some(keyed) = principal.as_ref().filter(|keyed| part.holds(keyed.shared.is_some())) {
            let taken = keyed.buckets.try_take(keyed.hash, now.monotonic_ns);
            taken.map_err(refused(Kind::Principal))?;
        }
        take(Kind::Method, *method)?;
        take(Kind::Stage, Some(stage))
    }

    pub(crate) fn charge_quota(&self, part: Part, now: Now) -> Result<(), Refused> {
        let Some(quota) = self.quota.filter(|quota| part.holds(quota.shared().is_some())) else {
            return Ok(());
        };
        quota.try_take(now.unix_s).map_err(|exceeded| Refused {
            kind: Kind::Quota,
            retry_after_ms: Some(exceeded.retry_after_s.saturating_mul(1_000)),
        })?;
        if quota.shared().is_some() {
            quota.note_unreported(1);
        }
        Ok(())
    }
}

// === impl Lease ===

impl Lease {
    /// For claims that were settled.
    pub(crate) fn settled() -> Self {
        Self { _taken: () }
    }
}

// === impl Part ===

impl Part {
    fn holds(self, is_shared: bool) -> bool {
        match self {
            Self::Whole => true,
            Self::Own => !is_shared,
            Self::Shared => is_shared,
        }
    }
}

// === impl Kind ===

impl Kind {
    /// All of them, in the order in which they are charged.
    pub const ALL: [Self; 6] = [
        Self::PlanMethod,
        Self::Plan,
        Self::Principal,
        Self::Method,
        Self::Stage,
        Self::Quota,
    ];

    /// Its name in headers and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PlanMethod => "plan-method",
            Self::Plan => "plan",
            Self::Principal => "principal",
            Self::Method => "method",
            Self::Stage => "stage",
            Self::Quota => "quota",
        }
    }
}
