//! What accepted documents become.

use portcullis_core::Verb;
use portcullis_openapi::{
    ApiKind, Document,
    document::{AuthorizerKind, BindingTarget, Integration, Mock, Operation},
    read, read_tree,
};

use crate::{HTTP, REST, SWAGGER, clean, findings, mutated};

/// The document of issue 2, in the words of its "Shapes to keep".
const PROXY: &str = r#"openapi: 3.0.1
info: {title: Proxy, version: "1"}
components:
  securitySchemes:
    Approov:
      type: apiKey
      name: Approov-Token
      in: header
      x-amazon-apigateway-authtype: custom
      x-portcullis-authorizer:
        type: token
        algorithms: [HS256]
        secret: env:APPROOV_SECRET            # or a list; or jwks: file:… / https://…
        secretEncoding: base64                # or raw
        authorizerResultTtlInSeconds: 300
paths:
  /{proxy+}:
    x-amazon-apigateway-any-method:
      parameters: [{name: proxy, in: path, required: true, schema: {type: string}}]
      security: [{Approov: []}]
      x-amazon-apigateway-integration:
        type: http_proxy
        httpMethod: ANY
        uri: http://${stageVariables.origin}/{proxy}
        requestParameters:
          integration.request.path.proxy: method.request.path.proxy
          integration.request.header.apikey: "'an-origin-key'"
        passthroughBehavior: when_no_match
        timeoutInMillis: 29000
"#;

/// Operations, one to a line: verb, resource, scheme with scopes, integration.
fn routes(document: &Document) -> Vec<String> {
    document.operations.iter().map(route).collect()
}

fn route(operation: &Operation) -> String {
    let verb = operation.verb.map_or("ANY", Verb::as_str);
    let default = if operation.is_default_route { " (default)" } else { "" };
    let security = operation.security.as_ref();
    let scheme = security.map_or("open".to_owned(), |security| {
        format!("{}{:?}", security.scheme, security.scopes)
    });
    let integration = match &operation.integration {
        Integration::HttpProxy(proxy) => {
            let method = proxy.method.map_or("ANY", Verb::as_str);
            format!("{method} {} in {} ms", proxy.uri.value, proxy.timeout_ms.value)
        }
        Integration::Mock(Mock {
            status, headers, body, ..
        }) => {
            let headers: Vec<_> = headers
                .iter()
                .map(|(name, value)| (&name.value, &value.value))
                .collect();
            format!("{status} {headers:?} {body:?}")
        }
    };
    format!("{verb} {}{default}: {scheme}: {integration}", operation.resource)
}

#[test]
fn the_proxy_of_the_first_minute() {
    let document = clean(PROXY, ApiKind::Rest);
    assert_eq!(
        routes(&document),
        ["ANY /{proxy+}: Approov[]: ANY http://${stageVariables.origin}/{proxy} in 29000 ms"]
    );
    let Integration::HttpProxy(proxy) = &document.operations[0].integration else {
        panic!("no proxy")
    };
    let parameters: Vec<_> = proxy
        .request_parameters
        .iter()
        .map(|(to, from)| format!("{to}={}", from.value))
        .collect();
    assert_eq!(
        parameters,
        [
            "integration.request.path.proxy=method.request.path.proxy",
            "integration.request.header.apikey='an-origin-key'"
        ]
    );
    assert_eq!(proxy.request_parameters[1].place.to_string(), "t:27:46");
    let authorizer = &document.authorizers["Approov"];
    assert_eq!(
        (authorizer.place.line, authorizer.result_ttl_s.as_ref().unwrap().value),
        (5, 300)
    );
    let AuthorizerKind::Token(token) = &authorizer.kind else {
        panic!("no token authoriser")
    };
    assert_eq!(
        (token.header.value.as_str(), token.bearer_prefix, token.require_expiry),
        ("Approov-Token", false, true)
    );
    assert_eq!(
        (token.secrets[0].value.as_str(), token.algorithms[0].value.as_str()),
        ("env:APPROOV_SECRET", "HS256")
    );
    assert_eq!(token.secret_encoding.as_ref().unwrap().value, "base64");
}

#[test]
fn a_rest_api_with_a_little_of_everything() {
    let document = clean(REST, ApiKind::Rest);
    assert_eq!((document.title.as_str(), document.version.as_str()), ("Pets", "1.0"));
    assert_eq!(document.base_path.as_ref().unwrap().value, "/");
    assert_eq!(
        routes(&document),
        [
            "GET /pets: Token[]: ANY https://origin.example/pets in 29000 ms",
            "OPTIONS /pets: open: 204 [(\"Allow\", \"GET, OPTIONS\")] None",
            "ANY /pets/{petId}: Token[]: ANY https://${stageVariables.origin}/pets/{petId} in 29000 ms",
        ]
    );
    assert_eq!(document.operations[0].operation_id.as_deref(), Some("listPets"));
    assert_eq!(
        document.authorizers.keys().collect::<Vec<_>>(),
        ["Token"],
        "schemes that protect nothing are left out"
    );
    let AuthorizerKind::Token(token) = &document.authorizers["Token"].kind else {
        panic!("no token authoriser")
    };
    assert_eq!(token.bindings[0].to, BindingTarget::SourceAddress);
    assert_eq!(token.leeway_s.as_ref().unwrap().value, 30);
    assert_eq!(
        document.resource_policy.unwrap().value["Statement"][0]["Resource"],
        "execute-api:/*"
    );
    let response = &document.gateway_responses["UNAUTHORIZED"];
    assert_eq!(response.status.as_ref().unwrap().value, 401);
    assert_eq!(
        response.parameters["gatewayresponse.header.WWW-Authenticate"].value,
        "'Bearer'"
    );
    assert_eq!(response.templates["application/json"].value, "{\"message\": \"no\"}");
}

