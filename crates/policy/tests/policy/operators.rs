//! Every condition operator: present, absent, and with several values on either side.

use std::{collections::BTreeSet, net::IpAddr};

use crate::common::{Keys, NOW, context, holds};
use portcullis_core::Timestamp;
use portcullis_policy::{Context, KeyValue};
use serde_json::{Value, json};

const TEAM: &str = "test:team";

#[derive(Default)]
struct Table {
    operators: BTreeSet<String>,
    rows: usize,
}

impl Table {
    /// The condition `operator` over the key with the document's and the request's values.
    fn check(&mut self, operator: &str, wanted: Value, found: &[KeyValue<'_>], expected: bool) {
        let keys = Keys(vec![(TEAM, found.to_vec())]);
        let condition = json!({operator: {"Test:Team": wanted}});
        let (allowed, denied) = holds(&condition, &context(&keys));
        assert_eq!((allowed, denied), (expected, expected), "{condition} with {found:?}");
        let base = operator.rsplit(':').next().unwrap();
        self.operators
            .insert(base.strip_suffix("IfExists").unwrap_or(base).to_owned());
        self.rows += 1;
    }

    /// The same with a plain operator and its opposite, which must differ.
    fn opposites(&mut self, plain: &str, negated: &str, wanted: Value, found: &[KeyValue<'_>], expected: bool) {
        self.check(plain, wanted.clone(), found, expected);
        self.check(negated, wanted, found, !expected);
    }
}

fn text(text: &str) -> [KeyValue<'_>; 1] {
    [KeyValue::Text(text)]
}

fn texts<'a>(texts: &[&'a str]) -> Vec<KeyValue<'a>> {
    texts.iter().copied().map(KeyValue::Text).collect()
}

#[test]
fn every_operator_holds_exactly_when_it_should() {
    let mut table = Table::default();
    strings(&mut table);
    numbers(&mut table);
    dates(&mut table);
    flags_and_bytes(&mut table);
    networks(&mut table);
    arns(&mut table);
    absent_keys(&mut table);
    quantifiers(&mut table);
    assert_eq!(table.operators.len(), 27, "{:?}", table.operators);
    assert!(table.rows > 250, "{}", table.rows);
}

fn strings(table: &mut Table) {
    for (wanted, found, expected) in [
        (json!("red"), "red", true),
        (json!("red"), "Red", false),
        (json!("red"), "redder", false),
        (json!(""), "", true),
        (json!(["blue", "red"]), "red", true),
        (json!(["blue", "green"]), "red", false),
        (json!("r*"), "red", false),
        (json!("r*"), "r*", true),
        (json!("r${*}"), "r*", true),
        (json!(7), "7", true),
        (json!(1.5), "1.5", true),
        (json!(true), "true", true),
        (json!([1, "red", false]), "false", true),
        (json!("$5"), "$5", true),
        (json!("${$}{x}"), "${x}", true),
    ] {
        table.opposites("StringEquals", "StringNotEquals", wanted, &text(found), expected);
    }
    for (wanted, found, expected) in [
        (json!("red"), "RED", true),
        (json!("Éire"), "éIRE", true),
        (json!("red"), "read", false),
        (json!(["blue", "Red"]), "rEd", true),
        (json!("r*"), "red", false),
    ] {
        table.opposites(
            "StringEqualsIgnoreCase",
            "StringNotEqualsIgnoreCase",
            wanted,
            &text(found),
            expected,
        );
    }
    for (wanted, found, expected) in [
        (json!("r*"), "red", true),
        (json!("r?d"), "red", true),
        (json!("r?d"), "read", false),
        (json!("R*"), "red", false),
        (json!("*"), "", true),
        (json!("r${*}"), "red", false),
        (json!("r${*}"), "r*", true),
        (json!("r${?}d"), "red", false),
        (json!("r${?}d"), "r?d", true),
        (json!(["b*", "*d"]), "red", true),
        (json!("/a/*/c"), "/a/b/b/c", true),
    ] {
        table.opposites("StringLike", "StringNotLike", wanted, &text(found), expected);
    }
    // Values of other types as text.
    let address = KeyValue::Address("::ffff:203.0.113.7".parse::<IpAddr>().unwrap());
    let time = KeyValue::Time(Timestamp::from_unix_seconds(NOW));
    for (found, wanted) in [
        (KeyValue::Bool(true), "true"),
        (KeyValue::Number(-7), "-7"),
        (address, "203.0.113.7"),
        (time, "2026-11-20T10:30:00Z"),
    ] {
        table.opposites("StringEquals", "StringNotEquals", json!(wanted), &[found], true);
        table.opposites("StringEquals", "StringNotEquals", json!("other"), &[found], false);
    }
    table.opposites(
        "StringLike",
        "StringNotLike",
        json!("*"),
        &[KeyValue::Bytes(b"red")],
        false,
    );
}

