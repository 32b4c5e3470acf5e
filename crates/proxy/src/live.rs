//! A snapshot in force, with everything that its requests need at hand: origins, keys, logs, metrics.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use portcullis_cluster::Cluster;
use portcullis_model::{
    Snapshot,
    snapshot::{Authorizer, Grants, LogDestination, OriginSpec, Stage},
};
use portcullis_net::upstream::Origin;
use portcullis_telemetry::{
    Tracer,
    access_log::{AccessLog, Destination, LogBuffer, Rotation},
    metrics::{Metrics, RouteKey, RouteSeries},
};
use portcullis_template::Variable;

use crate::{
    ExecutionLogs, ExecutionTarget,
    authenticate::AuthorizerState,
    cache::{ResponseCache, SharedAnswers, StageCache},
    integrate::Plan,
    keys::{DenyList, FileError, KeyRing, Watch},
    origins::{self, Material, OriginUnusable},
};

/// A snapshot in force.
#[derive(Debug)]
pub struct Live {
    pub(crate) snapshot: Snapshot,
    /// What limits are shared through.
    pub(crate) cluster: Option<Arc<Cluster>>,
    pub(crate) stages: Vec<LiveStage>,
    /// Whether a refusal may quote the request: some gateway response is customised.
    pub(crate) quotes_requests: bool,
    /// Where requests count that no stage answers.
    pub(crate) nowhere: Arc<RouteSeries>,
    /// Who keeps traces; `None` where nothing is traced.
    pub(crate) tracer: Option<Arc<Tracer>>,
    pub(crate) execution: Arc<ExecutionLogs>,
}

/// What one stage's requests need.
#[derive(Debug)]
pub(crate) struct LiveStage {
    pub(crate) api_arn: String,
    pub(crate) authorizers: Vec<AuthorizerState>,
    pub(crate) origins: Vec<Arc<Origin>>,
    /// What the files of each held.
    materials: Vec<Arc<Material>>,
    /// By route.
    pub(crate) plans: Vec<Plan>,
    pub(crate) series: Vec<Arc<RouteSeries>>,
    /// Where requests count that no route answers.
    pub(crate) unrouted: Arc<RouteSeries>,
    /// One per worker; empty without an access log.
    pub(crate) log_buffers: Vec<LogBuffer>,
    pub(crate) needs: Needs,
    /// `None` for a stage without a cache.
    pub(crate) cache: Option<StageCache>,
}

/// What of a request is kept because a log line or a mapping wants it; what nobody wants is not copied.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Needs {
    pub(crate) path: bool,
    pub(crate) user_agent: bool,
    pub(crate) host: bool,
    pub(crate) trace_id: bool,
}

/// What lives longer than one snapshot.
#[derive(Debug)]
pub struct Fixtures {
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// Watches key files and deny lists.
    pub watch: Watch,
    /// Who keeps traces; `None` where nothing is traced.
    pub tracer: Option<Arc<Tracer>>,
    /// What gateways share, where they do.
    pub cluster: Option<Arc<Cluster>>,
    /// What stored answers are shared through, where they are.
    pub answers: Option<Arc<SharedAnswers>>,
    /// Which stages write an execution log.
    pub execution: Arc<ExecutionLogs>,
    workers: usize,
    logs: std::sync::Mutex<HashMap<Destination, AccessLog>>,
    /// Every snapshot in force, and those before it that a request still holds.
    lives: std::sync::Mutex<Vec<Weak<Live>>>,
}

/// Why a snapshot cannot be put in force.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The access log cannot be opened.
    #[error("the access log of stage `{stage}` cannot be opened: {error}; mend `access_log`")]
    AccessLog {
        /// The stage.
        stage: String,
        /// Why.
        error: std::io::Error,
    },
    /// Keys or a deny list cannot be read.
    #[error("authoriser `{authorizer}`: {error}")]
    Keys {
        /// The authoriser.
        authorizer: String,
        /// Why.
        error: FileError,
    },
    /// An origin cannot be called.
    #[error("stage `{stage}` of `{api}`: {error}")]
    Origin {
        /// The API.
        api: String,
        /// The stage.
        stage: String,
        /// Why.
        error: OriginUnusable,
    },
}

