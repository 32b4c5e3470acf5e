//! The request, top to bottom. In a financial gateway the order of steps is a security property, so it is one function.

use http::{Method, Uri};
use portcullis_limit::Now;
use portcullis_model::snapshot::Protection;
use portcullis_net::Reply;
use portcullis_policy::{DecidedBy, Permit, Side};

use crate::{
    Observer, Rejection, Step,
    authenticate::{self, Caller, Credentials},
    authorize::{self, Circumstances},
    cache::{self, Consulted, Keyed, Next},
    client::{self, ClientKeys},
    compression::Compression,
    execution,
    gateway::Worker,
    integrate::{self, Admitted, Message},
    locate::{self, Located, Routed},
    preflight, receive,
    record::Record,
    shield, throttle,
};

/// Leads a request through the steps to its answer. What each step knows for the log is written to `record` at once, so
/// that a refusal is logged with all that was known when it happened.
pub(crate) async fn proceed<O: Observer>(
    worker: &Worker,
    record: &mut Record,
    uri: &Uri,
    message: &mut Message,
    observer: &mut O,
) -> Result<Reply, Rejection> {
    let live = std::sync::Arc::clone(&record.live);
    let Message {
        method,
        headers,
        body,
        peer,
        ..
    } = &*message;
    let tls = peer.tls.as_deref();

    let received = receive::receive(method, uri, headers, body.length())?;
    observer.passed(
        Step::Receive,
        format_args!("{method} {}", received.path().as_received()),
    );

    let host = receive::host(uri, headers);
    client::direct(tls, host)?;
    let located = locate::locate(&live.snapshot, &received, host, &record.id)?;
    record.mapping = located.mapping();
    record.enter_stage(located.index(), uri, headers);
    record.compression = Compression::asked(located.stage(), method, headers);
    observer.passed(
        Step::Locate,
        format_args!("API {}, stage {}", located.stage().api, located.stage().label()),
    );

    preflight::share(located.stage(), headers, record);
    let screened = shield::screen(located.stage(), record.source, worker.monotonic_ns(record.started_at))?;
    observer.passed(Step::Shield, format_args!("{}", source_throttle(&located)));

    let routed = locate::route(&located, &received);
    if let Some(reply) = preflight::answer(located.stage(), method, headers, record) {
        // It is about another method of the path, and need not have a route of its own.
        observer.passed(Step::Route, format_args!("a preflight needs none"));
        observer.passed(Step::Preflight, format_args!("answered {}", reply.status));
        return Ok(reply);
    }
    let routed = routed?;
    record.route = Some(routed.index());
    if record.execution.is_some() {
        execution::began(record, &routed, received.query(), headers);
    }
    observer.passed(Step::Route, format_args!("{}{}", routed.route().key, Values(&routed)));
    observer.passed(Step::Preflight, format_args!("none"));

    let circumstances = Circumstances {
        headers,
        source: record.source,
        secure: record.secure,
        client: ClientKeys(tls.and_then(|facts| facts.client.as_ref())),
        now: record.started,
    };
    let cleared = authorize::clear(&received, &located, &routed, circumstances)?;
    observer.passed(Step::ResourcePolicy, format_args!("{}", resource_policy(&located)));

    client::admit(tls, record.started)?;
    let credentials = Credentials {
        headers,
        query: received.query(),
        source: record.source,
        now: record.started,
    };
    let caller = identify(&live, &located, &routed, credentials).await?;
    record.caller = Some(caller.clone());
    observer.passed(
        Step::Authenticate,
        format_args!("{}", caller.principal().unwrap_or("anyone")),
    );

    let permit = authorize::authorize(&cleared, &caller, &located, &routed, circumstances)?;
    execution::authorized(record);
    observer.passed(Step::Authorize, format_args!("{}", Decided(&permit, &located, &caller)));

    let now = Now {
        monotonic_ns: worker.monotonic_ns(record.started_at),
        unix_s: record.started.unix_seconds(),
    };
    let lease = throttle::admit(&live, &located, &routed, &caller, headers, now, record).await?;
    observer.passed(
        Step::Throttle,
        format_args!("{}", throttle::Shown(located.stage(), record.subscription.as_ref())),
    );

    let admitted = Admitted {
        received,
        located,
        screened,
        routed,
        caller,
        permit,
        lease,
    };
    let absent = match cache::consult(&admitted, &cleared, message, circumstances, &live, record)? {
        Consulted::Off => {
            observer.passed(Step::Cache, format_args!("the method is not cached"));
            None
        }
        Consulted::Bypassed(why) => {
            observer.passed(Step::Cache, format_args!("passed by: {why}"));
            None
        }
        Consulted::Answered(answered) => {
            observer.passed(Step::Cache, format_args!("{answered}; {}", Keyed(&admitted, &live)));
            return Ok(answered.give(admitted, message, worker.client(), record));
        }
        Consulted::Absent(absent) => Some(absent),
    };
    // What seldom happens is boxed out of this future.
    let fetch = match absent {
        None => None,
        Some(absent) => match Box::pin(absent.join(record)).await? {
            Next::Answered(answered) => {
                observer.passed(Step::Cache, format_args!("{answered}; {}", Keyed(&admitted, &live)));
                return Ok(answered.reply);
            }
            Next::Fetch(fetch) => {
                observer.passed(Step::Cache, format_args!("{fetch}; {}", Keyed(&admitted, &live)));
                fetch.prepare(&mut message.headers);
                Some(fetch)
            }
        },
    };
    let kind = admitted.routed.route().integration.kind();
    let result = integrate::integrate(admitted, message, worker.client(), &live, record).await;
    let Some(fetch) = fetch else {
        let reply = result?;
        observer.passed(Step::Integrate, format_args!("{kind} answered {}", reply.status));
        return Ok(reply);
    };
    let (reply, kept) = fetch.keep(result)?;
    observer.passed(
        Step::Integrate,
        format_args!("{kind} answered {}, {kept}", reply.status),
    );
    Ok(reply)
}

