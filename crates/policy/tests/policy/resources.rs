//! Actions and resources: which method ARNs a statement is about.

use portcullis_core::{MethodArn, RequestPath, Timestamp};
use portcullis_policy::{Action, Context, Effect, Policy, Request};
use serde_json::{Value, json};

const API: &str = "arn:aws:execute-api:eu-west-1:123456789012:proxy";

fn evaluate(policy: &Policy, action: Action, resource: &str) -> Effect {
    policy
        .evaluate(&Request {
            action,
            resource,
            context: &Context::new(Timestamp::from_unix_seconds(0)),
        })
        .effect
}

/// Whether `Resource` names the method, and `NotResource` does not.
fn check(pattern: &str, verb: &str, path: &str, expected: bool) {
    let method = MethodArn::new(&format!("{API}/live/"), verb, RequestPath::parse(path).unwrap());
    for (element, expected) in [("Resource", expected), ("NotResource", !expected)] {
        let statement = json!({"Effect": "Allow", "Action": "*", element: [pattern, "arn:aws:s3:::other"]});
        let policy = Policy::from_value(&json!({"Statement": statement})).unwrap();
        let effect = evaluate(&policy, Action::Invoke, method.as_str());
        assert_eq!(effect == Effect::Allow, expected, "{element} {pattern} over {method}");
    }
}

#[test]
fn patterns_are_over_the_actual_path() {
    let all = "arn:aws:execute-api:*:*:*";
    for (pattern, verb, path, expected) in [
        ("*", "GET", "/", true),
        (all, "GET", "/", true),
        (all, "DELETE", "/a/b:c", true),
        ("arn:aws:execute-api:*", "GET", "/pets", true),
        (
            "arn:aws:execute-api:eu-west-1:123456789012:proxy/*",
            "GET",
            "/pets/a1",
            true,
        ),
        (
            "arn:aws:execute-api:eu-west-1:123456789012:proxy*",
            "GET",
            "/pets/a1",
            true,
        ),
        (
            "arn:aws:execute-api:eu-west-1:*:proxy/live/GET/pets",
            "GET",
            "/pets",
            true,
        ),
        (
            "arn:aws:execute-api:eu-west-2:*:proxy/live/GET/pets",
            "GET",
            "/pets",
            false,
        ),
        ("arn:aws:execute-api:*:*:other/*", "GET", "/pets", false),
        ("arn:aws:execute-api:*:*:proxy/test/*", "GET", "/pets", false),
        ("arn:aws:execute-api:*:*:proxy/live/POST/*", "GET", "/pets", false),
        ("arn:aws:execute-api:*:*:proxy/live/*/pets", "GET", "/pets", true),
        (
            "arn:aws:execute-api:*:*:proxy/*/GET/pets/*",
            "GET",
            "/pets/a1/toys",
            true,
        ),
        (
            "arn:aws:execute-api:*:*:proxy/live/GET/pets/*/toys",
            "GET",
            "/pets/a/b/toys",
            true,
        ),
        (
            "arn:aws:execute-api:*:*:proxy/live/GET/pets/*/toys",
            "GET",
            "/pets/toys",
            false,
        ),
        ("arn:aws:execute-api:*:*:proxy/live/GET/pets/*", "GET", "/pets", false),
        ("arn:aws:execute-api:*:*:proxy/live/GET/pets/", "GET", "/pets", false),
        ("arn:aws:execute-api:*:*:proxy/live/GET/pets", "GET", "/pets/", false),
        (
            "arn:aws:execute-api:*:*:proxy/live/GET/pets/?1",
            "GET",
            "/pets/a1",
            true,
        ),
        (
            "arn:aws:execute-api:*:*:proxy/live/GET/pets/??1",
            "GET",
            "/pets/a1",
            false,
        ),
        ("arn:aws:execute-api:*:*:proxy/live/G?T/*", "GET", "/x", true),
        // The template of a route is not what a caller asks for.
        (
            "arn:aws:execute-api:*:*:proxy/live/GET/pets/{petId}",
            "GET",
            "/pets/a1",
            false,
        ),
        ("arn:aws:execute-api:*:*:proxy/live/ANY/pets", "GET", "/pets", false),
        ("arn:aws:execute-api:*:*:proxy/live/get/pets", "GET", "/pets", false),
        ("arn:aws:execute-api:*:*:proxy/live/GET/Pets", "GET", "/pets", false),
        ("arn:aws:execute-api:*:*:proxy/live/GET/", "GET", "/", true),
        ("arn:aws:execute-api:*:*:proxy/live/GET", "GET", "/", false),
        ("arn:aws:execute-api:*:*:proxy/live/GET/a%2Fb", "GET", "/a%2fb", true),
        ("arn:aws:execute-api:*:*:proxy/live/GET/~a", "GET", "/%7Ea", true),
        ("*/pets", "GET", "/pets", true),
        ("arn:aws:execute-api:**:proxy/**/pets", "GET", "/pets", true),
    ] {
        check(pattern, verb, path, expected);
    }
}