fn numbers(table: &mut Table) {
    for (wanted, found, less, equal) in [
        (json!("10"), "9.99", true, false),
        (json!(10), "10.00", false, true),
        (json!(10.5), "10.51", false, false),
        (json!("-1"), "-2", true, false),
        (json!("0.3"), "0.30000000000000001", false, false),
        (json!("9007199254740993"), "9007199254740992", true, false),
    ] {
        let found = text(found);
        table.opposites("NumericEquals", "NumericNotEquals", wanted.clone(), &found, equal);
        table.opposites(
            "NumericLessThan",
            "NumericGreaterThanEquals",
            wanted.clone(),
            &found,
            less,
        );
        table.opposites(
            "NumericLessThanEquals",
            "NumericGreaterThan",
            wanted,
            &found,
            less || equal,
        );
    }
    table.check("NumericEquals", json!(["1", 2]), &[KeyValue::Number(2)], true);
    table.check("NumericNotEquals", json!(["1", 2]), &[KeyValue::Number(2)], false);
    table.check("NumericNotEquals", json!(["1", 2]), &[KeyValue::Number(3)], true);
    table.check("NumericLessThan", json!([1, 100]), &[KeyValue::Number(50)], true);
    // What is not a number is neither less nor greater, and is not equal.
    table.opposites("NumericEquals", "NumericNotEquals", json!(1), &text("one"), false);
    for operator in [
        "NumericLessThan",
        "NumericLessThanEquals",
        "NumericGreaterThan",
        "NumericGreaterThanEquals",
    ] {
        table.check(operator, json!(1), &text("one"), false);
        table.check(operator, json!(1), &[KeyValue::Bool(true)], false);
    }
}

fn dates(table: &mut Table) {
    for (wanted, before, at) in [
        (json!("2026-11-20T10:30:01Z"), true, false),
        (json!("2026-11-20T10:30:00Z"), false, true),
        (json!("2026-11-20T12:30:00+02:00"), false, true),
        (json!("2026-11-20T10:29:59.999Z"), false, false),
        (json!("2026-11-20"), false, false),
        (json!("2026-11-21"), true, false),
        (json!("2026-12"), true, false),
        (json!(NOW), false, true),
        (json!(NOW.to_string()), false, true),
        (json!(NOW + 1), true, false),
        (json!(1_795_170_600.5), true, false),
        (json!(2027), false, false),
    ] {
        let now = "2026-11-20T10:30:00Z";
        let forms = [
            KeyValue::Time(Timestamp::from_unix_seconds(NOW)),
            KeyValue::Number(NOW),
            KeyValue::Text(now),
        ];
        for found in forms {
            table.opposites("DateEquals", "DateNotEquals", wanted.clone(), &[found], at);
            table.opposites(
                "DateLessThan",
                "DateGreaterThanEquals",
                wanted.clone(),
                &[found],
                before,
            );
            table.opposites(
                "DateLessThanEquals",
                "DateGreaterThan",
                wanted.clone(),
                &[found],
                before || at,
            );
        }
    }
    table.check(
        "DateLessThan",
        json!(["2020-01-01", "2030-01-01"]),
        &[KeyValue::Number(NOW)],
        true,
    );
    table.check(
        "DateNotEquals",
        json!(["2020-01-01", NOW]),
        &[KeyValue::Number(NOW)],
        false,
    );
    for operator in [
        "DateLessThan",
        "DateLessThanEquals",
        "DateGreaterThan",
        "DateGreaterThanEquals",
        "DateEquals",
    ] {
        table.check(operator, json!("2030-01-01"), &text("soon"), false);
    }
}

