//! Steps 6 and 7, second half: whether the caller may, decided by policies over **this** request's ARN, time and address.

use std::net::IpAddr;

use http::{HeaderMap, header};
use portcullis_core::{MethodArn, Timestamp};
use portcullis_model::snapshot::{Protection, Stage};
use portcullis_policy::{Action, Context, DecidedBy, Denial, Identity, Permit, Policy, Request, Side};

use crate::{
    Rejection,
    authenticate::{Caller, Standing},
    client::ClientKeys,
    locate::{Located, Routed},
    receive::Received,
};

/// Evidence that the resource policy does not deny a request outright; it carries what policies look at.
#[derive(Debug)]
pub(crate) struct Cleared {
    arn: Option<MethodArn>,
}

/// What of a request policies look at, beside its ARN.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances<'r> {
    pub(crate) headers: &'r HeaderMap,
    pub(crate) source: IpAddr,
    pub(crate) secure: bool,
    pub(crate) client: ClientKeys<'r>,
    pub(crate) now: Timestamp,
}

/// Step 6: an explicit deny of the resource policy ends the request before any authoriser runs.
pub(crate) fn clear(
    received: &Received<'_>,
    located: &Located<'_, '_>,
    routed: &Routed<'_, '_>,
    circumstances: Circumstances<'_>,
) -> Result<Cleared, Rejection> {
    let stage = located.stage();
    let nobody_asks = routed.route().protection == Protection::Open && stage.resource_policy.is_none();
    if nobody_asks {
        return Ok(Cleared { arn: None });
    }
    let verb = received.verb().map_or("", |verb| verb.as_str());
    let arn = MethodArn::new(&stage.arn_prefix, verb, located.path());
    if arn.as_str().len() > MethodArn::BYTES_MAX {
        return Err(Rejection::ArnTooLong);
    }
    if let Some(policy) = &stage.resource_policy
        && let Some(denial) = portcullis_policy::denied_outright(policy, &request(&arn, &context(&circumstances)))
    {
        return Err(rejection(&denial, stage, &arn));
    }
    Ok(Cleared { arn: Some(arn) })
}

/// Step 7: the caller's policy and the resource policy together.
pub(crate) fn authorize(
    cleared: &Cleared,
    caller: &Caller,
    located: &Located<'_, '_>,
    routed: &Routed<'_, '_>,
    circumstances: Circumstances<'_>,
) -> Result<Permit, Rejection> {
    let stage = located.stage();
    let identity = match caller.standing() {
        Standing::Anonymous => Identity::Open,
        Standing::Verified(verified) => {
            if !holds_scope(&routed.route().protection, &verified.claims) {
                return Err(Rejection::ScopeMissing);
            }
            verified
                .policy
                .as_ref()
                .map_or(Identity::Authenticated, Identity::Policy)
        }
    };
    decide(cleared, identity, stage.resource_policy.as_ref(), circumstances).map_err(|denial| {
        cleared.arn.as_ref().map_or(
            Rejection::Denied {
                explicit: denial.explicit,
            },
            |arn| rejection(&denial, stage, arn),
        )
    })
}

fn decide(
    cleared: &Cleared,
    identity: Identity<'_>,
    resource_policy: Option<&Policy>,
    circumstances: Circumstances<'_>,
) -> Result<Permit, Denial> {
    let context = match identity {
        // Nobody asks about the request.
        Identity::Open if resource_policy.is_none() => Context::new(circumstances.now),
        Identity::Open | Identity::Authenticated | Identity::Policy(_) => context(&circumstances),
    };
    let resource = cleared.arn.as_ref().map_or("", MethodArn::as_str);
    let request = Request {
        action: Action::Invoke,
        resource,
        context: &context,
    };
    portcullis_policy::authorize(identity, resource_policy, &request)
}

/// Whether a policy's statement allows the caller to have a stored answer fetched anew (`execute-api:InvalidateCache`). That
/// there is no policy to ask allows nothing here.
pub(crate) fn may_invalidate(
    cleared: &Cleared,
    caller: &Caller,
    located: &Located<'_, '_>,
    circumstances: Circumstances<'_>,
) -> bool {
    let Some(arn) = &cleared.arn else { return false };
    let identity = match caller.standing() {
        Standing::Anonymous => Identity::Open,
        Standing::Verified(verified) => verified
            .policy
            .as_ref()
            .map_or(Identity::Authenticated, Identity::Policy),
    };
    let context = context(&circumstances);
    let request = Request {
        action: Action::InvalidateCache,
        ..request(arn, &context)
    };
    let permit = portcullis_policy::authorize(identity, located.stage().resource_policy.as_ref(), &request);
    permit.is_ok_and(|permit| matches!(permit.decided_by(), DecidedBy::Statement { .. }))
}

/// At least one of the route's scopes, where it demands any.
fn holds_scope(protection: &Protection, claims: &portcullis_jose::Claims) -> bool {
    match protection {
        Protection::Open => true,
        Protection::Authorizer { scopes, .. } => {
            scopes.is_empty() || claims.scopes().any(|held| scopes.iter().any(|scope| **scope == *held))
        }
    }
}

fn request<'a>(arn: &'a MethodArn, context: &'a Context<'a>) -> Request<'a> {
    Request {
        action: Action::Invoke,
        resource: arn.as_str(),
        context,
    }
}

fn context<'a>(circumstances: &'a Circumstances<'_>) -> Context<'a> {
    let field = |name: http::HeaderName| circumstances.headers.get(name).and_then(|value| value.to_str().ok());
    Context {
        source_ip: Some(circumstances.source),
        secure_transport: circumstances.secure,
        user_agent: field(header::USER_AGENT),
        referer: field(header::REFERER),
        extra: &circumstances.client,
        ..Context::new(circumstances.now)
    }
}

fn rejection(denial: &Denial, stage: &Stage, arn: &MethodArn) -> Rejection {
    match denial.side {
        Side::Identity => Rejection::Denied {
            explicit: denial.explicit,
        },
        Side::Resource => {
            // Amazon shows the account's last four digits only.
            let last = stage.account.len().saturating_sub(4);
            let masked = format!("********{}", stage.account.get(last..).unwrap_or_default());
            let arn = arn.as_str().replacen(&*stage.account, &masked, 1);
            Rejection::ResourcePolicy {
                explicit: denial.explicit,
                arn,
            }
        }
    }
}