// === impl Fixtures ===

impl Fixtures {
    /// For a data plane of `workers` threads. Starts the watch.
    pub fn new(workers: usize) -> std::io::Result<Self> {
        let metrics = Arc::new(Metrics::new(workers));
        Ok(Self {
            metrics,
            watch: Watch::start()?,
            tracer: None,
            cluster: None,
            answers: None,
            execution: Arc::default(),
            workers,
            logs: std::sync::Mutex::default(),
            lives: std::sync::Mutex::default(),
        })
    }

    /// Closes the logs that no stage writes to any more, nor any request that began under an earlier snapshot. Waits for
    /// their last lines, so it is not for workers.
    pub fn close_unused_logs(&self) {
        let mut lives = self.lives.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        lives.retain(|live| live.strong_count() > 0);
        let mut used: Vec<_> = self.execution.destinations().iter().map(destination).collect();
        for live in lives.iter().filter_map(Weak::upgrade) {
            let specs = live
                .snapshot
                .stages
                .iter()
                .filter_map(|stage| stage.access_log.as_ref());
            used.extend(specs.map(|spec| destination(&spec.destination)));
        }
        drop(lives);
        let mut logs = self.logs.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let unused: Vec<_> = logs.extract_if(|destination, _| !used.contains(destination)).collect();
        drop(logs);
        drop(unused); // the last handle: this is where it is waited
    }

    /// Every access log that is open.
    pub fn logs(&self) -> Vec<AccessLog> {
        self.logs
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    /// A target for execution logs at a destination, which access logs may share.
    pub fn execution_target(&self, destination: LogDestination) -> std::io::Result<ExecutionTarget> {
        let buffer = self.log(&destination)?.buffer();
        Ok(ExecutionTarget { destination, buffer })
    }

    /// Has files rotated, each as said, and no others.
    pub fn rotate(&self, rotations: &[(std::path::PathBuf, Rotation)]) {
        let logs = self.logs.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for (destination, log) in logs.iter() {
            let Destination::File(path) = destination else { continue };
            let rotation = rotations.iter().find(|(rotated, _)| rotated == path);
            log.rotate(rotation.map(|(_, rotation)| *rotation));
        }
    }

    /// One log per destination, however many stages write to it.
    fn log(&self, destination: &LogDestination) -> std::io::Result<AccessLog> {
        let destination = self::destination(destination);
        let mut logs = self.logs.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(log) = logs.get(&destination) {
            return Ok(log.clone());
        }
        let log = AccessLog::open(destination.clone())?;
        logs.insert(destination, log.clone());
        Ok(log)
    }
}

fn destination(destination: &LogDestination) -> Destination {
    match destination {
        LogDestination::Stdout => Destination::Stdout,
        LogDestination::Stderr => Destination::Stderr,
        LogDestination::File(path) => Destination::File(path.clone()),
    }
}

// === impl Live ===

impl Live {
    /// Makes a snapshot ready: opens its logs, reads its keys, resolves its origins' roots. All errors at once. Origins that
    /// `previous` had are taken over with the connections that are kept to them.
    pub fn open(snapshot: Snapshot, fixtures: &Fixtures, previous: Option<&Self>) -> Result<Arc<Self>, Vec<LiveError>> {
        let mut errors = Vec::new();
        let mut kept = Kept::of(previous);
        let stages: Vec<_> = snapshot
            .stages
            .iter()
            .enumerate()
            .map(|(index, stage)| {
                LiveStage::open(stage, shares_cache(&snapshot, index), fixtures, &mut kept, &mut errors)
            })
            .collect();
        let nowhere = fixtures.metrics.route(RouteKey {
            api: "-".into(),
            stage: "-".into(),
            route: "-".into(),
        });
        if !errors.is_empty() {
            return Err(errors);
        }
        let quotes_requests = snapshot.stages.iter().any(|stage| !stage.gateway_responses.is_empty());
        let live = Arc::new(Self {
            snapshot,
            cluster: fixtures.cluster.clone(),
            stages,
            quotes_requests,
            nowhere,
            tracer: fixtures.tracer.clone(),
            execution: Arc::clone(&fixtures.execution),
        });
        let mut lives = fixtures.lives.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        lives.push(Arc::downgrade(&live));
        drop(lives);
        Ok(live)
    }

