//! A request's place in a trace, for where tracing is on: read from the caller's fields, written into the origin's, told as
//! spans when the answer is out.

use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, Uri, Version, header};
use portcullis_net::upstream::Origin;
use portcullis_telemetry::trace::{Span, SpanId, SpanKind, TraceContext, TraceId, Tracer, Value};

use crate::{record::Record, trace_id};

/// W3C Trace Context's two fields.
pub(crate) static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
static TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// Bytes of `tracestate` that are told at most (section 3.3.1.5).
const STATE_BYTES_MAX: usize = 512;

/// A request's place in a trace.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    trace: TraceId,
    /// The caller's span.
    parent: Option<SpanId>,
    server: SpanId,
    client: SpanId,
    /// Whether `tracestate` belongs to this trace, and goes on.
    has_state: bool,
    /// What its spans will tell; `None` where it is not sampled.
    told: Option<Told>,
}

/// What is known of a sampled request before its end.
#[derive(Clone, Debug)]
struct Told {
    path: String,
    host: Option<String>,
    user_agent: Option<String>,
    state: Option<String>,
    called: Option<Called>,
}

/// The call of an origin.
#[derive(Clone, Debug)]
struct Called {
    at: Instant,
    latency: Duration,
    method: String,
    host: String,
    port: u16,
    path: String,
    is_secure: bool,
    status: Option<u16>,
}

// === impl Trace ===

impl Trace {
    /// Continues the caller's trace or begins one. `traceparent` wins over `X-Amzn-Trace-Id`: who writes the newer field has
    /// passed it on last.
    pub(crate) fn begin(tracer: &Tracer, record: &Record, uri: &Uri, headers: &HeaderMap) -> Box<Self> {
        let mut given = headers.get_all(&TRACEPARENT).iter();
        let w3c = match (given.next(), given.next()) {
            (Some(value), None) => TraceContext::from_traceparent(value.as_bytes()),
            _ => None, // none, or several that disagree (section 3.2.1)
        };
        let xray = || TraceContext::from_xray(headers.get(&trace_id::HEADER)?.as_bytes());
        let context = w3c.or_else(xray);
        let seconds = record.started.unix_seconds().rem_euclid(1 << 32) as u32;
        let trace = context.map_or_else(|| TraceId::new(seconds, rand::random()), |context| context.trace);
        let is_sampled = context
            .and_then(|context| context.sampled)
            .unwrap_or_else(|| tracer.samples(trace));
        let text = |name: HeaderName| Some(headers.get(name)?.to_str().ok()?.to_owned());
        Box::new(Self {
            trace,
            parent: context.and_then(|context| context.parent),
            server: SpanId::new(rand::random()),
            client: SpanId::new(rand::random()),
            has_state: w3c.is_some(),
            told: is_sampled.then(|| Told {
                path: uri.path().to_owned(),
                host: crate::receive::host(uri, headers).map(ToOwned::to_owned),
                user_agent: text(header::USER_AGENT),
                state: text(TRACESTATE.clone()).filter(|state| w3c.is_some() && state.len() <= STATE_BYTES_MAX),
                called: None,
            }),
        })
    }

    /// What the origin reads: the trace, with the call as its parent.
    pub(crate) fn onward(&self) -> TraceContext {
        TraceContext {
            trace: self.trace,
            parent: Some(self.client),
            sampled: Some(self.told.is_some()),
        }
    }

    /// Whether a field of the caller's ends here: `traceparent`, and `tracestate` where it belongs to no trace that goes on.
    pub(crate) fn replaces(&self, name: &HeaderName) -> bool {
        *name == TRACEPARENT || (*name == TRACESTATE && !self.has_state)
    }

    /// Notes the call of an origin.
    pub(crate) fn called(&mut self, origin: &Origin, (method, target): (&str, &str), at: Instant, status: Option<u16>) {
        if let Some(told) = &mut self.told {
            told.called = Some(Called {
                at,
                latency: at.elapsed(),
                method: method.to_owned(),
                host: origin.host().to_owned(),
                port: origin.port(),
                // Without its query, which may hold what nobody else shall read.
                path: target.split('?').next().unwrap_or_default().to_owned(),
                is_secure: origin.is_secure(),
                status,
            });
        }
    }

    /// Whether spans will be told.
    pub(crate) fn is_sampled(&self) -> bool {
        self.told.is_some()
    }

