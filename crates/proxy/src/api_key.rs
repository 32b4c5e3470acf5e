//! Step 8, first part: which API key a request brings, and whether a usage plan lets it in here.

use std::sync::Arc;

use http::HeaderMap;
use portcullis_jose::digest::sha256;
use portcullis_model::{
    limits::{ApiKeyFrom, Subscription},
    snapshot::{Route, Stage},
};

use crate::{
    Rejection,
    authenticate::{Caller, Standing},
};

/// The header that carries it.
const HEADER: &str = "x-api-key";
/// What a key's value may have (aws); what is longer is not even digested.
const VALUE_BYTES_MAX: usize = 128;

/// The subscription of the key that a route demands; `None` for a route that demands none.
///
/// The key is found by its digest. Its value is nowhere to be compared with, so that the time that it takes tells nothing of it.
pub(crate) fn identify(
    stage: &Stage,
    route: &Route,
    caller: &Caller,
    headers: &HeaderMap,
) -> Result<Option<Arc<Subscription>>, Rejection> {
    let subscriptions = &stage.limits.subscriptions;
    let found = match &route.api_key {
        None => return Ok(None),
        Some(ApiKeyFrom::Header) => {
            let mut values = headers.get_all(HEADER).iter();
            let value = values.next().ok_or(Rejection::ApiKeyMissing)?.as_bytes();
            let is_one = values.next().is_none() && value.len() <= VALUE_BYTES_MAX;
            is_one.then(|| subscriptions.with_digest(&sha256(value))).flatten()
        }
        Some(ApiKeyFrom::Claim(name)) => {
            let Standing::Verified(verified) = caller.standing() else {
                return Err(Rejection::ApiKeyMissing);
            };
            let id = verified.claims.text(name).ok_or(Rejection::ApiKeyMissing)?;
            subscriptions.with_id(&id)
        }
    };
    found.cloned().map(Some).ok_or(Rejection::ApiKeyRefused)
}