    /// What is served.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Forgets every token that an authoriser remembers.
    pub fn flush_authorizers(&self) {
        self.stages
            .iter()
            .flat_map(|stage| &stage.authorizers)
            .for_each(AuthorizerState::flush);
    }

    /// Forgets one token everywhere.
    pub fn forget_token(&self, token: &str) {
        self.stages
            .iter()
            .flat_map(|stage| &stage.authorizers)
            .for_each(|state| state.forget(token));
    }

    /// Tokens that authorisers remember, about.
    pub fn tokens_remembered(&self) -> u64 {
        self.stages
            .iter()
            .flat_map(|stage| &stage.authorizers)
            .map(AuthorizerState::remembered)
            .sum()
    }
}

/// An API, a stage, and whether the cache is its canary's own.
type CacheOwner = (Box<str>, Box<str>, bool);

/// What stages share, and what a new snapshot takes over from the one before it.
#[derive(Default)]
struct Kept {
    /// By source, so that two authorisers with the same keys share them.
    rings: Vec<Arc<KeyRing>>,
    /// With their specifications and what stood in the files that these name; a pool of connections hangs on each.
    origins: Vec<(OriginSpec, Arc<Material>, Arc<Origin>)>,
    /// Whether an entry of one is still true stands in its key.
    caches: Vec<(CacheOwner, Arc<ResponseCache>)>,
}

impl Kept {
    /// Fetched keys stay; keys from files and the environment are read again. Origins stay while their files do.
    fn of(previous: Option<&Live>) -> Self {
        let mut kept = Self::default();
        let Some(previous) = previous else { return kept };
        for (stage, live) in previous.snapshot.stages.iter().zip(&previous.stages) {
            if let Some(cache) = &live.cache {
                let is_own = stage.is_canary && !cache.is_shared;
                let owner = (stage.api.clone(), stage.name.clone(), is_own);
                kept.caches.push((owner, Arc::clone(&cache.responses)));
            }
            let rings = live.authorizers.iter().map(AuthorizerState::keys);
            kept.rings.extend(rings.filter(|ring| ring.is_remote()).cloned());
            let origins = stage.origins.iter().zip(&live.materials).zip(&live.origins);
            kept.origins.extend(
                origins.map(|((spec, material), origin)| (spec.clone(), Arc::clone(material), Arc::clone(origin))),
            );
        }
        kept
    }

    fn ring(&mut self, authorizer: &Authorizer, fixtures: &Fixtures) -> Result<Arc<KeyRing>, FileError> {
        if let Some(ring) = self.rings.iter().find(|ring| *ring.source() == authorizer.keys) {
            return Ok(Arc::clone(ring));
        }
        let ring = KeyRing::open(authorizer.keys.clone())?;
        fixtures.watch.ring(&ring);
        self.rings.push(Arc::clone(&ring));
        Ok(ring)
    }

    /// The stage's cache with the entries that it has, unless its size is another one now. A canary has one of its own unless it
    /// `shares` the stage's, which is compiled before it.
    fn cache(&mut self, stage: &Stage, shares: bool, answers: Option<&Arc<SharedAnswers>>) -> Option<StageCache> {
        let bytes_max = stage.cache?.bytes_max;
        let answers = answers.filter(|_| stage.cache.is_some_and(|cache| cache.is_shared));
        let owner = (stage.api.clone(), stage.name.clone(), stage.is_canary && !shares);
        let known = self
            .caches
            .iter()
            .find(|(known, responses)| *known == owner && responses.is_as(bytes_max, answers.is_some()));
        let responses = known.map_or_else(
            || match answers {
                Some(answers) => answers.open(bytes_max, &stage.api_arn(), &stage.name, owner.2),
                None => Arc::new(ResponseCache::new(bytes_max, None)),
            },
            |(_, responses)| Arc::clone(responses),
        );
        self.caches.push((owner, Arc::clone(&responses)));
        Some(StageCache::new(stage, responses, shares))
    }