    /// Hands the spans of a request over that has been answered.
    pub(crate) fn finish(self, tracer: &Tracer, record: &Record, latency: Duration, body_bytes: u64) {
        let Self {
            trace,
            parent,
            server,
            client,
            has_state: _,
            told: Some(told),
        } = self
        else {
            return;
        };
        let began_ns = u64::try_from(record.started.unix_micros())
            .unwrap_or(0)
            .saturating_mul(1_000);
        let after = |time: Duration| began_ns.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        let base = Span {
            trace,
            id: server,
            parent,
            is_parent_remote: parent.is_some(),
            state: told.state.clone(),
            name: name(record),
            kind: SpanKind::Server,
            start_ns: began_ns,
            end_ns: after(latency),
            attributes: Vec::new(),
            is_error: record.status >= 500,
        };
        if let Some(called) = &told.called {
            let begun = called.at.saturating_duration_since(record.started_at);
            tracer.push(Span {
                id: client,
                parent: Some(server),
                is_parent_remote: false,
                name: called.method.clone(),
                kind: SpanKind::Client,
                start_ns: after(begun),
                end_ns: after(begun + called.latency),
                attributes: called.attributes(),
                is_error: called.status.is_none_or(|status| status >= 400),
                ..base.clone()
            });
        }
        tracer.push(Span {
            attributes: attributes(record, told, body_bytes),
            ..base
        });
    }
}

/// OpenTelemetry's name of a server's span: method and route, never the path, of which there are too many.
fn name(record: &Record) -> String {
    match record.route() {
        Some(route) => format!("{} {}", record.method, route.resource),
        None => record.method.to_string(),
    }
}

/// By OpenTelemetry's semantic conventions for HTTP servers, and our own names for the rest. No query: it may hold secrets.
fn attributes(record: &Record, told: Told, body_bytes: u64) -> Vec<(&'static str, Value)> {
    let Told {
        path, host, user_agent, ..
    } = told;
    let mut attributes = vec![
        ("http.request.method", Value::Text(record.method.to_string())),
        ("url.path", Value::Text(path)),
        ("url.scheme", if record.secure { "https" } else { "http" }.into()),
        ("client.address", Value::Text(record.source.to_string())),
        ("network.protocol.version", version(record.version).into()),
        ("http.response.status_code", Value::Number(record.status.into())),
        (
            "http.response.body.size",
            Value::Number(i64::try_from(body_bytes).unwrap_or(i64::MAX)),
        ),
        ("portcullis.request_id", record.id.as_str().into()),
    ];
    attributes.extend(host.map(|host| ("server.address", Value::Text(host))));
    attributes.extend(user_agent.map(|agent| ("user_agent.original", Value::Text(agent))));
    if let Some((stage, _)) = record.stage() {
        attributes.push(("portcullis.api", (&*stage.api).into()));
        attributes.push(("portcullis.stage", (&*stage.name).into()));
    }
    attributes.extend(record.route().map(|route| ("http.route", (&*route.resource).into())));
    if let Some(rejection) = &record.rejection {
        let facts = rejection.facts();
        attributes.push(("portcullis.refused_by", facts.step.as_str().into()));
        attributes.push(("portcullis.response_type", facts.response.as_str().into()));
    }
    if record.status >= 500 {
        attributes.push(("error.type", Value::Text(record.status.to_string())));
    }
    attributes
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        _ => "1.1",
    }
}

// === impl Called ===

impl Called {
    fn attributes(&self) -> Vec<(&'static str, Value)> {
        let Self {
            at: _,
            latency: _,
            method,
            host,
            port,
            path,
            is_secure,
            status,
        } = self;
        let scheme = if *is_secure { "https" } else { "http" };
        let mut attributes = vec![
            ("http.request.method", method.as_str().into()),
            ("server.address", host.as_str().into()),
            ("server.port", Value::Number((*port).into())),
            ("url.full", Value::Text(format!("{scheme}://{host}:{port}{path}"))),
        ];
        match status {
            Some(status) => {
                attributes.push(("http.response.status_code", Value::Number((*status).into())));
                if *status >= 400 {
                    attributes.push(("error.type", Value::Text(status.to_string())));
                }
            }
            None => attributes.push(("error.type", "unreachable".into())),
        }
        attributes
    }
}
