//! Refusals, each a small change to an accepted document, with all findings that it makes.
//!
//! The findings stand in `findings.golden`; `PORTCULLIS_BLESS=1` writes it anew, to be reviewed line by line.

use std::fmt::Write;

use portcullis_openapi::ApiKind::{self, Http, Rest};

use crate::{HTTP, REST, SWAGGER, clean, findings, mutated};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reading/findings.golden");

/// The accepted twins come first: every case below differs from one of them in one place.
#[test]
fn the_bases_are_accepted() {
    clean(REST, Rest);
    clean(HTTP, Http);
    clean(SWAGGER, Rest);
}

#[test]
fn every_refusal_says_what_and_where() {
    let mut actual = String::new();
    for (base, kind, cases) in [
        (REST, Rest, REST_CASES),
        (HTTP, Http, HTTP_CASES),
        (SWAGGER, Rest, SWAGGER_CASES),
    ] {
        for (from, to) in cases {
            describe(&mut actual, base, kind, from, to);
        }
    }
    if std::env::var_os("PORTCULLIS_BLESS").is_some() {
        std::fs::write(GOLDEN, &actual).unwrap();
    }
    let expected = std::fs::read_to_string(GOLDEN).unwrap();
    for (actual, expected) in actual.lines().zip(expected.lines()) {
        assert_eq!(actual, expected);
    }
    assert_eq!(actual.len(), expected.len());
}

fn describe(output: &mut String, base: &str, kind: ApiKind, from: &str, to: &str) {
    let (document, lines) = findings(&mutated(base, from, to), kind);
    assert!(!lines.is_empty(), "`{to}` in place of `{from}` is accepted");
    let routes = document.map_or(-1, |document| document.operations.len() as i64);
    writeln!(
        output,
        "{kind:?} {} → {} ({routes} routes)",
        from.escape_debug(),
        to.escape_debug()
    )
    .unwrap();
    for line in lines {
        writeln!(output, "  {line}").unwrap();
    }
}

type Cases = &'static [(&'static str, &'static str)];

