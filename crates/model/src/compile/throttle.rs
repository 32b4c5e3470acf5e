//! Throttles of stages, methods, sources and principals; each is carried over while its figures stay the same.

use std::sync::Arc;

use portcullis_core::Findings;
use portcullis_limit::{KeyedBuckets, Rate, Throttle};
use portcullis_openapi::document::{ApiKeySource, AuthorizerKind, Operation};

use super::{ApiSource, Known, MethodSource, Parts, StageSource, methods::pick, route_key, same_stage};
use crate::limits::{self, ApiKeyFrom, PrincipalThrottle, Subscriptions};

/// A throttle's figures, and whether gateways with one Redis count together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ThrottleSource {
    /// The figures.
    pub rate: Rate,
    /// Whether it is shared.
    pub shared: bool,
}

/// A throttle for each of many.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KeyedSource {
    /// The figures of each.
    pub rate: Rate,
    /// How many are told apart at once.
    pub entries_max: usize,
    /// Whether it is shared.
    pub shared: bool,
}

/// What bounds a stage's requests beside its throttle; nothing by default.
#[derive(Clone, Debug, Default)]
pub struct StageLimits {
    /// Settings of some of its methods.
    pub methods: Vec<MethodSource>,
    /// For each source of requests; never shared.
    pub source: Option<KeyedSource>,
    /// For each principal.
    pub principal: Option<KeyedSource>,
    /// Whether answers tell what is left; `None` for those to API keys alone.
    pub rate_limit_headers: Option<bool>,
}

impl From<Rate> for ThrottleSource {
    /// Counted by each gateway for itself.
    fn from(rate: Rate) -> Self {
        Self { rate, shared: false }
    }
}

/// The throttle that was there before when its figures are the same, so that a change of something else does not fill it.
pub(super) fn throttle_of(
    source: ThrottleSource,
    name: impl FnOnce() -> String,
    before: Option<&Arc<Throttle>>,
) -> Arc<Throttle> {
    let made = Throttle::new(source.rate, source.shared.then(|| name().into()));
    match before.filter(|before| before.rate() == source.rate && before.shared() == made.shared()) {
        Some(before) => Arc::clone(before),
        None => Arc::new(made),
    }
}

pub(super) fn of_stage(api: &ApiSource, stage: &StageSource, known: Known<'_>) -> Arc<Throttle> {
    let before = same_stage(api, stage, known).map(|before| &before.throttle);
    throttle_of(stage.throttle, || format!("stage:{}/{}", api.id, stage.name), before)
}

pub(super) fn of_method(
    operation: &Operation,
    key: &str,
    parts: &Parts<'_>,
    known: Known<'_>,
) -> Option<Arc<Throttle>> {
    let source = pick(&parts.stage.limits.methods, operation, |method| method.throttle)?;
    let before = same_stage(parts.api, parts.stage, known);
    let before = before.and_then(|stage| stage.routes.iter().find(|route| &*route.key == key));
    let name = || format!("method:{}/{} {key}", parts.api.id, parts.stage.name);
    Some(throttle_of(
        source,
        name,
        before.and_then(|route| route.throttle.as_ref()),
    ))
}

pub(super) fn limits(api: &ApiSource, stage: &StageSource, known: Known<'_>) -> limits::StageLimits {
    let before = same_stage(api, stage, known).map(|before| &before.limits);
    let StageLimits {
        methods: _, // each route has its own
        source,
        principal,
        rate_limit_headers,
    } = &stage.limits;
    let buckets_before = before.and_then(|before| before.source.as_ref());
    let source = source.map(|source| buckets_of(source, buckets_before));
    let principal = principal.map(|source| {
        let before = before.and_then(|before| before.principal.as_ref());
        PrincipalThrottle {
            buckets: buckets_of(source, before.map(|before| &before.buckets)),
            shared: source
                .shared
                .then(|| format!("principal:{}/{}", api.id, stage.name).into()),
        }
    });
    limits::StageLimits {
        source,
        principal,
        rate_limit_headers: *rate_limit_headers,
        subscriptions: Subscriptions::default(),
    }
}

fn buckets_of(source: KeyedSource, before: Option<&Arc<KeyedBuckets>>) -> Arc<KeyedBuckets> {
    let same = |before: &&Arc<KeyedBuckets>| {
        before.rate() == source.rate && before.entries_max() == KeyedBuckets::rounded(source.entries_max)
    };
    match before.filter(same) {
        Some(before) => Arc::clone(before),
        None => Arc::new(KeyedBuckets::new(source.rate, source.entries_max)),
    }
}

/// Where a route's API key comes from; `None` when that cannot be honoured.
pub(super) fn api_key(operation: &Operation, api: &ApiSource, findings: &mut Findings) -> Option<Option<ApiKeyFrom>> {
    let Some(place) = &operation.api_key else {
        return Some(None);
    };
    match api.document.api_key_source {
        ApiKeySource::Header => Some(Some(ApiKeyFrom::Header)),
        ApiKeySource::Authorizer => {
            let scheme = operation.security.as_ref().map(|security| security.scheme.as_str());
            let authorizer = scheme.and_then(|scheme| api.document.authorizers.get(scheme));
            let claim = authorizer.and_then(|authorizer| match &authorizer.kind {
                AuthorizerKind::Token(token) => token.usage_identifier_claim.as_ref(),
                AuthorizerKind::Jwt(_) => None,
            });
            if let Some(claim) = claim {
                return Some(Some(ApiKeyFrom::Claim(claim.value.as_str().into())));
            }
            let message = format!(
                "{}: the API key is to come from an authoriser, and none says which it is",
                route_key(operation)
            );
            let remedy = "write `usageIdentifierClaim` in its `x-portcullis-authorizer`: the claim that holds the key's id; or \
                          `x-amazon-apigateway-api-key-source: HEADER`";
            findings.error(place.clone(), "usage-identifier-missing", message, remedy);
            None
        }
    }
}
