//! Changes that stay accepted without a finding: the other side of what `refused.rs` refuses.

use portcullis_openapi::ApiKind::{Http, Rest};

use crate::{HTTP, REST, clean, mutated};

#[test]
fn variants_of_a_rest_api_are_accepted() {
    let cases = [
        ("openapi: 3.0.1", "openapi: '3.1.0'\njsonSchemaDialect: x\nwebhooks: {}"),
        ("openapi: 3.0.1", "openapi: 3.1"),
        (
            "openapi: 3.0.1",
            "openapi: 3.0.1\nx-Vendor: {x-amazon-apigateway-integratoin: 1}",
        ),
        (
            "x-amazon-apigateway-api-key-source: HEADER",
            "x-amazon-apigateway-importexport-version: '1.0'",
        ),
        (
            "x-amazon-apigateway-api-key-source: HEADER",
            "x-amazon-apigateway-documentation: {version: '1'}",
        ),
        (
            "x-amazon-apigateway-api-key-source: HEADER",
            "x-amazon-apigateway-endpoint-configuration: {types: [REGIONAL], disableExecuteApiEndpoint: false}",
        ),
        (
            "x-amazon-apigateway-api-key-source: HEADER",
            "x-amazon-apigateway-minimum-compression-size: 0",
        ),
        (
            "x-amazon-apigateway-binary-media-types: ['*/*']",
            "x-amazon-apigateway-binary-media-types: [image/png, 'application/*', application/vnd.a+json]",
        ),
        ("    statusCode: \"401\"", "    statusCode: 401"),
        ("  UNAUTHORIZED:", "  DEFAULT_4XX:"),
        ("  /pets:", "  /:"),
        ("  /pets:", "  /pets,v1@(all)~'!*:"),
        // One position may have a parameter and a greedy one: the specific is tried first.
        (
            "paths:\n",
            "paths:\n  /pets/{proxy+}: {parameters: [{name: proxy, in: path}]}\n",
        ),
        ("      security: []\n", "      security: [{}]\n"),
        ("      security: []\n", ""),
        ("      security: []\n", "      x-amazon-apigateway-auth: {type: none}\n"),
        (
            "        secret: env:PETS_SECRET\n",
            "        secret: [env:NEW, file:old.txt]\n",
        ),
        (
            "        secret: env:PETS_SECRET\n",
            "        jwks: https://issuer.example/jwks\n",
        ),
        ("        secret: env:PETS_SECRET\n", "        jwks: file:keys.json\n"),
        (
            "        secret: env:PETS_SECRET\n",
            "        secret: env:A\n        policy: {Version: x}\n        bearerPrefix: true\n",
        ),
        ("claim: ip, to: sourceIp", "claim: cnf, to: header.X-Device"),
        ("authorizerResultTtlInSeconds: 300", "authorizerResultTtlInSeconds: 0"),
        (
            "      type: apiKey\n",
            "      type: http\n      scheme: Bearer\n      bearerFormat: JWT\n",
        ),
        // Validators that look at nothing: no body, no required parameter.
        (
            "      operationId: listPets\n",
            "      x-amazon-apigateway-request-validator: everything\n",
        ),
        (
            "{validateRequestBody: true, validateRequestParameters: true}",
            "{validateRequestBody: false}",
        ),
        (
            "passthroughBehavior: when_no_match",
            "requestTemplates: {}\n        passthroughBehavior: WHEN_NO_TEMPLATES",
        ),
        (
            "passthroughBehavior: when_no_match",
            "requestTemplates: {application/json: $input.json('$')}",
        ),
        (
            "passthroughBehavior: when_no_match",
            "responseTransferMode: STREAM\n        payloadFormatVersion: 1.0",
        ),
        ("timeoutInMillis: 29000", "timeoutInMillis: 50"),
        ("timeoutInMillis: 29000", "timeoutInMillis: '29000'"),
        (
            "{default: {statusCode: \"200\"}}",
            "{default: {statusCode: 200, responseTemplates: {a/b: __passthrough__}}}",
        ),
        (
            "{application/json: '{\"statusCode\": 204}'}",
            "{application/json: '{statusCode: 204}'}",
        ),
        (
            "{application/json: '{\"statusCode\": 204}'}",
            "{application/json: '{\"a\": 1, \"statusCode\": 204 ,, }'}",
        ),
        ("          2\\d{2}:", "          default:"),
        ("          2\\d{2}:", "          '204':"),
        (
            "responseTemplates: {application/json: ''}",
            "responseTemplates: {application/json: null}",
        ),
    ];
    for (from, to) in cases {
        clean(&mutated(REST, from, to), Rest);
    }
}

#[test]
fn variants_of_an_http_api_are_accepted() {
    let cases = [
        ("type: jwt", "type: JWT"),
        (
            "openapi: 3.0.1\n",
            "openapi: 3.0.1\nx-amazon-apigateway-cors: {allowOrigins: ['*'], allowMethods: GET, maxAge: -1, allowCredentials: false}\n",
        ),
        ("        identitySource: $request.header.Authorization\n", ""),
        ("audience: [orders]", "audience: orders"),
        ("issuer: https://issuer.example", "issuer: https://other.example"),
        ("        timeoutInMillis: 29000\n", ""),
        (
            "        type: jwt\n",
            "        type: jwt\n        authorizerResultTtlInSeconds: 0\n",
        ),
    ];
    for (from, to) in cases {
        clean(&mutated(HTTP, from, to), Http);
    }
}
