//! The execution log: what happened to each request of a stage, line by line, in Amazon's words. For finding out; off unless
//! someone wants to know.
//!
//! Invariant: nothing that opens a door is written. Values of fields and query parameters whose names speak of secrets, those
//! that an authoriser reads or a document adds, and those that look like tokens are masked; bodies are not written at all.

mod redact;

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use http::{HeaderMap, HeaderName};
use portcullis_model::snapshot::LogDestination;
use portcullis_net::{
    Fields,
    upstream::{Call, Origin},
};
use portcullis_telemetry::LogBuffer;

use crate::{locate::Routed, record::Record};
use redact::{Masked, Pairs, Query};

/// Bytes of an event at most, as Amazon cuts them.
const EVENT_BYTES_MAX: usize = 1_024;

/// How much is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExecutionLevel {
    /// Why requests failed or were refused.
    Error,
    /// Everything.
    Info,
}

/// Which stages write an execution log.
#[derive(Debug, Default)]
pub struct ExecutionLogs {
    /// Whether any does: all that a request looks at while none does.
    is_any: AtomicBool,
    in_force: ArcSwap<HashMap<StageName, Arc<StageLog>>>,
    sources: Mutex<Sources>,
}

/// An API's id and a stage's name.
type StageName = (Box<str>, Box<str>);

#[derive(Debug, Default)]
struct Sources {
    configured: HashMap<StageName, Arc<StageLog>>,
    /// Those that were asked for while the gateway runs, each until a time.
    asked: HashMap<StageName, Arc<StageLog>>,
}

/// Where one stage's events go.
#[derive(Debug)]
pub(crate) struct StageLog {
    name: String,
    level: ExecutionLevel,
    until: Option<Instant>,
    target: ExecutionTarget,
}

/// Where events go; from [`Fixtures::execution_target`](crate::Fixtures::execution_target).
#[derive(Debug)]
pub struct ExecutionTarget {
    pub(crate) destination: LogDestination,
    pub(crate) buffer: LogBuffer,
}

// === impl ExecutionLevel ===

impl ExecutionLevel {
    /// Amazon's name of it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Info => "INFO",
        }
    }
}

impl std::str::FromStr for ExecutionLevel {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "ERROR" => Ok(Self::Error),
            "INFO" => Ok(Self::Info),
            _ => Err(()),
        }
    }
}

// === impl ExecutionLogs ===

impl ExecutionLogs {
    /// Puts those in force that a configuration names; what was asked for stays beside them.
    pub fn configure(&self, stages: impl IntoIterator<Item = (String, String, ExecutionLevel, ExecutionTarget)>) {
        let mut sources = self.lock();
        sources.configured = stages
            .into_iter()
            .map(|(api, stage, level, target)| {
                let log = StageLog::new(&api, &stage, level, None, target);
                ((api.into(), stage.into()), Arc::new(log))
            })
            .collect();
        self.publish(&mut sources);
    }

    /// Has a stage write its log for some time, whatever its configuration says.
    pub fn ask(&self, api: &str, stage: &str, level: ExecutionLevel, time: Duration, target: ExecutionTarget) {
        let mut sources = self.lock();
        let log = StageLog::new(api, stage, level, Some(Instant::now() + time), target);
        sources.asked.insert((api.into(), stage.into()), Arc::new(log));
        self.publish(&mut sources);
    }

    /// The log of a stage, if it writes one now.
    pub(crate) fn of(&self, api: &str, stage: &str) -> Option<Arc<StageLog>> {
        if !self.is_any.load(Ordering::Relaxed) {
            return None;
        }
        let in_force = self.in_force.load();
        let found = in_force.get(&(api.into(), stage.into()))?;
        if found.is_over() {
            drop(in_force);
            let mut sources = self.lock();
            self.publish(&mut sources);
            return sources.configured.get(&(api.into(), stage.into())).cloned();
        }
        Some(Arc::clone(found))
    }

    /// Where any of them writes.
    pub(crate) fn destinations(&self) -> Vec<LogDestination> {
        let in_force = self.in_force.load();
        in_force.values().map(|log| log.target.destination.clone()).collect()
    }

