//! Starting and stopping a server.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::Socket;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use super::handler::Handler;
use super::handover;
use super::stats::ServerStats;
use super::worker::{Listener, Stop, Worker};
use crate::listener::{ListenerSettings, bind, to_std};

/// How many workers serve which listeners.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// Threads, each with its own runtime and its own handler; at least 1.
    pub workers: usize,
    /// Served by every worker.
    pub listeners: Vec<ListenerSettings>,
}

/// A worker's number, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WorkerId(pub usize);

/// A running server. Dropping it cuts all connections off.
pub struct Server {
    stop: watch::Sender<Option<Instant>>,
    threads: Vec<JoinHandle<()>>,
    addresses: Vec<SocketAddr>,
    /// The listening sockets once more, to be handed over to another process.
    sockets: Vec<Listening>,
    stats: Arc<ServerStats>,
}

/// Sockets that listen on one address, each with a queue of its own: whoever waits in one is lost when its last holder closes
/// it. So they are handed over, and never bound anew, when one process follows another.
#[derive(Clone, Debug)]
pub struct Listening {
    /// The address with its real port.
    pub address: SocketAddr,
    /// At least one.
    pub sockets: Vec<Arc<OwnedFd>>,
}

/// A worker that is ready to run.
struct Prepared<H> {
    runtime: Runtime,
    listeners: Vec<(TcpListener, Arc<Listener>)>,
    handler: Arc<H>,
}

// === impl Server ===

impl Server {
    /// Binds all listeners, makes a handler for each worker (inside the worker's runtime), and starts.
    ///
    /// Errors: an address cannot be bound, or the system gives no thread or descriptor. Nothing runs then.
    pub fn start<H: Handler>(settings: ServerSettings, factory: impl Fn(WorkerId) -> H) -> io::Result<Self> {
        Self::start_with(settings, Vec::new(), factory)
    }

    /// The same, with sockets that another process has handed over in the place of those that would be bound to their
    /// addresses. A listener on any free port takes one of its host's.
    pub fn start_with<H: Handler>(
        settings: ServerSettings,
        mut inherited: Vec<Listening>,
        factory: impl Fn(WorkerId) -> H,
    ) -> io::Result<Self> {
        let workers = settings.workers.max(1);
        let mut addresses = Vec::with_capacity(settings.listeners.len());
        let mut sockets: Vec<Vec<(Socket, Arc<Listener>)>> = (0..workers).map(|_| Vec::new()).collect();
        let mut held = Vec::with_capacity(settings.listeners.len());
        for (index, listener) in settings.listeners.into_iter().enumerate() {
            let (bound, address) = match handover::claim(&mut inherited, listener.address) {
                Some(listening) => handover::spread(&listening, workers)?,
                None => bind(listener.address, workers)?,
            };
            addresses.push(address);
            held.push(handover::keep(&bound, address)?);
            let listener = Listener::new(index, listener);
            for (number, socket) in bound.into_iter().enumerate() {
                if let Some(of_worker) = sockets.get_mut(number % workers) {
                    of_worker.push((socket, Arc::clone(&listener)));
                }
            }
        }
        let stats = Arc::new(ServerStats::default());
        let prepared = sockets
            .into_iter()
            .enumerate()
            .map(|(index, sockets)| Prepared::new(sockets, || factory(WorkerId(index))))
            .collect::<io::Result<Vec<_>>>()?;
        let mut server = Self {
            stop: watch::Sender::new(None),
            threads: Vec::with_capacity(workers),
            addresses,
            sockets: held,
            stats,
        };
        for (index, worker) in prepared.into_iter().enumerate() {
            let shared = Arc::new(Worker::new(Arc::clone(&server.stats)));
            let stop = server.stop.subscribe();
            let thread = thread::Builder::new()
                .name(format!("worker-{index}"))
                .spawn(move || worker.run(shared, stop))?;
            server.threads.push(thread);
        }
        Ok(server)
    }

    /// The listeners' addresses with their real ports, in the order of the settings.
    pub fn local_addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The listening sockets, to be handed over to another process.
    pub fn listening(&self) -> Vec<Listening> {
        self.sockets.clone()
    }

    /// The counters, which outlive the server.
    pub fn stats(&self) -> Arc<ServerStats> {
        Arc::clone(&self.stats)
    }

    /// Stops accepting, ends connections at rest at once and the others with the answer that they are at, and cuts what is left
    /// after `grace`. Blocks until all workers have ended, so it must not be called in one.
    pub fn shutdown(mut self, grace: Duration) {
        self.stop_by(Instant::now() + grace);
    }

    fn stop_by(&mut self, due: Instant) {
        self.sockets.clear(); // or they would stay open until the last connection has ended
        self.stop.send_replace(Some(due));
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a worker has panicked");
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop_by(Instant::now());
    }
}

// === impl Prepared ===

impl<H: Handler> Prepared<H> {
    fn new(sockets: Vec<(Socket, Arc<Listener>)>, make: impl FnOnce() -> H) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let context = runtime.enter();
        let listeners = sockets
            .into_iter()
            .map(|(socket, listener)| Ok((TcpListener::from_std(to_std(socket))?, listener)))
            .collect::<io::Result<Vec<_>>>()?;
        let handler = Arc::new(make());
        drop(context);
        Ok(Self {
            runtime,
            listeners,
            handler,
        })
    }

    fn run(self, worker: Arc<Worker>, stop: Stop) {
        self.runtime.block_on(worker.run(self.listeners, self.handler, stop));
        self.runtime.shutdown_background(); // drops the connections that are left
    }
}
