//! `$context` variables: a closed list, each known to one product or both.
//!
//! Source: Amazon's lists of `$context` variables for access logging, data models and mapping of REST and HTTP APIs.

use portcullis_core::suggest::did_you_mean;

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

/// Where a value is written: escaped for its place, without allocating.
#[derive(Debug)]
pub struct Sink<'o> {
    out: &'o mut Vec<u8>,
    escape: Escape,
    written: bool,
}

/// How a value is made safe for its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// Inside the quotes of a JSON string (RFC 8259 section 7).
    JsonString,
    /// In a line of a log: control characters, quotes and backslashes as `\xHH`, so that no value can end the line or the
    /// field that it stands in.
    LogLine,
    /// As it is: the place is made safe by whoever reads it.
    Plain,
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
                (Rest, Product::Http) | (Http, Product::Rest) => Err(VariableError::OtherProduct(name.to_owned())),
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
            return Err(VariableError::TemplateOnly(name.to_owned()));
        }
        if WEB_SOCKET.contains(&name) {
            return Err(VariableError::WebSocket(name.to_owned()));
        }
        let suggestion = did_you_mean(name, NAMES.iter().map(|(known, ..)| *known));
        Err(VariableError::Unknown {
            name: name.to_owned(),
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

// === impl Sink ===

impl<'o> Sink<'o> {
    /// Appends to `out`.
    pub fn new(out: &'o mut Vec<u8>, escape: Escape) -> Self {
        Self {
            out,
            escape,
            written: false,
        }
    }

    /// Writes text.
    pub fn text(&mut self, text: &str) {
        self.written = true;
        let special = |byte: u8| matches!(byte, 0..=0x1f | b'"' | b'\\' | 0x7f);
        if self.escape == Escape::Plain || !text.bytes().any(special) {
            self.out.extend_from_slice(text.as_bytes());
            return;
        }
        for byte in text.bytes() {
            if special(byte) {
                self.escaped(byte)
            } else {
                self.out.push(byte)
            }
        }
    }

    /// Writes a number in decimal.
    pub fn number(&mut self, number: u64) {
        self.written = true;
        let mut digits = [0_u8; 20];
        let mut at = digits.len();
        let mut rest = number;
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.out.extend_from_slice(&digits[at..]);
    }

    /// Writes text that is already safe in a JSON string or log line, such as our own quoted messages.
    pub fn display(&mut self, value: impl std::fmt::Display) {
        self.text(&value.to_string());
    }

    /// Whether anything was written.
    pub fn is_written(&self) -> bool {
        self.written
    }

    fn escaped(&mut self, byte: u8) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
        match (self.escape, byte) {
            (Escape::Plain, _) => self.out.push(byte),
            (Escape::LogLine, _) => self.out.extend_from_slice(&[b'\\', b'x', high, low]),
            (Escape::JsonString, b'"' | b'\\') => self.out.extend_from_slice(&[b'\\', byte]),
            (Escape::JsonString, b'\n') => self.out.extend_from_slice(b"\\n"),
            (Escape::JsonString, b'\r') => self.out.extend_from_slice(b"\\r"),
            (Escape::JsonString, b'\t') => self.out.extend_from_slice(b"\\t"),
            (Escape::JsonString, _) => self.out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]),
        }
    }
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

    #[test]
    fn values_cannot_leave_their_place() {
        let write = |escape, text: &str| {
            let mut out = Vec::new();
            Sink::new(&mut out, escape).text(text);
            String::from_utf8(out).unwrap()
        };
        let nasty = "a\"b\\c\nd\u{1}é\u{7f}";
        assert_eq!(write(Escape::LogLine, nasty), "a\\x22b\\x5cc\\x0ad\\x01é\\x7f");
        assert_eq!(write(Escape::JsonString, nasty), "a\\\"b\\\\c\\nd\\u0001é\\u007f");
        assert_eq!(write(Escape::Plain, nasty), nasty);
    }

    #[test]
    fn numbers() {
        for number in [0, 7, 10, u64::MAX] {
            let mut out = Vec::new();
            Sink::new(&mut out, Escape::Plain).number(number);
            assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
    }
}
