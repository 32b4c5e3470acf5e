//! A running gateway: everything put together, from the lock on its data directory to its last answer.

mod alarms;
mod bind;
mod certificates;
mod descriptors;
mod metrics;
mod otlp;
mod readings;
mod reload;
mod renewals;
mod tls;

use std::{
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

pub(crate) use self::{
    alarms::{ReceiverError, Watch, statuses as alarm_statuses},
    bind::remedy as bind_remedy,
    otlp::OtlpError,
    reload::{Load, Reloader},
};
use portcullis_core::SystemClock;
use portcullis_net::{
    listener::TrustedProxies,
    server::{Server, ServerSettings, WorkerId},
    upstream::UpstreamStats,
};
use portcullis_proxy::{Fixtures, Gateway, Live};
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::tls::{Tls, WARN_EVERY};
use crate::{config::Config, control_socket, data_dir::DataDir, failure::Failure, load::Compiled, report};

/// How long requests under way may take to their end once the gateway is told to stop.
const GRACE: Duration = Duration::from_secs(30);
/// How often the configuration and its documents are looked at for changes.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long the access log may take to be written behind the last answer.
const LOG_WAIT: Duration = Duration::from_secs(2);

/// A gateway that serves.
pub(crate) struct Service {
    server: Server,
    metrics: Option<Server>,
    ready: Arc<AtomicBool>,
    fixtures: Arc<Fixtures>,
    gateway: Arc<Gateway>,
    tls: Tls,
    exporter: Option<otlp::Exporter>,
    reloader: Reloader,
    signals: Signals,
    _data_dir: Option<DataDir>,
}

/// Why a gateway ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It was told to, and everything was answered, or the grace ran out.
    Drained,
    /// It was told twice: what was under way is lost.
    CutOff,
}

/// What the process is told from outside.
struct Signals {
    runtime: tokio::runtime::Runtime,
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

// === impl Service ===

impl Service {
    /// Starts to serve what was compiled as the configuration says. The data directory is taken before a port is bound; all of
    /// what cannot be opened is reported at once.
    pub(crate) fn start(config: &Config, compiled: Compiled, mut reloader: Reloader) -> Result<Self, Failure> {
        let data_dir = config
            .data_dir
            .as_ref()
            .map(|path| DataDir::take(&path.value))
            .transpose()
            .map_err(Failure::DataDir)?;
        descriptors::raise(config);
        bind::probe(config)?;
        let signals = Signals::catch().map_err(Failure::Start)?;
        let workers = workers(config);
        let mut fixtures = Fixtures::new(workers).map_err(Failure::Start)?;
        fixtures.tracer = otlp::tracer(config.otlp.as_ref());
        let fixtures = Arc::new(fixtures);
        reloader.keep_certificates(config, &fixtures)?;
        let live = Live::open(compiled.snapshot, &fixtures, None).map_err(Failure::Live)?;
        let trusted = config
            .listeners
            .iter()
            .map(|listener| TrustedProxies::new(listener.trusted_proxies.clone()))
            .collect();
        let gateway = Gateway::new(live, Arc::new(SystemClock), trusted);

        let tls = Tls::new(compiled.tls)?;
        let upstreams: Mutex<Vec<Arc<UpstreamStats>>> = Mutex::default();
        let settings = ServerSettings {
            workers,
            listeners: config
                .listeners
                .iter()
                .enumerate()
                .map(|(index, listener)| bind::settings(listener, tls.listener(index)))
                .collect(),
        };
        let server = Server::start(settings, |WorkerId(id)| {
            let worker = gateway.worker(id);
            upstreams
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(worker.client().stats());
            worker
        })
        .map_err(Failure::Start)?;

        let ready = Arc::new(AtomicBool::new(true));
        let upstreams = upstreams.into_inner().unwrap_or_else(PoisonError::into_inner);
        readings::register(&fixtures, &gateway, &server.stats(), upstreams).map_err(Failure::Readings)?;
        tls.register(server.local_addresses(), &fixtures)
            .map_err(Failure::Readings)?;
        reloader.has_tls(tls.clone(), server.local_addresses());
        let alarms = Watch::start(&config.alarms, &fixtures.metrics)?;
        reloader.also(&alarms);
        reloader.renew(config, &fixtures)?;
        let exporter = config.otlp.as_ref().map(|otlp| {
            let tracer = fixtures.tracer.clone();
            otlp::Exporter::start(otlp, &fixtures.metrics, tracer)
        });
        let exporter = exporter.transpose()?;
        let metrics = match &config.metrics {
            Some(address) => {
                let answers = (&fixtures.metrics, &ready, &alarms);
                Some(metrics::start(address.value, answers).map_err(Failure::Start)?)
            }
            None => None,
        };
        if let Some(directory) = &config.data_dir {
            let listening = control_socket::listen(&directory.value, Arc::clone(&gateway), Arc::clone(&alarms));
            if let Err(error) = listening {
                report::note(&format!(
                    "warning: `portcullis flush` will not reach this gateway: {error}"
                ));
            }
        }
        let service = Self {
            server,
            metrics,
            ready,
            fixtures,
            gateway,
            tls,
            exporter,
            reloader,
            signals,
            _data_dir: data_dir,
        };
        service.announce();
        Ok(service)
    }

