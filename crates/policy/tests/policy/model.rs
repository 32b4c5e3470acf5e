//! Random documents and requests, and whether two evaluators agree on them.

use std::net::IpAddr;

use portcullis_core::Timestamp;
use portcullis_policy::{Action, Context, Effect, KeyValue, Policy, Request};
use proptest::{
    collection::{btree_map, vec},
    prelude::*,
    sample::{select, subsequence},
    test_runner::{RngSeed, TestRunner},
};
use serde_json::{Map, Value, json};

use crate::naive::{self, Asked, Verdict};

/// What a request is like, as both evaluators are told.
#[derive(Clone, Debug)]
pub(crate) struct Situation {
    pub(crate) action: Action,
    pub(crate) resource: &'static str,
    pub(crate) seconds: i64,
    pub(crate) source_ip: Option<&'static str>,
    pub(crate) secure_transport: bool,
    pub(crate) referer: Option<&'static str>,
    pub(crate) source_arn: Option<&'static str>,
    pub(crate) team: Vec<&'static str>,
    pub(crate) amount: Option<&'static str>,
}

const RESOURCES: [&str; 5] = [
    "arn:aws:execute-api:eu-west-1:123456789012:proxy/live/GET/pets/a1",
    "arn:aws:execute-api:eu-west-1:123456789012:proxy/live/GET/",
    "arn:aws:execute-api:eu-west-1:123456789012:proxy/live/POST/pets/red",
    "arn:aws:execute-api:eu-west-1:123456789012:proxy/test/GET/pets/*",
    "arn:aws:execute-api:eu-west-1:123456789012:other/live/GET/pets/é",
];
const PATTERNS: [&str; 14] = [
    "*",
    "arn:aws:execute-api:*:*:*",
    "arn:aws:execute-api:*:*:proxy/*",
    "arn:aws:execute-api:eu-west-?:*:proxy/live/*",
    "arn:aws:execute-api:eu-west-1:123456789012:proxy/live/GET/pets/a1",
    "arn:*/GET/*",
    "arn:*/pets/?",
    "*/pets/??",
    "arn:*/pets/${test:team}",
    "arn:*/pets/${test:team, 'a1'}",
    "arn:*/pets/${*}",
    "arn:*:${test:none}",
    "arn:aws:execute-api:*p*o*x*y*/*e*",
    "arn:aws:s3:::bucket",
];
const ACTIONS: [&str; 6] = [
    "execute-api:Invoke",
    "EXECUTE-API:invoke",
    "execute-api:InvalidateCache",
    "execute-api:*",
    "*",
    "s3:Get*",
];
pub(crate) const KEYS: [&str; 10] = [
    "aws:CurrentTime",
    "aws:EpochTime",
    "aws:SourceIp",
    "AWS:sourceIP",
    "aws:SecureTransport",
    "aws:Referer",
    "aws:SourceArn",
    "test:team",
    "Test:Amount",
    "test:none",
];
const TEXTS: [&str; 20] = [
    "red",
    "Red",
    "r*",
    "r?d",
    "*",
    "",
    "true",
    "FALSE",
    "12.50",
    "-3",
    "1795170600",
    "2026-11-20",
    "203.0.113.7",
    "${test:team}",
    "${test:none, 'red'}",
    "${test:none}",
    "r${*}",
    "x${test:amount}",
    "${aws:SourceIp}",
    "2026-11-20T10:30:00Z",
];
const ARNS: [&str; 6] = [
    "*",
    "arn:aws:s3:::bucket",
    "arn:aws:s3:::b*",
    "arn:*:s?:*:*:*",
    "arn:aws:sns:*:*:a:b",
    "arn:aws:s3:::${test:team}",
];
const NUMBERS: [&str; 7] = ["12.5", "12.51", "-3", "0", "1795170600", "1795170600.5", "100"];
const DATES: [&str; 6] = [
    "2026-11-20T10:30:00Z",
    "2026-11-20T10:30:01Z",
    "2026-11-20",
    "2024-02-29",
    "1795170600",
    "1795170599",
];
const NETWORKS: [&str; 9] = [
    "203.0.113.0/24",
    "203.0.113.7",
    "203.0.113.200/25",
    "0.0.0.0/0",
    "10.0.0.0/8",
    "2001:db8::/32",
    "::/0",
    "::ffff:203.0.113.0/120",
    "2001:db8::7",
];

