//! What a document says, typed and with every value's place: the hand-over from this crate to the compiler of snapshots.
//!
//! Everything here is *structure*. Whether an expression, a policy or a URI makes sense is decided by `portcullis-model`,
//! which reports against the places kept here.

use indexmap::IndexMap;
use portcullis_core::{Place, Verb};

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Its place in the document.
    pub place: Place,
}

/// Which of Amazon's two products a document is read as; they differ in routing, authorisers and answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiKind {
    /// A REST API.
    Rest,
    /// An HTTP API.
    Http,
}

/// One API as its document describes it, without anything that this crate reported as an error.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// As what it was read.
    pub kind: ApiKind,
    /// `info.title`, empty when absent.
    pub title: String,
    /// `info.version`, empty when absent.
    pub version: String,
    /// The path of `servers[0].url` (or its `basePath` variable) or Swagger's `basePath`; Amazon's import ignores it by default and so do we.
    pub base_path: Option<Located<String>>,
    /// The security schemes that operations refer to, by name.
    pub authorizers: IndexMap<String, Authorizer>,
    /// `x-amazon-apigateway-api-key-source`.
    pub api_key_source: ApiKeySource,
    /// Every operation, in the order of the document.
    pub operations: Vec<Operation>,
    /// `x-amazon-apigateway-gateway-responses`, by type (`ACCESS_DENIED`, `DEFAULT_4XX`).
    pub gateway_responses: IndexMap<String, GatewayResponse>,
    /// `x-amazon-apigateway-cors` (HTTP APIs).
    pub cors: Option<Cors>,
    /// `x-amazon-apigateway-minimum-compression-size` in bytes (REST APIs); `None` for no compression.
    pub compression_min_bytes: Option<Located<u32>>,
    /// `x-amazon-apigateway-binary-media-types` (REST APIs): `type/subtype`, `type/*` or `*/*`.
    pub binary_media_types: Vec<Located<String>>,
    /// `x-amazon-apigateway-endpoint-configuration.disableExecuteApiEndpoint`, where it is said.
    pub disable_default_endpoint: Option<Located<bool>>,
    /// `x-amazon-apigateway-policy` as JSON.
    pub resource_policy: Option<Located<serde_json::Value>>,
}

/// What browsers on other origins may do (HTTP APIs). Entries are as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    /// Where it stands.
    pub place: Place,
    /// `allowOrigins`: `https://www.example.com`, `https://*`, `*`.
    pub allow_origins: Vec<Located<String>>,
    /// `allowMethods`.
    pub allow_methods: Vec<Located<String>>,
    /// `allowHeaders`.
    pub allow_headers: Vec<Located<String>>,
    /// `exposeHeaders`.
    pub expose_headers: Vec<Located<String>>,
    /// `maxAge` in seconds, -1 to 86,400.
    pub max_age_s: Option<i32>,
    /// `allowCredentials`.
    pub allow_credentials: bool,
}

/// One method of one resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// Where the operation begins.
    pub place: Place,
    /// The path template as written, without a trailing slash: `/pets/{petId}`, `/{proxy+}`, `/$default`. Its syntax is
    /// checked: single slashes, no dot segments, parameters fill their segments, only the last may be greedy.
    pub resource: String,
    /// The verb; `None` for `x-amazon-apigateway-any-method`.
    pub verb: Option<Verb>,
    /// Whether it is the `$default` route of an HTTP API.
    pub is_default_route: bool,
    /// `operationId`.
    pub operation_id: Option<String>,
    /// The scheme that protects it; `None` when nobody does. More than one scheme was refused.
    pub security: Option<Security>,
    /// Where an API key is demanded.
    pub api_key: Option<Place>,
    /// How it is answered.
    pub integration: Integration,
    /// What its answers differ by in a stage's cache.
    pub cache: CacheKey,
}

/// What an integration says of its answers in a stage's cache; whether a stage has one stands in its configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheKey {
    /// `cacheKeyParameters`, as written: `method.request.querystring.page`.
    pub parameters: Vec<Located<String>>,
    /// `cacheNamespace`; methods that name the same one share their entries. `None` for the resource's own.
    pub namespace: Option<Located<String>>,
}

/// Where the API key of a request comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ApiKeySource {
    /// `HEADER`: its value stands in `x-api-key`.
    #[default]
    Header,
    /// `AUTHORIZER`: the authoriser says which it is.
    Authorizer,
}

/// A reference to a security scheme in [`Document::authorizers`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Security {
    /// Where it stands.
    pub place: Place,
    /// The scheme's name; it is in [`Document::authorizers`].
    pub scheme: String,
    /// The scopes demanded (only the `jwt` authoriser knows any).
    pub scopes: Vec<String>,
}

/// How a method is answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Integration {
    /// `http_proxy`: the request goes on to an HTTP origin.
    HttpProxy(HttpProxy),
    /// `mock`: a constant answer.
    Mock(Mock),
}

