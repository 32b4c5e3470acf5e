//! Entry points for fuzzers. Each takes any bytes and panics only on a defect.

use std::net::{IpAddr, Ipv4Addr};

use portcullis_core::Timestamp;

use crate::{Action, Context, Effect, Identity, Policy, PolicyTemplate, Request, authorize, denied_outright};

/// Reads `data` as a document of every kind, and evaluates what is accepted.
///
/// The verdicts must be consistent: the same from the text and from its value, an explicit deny for every denial outright,
/// and a permit exactly where the policy allows.
pub fn fuzz_policy(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let policy = Policy::parse(text);
    let Ok(value) = serde_json::from_str(text) else {
        assert!(policy.is_err());
        return;
    };
    if let Ok(template) = PolicyTemplate::parse(&value) {
        if let Ok(filled) = template.instantiate(&|name| Some(format!("{name}*?${{aws:SourceIp}}"))) {
            check(&filled);
        }
        assert!(value.to_string().contains("${claims.") || template.instantiate(&|_| None).is_ok());
    }
    if let Ok(resource_policy) = Policy::resource_policy(&value, "arn:aws:execute-api:eu-west-1:123456789012:proxy") {
        check(&resource_policy);
    }
    let again = Policy::from_value(&value);
    if let Ok(policy) = &policy {
        check(policy);
        // A document may say more bytes in another spelling of its strings, and only then be too large.
        if let Ok(again) = &again {
            assert_eq!(format!("{policy:?}"), format!("{again:?}"));
        }
    }
}

fn check(policy: &Policy) {
    for index in 0..=policy.len() {
        let line = policy.describe_statement(index);
        assert!(!line.contains('\n') && line.is_empty() == (index == policy.len()));
    }
    for warning in policy.warnings() {
        assert!(!warning.to_string().is_empty());
    }
    let bare = Context::new(Timestamp::from_unix_seconds(1_700_000_000));
    let full = Context {
        source_ip: Some(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7))),
        secure_transport: true,
        user_agent: Some("curl/8.0"),
        referer: Some("https://example.com/?*"),
        source_arn: Some("arn:aws:s3:::bucket"),
        ..bare
    };
    for context in [&bare, &full] {
        for resource in ["", "arn:aws:execute-api:eu-west-1:123456789012:proxy/live/GET/pets/a1"] {
            for action in [Action::Invoke, Action::InvalidateCache] {
                consistent(
                    policy,
                    &Request {
                        action,
                        resource,
                        context,
                    },
                );
            }
        }
    }
}

fn consistent(policy: &Policy, request: &Request<'_>) {
    let decision = policy.evaluate(request);
    assert_eq!(decision.statement.is_none(), decision.effect == Effect::ImplicitDeny);
    assert_eq!(
        denied_outright(policy, request).is_some(),
        decision.effect == Effect::ExplicitDeny
    );
    for verdict in [
        authorize(Identity::Policy(policy), None, request),
        authorize(Identity::Open, Some(policy), request),
        authorize(Identity::Policy(policy), Some(policy), request),
    ] {
        assert_eq!(verdict.is_ok(), decision.effect == Effect::Allow);
        assert_eq!(
            verdict.is_err_and(|denial| denial.explicit),
            decision.effect == Effect::ExplicitDeny
        );
    }
}
