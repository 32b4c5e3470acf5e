//! Step 8: the API key, its usage plan, the throttles and the quota, charged in one order. What is shared between gateways is
//! charged in one round trip; when nobody answers in time it is charged here, by the same figures.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use portcullis_limit::{Began, Keyed, Kind, Lease, Levels, Limits, Now, Refused, Standing as LimitStanding};
use portcullis_model::{limits::Subscription, snapshot::Stage};

use crate::{
    Rejection, api_key,
    authenticate::Caller,
    live::Live,
    locate::{Located, Routed},
    record::Record,
};

static RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
static RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Charges everything that bounds a request.
pub(crate) async fn admit(
    live: &Live,
    located: &Located<'_, '_>,
    routed: &Routed<'_, '_>,
    caller: &Caller,
    headers: &HeaderMap,
    now: Now,
    record: &mut Record,
) -> Result<Lease, Rejection> {
    let (stage, route) = (located.stage(), routed.route());
    let subscription = api_key::identify(stage, route, caller, headers)?;
    let limits = Limits {
        plan_method: subscription
            .as_ref()
            .and_then(|found| found.methods.get(routed.index())?.as_deref()),
        plan: subscription
            .as_ref()
            .and_then(|found| found.allowance.throttle.as_deref()),
        principal: principal(live, stage, caller),
        method: route.throttle.as_deref(),
        stage: &stage.throttle,
        quota: subscription.as_ref().and_then(|found| found.allowance.quota.as_deref()),
    };
    let tells = stage.limits.rate_limit_headers.unwrap_or(subscription.is_some());
    let (verdict, told) = charge(live, limits, now, tells).await;
    if let Some(told) = told {
        told.queue(record);
    }
    record.subscription = subscription.clone();
    verdict.map_err(rejection)
}

/// The charge itself, and what callers are told of it where they are told anything.
async fn charge(live: &Live, limits: Limits<'_>, now: Now, tells: bool) -> (Result<Lease, Refused>, Option<Told>) {
    let told = |limits: &Limits<'_>, levels: Levels| tells.then(|| Told::of(limits.standings(levels, now)));
    let Some(cluster) = &live.cluster else {
        let verdict = limits.admit(now);
        let told = tells
            .then(|| limits.levels(now))
            .and_then(|levels| told(&limits, levels));
        return (verdict, told);
    };
    // Only who is told needs them once more.
    let shown = tells.then(|| limits.clone());
    let locally = |verdict: Result<Lease, Refused>| {
        let told = shown.as_ref().and_then(|limits| told(limits, limits.levels(now)));
        (verdict, told)
    };
    let mut claims = match limits.begin(now) {
        Ok(Began::Done(lease)) => return locally(Ok(lease)),
        Ok(Began::Shared(claims)) => claims,
        Err(refused) => return locally(Err(refused)),
    };
    match cluster.charge(&mut claims).await {
        Ok((verdict, levels)) => {
            let told = told(claims.limits(), levels);
            (verdict, told)
        }
        Err(_away) => locally(claims.settle_here()),
    }
}

fn principal<'l>(live: &Live, stage: &'l Stage, caller: &Caller) -> Option<Keyed<'l>> {
    let throttle = stage.limits.principal.as_ref()?;
    let principal = caller.principal()?; // a route that asks nobody has no principals
    let shared = throttle.shared.as_ref().filter(|_| live.cluster.is_some());
    Some(Keyed {
        buckets: &throttle.buckets,
        hash: throttle.buckets.hash(principal),
        shared: shared.map(|name| format!("{name}:{}", portcullis_jose::digest::sha256_hex(principal.as_bytes()))),
    })
}

fn rejection(refused: Refused) -> Rejection {
    let Refused { kind, retry_after_ms } = refused;
    match kind {
        Kind::Quota => Rejection::QuotaExceeded { retry_after_ms },
        Kind::PlanMethod | Kind::Plan | Kind::Principal | Kind::Method | Kind::Stage => Rejection::Throttled {
            limit: kind.as_str(),
            retry_after_ms,
        },
    }
}

/// `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10): lists of structured fields (RFC 9651).
struct Told {
    policy: String,
    limit: String,
}

// === impl Told ===

impl Told {
    fn of(standings: impl Iterator<Item = LimitStanding>) -> Self {
        use std::fmt::Write;
        let mut told = Self {
            policy: String::new(),
            limit: String::new(),
        };
        for LimitStanding {
            kind,
            quota,
            window_s,
            level,
        } in standings
        {
            let comma = if told.policy.is_empty() { "" } else { ", " };
            let name = kind.as_str();
            // Writing to a text cannot fail.
            let _ = write!(told.policy, "{comma}\"{name}\";q={quota}");
            if let Some(window_s) = window_s {
                let _ = write!(told.policy, ";w={window_s}");
            }
            let reset_s = level.reset_ms.div_ceil(1_000);
            let _ = write!(told.limit, "{comma}\"{name}\";r={};t={reset_s}", level.left);
        }
        told
    }

    fn queue(self, record: &mut Record) {
        for (name, text) in [(&RATE_LIMIT_POLICY, self.policy), (&RATE_LIMIT, self.limit)] {
            if let Ok(value) = HeaderValue::try_from(text) {
                record.queue(name.clone(), value);
            }
        }
    }
}

/// For people: what let a request pass.
pub(crate) struct Shown<'s>(pub(crate) &'s Stage, pub(crate) Option<&'s Arc<Subscription>>);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(stage, subscription) = self;
        if let Some(found) = subscription {
            write!(formatter, "API key {} of plan {}, ", found.key_id, found.allowance.plan)?;
        }
        let rate = stage.throttle.rate();
        write!(formatter, "within {}/s, burst {}", rate.rate_per_s(), rate.burst())
    }
}
