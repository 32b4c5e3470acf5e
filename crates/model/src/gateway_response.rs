//! The answers that the gateway gives by itself: their types, defaults and customisation.
//!
//! Source: Amazon's list of gateway response types with the statuses, messages and error types recorded from the service.

use portcullis_template::gateway::{GatewayTemplate, HeaderSource};

/// The type of a gateway response (REST APIs), in alphabetical order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each is Amazon's own name, in `as_str`")]
pub enum ResponseType {
    AccessDenied,
    ApiConfigurationError,
    AuthorizerConfigurationError,
    AuthorizerFailure,
    BadRequestBody,
    BadRequestParameters,
    Default4xx,
    Default5xx,
    ExpiredToken,
    IntegrationFailure,
    IntegrationTimeout,
    InvalidApiKey,
    InvalidSignature,
    MissingAuthenticationToken,
    QuotaExceeded,
    RequestTooLarge,
    ResourceNotFound,
    Throttled,
    Unauthorized,
    UnsupportedMediaType,
    WafFiltered,
}

/// What a response type answers when nothing is customised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// The status; 0 for the two defaults, which have none of their own.
    pub status: u16,
    /// `$context.error.message`; `None` reads `null` in the body.
    pub message: Option<&'static str>,
    /// `x-amzn-ErrorType`; empty for the two defaults.
    pub error_type: &'static str,
}

/// The customised gateway responses of one API.
#[derive(Debug, Default)]
pub struct GatewayResponses(Vec<(ResponseType, CustomResponse)>);

/// One customised gateway response.
#[derive(Debug)]
pub struct CustomResponse {
    /// The status instead of the type's own.
    pub status: Option<u16>,
    /// Headers to add.
    pub headers: Vec<(http::HeaderName, HeaderSource)>,
    /// Bodies by media type; the first is taken when the caller's `Accept` names none of them.
    pub templates: Vec<(String, GatewayTemplate)>,
}

// === impl ResponseType ===

impl ResponseType {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::AccessDenied,
        Self::ApiConfigurationError,
        Self::AuthorizerConfigurationError,
        Self::AuthorizerFailure,
        Self::BadRequestBody,
        Self::BadRequestParameters,
        Self::Default4xx,
        Self::Default5xx,
        Self::ExpiredToken,
        Self::IntegrationFailure,
        Self::IntegrationTimeout,
        Self::InvalidApiKey,
        Self::InvalidSignature,
        Self::MissingAuthenticationToken,
        Self::QuotaExceeded,
        Self::RequestTooLarge,
        Self::ResourceNotFound,
        Self::Throttled,
        Self::Unauthorized,
        Self::UnsupportedMediaType,
        Self::WafFiltered,
    ];

    /// From Amazon's name (`ACCESS_DENIED`).
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == name)
    }

    /// Amazon's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccessDenied => "ACCESS_DENIED",
            Self::ApiConfigurationError => "API_CONFIGURATION_ERROR",
            Self::AuthorizerConfigurationError => "AUTHORIZER_CONFIGURATION_ERROR",
            Self::AuthorizerFailure => "AUTHORIZER_FAILURE",
            Self::BadRequestBody => "BAD_REQUEST_BODY",
            Self::BadRequestParameters => "BAD_REQUEST_PARAMETERS",
            Self::Default4xx => "DEFAULT_4XX",
            Self::Default5xx => "DEFAULT_5XX",
            Self::ExpiredToken => "EXPIRED_TOKEN",
            Self::IntegrationFailure => "INTEGRATION_FAILURE",
            Self::IntegrationTimeout => "INTEGRATION_TIMEOUT",
            Self::InvalidApiKey => "INVALID_API_KEY",
            Self::InvalidSignature => "INVALID_SIGNATURE",
            Self::MissingAuthenticationToken => "MISSING_AUTHENTICATION_TOKEN",
            Self::QuotaExceeded => "QUOTA_EXCEEDED",
            Self::RequestTooLarge => "REQUEST_TOO_LARGE",
            Self::ResourceNotFound => "RESOURCE_NOT_FOUND",
            Self::Throttled => "THROTTLED",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::UnsupportedMediaType => "UNSUPPORTED_MEDIA_TYPE",
            Self::WafFiltered => "WAF_FILTERED",
        }
    }

    /// Status, message and error type when nothing is customised.
    pub const fn defaults(self) -> Defaults {
        const fn of(status: u16, message: Option<&'static str>, error_type: &'static str) -> Defaults {
            Defaults {
                status,
                message,
                error_type,
            }
        }
        const INTERNAL: Option<&str> = Some("Internal server error");
        match self {
            Self::AccessDenied => of(
                403,
                Some("User is not authorized to access this resource"),
                "AccessDeniedException",
            ),
            Self::ApiConfigurationError => of(500, INTERNAL, "InternalServerErrorException"),
            Self::AuthorizerConfigurationError => of(500, None, "AuthorizerConfigurationException"),
            Self::AuthorizerFailure => of(500, None, "AuthorizerFailureException"),
            Self::BadRequestBody => of(400, Some("Invalid request body"), "BadRequestException"),
            Self::BadRequestParameters => of(400, Some("Bad request"), "BadRequestException"),
            Self::Default4xx | Self::Default5xx => of(0, None, ""),
            Self::ExpiredToken => of(
                403,
                Some("The security token included in the request is expired"),
                "ExpiredTokenException",
            ),
            Self::IntegrationFailure => of(
                504,
                Some("Network error communicating with endpoint"),
                "InternalServerErrorException",
            ),
            Self::IntegrationTimeout => of(504, Some("Endpoint request timed out"), "InternalServerErrorException"),
            Self::InvalidApiKey | Self::WafFiltered => of(403, Some("Forbidden"), "ForbiddenException"),
            Self::InvalidSignature => of(
                403,
                Some("The request signature we calculated does not match the signature you provided."),
                "InvalidSignatureException",
            ),
            Self::MissingAuthenticationToken => of(
                403,
                Some("Missing Authentication Token"),
                "MissingAuthenticationTokenException",
            ),
            Self::QuotaExceeded => of(429, Some("Limit Exceeded"), "LimitExceededException"),
            Self::RequestTooLarge => of(
                413,
                Some("HTTP content length exceeded 10485760 bytes."),
                "RequestTooLargeException",
            ),
            Self::ResourceNotFound => of(404, Some("Not Found"), "ResourceNotFoundException"),
            Self::Throttled => of(429, Some("Too Many Requests"), "TooManyRequestsException"),
            Self::Unauthorized => of(401, Some("Unauthorized"), "UnauthorizedException"),
            Self::UnsupportedMediaType => of(415, Some("Unsupported Media Type"), "BadRequestException"),
        }
    }

    /// Whether an API may customise it (all but `REQUEST_TOO_LARGE`).
    pub fn is_customizable(self) -> bool {
        self != Self::RequestTooLarge
    }
}

