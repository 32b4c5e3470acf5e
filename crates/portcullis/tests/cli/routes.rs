use serde_json::{Value, json};

use crate::{CONFIG, PROXY, Place};

#[test]
fn routes_are_listed_with_what_protects_them() {
    let place = Place::new();
    place.write("proxy.yaml", PROXY);
    place.write(
        "portcullis.toml",
        &CONFIG.replace("mount = \"/\"", "mount = \"/v1\"").replace(
            "[[apis.stages]]",
            "[[apis.stages]]\nthrottle = { rate_per_s = 2.5, burst = 7 }",
        ),
    );
    let said = place.run("routes --config portcullis.toml");
    let cells = |line: &str| {
        line.split("  ")
            .map(str::trim)
            .filter(|cell| !cell.is_empty())
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let lines: Vec<_> = said.expect(0, "", "").out.lines().map(cells).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(
        lines[1],
        [
            "ANY",
            "/v1/{proxy+}",
            "proxy TEST",
            "http_proxy http://127.0.0.1:9000",
            "Approov",
            "2.5/s, burst 7"
        ]
    );
    assert_eq!(lines[0].len(), lines[1].len());

    let said = place.run("routes --config portcullis.toml --json");
    let answer: Value = serde_json::from_str(&said.expect(0, "", "").out).unwrap();
    let expected = json!([{
        "api": "proxy", "stage": "TEST", "mount": "/v1", "verb": "ANY", "resource": "/{proxy+}", "paths": ["/v1/{proxy+}"],
        "integration": "http_proxy", "origin": "http://127.0.0.1:9000", "status": null, "authorizer": "Approov",
        "resourcePolicy": false, "throttle": {"rate_per_s": 2.5, "burst": 7},
    }]);
    assert_eq!(answer, expected);
}

#[test]
fn an_open_route_stands_out() {
    let place = Place::new();
    place.write(
        "proxy.yaml",
        &PROXY.replace("security: [{Approov: []}]", "security: []"),
    );
    place
        .run("routes proxy.yaml --variable origin=127.0.0.1")
        .expect(0, "http_proxy http://127.0.0.1  -  ", "");
}

#[test]
fn nothing_is_listed_from_a_document_with_errors() {
    let place = Place::new();
    place.write("proxy.yaml", PROXY);
    let said = place.run("routes proxy.yaml");
    said.expect(2, "", "proxy.yaml:24:")
        .expect(2, "", "nothing can be served from this");
    assert_eq!(said.out, "");
}
