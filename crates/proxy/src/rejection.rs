//! Every way in which the pipeline can refuse a request, and what each means to the caller, the operator and the log.
//!
//! [`Rejection::facts`] has no wildcard: a new refusal does not compile until every question about it is answered. A
//! golden file (`tests/golden/rejections.txt`) lists the answers; it is a contract.

use std::borrow::Cow;

use portcullis_core::PathError;
use portcullis_jose::TokenError;
use portcullis_model::{gateway_response::ResponseType, snapshot::ApiKind};
use portcullis_net::tls::ClientCertificateFault;

use crate::Step;

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq)]
pub enum Rejection {
    /// The route demands an API key and there is none.
    ApiKeyMissing,
    /// The API key is unknown, disabled, or in no usage plan of this stage.
    ApiKeyRefused,
    /// The request's ARN is too long to evaluate a policy for.
    ArnTooLong,
    /// The caller's address is not the one in the token, or the header bound to it is another.
    BindingMismatch,
    /// The announced length of the body is larger than allowed.
    BodyAnnouncedTooLarge,
    /// The body's framing or chunks are broken.
    BodyMalformed,
    /// The body did not come in time.
    BodyTimeout,
    /// The body turned out to be larger than allowed.
    BodyTooLarge,
    /// The client's certificate does not let it in, or no longer.
    ClientCertificate(ClientCertificateFault),
    /// The caller went away before an answer could be given.
    ClientGone,
    /// An identity-based policy does not allow the request.
    Denied {
        /// Whether a statement denies it.
        explicit: bool,
    },
    /// The stage at this default address is served by custom domains alone.
    EndpointDisabled(ApiKind),
    /// The head or its framing is malformed or ambiguous; the text says which.
    HeadMalformed(&'static str),
    /// The head did not come in time.
    HeadTimeout,
    /// The header fields are too large or too many.
    HeadersTooLarge,
    /// The head of the origin's answer is not well-formed HTTP.
    IntegrationMalformed,
    /// The origin did not answer in time.
    IntegrationTimeout,
    /// The origin cannot be reached.
    IntegrationUnreachable,
    /// A fresh answer is asked for by who may not have one fetched.
    InvalidationDenied,
    /// A JWT is required and absent (HTTP APIs).
    JwtMissing,
    /// A JWT does not pass (HTTP APIs).
    JwtRefused(TokenError),
    /// The keys to verify a token with cannot be had.
    KeysUnavailable,
    /// A mapping gives a value that cannot stand where it is to go.
    MappingFailed(String),
    /// Other client certificates are asked for at the host that the request is for than on this connection.
    Misdirected,
    /// No route for the path and verb.
    NoRoute,
    /// Too many requests are under way.
    Overloaded,
    /// The path is not one that every party reads alike.
    PathRefused(PathError),
    /// The authoriser's policy cannot be made from this token's claims.
    PolicyUnmade,
    /// The usage plan's quota is used up.
    QuotaExceeded {
        /// When the next period begins.
        retry_after_ms: Option<u64>,
    },
    /// The resource policy refuses the request.
    ResourcePolicy {
        /// Whether a statement denies it.
        explicit: bool,
        /// The request's ARN, its account masked.
        arn: String,
    },
    /// A JWT holds none of the scopes demanded.
    ScopeMissing,
    /// Too many requests from one source.
    SourceThrottled {
        /// When a token will be back; `None` when none ever will.
        retry_after_ms: Option<u64>,
    },
    /// A throttle is empty.
    Throttled {
        /// Which: `stage`, `method`, `plan` …
        limit: &'static str,
        /// When a token will be back; `None` when none ever will.
        retry_after_ms: Option<u64>,
    },
    /// The token, its id or its subject is on the deny list.
    TokenDenied,
    /// A token does not look as the authoriser's expression demands.
    TokenMismatch,
    /// No token.
    TokenMissing,
    /// A token does not pass.
    TokenRefused(TokenError),
    /// No stage at this host and path.
    UnknownStage,
    /// The host is a custom domain without a base path mapping for this path.
    UnmappedPath,
    /// The request target is too long.
    UriTooLong,
}

/// Who has to do something about a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// Who sent the request.
    Client,
    /// Whoever runs this gateway.
    Gateway,
    /// Whoever runs the origin.
    Upstream,
}