fn flags_and_bytes(table: &mut Table) {
    for (wanted, found, expected) in [
        (json!(true), KeyValue::Bool(true), true),
        (json!("true"), KeyValue::Bool(true), true),
        (json!("True"), KeyValue::Text("TRUE"), true),
        (json!("false"), KeyValue::Bool(true), false),
        (json!(false), KeyValue::Bool(false), true),
        (json!([true, "false"]), KeyValue::Bool(false), true),
        (json!(true), KeyValue::Text("yes"), false),
        (json!(true), KeyValue::Number(1), false),
    ] {
        table.check("Bool", wanted, &[found], expected);
    }
    for (wanted, found, expected) in [
        (json!("AP8="), KeyValue::Bytes(&[0, 255]), true),
        (json!("AP8="), KeyValue::Bytes(&[0, 254]), false),
        (json!(["AA==", "cmVk"]), KeyValue::Text("red"), true),
        (json!("cmVk"), KeyValue::Text("Red"), false),
        (json!("MQ=="), KeyValue::Number(1), false),
    ] {
        table.check("BinaryEquals", wanted, &[found], expected);
    }
}

fn networks(table: &mut Table) {
    for (wanted, found, expected) in [
        (json!("203.0.113.0/24"), "203.0.113.7", true),
        (json!("203.0.113.99/24"), "203.0.113.7", true),
        (json!("203.0.113.0/24"), "203.0.114.7", false),
        (json!("203.0.113.7"), "203.0.113.7", true),
        (json!("203.0.113.7/32"), "203.0.113.8", false),
        (json!("0.0.0.0/0"), "203.0.113.7", true),
        (json!("0.0.0.0/0"), "2001:db8::1", false),
        (json!("::/0"), "2001:db8::1", true),
        (json!("::/0"), "203.0.113.7", false),
        (json!("2001:db8::/32"), "2001:db8:1::1", true),
        (json!("2001:db8::1"), "2001:db8::2", false),
        (json!("203.0.113.0/24"), "::ffff:203.0.113.7", true),
        (json!("::ffff:203.0.113.0/120"), "203.0.113.7", true),
        (json!("::ffff:203.0.113.7"), "203.0.113.7", true),
        (json!("::ffff:203.0.113.0/120"), "203.0.113.200", true),
        (json!("::ffff:203.0.113.7/128"), "203.0.113.7", true),
        (json!("::ffff:0:0/96"), "203.0.113.7", true),
        (json!("::ffff:0:0/95"), "203.0.113.7", false),
        (json!("::ffff:203.0.113.0/120"), "203.0.114.7", false),
        (json!(["10.0.0.0/8", "203.0.113.0/24"]), "203.0.113.7", true),
        (json!(["10.0.0.0/8", "192.0.2.0/24"]), "203.0.113.7", false),
    ] {
        table.opposites("IpAddress", "NotIpAddress", wanted.clone(), &text(found), expected);
        let address = KeyValue::Address(found.parse().unwrap());
        table.opposites("IpAddress", "NotIpAddress", wanted, &[address], expected);
    }
    table.opposites(
        "IpAddress",
        "NotIpAddress",
        json!("0.0.0.0/0"),
        &text("localhost"),
        false,
    );
}

fn arns(table: &mut Table) {
    for (wanted, found, expected) in [
        (json!("arn:aws:s3:::bucket"), "arn:aws:s3:::bucket", true),
        (json!("arn:aws:s3:::bucket"), "arn:aws:s3:::Bucket", false),
        (json!("arn:aws:s3:::buck*"), "arn:aws:s3:::bucket/a:b", true),
        (json!("arn:aws:s3:::buck?t"), "arn:aws:s3:::bucket", true),
        (json!("arn:*:s3:*:*:bucket"), "arn:aws:s3:::bucket", true),
        (json!("arn:aws:s*:::*"), "arn:aws:sns:eu-west-1:1:x", false),
        (json!("arn:aws:sns:*:*:a:b"), "arn:aws:sns:eu-west-1:1:a:b", true),
        (json!("*"), "arn:aws:sns:eu-west-1:1:x", true),
        (json!("*"), "bucket", false),
        (json!(["arn:aws:s3:::a", "arn:aws:s3:::b"]), "arn:aws:s3:::b", true),
        (json!("arn:aws:s3:::${*}"), "arn:aws:s3:::a", false),
    ] {
        table.opposites("ArnEquals", "ArnNotEquals", wanted.clone(), &text(found), expected);
        table.opposites("ArnLike", "ArnNotLike", wanted, &text(found), expected);
    }
}