/// Operators by what their values are, without negation, quantifier and `IfExists`.
const OPERATORS: [(&str, &[&str], &[&str]); 8] = [
    (
        "String",
        &[
            "Equals",
            "NotEquals",
            "EqualsIgnoreCase",
            "NotEqualsIgnoreCase",
            "Like",
            "NotLike",
        ],
        &TEXTS,
    ),
    ("Arn", &["Equals", "NotEquals", "Like", "NotLike"], &ARNS),
    (
        "Numeric",
        &[
            "Equals",
            "NotEquals",
            "LessThan",
            "LessThanEquals",
            "GreaterThan",
            "GreaterThanEquals",
        ],
        &NUMBERS,
    ),
    (
        "Date",
        &[
            "Equals",
            "NotEquals",
            "LessThan",
            "LessThanEquals",
            "GreaterThan",
            "GreaterThanEquals",
        ],
        &DATES,
    ),
    ("Ip", &["Address"], &NETWORKS),
    ("Not", &["IpAddress"], &NETWORKS),
    ("", &["Bool"], &["true", "false", "True"]),
    ("", &["BinaryEquals"], &["cmVk", "YmxhY2s="]),
];

fn condition() -> impl Strategy<Value = (String, Value)> {
    let operator = select(&OPERATORS[..]).prop_flat_map(|(family, operators, values)| {
        let values = vec(select(values), 1..4);
        (
            Just(family),
            select(operators),
            select(&["", "", "ForAnyValue:", "ForAllValues:"][..]),
            any::<bool>(),
            values,
        )
    });
    let name = operator.prop_map(|(family, operator, quantifier, if_exists, values)| {
        let suffix = if if_exists { "IfExists" } else { "" };
        (format!("{quantifier}{family}{operator}{suffix}"), values)
    });
    let null = vec(select(&["true", "false"][..]), 1..3).prop_map(|values| ("Null".to_owned(), values));
    (prop_oneof![9 => name, 1 => null], select(&KEYS[..])).prop_map(|((name, values), key)| {
        let values = if values.len() == 1 {
            json!(values[0])
        } else {
            json!(values)
        };
        (name, json!({key: values}))
    })
}

fn strings(pool: &'static [&'static str]) -> impl Strategy<Value = Value> {
    prop_oneof![
        select(pool).prop_map(|one| json!(one)),
        subsequence(pool, 1..4).prop_map(|list| json!(list))
    ]
}

fn statement() -> impl Strategy<Value = Value> {
    let action = (
        prop_oneof![4 => Just("Action"), 1 => Just("NotAction")],
        strings(&ACTIONS),
    );
    let resource = (
        prop_oneof![4 => Just("Resource"), 1 => Just("NotResource")],
        strings(&PATTERNS),
    );
    let conditions = vec(condition(), 0..3);
    let effect = prop_oneof![3 => Just("Allow"), 1 => Just("Deny")];
    (effect, action, resource, conditions).prop_map(|(effect, (action, actions), (resource, resources), conditions)| {
        let conditions: Map<String, Value> = conditions.into_iter().collect();
        json!({"Effect": effect, action: actions, resource: resources, "Condition": conditions})
    })
}

pub(crate) fn document() -> impl Strategy<Value = Value> {
    let version = prop_oneof![6 => Just(json!("2012-10-17")), 1 => Just(json!("2008-10-17")), 1 => Just(json!(null))];
    let statements = prop_oneof![statement(), vec(statement(), 0..5).prop_map(Value::Array)];
    (version, statements).prop_map(|(version, statements)| {
        let mut document = json!({"Statement": statements});
        if version.is_string() {
            document["Version"] = version;
        }
        document
    })
}

pub(crate) fn situation() -> impl Strategy<Value = Situation> {
    let addresses = [
        "203.0.113.7",
        "203.0.113.200",
        "10.1.2.3",
        "::ffff:203.0.113.7",
        "2001:db8::7",
        "fe80::1",
    ];
    let referers = [
        "red",
        "Red",
        "r*",
        "203.0.113.7",
        "arn:aws:s3:::bucket",
        "2026-11-20",
        "12.5",
        "true",
        "",
    ];
    let arns = ["arn:aws:s3:::bucket", "arn:aws:sns:eu-west-1:1:a:b", "bucket"];
    let request = (
        prop_oneof![3 => Just(Action::Invoke), 1 => Just(Action::InvalidateCache)],
        select(&RESOURCES[..]),
    );
    let time = prop_oneof![
        Just(1_795_170_600_i64),
        Just(1_795_170_599),
        1_700_000_000_i64..1_900_000_000
    ];
    let keys = (
        proptest::option::weighted(0.8, select(addresses.to_vec())),
        any::<bool>(),
        proptest::option::weighted(0.7, select(referers.to_vec())),
        proptest::option::weighted(0.7, select(arns.to_vec())),
        vec(select(vec!["red", "Red", "black", "a1", "*", "-3"]), 0..3),
        proptest::option::weighted(0.7, select(vec!["12.50", "-3", "100.0", "many", "1795170600"])),
    );
    (request, time, keys).prop_map(|((action, resource), seconds, keys)| {
        let (source_ip, secure_transport, referer, source_arn, team, amount) = keys;
        Situation {
            action,
            resource,
            seconds,
            source_ip,
            secure_transport,
            referer,
            source_arn,
            team,
            amount,
        }
    })
}

