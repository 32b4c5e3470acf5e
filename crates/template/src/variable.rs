//! `$context` variables: a closed list, each known to one product or both.
//!
//! Source: Amazon's lists of `$context` variables for access logging, data models and mapping of REST and HTTP APIs.

use portcullis_core::suggest::did_you_mean;

use crate::shown::shown;
pub use crate::sink::{Escape, Sink};

/// The product whose variables are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    /// REST APIs.
    Rest,
    /// HTTP APIs.
    Http,
}

/// A `$context` variable. Two names of one value (`integrationLatency`, `integration.latency`) are one variable.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is Amazon's own name, in `NAMES`")]
pub enum Variable {
    AccountId,
    ApiId,
    AuthenticateError,
    AuthenticateLatency,
    AuthenticateStatus,
    AuthorizeError,
    AuthorizeLatency,
    AuthorizeStatus,
    AuthorizerClaim(Box<str>),
    AuthorizerError,
    AuthorizerIntegrationLatency,
    AuthorizerIntegrationStatus,
    AuthorizerLatency,
    AuthorizerPrincipalId,
    AuthorizerProperty(Box<str>),
    AuthorizerRequestId,
    AuthorizerStatus,
    AwsEndpointRequestId,
    AwsEndpointRequestId2,
    BasePathMatched,
    DataProcessed,
    DeploymentId,
    DomainName,
    DomainPrefix,
    ErrorMessage,
    ErrorMessageString,
    ErrorResponseType,
    ErrorValidationErrorString,
    ExtendedRequestId,
    HttpMethod,
    IdentityAccessKey,
    IdentityAccountId,
    IdentityApiKey,
    IdentityApiKeyId,
    IdentityCaller,
    IdentityClientCertIssuerDn,
    IdentityClientCertNotAfter,
    IdentityClientCertNotBefore,
    IdentityClientCertPem,
    IdentityClientCertSerialNumber,
    IdentityClientCertSubjectDn,
    IdentityCognitoAuthenticationProvider,
    IdentityCognitoAuthenticationType,
    IdentityCognitoIdentityId,
    IdentityCognitoIdentityPoolId,
    IdentityPrincipalOrgId,
    IdentitySourceIp,
    IdentityUser,
    IdentityUserAgent,
    IdentityUserArn,
    IdentityVpcId,
    IdentityVpceId,
    IntegrationError,
    IntegrationLatency,
    IntegrationServiceStatus,
    IntegrationStatus,
    IsCanaryRequest,
    Path,
    Protocol,
    RequestId,
    RequestTime,
    RequestTimeEpoch,
    ResourceId,
    ResourcePath,
    ResponseLatency,
    ResponseLength,
    RouteKey,
    Stage,
    Status,
    WafError,
    WafLatency,
    WafResponseCode,
    WafStatus,
    WebAclArn,
    XrayTraceId,
}

/// Why a name is no variable that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VariableError {
    /// It belongs to another product.
    #[error("`$context.{0}` is not known to this kind of API")]
    OtherProduct(String),
    /// It can be written in mapping templates only.
    #[error("`$context.{0}` can only be written in a mapping template")]
    TemplateOnly(String),
    /// Nobody knows it.
    #[error("`$context.{name}` is unknown{suggestion}")]
    Unknown {
        /// The name as written.
        name: String,
        /// ` (did you mean …?)` or nothing.
        suggestion: String,
    },
    /// It belongs to WebSocket APIs.
    #[error("`$context.{0}` exists for WebSocket APIs only, which are not supported")]
    WebSocket(String),
}