const PLAIN: [(&str, &str); 19] = [
    ("ArnEquals", "arn:a:b:c:d:e"),
    ("ArnLike", "*"),
    ("BinaryEquals", "AA=="),
    ("Bool", "true"),
    ("DateEquals", "2026-01-01"),
    ("DateGreaterThan", "2026-01-01"),
    ("DateGreaterThanEquals", "2026-01-01"),
    ("DateLessThan", "2026-01-01"),
    ("DateLessThanEquals", "2026-01-01"),
    ("IpAddress", "0.0.0.0/0"),
    ("NumericEquals", "1"),
    ("NumericGreaterThan", "1"),
    ("NumericGreaterThanEquals", "1"),
    ("NumericLessThan", "1"),
    ("NumericLessThanEquals", "1"),
    ("StringEquals", ""),
    ("StringEqualsIgnoreCase", "x"),
    ("StringLike", "*"),
    ("StringLike", ""),
];

const NEGATED: [(&str, &str); 8] = [
    ("ArnNotEquals", "*"),
    ("ArnNotLike", "*"),
    ("DateNotEquals", "2026-01-01"),
    ("NotIpAddress", "0.0.0.0/0"),
    ("NumericNotEquals", "1"),
    ("StringNotEquals", "x"),
    ("StringNotEqualsIgnoreCase", "x"),
    ("StringNotLike", "*"),
];

/// An absent key fails plain operators and passes negated ones, `IfExists` and `ForAllValues`.
fn absent_keys(table: &mut Table) {
    for (is_negated, (operator, wanted)) in PLAIN
        .iter()
        .map(|row| (false, row))
        .chain(NEGATED.iter().map(|row| (true, row)))
    {
        table.check(operator, json!(wanted), &[], is_negated);
        table.check(&format!("{operator}IfExists"), json!(wanted), &[], true);
        table.check(&format!("ForAllValues:{operator}"), json!(wanted), &[], true);
        table.check(&format!("ForAnyValue:{operator}"), json!(wanted), &[], false);
        table.check(&format!("ForAnyValue:{operator}IfExists"), json!(wanted), &[], true);
        table.check(&format!("ForAllValues:{operator}IfExists"), json!(wanted), &[], true);
    }
    for (wanted, when_absent, when_present) in [
        (json!(true), true, false),
        (json!("false"), false, true),
        (json!(["true", false]), true, true),
    ] {
        table.check("Null", wanted.clone(), &[], when_absent);
        table.check("Null", wanted, &text(""), when_present);
    }
    // A key that is there is compared, `IfExists` or not.
    table.check("StringEqualsIfExists", json!("red"), &text("red"), true);
    table.check("StringEqualsIfExists", json!("red"), &text("blue"), false);
    table.check("StringNotEqualsIfExists", json!("red"), &text("red"), false);
    table.check("NumericLessThanIfExists", json!(5), &text("7"), false);
}

/// With `red` and `blue` wanted: all, some or none of the request's values among them.
fn quantifiers(table: &mut Table) {
    let wanted = json!(["red", "blue"]);
    for (found, all, any) in [
        (vec!["red"], true, true),
        (vec!["green"], false, false),
        (vec!["red", "blue", "red"], true, true),
        (vec!["red", "green"], false, true),
        (vec!["green", "black"], false, false),
    ] {
        let found = texts(&found);
        for (plain, negated) in [("StringEquals", "StringNotEquals"), ("StringLike", "StringNotLike")] {
            table.check(&format!("ForAllValues:{plain}"), wanted.clone(), &found, all);
            table.check(&format!("ForAnyValue:{plain}"), wanted.clone(), &found, any);
            table.check(&format!("ForAllValues:{negated}"), wanted.clone(), &found, !any);
            table.check(&format!("ForAnyValue:{negated}"), wanted.clone(), &found, !all);
            // Without a quantifier a negated operator is the opposite of its plain one.
            table.opposites(plain, negated, wanted.clone(), &found, any);
        }
    }
    let numbers = [KeyValue::Number(1), KeyValue::Number(9)];
    table.check("ForAllValues:NumericLessThan", json!(5), &numbers, false);
    table.check("ForAnyValue:NumericLessThan", json!(5), &numbers, true);
    table.check("ForAllValues:NumericLessThan", json!(10), &numbers, true);
    let addresses = texts(&["10.0.0.1", "192.0.2.1"]);
    table.check("ForAllValues:IpAddress", json!("10.0.0.0/8"), &addresses, false);
    table.check("ForAllValues:NotIpAddress", json!("172.16.0.0/12"), &addresses, true);
    table.check("ForAnyValue:NotIpAddress", json!("10.0.0.0/8"), &addresses, true);
}