    fn origin(&mut self, spec: &OriginSpec) -> Result<(Arc<Material>, Arc<Origin>), OriginUnusable> {
        let material = Material::read(spec)?;
        let mut known = self.origins.iter();
        if let Some((_, material, origin)) = known.find(|(known, held, _)| known == spec && held.is_same(&material)) {
            return Ok((Arc::clone(material), Arc::clone(origin)));
        }
        let origin = origins::origin(spec, &material)?;
        let material = Arc::new(material);
        self.origins
            .push((spec.clone(), Arc::clone(&material), Arc::clone(&origin)));
        Ok((material, origin))
    }
}

// === impl LiveStage ===

impl LiveStage {
    fn open(
        stage: &Stage,
        shares_cache: bool,
        fixtures: &Fixtures,
        kept: &mut Kept,
        errors: &mut Vec<LiveError>,
    ) -> Self {
        let mut authorizers = Vec::new();
        for authorizer in &stage.authorizers {
            match authorizer_state(authorizer, fixtures, kept) {
                Ok(state) => authorizers.push(state),
                Err(error) => errors.push(LiveError::Keys {
                    authorizer: authorizer.name.to_string(),
                    error,
                }),
            }
        }
        let (mut materials, mut origins) = (Vec::new(), Vec::new());
        for spec in &stage.origins {
            match kept.origin(spec) {
                Ok((material, origin)) => {
                    materials.push(material);
                    origins.push(origin);
                }
                Err(error) => errors.push(LiveError::Origin {
                    api: stage.api.to_string(),
                    stage: stage.name.to_string(),
                    error,
                }),
            }
        }
        let log = stage
            .access_log
            .as_ref()
            .and_then(|spec| match fixtures.log(&spec.destination) {
                Ok(log) => Some(log),
                Err(error) => {
                    errors.push(LiveError::AccessLog {
                        stage: stage.name.to_string(),
                        error,
                    });
                    None
                }
            });
        let series = |route: &str| {
            fixtures.metrics.route(RouteKey {
                api: stage.api.clone(),
                stage: stage.label().into(),
                route: route.into(),
            })
        };
        Self {
            api_arn: stage.api_arn(),
            authorizers,
            origins,
            materials,
            plans: stage.routes.iter().map(|route| Plan::of(route, stage)).collect(),
            series: stage.routes.iter().map(|route| series(&route.key)).collect(),
            unrouted: series("-"),
            log_buffers: log
                .iter()
                .flat_map(|log| (0..fixtures.workers).map(|_| log.buffer()))
                .collect(),
            needs: Needs::of(stage),
            cache: kept.cache(stage, shares_cache, fixtures.answers.as_ref()),
        }
    }
}

// === impl Needs ===

impl Needs {
    fn of(stage: &Stage) -> Self {
        let uses = |wanted: &[Variable]| stage.uses(&|variable| wanted.contains(variable));
        Self {
            path: uses(&[Variable::Path]),
            user_agent: uses(&[Variable::IdentityUserAgent]),
            host: uses(&[Variable::DomainName, Variable::DomainPrefix]),
            // A refusal that is customised may name it, too.
            trace_id: uses(&[Variable::XrayTraceId]) || !stage.gateway_responses.is_empty(),
        }
    }
}

fn authorizer_state(
    authorizer: &Authorizer,
    fixtures: &Fixtures,
    kept: &mut Kept,
) -> Result<AuthorizerState, FileError> {
    let ring = kept.ring(authorizer, fixtures)?;
    let deny_list = match &authorizer.grants {
        Grants::Policy(grants) => grants.deny_list.clone().map(DenyList::open).transpose()?,
        Grants::Scopes => None,
    };
    if let Some(list) = &deny_list {
        fixtures.watch.deny_list(list);
    }
    Ok(AuthorizerState::new(ring, deny_list, authorizer.result_ttl_s))
}

/// Whether a stage is a canary that uses the cache of the stage that it stands in for.
fn shares_cache(snapshot: &Snapshot, index: usize) -> bool {
    let mut canaries = snapshot.stages.iter().filter_map(|stage| stage.canary.as_ref());
    canaries.any(|canary| canary.index == index && canary.use_stage_cache)
}
