//! Refusals as answers: Amazon's bodies and headers, customised where an API says so.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use portcullis_model::{
    gateway_response::{CustomResponse, ResponseType},
    snapshot::ApiKind,
};
use portcullis_net::{Fields, Reply};
use portcullis_template::{ContextValues, Sink, Variable, gateway::RequestValues, mapping::Source, variable::Escape};

use crate::{Rejection, integrate::source_value, preflight, record::Record};

static REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
static API_GATEWAY_ID: HeaderName = HeaderName::from_static("x-amz-apigw-id");
static ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
static HTTP_REQUEST_ID: HeaderName = HeaderName::from_static("apigw-requestid");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What a customised gateway response may quote of the request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quotable<'r> {
    pub(crate) uri: &'r Uri,
    pub(crate) headers: &'r HeaderMap,
}

/// The answer to a refused request. The record holds the refusal already.
pub(crate) fn refuse(record: &Record, rejection: &Rejection, quotable: Option<Quotable<'_>>) -> Reply {
    let mut reply = match kind(record, Some(rejection)) {
        ApiKind::Http => http(rejection),
        ApiKind::Rest => rest(record, rejection, quotable),
    };
    if let Rejection::QuotaExceeded {
        retry_after_ms: Some(wait_ms),
    }
    | Rejection::SourceThrottled {
        retry_after_ms: Some(wait_ms),
    }
    | Rejection::Throttled {
        retry_after_ms: Some(wait_ms),
        ..
    } = rejection
    {
        let seconds = wait_ms.div_ceil(1_000).max(1);
        reply.fields.set(&header::RETRY_AFTER, &HeaderValue::from(seconds));
    }
    if *rejection == Rejection::Overloaded {
        reply.fields.set(&header::RETRY_AFTER, &HeaderValue::from_static("1"));
    }
    identify(record, &mut reply.fields);
    reply
}

/// As which product the answer is given. Before a stage is known it is a REST API's, but for a stage that is not served here.
fn kind(record: &Record, rejection: Option<&Rejection>) -> ApiKind {
    match (record.stage(), rejection.or(record.rejection.as_ref())) {
        (Some((stage, _)), _) => stage.kind,
        (None, Some(Rejection::EndpointDisabled(kind))) => *kind,
        (None, _) => ApiKind::Rest,
    }
}

/// The headers that every answer carries, and those that steps have queued.
pub(crate) fn identify(record: &Record, fields: &mut Fields) {
    if record.stage().is_some_and(|(stage, _)| stage.cors.is_some()) {
        preflight::take_off(fields);
    }
    for (name, value) in record.queued.iter().flat_map(|queued| queued.iter()) {
        match *name {
            header::VARY => fields.push(name, value), // what answers depend on adds up
            _ => fields.set(name, value),
        }
    }
    // The gateway's ids are always values.
    let _ = match kind(record, None) {
        ApiKind::Http => fields.set_text(&HTTP_REQUEST_ID, record.extended_id().as_bytes()),
        ApiKind::Rest => {
            fields.set_text(&REQUEST_ID, record.id.as_bytes())
                && fields.set_text(&API_GATEWAY_ID, record.extended_id().as_bytes())
        }
    };
}

fn http(rejection: &Rejection) -> Reply {
    let facts = rejection.facts();
    let body = serde_json::json!({ "message": facts.http_message }).to_string();
    let reply = plain(facts.http_status, &JSON, body.into_bytes());
    match challenge(rejection) {
        Some(challenge) => reply.with(&header::WWW_AUTHENTICATE, &challenge),
        None => reply,
    }
}

/// RFC 6750 section 3, in Amazon's words.
fn challenge(rejection: &Rejection) -> Option<HeaderValue> {
    use portcullis_jose::TokenError;
    let description = match rejection {
        Rejection::JwtMissing => return Some(HeaderValue::from_static("Bearer")),
        Rejection::JwtRefused(error) => match error {
            TokenError::Expired => "the token has expired",
            TokenError::WrongAudience => "the token does not have a valid audience",
            TokenError::WrongIssuer => "the issuer does not match",
            _ => "the token is not valid",
        },
        Rejection::ScopeMissing => {
            return Some(HeaderValue::from_static("Bearer error=\"insufficient_scope\""));
        }
        _ => return None,
    };
    let text = format!("Bearer scope=\"\" error=\"invalid_token\" error_description=\"{description}\"");
    HeaderValue::try_from(text).ok()
}