// === impl GatewayResponses ===

impl GatewayResponses {
    /// Takes the customised ones; of two for one type the first counts.
    pub fn new(custom: Vec<(ResponseType, CustomResponse)>) -> Self {
        Self(custom)
    }

    /// Whether nothing is customised.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The customisation for a response of `kind` that would have `status`: of its exact type, else of the default of its
    /// class. The second is the status to answer with (Amazon: a default with a status changes every type without its own).
    pub fn find(&self, kind: ResponseType, status: u16) -> (Option<&CustomResponse>, u16) {
        let class = if status >= 500 {
            ResponseType::Default5xx
        } else {
            ResponseType::Default4xx
        };
        let of = |wanted| {
            self.0
                .iter()
                .find(|(known, _)| *known == wanted)
                .map(|(_, custom)| custom)
        };
        if !kind.is_customizable() {
            return (None, status);
        }
        let (exact, default) = (of(kind), of(class));
        let custom_status = exact
            .and_then(|custom| custom.status)
            .or(default.and_then(|custom| custom.status));
        (exact.or(default), custom_status.unwrap_or(status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn custom(status: Option<u16>) -> CustomResponse {
        CustomResponse {
            status,
            headers: Vec::new(),
            templates: Vec::new(),
        }
    }

    #[test]
    fn names_read_back() {
        for kind in ResponseType::ALL {
            assert_eq!(ResponseType::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(ResponseType::parse("access_denied"), None);
    }

    #[test]
    fn exact_type_then_default_of_the_class_then_built_in() {
        let responses = GatewayResponses::new(vec![
            (ResponseType::AccessDenied, custom(None)),
            (ResponseType::Unauthorized, custom(Some(418))),
            (ResponseType::Default4xx, custom(Some(404))),
        ]);
        let status = |kind: ResponseType| responses.find(kind, kind.defaults().status).1;
        assert_eq!(status(ResponseType::AccessDenied), 404);
        assert_eq!(status(ResponseType::Unauthorized), 418);
        assert_eq!(status(ResponseType::Throttled), 404);
        assert_eq!(status(ResponseType::RequestTooLarge), 413);
        assert_eq!(status(ResponseType::IntegrationTimeout), 504);
        assert!(responses.find(ResponseType::IntegrationTimeout, 504).0.is_none());
    }
}
