//! A running gateway: everything put together, from the lock on its data directory to its last answer.

mod alarms;
mod bind;
mod canary_watch;
mod certificates;
mod cluster;
mod descriptors;
mod handover;
mod logs;
mod metrics;
mod otlp;
mod readings;
mod reload;
mod renewals;
mod tls;

use std::{
    io,
    num::NonZeroUsize,
    os::unix::net::UnixStream,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

pub(crate) use self::{
    alarms::{ReceiverError, Watch, statuses as alarm_statuses},
    bind::remedy as bind_remedy,
    handover::take as take_over,
    otlp::OtlpError,
    reload::{Load, Reloader},
};
use self::{
    canary_watch::{Breach, CanaryWatch},
    handover::Inherited,
};
use portcullis_core::SystemClock;
use portcullis_net::{
    listener::TrustedProxies,
    server::{Server, ServerSettings, WorkerId},
    upstream::UpstreamStats,
};
use portcullis_proxy::{Fixtures, Gateway, Live};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    time::Interval,
};

use self::tls::{Tls, WARN_EVERY};
use crate::{
    config::Config,
    control_socket::{self, TASKS_MAX, Task, Tasks},
    data_dir::DataDir,
    failure::Failure,
    load::Compiled,
    releases::Releases,
    report,
    usage::UsageFile,
};

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
    usage: Option<Arc<UsageFile>>,
    gateway: Arc<Gateway>,
    tls: Tls,
    exporter: Option<otlp::Exporter>,
    reloader: Reloader,
    signals: Signals,
    data_dir: Option<DataDir>,
    canaries: CanaryWatch,
}

/// Why a gateway ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It was told to, and everything was answered, or the grace ran out.
    Drained,
    /// It was told twice: what was under way is lost.
    CutOff,
}

/// What happens.
enum Event {
    End,
    Hangup,
    /// It is time to look at files.
    Look,
    /// It is time to warn again of what was not mended.
    Warn,
    Task(Task),
}

/// What the process is told from outside.
struct Signals {
    runtime: tokio::runtime::Runtime,
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    tasks: mpsc::Receiver<Task>,
    warn: Interval,
}

/// Why a gateway stops to serve.
enum Stopped {
    /// It was told to.
    Told,
    /// Another process serves in its place.
    TakenOver,
}

// === impl Service ===