#[test]
fn actions_are_not_case_sensitive() {
    for (action, invoke, invalidate) in [
        (json!("execute-api:Invoke"), true, false),
        (json!("EXECUTE-API:INVOKE"), true, false),
        (json!("execute-api:InvalidateCache"), false, true),
        (json!(["execute-api:invalidatecache", "execute-api:invoke"]), true, true),
        (json!("execute-api:*"), true, true),
        (json!("execute-api:Inv*"), true, true),
        (json!("execute-api:Invoke*"), true, false),
        (json!("execute-api:Invok?"), true, false),
        (json!("*"), true, true),
        (json!("*:*"), true, true),
        (json!("exec*:Inv*e"), true, true),
        (json!("s3:*"), false, false),
        (json!("execute-api:ManageConnections"), false, false),
    ] {
        for (element, expected) in [("Action", true), ("NotAction", false)] {
            let statement = json!({"Effect": "Allow", element: action, "Resource": "*"});
            let policy = Policy::from_value(&json!({"Statement": statement})).unwrap();
            for (asked, names) in [(Action::Invoke, invoke), (Action::InvalidateCache, invalidate)] {
                let allowed = evaluate(&policy, asked, API) == Effect::Allow;
                assert_eq!(allowed, names == expected, "{element} {action} {asked:?}");
            }
        }
    }
}

#[test]
fn short_forms_of_a_resource_policy_are_below_the_api() {
    let check = |resource: &str, method: &str, expected: bool| {
        let statement = json!({"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": resource});
        let policy = Policy::resource_policy(&json!({"Version": "2012-10-17", "Statement": statement}), API).unwrap();
        let allowed = evaluate(&policy, Action::Invoke, method) == Effect::Allow;
        assert_eq!(allowed, expected, "{resource} over {method}");
    };
    let method = format!("{API}/live/GET/pets");
    for (resource, expected) in [
        ("execute-api:/*", true),
        ("execute-api:/live/*", true),
        ("execute-api:/live/GET/pets", true),
        ("execute-api:/*/GET/p?ts", true),
        ("execute-api:/test/*", false),
        ("execute-api:/live/POST/pets", false),
        ("execute-api:/live/GET/pets/", false),
        ("arn:aws:execute-api:*:*:proxy/live/*", true),
        ("arn:aws:execute-api:*:*:other/live/*", false),
        ("*", true),
    ] {
        check(resource, &method, expected);
    }
    check(
        "execute-api:/*",
        "arn:aws:execute-api:eu-west-1:123456789012:other/live/GET/pets",
        false,
    );
    check(
        "execute-api:/*",
        "arn:aws:execute-api:eu-west-1:123456789012:proxy2/live/GET/pets",
        false,
    );
    for resource in ["execute-api:live/*", "execute-api:*", "execute-api:"] {
        let statement = json!({"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": resource});
        assert!(
            Policy::resource_policy(&json!({"Statement": statement}), API).is_err(),
            "{resource}"
        );
    }
}

