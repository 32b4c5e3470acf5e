//! Fetching JWK sets over HTTP.
//!
//! Bounds (Amazon's for JWT authorisers): discovery document and key set each within 1,500 ms, 150,000 bytes. Redirects are
//! not followed: who can redirect the fetch could sign any token.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue, Method, StatusCode, header, uri::PathAndQuery};
use portcullis_jose::{JwksError, KeySet};
use portcullis_model::snapshot::{JwksUrl, KeySource};
use portcullis_net::{
    Body, BodyError,
    upstream::{Call, Client, ClientSettings, FieldLines, Origin, RetryRule, UpstreamError},
};

use crate::origins::{self, Material, OriginUnusable};

/// Time for each of the two fetches.
const TIMEOUT: Duration = Duration::from_millis(1_500);
/// Bytes of each answer at most.
const BYTES_MAX: usize = 150_000;

/// Why a key set could not be fetched.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    /// The answer's body broke off.
    #[error("the answer broke off: {0}")]
    Body(BodyError),
    /// The discovery document names no usable `jwks_uri`, or one of another issuer.
    #[error("the discovery document names no usable `jwks_uri`")]
    Discovery,
    /// The set cannot be used.
    #[error("no usable JWK set: {0}")]
    Jwks(#[from] JwksError),
    /// The URL cannot be called.
    #[error("{0}")]
    Origin(#[from] OriginUnusable),
    /// Not 200.
    #[error("the answer's status is {0}")]
    Status(StatusCode),
    /// Too slow.
    #[error("no whole answer within {} ms", TIMEOUT.as_millis())]
    Timeout,
    /// Larger than allowed.
    #[error("the answer is larger than {BYTES_MAX} bytes")]
    TooLarge,
    /// It could not be called.
    #[error("{0}")]
    Upstream(#[from] UpstreamError),
}

/// Fetches the keys of a remote source.
pub(super) async fn fetch(source: &KeySource) -> Result<KeySet, FetchError> {
    let text = match source {
        KeySource::JwksUrl(url) => text(url).await?,
        KeySource::Discovery(url) => {
            let document = text(url).await?;
            text(&jwks_uri(&document)?).await?
        }
        KeySource::Secrets { .. } | KeySource::JwksFile(_) => return Err(FetchError::Discovery),
    };
    let (keys, skipped) = KeySet::from_jwks(&text)?;
    for key in skipped {
        tracing::warn!(?key, "a key of a fetched JWK set is not used");
    }
    Ok(keys)
}

/// OpenID Connect Discovery 1.0 section 3: `jwks_uri` is required.
fn jwks_uri(document: &[u8]) -> Result<JwksUrl, FetchError> {
    let document: serde_json::Value = serde_json::from_slice(document).map_err(|_| FetchError::Discovery)?;
    let uri = document
        .get("jwks_uri")
        .and_then(|uri| uri.as_str())
        .ok_or(FetchError::Discovery)?;
    JwksUrl::parse(uri).map_err(|_| FetchError::Discovery)
}

async fn text(url: &JwksUrl) -> Result<Vec<u8>, FetchError> {
    tokio::time::timeout(TIMEOUT, call(url))
        .await
        .map_err(|_| FetchError::Timeout)?
}

async fn call(url: &JwksUrl) -> Result<Vec<u8>, FetchError> {
    let origin: Arc<Origin> = origins::origin(&url.origin, &Material::read(&url.origin)?)?;
    let target = PathAndQuery::try_from(url.target.as_str()).map_err(|_| FetchError::Discovery)?;
    let headers = HeaderMap::from_iter([
        (header::ACCEPT, HeaderValue::from_static("application/json")),
        (header::USER_AGENT, HeaderValue::from_static("portcullis")),
    ]);
    // A client of its own: a pool belongs to one worker, and this is once an hour.
    let client = Client::new(ClientSettings::default());
    let answer = client
        .call(
            &origin,
            Call {
                method: Method::GET,
                target,
                headers,
                lines: FieldLines::default(),
                host: None,
                body: Body::Empty,
                body_length: None,
                deadline: tokio::time::Instant::now() + TIMEOUT,
                body_idle_timeout: TIMEOUT,
                retry: RetryRule::Never,
                upgrade: false,
            },
        )
        .await?;
    if answer.status != StatusCode::OK {
        return Err(FetchError::Status(answer.status));
    }
    answer.body.read_whole(BYTES_MAX).await.map_err(|error| match error {
        BodyError::TooLarge { .. } => FetchError::TooLarge,
        error => FetchError::Body(error),
    })
}