    /// The address of the first listener, as a client on this machine calls it.
    pub(crate) fn url(&self) -> String {
        let addresses = self.server.local_addresses();
        addresses
            .first()
            .map(|address| bind::url(self.scheme(0), *address))
            .unwrap_or_default()
    }

    /// Serves until the process is told to end.
    pub(crate) fn run(mut self) -> End {
        self.signals
            .wait(&self.fixtures, &self.gateway, &self.tls, &mut self.reloader);
        report::note(&format!(
            "ending: requests under way have {} s; a second signal cuts them off",
            GRACE.as_secs()
        ));
        self.ready.store(false, Ordering::Relaxed);
        let Self {
            server,
            metrics,
            signals,
            fixtures,
            exporter,
            ..
        } = self;
        let end = signals.drain(server);
        let logs = fixtures.logs();
        let are_written = logs.iter().all(|log| log.close(LOG_WAIT));
        if !are_written {
            report::note("warning: the end of the access log could not be written");
        }
        if let Some(exporter) = exporter {
            exporter.close(LOG_WAIT);
        }
        drop(metrics); // last, so that it could be asked all the while
        end
    }

    fn announce(&self) {
        for (index, address) in self.server.local_addresses().iter().enumerate() {
            report::note(&format!("listening on {}://{address}", self.scheme(index)));
        }
        for address in self.metrics.iter().flat_map(Server::local_addresses) {
            report::note(&format!("listening on http://{address}/metrics"));
        }
    }

    fn scheme(&self, listener: usize) -> &'static str {
        match self.tls.listener(listener) {
            Some(_) => "https",
            None => "http",
        }
    }
}

/// One worker per core that the process may use, unless the configuration says how many.
fn workers(config: &Config) -> usize {
    let cores = || thread::available_parallelism().map_or(1, NonZeroUsize::get);
    config.workers.map_or_else(cores, NonZeroUsize::get)
}

// === impl Signals ===

impl Signals {
    /// From now on signals are answered here. Before anything is announced, so that whoever waits for that can stop us.
    fn catch() -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let context = runtime.enter();
        let [interrupt, terminate, hangup] =
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
        drop(context);
        Ok(Self {
            runtime,
            interrupt: interrupt?,
            terminate: terminate?,
            hangup: hangup?,
        })
    }

    /// Waits to be told to end. A hangup has the access logs opened again (logrotate) and everything loaded again; so has a
    /// changed file, without the former.
    fn wait(&mut self, fixtures: &Fixtures, gateway: &Gateway, tls: &Tls, reloader: &mut Reloader) {
        let Self {
            runtime,
            interrupt,
            terminate,
            hangup,
        } = self;
        runtime.block_on(async {
            let mut look = tokio::time::interval(LOOK_EVERY);
            // The first warning came with the findings.
            let mut warn = tokio::time::interval_at(tokio::time::Instant::now() + WARN_EVERY, WARN_EVERY);
            loop {
                tokio::select! {
                    _ = interrupt.recv() => return,
                    _ = terminate.recv() => return,
                    _ = hangup.recv() => {
                        fixtures.logs().iter().for_each(|log| log.reopen());
                        reloader.reload(gateway, fixtures);
                    }
                    _ = warn.tick() => tls.warn(),
                    _ = look.tick() => {
                        reloader.tend_certificates();
                        if reloader.is_due() {
                            reloader.reload(gateway, fixtures);
                        }
                    }
                }
            }
        });
    }

    /// Stops a server, or is told a second time.
    fn drain(self, server: Server) -> End {
        let Self {
            runtime,
            mut interrupt,
            mut terminate,
            ..
        } = self;
        let (ended, end) = tokio::sync::oneshot::channel();
        let stopper = thread::Builder::new().name("drain".to_owned()).spawn(move || {
            server.shutdown(GRACE);
            let _ = ended.send(()); // nobody waits any more when there was a second signal
        });
        if stopper.is_err() {
            return End::CutOff; // without a thread there is nothing to wait for; the server was dropped with its closure
        }
        runtime.block_on(async {
            tokio::select! {
                _ = end => End::Drained,
                _ = interrupt.recv() => End::CutOff,
                _ = terminate.recv() => End::CutOff,
            }
        })
    }
}
