//! What is known of a request, for its log line and metrics; finished when the answer's last byte went out.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use http::{Method, Version};
use portcullis_core::{RequestId, Timestamp};
use portcullis_model::limits::Subscription;
use portcullis_model::{
    domain::MappingIndex,
    snapshot::{Route, Stage},
};
use portcullis_net::{
    server::{Receipt, Sent},
    tls::{ClientCertificate, TlsFacts},
};
use portcullis_telemetry::metrics::RouteSeries;
use portcullis_template::{ContextValues, Sink, Variable};

use crate::{
    Rejection, Step,
    address::AddressText,
    authenticate::{Caller, Standing},
    client,
    compression::Compression,
    execution::{self, StageLog},
    gateway::WorkerShared,
    live::{Live, LiveStage},
    trace::Trace,
    trace_id::id_digits,
};

/// One request from its first byte to its answer's last.
#[derive(Clone, Debug)]
pub struct Record {
    pub(crate) id: RequestId,
    pub(crate) started: Timestamp,
    pub(crate) started_at: Instant,
    pub(crate) live: Arc<Live>,
    pub(crate) worker: Arc<WorkerShared>,
    pub(crate) method: Method,
    pub(crate) version: Version,
    pub(crate) source: IpAddr,
    pub(crate) secure: bool,
    pub(crate) tls: Option<Arc<TlsFacts>>,
    pub(crate) stage: Option<usize>,
    /// The base path mapping that led to the stage, where one did.
    pub(crate) mapping: Option<MappingIndex>,
    pub(crate) route: Option<usize>,
    pub(crate) kept: Kept,
    pub(crate) caller: Option<Caller>,
    /// The API key, once it let the request in.
    pub(crate) subscription: Option<Arc<Subscription>>,
    pub(crate) integration: Option<IntegrationRecord>,
    pub(crate) rejection: Option<Rejection>,
    /// Its place in a trace, where requests are traced.
    pub(crate) trace: Option<Box<Trace>>,
    /// Where what happens to it is written, where someone wants to know.
    pub(crate) execution: Option<Arc<StageLog>>,
    /// Headers that steps want on the answer, whatever it will be; `None` until one does.
    pub(crate) queued: Option<Box<http::HeaderMap>>,
    /// Whether and how the answer is to be compressed, where the stage does so.
    pub(crate) compression: Option<Compression>,
    pub(crate) status: u16,
}

/// What is copied for the log alone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    pub(crate) path: Option<String>,
    pub(crate) user_agent: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) trace_id: Option<String>,
}

/// Fifteen hexadecimal digits and an equals sign.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExtendedId([u8; 16]);

/// How the origin did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IntegrationRecord {
    pub(crate) latency: Duration,
    pub(crate) status: Option<u16>,
}

/// A record with what became of its answer.
struct Finished<'r> {
    record: &'r Record,
    sent: Sent,
    latency: Duration,
}

// === impl Record ===

impl Record {
    /// Notes the stage and copies what its log will want.
    pub(crate) fn enter_stage(&mut self, index: usize, uri: &http::Uri, headers: &http::HeaderMap) {
        self.stage = Some(index);
        let Some((stage, live)) = self.stage() else { return };
        let execution = self.live.execution.of(&stage.api, &stage.name);
        // HTTP APIs tell the origin the host in `Forwarded`.
        let (needs, is_http) = (live.needs, stage.kind == portcullis_model::snapshot::ApiKind::Http);
        self.execution = execution;
        if needs.path {
            self.kept.path = Some(uri.path().to_owned());
        }
        if needs.user_agent {
            let agent = headers
                .get(http::header::USER_AGENT)
                .and_then(|agent| agent.to_str().ok());
            self.kept.user_agent = agent.map(ToOwned::to_owned);
        }
        if needs.host || is_http {
            self.kept.host = crate::receive::host(uri, headers).map(ToOwned::to_owned);
        }
    }

    /// The certificate that the client has shown.
    pub(crate) fn client(&self) -> Option<&ClientCertificate> {
        self.tls.as_ref()?.client.as_ref()
    }

    /// The stage, once it is known.
    pub(crate) fn stage(&self) -> Option<(&Stage, &LiveStage)> {
        let index = self.stage?;
        Some((self.live.snapshot.stages.get(index)?, self.live.stages.get(index)?))
    }

    /// Puts a header on the answer, also if that will be a refusal: the step that knows it says so at once. The origin's own
    /// of that name is replaced.
    pub(crate) fn queue(&mut self, name: http::HeaderName, value: http::HeaderValue) {
        self.queued.get_or_insert_default().insert(name, value);
    }

    /// The same beside the origin's own of that name: for `Vary`, whose values add up.
    pub(crate) fn queue_beside(&mut self, name: http::HeaderName, value: http::HeaderValue) {
        self.queued.get_or_insert_default().append(name, value);
    }

    /// The route, once it is known.
    pub(crate) fn route(&self) -> Option<&Route> {
        self.stage()?.0.routes.get(self.route?)
    }

