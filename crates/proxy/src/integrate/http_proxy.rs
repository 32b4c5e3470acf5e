//! The `http_proxy` integration: the request goes on to an HTTP origin, both ways streamed.

use std::{
    borrow::Cow,
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

use http::{HeaderMap, StatusCode, header};
use portcullis_core::Verb;
use portcullis_model::snapshot::{HttpProxy, Integration, Stage};
use portcullis_net::{
    BodyError, Fields, Reply,
    server::RequestBody,
    upstream::{Answer, Call, Client, RetryRule, UpstreamError},
};
use portcullis_template::mapping::{Mapping, ResponseMapping, ResponseSource, ResponseTarget, Source, Target};

use super::{
    Asked, Message, forward, headers,
    plan::Plan,
    source_value,
    target::{Mapped, MappedValue, target},
};
use crate::{
    Rejection, execution,
    live::LiveStage,
    record::{IntegrationRecord, Record},
};

/// How long an answer's body may make no progress.
const BODY_IDLE: Duration = Duration::from_secs(30);

/// Calls the origin and gives its answer back.
pub(super) async fn call(
    proxy: &HttpProxy,
    asked: Asked<'_>,
    message: &mut Message,
    client: &Client,
    live: &LiveStage,
    record: &mut Record,
) -> Result<Reply, Rejection> {
    let Asked { located, routed, .. } = asked;
    let stage = located.stage();
    let (Some(origin), Some(plan)) = (live.origins.get(proxy.origin), live.plans.get(routed.index())) else {
        return Err(Rejection::IntegrationUnreachable);
    };
    let started = Instant::now();
    let outgoing = Outgoing {
        proxy,
        plan,
        asked,
        live,
        deadline: tokio::time::Instant::from_std(started) + proxy.timeout,
    };
    let call = outgoing.call(message, record)?;
    let traced = record.trace.as_ref().filter(|trace| trace.is_sampled());
    let traced = traced.map(|_| (call.method.to_string(), call.target.to_string()));
    execution::calling(record, origin, &call, &plan.mapped);
    let result = client.call(origin, call).await;
    let status = result.as_ref().ok().map(|answer| answer.status.as_u16());
    record.integration = Some(IntegrationRecord {
        latency: started.elapsed(),
        status,
    });
    if let Ok(answer) = &result {
        execution::answered(record, answer.status.as_u16(), &answer.fields);
    }
    if let (Some(trace), Some((method, target))) = (&mut record.trace, &traced) {
        trace.called(origin, (method, target), started, status);
    }
    give_back(proxy, stage, result.map_err(|error| rejection(&error))?, record)
}

/// As [`call`], for nobody who waits; the record is a copy, and never finished.
pub(super) fn detached(
    asked: Asked<'_>,
    message: &mut Message,
    client: Client,
    mut record: Record,
) -> Result<impl Future<Output = Result<Reply, Rejection>> + Send + use<>, Rejection> {
    let live = Arc::clone(&record.live);
    let (stage, route) = (asked.located.index(), asked.routed.index());
    let of_stage = live.stages.get(stage).ok_or(Rejection::IntegrationUnreachable)?;
    let (Integration::HttpProxy(proxy), Some(plan)) = (&asked.routed.route().integration, of_stage.plans.get(route))
    else {
        return Err(Rejection::IntegrationUnreachable); // nothing else is cached
    };
    let origin = Arc::clone(
        of_stage
            .origins
            .get(proxy.origin)
            .ok_or(Rejection::IntegrationUnreachable)?,
    );
    let outgoing = Outgoing {
        proxy,
        plan,
        asked,
        live: of_stage,
        deadline: tokio::time::Instant::now() + proxy.timeout,
    };
    let call = outgoing.call(message, &mut record)?;
    Ok(async move {
        let answer = client.call(&origin, call).await.map_err(|error| rejection(&error))?;
        let live = Arc::clone(&record.live);
        let stage = live
            .snapshot
            .stages
            .get(stage)
            .ok_or(Rejection::IntegrationUnreachable)?;
        match stage.routes.get(route).map(|route| &route.integration) {
            Some(Integration::HttpProxy(proxy)) => give_back(proxy, stage, answer, &record),
            Some(Integration::Mock(_)) | None => Err(Rejection::IntegrationUnreachable),
        }
    })
}

/// What the request to the origin is made of, beside the caller's own parts.
struct Outgoing<'o> {
    proxy: &'o HttpProxy,
    plan: &'o Plan,
    asked: Asked<'o>,
    live: &'o LiveStage,
    deadline: tokio::time::Instant,
}

