//! The `http_proxy` integration: the request goes on to an HTTP origin, both ways streamed.

use std::{
    borrow::Cow,
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use portcullis_core::Verb;
use portcullis_model::snapshot::{ApiKind, HttpProxy, Stage};
use portcullis_net::{
    Body, BodyError,
    server::Peer,
    upstream::{Answer, Call, Client, RetryRule, UpstreamError},
};
use portcullis_template::mapping::{Action, Mapping, ResponseMapping, ResponseSource, ResponseTarget, Source, Target};

use super::{
    Message, headers, source_value,
    target::{Mapped, MappedValue, target},
};
use crate::{
    Rejection,
    locate::{Located, Routed},
    receive::Received,
    record::{IntegrationRecord, Record},
    trace_id,
};

const API_ID: HeaderName = HeaderName::from_static("x-amzn-apigateway-api-id");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// How long an answer's body may make no progress.
const BODY_IDLE: Duration = Duration::from_secs(30);

/// Calls the origin and gives its answer back.
pub(super) async fn call(
    proxy: &HttpProxy,
    received: Received<'_>,
    located: &Located<'_, '_>,
    routed: &Routed<'_, '_>,
    message: Message,
    client: &Client,
    record: &mut Record,
) -> Result<Response<Body>, Rejection> {
    let started = Instant::now();
    let Some(origin) = record
        .stage()
        .and_then(|(_, live)| live.origins.get(proxy.origin))
        .cloned()
    else {
        return Err(Rejection::IntegrationUnreachable);
    };
    let stage = located.stage();
    let Message {
        method,
        headers: mut fields,
        body,
        peer,
    } = message;
    let mapped = mapped_values(proxy, received, routed, &fields, stage, located, record);
    let target = target(proxy, routed.parameters(), &mapped, received.query())?;
    let upgrade = is_web_socket(&fields);
    let upgrade_fields = upgrade.then(|| fields.get(header::UPGRADE).cloned()).flatten();
    headers::strip_request(&mut fields);
    complete_request(&mut fields, stage, record, &peer, !body.is_empty());
    apply_headers(&mut fields, &mapped)?;
    if let Some(value) = upgrade_fields {
        fields.insert(header::UPGRADE, value);
    }
    let method = proxy.method.map_or(method, |verb| {
        http::Method::from_bytes(verb.as_str().as_bytes()).unwrap_or_default()
    });
    let is_safe = Verb::parse(method.as_str()).is_some_and(Verb::is_idempotent);
    let body_length = body.length();
    let call = Call {
        method,
        target,
        headers: fields,
        host: None,
        body: body.into(),
        body_length,
        deadline: tokio::time::Instant::from_std(started) + proxy.timeout,
        body_idle_timeout: BODY_IDLE,
        retry: if is_safe { RetryRule::Safe } else { RetryRule::Never },
        upgrade,
    };
    let result = client.call(&origin, call).await;
    let status = result.as_ref().ok().map(|answer| answer.status.as_u16());
    record.integration = Some(IntegrationRecord {
        latency: started.elapsed(),
        status,
    });
    give_back(proxy, stage, result.map_err(|error| rejection(&error))?, record)
}

/// Every mapped value, read before the caller's headers are changed.
fn mapped_values<'s>(
    proxy: &'s HttpProxy,
    received: Received<'_>,
    routed: &Routed<'_, '_>,
    fields: &HeaderMap,
    stage: &Stage,
    located: &Located<'_, '_>,
    record: &Record,
) -> Vec<Mapped<'s>> {
    if proxy.mappings.is_empty() {
        return Vec::new();
    }
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

/// What the gateway adds to a request.
fn complete_request(fields: &mut HeaderMap, stage: &Stage, record: &mut Record, peer: &Peer, has_body: bool) {
    if let Ok(api) = HeaderValue::try_from(&*stage.api) {
        fields.insert(API_ID, api);
    }
    if !fields.contains_key(header::USER_AGENT)
        && let Ok(agent) = HeaderValue::try_from(format!("AmazonAPIGateway_{}", stage.api))
    {
        fields.insert(header::USER_AGENT, agent);
    }
    if !fields.contains_key(header::ACCEPT) {
        fields.insert(header::ACCEPT, JSON);
    }
    if has_body && !fields.contains_key(header::CONTENT_TYPE) {
        fields.insert(header::CONTENT_TYPE, JSON);
    }
    let trace = trace_id::continued(fields, record.id, record.started);
    if let Ok(value) = HeaderValue::try_from(trace.as_str()) {
        fields.insert(trace_id::HEADER, value);
    }
    record.kept.trace_id = Some(trace);
    match stage.kind {
        ApiKind::Rest => forwarded_for(fields, peer),
        ApiKind::Http => forwarded(fields, record),
    }
}

