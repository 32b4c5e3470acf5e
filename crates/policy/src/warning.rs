//! What works, but is probably not what a document's author wants.

use crate::{
    Policy,
    condition::{Condition, Values},
    glob::Glob,
    key::Key,
    operator::Quantifier,
    pattern::{Exact, Pattern},
    statement::{Statement, Verdict},
};

/// A doubt about a policy. Statements are counted from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyWarning {
    /// A statement allows everyone everything.
    #[error("statement {statement} allows every request: narrow `Resource` or add a `Condition`")]
    AllowsEverything {
        /// Which.
        statement: usize,
    },
    /// No statement allows anything.
    #[error("no statement allows anything: every request is denied, unless another policy allows it")]
    AllowsNothing,
    /// A statement allows whatever it does not name, also what is added to the API later.
    #[error("statement {statement} allows whatever `{element}` does not name, also what is added later: allow by name")]
    AllowsTheRest {
        /// Which.
        statement: usize,
        /// `NotAction` or `NotResource`.
        element: &'static str,
    },
    /// An action that is neither `execute-api:Invoke` nor `execute-api:InvalidateCache`.
    #[error("statement {statement} names the action `{action}`, which no request here asks for")]
    ForeignAction {
        /// Which.
        statement: usize,
        /// As written.
        action: String,
    },
    /// `ForAllValues:` in a statement that allows, which it also does when the key is absent.
    #[error("statement {statement} also allows requests without `{key}`: add `\"Null\": {{\"{key}\": \"false\"}}`")]
    PassesWithoutKey {
        /// Which.
        statement: usize,
        /// The condition key.
        key: String,
    },
    /// An `aws:` key that is never present here unless something is configured to fill it in.
    #[error("statement {statement} asks for `{key}`, which requests here do not have by themselves")]
    UnknownKey {
        /// Which.
        statement: usize,
        /// The condition key, in lower case.
        key: String,
    },
    /// `${` in a document of a version that has no variables.
    #[error("statement {statement} has `${{` in it, but variables need `\"Version\": \"2012-10-17\"`")]
    VariablesOff {
        /// Which.
        statement: usize,
    },
}

pub(crate) fn find(policy: &Policy) -> Vec<PolicyWarning> {
    let mut warnings = Vec::new();
    for (index, statement) in policy.statements.iter().enumerate() {
        about_actions(index, statement, &mut warnings);
        if statement.verdict == Verdict::Allow {
            about_breadth(index, statement, &mut warnings);
        }
        for condition in &statement.conditions {
            if let Key::Extra(key) = &condition.key
                && key.starts_with("aws:")
            {
                warnings.push(PolicyWarning::UnknownKey {
                    statement: index,
                    key: key.to_string(),
                });
            }
        }
        if !policy.has_variables && has_variable_text(statement) {
            warnings.push(PolicyWarning::VariablesOff { statement: index });
        }
    }
    if !policy
        .statements
        .iter()
        .any(|statement| statement.verdict == Verdict::Allow)
    {
        warnings.push(PolicyWarning::AllowsNothing);
    }
    warnings
}

fn about_actions(index: usize, statement: &Statement, warnings: &mut Vec<PolicyWarning>) {
    for name in &statement.actions.names {
        let glob = Glob::parse(&name.to_ascii_lowercase());
        if !glob.matches("execute-api:invoke") && !glob.matches("execute-api:invalidatecache") {
            warnings.push(PolicyWarning::ForeignAction {
                statement: index,
                action: name.to_string(),
            });
        }
    }
}

fn about_breadth(index: usize, statement: &Statement, warnings: &mut Vec<PolicyWarning>) {
    let Statement {
        actions,
        resources,
        conditions,
        ..
    } = statement;
    let everywhere = |pattern: &Pattern| match pattern {
        // As far as methods go: whatever stands in the account, the API and the path.
        Pattern::Glob(glob) => glob.matches_everything() || glob.matches(ANY_METHOD),
        Pattern::Variable(_) => false,
    };
    if !resources.negated && actions.invoke && conditions.is_empty() && resources.patterns.iter().any(everywhere) {
        warnings.push(PolicyWarning::AllowsEverything { statement: index });
    }
    if actions.negated {
        warnings.push(PolicyWarning::AllowsTheRest {
            statement: index,
            element: "NotAction",
        });
    }
    if resources.negated {
        warnings.push(PolicyWarning::AllowsTheRest {
            statement: index,
            element: "NotResource",
        });
    }
    let requires = |key: &Key| {
        conditions.iter().any(|condition| match &condition.values {
            Values::Null(wanted) => condition.key == *key && !wanted.contains(&true),
            _ => false,
        })
    };
    for Condition { operation, key, .. } in conditions {
        if operation.quantifier == Quantifier::All && !requires(key) {
            warnings.push(PolicyWarning::PassesWithoutKey {
                statement: index,
                key: key.to_string(),
            });
        }
    }
}

/// An ARN that nothing but a pattern without a word of its own fits.
const ANY_METHOD: &str = "arn:aws:execute-api:\u{0}:\u{0}:\u{0}";

fn has_variable_text(statement: &Statement) -> bool {
    let in_pattern = |pattern: &Pattern| matches!(pattern, Pattern::Glob(glob) if glob.contains("${"));
    let in_text = |text: &Exact| matches!(text, Exact::Text(text) if text.contains("${"));
    statement.resources.patterns.iter().any(in_pattern)
        || statement.conditions.iter().any(|condition| match &condition.values {
            Values::Equal(texts) | Values::EqualIgnoringCase(texts) => texts.iter().any(in_text),
            Values::Like(patterns) => patterns.iter().any(in_pattern),
            Values::Arn(patterns) => patterns.iter().any(|pattern| pattern.contains("${")),
            Values::Bool(_)
            | Values::Bytes(_)
            | Values::Date(..)
            | Values::Network(_)
            | Values::Null(_)
            | Values::Number(..) => false,
        })
}