impl Service {
    /// Starts to serve what was compiled as the configuration says. The data directory is taken before a port is bound, or both are
    /// `inherited` from the process that has them; all of what cannot be opened is reported at once.
    pub(crate) fn start(
        compiled: Compiled,
        mut reloader: Reloader,
        mut releases: Releases,
        inherited: Option<Inherited>,
    ) -> Result<Self, Failure> {
        let config = &reloader.running().clone();
        let Inherited {
            data_dir,
            listeners: sockets,
            metrics: metrics_sockets,
            giver,
        } = match inherited {
            Some(inherited) => inherited,
            None => Inherited::nothing(config)?,
        };
        if data_dir.is_some() {
            reload::note_unkept(releases.keep(config));
        }
        descriptors::raise(config);
        bind::probe(config, &[&*sockets, &*metrics_sockets].concat())?;
        let (signals, tasks) = Signals::catch().map_err(Failure::Start)?;
        let workers = workers(config);
        let mut fixtures = Fixtures::new(workers).map_err(Failure::Start)?;
        fixtures.tracer = otlp::tracer(config.otlp.as_ref());
        fixtures.cluster = config.redis.as_ref().map(cluster::start).transpose()?;
        fixtures.answers = config.redis.as_ref().map(cluster::answers).transpose()?.flatten();
        let fixtures = Arc::new(fixtures);
        let usage = config.data_dir.as_ref();
        let usage = usage.map(|directory| Arc::new(UsageFile::in_directory(&directory.value)));
        if let Some(usage) = &usage {
            usage.restore(&compiled.snapshot).map_err(Failure::Usage)?;
        }
        reloader.keep_certificates(config, &fixtures)?;
        let live = Live::open(compiled.snapshot, &fixtures, None).map_err(Failure::Live)?;
        logs::apply(config, &fixtures)?;
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
        let server = Server::start_with(settings, sockets, |WorkerId(id)| {
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
        cluster::register(&fixtures).map_err(Failure::Readings)?;
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
                let started = metrics::start(address.value, metrics_sockets, answers);
                Some(started.map_err(Failure::Start)?)
            }
            None => None,
        };
        if let Some(directory) = &config.data_dir {
            let reach = control_socket::Reach {
                gateway: Arc::clone(&gateway),
                alarms: Arc::clone(&alarms),
                fixtures: Arc::clone(&fixtures),
                tasks,
            };
            let listening = control_socket::listen(&directory.value, reach);
            if let Err(error) = listening {
                report::note(&format!("warning: no command will reach this gateway: {error}"));
            }
        }
        let service = Self {
            server,
            metrics,
            ready,
            fixtures,
            usage,
            gateway,
            tls,
            exporter,
            reloader,
            signals,
            data_dir,
            canaries: CanaryWatch::default(),
        };
        service.announce();
        if let Some(giver) = &giver {
            handover::confirm(giver).map_err(Failure::Start)?;
        }
        service.keep_usage(giver).map_err(Failure::Start)?;
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
        let why = match self.wait() {
            Stopped::Told => "ending",
            Stopped::TakenOver => "ending, for another process has taken over",
        };
        report::note(&format!(
            "{why}: requests under way have {} s; a second signal cuts them off",
            GRACE.as_secs()
        ));
        self.ready.store(false, Ordering::Relaxed);
        let Self {
            server,
            metrics,
            signals,
            fixtures,
            exporter,
            gateway,
            usage,
            ..
        } = self;
        let end = signals.drain(server);
        if let Some(usage) = usage
            && let Err(error) = usage.write(gateway.live().snapshot())
        {
            report::note(&format!(
                "warning: what is used of quotas could not be written: {error}"
            ));
        }
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

    /// Waits to be told to end. A hangup has the access logs opened again (logrotate) and everything loaded again; so has a
    /// changed file, without the former.
    fn wait(&mut self) -> Stopped {
        loop {
            match self.signals.next() {
                Event::End => return Stopped::Told,
                Event::Hangup => {
                    self.fixtures.logs().iter().for_each(|log| log.reopen());
                    self.reloader.reload(&self.gateway, &self.fixtures);
                }
                Event::Look => {
                    self.reloader.tend_certificates();
                    self.fixtures.close_unused_logs();
                    self.look_at_canaries();
                    if self.reloader.is_due() {
                        self.reloader.reload(&self.gateway, &self.fixtures);
                    }
                }
                Event::Warn => self.tls.warn(),
                Event::Task(Task::Release(order, reply)) => {
                    let said = self.reloader.carry_out(&order, &self.gateway, &self.fixtures);
                    let _ = reply.send(said); // whoever asked may have gone
                }
                // Nothing else is done meanwhile: what the other process reads must stay as it is.
                Event::Task(Task::HandOver(stream)) => match self.hand_over(stream) {
                    Ok(()) => return Stopped::TakenOver,
                    Err(error) => report::note(&format!(
                        "warning: no other process took over ({error}); this one goes on"
                    )),
                },
            }
        }
    }

    /// Rolls back those that do worse than they may.
    fn look_at_canaries(&mut self) {
        let live = self.gateway.live();
        for breach in self
            .canaries
            .look(Instant::now(), live.snapshot(), &self.fixtures.metrics)
        {
            let Breach { api, stage, reason } = breach;
            // It gets nothing any more before it is said, and is kept as far as it can be.
            let kept = self.reloader.stop_canary(&self.gateway, (&api, &stage), reason.clone());
            report::note(&format!(
                "warning: the canary of {stage} of {api} is rolled back: {reason}"
            ));
            if let Err(failure) = kept {
                report::note(&format!("error: it would come back with the next start: {failure}"));
            }
        }
    }

    /// From now on the file of what was used is this process's; what the one before still counts is added.
    fn keep_usage(&self, giver: Option<UnixStream>) -> io::Result<()> {
        if let Some(giver) = giver {
            UsageFile::inherit(giver, &self.gateway)?;
        }
        self.usage.as_ref().map_or(Ok(()), |usage| usage.keep(&self.gateway))
    }

    fn hand_over(&self, stream: UnixStream) -> io::Result<()> {
        let Some(usage) = &self.usage else {
            return self.give(stream).map(drop);
        };
        // Before anything is read there.
        usage.leave(self.gateway.live().snapshot())?;
        let given = self.give(stream);
        match given {
            Ok(heir) => {
                usage.bequeath(heir);
                Ok(())
            }
            Err(error) => {
                usage.take_back();
                Err(error)
            }
        }
    }

    fn give(&self, stream: UnixStream) -> io::Result<UnixStream> {
        let held = handover::Held {
            lock: self.data_dir.as_ref().map(DataDir::lock),
            listeners: self.server.listening(),
            metrics: self.metrics.iter().flat_map(Server::listening).collect(),
        };
        handover::give(stream, &held)
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
    fn catch() -> io::Result<(Self, Tasks)> {
        let (sender, tasks) = mpsc::channel(TASKS_MAX);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let context = runtime.enter();
        let [interrupt, terminate, hangup] =
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
        // The first warning came with the findings.
        let warn = tokio::time::interval_at(tokio::time::Instant::now() + WARN_EVERY, WARN_EVERY);
        drop(context);
        let signals = Self {
            runtime,
            interrupt: interrupt?,
            terminate: terminate?,
            hangup: hangup?,
            tasks,
            warn,
        };
        Ok((signals, sender))
    }
    /// What happens next.
    fn next(&mut self) -> Event {
        let Self {
            runtime,
            interrupt,
            terminate,
            hangup,
            tasks,
            warn,
        } = self;
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => Event::End,
                _ = terminate.recv() => Event::End,
                _ = hangup.recv() => Event::Hangup,
                Some(task) = tasks.recv() => Event::Task(task),
                () = tokio::time::sleep(LOOK_EVERY) => Event::Look,
                _ = warn.tick() => Event::Warn,
            }
        })
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
