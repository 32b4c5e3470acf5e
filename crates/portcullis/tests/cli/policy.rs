use serde_json::{Value, json};

use crate::Place;

const POLICY: &str = r#"{
    "Version": "2012-10-17",
    "Statement": [
        {"Sid": "Reads", "Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "arn:aws:execute-api:*:*:proxy/TEST/GET/*"},
        {"Effect": "Deny", "Action": "execute-api:Invoke", "Resource": "arn:aws:execute-api:*:*:*/*/*/private/*"},
        {"Sid": "Office", "Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "arn:aws:execute-api:eu-west-1:123456789012:*",
         "Condition": {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}, "DateLessThan": {"aws:CurrentTime": "2030-01-01T00:00:00Z"},
                       "StringEquals": {"aws:UserAgent": "curl", "aws:PrincipalTag/team": "red"}, "Bool": {"aws:SecureTransport": "true"}}}
    ]
}"#;

#[test]
fn tells_the_verdict_and_the_statement() {
    let place = Place::new();
    place.write("p.json", POLICY);
    let check = |options: &str, status: i32, out: &str| {
        place
            .run(&format!("policy simulate --policy p.json {options}"))
            .expect(status, out, "");
    };
    check(
        "--method GET --path /pets/1",
        0,
        "allow\nstatement 0 (Reads): Allow execute-api:Invoke on",
    );
    check(
        "--method GET --path /pets/1",
        0,
        "arn:aws:execute-api:us-east-1:000000000000:proxy/TEST/GET/pets/1",
    );
    check("--method POST --path /pets/1", 1, "implicit deny\nno statement matches");
    check(
        "--method GET --path /private/a%2fb",
        1,
        "explicit deny\nstatement 1: Deny",
    );
    check("--method GET --path /pets --stage PROD", 1, "implicit deny");
    check("--method GET --path /pets --api other", 1, "implicit deny");
    check("--method GET --path /pets --invalidate-cache", 1, "implicit deny");

    let office = "--method POST --path / --region eu-west-1 --account 123456789012 --user-agent curl --secure-transport \
                  --context AWS:principaltag/Team=red --time 2029-12-31T00:00:00Z --source-ip 203.0.113.9";
    check(office, 0, "allow\nstatement 2 (Office)");
    for (right, wrong) in [
        ("eu-west-1", "eu-west-2"),
        ("123456789012", "123456789013"),
        ("curl", "wget"),
        ("--secure-transport", ""),
        ("=red", "=blue"),
        ("2029", "2030"),
        ("203.0.113.9", "203.0.114.9"),
    ] {
        check(&office.replace(right, wrong), 1, "implicit deny");
    }
}

#[test]
fn answers_as_json_and_reads_standard_input() {
    let place = Place::new();
    let arguments = [
        "policy", "simulate", "--policy", "-", "--method", "GET", "--path", "/pets", "--json",
    ];
    let said = place.run_with(&arguments, POLICY, &[]);
    let answer: Value = serde_json::from_str(&said.expect(0, "", "").out).unwrap();
    assert_eq!(answer["verdict"], json!("allow"));
    assert_eq!(
        (&answer["statement"]["index"], &answer["statement"]["sid"]),
        (&json!(0), &json!("Reads"))
    );
    assert_eq!(
        answer["resource"],
        json!("arn:aws:execute-api:us-east-1:000000000000:proxy/TEST/GET/pets")
    );
}

#[test]
fn resource_policies_have_principals_and_short_names() {
    let place = Place::new();
    let policy = json!({"Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/TEST/GET/a"}});
    place.write("p.json", &policy.to_string());
    place
        .run("policy simulate --resource-policy --policy p.json --method GET --path /a")
        .expect(0, "allow", "");
    place
        .run("policy simulate --resource-policy --policy p.json --method GET --path /b")
        .expect(1, "implicit deny", "");
    place
        .run("policy simulate --policy p.json --method GET --path /a")
        .expect(2, "", "p.json: an identity policy has no principal");
}

#[test]
fn what_cannot_be_evaluated_is_refused() {
    let place = Place::new();
    place.write("p.json", POLICY);
    let check = |options: &str, reason: &str| {
        place.run(&format!("policy simulate {options}")).expect(2, "", reason);
    };
    check(
        "--policy absent.json --method GET --path /",
        "`absent.json` cannot be read",
    );
    check("--policy p.json --method get --path /", "did you mean `GET`?");
    check(
        "--policy p.json --method GET --path a",
        "--path: the request target is not a path",
    );
    check(
        "--policy p.json --method GET --path /a/../b",
        "--path: the path holds a dot segment",
    );
    check(
        "--policy p.json --method GET --path / --time yesterday",
        "write a date, a time and an offset",
    );
    check(
        "--policy p.json --method GET --path / --source-ip ten",
        "invalid IP address",
    );
    check(
        "--policy p.json --method GET --path / --account 1",
        "an account has 12 digits",
    );
    check(
        &format!("--policy p.json --method GET --path /{}", "a".repeat(1600)),
        "the gateway answers 414 above 1600",
    );
    place.write("bad.json", &POLICY.replace("DateLessThan", "DateLessThen"));
    check(
        "--policy bad.json --method GET --path /",
        "bad.json: the condition operator",
    );
    place.write("text.json", "hello");
    check("--policy text.json --method GET --path /", "text.json: not JSON");
    check(
        "--resource-policy --policy text.json --method GET --path /",
        "text.json is not JSON",
    );
}

#[test]
fn doubts_are_told_beside_the_answer() {
    let place = Place::new();
    let policy = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}});
    place.write("p.json", &policy.to_string());
    place
        .run("policy simulate --policy p.json --method GET --path /")
        .expect(0, "allow", "warning: p.json: statement 0 allows every request");
}