const REST_CASES: Cases = &[
    // The text and its root.
    ("openapi: 3.0.1", "openapi: 3.2.0"),
    ("openapi: 3.0.1", "swagger: '2.0'\nopenapi: 3.0.1"),
    ("openapi: 3.0.1", "openpai: 3.0.1"),
    ("openapi: 3.0.1", "AWSTemplateFormatVersion: '2010-09-09'"),
    ("openapi: 3.0.1", "openapi: {Ref: Version}"),
    ("openapi: 3.0.1", "openapi: 3.0.1\nopenapi: 3.0.2"),
    ("openapi: 3.0.1", "openapi: 3.0.1\npathes: {}\nanything: {}"),
    ("openapi: 3.0.1", "openapi: 3.0.1\n\tx: 1"),
    ("openapi: 3.0.1", "openapi: 3.10"),
    ("openapi: 3.0.1", "- openapi"),
    ("basePath: {default: /}", "basePath: {default: /prod/}"),
    ("paths:", "webhooks:"),
    ("x-vendor: {", "x-vendor: {<<: [1], "),
    ("x-vendor: {", "x-vendor: {z: *none, "),
    ("x-vendor: {", "x-vendor: {? {a: b} : c, "),
    // Extensions.
    ("x-amazon-apigateway-policy:", "x-amazon-apigateway-polcy:"),
    ("x-amazon-apigateway-policy:", "x-amazon-apigatway-policy:"),
    ("x-amazon-apigateway-policy:", "X-Amazon-Apigateway-Policy:"),
    (
        "x-amazon-apigateway-api-key-source: HEADER",
        "x-portcullis-errors: problem",
    ),
    (
        "x-amazon-apigateway-api-key-source: HEADER",
        "x-amazon-apigateway-api-key-source: COOKIE",
    ),
    (
        "x-amazon-apigateway-api-key-source: HEADER",
        "x-amazon-apigateway-cors: {allowOrigins: ['*']}",
    ),
    (
        "x-amazon-apigateway-api-key-source: HEADER",
        "x-amazon-apigateway-minimum-compression-size: 10485761",
    ),
    (
        "x-amazon-apigateway-api-key-source: HEADER",
        "x-amazon-apigateway-minimum-compression-size: -1",
    ),
    (
        "x-amazon-apigateway-binary-media-types: ['*/*']",
        "x-amazon-apigateway-binary-media-types: [a, a/, '*/a', 'a/b; c=d', 'a/**']",
    ),
    (
        "x-amazon-apigateway-api-key-source: HEADER",
        "x-amazon-apigateway-security-policy: SecurityPolicy_TLS13_1_3_2025_09\nx-amazon-apigateway-endpoint-access-mode: STRICT",
    ),
    (
        "x-amazon-apigateway-api-key-source: HEADER",
        "x-amazon-apigateway-security-policy: TLS_1_2\nx-amazon-apigateway-endpoint-access-mode: BASIC",
    ),
    (
        "x-amazon-apigateway-api-key-source: HEADER",
        "x-amazon-apigateway-integration: {type: mock}",
    ),
    (
        "x-amazon-apigateway-api-key-source: HEADER",
        "x-amazon-apigateway-endpoint-configuration: {types: [PRIVATE], disableExecuteApiEndpoint: true, typos: []}",
    ),
    (
        "  Version: \"2012-10-17\"\n  Statement",
        "  Statement: !Sub x\n  Fn::If",
    ),
    // Gateway responses.
    ("  UNAUTHORIZED:", "  UNAUTHORISED:"),
    ("  UNAUTHORIZED:", "  REQUEST_TOO_LARGE:"),
    (
        "    statusCode: \"401\"",
        "    statusCode: \"4o1\"\n    statuscode: 401",
    ),
    (
        "gatewayresponse.header.WWW-Authenticate",
        "method.response.header.WWW-Authenticate",
    ),
    // Paths and operations.
    ("  /pets:", "  pets:"),
    ("  /pets:", "  /pets/:"),
    ("  /pets:", "  /pets?all=true:"),
    ("  /pets:", "  /pets//all:"),
    ("  /pets:", "  /pets/../all:"),
    ("  /pets/{petId}:", "  /pets/{id}/{id}:"),
    ("  /pets/{petId}:", "  /pets/{petId+}/tags:"),
    ("  /pets/{petId}:", "  /pets/pet-{petId}:"),
    ("  /pets/{petId}:", "  /pets/{}:"),
    ("  /pets/{petId}:", "  /pets/{name}:"),
    ("  /pets/{petId}:", "  /pets/{id}/tags: {}\n  /pets/{petId}:"),
    ("  /pets/{petId}:", "  /$default:"),
    (
        "    x-amazon-apigateway-any-method:\n",
        "    x-amazon-apigateway-any-method:\n      isDefaultRoute: true\n",
    ),
    (
        "  /pets/{petId}:",
        "  /pets/: {get: {x-amazon-apigateway-integration: {type: mock}}}\n  /pets/{petId}:",
    ),
    ("    get:\n", "    gett: {}\n    get:\n"),
    ("    get:\n", "    GET:\n"),
    ("    options:\n", "    trace:\n"),
    (
        "      operationId: listPets\n      security:",
        "      operationId: listPets\n      securty:",
    ),
    ("      operationId: listPets", "      nickname: listPets"),
    (
        "{$ref: '#/components/parameters/Pet'}",
        "{$ref: '#/components/parameters/Dog'}",
    ),
    ("{$ref: '#/components/parameters/Pet'}", "{$ref: 'common.yaml#/Pet'}"),
    (
        "    Pet: {name: petId, in: path, required: true, schema: {type: string}}",
        "    Pet: {$ref: '#/components/parameters/Pet'}",
    ),
    (
        "    Pet: {name: petId, in: path, required: true, schema: {type: string}}",
        "    Pet: {name: dogId}",
    ),
    (
        "    Pet: {name: petId, in: path, required: true, schema: {type: string}}",
        "    Pet: {name: dogId, in: path}",
    ),
    ("  /pets/{petId}:\n", "  /pets/{petId}:\n    $ref: '#/paths/~1pets'\n"),
    // Security.
    (
        "paths:\n  /pets:\n    get:\n      operationId: listPets\n      security: [{Token: []}]\n",
        "security: [{Token: []}]\npaths:\n  /pets:\n    get:\n",
    ),
    ("      security: []\n", "      security: [{Token: []}, {}]\n"),
    (
        "      security: []\n",
        "      security: [{Token: [], Documented: []}]\n",
    ),
    ("      security: []\n", "      security: [{Tokn: []}]\n"),
    ("      security: []\n", "      security: [{Documented: []}]\n"),
    ("      security: []\n", "      security: [{Token: [pets/read]}]\n"),
    ("      security: []\n", "      security:\n"),
    ("      security: []\n", "      security: {Token: []}\n"),
    (
        "      security: []\n",
        "      x-amazon-apigateway-auth: {type: AWS_IAM}\n",
    ),
    ("      x-portcullis-authorizer:\n", "      x-portcullis-authoriser:\n"),
    ("      x-portcullis-authorizer:\n", "      x-other:\n"),
    (
        "      name: Authorization\n",
        "      name: Authorization\n      x-amazon-apigateway-authorizer: {type: token}\n",
    ),
    (
        "      flows: {}\n",
        "      flows: {}\n      x-amazon-apigateway-authorizer: {type: request, authorizerUri: x}\n",
    ),
    (
        "      x-amazon-apigateway-authtype: custom\n      x-portcullis-authorizer:\n        type: token",
        "      x-amazon-apigateway-authorizer:\n        type: cognito_user_pools",
    ),
    (
        "      x-amazon-apigateway-authtype: custom\n      x-portcullis-authorizer:\n        type: token",
        "      x-amazon-apigateway-authorizer:\n        type: jwt",
    ),
    (
        "      x-amazon-apigateway-authtype: custom\n      x-portcullis-authorizer:",
        "      x-amazon-apigateway-authtype: awsSigv4\n      x-vendor:",
    ),
    (
        "      name: Authorization\n      in: header\n      x-amazon-apigateway-authtype: custom\n      x-portcullis-authorizer:",
        "      name: X-API-Key\n      in: query\n      x-vendor:",
    ),
    // The token authoriser.
    ("        type: token\n", "        type: tokn\n"),
    ("        algorithms: [HS256]\n", "        algorithm: [HS256]\n"),
    ("        algorithms: [HS256]\n", "        algorithms: []\n"),
    ("        secret: env:PETS_SECRET\n", ""),
    ("        secret: env:PETS_SECRET\n", "        secret: hunter2-hunter2\n"),
    (
        "        secret: env:PETS_SECRET\n",
        "        secret: [file:a, {value: hunter2-hunter2}]\n",
    ),
    ("        secret: env:PETS_SECRET\n", "        jwks: hunter2-hunter2\n"),
    ("secretEncoding: base64", "secretEncoding: hex"),
    (
        "authorizerResultTtlInSeconds: 300",
        "authorizerResultTtlInSeconds: 3601",
    ),
    ("leewayInSeconds: 30", "leewayInSeconds: -1"),
    ("requireExpiry: true", "requireExpiry: yes"),
    (
        "claimBindings: [{claim: ip, to: sourceIp}]",
        "claimBindings: [{claim: ip, to: sourceIP}, {to: header.}, {claim: x, from: y}]",
    ),
    ("denyList: file:deny.txt", "denyList: deny.txt"),
    ("      in: header\n", "      in: query\n"),
    ("      type: apiKey\n", "      type: http\n      scheme: basic\n"),
    ("      type: apiKey\n", "      type: oauth2\n"),
    ("      name: Authorization\n", "      name: Authori zation\n"),
    (
        "      in: header\n      x-amazon-apigateway-authtype: custom\n",
        "      in: cookie\n      x-amazon-apigateway-authtype: [custom]\n",
    ),
    ("      in: header\n", ""),
    // Validators.
    (
        "x-amazon-apigateway-api-key-source: HEADER\n",
        "x-amazon-apigateway-request-validator: nothing\n",
    ),
    (
        "x-amazon-apigateway-api-key-source: HEADER\n",
        "x-amazon-apigateway-request-validator: {everything: true}\n",
    ),
    (
        "      operationId: listPets\n",
        "      operationId: listPets\n      x-amazon-apigateway-request-validator: everythin\n",
    ),
    (
        "      operationId: listPets\n",
        "      x-amazon-apigateway-request-validator: everything\n      requestBody: {content: {}}\n",
    ),
    (
        "      operationId: listPets\n",
        "      x-amazon-apigateway-request-validator: everything\n      parameters: [{name: a, in: query, required: true}]\n",
    ),
    (
        "paths:\n  /pets:\n    get:\n",
        "x-amazon-apigateway-request-validator: everything\npaths:\n  /pets:\n    get:\n      requestBody: {content: {}}\n",
    ),
    // Integrations.
    (
        "{$ref: '#/components/x-amazon-apigateway-integrations/origin'}",
        "{$ref: '#/components/x-amazon-apigateway-integrations/origin', timeoutInMillis: 100}",
    ),
    (
        "x-vendor: {x-amazon-apigateway-nonsense: ours}\npaths:\n",
        "x-vendor: {path: {get: {x-amazon-apigateway-integraton: {}}}}\npaths:\n  /ref: {$ref: '#/x-vendor/path'}\n",
    ),
    (
        "      x-amazon-apigateway-integration: {$ref:",
        "      x-integration: {$ref:",
    ),
    ("      type: HTTP_PROXY\n", "      type: AWS_PROXY\n"),
    ("      type: HTTP_PROXY\n", "      type: http-proxy\n"),
    ("      type: HTTP_PROXY\n", "      type: http\n"),
    (
        "      httpMethod: ANY\n      uri: https://origin.example/pets\n",
        "      httpMethod: FETCH\n",
    ),
    ("      uri: https://origin.example/pets\n", "      uri: {Ref: Origin}\n"),
    (
        "      uri: https://origin.example/pets\n",
        "      url: https://origin.example/pets\n",
    ),
    (
        "      uri: https://origin.example/pets\n",
        "      uri: https://origin.example/pets\n      credentials: arn\n      contentHandling: CONVERT_TO_BINARY\n      connectionId: x\n      connectionType: VPC_LINK\n      integrationSubtype: SQS-SendMessage\n      integrationTarget: arn\n      responseTransferMode: CHUNKED\n      payloadFormatVersion: 2.0\n      cacheNamespace: pets\n      cacheKeyParameters: [method.request.path.petId]\n",
    ),
    ("passthroughBehavior: when_no_match", "passthroughBehavior: NEVER"),
    (
        "passthroughBehavior: when_no_match",
        "requestTemplates: {application/json: '{\"a\": $input.body}'}",
    ),
    ("timeoutInMillis: 29000", "timeoutInMillis: 29001"),
    ("timeoutInMillis: 29000", "timeoutInMillis: 49"),
    ("timeoutInMillis: 29000", "timeoutInMillis: 29s"),
    ("insecureSkipVerification: false", "insecureSkipVerification: true"),
    ("insecureSkipVerification: false", "serverNameToVerify: origin.example"),
    (
        "connectionType: INTERNET",
        "responseParameters: {'200': {overwrite:header.a: b}}",
    ),
    (
        "{default: {statusCode: \"200\"}}",
        "{default: {statusCode: \"200\", responseParameters: {method.response.header.A: \"'b'\"}}}",
    ),
    (
        "{default: {statusCode: \"200\"}}",
        "{default: {statusCode: \"200\", responseTemplates: {application/json: x}}}",
    ),
    (
        "{default: {statusCode: \"200\"}}",
        "{default: {statusCode: \"200\", contentHandling: CONVERT_TO_BINARY}}",
    ),
    (
        "          integration.request.path.petId: method.request.path.petId",
        "          integration.request.path.petId: [a]",
    ),
    (
        "        type: http_proxy\n        httpMethod: ANY\n        uri: https://${stageVariables.origin}/pets/{petId}\n        requestParameters:\n          integration.request.path.petId: method.request.path.petId\n",
        "        credentials: arn\n        requestParameters: []\n",
    ),
    (
        "        uri: https://${stageVariables.origin}/pets/{petId}\n        requestParameters:\n",
        "        uri: ''\n        requestParameters:\n          integration.request.header.a: true\n",
    ),
    // Mocks.
    ("{application/json: '{\"statusCode\": 204}'}", "{}"),
    (
        "{application/json: '{\"statusCode\": 204}'}",
        "{application/json: '{\"statusCode\": \"204\"}'}",
    ),
    (
        "{application/json: '{\"statusCode\": 204}'}",
        "{application/json: '{\"statusCode\": $x}'}",
    ),
    (
        "{application/json: '{\"statusCode\": 204}'}",
        "{application/json: '{\"statusCode\": 204}', text/plain: '{\"statusCode\": 205}'}",
    ),
    (
        "{application/json: '{\"statusCode\": 204}'}",
        "{application/json: '{\"statusCode\": 404}'}",
    ),
    ("          2\\d{2}:", "          2(:"),
    ("            statusCode: 204", "            statusCode: 604"),
    ("            statusCode: 204\n", ""),
    ("method.response.header.Allow", "header.Allow"),
    ("\"'GET, OPTIONS'\"", "context.requestId"),
    ("\"'GET, OPTIONS'\"", "\"'GET\\r\\nX: y'\""),
    (
        "responseTemplates: {application/json: ''}",
        "responseTemplates: {application/json: '#set($a = 1)'}",
    ),
];