fn rest(record: &Record, rejection: &Rejection, quotable: Option<Quotable<'_>>) -> Reply {
    let facts = rejection.facts();
    let responses = record.stage().map(|(stage, _)| &stage.gateway_responses);
    let (custom, status) = responses.map_or((None, facts.status), |all| all.find(facts.response, facts.status));
    let values = Values {
        record,
        quotable,
        status,
    };
    let mut reply = match custom.and_then(|custom| body(custom, &values)) {
        Some((media_type, body)) => plain(status, &media_type, body),
        None => plain_default(facts.response, status, facts.message.as_deref()),
    };
    let error_type = facts.response.defaults().error_type;
    if !error_type.is_empty() {
        reply.fields.push(&ERROR_TYPE, &HeaderValue::from_static(error_type));
    }
    for (name, source) in custom.into_iter().flat_map(|custom| &custom.headers) {
        if let Some(value) = source
            .value(&values)
            .and_then(|value| HeaderValue::try_from(value).ok())
        {
            reply.fields.set(name, &value);
        }
    }
    reply
}

/// The body of the template that the caller's `Accept` names, else of the first.
fn body(custom: &CustomResponse, values: &Values<'_>) -> Option<(HeaderValue, Vec<u8>)> {
    let accept = values
        .quotable
        .and_then(|quotable| quotable.headers.get(header::ACCEPT)?.to_str().ok());
    let accepted = accept.and_then(|accept| {
        let wanted = accept.split([',', ';']).next()?.trim();
        custom
            .templates
            .iter()
            .find(|(media_type, _)| media_type.eq_ignore_ascii_case(wanted))
    });
    let (media_type, template) = accepted.or(custom.templates.first())?;
    let escape = Escape::for_media_type(media_type);
    let mut out = Vec::new();
    template.render(values, escape, &mut out);
    Some((HeaderValue::try_from(media_type.as_str()).ok()?, out))
}

fn plain_default(response: ResponseType, status: u16, message: Option<&str>) -> Reply {
    if response == ResponseType::RequestTooLarge {
        let text = message.unwrap_or_default().as_bytes().to_vec();
        return plain(status, &HeaderValue::from_static("text/plain"), text);
    }
    // Only this type's message begins with a capital letter in its body.
    let key = if response == ResponseType::AccessDenied && message != Some("Forbidden") {
        "Message"
    } else {
        "message"
    };
    plain(
        status,
        &JSON,
        serde_json::json!({ key: message }).to_string().into_bytes(),
    )
}

fn plain(status: u16, media_type: &HeaderValue, body: Vec<u8>) -> Reply {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Reply::new(status, Bytes::from(body)).with(&header::CONTENT_TYPE, media_type)
}

/// The values that a customised gateway response may quote.
struct Values<'r> {
    record: &'r Record,
    quotable: Option<Quotable<'r>>,
    status: u16,
}

impl ContextValues for Values<'_> {
    fn write(&self, variable: &Variable, sink: &mut Sink<'_>) {
        match (variable, self.quotable) {
            (Variable::Status, _) => sink.number(self.status.into()),
            // These may not have been copied for the log.
            (Variable::Path, Some(quotable)) => sink.text(quotable.uri.path()),
            (Variable::IdentityUserAgent, Some(quotable)) => {
                if let Some(agent) = quotable
                    .headers
                    .get(header::USER_AGENT)
                    .and_then(|agent| agent.to_str().ok())
                {
                    sink.text(agent);
                }
            }
            _ => self.record.write(variable, sink),
        }
    }
}

impl RequestValues for Values<'_> {
    fn source(&self, source: &Source) -> Option<String> {
        let quotable = self.quotable?;
        let stage = self.record.stage().map(|(stage, _)| stage)?;
        // Path parameters are known only behind the router; a refusal before it quotes none.
        source_value(
            source,
            quotable.uri.query(),
            quotable.headers,
            &|_| None,
            &stage.variables,
            self.record,
        )
    }
}