    /// `x-amz-apigw-id`, `$context.extendedRequestId`: opaque, made of the request's id.
    pub(crate) fn extended_id(&self) -> ExtendedId {
        let mut id = ExtendedId([b'='; 16]);
        id.0[..15].copy_from_slice(&id_digits(self.id)[..15]);
        id
    }

    /// Counts whether the cache had the answer.
    pub(crate) fn count_cache(&self, is_hit: bool) {
        let series = self.series();
        if is_hit {
            series.cache_hit(self.worker.id);
        } else {
            series.cache_miss(self.worker.id);
        }
    }

    fn series(&self) -> &Arc<RouteSeries> {
        match (self.stage(), self.route) {
            (Some((_, stage)), Some(route)) => stage.series.get(route).unwrap_or(&stage.unrouted),
            (Some((_, stage)), None) => &stage.unrouted,
            (None, _) => &self.live.nowhere,
        }
    }
}

impl Receipt for Box<Record> {
    fn finished(mut self, sent: Sent) {
        let latency = self.started_at.elapsed();
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let integration = self.integration.map(|integration| micros(integration.latency));
        let series = self.series();
        series.record(self.worker.id, self.status, micros(latency), integration);
        series.processed(self.worker.id, sent.body_bytes);
        if let Some(trace) = self.trace.take()
            && let Some(tracer) = &self.live.tracer
        {
            trace.finish(tracer, &self, latency, sent.body_bytes);
        }
        execution::ended(&self, sent.body_bytes);
        let Some((stage, live)) = self.stage() else { return };
        if let (Some(spec), Some(buffer)) = (&stage.access_log, live.log_buffers.get(self.worker.id)) {
            let finished = Finished {
                record: &self,
                sent,
                latency,
            };
            buffer.line(|out| spec.template.render(&finished, out));
        }
    }
}

// === impl ExtendedId ===

impl ExtendedId {
    /// All of ASCII.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

// === impl Finished ===

impl ContextValues for Finished<'_> {
    fn write(&self, variable: &Variable, sink: &mut Sink<'_>) {
        let record = self.record;
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        match variable {
            Variable::ResponseLatency => sink.number(millis(self.latency)),
            Variable::ResponseLength => sink.number(self.sent.body_bytes),
            Variable::DataProcessed => sink.number(self.sent.body_bytes),
            _ => record.write(variable, sink),
        }
    }
}

