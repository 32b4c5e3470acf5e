//! Identity and resource policies together.
//!
//! | Identity | Resource policy | Permitted when |
//! |---|---|---|
//! | open, or authenticated by a scheme without a policy | none | always |
//! | open, or authenticated by a scheme without a policy | given | the resource policy allows |
//! | a policy | none | the policy allows |
//! | a policy | given | either allows and neither denies |
//!
//! Source: Amazon's "How API Gateway resource policies affect authorization workflow", for callers of the API's own account.

use std::fmt;

use crate::{Effect, Policy, Request, policy::StatementRef};

/// How the caller was identified.
#[derive(Clone, Copy, Debug)]
pub enum Identity<'p> {
    /// By a scheme that says who calls but not what they may do, such as a verified token.
    Authenticated,
    /// Not at all, because the method asks for nobody in particular.
    Open,
    /// By an authoriser that gave this policy.
    Policy(&'p Policy),
}

/// Which of the two policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The caller's.
    Identity,
    /// The API's.
    Resource,
}

/// Evidence that a request was authorised.
///
/// Only [`authorize`] makes one, so that a step which asks for a `Permit` cannot be reached by a request that was not
/// authorised. It is not `Clone`: a permit is about one request and is used up with it.
#[derive(Debug)]
pub struct Permit {
    decided_by: DecidedBy,
}

/// What permitted a request, for traces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecidedBy {
    /// There was no policy to ask.
    NoPolicy,
    /// A statement that allows.
    Statement {
        /// Of which policy.
        side: Side,
        /// Its place in the document, from 0.
        index: usize,
        /// Its `Sid`.
        sid: Option<Box<str>>,
    },
}

/// Why a request is not authorised.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Denial {
    /// The policy that denies or, for an implicit deny, the one that should have allowed: the caller's where there is one.
    pub side: Side,
    /// Whether a statement denies, and not merely none allows.
    pub explicit: bool,
    /// The statement that denies: its place in the document, from 0, and its `Sid`.
    pub statement: Option<(usize, Option<Box<str>>)>,
}

/// Whether the API's resource policy denies the request whoever calls, to be asked before any authoriser runs.
pub fn denied_outright(resource_policy: &Policy, request: &Request<'_>) -> Option<Denial> {
    resource_policy
        .denial(request)
        .map(|statement| Denial::explicit(Side::Resource, Some(statement)))
}

/// Whether the caller may do what the request asks, from both policies.
///
/// The resource policy's explicit denies are looked at again, so that forgetting [`denied_outright`] opens nothing.
pub fn authorize(
    identity: Identity<'_>,
    resource_policy: Option<&Policy>,
    request: &Request<'_>,
) -> Result<Permit, Denial> {
    let resource = resource_policy.map(|policy| policy.evaluate(request));
    let identity = match identity {
        Identity::Policy(policy) => Some(policy.evaluate(request)),
        Identity::Authenticated | Identity::Open => None,
    };
    let of_identity = identity.and_then(|decision| decision.statement);
    let of_resource = resource.and_then(|decision| decision.statement);
    match (
        identity.map(|decision| decision.effect),
        resource.map(|decision| decision.effect),
    ) {
        (None, None) => Ok(Permit {
            decided_by: DecidedBy::NoPolicy,
        }),
        (_, Some(Effect::ExplicitDeny)) => Err(Denial::explicit(Side::Resource, of_resource)),
        (Some(Effect::ExplicitDeny), _) => Err(Denial::explicit(Side::Identity, of_identity)),
        (Some(Effect::Allow), _) => Ok(Permit::by(Side::Identity, of_identity)),
        (Some(Effect::ImplicitDeny) | None, Some(Effect::Allow)) => Ok(Permit::by(Side::Resource, of_resource)),
        (Some(Effect::ImplicitDeny), Some(Effect::ImplicitDeny) | None) => Err(Denial::implicit(Side::Identity)),
        (None, Some(Effect::ImplicitDeny)) => Err(Denial::implicit(Side::Resource)),
    }
}

// === impl Permit ===

impl Permit {
    /// What permitted the request, for traces.
    pub fn decided_by(&self) -> &DecidedBy {
        &self.decided_by
    }

    fn by(side: Side, statement: Option<StatementRef<'_>>) -> Self {
        let decided_by = match statement {
            Some(StatementRef { index, sid }) => DecidedBy::Statement {
                side,
                index,
                sid: sid.map(Into::into),
            },
            None => DecidedBy::NoPolicy, // cannot be: what allows is a statement
        };
        Self { decided_by }
    }
}

// === impl Denial ===

impl Denial {
    fn explicit(side: Side, statement: Option<StatementRef<'_>>) -> Self {
        Self {
            side,
            explicit: true,
            statement: statement.map(|found| (found.index, found.sid.map(Into::into))),
        }
    }

    fn implicit(side: Side) -> Self {
        Self {
            side,
            explicit: false,
            statement: None,
        }
    }
}

impl fmt::Display for Denial {
    /// For logs; what a client reads is the gateway's to say.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            side,
            explicit,
            statement,
        } = self;
        match (explicit, statement) {
            (false, _) => write!(formatter, "no statement of the {side} policy allows it"),
            (true, None) => write!(formatter, "the {side} policy denies it"),
            (true, Some((index, None))) => write!(formatter, "statement {index} of the {side} policy denies it"),
            (true, Some((index, Some(sid)))) => {
                write!(
                    formatter,
                    "statement {index} ({}) of the {side} policy denies it",
                    sid.escape_debug()
                )
            }
        }
    }
}

// === impl Side ===

impl fmt::Display for Side {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Identity => "identity",
            Self::Resource => "resource",
        })
    }
}
