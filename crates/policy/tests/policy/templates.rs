//! Documents with claims in them.

use portcullis_core::Timestamp;
use portcullis_policy::{Action, Context, Effect, Fault, KeyValue, Policy, PolicyTemplate, Request, TemplateError};
use serde_json::{Value, json};

use crate::common::Keys;

fn document(name: &str, value: Value) -> Value {
    let mut statement = json!({"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "*"});
    statement[name] = value;
    json!({"Version": "2012-10-17", "Statement": [statement]})
}

fn instantiate(document: &Value, claim: &str) -> Result<Policy, TemplateError> {
    let text = |name: &str| (name == "it").then(|| claim.to_owned());
    PolicyTemplate::parse(document).and_then(|template| template.instantiate(&text))
}

/// Whether the template allows the path for this claim.
fn resource(pattern: &str, claim: &str, path: &str, expected: bool) {
    let document = document(
        "Resource",
        json!(format!("arn:aws:execute-api:*:*:bank/live/GET/{pattern}")),
    );
    let policy = instantiate(&document, claim).unwrap();
    let resource = format!("arn:aws:execute-api:eu-west-1:1:bank/live/GET/{path}");
    let context = Context {
        referer: Some("x"),
        ..Context::new(Timestamp::from_unix_seconds(0))
    };
    let effect = policy
        .evaluate(&Request {
            action: Action::Invoke,
            resource: &resource,
            context: &context,
        })
        .effect;
    assert_eq!(effect == Effect::Allow, expected, "{pattern} with {claim} over {path}");
}

#[test]
fn claims_are_literal_and_stay_in_their_segment() {
    for (pattern, claim, path, expected) in [
        ("accounts/${claims.it}/*", "4711", "accounts/4711/balance", true),
        ("accounts/${claims.it}/*", "4711", "accounts/4712/balance", false),
        ("${claims.it}/${claims.it}", "a", "a/a", true),
        ("${claims.it}/${claims.it}", "a", "a/b", false),
        ("accounts/${claims.it}", "*", "accounts/4711", false),
        ("accounts/${claims.it}", "*", "accounts/*", true),
        ("accounts/${claims.it}", "47??", "accounts/4711", false),
        ("accounts/${claims.it}", "47??", "accounts/47%3F%3F", true),
        ("accounts/${claims.it}", "${aws:Referer}", "accounts/x", false),
        ("accounts/${claims.it}", "${*}", "accounts/x", false),
        ("accounts/${claims.it}", "$", "accounts/$", true),
        ("accounts/${claims.it}", "{*}", "accounts/x", false),
        ("accounts/${$}${claims.it}", "{*}", "accounts/x", false),
        ("accounts/${$}${claims.it}", "{aws:Referer}", "accounts/x", false),
        ("accounts/${claims.it}/*", "bob/admin", "accounts/bob/admin/x", false),
        ("accounts/${claims.it}/*", "bob/admin", "accounts/bob%2Fadmin/x", true),
        ("accounts/${claims.it}", "a b%é", "accounts/a%20b%25%C3%A9", true),
        ("accounts/${claims.it}", "a@b.c:d", "accounts/a@b.c:d", true),
        // Variables of the request still work beside claims.
        ("${aws:Referer}/${claims.it}", "a", "x/a", true),
    ] {
        resource(pattern, claim, path, expected);
    }
}

/// Whether a condition with the claim holds for the key's value.
fn condition(operator: &str, wanted: &str, claim: &str, found: KeyValue<'_>) -> Result<bool, TemplateError> {
    let document = document("Condition", json!({operator: {"test:it": [wanted]}}));
    let policy = instantiate(&document, claim)?;
    let keys = Keys(vec![("test:it", vec![found])]);
    Ok(crate::common::effect(&policy, &crate::common::context(&keys)) == Effect::Allow)
}

#[test]
fn claims_in_conditions() {
    let it = "${claims.it}";
    for (operator, wanted, claim, found, expected) in [
        ("StringEquals", it, "a/b*", KeyValue::Text("a/b*"), true),
        ("StringLike", it, "a*", KeyValue::Text("ab"), false),
        ("StringLike", "${claims.it}*", "a", KeyValue::Text("ab"), true),
        (
            "ArnLike",
            "arn:aws:s3:::${claims.it}",
            "*",
            KeyValue::Text("arn:aws:s3:::b"),
            false,
        ),
        (
            "ArnEquals",
            it,
            "arn:aws:s3:::b",
            KeyValue::Text("arn:aws:s3:::b"),
            true,
        ),
        (
            "ArnEquals",
            "arn:aws:sns:${claims.it}:1:b",
            "eu",
            KeyValue::Text("arn:aws:sns:eu:1:b"),
            true,
        ),
        ("NumericLessThanEquals", it, "100.00", KeyValue::Text("100"), true),
        ("NumericLessThanEquals", it, "100", KeyValue::Text("100.01"), false),
        ("DateLessThan", it, "1795170601", KeyValue::Number(1_795_170_600), true),
        ("DateLessThan", it, "1795170600", KeyValue::Number(1_795_170_600), false),
        ("IpAddress", it, "10.0.0.0/8", KeyValue::Text("10.1.2.3"), true),
        ("Bool", it, "true", KeyValue::Bool(true), true),
        ("BinaryEquals", it, "AA==", KeyValue::Bytes(&[0]), true),
    ] {
        assert_eq!(
            condition(operator, wanted, claim, found),
            Ok(expected),
            "{operator} {wanted} {claim}"
        );
    }
    let reaching = condition(
        "ArnEquals",
        "arn:aws:sns:${claims.it}:1:b",
        "eu:2",
        KeyValue::Text("arn:aws:sns:eu:2:1:b"),
    );
    assert_eq!(reaching, Err(TemplateError::ColonInClaim("it".into())));
    // What the operator cannot read refuses the caller.
    for (operator, claim) in [
        ("NumericEquals", "*"),
        ("DateLessThan", "never"),
        ("IpAddress", "10.0.0.*"),
        ("Bool", "maybe"),
    ] {
        let error = condition(operator, it, claim, KeyValue::Text("x")).unwrap_err();
        assert!(
            matches!(&error, TemplateError::Policy(error) if error.pointer().ends_with("test:it/0")),
            "{error}"
        );
    }
}

#[test]
fn what_cannot_be_filled_in_is_refused() {
    let ok = document("Resource", json!("arn:${claims.it}"));
    assert!(instantiate(&ok, "a").is_ok());
    assert_eq!(
        instantiate(&ok, "").unwrap_err(),
        TemplateError::EmptyClaim("it".into())
    );
    let template = PolicyTemplate::parse(&ok).unwrap();
    assert_eq!(
        template.instantiate(&|_| None).unwrap_err(),
        TemplateError::MissingClaim("it".into())
    );

    let refused =
        |document: Value, error: TemplateError| assert_eq!(PolicyTemplate::parse(&document).unwrap_err(), error);
    for text in [
        "arn:${claims.",
        "arn:${claims.}",
        "arn:${claims.it",
        "arn:${claims.a b}",
        "arn:${claims.a,'b'}",
        "arn:$${claims.a}",
    ] {
        refused(
            document("Resource", json!(text)),
            TemplateError::MalformedClaim(text.into()),
        );
    }
    for name in ["Sid", "Effect", "Action", "Principal"] {
        refused(
            document(name, json!("x${claims.it}")),
            TemplateError::MisplacedClaim(name.into()),
        );
    }
    let key = json!({"StringEquals": {"${claims.it}": "a"}});
    refused(
        document("Condition", key),
        TemplateError::MisplacedClaim("${claims.it}".into()),
    );
    let operator = json!({"${claims.it}": {"a:b": "a"}});
    refused(
        document("Condition", operator),
        TemplateError::MisplacedClaim("${claims.it}".into()),
    );
    refused(
        document("Resource", json!([["arn:${claims.it}"]])),
        TemplateError::MisplacedClaim("a list".into()),
    );
    let mut id = ok.clone();
    id["Id"] = json!("${claims.it}");
    refused(id, TemplateError::MisplacedClaim("Id".into()));
    for (operator, text) in [
        ("DateLessThan", "${claims.it}T00:00:00Z"),
        ("IpAddress", "${claims.it}/8"),
        ("Bool", " ${claims.it}"),
    ] {
        refused(
            document("Condition", json!({operator: {"a:b": text}})),
            TemplateError::PartialClaim(text.into()),
        );
    }
    let mut old = ok;
    old.as_object_mut().unwrap().remove("Version");
    refused(old, TemplateError::VersionTooOld);

    let error = PolicyTemplate::parse(&document("Effect", json!("allow"))).unwrap_err();
    assert!(
        matches!(&error, TemplateError::Policy(error) if *error.fault() == Fault::UnknownEffect("allow".into())),
        "{error}"
    );
    let whole = instantiate(&document("Resource", json!("${claims.it}")), "arn:aws:execute-api:*");
    assert!(matches!(whole, Err(TemplateError::Policy(_))));
}

#[test]
fn a_document_without_claims_is_itself() {
    let old = json!({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "arn:${x}"}});
    let policy = PolicyTemplate::parse(&old).unwrap().instantiate(&|_| None).unwrap();
    assert_eq!(
        format!("{policy:?}"),
        format!("{:?}", Policy::from_value(&old).unwrap())
    );
}
