//! Posting to a server for the gateway's own sake: notifications and telemetry.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header, uri::PathAndQuery};
use portcullis_net::{
    Body,
    upstream::{Call, Client, ClientSettings, FieldLines, Origin, RetryRule, UpstreamError},
};
use portcullis_proxy::{OriginUnusable, open_origin};

use crate::config::Endpoint;

/// Bytes of an answer that are read, so that its connection can be used again; nobody needs them.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// A server that is posted to. Belongs to one thread's runtime.
pub(crate) struct Post {
    client: Client,
    origin: Arc<Origin>,
    target: PathAndQuery,
    headers: HeaderMap,
    timeout: Duration,
}

/// Why a message was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PostError {
    /// The answer's status is not 2xx.
    #[error("the answer's status is {}", status.as_u16())]
    Status {
        /// The status.
        status: StatusCode,
        /// How long the server wants to be left in peace, when it says.
        retry_after: Option<Duration>,
    },
    /// No answer in time.
    #[error("no answer in time")]
    Timeout,
    /// It could not be called.
    #[error("{0}")]
    Upstream(#[from] UpstreamError),
}

/// Why a server cannot be posted to at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PostUnusable {
    /// Its origin.
    #[error("{0}")]
    Origin(#[from] OriginUnusable),
    /// Its path or query.
    #[error("`{0}` is no path that can be called")]
    Target(String),
}

// === impl Post ===

impl Post {
    /// To `endpoint`, whose path is `suffix` longer.
    pub(crate) fn new(
        endpoint: &Endpoint,
        suffix: &str,
        headers: HeaderMap,
        timeout: Duration,
    ) -> Result<Self, PostUnusable> {
        let target = match suffix {
            "" => endpoint.target.clone(),
            _ => format!("{}{suffix}", endpoint.target.trim_end_matches('/')),
        };
        Ok(Self {
            client: Client::new(ClientSettings::default()),
            origin: open_origin(&endpoint.origin)?,
            target: PathAndQuery::try_from(target.as_str()).map_err(|_| PostUnusable::Target(target))?,
            headers,
            timeout,
        })
    }

    /// Sends a message; it was taken when the answer is 2xx. Redirects are not followed.
    pub(crate) async fn send(&self, more: HeaderMap, body: Bytes) -> Result<(), PostError> {
        let sent = tokio::time::timeout(self.timeout, self.call(more, body));
        sent.await.map_err(|_| PostError::Timeout)?
    }

    async fn call(&self, more: HeaderMap, body: Bytes) -> Result<(), PostError> {
        let mut headers = self.headers.clone();
        headers.extend(more);
        headers.insert(header::USER_AGENT, HeaderValue::from_static("portcullis"));
        let call = Call {
            method: Method::POST,
            target: self.target.clone(),
            headers,
            lines: FieldLines::default(),
            host: None,
            body_length: Some(body.len() as u64),
            body: Body::from(body),
            deadline: tokio::time::Instant::now() + self.timeout,
            body_idle_timeout: self.timeout,
            retry: RetryRule::Safe,
            upgrade: false,
        };
        let answer = self.client.call(&self.origin, call).await?;
        let status = answer.status;
        let retry_after = answer.fields.get("retry-after").and_then(|value| {
            let seconds = std::str::from_utf8(value).ok()?.trim().parse().ok()?;
            Some(Duration::from_secs(seconds))
        });
        let _ = answer.body.read_whole(ANSWER_BYTES_MAX).await; // however much comes, the status counts
        if status.is_success() {
            Ok(())
        } else {
            Err(PostError::Status { status, retry_after })
        }
    }
}

// === impl PostError ===

impl PostError {
    /// Whether it may go better later (as OTLP/HTTP and Standard Webhooks say).
    pub(crate) fn is_worth_another_try(&self) -> bool {
        match self {
            Self::Status { status, .. } => matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504),
            Self::Timeout | Self::Upstream(_) => true,
        }
    }

    /// How long the server wants to be left in peace.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            Self::Timeout | Self::Upstream(_) => None,
        }
    }
}
