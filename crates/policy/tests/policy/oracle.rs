//! Agreement with the crate `iam-rs`, an independent evaluator of the whole language.
//!
//! Compared is what both define alike. Left out is where they part on purpose: resources matched as a whole rather than
//! field by field, wildcards in `ArnEquals`, plain operators over several values, dates without a time, `Null` with both
//! values, and variables, which `iam-rs` answers with an error when they have no value.

use iam_rs::{Arn, ContextValue, Decision, IAMPolicy, IAMRequest, PolicyEvaluator, Principal, PrincipalId};
use portcullis_policy::{Effect, Policy};
use proptest::{
    collection::vec,
    prelude::*,
    sample::{select, subsequence},
};
use serde_json::{Map, Value, json};

use crate::model::{Situation, runner, situation};

const RESOURCES: [&str; 6] = [
    "*",
    "arn:aws:execute-api:*:*:*",
    "arn:aws:execute-api:eu-west-?:*:proxy/live/*",
    "arn:aws:execute-api:eu-west-1:123456789012:proxy/live/GET/pets/a1",
    "arn:aws:execute-api:*:123456789012:proxy/*/GET/pets/?*",
    "arn:aws:s3:::bucket",
];

/// Operators, the keys that they are for, and values.
const CONDITIONS: [(&[&str], &[&str], &[&str]); 6] = [
    (
        &[
            "StringEquals",
            "StringNotEquals",
            "StringEqualsIgnoreCase",
            "StringNotEqualsIgnoreCase",
            "StringLike",
            "StringNotLike",
        ],
        &["aws:Referer", "AWS:sourcearn", "test:none"],
        &[
            "red",
            "RED",
            "r*",
            "r?d",
            "*",
            "arn:aws:s3:::bucket",
            "2026-11-20",
            "true",
        ],
    ),
    (
        &[
            "ForAllValues:StringEquals",
            "ForAnyValue:StringEquals",
            "ForAllValues:StringNotLike",
            "ForAnyValue:StringLike",
        ],
        &["test:team", "test:none"],
        &["red", "Red", "r*", "black", "a?"],
    ),
    (
        &[
            "NumericEquals",
            "NumericNotEquals",
            "NumericLessThan",
            "NumericLessThanEquals",
            "NumericGreaterThan",
            "NumericGreaterThanEquals",
        ],
        &["test:amount", "aws:EpochTime", "test:none"],
        &["12.5", "-3", "0", "100", "1795170600"],
    ),
    (
        &[
            "DateEquals",
            "DateNotEquals",
            "DateLessThan",
            "DateLessThanEquals",
            "DateGreaterThan",
            "DateGreaterThanEquals",
        ],
        &["aws:CurrentTime", "aws:EpochTime", "test:none"],
        &[
            "2026-11-20T10:30:00Z",
            "2026-11-20T11:30:01+01:00",
            "1795170600",
            "2020-02-29T00:00:00Z",
        ],
    ),
    (&["Bool"], &["aws:SecureTransport", "test:none"], &["true", "false"]),
    (
        &["IpAddress", "NotIpAddress"],
        &["aws:SourceIp", "test:none"],
        &[
            "203.0.113.0/24",
            "203.0.113.7",
            "0.0.0.0/0",
            "2001:db8::/32",
            "::/0",
            "10.0.0.0/8",
        ],
    ),
];

fn condition() -> impl Strategy<Value = (String, Value)> {
    let compared = select(&CONDITIONS[..]).prop_flat_map(|(operators, keys, values)| {
        (
            select(operators),
            select(keys),
            vec(select(values), 1..4),
            any::<bool>(),
        )
            .prop_map(|(operator, key, values, if_exists)| {
                let suffix = if if_exists && !operator.contains(':') {
                    "IfExists"
                } else {
                    ""
                };
                (format!("{operator}{suffix}"), json!({key: values}))
            })
    });
    let null = (select(&["aws:Referer", "test:team", "test:none"][..]), any::<bool>());
    prop_oneof![9 => compared, 1 => null.prop_map(|(key, absent)| ("Null".to_owned(), json!({key: absent.to_string()})))]
}

fn document() -> impl Strategy<Value = Value> {
    let action = subsequence(
        &[
            "execute-api:Invoke",
            "execute-api:inv*",
            "execute-api:InvalidateCache",
            "s3:*",
        ][..],
        1..3,
    );
    let effect = prop_oneof![3 => Just("Allow"), 1 => Just("Deny")];
    let elements = (
        select(&["Action", "Action", "NotAction"][..]),
        select(&["Resource", "Resource", "NotResource"][..]),
    );
    let statement = (
        effect,
        elements,
        action,
        subsequence(&RESOURCES[..], 1..3),
        vec(condition(), 0..3),
    )
        .prop_map(|(effect, (action, resource), actions, resources, conditions)| {
            let conditions: Map<String, Value> = conditions.into_iter().collect();
            json!({"Effect": effect, action: actions, resource: resources, "Condition": conditions})
        });
    vec(statement, 1..5).prop_map(|statements| json!({"Version": "2012-10-17", "Statement": statements}))
}

fn theirs(document: &Value, situation: &Situation) -> Effect {
    let mut context = iam_rs::Context::new();
    for (key, values) in situation.keys() {
        let value = match (key.as_str(), &*values) {
            (_, []) => continue,
            ("test:team", _) => ContextValue::StringList(values),
            ("aws:securetransport", [flag]) => ContextValue::Boolean(flag == "true"),
            (_, [one]) => ContextValue::String(one.clone()),
            other => panic!("{other:?}"),
        };
        context.insert(key, value);
    }
    let principal = Principal::Aws(PrincipalId::String("arn:aws:iam::123456789012:user/someone".into()));
    let resource = Arn::parse(situation.resource).unwrap();
    let request = IAMRequest::new_with_context(principal, situation.action(), resource, context);
    let policy: IAMPolicy = serde_json::from_value(document.clone()).unwrap();
    match PolicyEvaluator::with_policies(vec![policy])
        .evaluate(&request)
        .unwrap()
        .decision
    {
        Decision::Allow => Effect::Allow,
        Decision::Deny => Effect::ExplicitDeny,
        Decision::NotApplicable => Effect::ImplicitDeny,
    }
}

#[test]
fn iam_rs_agrees() {
    let seen = std::cell::Cell::new([0_u32; 3]);
    let run = runner(256).run(&(document(), vec(situation(), 2)), |(document, situations)| {
        let policy = Policy::from_value(&document).map_err(|error| TestCaseError::fail(error.to_string()))?;
        for situation in situations {
            let expected = theirs(&document, &situation);
            let mut counts = seen.get();
            counts[expected as usize] += 1;
            seen.set(counts);
            prop_assert_eq!(situation.ours(&policy), expected, "{} for {:?}", document, situation);
        }
        Ok(())
    });
    run.unwrap_or_else(|error| panic!("{error}"));
    assert!(seen.get().iter().all(|count| *count > 30), "{:?}", seen.get());
}
