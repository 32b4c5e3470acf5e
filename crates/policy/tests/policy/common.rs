//! What the tests of this crate share: condition keys from a table, and a question to a policy.

use portcullis_core::Timestamp;
use portcullis_policy::{Action, Context, Effect, ExtraKeys, KeyValue, Policy, Request};
use serde_json::{Value, json};

/// A method ARN.
pub(crate) const METHOD: &str = "arn:aws:execute-api:eu-west-1:123456789012:proxy/live/GET/pets/a1";

/// 2026-11-20T10:30:00Z.
pub(crate) const NOW: i64 = 1_795_170_600;

/// Condition keys by name in lower case, each with its values.
pub(crate) struct Keys<'a>(pub(crate) Vec<(&'a str, Vec<KeyValue<'a>>)>);

impl ExtraKeys for Keys<'_> {
    fn visit(&self, key: &str, visit: &mut dyn FnMut(KeyValue<'_>)) {
        for (_, values) in self.0.iter().filter(|(name, _)| *name == key) {
            values.iter().for_each(|value| visit(*value));
        }
    }
}

/// The context at [`NOW`] with these keys.
pub(crate) fn context<'a>(keys: &'a Keys<'a>) -> Context<'a> {
    Context {
        extra: keys,
        ..Context::new(Timestamp::from_unix_seconds(NOW))
    }
}

/// A statement about everything with a condition block.
pub(crate) fn statement(effect: &str, condition: &Value) -> Value {
    json!({"Effect": effect, "Action": "execute-api:Invoke", "Resource": "*", "Condition": condition})
}

/// A document of the present version.
pub(crate) fn document(statements: &Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// What a policy says about calling [`METHOD`].
pub(crate) fn effect(policy: &Policy, context: &Context<'_>) -> Effect {
    policy
        .evaluate(&Request {
            action: Action::Invoke,
            resource: METHOD,
            context,
        })
        .effect
}

/// Whether a condition block holds, in a statement that allows and in one that denies.
pub(crate) fn holds(condition: &Value, context: &Context<'_>) -> (bool, bool) {
    let allow = document(&statement("Allow", condition));
    let deny = document(&json!([statement("Allow", &json!({})), statement("Deny", condition)]));
    let effect = |value| {
        effect(
            &Policy::from_value(value).unwrap_or_else(|error| panic!("{condition}: {error}")),
            context,
        )
    };
    (effect(&allow) == Effect::Allow, effect(&deny) == Effect::ExplicitDeny)
}

/// How many times the ordinary number of random cases is wanted.
pub(crate) fn soak() -> u32 {
    std::env::var("PORTCULLIS_SOAK")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1)
}
