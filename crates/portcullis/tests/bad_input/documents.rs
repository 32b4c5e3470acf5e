//! Documents and configurations that must not be served.

use portcullis_testkit::{Portcullis, ReservedPort, curl};

use crate::support::{BINARY, CONFIG, PROXY, Place, SECRET};

/// `check` and `serve` refuse this, naming the place and the remedy, and nothing listens.
#[track_caller]
fn check(document: &str, config: &str, said: &[&str]) {
    let place = Place::new();
    let port = ReservedPort::new();
    place.write("proxy.yaml", document);
    place.write(
        "portcullis.toml",
        config.replace("127.0.0.1:8080", &port.address().to_string()),
    );
    let checked = place.run(&["check", "--config", "portcullis.toml"]);
    let served = place.run(&["serve", "--config", "portcullis.toml"]);
    for text in said {
        checked.expect(1, "nothing can be served from this", text);
        served
            .expect(2, "", text)
            .expect(2, "", "error: nothing can be served from this");
    }
    assert_eq!(served.out, "");
    assert!(!served.err.contains("listening on"), "{served:?}");
    let connected = std::net::TcpStream::connect(port.address());
    assert!(connected.is_err(), "somebody listens");
    assert!(
        !place.path("portcullis-data").exists(),
        "the data directory is not even made"
    );
}

/// The same with one text of the documented document changed.
#[track_caller]
fn check_document(from: &str, to: &str, said: &[&str]) {
    assert!(PROXY.contains(from), "`{from}` is not in the document");
    check(&PROXY.replacen(from, to, 1), CONFIG, said);
}

#[test]
fn syntax_errors_name_their_line() {
    check_document(
        "security: [{Approov: []}]",
        "security: [{Approov: []}",
        &[
            "proxy.yaml:2",
            "[syntax-error]",
            "check quotes, indentation and brackets",
        ],
    );
    check(
        PROXY,
        &CONFIG.replace("mount = \"/\"", "mount = \"/"),
        &["portcullis.toml:13:", "[syntax-error]", "texts stand in double quotes"],
    );
}

#[test]
fn duplicate_keys_name_both_lines() {
    check_document(
        "      name: Approov-Token\n",
        "      name: Approov-Token\n      name: Other\n",
        &[
            "proxy.yaml:8:7: error: `name` stands here again, first in line 7 [duplicate-key]",
            "keep one of the two",
        ],
    );
}

#[test]
fn unknown_and_misspelt_extensions_are_never_ignored() {
    check_document(
        "x-portcullis-authorizer",
        "x-portcullis-authoriser",
        &[
            "proxy.yaml:10:7: error: ",
            "[unknown-extension]",
            "did you mean `x-portcullis-authorizer`?",
        ],
    );
    check_document(
        "x-amazon-apigateway-integration",
        "x-amazon-apigateway-integraton",
        &[
            "proxy.yaml:21:7: error: ",
            "[unknown-extension]",
            "did you mean `x-amazon-apigateway-integration`?",
        ],
    );
    check_document(
        "info:",
        "x-amazon-apigateway-quantum: yes\ninfo:",
        &["proxy.yaml:2:1: error: ", "[unknown-extension]"],
    );
    check_document(
        "secretEncoding:",
        "secretEncodng:",
        &["proxy.yaml:14:9: error: ", "did you mean `secretEncoding`?"],
    );
}

#[test]
fn what_is_not_supported_is_refused_by_its_route() {
    check_document(
        "type: http_proxy",
        "type: aws",
        &["proxy.yaml:22:15: error: ", "/{proxy+}"],
    );
    check_document(
        "[{Approov: []}]",
        "[{Aprov: []}]",
        &[
            "proxy.yaml:20:",
            "[unknown-security-scheme]",
            "there is no security scheme `Aprov`, which is to protect ANY /{proxy+}",
        ],
    );
}

#[test]
fn route_conflicts_name_both_routes() {
    let second = PROXY.replace(
        "paths:\n",
        "paths:\n  /a/{one}:\n    get: &mock\n      security: []\n      parameters: []\n      x-amazon-apigateway-integration:\n        type: mock\n        requestTemplates: {application/json: '{\"statusCode\": 200}'}\n        responses: {default: {statusCode: \"200\"}}\n  /a/{two}:\n    get: *mock\n",
    );
    check(
        &second,
        CONFIG,
        &["proxy.yaml:2", "[route-conflict]", "/a/{one}", "/a/{two}"],
    );
}

#[test]
fn missing_variables_name_the_integration() {
    let config = CONFIG.replace("variables = { origin = ", "variables = { orign = ");
    check(PROXY, &config, &["proxy.yaml:24:", "origin", "error: "]);
}

#[test]
fn alias_bombs_are_defused() {
    let mut bomb = String::from("x-a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let repeated = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("x-a{level}: &a{level} [{repeated}]\n"));
    }
    check(
        &format!("{PROXY}{bomb}"),
        CONFIG,
        &["proxy.yaml:", "use fewer aliases, or split it into several APIs"],
    );
    check_document("[{Approov: []}]", "&a [*a]", &["proxy.yaml:20:", "[recursive-alias]"]);
}

#[test]
fn a_document_that_is_absent_empty_or_no_text_is_named() {
    let said = [
        "portcullis.toml:8:",
        "`other.yaml`",
        "paths are relative to the file that names them",
    ];
    check(PROXY, &CONFIG.replace("proxy.yaml", "other.yaml"), &said);
    check("", CONFIG, &["proxy.yaml:", "[empty-document]"]);
    check("openapi: 3.0.1\npaths: \u{0}\n", CONFIG, &["proxy.yaml:2", "error: "]);
}

#[test]
fn the_twin_without_a_mistake_is_served() {
    let place = Place::new();
    let port = ReservedPort::new();
    place.write("proxy.yaml", PROXY);
    let config = CONFIG.replace("127.0.0.1:8080", &port.address().to_string());
    place.write("portcullis.toml", config.replace("127.0.0.1:9100", "127.0.0.1:0"));
    place.run(&["check"]).expect(0, "0 errors, 0 warnings", "");
    let gateway = Portcullis::command(BINARY)
        .args(["serve"])
        .env("APPROOV_SECRET", SECRET)
        .directory(place.path(""))
        .start();
    assert_eq!(gateway.address(), port.address());
    assert_eq!(curl(&[&gateway.url("/a")]).status, 401);
}