const HTTP_CASES: Cases = &[
    (
        "openapi: 3.0.1\n",
        "openapi: 3.0.1\nx-amazon-apigateway-cors: {allowOrigin: [a], maxAge: 86401, allowCredentials: perhaps}\n",
    ),
    (
        "openapi: 3.0.1\n",
        "openapi: 3.0.1\nx-amazon-apigateway-minimum-compression-size: 0\nx-amazon-apigateway-binary-media-types: [a/b]\n",
    ),
    ("        type: jwt\n", "        type: jwtt\n"),
    ("        type: jwt\n", "        type: request\n"),
    ("        type: jwt\n", "        type: jwt\n        authorizerUri: x\n"),
    (
        "        jwtConfiguration: {issuer: https://issuer.example, audience: [orders]}\n",
        "",
    ),
    ("audience: [orders]", "audience: []"),
    ("issuer: https://issuer.example, ", ""),
    ("timeoutInMillis: 29000", "timeoutInMillis: 30000"),
    ("timeoutInMillis: 29000", "timeoutInMillis: 30001"),
    ("      isDefaultRoute: true\n", ""),
    ("  /$default:", "  /{proxy+}:"),
    ("{\"200\": {overwrite:header.x-via: gateway}}", "{\"2xx\": {}}"),
    (
        "x-amazon-apigateway-importexport-version: \"1.0\"",
        "x-amazon-apigateway-policy: {Version: 2012-10-17}",
    ),
    (
        "x-amazon-apigateway-importexport-version: \"1.0\"",
        "x-amazon-apigateway-gateway-responses: {THROTTLED: {}}",
    ),
    (
        "x-amazon-apigateway-importexport-version: \"1.0\"",
        "x-amazon-apigateway-request-validator: all",
    ),
];

const SWAGGER_CASES: Cases = &[
    ("\"swagger\": \"2.0\"", "\"swagger\": \"1.2\""),
    (
        "\"basePath\": \"/\"",
        "\"basePath\": \"/v1\", \"security\": [{\"guard\": []}]",
    ),
    ("\"swagger\": \"2.0\",", "\"swagger\": \"2.0\""),
    (
        "\"jwks\": \"https://issuer.example/jwks.json\"",
        "\"jwks\": {\"keys\": []}",
    ),
];