impl<'o> Outgoing<'o> {
    fn call(self, message: &mut Message, record: &mut Record) -> Result<Call, Rejection> {
        let Self { proxy, plan, .. } = self;
        let Asked { received, routed, .. } = self.asked;
        let Message {
            method,
            headers,
            body,
            peer,
        } = message;
        let (headers, body) = (mem::take(headers), mem::replace(body, RequestBody::empty()));
        let mapped = self.mapped_values(&headers, record);
        let target = target(proxy, plan, routed.parameters(), &mapped, received)?;
        let facts = forward::Facts {
            stage: self.asked.located.stage(),
            record,
            peer,
            has_body: !body.is_empty(),
        };
        let mut fields = forward::fields(&headers, plan, &facts);
        if self.live.needs.trace_id {
            record.kept.trace_id = Some(fields.trace.as_str().to_owned());
        }
        fields.map(plan, &mapped)?;
        let upgrade = fields.asks_upgrade && headers::is_web_socket(&headers);
        if let Some(protocol) = headers.get(header::UPGRADE).filter(|_| upgrade) {
            fields.changed.insert(header::UPGRADE, protocol.clone());
        }
        let method = proxy.method.map_or_else(
            || mem::take(method),
            |verb| http::Method::from_bytes(verb.as_str().as_bytes()).unwrap_or_default(),
        );
        let is_safe = Verb::parse(method.as_str()).is_some_and(Verb::is_idempotent);
        let body_length = body.length();
        Ok(Call {
            method,
            target,
            headers: fields.changed,
            lines: fields.lines,
            host: None,
            body: body.into(),
            body_length,
            deadline: self.deadline,
            body_idle_timeout: BODY_IDLE,
            retry: if is_safe { RetryRule::Safe } else { RetryRule::Never },
            upgrade,
        })
    }

    /// Every mapped value; none where all is settled without the request.
    fn mapped_values(&self, fields: &HeaderMap, record: &Record) -> Vec<Mapped<'o>> {
        if self.plan.is_settled() {
            return Vec::new();
        }
        mapped_values(self.proxy, self.asked, fields, record)
    }
}

fn mapped_values<'s>(proxy: &'s HttpProxy, asked: Asked<'_>, fields: &HeaderMap, record: &Record) -> Vec<Mapped<'s>> {
    let Asked {
        received,
        located,
        routed,
    } = asked;
    let stage = located.stage();
    let parameter = |name: &str| match name {
        "" => Some(located.path().as_received().to_owned()),
        _ => routed.parameters().decoded(name).map(Cow::into_owned),
    };
    let value = |source: &Source| source_value(source, received.query(), fields, &parameter, &stage.variables, record);
    let mapped = |mapping: &'s Mapping| {
        // `path.proxy: method.request.path.proxy` forwards the parameter as received, slashes and escapes included.
        if let (Target::PathParameter(_), [Source::Path(name)]) = (&mapping.target, mapping.value.as_slice()) {
            let raw = routed
                .parameters()
                .raw(name)
                .map(|raw| MappedValue::Encoded(raw.to_owned()));
            return Mapped {
                target: &mapping.target,
                action: mapping.action,
                value: raw,
            };
        }
        let parts: Option<Vec<String>> = mapping.value.iter().map(value).collect();
        let joined = parts
            .filter(|parts| !parts.is_empty())
            .map(|parts| MappedValue::Text(parts.concat()));
        Mapped {
            target: &mapping.target,
            action: mapping.action,
            value: joined,
        }
    };
    proxy.mappings.iter().map(mapped).collect()
}

