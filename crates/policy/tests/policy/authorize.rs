//! The combination of identity and resource policies.

use portcullis_core::Timestamp;
use portcullis_policy::{
    Action, Context, DecidedBy, Denial, Identity, Policy, Request, Side, authorize, denied_outright,
};
use serde_json::json;

/// What a policy says, in letters: `A`llow, `D`eny, `N`either.
fn policy(says: char) -> Policy {
    let (effect, resource) = match says {
        'A' => ("Allow", "*"),
        'D' => ("Deny", "*"),
        'N' => ("Allow", "arn:aws:s3:::other"),
        _ => panic!("{says}"),
    };
    // An allowing statement beside a denying one must not matter.
    let allow = json!({"Effect": "Allow", "Action": "*", "Resource": if says == 'D' { "*" } else { "arn:x" }});
    let statement = json!({"Sid": "it", "Effect": effect, "Action": "*", "Resource": resource});
    Policy::from_value(&json!({"Statement": [allow, statement]})).unwrap()
}

fn check(identity: char, resource: char, expected: Result<Option<Side>, (Side, bool)>) {
    let identity_policy = (!"oa".contains(identity)).then(|| policy(identity));
    let resource_policy = (resource != '-').then(|| policy(resource));
    let identity_of = || match (identity, &identity_policy) {
        (_, Some(policy)) => Identity::Policy(policy),
        ('a', None) => Identity::Authenticated,
        _ => Identity::Open,
    };
    let context = Context::new(Timestamp::from_unix_seconds(0));
    let request = Request {
        action: Action::Invoke,
        resource: "arn:aws:execute-api:a:b:c/d/GET/",
        context: &context,
    };
    let place = (1, Some(Box::from("it")));
    let verdict = authorize(identity_of(), resource_policy.as_ref(), &request);
    match (verdict, expected) {
        (Ok(permit), Ok(side)) => {
            let (index, sid) = place.clone();
            let decided_by = side.map_or(DecidedBy::NoPolicy, |side| DecidedBy::Statement { side, index, sid });
            assert_eq!(*permit.decided_by(), decided_by, "{identity}{resource}");
        }
        (Err(denial), Err((side, explicit))) => {
            let statement = explicit.then(|| place.clone());
            assert_eq!(
                denial,
                Denial {
                    side,
                    explicit,
                    statement
                },
                "{identity}{resource}"
            );
        }
        (verdict, _) => panic!("{identity}{resource}: {verdict:?}"),
    }
    let outright = resource_policy
        .as_ref()
        .and_then(|policy| denied_outright(policy, &request));
    let expected = (resource == 'D').then_some(Denial {
        side: Side::Resource,
        explicit: true,
        statement: Some(place),
    });
    assert_eq!(outright, expected, "{resource}");
}

#[test]
fn either_allows_and_neither_denies() {
    for (identity, resource, expected) in [
        // Nobody in particular, or a scheme without a policy: the resource policy alone decides.
        ('o', '-', Ok(None)),
        ('o', 'A', Ok(Some(Side::Resource))),
        ('o', 'N', Err((Side::Resource, false))),
        ('o', 'D', Err((Side::Resource, true))),
        ('a', '-', Ok(None)),
        ('a', 'A', Ok(Some(Side::Resource))),
        ('a', 'N', Err((Side::Resource, false))),
        ('a', 'D', Err((Side::Resource, true))),
        // An authoriser's policy.
        ('A', '-', Ok(Some(Side::Identity))),
        ('A', 'A', Ok(Some(Side::Identity))),
        ('A', 'N', Ok(Some(Side::Identity))),
        ('A', 'D', Err((Side::Resource, true))),
        ('N', '-', Err((Side::Identity, false))),
        ('N', 'A', Ok(Some(Side::Resource))),
        ('N', 'N', Err((Side::Identity, false))),
        ('N', 'D', Err((Side::Resource, true))),
        ('D', '-', Err((Side::Identity, true))),
        ('D', 'A', Err((Side::Identity, true))),
        ('D', 'N', Err((Side::Identity, true))),
        ('D', 'D', Err((Side::Resource, true))),
    ] {
        check(identity, resource, expected);
    }
}

#[test]
fn denials_read_well() {
    let denial = |explicit, statement| {
        Denial {
            side: Side::Resource,
            explicit,
            statement,
        }
        .to_string()
    };
    assert_eq!(denial(false, None), "no statement of the resource policy allows it");
    assert_eq!(
        denial(true, Some((2, None))),
        "statement 2 of the resource policy denies it"
    );
    assert_eq!(
        denial(true, Some((2, Some("a\nb".into())))),
        "statement 2 (a\\nb) of the resource policy denies it"
    );
}