impl ContextValues for Record {
    fn write(&self, variable: &Variable, sink: &mut Sink<'_>) {
        let stage = self.stage().map(|(stage, _)| stage);
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        match variable {
            Variable::AccountId => text(sink, stage.map(|stage| &*stage.account)),
            Variable::ApiId => text(sink, stage.map(|stage| &*stage.api)),
            Variable::AuthorizerClaim(name) => self.claim(name, sink),
            Variable::AuthorizerProperty(name) => self.claim(name, sink),
            Variable::AuthorizerPrincipalId => text(sink, self.caller.as_ref().and_then(Caller::principal)),
            Variable::AuthenticateError => self.refusal_at(&[Step::Authenticate], sink),
            Variable::AuthorizeError => self.refusal_at(&[Step::Authorize, Step::ResourcePolicy], sink),
            Variable::AuthorizerError => self.refusal_at(&[Step::Authenticate, Step::Authorize], sink),
            Variable::AuthenticateStatus => self.status_of(Step::Authenticate, sink),
            Variable::AuthorizeStatus => self.status_of(Step::Authorize, sink),
            Variable::AuthorizerStatus => self.status_of(Step::Authenticate, sink),
            Variable::BasePathMatched => text(sink, self.base_path()),
            Variable::DeploymentId => {
                if let Some(number) = stage.and_then(|stage| stage.deployment) {
                    sink.number(number.into());
                }
            }
            // Only where there is a canary (Amazon).
            Variable::IsCanaryRequest => match stage {
                Some(stage) if stage.is_canary => sink.text("true"),
                Some(stage) if stage.canary.is_some() => sink.text("false"),
                _ => {}
            },
            Variable::DomainName => text(sink, self.kept.host.as_deref()),
            Variable::DomainPrefix => {
                text(sink, self.kept.host.as_deref().and_then(|host| host.split('.').next()));
            }
            Variable::ErrorMessage => text(sink, self.error_message().as_deref()),
            Variable::ErrorMessageString => match (&self.rejection, self.error_message()) {
                (None, _) => {}
                (Some(_), Some(message)) => sink.display(serde_json::Value::from(message)),
                (Some(_), None) => sink.text("null"),
            },
            Variable::ErrorResponseType => {
                text(
                    sink,
                    self.rejection
                        .as_ref()
                        .map(|rejection| rejection.facts().response.as_str()),
                );
            }
            Variable::ExtendedRequestId => sink.token(self.extended_id().as_bytes()),
            Variable::HttpMethod => sink.text(self.method.as_str()),
            // The key's value is nowhere; what stands for it is its id.
            Variable::IdentityApiKey | Variable::IdentityApiKeyId => {
                text(
                    sink,
                    self.subscription.as_ref().map(|subscription| &*subscription.key_id),
                );
            }
            Variable::IdentitySourceIp => sink.token(AddressText::new(self.source).as_bytes()),
            Variable::IdentityClientCertIssuerDn
            | Variable::IdentityClientCertNotAfter
            | Variable::IdentityClientCertNotBefore
            | Variable::IdentityClientCertPem
            | Variable::IdentityClientCertSerialNumber
            | Variable::IdentityClientCertSubjectDn => client::write(self.client(), variable, sink),
            Variable::IdentityUserAgent => text(sink, self.kept.user_agent.as_deref()),
            Variable::IntegrationError => self.refusal_at(&[Step::Integrate], sink),
            Variable::IntegrationLatency => {
                if let Some(integration) = self.integration {
                    sink.number(millis(integration.latency));
                }
            }
            Variable::IntegrationStatus | Variable::IntegrationServiceStatus => {
                if let Some(status) = self.integration.and_then(|integration| integration.status) {
                    sink.number(status.into());
                }
            }
            Variable::Path => text(sink, self.kept.path.as_deref()),
            Variable::Protocol => sink.token(protocol(self.version).as_bytes()),
            Variable::RequestId => sink.token(self.id.as_bytes()),
            Variable::RequestTime => self.worker.clf_time(self.started, |text| sink.token(text.as_bytes())),
            Variable::RequestTimeEpoch => sink.number(u64::try_from(self.started.unix_millis()).unwrap_or(0)),
            Variable::ResourcePath => text(sink, self.route().map(|route| &*route.resource)),
            Variable::ResponseLatency => sink.number(millis(self.started_at.elapsed())),
            Variable::RouteKey => text(sink, self.route().map(|route| &*route.key)),
            Variable::Stage => text(sink, stage.map(|stage| &*stage.name)),
            Variable::Status => sink.number(self.status.into()),
            Variable::XrayTraceId => text(sink, self.kept.trace_id.as_deref()),
            // Nobody here has these: no IAM users, firewall or function behind us.
            Variable::AuthenticateLatency
            | Variable::AuthorizeLatency
            | Variable::AuthorizerIntegrationLatency
            | Variable::AuthorizerIntegrationStatus
            | Variable::AuthorizerLatency
            | Variable::AuthorizerRequestId
            | Variable::AwsEndpointRequestId
            | Variable::AwsEndpointRequestId2
            | Variable::DataProcessed
            | Variable::ErrorValidationErrorString
            | Variable::IdentityAccessKey
            | Variable::IdentityAccountId
            | Variable::IdentityCaller
            | Variable::IdentityCognitoAuthenticationProvider
            | Variable::IdentityCognitoAuthenticationType
            | Variable::IdentityCognitoIdentityId
            | Variable::IdentityCognitoIdentityPoolId
            | Variable::IdentityPrincipalOrgId
            | Variable::IdentityUser
            | Variable::IdentityUserArn
            | Variable::IdentityVpcId
            | Variable::IdentityVpceId
            | Variable::ResourceId
            | Variable::ResponseLength
            | Variable::WafError
            | Variable::WafLatency
            | Variable::WafResponseCode
            | Variable::WafStatus
            | Variable::WebAclArn => {}
        }
    }
}

impl Record {
    /// The base path on a custom domain; elsewhere, the stage's mount.
    fn base_path(&self) -> Option<&str> {
        match self.mapping {
            Some(index) => Some(self.live.snapshot.domains.at(index)?.matched()),
            None => self.stage().map(|(stage, _)| &*stage.mount),
        }
    }

    fn claim(&self, name: &str, sink: &mut Sink<'_>) {
        if let Some(Standing::Verified(verified)) = self.caller.as_ref().map(Caller::standing) {
            text(sink, verified.claims.text(name).as_deref());
        }
    }

    fn refusal_at(&self, steps: &[Step], sink: &mut Sink<'_>) {
        if let Some(rejection) = self
            .rejection
            .as_ref()
            .filter(|rejection| steps.contains(&rejection.facts().step))
        {
            sink.text(&rejection.log_text());
        }
    }

    /// The status that a step answered with: 200 when the request passed it.
    fn status_of(&self, step: Step, sink: &mut Sink<'_>) {
        match self.rejection.as_ref().map(Rejection::facts) {
            Some(facts) if facts.step == step => sink.number(facts.status.into()),
            Some(facts) if facts.step < step => {}
            _ => sink.number(200),
        }
    }

    fn error_message(&self) -> Option<String> {
        self.rejection
            .as_ref()?
            .facts()
            .message
            .map(std::borrow::Cow::into_owned)
    }
}

fn text(sink: &mut Sink<'_>, value: Option<&str>) {
    if let Some(value) = value {
        sink.text(value);
    }
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_11 => "HTTP/1.1",
        Version::HTTP_2 => "HTTP/2.0",
        _ => "-",
    }
}