fn give_back(proxy: &HttpProxy, stage: &Stage, answer: Answer, record: &Record) -> Result<Reply, Rejection> {
    let Answer {
        status,
        fields: came,
        body,
        body_length,
        ..
    } = answer;
    let mut fields = headers::strip_response(&came);
    if status == StatusCode::SWITCHING_PROTOCOLS {
        let upgrade = came.iter().find(|field| field.is(header::UPGRADE.as_str()));
        if let Some(upgrade) = upgrade {
            fields.push_field(upgrade, None);
        }
    } else if let Some(length) = body_length.filter(|_| !is_plain_length(&fields)) {
        fields.remove(header::CONTENT_LENGTH.as_str());
        fields.push_number(&header::CONTENT_LENGTH, length);
    }
    let mut reply = Reply { status, fields, body };
    let mappings = proxy
        .response_mappings
        .iter()
        .find(|(known, _)| *known == status.as_u16());
    if let Some((_, mappings)) = mappings {
        map_response(mappings, stage, &mut reply, record)?;
    }
    Ok(reply)
}

/// `Content-Length` stays, for HEAD and 304, whose body is not here to be measured; but not as `007`.
fn is_plain_length(fields: &Fields) -> bool {
    matches!(fields.content_length(), Some([b'1'..=b'9', ..] | [b'0']))
}

/// Every value is taken from the answer as it came, whatever other mappings do to it.
fn map_response(
    mappings: &[ResponseMapping],
    stage: &Stage,
    reply: &mut Reply,
    record: &Record,
) -> Result<(), Rejection> {
    let came = reply.fields.to_map();
    let mut fields = came.clone();
    for ResponseMapping { action, target, value } in mappings {
        let parts = value.iter().map(|source| response_value(source, &came, stage, record));
        let value = parts.collect::<Option<Vec<_>>>().map(|parts| parts.concat());
        match (target, value) {
            (ResponseTarget::Header(name), value) => headers::apply(&mut fields, name, *action, value.as_deref())?,
            (ResponseTarget::Status, Some(text)) => reply.status = mapped_status(&text)?,
            (ResponseTarget::Status, None) => {}
        }
    }
    reply.fields = Fields::from(&fields);
    Ok(())
}

fn response_value(source: &ResponseSource, came: &HeaderMap, stage: &Stage, record: &Record) -> Option<String> {
    match source {
        ResponseSource::Header(name) => came
            .get_all(&**name)
            .iter()
            .next_back()?
            .to_str()
            .ok()
            .map(ToOwned::to_owned),
        ResponseSource::Literal(text) => Some(text.to_string()),
        ResponseSource::StageVariable(name) => stage.variables.get(&**name).cloned(),
        ResponseSource::Context(variable) => source_value(
            &Source::Context(variable.clone()),
            None,
            came,
            &|_| None,
            &stage.variables,
            record,
        ),
    }
}

fn mapped_status(text: &str) -> Result<StatusCode, Rejection> {
    let status = text.parse().ok().filter(|status| (200..600).contains(status));
    let failed = || Rejection::MappingFailed("a mapped status is not one from 200 to 599".to_owned());
    status
        .and_then(|status| StatusCode::from_u16(status).ok())
        .ok_or_else(failed)
}

/// What a failed call is to the caller. The origin's own words stay here.
fn rejection(error: &UpstreamError) -> Rejection {
    match error {
        UpstreamError::Connect(_) | UpstreamError::Dns | UpstreamError::Reset | UpstreamError::Tls(_) => {
            Rejection::IntegrationUnreachable
        }
        UpstreamError::ConnectTimeout | UpstreamError::HeadTimeout => Rejection::IntegrationTimeout,
        UpstreamError::Framing(_)
        | UpstreamError::HeadMalformed(_)
        | UpstreamError::HeadTooLarge
        | UpstreamError::InterimTooMany
        | UpstreamError::UpgradeUnexpected => Rejection::IntegrationMalformed,
        UpstreamError::TargetMalformed => Rejection::MappingFailed("the request target cannot be sent".to_owned()),
        UpstreamError::RequestBody(error) => match error {
            BodyError::ClientGone => Rejection::ClientGone,
            BodyError::LengthMismatch | BodyError::Malformed(_) => Rejection::BodyMalformed,
            BodyError::TimedOut => Rejection::BodyTimeout,
            BodyError::TooLarge { .. } => Rejection::BodyTooLarge,
            BodyError::UpstreamBroken => Rejection::IntegrationMalformed,
        },
    }
}
