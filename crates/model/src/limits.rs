//! What bounds requests, compiled: throttles of sources and principals, usage plans and the API keys in them.
//!
//! Counts live behind `Arc`s and are carried over from the snapshot before while their figures stay the same.

use std::{collections::HashMap, sync::Arc};

use portcullis_limit::{KeyedBuckets, Quota, Throttle};

/// The SHA-256 of an API key's value; the value itself is nowhere.
pub type KeyDigest = [u8; 32];

/// What bounds a stage's requests beside its throttle.
#[derive(Debug, Default)]
pub struct StageLimits {
    /// For each source of requests, before anything is decided about them.
    pub source: Option<Arc<KeyedBuckets>>,
    /// For each principal.
    pub principal: Option<PrincipalThrottle>,
    /// Whether answers tell what is left: `None` for those to API keys alone.
    pub rate_limit_headers: Option<bool>,
    /// The API keys that usage plans let in.
    pub subscriptions: Subscriptions,
}

/// A bucket for each principal.
#[derive(Clone, Debug)]
pub struct PrincipalThrottle {
    /// The buckets.
    pub buckets: Arc<KeyedBuckets>,
    /// What other gateways know them by, with the principal's digest behind it.
    pub shared: Option<Box<str>>,
}

/// The API keys that a stage's usage plans let in.
#[derive(Debug, Default)]
pub struct Subscriptions {
    by_digest: HashMap<KeyDigest, Arc<Subscription>>,
    by_id: HashMap<Box<str>, Arc<Subscription>>,
}

/// An API key in the one usage plan that covers a stage.
#[derive(Debug)]
pub struct Subscription {
    /// The key's id.
    pub key_id: Box<str>,
    /// What it may use, over all stages of the plan.
    pub allowance: Arc<Allowance>,
    /// The plan's throttles of methods of this stage, by route.
    pub methods: Vec<Option<Arc<Throttle>>>,
}

/// What an API key may use under a plan.
#[derive(Debug)]
pub struct Allowance {
    /// The plan's name.
    pub plan: Box<str>,
    /// The key's id.
    pub key_id: Box<str>,
    /// The key's name.
    pub key_name: Box<str>,
    /// The plan's throttle, for this key.
    pub throttle: Option<Arc<Throttle>>,
    /// The plan's quota, for this key.
    pub quota: Option<Arc<Quota>>,
}

/// Where a route's API key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiKeyFrom {
    /// Its value stands in `x-api-key`.
    Header,
    /// The authoriser's claim of this name holds its id.
    Claim(Box<str>),
}

// === impl Subscriptions ===

impl Subscriptions {
    /// The subscription of the key whose value has this digest.
    pub fn with_digest(&self, digest: &KeyDigest) -> Option<&Arc<Subscription>> {
        self.by_digest.get(digest)
    }

    /// The subscription of the key of this id.
    pub fn with_id(&self, id: &str) -> Option<&Arc<Subscription>> {
        self.by_id.get(id)
    }

    pub(crate) fn add(&mut self, digest: KeyDigest, subscription: Subscription) {
        let subscription = Arc::new(subscription);
        self.by_id
            .insert(subscription.key_id.clone(), Arc::clone(&subscription));
        self.by_digest.insert(digest, subscription);
    }
}