#[test]
fn an_api_arn_is_literal() {
    let statement = json!({"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "execute-api:/*"});
    let document = json!({"Version": "2012-10-17", "Statement": statement});
    let policy = Policy::resource_policy(&document, "arn:aws:execute-api:*:${aws:x}:?").unwrap();
    assert_eq!(
        evaluate(&policy, Action::Invoke, "arn:aws:execute-api:*:${aws:x}:?/live/GET/"),
        Effect::Allow
    );
    assert_eq!(
        evaluate(&policy, Action::Invoke, "arn:aws:execute-api:a:b:c/live/GET/"),
        Effect::ImplicitDeny
    );
}

#[test]
fn deny_beats_allow_and_the_statement_is_named() {
    let statement = |effect: &str, sid: Value, resource: &str| {
        let mut statement = json!({"Effect": effect, "Action": "execute-api:Invoke", "Resource": resource});
        if sid.is_string() {
            statement["Sid"] = sid;
        }
        statement
    };
    let policy = Policy::from_value(&json!({"Statement": [
        statement("Deny", json!(null), "arn:aws:s3:::x"),
        statement("Allow", json!("first"), "arn:aws:execute-api:*/GET/*"),
        statement("Allow", json!("second"), "*/GET/*"),
        statement("Deny", json!("secret"), "*/secret/*"),
        statement("Deny", json!(null), "*/secret/hidden"),
    ]}))
    .unwrap();
    let context = Context::new(Timestamp::from_unix_seconds(0));
    for (path, effect, statement) in [
        ("GET/open", Effect::Allow, Some((1, Some("first")))),
        ("GET/secret/hidden", Effect::ExplicitDeny, Some((3, Some("secret")))),
        ("POST/secret/a", Effect::ExplicitDeny, Some((3, Some("secret")))),
        ("POST/open", Effect::ImplicitDeny, None),
    ] {
        let resource = format!("{API}/live/{path}");
        let decision = policy.evaluate(&Request {
            action: Action::Invoke,
            resource: &resource,
            context: &context,
        });
        assert_eq!(decision.effect, effect, "{path}");
        assert_eq!(
            decision.statement.map(|found| (found.index, found.sid)),
            statement,
            "{path}"
        );
    }
    assert_eq!((policy.len(), policy.is_empty()), (5, false));
}

#[test]
fn allow_until_ends_at_the_instant() {
    let exp = Timestamp::from_unix_micros(1_000_000_250_000);
    let until = Policy::allow_until(Some(exp), &format!("{API}/live/*"));
    let always = Policy::allow_until(None, &format!("{API}/live/*"));
    let check = |policy: &Policy, action: Action, resource: &str, micros: i64, expected: bool| {
        let context = Context::new(Timestamp::from_unix_micros(micros));
        let effect = policy
            .evaluate(&Request {
                action,
                resource,
                context: &context,
            })
            .effect;
        assert_eq!(effect == Effect::Allow, expected, "{resource} at {micros}");
    };
    let method = format!("{API}/live/GET/pets");
    check(&until, Action::Invoke, &method, 1_000_000_249_999, true);
    check(&until, Action::Invoke, &method, 1_000_000_250_000, false);
    check(&until, Action::Invoke, &method, i64::MAX, false);
    check(&until, Action::InvalidateCache, &method, 0, false);
    check(&until, Action::Invoke, &format!("{API}/test/GET/pets"), 0, false);
    check(&always, Action::Invoke, &method, i64::MAX, true);
    check(&always, Action::InvalidateCache, &method, 0, false);
    assert_eq!(
        until.describe_statement(0),
        format!("Allow execute-api:Invoke on {API}/live/* if aws:CurrentTime is before 1970-01-12T13:46:40Z")
    );
    // Nothing but the shape differs from the document that says the same.
    let document = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "execute-api:Invoke",
        "Resource": format!("{API}/live/*"), "Condition": {"DateLessThan": {"aws:CurrentTime": "1970-01-12T13:46:40.25Z"}}}});
    assert_eq!(
        format!("{until:?}"),
        format!("{:?}", Policy::from_value(&document).unwrap())
    );
}

#[test]
fn policies_are_shared_between_threads() {
    fn check<T: Send + Sync>() {}
    check::<Policy>();
    check::<portcullis_policy::PolicyTemplate>();
}