/// Whether the same request may do better later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Not without a change by the party at fault.
    Never,
    /// After the time in `Retry-After`, or a pause when there is none.
    Later,
    /// At once, on another connection.
    Reconnect,
}

/// What a refusal means.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// The step that refuses.
    pub step: Step,
    /// The gateway response that a REST API answers with.
    pub response: ResponseType,
    /// A REST API's status before customisation.
    pub status: u16,
    /// `$context.error.message`: what the caller of a REST API reads; `None` reads `null`.
    pub message: Option<Cow<'static, str>>,
    /// An HTTP API's status.
    pub http_status: u16,
    /// What the caller of an HTTP API reads.
    pub http_message: &'static str,
    /// Who is at fault.
    pub party: Party,
    /// Whether to try again.
    pub retry: Retry,
}

const EXPLICIT: &str =
    "User is not authorized to access this resource with an explicit deny in an identity-based policy";
const IMPLICIT: &str = "User is not authorized to access this resource because no identity-based policy allows the \
                        execute-api:Invoke action";
const NOT_INVALIDATED: &str = "User is not authorized to access this resource because no identity-based policy allows the \
                               execute-api:InvalidateCache action";

// === impl Rejection ===

impl Rejection {
    /// What this refusal means. Messages are static text, or text of ours around the caller's own ARN.
    #[rustfmt::skip] // a table: one row, one refusal
    pub fn facts(&self) -> Facts {
        use {Party::*, ResponseType as R, Retry::*, Step::*};
        match self {
            Self::ApiKeyMissing => Facts::of(Throttle, R::InvalidApiKey, Client, Never).http("Forbidden"),
            Self::ApiKeyRefused => Facts::of(Throttle, R::InvalidApiKey, Client, Never).http("Forbidden"),
            Self::ArnTooLong => Facts::of(Authorize, R::BadRequestParameters, Client, Never).status(414).says("Request URI too long", "Request URI Too Long"),
            Self::BindingMismatch => Facts::of(Authenticate, R::AccessDenied, Client, Never).says(EXPLICIT, "Forbidden"),
            Self::BodyAnnouncedTooLarge => Facts::of(Receive, R::RequestTooLarge, Client, Never).http("Request Entity Too Large"),
            Self::BodyMalformed => Facts::of(Integrate, R::BadRequestBody, Client, Never).http("Bad Request"),
            Self::BodyTimeout => Facts::of(Integrate, R::BadRequestParameters, Client, Reconnect).status(408).says("Request timed out", "Request Timeout"),
            Self::BodyTooLarge => Facts::of(Integrate, R::RequestTooLarge, Client, Never).http("Request Entity Too Large"),
            Self::ClientCertificate(_) => Facts::of(Authenticate, R::AccessDenied, Client, Never).says("Forbidden", "Forbidden"),
            Self::ClientGone => Facts::of(Integrate, R::BadRequestParameters, Client, Reconnect).status(499).says("Client closed request", "Client Closed Request"),
            Self::Denied { explicit: true } => Facts::of(Authorize, R::AccessDenied, Client, Never).says(EXPLICIT, "Forbidden"),
            Self::Denied { explicit: false } => Facts::of(Authorize, R::AccessDenied, Client, Never).says(IMPLICIT, "Forbidden"),
            Self::EndpointDisabled(_) => Facts::of(Locate, R::WafFiltered, Client, Never).http("Not Found").http_status(404),
            Self::HeadMalformed(reason) => Facts::of(Receive, R::BadRequestParameters, Client, Never).says(format!("Bad request: {reason}"), "Bad Request"),
            Self::HeadTimeout => Facts::of(Receive, R::BadRequestParameters, Client, Reconnect).status(408).says("Request timed out", "Request Timeout"),
            Self::HeadersTooLarge => Facts::of(Receive, R::BadRequestParameters, Client, Never).status(431).says("Request header fields too large", "Request Header Fields Too Large"),
            Self::IntegrationMalformed => Facts::of(Integrate, R::IntegrationFailure, Upstream, Later).status(502).says("Internal server error", "Internal Server Error").http_status(500),
            Self::IntegrationTimeout => Facts::of(Integrate, R::IntegrationTimeout, Upstream, Later).http("Service Unavailable").http_status(503),
            Self::IntegrationUnreachable => Facts::of(Integrate, R::IntegrationFailure, Upstream, Later).http("Service Unavailable").http_status(503),
            Self::InvalidationDenied => Facts::of(Cache, R::AccessDenied, Client, Never).says(NOT_INVALIDATED, "Forbidden"),
            Self::JwtMissing => Facts::of(Authenticate, R::Unauthorized, Client, Never).http("Unauthorized"),
            Self::JwtRefused(_) => Facts::of(Authenticate, R::Unauthorized, Client, Never).http("Unauthorized"),
            Self::KeysUnavailable => Facts::of(Authenticate, R::AuthorizerFailure, Gateway, Later).http("Internal Server Error"),
            Self::MappingFailed(_) => Facts::of(Integrate, R::ApiConfigurationError, Gateway, Never).http("Internal Server Error"),
            Self::Misdirected => Facts::of(Locate, R::WafFiltered, Client, Reconnect).status(421).says("Misdirected Request", "Misdirected Request"),
            Self::NoRoute => Facts::of(Route, R::MissingAuthenticationToken, Client, Never).http("Not Found").http_status(404),
            Self::Overloaded => Facts::of(Receive, R::ApiConfigurationError, Gateway, Later).status(503).says("Service unavailable", "Service Unavailable"),
            Self::PathRefused(error) => Facts::of(Receive, R::BadRequestParameters, Client, Never).says(format!("Bad request: {error}"), "Bad Request"),
            Self::PolicyUnmade => Facts::of(Authenticate, R::AuthorizerConfigurationError, Gateway, Never).http("Internal Server Error"),
            Self::QuotaExceeded { .. } => Facts::of(Throttle, R::QuotaExceeded, Client, Later).http("Limit Exceeded"),
            Self::ResourcePolicy { explicit, arn } => Facts::of(ResourcePolicy, R::AccessDenied, Client, Never).says(resource_policy_text(*explicit, arn), "Forbidden"),
            Self::ScopeMissing => Facts::of(Authorize, R::AccessDenied, Client, Never).http("Forbidden"),
            Self::SourceThrottled { .. } => Facts::of(Shield, R::Throttled, Client, Later).http("Too Many Requests"),
            Self::Throttled { .. } => Facts::of(Throttle, R::Throttled, Client, Later).http("Too Many Requests"),
            Self::TokenDenied => Facts::of(Authenticate, R::AccessDenied, Client, Never).says(EXPLICIT, "Forbidden"),
            Self::TokenMismatch => Facts::of(Authenticate, R::Unauthorized, Client, Never).http("Unauthorized"),
            Self::TokenMissing => Facts::of(Authenticate, R::Unauthorized, Client, Never).http("Unauthorized"),
            Self::TokenRefused(_) => Facts::of(Authenticate, R::AccessDenied, Client, Never).says(EXPLICIT, "Forbidden"),
            // Before a stage is known there are no gateway responses to customise; the body is the one that Amazon gives.
            Self::UnknownStage => Facts::of(Locate, R::WafFiltered, Client, Never).http("Forbidden"),
            Self::UnmappedPath => Facts::of(Locate, R::WafFiltered, Client, Never).http("Forbidden"),
            Self::UriTooLong => Facts::of(Receive, R::BadRequestParameters, Client, Never).status(414).says("Request URI too long", "Request URI Too Long"),
        }
    }

