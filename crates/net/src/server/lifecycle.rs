//! Starting and stopping a server.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::Socket;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use super::handler::Handler;
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
    stats: Arc<ServerStats>,
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
        let workers = settings.workers.max(1);
        let mut addresses = Vec::with_capacity(settings.listeners.len());
        let mut sockets: Vec<Vec<(Socket, Arc<Listener>)>> = (0..workers).map(|_| Vec::new()).collect();
        for (index, listener) in settings.listeners.into_iter().enumerate() {
            let (bound, address) = bind(listener.address, workers)?;
            addresses.push(address);
            let listener = Listener::new(index, listener);
            for (socket, of_worker) in bound.into_iter().zip(&mut sockets) {
                of_worker.push((socket, Arc::clone(&listener)));
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