/// The values of one request.
pub trait ContextValues {
    /// Writes the value of `variable`, if the request has one.
    fn write(&self, variable: &Variable, sink: &mut Sink<'_>);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Both,
    Http,
    Rest,
}

use Known::{Both, Http, Rest};

/// Every fixed name.
const NAMES: &[(&str, Variable, Known)] = &[
    ("accountId", Variable::AccountId, Both),
    ("apiId", Variable::ApiId, Both),
    ("authenticate.error", Variable::AuthenticateError, Rest),
    ("authenticate.latency", Variable::AuthenticateLatency, Rest),
    ("authenticate.status", Variable::AuthenticateStatus, Rest),
    ("authorize.error", Variable::AuthorizeError, Rest),
    ("authorize.latency", Variable::AuthorizeLatency, Rest),
    ("authorize.status", Variable::AuthorizeStatus, Rest),
    ("authorizer.error", Variable::AuthorizerError, Both),
    (
        "authorizer.integrationLatency",
        Variable::AuthorizerIntegrationLatency,
        Rest,
    ),
    (
        "authorizer.integrationStatus",
        Variable::AuthorizerIntegrationStatus,
        Both,
    ),
    ("authorizer.latency", Variable::AuthorizerLatency, Both),
    ("authorizer.principalId", Variable::AuthorizerPrincipalId, Both),
    ("authorizer.requestId", Variable::AuthorizerRequestId, Both),
    ("authorizer.status", Variable::AuthorizerStatus, Both),
    ("awsEndpointRequestId", Variable::AwsEndpointRequestId, Both),
    ("awsEndpointRequestId2", Variable::AwsEndpointRequestId2, Http),
    ("customDomain.basePathMatched", Variable::BasePathMatched, Both),
    ("dataProcessed", Variable::DataProcessed, Http),
    ("deploymentId", Variable::DeploymentId, Rest),
    ("domainName", Variable::DomainName, Both),
    ("domainPrefix", Variable::DomainPrefix, Both),
    ("error.message", Variable::ErrorMessage, Both),
    ("error.messageString", Variable::ErrorMessageString, Both),
    ("error.responseType", Variable::ErrorResponseType, Both),
    (
        "error.validationErrorString",
        Variable::ErrorValidationErrorString,
        Rest,
    ),
    ("extendedRequestId", Variable::ExtendedRequestId, Both),
    ("httpMethod", Variable::HttpMethod, Both),
    ("identity.accessKey", Variable::IdentityAccessKey, Rest),
    ("identity.accountId", Variable::IdentityAccountId, Both),
    ("identity.apiKey", Variable::IdentityApiKey, Rest),
    ("identity.apiKeyId", Variable::IdentityApiKeyId, Rest),
    ("identity.caller", Variable::IdentityCaller, Both),
    (
        "identity.clientCert.clientCertPem",
        Variable::IdentityClientCertPem,
        Both,
    ),
    (
        "identity.clientCert.issuerDN",
        Variable::IdentityClientCertIssuerDn,
        Both,
    ),
    (
        "identity.clientCert.serialNumber",
        Variable::IdentityClientCertSerialNumber,
        Both,
    ),
    (
        "identity.clientCert.subjectDN",
        Variable::IdentityClientCertSubjectDn,
        Both,
    ),
    (
        "identity.clientCert.validity.notAfter",
        Variable::IdentityClientCertNotAfter,
        Both,
    ),
    (
        "identity.clientCert.validity.notBefore",
        Variable::IdentityClientCertNotBefore,
        Both,
    ),
    (
        "identity.cognitoAuthenticationProvider",
        Variable::IdentityCognitoAuthenticationProvider,
        Both,
    ),
    (
        "identity.cognitoAuthenticationType",
        Variable::IdentityCognitoAuthenticationType,
        Both,
    ),
    ("identity.cognitoIdentityId", Variable::IdentityCognitoIdentityId, Both),
    (
        "identity.cognitoIdentityPoolId",
        Variable::IdentityCognitoIdentityPoolId,
        Both,
    ),
    ("identity.principalOrgId", Variable::IdentityPrincipalOrgId, Both),
    ("identity.sourceIp", Variable::IdentitySourceIp, Both),
    ("identity.user", Variable::IdentityUser, Both),
    ("identity.userAgent", Variable::IdentityUserAgent, Both),
    ("identity.userArn", Variable::IdentityUserArn, Both),
    ("identity.vpcId", Variable::IdentityVpcId, Rest),
    ("identity.vpceId", Variable::IdentityVpceId, Rest),
    ("integration.error", Variable::IntegrationError, Both),
    (
        "integration.integrationStatus",
        Variable::IntegrationServiceStatus,
        Both,
    ),
    ("integration.latency", Variable::IntegrationLatency, Both),
    ("integration.requestId", Variable::AwsEndpointRequestId, Both),
    ("integration.status", Variable::IntegrationStatus, Both),
    ("integrationErrorMessage", Variable::IntegrationError, Both),
    ("integrationLatency", Variable::IntegrationLatency, Both),
    ("integrationStatus", Variable::IntegrationServiceStatus, Both),
    ("isCanaryRequest", Variable::IsCanaryRequest, Rest),
    ("path", Variable::Path, Both),
    ("protocol", Variable::Protocol, Both),
    ("requestId", Variable::RequestId, Both),
    ("requestTime", Variable::RequestTime, Both),
    ("requestTimeEpoch", Variable::RequestTimeEpoch, Both),
    ("resourceId", Variable::ResourceId, Rest),
    ("resourcePath", Variable::ResourcePath, Rest),
    ("responseLatency", Variable::ResponseLatency, Both),
    ("responseLength", Variable::ResponseLength, Both),
    ("routeKey", Variable::RouteKey, Http),
    ("stage", Variable::Stage, Both),
    ("status", Variable::Status, Both),
    ("waf.error", Variable::WafError, Rest),
    ("waf.latency", Variable::WafLatency, Rest),
    ("waf.status", Variable::WafStatus, Rest),
    ("wafResponseCode", Variable::WafResponseCode, Rest),
    ("webaclArn", Variable::WebAclArn, Rest),
    ("xrayTraceId", Variable::XrayTraceId, Rest),
];

const WEB_SOCKET: &[&str] = &[
    "connectedAt",
    "connectionId",
    "eventType",
    "messageDirection",
    "messageId",
];

// === impl Variable ===

impl Variable {
    /// From its name behind `$context.`.
    pub fn parse(name: &str, product: Product) -> Result<Self, VariableError> {
        if let Some((_, variable, known)) = NAMES.iter().find(|(known, ..)| *known == name) {
            return match (known, product) {
                (Both, _) | (Rest, Product::Rest) | (Http, Product::Http) => Ok(variable.clone()),
                (Rest, Product::Http) | (Http, Product::Rest) => Err(VariableError::OtherProduct(shown(name))),
            };
        }
        let dynamic = |prefix: &str| name.strip_prefix(prefix).filter(|rest| !rest.is_empty());
        if let Some(claim) = dynamic("authorizer.claims.") {
            return Ok(Self::AuthorizerClaim(claim.into()));
        }
        if let Some(property) = dynamic("authorizer.").filter(|property| !property.contains('.')) {
            return Ok(Self::AuthorizerProperty(property.into()));
        }
        if name.starts_with("requestOverride.") || name.starts_with("responseOverride.") {
            return Err(VariableError::TemplateOnly(shown(name)));
        }
        if WEB_SOCKET.contains(&name) {
            return Err(VariableError::WebSocket(shown(name)));
        }
        let suggestion = did_you_mean(name, NAMES.iter().map(|(known, ..)| *known));
        Err(VariableError::Unknown {
            name: shown(name),
            suggestion,
        })
    }
}

/// Cuts a variable's name off the front of `text`, which stands behind `$context.`: letters, digits, `_` and `-`, with dots
/// between.
pub(crate) fn name_at(text: &str) -> &str {
    let end = text.find(|letter: char| !(letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.')));
    text[..end.unwrap_or(text.len())].trim_end_matches(['.', '-'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_to_their_products() {
        for (name, variable, known) in NAMES {
            assert_eq!(
                Variable::parse(name, Product::Rest).ok().as_ref(),
                (*known != Http).then_some(variable),
                "{name}"
            );
            assert_eq!(
                Variable::parse(name, Product::Http).ok().as_ref(),
                (*known != Rest).then_some(variable),
                "{name}"
            );
        }
    }

    #[test]
    fn others_are_refused_with_a_reason() {
        let error = |name: &str| Variable::parse(name, Product::Rest).unwrap_err().to_string();
        assert_eq!(
            error("responseLatecny"),
            "`$context.responseLatecny` is unknown (did you mean `responseLatency`?)"
        );
        assert_eq!(
            error("connectionId"),
            "`$context.connectionId` exists for WebSocket APIs only, which are not supported"
        );
        assert_eq!(
            error("responseOverride.status"),
            "`$context.responseOverride.status` can only be written in a mapping template"
        );
        assert_eq!(
            error("routeKey"),
            "`$context.routeKey` is not known to this kind of API"
        );
        assert_eq!(error("authorizer.a.b"), "`$context.authorizer.a.b` is unknown");
        assert_eq!(
            Variable::parse("authorizer.claims.sub", Product::Rest),
            Ok(Variable::AuthorizerClaim("sub".into()))
        );
        assert_eq!(
            Variable::parse("authorizer.tier", Product::Http),
            Ok(Variable::AuthorizerProperty("tier".into()))
        );
    }
}