/// An `http_proxy` integration.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpProxy {
    /// Where it stands.
    pub place: Place,
    /// The verb towards the origin; `None` for `ANY`: the client's own.
    pub method: Option<Verb>,
    /// The URI with its `${stageVariables.x}` and `{parameter}`s.
    pub uri: Located<String>,
    /// `requestParameters`: target to source, as written.
    pub request_parameters: IndexMap<String, Located<String>>,
    /// HTTP APIs only: `responseParameters` by status (`200`), each target to source, as written. Empty for REST APIs.
    pub response_parameters: IndexMap<String, IndexMap<String, Located<String>>>,
    /// `timeoutInMillis`; 29,000 when absent (30,000 for HTTP APIs).
    pub timeout_ms: Located<u32>,
    /// HTTP APIs: `tlsConfig.serverNameToVerify`.
    pub server_name: Option<Located<String>>,
}

/// A `mock` integration, which always gives the same answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mock {
    /// Where it stands.
    pub place: Place,
    /// The answer's status, 200 to 599.
    pub status: u16,
    /// The answer's headers, from quoted literals of `method.response.header.X`, without quotes.
    pub headers: Vec<(Located<String>, Located<String>)>,
    /// The body and its media type, from a response template without placeholders.
    pub body: Option<(String, String)>,
}

/// A security scheme with its authoriser.
#[derive(Clone, Debug, PartialEq)]
pub struct Authorizer {
    /// Where the scheme stands.
    pub place: Place,
    /// The scheme's name.
    pub name: String,
    /// `authorizerResultTtlInSeconds`; `None` when absent.
    pub result_ttl_s: Option<Located<u32>>,
    /// Its kind and the settings of that kind.
    pub kind: AuthorizerKind,
}

/// The authorisers that can be honoured.
#[derive(Clone, Debug, PartialEq)]
pub enum AuthorizerKind {
    /// `x-portcullis-authorizer: {type: token}`: a signed token checked by the gateway itself.
    Token(Box<TokenAuthorizer>),
    /// `x-amazon-apigateway-authorizer: {type: jwt}` of HTTP APIs.
    Jwt(JwtAuthorizer),
}

/// The settings of `x-portcullis-authorizer: {type: token}`; names in the document are given in the comments.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenAuthorizer {
    /// The header that carries the token: the scheme's `name`; `Authorization` for `type: http, scheme: bearer`.
    pub header: Located<String>,
    /// Whether `Bearer ` is cut off (`type: http, scheme: bearer`, or `bearerPrefix: true`).
    pub bearer_prefix: bool,
    /// `algorithms`: `HS256 …`; at least one.
    pub algorithms: Vec<Located<String>>,
    /// `secret`: one reference or a list (`env:NAME`, `file:PATH`).
    pub secrets: Vec<Located<String>>,
    /// `secretEncoding`: `base64` or `raw`; `None` when absent.
    pub secret_encoding: Option<Located<String>>,
    /// `jwks`: `file:PATH`, `https://…` or `http://…`.
    pub jwks: Option<Located<String>>,
    /// `identityValidationExpression`: a regular expression over the whole token.
    pub validation_expression: Option<Located<String>>,
    /// `issuer`.
    pub issuer: Option<Located<String>>,
    /// `audience`: one or a list.
    pub audiences: Vec<Located<String>>,
    /// `leewayInSeconds`, 0 to 300.
    pub leeway_s: Option<Located<u32>>,
    /// `requireExpiry`; true when absent.
    pub require_expiry: bool,
    /// `principal`: the claim that names the caller; `sub` when absent.
    pub principal_claim: Option<Located<String>>,
    /// `usageIdentifierClaim`: the claim that holds the id of the caller's API key.
    pub usage_identifier_claim: Option<Located<String>>,
    /// `claimBindings`: claims that must agree with the request.
    pub bindings: Vec<ClaimBinding>,
    /// `denyList`: `file:PATH` with one `jti`, subject or SHA-256 of a token (hexadecimal) per line.
    pub deny_list: Option<Located<String>>,
    /// `policy`: a policy document whose strings may hold `${claims.NAME}`; `None` for the authoriser's own.
    pub policy: Option<Located<serde_json::Value>>,
}

/// A claim that must agree with the request that brings it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimBinding {
    /// Where it stands.
    pub place: Place,
    /// `claim`: the claim's name.
    pub claim: String,
    /// What it must agree with.
    pub to: BindingTarget,
}

/// What a bound claim must agree with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BindingTarget {
    /// `to: sourceIp`: the caller's address.
    SourceAddress,
    /// `to: header.NAME`: the SHA-256 of that header's value, base64 or base64url.
    HeaderDigest(String),
}

/// The settings of the `jwt` authoriser of HTTP APIs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtAuthorizer {
    /// `identitySource`, `$request.header.Authorization` when absent.
    pub identity_source: Located<String>,
    /// `jwtConfiguration.issuer`.
    pub issuer: Located<String>,
    /// `jwtConfiguration.audience`, at least one.
    pub audiences: Vec<Located<String>>,
}

/// A customised gateway response (REST APIs).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayResponse {
    /// Where it stands.
    pub place: Place,
    /// `statusCode`, 100 to 599.
    pub status: Option<Located<u16>>,
    /// `responseParameters`: `gatewayresponse.header.X` to source, as written.
    pub parameters: IndexMap<String, Located<String>>,
    /// `responseTemplates`: media type to template, as written.
    pub templates: IndexMap<String, Located<String>>,
}