async fn identify(
    live: &crate::live::Live,
    located: &Located<'_, '_>,
    routed: &Routed<'_, '_>,
    credentials: Credentials<'_>,
) -> Result<Caller, Rejection> {
    let stage = located.stage();
    let Protection::Authorizer { index, .. } = routed.route().protection else {
        return authenticate::authenticate(None, credentials, "").await;
    };
    // An index that leads nowhere must never open a route.
    let live_stage = live.stages.get(located.index()).ok_or(Rejection::PolicyUnmade)?;
    let authorizer = stage.authorizers.get(index).zip(live_stage.authorizers.get(index));
    let authorizer = authorizer.ok_or(Rejection::PolicyUnmade)?;
    authenticate::authenticate(Some(authorizer), credentials, &live_stage.api_arn).await
}

fn source_throttle(located: &Located<'_, '_>) -> &'static str {
    if located.stage().limits.source.is_some() {
        "within the source's rate"
    } else {
        "no throttle of sources"
    }
}

fn resource_policy(located: &Located<'_, '_>) -> &'static str {
    if located.stage().resource_policy.is_some() {
        "no explicit deny"
    } else {
        "none"
    }
}

/// Path parameters, for people.
struct Values<'v>(&'v Routed<'v, 'v>);

impl std::fmt::Display for Values<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0
            .parameters()
            .iter()
            .try_for_each(|(name, value)| write!(formatter, " {name}={value}"))
    }
}

/// The statement that decided, for people.
struct Decided<'v>(&'v Permit, &'v Located<'v, 'v>, &'v Caller);

impl std::fmt::Display for Decided<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(permit, located, caller) = self;
        match permit.decided_by() {
            DecidedBy::NoPolicy => formatter.write_str("no policy is asked"),
            DecidedBy::Statement { side, index, sid } => {
                let (whose, policy) = match side {
                    Side::Identity => ("the caller's policy", caller.policy()),
                    Side::Resource => ("the resource policy", located.stage().resource_policy.as_ref()),
                };
                write!(formatter, "allowed by statement {index} of {whose}")?;
                if let Some(sid) = sid {
                    write!(formatter, " ({sid})")?;
                }
                policy.map_or(Ok(()), |policy| {
                    write!(formatter, ": {}", policy.describe_statement(*index))
                })
            }
        }
    }
}

/// The method of a request that could not be read.
pub(crate) fn unknown_method() -> Method {
    Method::from_bytes(b"-").unwrap_or_default()
}
