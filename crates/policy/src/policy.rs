//! A compiled document and its verdict on a request.

use portcullis_core::Timestamp;
use serde_json::Value;

use crate::{
    Fault, PolicyError, PolicyWarning, Request,
    condition::{Condition, Values},
    document::{self, Kind},
    glob::Glob,
    json,
    key::Key,
    operator::{Operation, Operator, Order, Quantifier},
    pattern::Pattern,
    statement::{Actions, Resources, Statement, Verdict},
    warning,
};

/// A compiled policy document, immutable and shared between threads.
#[derive(Debug)]
pub struct Policy {
    pub(crate) statements: Box<[Statement]>,
    /// Whether `${…}` was read as a variable.
    pub(crate) has_variables: bool,
}

/// What a policy says about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// A statement allows it and none denies it.
    Allow,
    /// A statement denies it, whatever others allow.
    ExplicitDeny,
    /// No statement allows it.
    ImplicitDeny,
}

/// A policy's verdict, and the statement that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision<'p> {
    /// The verdict.
    pub effect: Effect,
    /// The first statement that denies, or else the first that allows; none for an implicit deny.
    pub statement: Option<StatementRef<'p>>,
}

/// A statement of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatementRef<'p> {
    /// Its place in the document, from 0.
    pub index: usize,
    /// Its `Sid`.
    pub sid: Option<&'p str>,
}

// === impl Policy ===

impl Policy {
    /// Compiles an identity policy, such as an authoriser returns, from JSON.
    ///
    /// At most [`DOCUMENT_BYTES_MAX`](crate::DOCUMENT_BYTES_MAX) bytes; an object that names a member twice is refused.
    pub fn parse(json: &str) -> Result<Self, PolicyError> {
        if json.len() > crate::DOCUMENT_BYTES_MAX {
            return Err(PolicyError::at_root(Fault::TooManyBytes(json.len())));
        }
        let value = json::parse(json).map_err(|error| PolicyError::at_root(Fault::NotJson(error.to_string())))?;
        document::read(&value, Kind::Identity)
    }

    /// Compiles an identity policy from JSON that was read already.
    pub fn from_value(value: &Value) -> Result<Self, PolicyError> {
        check_size(value)?;
        document::read(value, Kind::Identity)
    }

    /// Compiles an API's resource policy.
    ///
    /// `api_arn` is `arn:aws:execute-api:{region}:{account}:{api}` without a final slash, taken literally. The short form
    /// `execute-api:/stage/GET/path` (`execute-api:/*`) of a resource is a pattern below it. Every statement needs a
    /// principal, and the only one that can be honoured is everyone (`"*"` or `{"AWS": "*"}`): callers here are not
    /// principals of an Amazon account, so any other would silently never match.
    pub fn resource_policy(value: &Value, api_arn: &str) -> Result<Self, PolicyError> {
        check_size(value)?;
        document::read(value, Kind::Resource { api_arn })
    }

    /// Allows `execute-api:Invoke` on `resource` (a pattern with `*` and `?`) before `exp`, or always without one.
    ///
    /// The policy of a token that was verified without a function's help. The caller is refused from the instant `exp` on
    /// (RFC 7519 section 4.1.4).
    pub fn allow_until(exp: Option<Timestamp>, resource: &str) -> Self {
        let operation = Operation {
            quantifier: Quantifier::Single,
            operator: Operator::DateLessThan,
            if_exists: false,
        };
        let condition = |exp| Condition {
            operation,
            key: Key::CurrentTime,
            values: Values::Date(Order::Less, Box::new([exp])),
        };
        let statement = Statement {
            sid: None,
            verdict: Verdict::Allow,
            actions: Actions {
                negated: false,
                names: Box::new(["execute-api:Invoke".into()]),
                invoke: true,
                invalidate_cache: false,
            },
            resources: Resources {
                negated: false,
                patterns: Box::new([Pattern::Glob(Glob::parse(resource))]),
            },
            conditions: exp.map(condition).into_iter().collect(),
        };
        Self {
            statements: Box::new([statement]),
            has_variables: true,
        }
    }

    /// The verdict on a request: a statement that denies beats all that allow, and what no statement allows is denied.
    ///
    /// Allocates only where a policy variable or a string operator over a key that is not text is evaluated.
    pub fn evaluate(&self, request: &Request<'_>) -> Decision<'_> {
        let mut allowed = None;
        for (index, statement) in self.statements.iter().enumerate() {
            match statement.verdict {
                Verdict::Allow if allowed.is_none() && statement.applies(request) => {
                    allowed = Some(self.statement(index, statement));
                }
                Verdict::Deny if statement.applies(request) => {
                    return Decision {
                        effect: Effect::ExplicitDeny,
                        statement: Some(self.statement(index, statement)),
                    };
                }
                Verdict::Allow | Verdict::Deny => {}
            }
        }
        let effect = if allowed.is_some() {
            Effect::Allow
        } else {
            Effect::ImplicitDeny
        };
        Decision {
            effect,
            statement: allowed,
        }
    }

    /// The first statement that denies the request; statements that allow are not looked at.
    pub(crate) fn denial(&self, request: &Request<'_>) -> Option<StatementRef<'_>> {
        let mut statements = self.statements.iter().enumerate();
        let denies = |statement: &Statement| statement.verdict == Verdict::Deny && statement.applies(request);
        statements
            .find(|(_, statement)| denies(statement))
            .map(|(index, statement)| self.statement(index, statement))
    }

    /// What works, but is probably not what the author wants, in the order of the statements.
    pub fn warnings(&self) -> Vec<PolicyWarning> {
        warning::find(self)
    }

    /// How many statements there are.
    pub fn len(&self) -> usize {
        self.statements.len()
    }

    /// Whether there are no statements, so that nothing is allowed.
    pub fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }

    /// A statement on one line for people: `Allow execute-api:Invoke on arn:… if aws:CurrentTime is before
    /// 2026-11-20T00:00:00Z`. Empty when there is no statement at `index`.
    pub fn describe_statement(&self, index: usize) -> String {
        self.statements.get(index).map(ToString::to_string).unwrap_or_default()
    }

    fn statement<'p>(&'p self, index: usize, statement: &'p Statement) -> StatementRef<'p> {
        StatementRef {
            index,
            sid: statement.sid.as_deref(),
        }
    }
}

fn check_size(value: &Value) -> Result<(), PolicyError> {
    match json::compact_bytes(value) {
        0..=crate::DOCUMENT_BYTES_MAX => Ok(()),
        bytes => Err(PolicyError::at_root(Fault::TooManyBytes(bytes))),
    }
}