/// The chain grows by the address that called us: with a trusted proxy before us, by the proxy's.
fn forwarded_for(fields: &mut HeaderMap, peer: &Peer) {
    let mut chain = String::with_capacity(64);
    for value in fields
        .get_all(FORWARDED_FOR)
        .iter()
        .filter_map(|value| value.to_str().ok())
    {
        chain.push_str(value);
        chain.push_str(", ");
    }
    chain.push_str(&peer.address.to_string());
    if let Ok(chain) = HeaderValue::try_from(chain) {
        fields.insert(FORWARDED_FOR, chain);
    }
    fields.insert(FORWARDED_PORT, HeaderValue::from(peer.local.port()));
    fields.insert(
        FORWARDED_PROTO,
        HeaderValue::from_static(if peer.secure { "https" } else { "http" }),
    );
}

/// HTTP APIs write RFC 7239's field in the place of the three.
fn forwarded(fields: &mut HeaderMap, record: &Record) {
    for name in [FORWARDED_FOR, FORWARDED_PORT, FORWARDED_PROTO] {
        fields.remove(name);
    }
    let source = match record.source {
        std::net::IpAddr::V4(address) => address.to_string(),
        std::net::IpAddr::V6(address) => format!("\"[{address}]\""),
    };
    let mut element = format!("for={source};proto={}", if record.secure { "https" } else { "http" });
    if let Some(host) = &record.kept.host {
        element.push_str(&format!(";host=\"{host}\""));
    }
    if let Ok(value) = HeaderValue::try_from(element) {
        fields.append(header::FORWARDED, value);
    }
}

fn apply_headers(fields: &mut HeaderMap, mapped: &[Mapped<'_>]) -> Result<(), Rejection> {
    for Mapped { target, action, value } in mapped {
        if let Target::Header(name) = target {
            apply_header(fields, name, *action, value.as_ref().map(MappedValue::as_str))?;
        }
    }
    Ok(())
}

fn apply_header(fields: &mut HeaderMap, name: &str, action: Action, value: Option<&str>) -> Result<(), Rejection> {
    let failed = |_| Rejection::MappingFailed("a mapped header's name or value cannot be sent".to_owned());
    let name = HeaderName::try_from(name).map_err(|_| failed(()))?;
    let value = value
        .map(|value| HeaderValue::try_from(value).map_err(|_| failed(())))
        .transpose()?;
    match (action, value) {
        (Action::Remove, _) => {
            fields.remove(name);
        }
        (Action::Overwrite | Action::Append, None) => {}
        (Action::Overwrite, Some(value)) => {
            fields.insert(name, value);
        }
        (Action::Append, Some(value)) => {
            fields.append(name, value);
        }
    }
    Ok(())
}

/// RFC 6455 section 4.1. Other protocols are not tunnelled: nobody here could say what passes.
fn is_web_socket(fields: &HeaderMap) -> bool {
    let asks = |name: HeaderName, wanted: &str| {
        let values = fields.get_all(name);
        let mut tokens = values
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','));
        tokens.any(|token| token.trim().eq_ignore_ascii_case(wanted))
    };
    fields.contains_key(header::UPGRADE) && asks(header::UPGRADE, "websocket") && asks(header::CONNECTION, "upgrade")
}

fn give_back(proxy: &HttpProxy, stage: &Stage, answer: Answer, record: &Record) -> Result<Response<Body>, Rejection> {
    let Answer {
        status,
        headers: mut fields,
        body,
        body_length,
        ..
    } = answer;
    let is_tunnel = status == StatusCode::SWITCHING_PROTOCOLS;
    let upgrade = is_tunnel.then(|| fields.get(header::UPGRADE).cloned()).flatten();
    headers::strip_response(&mut fields);
    if let Some(value) = upgrade {
        fields.insert(header::UPGRADE, value);
        fields.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    } else if let Some(length) = body_length {
        // Kept for HEAD and 304, whose body is not here to be measured.
        fields.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = fields;
    let mappings = proxy
        .response_mappings
        .iter()
        .find(|(known, _)| *known == status.as_u16());
    if let Some((_, mappings)) = mappings {
        map_response(mappings, stage, &mut response, record)?;
    }
    Ok(response)
}

/// Every value is taken from the answer as it came, whatever other mappings do to it.
fn map_response(
    mappings: &[ResponseMapping],
    stage: &Stage,
    response: &mut Response<Body>,
    record: &Record,
) -> Result<(), Rejection> {
    let came = response.headers().clone();
    for ResponseMapping { action, target, value } in mappings {
        let parts = value.iter().map(|source| response_value(source, &came, stage, record));
        let value = parts.collect::<Option<Vec<_>>>().map(|parts| parts.concat());
        match (target, value) {
            (ResponseTarget::Header(name), value) => {
                apply_header(response.headers_mut(), name, *action, value.as_deref())?;
            }
            (ResponseTarget::Status, Some(text)) => *response.status_mut() = mapped_status(&text)?,
            (ResponseTarget::Status, None) => {}
        }
    }
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