    /// What the log says (`$context.authorizer.error`, `$context.integrationErrorMessage`); never parts of a token, and
    /// never sent to a caller.
    pub fn log_text(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::ApiKeyMissing => "there is no API key",
            Self::ApiKeyRefused => "the API key is unknown, disabled, or in no usage plan of this stage",
            Self::ArnTooLong => "the method ARN is longer than 1600 bytes",
            Self::BindingMismatch => "a claim that binds the token does not agree with the request",
            Self::BodyMalformed => "the request body's framing is broken",
            Self::BodyTimeout => "the request body did not come in time",
            Self::BodyAnnouncedTooLarge | Self::BodyTooLarge => "the request body is over the limit",
            Self::ClientCertificate(fault) => return Cow::Owned(fault.to_string()),
            Self::ClientGone => "the caller went away",
            Self::Denied { explicit: true } => "an identity-based policy denies the request",
            Self::Denied { explicit: false } => "no identity-based policy allows the request",
            Self::EndpointDisabled(_) => "the default address of this stage is disabled",
            Self::HeadMalformed(reason) => reason,
            Self::HeadTimeout => "the request head did not come in time",
            Self::HeadersTooLarge => "the request's header fields are too large or too many",
            Self::IntegrationMalformed => "the origin's answer is not well-formed HTTP",
            Self::IntegrationTimeout => "the origin did not answer in time",
            Self::IntegrationUnreachable => "the origin cannot be reached",
            Self::InvalidationDenied => "no policy allows execute-api:InvalidateCache",
            Self::JwtMissing | Self::TokenMissing => "there is no token",
            Self::JwtRefused(error) | Self::TokenRefused(error) => return Cow::Owned(error.to_string()),
            Self::KeysUnavailable => "the keys to verify tokens with cannot be had",
            Self::MappingFailed(what) => return Cow::Owned(what.clone()),
            Self::Misdirected => "the connection was made for another host, which asks for other client certificates",
            Self::NoRoute => "no route for this path and method",
            Self::Overloaded => "too many requests are under way",
            Self::PathRefused(error) => return Cow::Owned(error.to_string()),
            Self::PolicyUnmade => "the authoriser's policy cannot be made from the token's claims",
            Self::QuotaExceeded { .. } => "the usage plan's quota is used up",
            Self::ResourcePolicy { explicit: true, .. } => "the resource policy denies the request",
            Self::ResourcePolicy { explicit: false, .. } => "the resource policy does not allow the request",
            Self::ScopeMissing => "the token holds none of the route's scopes",
            Self::SourceThrottled { .. } => "the throttle of the request's source is empty",
            Self::Throttled { limit, .. } => return Cow::Owned(format!("the throttle `{limit}` is empty")),
            Self::TokenDenied => "the token is on the deny list",
            Self::TokenMismatch => "the token does not match identityValidationExpression",
            Self::UnknownStage => "no stage at this host and path",
            Self::UnmappedPath => "no base path of this domain covers the path",
            Self::UriTooLong => "the request target is too long",
        })
    }
}

fn resource_policy_text(explicit: bool, arn: &str) -> String {
    let why = if explicit {
        "with an explicit deny in a resource-based policy"
    } else {
        "because no resource-based policy allows the execute-api:Invoke action"
    };
    format!("User: anonymous is not authorized to perform: execute-api:Invoke on resource: {arn} {why}")
}

// === impl Facts ===

impl Facts {
    fn of(step: Step, response: ResponseType, party: Party, retry: Retry) -> Self {
        let defaults = response.defaults();
        let (status, message) = (defaults.status, defaults.message.map(Cow::Borrowed));
        Self {
            step,
            response,
            status,
            message,
            http_status: status,
            http_message: "",
            party,
            retry,
        }
    }

    fn status(self, status: u16) -> Self {
        Self {
            status,
            http_status: status,
            ..self
        }
    }

    fn says(self, message: impl Into<Cow<'static, str>>, http_message: &'static str) -> Self {
        Self {
            message: Some(message.into()),
            http_message,
            ..self
        }
    }

    fn http(self, http_message: &'static str) -> Self {
        Self { http_message, ..self }
    }

    fn http_status(self, http_status: u16) -> Self {
        Self { http_status, ..self }
    }
}
