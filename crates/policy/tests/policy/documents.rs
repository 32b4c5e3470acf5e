//! Which documents are read, and what is said about the others.

use crate::common::{context, effect};
use portcullis_policy::{Effect, Fault, Policy, PolicyWarning};
use serde_json::{Value, json};

const API: &str = "arn:aws:execute-api:eu-west-1:123456789012:proxy";

fn allow() -> Value {
    json!({"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "*"})
}

/// The statement that allows with one member more, or another.
fn with(name: &str, value: Value) -> Value {
    let mut statement = allow();
    statement[name] = value;
    json!({"Version": "2012-10-17", "Statement": [statement]})
}

fn without(name: &str) -> Value {
    let mut statement = allow();
    statement.as_object_mut().unwrap().remove(name);
    json!({"Version": "2012-10-17", "Statement": [statement]})
}

#[track_caller]
fn accepted(document: &Value) {
    let policy = Policy::from_value(document).unwrap_or_else(|error| panic!("{document}: {error}"));
    let again = Policy::parse(&document.to_string()).unwrap();
    assert_eq!(format!("{policy:?}"), format!("{again:?}"));
}

#[track_caller]
fn refused(document: &Value, pointer: &str, fault: Fault) {
    let error = Policy::from_value(document).expect_err(&document.to_string());
    assert_eq!((error.pointer(), error.fault()), (pointer, &fault), "{document}");
    assert!(
        error.to_string().contains(pointer) && error.to_string().ends_with(fault.remedy()),
        "{error}"
    );
    assert_eq!(Policy::parse(&document.to_string()).expect_err("text"), error);
}

#[test]
fn what_iam_writes_is_read() {
    for document in [
        json!({"Statement": allow()}),
        json!({"Version": "2008-10-17", "Id": "an id", "Statement": [allow(), allow()]}),
        json!({"Statement": []}),
        with("Sid", json!("")),
        with(
            "Action",
            json!([
                "EXECUTE-API:invoke",
                "execute-api:*",
                "*",
                "s3:Get*",
                "execute-api:Invalidate?ache"
            ]),
        ),
        with(
            "Resource",
            json!([
                "*",
                "arn:aws:execute-api:*:*:*",
                "arn:aws:s3:::x",
                "*:proxy/*",
                "${test:arn}"
            ]),
        ),
        with("Condition", json!({})),
        with(
            "Condition",
            json!({"StringEquals": {"aws:PrincipalTag/cost center=1".replace(' ', "-"): ["a", 1, true]}}),
        ),
        with(
            "Condition",
            json!({"StringEquals": {"aws:SourceIp": "a"}, "StringLike": {"aws:sourceip": "b"}}),
        ),
    ] {
        accepted(&document);
    }
}

#[test]
fn structure_is_checked() {
    refused(&json!([]), "", Fault::WrongType("an object"));
    refused(&json!({}), "", Fault::Missing("Statement"));
    refused(
        &json!({"statement": allow()}),
        "/statement",
        Fault::UnknownElement("statement".into()),
    );
    refused(&json!({"Statement": "x"}), "/Statement", Fault::WrongType("an object"));
    refused(
        &json!({"Statement": [1]}),
        "/Statement/0",
        Fault::WrongType("an object"),
    );
    let unknown = Fault::UnknownVersion("2012-10-18".into());
    refused(&json!({"Version": "2012-10-18", "Statement": []}), "/Version", unknown);
    refused(
        &json!({"Version": 2012, "Statement": []}),
        "/Version",
        Fault::WrongType("a string"),
    );
    refused(&json!({"Id": 1, "Statement": []}), "/Id", Fault::WrongType("a string"));
    refused(
        &with("effect", json!("Deny")),
        "/Statement/0/effect",
        Fault::UnknownElement("effect".into()),
    );
    refused(
        &with("a/b~c", json!(1)),
        "/Statement/0/a~1b~0c",
        Fault::UnknownElement("a/b~c".into()),
    );
    refused(
        &with("Effect", json!("allow")),
        "/Statement/0/Effect",
        Fault::UnknownEffect("allow".into()),
    );
    refused(
        &with("Effect", json!(true)),
        "/Statement/0/Effect",
        Fault::WrongType("a string"),
    );
    refused(&with("Sid", json!(1)), "/Statement/0/Sid", Fault::WrongType("a string"));
    refused(
        &with("NotAction", json!("*")),
        "/Statement/0",
        Fault::BothElements("Action"),
    );
    refused(
        &with("NotResource", json!("*")),
        "/Statement/0",
        Fault::BothElements("Resource"),
    );
    for name in ["Effect", "Action", "Resource"] {
        refused(&without(name), "/Statement/0", Fault::Missing(name));
    }
    for name in ["Principal", "NotPrincipal"] {
        refused(
            &with(name, json!("*")),
            &format!("/Statement/0/{name}"),
            Fault::PrincipalNotAllowed,
        );
    }
}

#[test]
fn values_are_checked() {
    for text in [
        "",
        "execute-api",
        "execute-api:",
        ":Invoke",
        "execute-api:In voke",
        "execute-api:${aws:x}",
        "a:b:c",
    ] {
        refused(
            &with("Action", json!(text)),
            "/Statement/0/Action",
            Fault::MalformedAction(text.into()),
        );
    }
    for text in ["", "execute-api:/*", "/pets", "ARN:aws:s3:::x", "?rn:aws:s3:::x"] {
        refused(
            &with("Resource", json!(["*", text])),
            "/Statement/0/Resource/1",
            Fault::MalformedResource(text.into()),
        );
    }
    for text in [
        "arn:${",
        "arn:${}",
        "arn:${x}",
        "arn:${a:b",
        "arn:${a:b,c}",
        "arn:${a:b, 'c}",
        "arn:${a:b, 'c'",
        "arn:${**}",
    ] {
        refused(
            &with("Resource", json!(text)),
            "/Statement/0/Resource",
            Fault::MalformedVariable(text.into()),
        );
    }
    refused(&with("Action", json!([])), "/Statement/0/Action", Fault::Empty);
    refused(
        &with("Action", json!([1])),
        "/Statement/0/Action/0",
        Fault::WrongType("a string"),
    );
    refused(
        &with("Resource", json!(null)),
        "/Statement/0/Resource",
        Fault::WrongType("a string"),
    );
}

#[test]
fn conditions_are_checked() {
    let place = "/Statement/0/Condition";
    refused(&with("Condition", json!([])), place, Fault::WrongType("an object"));
    refused(
        &with("Condition", json!({"Bool": true})),
        &format!("{place}/Bool"),
        Fault::WrongType("an object"),
    );
    refused(
        &with("Condition", json!({"Bool": {}})),
        &format!("{place}/Bool"),
        Fault::Empty,
    );
    refused(
        &with("Condition", json!({"Bool": {"a:b": []}})),
        &format!("{place}/Bool/a:b"),
        Fault::Empty,
    );
    for name in [
        "stringEquals",
        "StringEqual",
        "String",
        "NullIfExists",
        "ForAnyValue:Null",
        "ForAnyValues:StringEquals",
        "forAnyValue:StringEquals",
        "StringEqualsIfExistsIfExists",
        "StringEqualsifexists",
        "IfExists",
        "",
    ] {
        let fault = Fault::UnknownOperator(name.into());
        refused(
            &with("Condition", json!({name: {"a:b": "c"}})),
            &format!("{place}/{name}"),
            fault,
        );
    }
    for key in ["", "a", ":a", "a:", "a:b c", "a:${x}", "a:*", "a:é"] {
        let fault = Fault::MalformedKey(key.into());
        refused(
            &with("Condition", json!({"Bool": {key: "true"}})),
            &format!("{place}/Bool/{key}"),
            fault,
        );
    }
    let twice = json!({"Bool": {"aws:SecureTransport": "true", "AWS:securetransport": "false"}});
    let fault = Fault::DuplicateKey("AWS:securetransport".into());
    refused(
        &with("Condition", twice),
        &format!("{place}/Bool/AWS:securetransport"),
        fault,
    );
    for value in [json!(null), json!([["a"]]), json!({"a": 1})] {
        let at = if value.is_array() { "/0" } else { "" };
        let fault = Fault::WrongType("a string, number or boolean");
        let condition = json!({"StringLike": {"a:b": value}});
        refused(
            &with("Condition", condition),
            &format!("{place}/StringLike/a:b{at}"),
            fault,
        );
    }
    type Make = fn(String) -> Fault;
    let cases: [(&str, &[&str], Make); 7] = [
        (
            "DateLessThan",
            &["2026", "tomorrow", "2026-02-30", "", "${aws:CurrentTime}", "true"],
            Fault::MalformedDate,
        ),
        (
            "NumericEquals",
            &["", "one", "1,5", "0x1", "${a:b}", "1e99"],
            Fault::MalformedNumber,
        ),
        ("Bool", &["", "yes", "1"], Fault::MalformedBool),
        ("Null", &["", "no"], Fault::MalformedBool),
        (
            "IpAddress",
            &[
                "",
                "10.0.0",
                "10.0.0.0/33",
                "::/129",
                "10.0.0.*",
                "010.0.0.1",
                "host",
                "10.0.0.0/-1",
            ],
            Fault::MalformedAddress,
        ),
        (
            "ArnLike",
            &["", "a", "arn:aws:s3", "arn:aws:*:bucket", "aws:arn:::::", "**"],
            Fault::MalformedArn,
        ),
        ("BinaryEquals", &["=", "a", "AA", "A-=="], Fault::MalformedBase64),
    ];
    for (operator, texts, fault) in cases {
        for text in texts {
            let condition = json!({format!("ForAllValues:{operator}IfExists").replace("ForAllValues:NullIfExists", "Null"): {"a:b": text}});
            let name = condition.as_object().unwrap().keys().next().unwrap().clone();
            refused(
                &with("Condition", condition),
                &format!("{place}/{name}/a:b"),
                fault((*text).to_owned()),
            );
        }
    }
    let second = json!({"DateLessThan": {"a:b": ["2026-01-01", "never"]}});
    refused(
        &with("Condition", second),
        &format!("{place}/DateLessThan/a:b/1"),
        Fault::MalformedDate("never".into()),
    );
}

#[test]
fn sizes_are_limited() {
    let statements = |count| json!({"Statement": vec![allow(); count]});
    accepted(&statements(200));
    refused(&statements(201), "/Statement", Fault::TooManyStatements(201));
    let values = |count| with("Condition", json!({"NumericEquals": {"a:b": vec![1; count]}}));
    accepted(&values(1000));
    refused(
        &values(1001),
        "/Statement/0/Condition/NumericEquals/a:b",
        Fault::TooManyValues(1001),
    );
    let marks = |count| json!({"Id": "?", "Statement": {"Effect": "Deny", "Action": "*", "Resource": ["*", "*?".repeat(count)]}});
    accepted(&marks(499));
    refused(&marks(500), "", Fault::TooManyQuestionMarks(501));
    let bytes = |count: usize| json!({"Id": "x".repeat(count), "Statement": []});
    let frame = bytes(0).to_string().len();
    accepted(&bytes(65_536 - frame));
    refused(&bytes(65_537 - frame), "", Fault::TooManyBytes(65_537));
}

#[test]
fn ambiguous_or_broken_json_is_refused() {
    for text in [
        "",
        "{",
        r#"{"Statement": [], "Statement": []}"#,
        r#"{"Statement": {"Effect": "Deny", "Effect": "Allow", "Action": "*", "Resource": "*"}}"#,
    ] {
        let error = Policy::parse(text).expect_err(text);
        assert!(matches!(error.fault(), Fault::NotJson(_)), "{error}");
    }
    assert!(Policy::parse(r#"{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}"#).is_ok());
}

#[test]
fn errors_stay_on_one_line_and_short() {
    let document = with("Effect", json!(format!("a\nb{}", "c".repeat(1000))));
    let error = Policy::from_value(&document).unwrap_err().to_string();
    assert!(
        error.starts_with("the effect `a\\nbccc") && !error.contains('\n') && error.len() < 200,
        "{error}"
    );
}

#[test]
fn resource_policies_are_about_everyone() {
    let read = |principal: Value| {
        let mut document = allow();
        document["Principal"] = principal;
        Policy::resource_policy(&json!({"Statement": document}), API)
    };
    for principal in [json!("*"), json!({"AWS": "*"}), json!({"AWS": ["*"]})] {
        let keys = crate::common::Keys(Vec::new());
        assert_eq!(effect(&read(principal).unwrap(), &context(&keys)), Effect::Allow);
    }
    for principal in [
        json!(null),
        json!([]),
        json!(["*"]),
        json!({}),
        json!({"AWS": []}),
        json!({"AWS": ["*", "*"]}),
        json!({"AWS": "arn:aws:iam::123456789012:root"}),
        json!({"Service": "*"}),
        json!({"AWS": "*", "Service": "*"}),
    ] {
        let error = read(principal.clone()).expect_err(&principal.to_string());
        assert_eq!(
            (error.pointer(), error.fault()),
            ("/Statement/Principal", &Fault::PrincipalNotEveryone)
        );
    }
    let missing = Policy::resource_policy(&json!({"Statement": allow()}), API).unwrap_err();
    assert_eq!(
        (missing.pointer(), missing.fault()),
        ("/Statement", &Fault::Missing("Principal"))
    );
    let mut not = allow();
    not["NotPrincipal"] = json!("*");
    let not = Policy::resource_policy(&json!({"Statement": not}), API).unwrap_err();
    assert_eq!(
        (not.pointer(), not.fault()),
        ("/Statement/NotPrincipal", &Fault::PrincipalNotEveryone)
    );
}

#[test]
fn doubts_are_named() {
    let check = |document: Value, expected: &[PolicyWarning]| {
        let warnings = Policy::from_value(&document).unwrap().warnings();
        assert_eq!(warnings, expected, "{document}");
    };
    let everything = PolicyWarning::AllowsEverything { statement: 0 };
    check(with("Resource", json!("*")), std::slice::from_ref(&everything));
    check(
        with("Resource", json!(["arn:aws:s3:::x", "arn:aws:execute-api:*:*:*"])),
        std::slice::from_ref(&everything),
    );
    check(with("Resource", json!("arn:*")), std::slice::from_ref(&everything));
    check(with("Resource", json!("arn:aws:execute-api:*:*:proxy/*")), &[]);
    check(with("Resource", json!("arn:aws:execute-api:eu-west-1:*:*")), &[]);
    check(with("Condition", json!({"Bool": {"aws:SecureTransport": "true"}})), &[]);
    check(json!({"Statement": []}), &[PolicyWarning::AllowsNothing]);
    check(with("Effect", json!("Deny")), &[PolicyWarning::AllowsNothing]);
    let mut rest = without("Resource");
    rest["Statement"][0]["NotResource"] = json!("arn:aws:s3:::x");
    check(
        rest,
        &[PolicyWarning::AllowsTheRest {
            statement: 0,
            element: "NotResource",
        }],
    );
    let narrow = |name: &str, value: Value| {
        let mut document = with(name, value);
        document["Statement"][0]["Resource"] = json!("arn:aws:execute-api:*:*:proxy/live/*");
        document
    };
    let foreign = PolicyWarning::ForeignAction {
        statement: 0,
        action: "s3:*".into(),
    };
    check(narrow("Action", json!(["execute-api:invoke", "s3:*"])), &[foreign]);
    let every = json!({"ForAllValues:StringEquals": {"a:b": "c"}});
    check(
        narrow("Condition", every.clone()),
        &[PolicyWarning::PassesWithoutKey {
            statement: 0,
            key: "a:b".into(),
        }],
    );
    let mut required = every;
    required["Null"] = json!({"a:other": "false"});
    check(
        narrow("Condition", required.clone()),
        &[PolicyWarning::PassesWithoutKey {
            statement: 0,
            key: "a:b".into(),
        }],
    );
    required["Null"] = json!({"A:B": "false"});
    check(narrow("Condition", required), &[]);
    let unknown = PolicyWarning::UnknownKey {
        statement: 0,
        key: "aws:sourceipp".into(),
    };
    check(
        narrow("Condition", json!({"NotIpAddress": {"aws:SourceIpp": "10.0.0.1"}})),
        &[unknown],
    );
    let mut old = narrow("Condition", json!({"StringEquals": {"a:b": "${aws:SourceIp}"}}));
    check(old.clone(), &[]);
    old["Version"] = json!("2008-10-17");
    check(old, &[PolicyWarning::VariablesOff { statement: 0 }]);
}

#[test]
fn statements_are_described() {
    let check = |statement: Value, expected: &str| {
        let policy = Policy::from_value(&json!({"Version": "2012-10-17", "Statement": statement})).unwrap();
        assert_eq!(policy.describe_statement(0), expected);
        assert_eq!(policy.describe_statement(1), "");
    };
    check(allow(), "Allow execute-api:Invoke on *");
    check(
        json!({"Sid": "Office\nhours", "Effect": "Deny", "NotAction": "execute-api:Invoke", "NotResource": ["arn:a*?", "${a:b, 'c'}"],
        "Condition": {
            "DateLessThanEquals": {"aws:currenttime": 1_795_170_600},
            "ForAnyValue:StringNotLikeIfExists": {"Team:Name": ["x${*}", "y*"]},
            "NotIpAddress": {"aws:SourceIp": ["10.0.0.0/8", "::1"]},
            "NumericLessThan": {"a:n": "1.50"},
            "BinaryEquals": {"a:d": "AA=="},
            "ArnLike": {"aws:SourceArn": "arn:aws:s3:::x*"},
            "Null": {"a:b": false}
        }}),
        "Deny everything but execute-api:Invoke on everything but arn:a*? or ${a:b, 'c'} \
         if aws:CurrentTime is not after 2026-11-20T10:30:00Z \
         and some value of team:name, where known, is not like x${*} or y* \
         and aws:SourceIp is not in 10.0.0.0/8 or ::1/128 \
         and a:n is less than 1.5 \
         and a:d is AA== \
         and aws:SourceArn is like arn:aws:s3:::x* \
         and a:b is absent: false (Office\u{fffd}hours)",
    );
}