    fn publish(&self, sources: &mut Sources) {
        sources.asked.retain(|_, log| !log.is_over());
        let mut all = sources.configured.clone();
        all.extend(sources.asked.iter().map(|(name, log)| (name.clone(), Arc::clone(log))));
        self.is_any.store(!all.is_empty(), Ordering::Relaxed);
        self.in_force.store(Arc::new(all));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Sources> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl StageLog ===

impl StageLog {
    fn new(api: &str, stage: &str, level: ExecutionLevel, until: Option<Instant>, target: ExecutionTarget) -> Self {
        Self {
            name: format!("{api}/{stage}"),
            level,
            until,
            target,
        }
    }

    fn is_over(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }

    fn write(&self, record: &Record, level: ExecutionLevel, event: fmt::Arguments<'_>) {
        if level > self.level {
            return;
        }
        let mut text = event.to_string();
        if text.len() > EVENT_BYTES_MAX {
            text.truncate(text.floor_char_boundary(EVENT_BYTES_MAX));
        }
        let elapsed = i64::try_from(record.started_at.elapsed().as_millis()).unwrap_or(0);
        let millis = record.started.unix_millis().saturating_add(elapsed);
        let time = portcullis_core::Timestamp::from_unix_micros(millis.saturating_mul(1_000)).to_rfc3339();
        let (seconds, name, id) = (time.trim_end_matches('Z'), &self.name, record.id.as_str());
        self.target.buffer.line(|out| {
            let line = format!("{seconds}.{:03}Z {name} ({id}) ", millis.rem_euclid(1_000));
            out.extend_from_slice(line.as_bytes());
            // Whatever a caller sent: no control character of theirs reaches a terminal.
            text.chars().for_each(|letter| {
                let letter = if letter.is_control() { '\u{fffd}' } else { letter };
                out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
            });
        });
    }
}

/// Writes an event where a log is on.
macro_rules! event {
    ($record:expr, $level:ident, $($text:tt)*) => {
        if let Some(log) = &$record.execution {
            log.write($record, ExecutionLevel::$level, format_args!($($text)*));
        }
    };
}

/// What was asked for, once a route answers it.
pub(crate) fn began(record: &Record, routed: &Routed<'_, '_>, query: Option<&str>, headers: &HeaderMap) {
    let secret = token_source(record);
    let extended = record.extended_id();
    let extended = String::from_utf8_lossy(extended.as_bytes());
    event!(record, Info, "Extended Request Id: {extended}");
    event!(record, Info, "Starting execution for request: {}", record.id.as_str());
    let resource = &routed.route().resource;
    event!(
        record,
        Info,
        "HTTP Method: {}, Resource Path: {resource}",
        record.method
    );
    event!(
        record,
        Info,
        "Method request path: {}",
        Pairs(&routed.parameters().iter().collect::<Vec<_>>())
    );
    event!(
        record,
        Info,
        "Method request query string: {}",
        Query(query, secret.1.as_deref())
    );
    let secrets: Vec<HeaderName> = secret.0.into_iter().collect();
    event!(
        record,
        Info,
        "Method request headers: {}",
        Masked::of(headers, &[], &secrets)
    );
}

/// That the caller may.
pub(crate) fn authorized(record: &Record) {
    if let Some(principal) = record.caller.as_ref().and_then(|caller| caller.principal()) {
        event!(
            record,
            Info,
            "Using valid authorizer policy for principal: {}",
            redact::principal(principal)
        );
    }
}

/// What the origin is about to be asked; `mapped` are the fields that the document adds, whose values are its own business.
pub(crate) fn calling(record: &Record, origin: &Origin, call: &Call, mapped: &[HeaderName]) {
    if record.execution.is_none() {
        return;
    }
    let scheme = if origin.is_secure() { "https" } else { "http" };
    let (path, query) = (call.target.path(), call.target.query());
    let authority = String::from_utf8_lossy(origin.authority().as_bytes());
    match query {
        Some(_) => event!(
            record,
            Info,
            "Endpoint request URI: {scheme}://{authority}{path} with {}",
            Query(query, None)
        ),
        None => event!(record, Info, "Endpoint request URI: {scheme}://{authority}{path}"),
    }
    let mut secrets = mapped.to_vec();
    secrets.extend(token_source(record).0);
    let lines = redact::lines(call.lines.as_bytes());
    event!(
        record,
        Info,
        "Endpoint request headers: {}",
        Masked::of(&call.headers, &lines, &secrets)
    );
    event!(record, Info, "Sending request to {scheme}://{authority}{path}");
}

/// What the origin answered.
pub(crate) fn answered(record: &Record, status: u16, fields: &Fields) {
    if record.execution.is_none() {
        return;
    }
    let latency = record
        .integration
        .map_or(0, |integration| integration.latency.as_millis());
    event!(
        record,
        Info,
        "Received response. Status: {status}, Integration latency: {latency} ms"
    );
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let lines: Vec<_> = fields
        .iter()
        .map(|field| (text(field.name()).to_ascii_lowercase(), text(field.value())))
        .collect();
    event!(
        record,
        Info,
        "Endpoint response headers: {}",
        Masked::of(&HeaderMap::new(), &lines, &[])
    );
}

/// How it ended.
pub(crate) fn ended(record: &Record, body_bytes: u64) {
    if record.execution.is_none() {
        return;
    }
    match &record.rejection {
        Some(rejection) => {
            let facts = rejection.facts();
            event!(
                record,
                Error,
                "Execution failed at {}: {}",
                facts.step,
                rejection.log_text()
            );
            let response = facts.response.as_str();
            event!(
                record,
                Info,
                "Gateway response type: {response} with status code: {}",
                record.status
            );
        }
        None => {
            event!(record, Info, "Method response body: {body_bytes} bytes");
            event!(record, Info, "Successfully completed execution");
        }
    }
    event!(record, Info, "Method completed with status: {}", record.status);
}

/// The header field, or the query parameter, that an authoriser of the stage reads its token from.
fn token_source(record: &Record) -> (Option<HeaderName>, Option<Box<str>>) {
    use portcullis_model::snapshot::{Protection, TokenSource};
    let source = record.route().and_then(|route| match route.protection {
        Protection::Authorizer { index, .. } => Some(&record.stage()?.0.authorizers.get(index)?.source),
        Protection::Open => None,
    });
    match source {
        Some(TokenSource::Header(name)) => (Some(name.clone()), None),
        Some(TokenSource::Query(name)) => (None, Some(name.clone())),
        None => (None, None),
    }
}
