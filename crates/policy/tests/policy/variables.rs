//! Policy variables.

use crate::common::{Keys, METHOD, context, document, effect, holds};
use portcullis_policy::{Effect, KeyValue, Policy};
use serde_json::{Value, json};

fn keys() -> Keys<'static> {
    Keys(vec![
        ("test:name", vec![KeyValue::Text("a1")]),
        ("test:star", vec![KeyValue::Text("*")]),
        ("test:dollar", vec![KeyValue::Text("${test:name}")]),
        ("test:number", vec![KeyValue::Number(7)]),
        ("test:many", vec![KeyValue::Text("a1"), KeyValue::Text("b2")]),
        ("test:arn", vec![KeyValue::Text("arn:aws:s3:::a1")]),
        ("test:bytes", vec![KeyValue::Bytes(b"a1")]),
    ])
}

#[test]
fn variables_in_conditions() {
    for (condition, allowed, denied) in [
        (json!({"StringEquals": {"test:name": "${test:name}"}}), true, true),
        (json!({"StringEquals": {"test:name": "${TEST:Name}"}}), true, true),
        (json!({"StringEquals": {"test:name": "${ test:name }"}}), true, true),
        (json!({"StringEquals": {"test:name": "x${test:name}"}}), false, false),
        (
            json!({"StringEqualsIgnoreCase": {"test:name": "A${test:none, '1'}"}}),
            true,
            true,
        ),
        (json!({"StringEquals": {"test:name": "${test:none,'a1'}"}}), true, true),
        (
            json!({"StringEquals": {"test:name": "${test:none, 'a2'}"}}),
            false,
            false,
        ),
        (
            json!({"StringEquals": {"test:number": "${test:number, '8'}"}}),
            true,
            true,
        ),
        // What a variable stands for is literal.
        (json!({"StringLike": {"test:name": "${test:star}"}}), false, false),
        (json!({"StringLike": {"test:star": "${test:star}"}}), true, true),
        (json!({"StringLike": {"test:name": "${test:none, '*'}"}}), false, false),
        (json!({"StringEquals": {"test:name": "${test:dollar}"}}), false, false),
        (json!({"StringLike": {"test:name": "${test:none, 'a'}*"}}), true, true),
        (
            json!({"ArnEquals": {"test:arn": "arn:aws:s3:::${test:name}"}}),
            true,
            true,
        ),
        (json!({"ArnEquals": {"test:arn": "${test:arn}"}}), true, true),
        (
            json!({"ArnLike": {"test:arn": "arn:aws:s3:::${test:star}"}}),
            false,
            false,
        ),
        (json!({"ArnLike": {"test:arn": "${test:name}"}}), false, false),
        // What cannot be resolved does not match; in what allows it does not fail to match either.
        (json!({"StringEquals": {"test:name": "${test:none}"}}), false, false),
        (json!({"StringEquals": {"test:name": "${test:many}"}}), false, false),
        (json!({"StringEquals": {"test:name": "${test:bytes}"}}), false, false),
        (
            json!({"StringEquals": {"test:name": ["${test:none}", "a1"]}}),
            true,
            true,
        ),
        (json!({"StringNotEquals": {"test:name": "${test:none}"}}), false, true),
        (
            json!({"StringNotEquals": {"test:name": ["b2", "${test:many}"]}}),
            false,
            true,
        ),
        (json!({"StringNotLike": {"test:name": "${test:none}*"}}), false, true),
        (json!({"ArnNotLike": {"test:arn": "${test:none}"}}), false, true),
        (
            json!({"ForAnyValue:StringNotEquals": {"test:many": "${test:none}"}}),
            false,
            true,
        ),
        (
            json!({"ForAllValues:StringNotEquals": {"test:many": "${test:none}"}}),
            false,
            true,
        ),
        (
            json!({"ForAllValues:StringEquals": {"test:many": ["${test:none}", "a1", "b2"]}}),
            true,
            true,
        ),
        (json!({"StringNotEquals": {"test:none": "${test:none}"}}), true, true),
    ] {
        let keys = keys();
        assert_eq!(holds(&condition, &context(&keys)), (allowed, denied), "{condition}");
    }
}

/// Statements about a resource that allow, and that deny what another allows.
fn check(element: &str, resource: Value, allowed: bool, denied: bool) {
    let keys = keys();
    let context = context(&keys);
    let statement = |effect: &str| json!({"Effect": effect, "Action": "*", element: resource});
    let allow = Policy::from_value(&document(&statement("Allow"))).unwrap();
    assert_eq!(
        effect(&allow, &context) == Effect::Allow,
        allowed,
        "{element} {resource}"
    );
    let everything = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
    let deny = Policy::from_value(&document(&json!([everything, statement("Deny")]))).unwrap();
    assert_eq!(
        effect(&deny, &context) == Effect::ExplicitDeny,
        denied,
        "{element} {resource}"
    );
}

#[test]
fn variables_in_resources() {
    assert!(METHOD.ends_with("/GET/pets/a1"));
    check(
        "Resource",
        json!("arn:aws:execute-api:*/GET/pets/${test:name}"),
        true,
        true,
    );
    check(
        "Resource",
        json!("arn:aws:execute-api:*/GET/pets/${test:star}"),
        false,
        false,
    );
    check(
        "Resource",
        json!("arn:aws:execute-api:*/GET/pets/${test:none, 'a1'}"),
        true,
        true,
    );
    check(
        "Resource",
        json!("arn:aws:execute-api:*/GET/pets/${test:none}"),
        false,
        false,
    );
    check(
        "Resource",
        json!(["arn:aws:execute-api:*/${test:none}", "arn:*"]),
        true,
        true,
    );
    check(
        "NotResource",
        json!("arn:aws:execute-api:*/GET/pets/${test:name}"),
        false,
        false,
    );
    check(
        "NotResource",
        json!("arn:aws:execute-api:*/GET/pets/${test:star}"),
        true,
        true,
    );
    // Unresolved: allows nothing, denies everything.
    check(
        "NotResource",
        json!("arn:aws:execute-api:*/GET/pets/${test:none}"),
        false,
        true,
    );
}

#[test]
fn older_versions_have_no_variables() {
    let keys = keys();
    let context = context(&keys);
    for (version, value, expected) in [
        (Some("2012-10-17"), "a1", Effect::Allow),
        (Some("2008-10-17"), "a1", Effect::ImplicitDeny),
        (None, "a1", Effect::ImplicitDeny),
        (Some("2008-10-17"), "${test:name}", Effect::Allow),
        (None, "${test:name}", Effect::Allow),
        (Some("2012-10-17"), "${test:name}", Effect::ImplicitDeny),
    ] {
        let mut document = document(&crate::common::statement(
            "Allow",
            &json!({"StringEquals": {"test:it": "${test:name}"}}),
        ));
        match version {
            Some(version) => document["Version"] = json!(version),
            None => drop(document.as_object_mut().unwrap().remove("Version")),
        }
        let policy = Policy::from_value(&document).unwrap();
        let mut found = self::keys();
        found.0.push(("test:it", vec![KeyValue::Text(value)]));
        let context = portcullis_policy::Context {
            extra: &found,
            ..context
        };
        assert_eq!(effect(&policy, &context), expected, "{version:?} {value}");
    }
}