impl Situation {
    pub(crate) fn ours(&self, policy: &Policy) -> Effect {
        let text = |text: &&'static str| KeyValue::Text(text);
        let keys = crate::common::Keys(vec![
            ("test:team", self.team.iter().map(text).collect()),
            ("test:amount", self.amount.iter().map(text).collect()),
        ]);
        let context = Context {
            source_ip: self.source_ip.map(|address| address.parse::<IpAddr>().unwrap()),
            secure_transport: self.secure_transport,
            referer: self.referer,
            source_arn: self.source_arn,
            extra: &keys,
            ..Context::new(Timestamp::from_unix_seconds(self.seconds))
        };
        policy
            .evaluate(&Request {
                action: self.action,
                resource: self.resource,
                context: &context,
            })
            .effect
    }

    pub(crate) fn action(&self) -> &'static str {
        match self.action {
            Action::Invoke => "execute-api:invoke",
            Action::InvalidateCache => "execute-api:invalidatecache",
        }
    }

    pub(crate) fn keys(&self) -> naive::Keys {
        let owned = |values: &[&str]| values.iter().map(|&value| value.to_owned()).collect::<Vec<String>>();
        let canonical = |address: &str| address.parse::<IpAddr>().unwrap().to_canonical().to_string();
        let keys = [
            (
                "aws:currenttime",
                vec![Timestamp::from_unix_seconds(self.seconds).to_rfc3339()],
            ),
            ("aws:epochtime", vec![self.seconds.to_string()]),
            ("aws:sourceip", self.source_ip.map(canonical).into_iter().collect()),
            ("aws:securetransport", vec![self.secure_transport.to_string()]),
            ("aws:referer", owned(self.referer.as_slice())),
            ("aws:sourcearn", owned(self.source_arn.as_slice())),
            ("test:team", owned(&self.team)),
            ("test:amount", owned(self.amount.as_slice())),
        ];
        keys.into_iter().map(|(key, values)| (key.to_owned(), values)).collect()
    }
}

/// A runner whose cases are the same in every run, and `PORTCULLIS_SOAK` times as many.
pub(crate) fn runner(cases: u32) -> TestRunner {
    let cases = cases.saturating_mul(crate::common::soak());
    let max_global_rejects = cases.saturating_mul(20).max(1024);
    TestRunner::new(ProptestConfig {
        cases,
        max_global_rejects,
        rng_seed: RngSeed::Fixed(20_261_120),
        failure_persistence: None,
        ..ProptestConfig::default()
    })
}

#[test]
fn two_evaluators_agree() {
    let mut counts = [0_u32; 3];
    let cell = std::cell::RefCell::new(&mut counts);
    let run = runner(256).run(&(document(), vec(situation(), 4)), |(document, situations)| {
        let policy = Policy::from_value(&document).map_err(|error| TestCaseError::fail(error.to_string()))?;
        for situation in situations {
            let keys = situation.keys();
            let asked = Asked {
                action: situation.action(),
                resource: situation.resource,
                keys: &keys,
            };
            let (expected, at) = match naive::evaluate(&document, &asked) {
                Verdict::Allow => (Effect::Allow, 0),
                Verdict::Deny => (Effect::ExplicitDeny, 1),
                Verdict::Neither => (Effect::ImplicitDeny, 2),
            };
            cell.borrow_mut()[at] += 1;
            prop_assert_eq!(situation.ours(&policy), expected, "{} for {:?}", document, situation);
        }
        Ok(())
    });
    run.unwrap_or_else(|error| panic!("{error}"));
    // A test in which everything is denied would find nothing.
    assert!(counts.iter().all(|count| *count > 60), "{counts:?}");
}

#[test]
fn any_document_is_read_or_refused_without_a_panic() {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        select(&TEXTS[..]).prop_map(Value::from),
        select(&PATTERNS[..]).prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    let names = [
        "Version",
        "Id",
        "Statement",
        "Sid",
        "Effect",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition",
        "Principal",
        "StringEquals",
        "DateLessThan",
        "aws:SourceIp",
        "test:team",
    ];
    let any_json = leaf.prop_recursive(5, 40, 5, move |inner| {
        let members = btree_map(select(names.to_vec()), inner.clone(), 0..5);
        let object = members.prop_map(|members| {
            members
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()
        });
        prop_oneof![vec(inner, 0..4).prop_map(Value::Array), object.prop_map(Value::Object)]
    });
    let run = runner(256).run(&(any_json, statement(), 0..8_usize), |(value, mut statement, at)| {
        portcullis_policy::fuzzing::fuzz_policy(value.to_string().as_bytes());
        // A good document with one bad piece gets further.
        let name = [
            "Effect",
            "Action",
            "Resource",
            "Condition",
            "Sid",
            "Principal",
            "NotResource",
            "x",
        ][at];
        statement[name] = value;
        portcullis_policy::fuzzing::fuzz_policy(
            json!({"Version": "2012-10-17", "Statement": statement})
                .to_string()
                .as_bytes(),
        );
        Ok(())
    });
    run.unwrap_or_else(|error| panic!("{error}"));
}