#[test]
fn keys_and_operators_are_anded() {
    let keys = Keys(vec![("test:a", text("1").to_vec()), ("test:b", text("2").to_vec())]);
    for (condition, expected) in [
        (json!({"StringEquals": {"test:a": "1", "test:b": "2"}}), true),
        (json!({"StringEquals": {"test:a": "1", "test:b": "3"}}), false),
        (
            json!({"StringEquals": {"test:a": "1"}, "NumericLessThan": {"test:b": 3}}),
            true,
        ),
        (
            json!({"StringEquals": {"test:a": "1"}, "NumericLessThan": {"test:b": 2}}),
            false,
        ),
        (json!({}), true),
    ] {
        assert_eq!(holds(&condition, &context(&keys)), (expected, expected), "{condition}");
    }
}

#[test]
fn built_in_keys_are_not_case_sensitive_and_come_from_the_request() {
    let bare = Context::new(Timestamp::from_unix_micros(NOW * 1_000_000 + 500_000));
    let full = Context {
        source_ip: Some("::ffff:203.0.113.7".parse().unwrap()),
        secure_transport: true,
        user_agent: Some("curl/8"),
        referer: Some("https://example.com"),
        source_arn: Some("arn:aws:s3:::b"),
        source_vpc: Some("vpc-1"),
        source_vpce: Some("vpce-1"),
        ..bare
    };
    for (condition, when_full, when_bare) in [
        (json!({"IpAddress": {"AWS:sourceip": "203.0.113.0/24"}}), true, false),
        (json!({"StringEquals": {"aws:SourceIp": "203.0.113.7"}}), true, false),
        (json!({"Bool": {"aws:SecureTransport": "true"}}), true, false),
        (json!({"Bool": {"aws:securetransport": false}}), false, true),
        (json!({"StringLike": {"aws:UserAgent": "curl/*"}}), true, false),
        (
            json!({"StringEquals": {"aws:Referer": "https://example.com"}}),
            true,
            false,
        ),
        (json!({"ArnLike": {"aws:SourceArn": "arn:aws:s3:::*"}}), true, false),
        (json!({"StringEquals": {"aws:SourceVpc": "vpc-1"}}), true, false),
        (json!({"StringEquals": {"aws:SourceVpce": "vpce-1"}}), true, false),
        (json!({"Null": {"aws:SourceVpce": "true"}}), false, true),
        (
            json!({"DateLessThan": {"aws:CurrentTime": "2026-11-20T10:30:01Z"}}),
            true,
            true,
        ),
        // The time is compared exactly, …
        (
            json!({"DateLessThanEquals": {"aws:CurrentTime": "2026-11-20T10:30:00Z"}}),
            false,
            false,
        ),
        (
            json!({"StringEquals": {"aws:CurrentTime": "2026-11-20T10:30:00Z"}}),
            true,
            true,
        ),
        // … and the epoch time is in whole seconds.
        (json!({"DateEquals": {"aws:EpochTime": NOW}}), true, true),
        (json!({"NumericLessThanEquals": {"aws:EpochTime": NOW}}), true, true),
        (json!({"NumericLessThan": {"aws:EpochTime": NOW}}), false, false),
        (json!({"NumericGreaterThan": {"aws:CurrentTime": NOW - 1}}), true, true),
        (json!({"StringEquals": {"aws:epochtime": NOW}}), true, true),
    ] {
        assert_eq!(holds(&condition, &full), (when_full, when_full), "{condition}");
        assert_eq!(holds(&condition, &bare), (when_bare, when_bare), "{condition}");
    }
}
