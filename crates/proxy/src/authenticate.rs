//! Step 7, first half: who is calling.
//!
//! A token that was verified before is found in a bounded cache by its whole text. What is cached is the *policy* made
//! from it, never a verdict: times, bindings, the deny list and the policy itself are looked at anew on every request.

mod remembered;
mod token;

use std::{net::IpAddr, sync::Arc};

use http::HeaderMap;
use portcullis_core::Timestamp;
use portcullis_jose::{Claims, bindings};
use portcullis_model::snapshot::{Authorizer, BindingTarget, ClaimBinding, Grants};
use portcullis_policy::Policy;

use self::remembered::Remembered;
use crate::{
    Rejection,
    keys::{DenyList, KeyRing},
};

/// Tokens that one authoriser remembers at most.
const TOKENS_MAX: usize = 10_000;
/// Bytes of the tokens that one authoriser remembers at most.
const TOKENS_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Evidence of who is calling.
#[derive(Clone, Debug)]
pub struct Caller(Standing);

/// How a caller stands.
#[derive(Clone, Debug)]
pub(crate) enum Standing {
    /// The route asks nobody who they are.
    Anonymous,
    /// The holder of a verified token.
    Verified(Arc<Verified>),
}

/// A verified token and what was made of it. The token itself is not kept here.
#[derive(Debug)]
pub struct Verified {
    /// Its claims.
    pub(crate) claims: Claims,
    /// Its holder's policy; `None` for an authoriser that only authenticates.
    pub(crate) policy: Option<Policy>,
    /// The claim that names the caller, or `sha256:` and the token's digest where the token names nobody.
    pub(crate) principal: Box<str>,
    /// The token's SHA-256 in hexadecimal, where the authoriser has a deny list that may hold it.
    digest: Option<Box<str>>,
    /// The keys it was verified under.
    epoch: u64,
}

/// What an authoriser needs while the gateway runs.
#[derive(Debug)]
pub struct AuthorizerState {
    keys: Arc<KeyRing>,
    deny_list: Option<Arc<DenyList>>,
    cache: Option<Remembered<Verified>>,
}

/// What of a request an authoriser looks at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Credentials<'r> {
    pub(crate) headers: &'r HeaderMap,
    pub(crate) query: Option<&'r str>,
    pub(crate) source: IpAddr,
    pub(crate) now: Timestamp,
}

/// Finds out who is calling a route; `None` for a route that asks nobody.
pub(crate) async fn authenticate(
    authorizer: Option<(&Authorizer, &AuthorizerState)>,
    credentials: Credentials<'_>,
    api_arn: &str,
) -> Result<Caller, Rejection> {
    let Some((authorizer, state)) = authorizer else {
        return Ok(Caller(Standing::Anonymous));
    };
    let text = token::find(authorizer, credentials)?;
    let verified = match state.cached(text, credentials.now).await {
        Some(verified) => verified,
        None => {
            let verified = Arc::new(token::verify(authorizer, state, text, credentials.now, api_arn).await?);
            state.remember(text, &verified, credentials.now);
            verified
        }
    };
    check_again(authorizer, state, &verified, credentials)?;
    Ok(Caller(Standing::Verified(verified)))
}

/// What may have changed since the token was verified.
fn check_again(
    authorizer: &Authorizer,
    state: &AuthorizerState,
    verified: &Verified,
    credentials: Credentials<'_>,
) -> Result<(), Rejection> {
    if let Some(list) = &state.deny_list {
        let names = [
            verified.claims.value("jti").and_then(|id| id.as_str()),
            verified.claims.sub(),
            verified.digest.as_deref(),
        ];
        if list.holds(names.into_iter().flatten()) {
            return Err(Rejection::TokenDenied);
        }
    }
    let timely = authorizer.rules.check_times(&verified.claims, credentials.now);
    match &authorizer.grants {
        // Out of time under a cached policy: nothing allows the request any more.
        Grants::Policy(_) if timely.is_err() => Err(Rejection::Denied { explicit: false }),
        Grants::Policy(grants) if !bindings_hold(&grants.bindings, verified, credentials) => {
            Err(Rejection::BindingMismatch)
        }
        Grants::Policy(_) => Ok(()),
        Grants::Scopes => timely.map_err(Rejection::JwtRefused),
    }
}

fn bindings_hold(bound: &[ClaimBinding], verified: &Verified, credentials: Credentials<'_>) -> bool {
    bound.iter().all(|binding| {
        let Some(claim) = verified.claims.value(&binding.claim) else {
            return false;
        };
        match &binding.to {
            BindingTarget::SourceAddress => bindings::claim_matches_address(claim, credentials.source),
            BindingTarget::HeaderDigest(name) => {
                let mut values = credentials.headers.get_all(name).iter();
                match (values.next(), values.next()) {
                    (Some(value), None) => bindings::claim_matches_header_digest(claim, value.as_bytes()),
                    _ => false,
                }
            }
        }
    })
}

// === impl AuthorizerState ===

impl AuthorizerState {
    /// The state of an authoriser whose keys and deny list were opened.
    pub fn new(keys: Arc<KeyRing>, deny_list: Option<Arc<DenyList>>, result_ttl_s: u32) -> Self {
        let cache = (result_ttl_s > 0).then(|| Remembered::new(TOKENS_MAX, TOKENS_BYTES_MAX, result_ttl_s));
        Self { keys, deny_list, cache }
    }

    /// The keys that it verifies with.
    pub(crate) fn keys(&self) -> &Arc<KeyRing> {
        &self.keys
    }

    /// Forgets every token.
    pub fn flush(&self) {
        if let Some(cache) = &self.cache {
            cache.clear();
        }
    }

    /// Forgets one token.
    pub fn forget(&self, token: &str) {
        if let Some(cache) = &self.cache {
            cache.forget(token);
        }
    }

    /// Tokens remembered now. Looks at every place, so it is for those who look seldom.
    pub fn remembered(&self) -> u64 {
        self.cache.as_ref().map_or(0, Remembered::count)
    }

    /// A token verified before under the keys that are in force now.
    async fn cached(&self, token: &str, now: Timestamp) -> Option<Arc<Verified>> {
        let verified = self.cache.as_ref()?.get(token, now)?;
        let epoch = self.keys.keys().await.ok()?.epoch;
        (verified.epoch == epoch).then_some(verified)
    }

    fn remember(&self, token: &str, verified: &Arc<Verified>, now: Timestamp) {
        if let Some(cache) = &self.cache {
            cache.put(token, Arc::clone(verified), now);
        }
    }
}

// === impl Caller ===

impl Caller {
    /// How the caller stands.
    pub(crate) fn standing(&self) -> &Standing {
        &self.0
    }

    /// The caller's own policy, where an authoriser gave one.
    pub fn policy(&self) -> Option<&Policy> {
        match &self.0 {
            Standing::Anonymous => None,
            Standing::Verified(verified) => verified.policy.as_ref(),
        }
    }

    /// The principal's name; `None` for an anonymous caller.
    pub fn principal(&self) -> Option<&str> {
        match &self.0 {
            Standing::Anonymous => None,
            Standing::Verified(verified) => Some(&verified.principal),
        }
    }
}