#[test]
fn an_http_api_as_amazon_exports_it() {
    let document = clean(HTTP, ApiKind::Http);
    assert_eq!(
        routes(&document),
        [
            "GET /orders/{id}: Jwt[\"orders/read\"]: GET https://origin.example/orders/{id} in 29000 ms",
            "ANY /$default (default): open: ANY https://origin.example in 30000 ms",
        ]
    );
    let AuthorizerKind::Jwt(jwt) = &document.authorizers["Jwt"].kind else {
        panic!("no JWT authoriser")
    };
    assert_eq!(jwt.identity_source.value, "$request.header.Authorization");
    assert_eq!(
        (jwt.issuer.value.as_str(), jwt.audiences[0].value.as_str()),
        ("https://issuer.example", "orders")
    );
    let Integration::HttpProxy(proxy) = &document.operations[0].integration else {
        panic!("no proxy")
    };
    assert_eq!(
        proxy.response_parameters["200"]["overwrite:header.x-via"].value,
        "gateway"
    );
    assert_eq!(proxy.server_name.as_ref().unwrap().value, "origin.example");
}

#[test]
fn a_swagger_document_in_json() {
    let document = clean(SWAGGER, ApiKind::Rest);
    assert_eq!(document.title, "Petstore é😀");
    assert_eq!(
        routes(&document),
        [
            "GET /pets: guard[]: GET http://petstore.example/petstore/pets in 29000 ms",
            "POST /pets: guard[]: POST http://petstore.example/petstore/pets in 29000 ms",
            "GET /: open: 200 [(\"Content-Type\", \"text/html\")] \
             Some((\"<html>\\n<body>Welcome</body>\\n</html>\", \"text/html\"))",
        ]
    );
}

/// The same document as YAML and as JSON gives the same routes; places differ.
#[test]
fn yaml_and_json_are_read_alike() {
    for (text, kind) in [(REST, ApiKind::Rest), (HTTP, ApiKind::Http), (PROXY, ApiKind::Rest)] {
        let tree = read_tree("t", text).0.unwrap().to_json();
        for json in [
            serde_json::to_string(&tree).unwrap(),
            serde_json::to_string_pretty(&tree).unwrap(),
        ] {
            let (from_yaml, from_json) = (clean(text, kind), clean(&json, kind));
            assert_eq!(routes(&from_yaml), routes(&from_json));
            assert_eq!(from_yaml.authorizers.len(), from_json.authorizers.len());
            assert_eq!(from_yaml.gateway_responses.len(), from_json.gateway_responses.len());
        }
    }
    let windows = REST.replace('\n', "\r\n");
    assert_eq!(
        routes(&clean(&windows, ApiKind::Rest)),
        routes(&clean(REST, ApiKind::Rest))
    );
    assert_eq!(
        routes(&clean(&format!("\u{feff}{REST}"), ApiKind::Rest)),
        routes(&clean(REST, ApiKind::Rest))
    );
}

#[test]
fn the_base_path_comes_from_the_first_server() {
    let check = |url: &str, variables: &str, expected: &str| {
        let server = format!("servers: [{{url: '{url}', variables: {{{variables}}}}}]\n");
        let (document, lines) = findings(&format!("{server}{PROXY}"), ApiKind::Rest);
        assert_eq!(document.unwrap().base_path.unwrap().value, expected, "{url}");
        assert_eq!(lines.len(), usize::from(expected != "/"), "{lines:?}");
    };
    check("https://api.example.com", "", "/");
    check("https://api.example.com/", "", "/");
    check("https://api.example.com/v1/", "", "/v1");
    check("/v1/pets", "", "/v1/pets");
    check(
        "https://{id}.example.com/{basePath}",
        "basePath: {default: /prod}",
        "/prod",
    );
    check("https://{host}/x", "host: {default: a.example}", "/x");
    assert_eq!(clean(PROXY, ApiKind::Rest).base_path, None);
}

/// A secret in the wrong place reaches no finding, whatever else is wrong with it.
#[test]
fn secrets_are_not_echoed() {
    let places = [
        ("secret: env:APPROOV_SECRET", "secret: 'S3cr3t-value'"),
        ("secret: env:APPROOV_SECRET", "secret: [S3cr3t-value]"),
        ("secret: env:APPROOV_SECRET", "secret: {S3cr3t: S3cr3t-value}"),
        ("secret: env:APPROOV_SECRET", "jwks: S3cr3t-value"),
        (
            "secret: env:APPROOV_SECRET",
            "secret: env:A\n        denyList: S3cr3t-value",
        ),
        ("secretEncoding: base64", "secretEncoding: S3cr3t-value"),
        ("\"'an-origin-key'\"", "[S3cr3t-value]"),
        ("timeoutInMillis: 29000", "timeoutInMillis: S3cr3t-value"),
    ];
    for (from, to) in places {
        let (_, found) = read("t", &mutated(PROXY, from, to), ApiKind::Rest);
        assert!(found.has_errors(), "{to}");
        for finding in &found {
            assert!(!finding.to_string().contains("S3cr3t"), "{finding}");
        }
    }
}
