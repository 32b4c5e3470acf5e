//! The requests of the ACME protocol through our own client.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, uri::PathAndQuery};
use http_body::Body as _;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};

use crate::{
    body::{Body, BodyError},
    upstream::{Call, Client, ClientSettings, FieldLines, Origin, OriginTls, RetryRule, UpstreamError},
};

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of an answer at most: directories, orders and chains have a few thousand.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// A client for one server. Connections are not kept: an order is a dozen requests, a few times a year.
pub(super) struct Http(Arc<OriginTls>);

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("`{0}` is not an `https://` URL of the server")]
    Url(String),
    #[error("the server cannot be called: {0}")]
    Upstream(#[from] UpstreamError),
    #[error("the server's answer broke off: {0}")]
    Body(BodyError),
    #[error("the server's answer has more than {ANSWER_BYTES_MAX} bytes")]
    TooLarge,
    #[error("the server took more than {} s", TIMEOUT.as_secs())]
    Timeout,
}

// === impl Http ===

impl Http {
    pub(super) fn new(tls: OriginTls) -> Self {
        Self(Arc::new(tls))
    }
}

impl HttpClient for Http {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let tls = Arc::clone(&self.0);
        Box::pin(async move {
            let answer = tokio::time::timeout(TIMEOUT, call(tls, request)).await;
            let answer = answer.unwrap_or(Err(Fault::Timeout));
            answer.map_err(|fault| Error::Other(Box::new(fault)))
        })
    }
}

async fn call(tls: Arc<OriginTls>, request: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, Fault> {
    let (parts, body) = request.into_parts();
    let wrong = || Fault::Url(parts.uri.to_string());
    // RFC 8555 section 6.1: HTTPS, always.
    let authority = parts
        .uri
        .authority()
        .filter(|_| parts.uri.scheme_str() == Some("https"));
    let origin = Origin::https(authority.ok_or_else(wrong)?.as_str(), tls).map_err(|_| wrong())?;
    let target = parts.uri.path_and_query().cloned();
    let sent = sent(body).await;
    let client = Client::new(ClientSettings::default());
    let answer = client
        .call(
            &Arc::new(origin),
            Call {
                method: parts.method,
                target: target.unwrap_or(PathAndQuery::from_static("/")),
                headers: parts.headers,
                lines: FieldLines::default(),
                host: None,
                body_length: Some(sent.len() as u64),
                body: if sent.is_empty() { Body::Empty } else { Body::from(sent) },
                deadline: tokio::time::Instant::now() + TIMEOUT,
                body_idle_timeout: TIMEOUT,
                retry: RetryRule::Never,
                upgrade: false,
            },
        )
        .await?;
    let mut response = Response::new(());
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.fields.to_map();
    let bytes = answer
        .body
        .read_whole(ANSWER_BYTES_MAX)
        .await
        .map_err(|error| match error {
            BodyError::TooLarge { .. } => Fault::TooLarge,
            error => Fault::Body(error),
        })?;
    Ok(BytesResponse {
        parts: response.into_parts().0,
        body: Box::new(Bytes::from(bytes)),
    })
}

/// A request's body is one piece or none.
async fn sent(body: BodyWrapper<Bytes>) -> Bytes {
    let mut body = std::pin::pin!(body);
    let frame = std::future::poll_fn(|context| body.as_mut().poll_frame(context)).await;
    let Some(Ok(frame)) = frame else { return Bytes::new() };
    frame.into_data().unwrap_or_default()
}
