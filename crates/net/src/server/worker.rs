//! One worker: its listeners, its connections, and how they end.

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::handler::{Handler, Peer};
use super::handshake::{self, Prefixed};
use super::load::Load;
use super::protocol;
use super::stats::ServerStats;
use crate::listener::proxy_header::{self, HEADER_BYTES_MAX, ProxyHeader};
use crate::listener::{Admission, ListenerSettings, Permit, ProxyProtocol, TrustedProxies};
use crate::tls::ServerTls;

/// After an error of `accept` that will not pass by itself, above all too many open files. Waiting connections stay in the
/// kernel's queue meanwhile.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// When to stop: `None` as long as the server runs, then the time at which connections are cut.
pub(super) type Stop = watch::Receiver<Option<std::time::Instant>>;

/// What all workers know of one listener.
pub(super) struct Listener {
    pub(super) index: usize,
    pub(super) settings: ListenerSettings,
    pub(super) admission: Arc<Admission>,
    pub(super) handshakes: AtomicUsize,
    balancers: Option<TrustedProxies>,
}

/// What the connections of one worker share.
#[derive(Default)]
pub(super) struct Worker {
    is_stopping: AtomicBool,
    open: Mutex<Open>,
    emptied: Notify,
    load: Load,
    stats: Arc<ServerStats>,
}

/// The open connections by number. A task's waker stays the same for its whole life, so each registers once and a request
/// costs nothing here.
#[derive(Default)]
struct Open {
    next: u64,
    wakers: HashMap<u64, Waker>,
}

/// One open connection.
struct Registration {
    worker: Arc<Worker>,
    number: u64,
}

// === impl Listener ===

impl Listener {
    pub(super) fn new(index: usize, settings: ListenerSettings) -> Arc<Self> {
        let balancers = match &settings.proxy_protocol {
            ProxyProtocol::Off => None,
            ProxyProtocol::Required { from } => Some(TrustedProxies::new(from.clone())),
        };
        Arc::new(Self {
            index,
            admission: Admission::new(settings.connections_max, settings.connections_per_source_max),
            settings,
            handshakes: AtomicUsize::new(0),
            balancers,
        })
    }
}

// === impl Worker ===

impl Worker {
    pub(super) fn new(stats: Arc<ServerStats>) -> Self {
        Self {
            stats,
            ..Self::default()
        }
    }

    pub(super) fn stats(&self) -> &ServerStats {
        &self.stats
    }

    /// What it has taken on.
    pub(super) fn load(&self) -> &Load {
        &self.load
    }

    /// Whether connections should end with the request that they serve.
    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    /// Serves until told to stop, then until the last connection has ended or the time to cut them has come.
    pub(super) async fn run<H: Handler>(
        self: Arc<Self>,
        listeners: Vec<(TcpListener, Arc<Listener>)>,
        handler: Arc<H>,
        mut stop: Stop,
    ) {
        let accepting: Vec<_> = listeners
            .into_iter()
            .map(|(socket, listener)| tokio::spawn(accept(Arc::clone(&self), socket, listener, Arc::clone(&handler))))
            .collect();
        let told = tokio::select! {
            told = stop.wait_for(Option::is_some) => told.map(|due| *due),
            () = self.load.watch() => Ok(None), // it watches for ever
        };
        let cut = match told {
            Ok(due) => due.unwrap_or_else(std::time::Instant::now),
            Err(_) => std::time::Instant::now(), // the server was dropped
        };
        for task in accepting {
            task.abort();
            let _ = task.await; // it has ended one way or the other, and its socket is closed
        }
        self.is_stopping.store(true, Ordering::Relaxed);
        for waker in self.open().wakers.values() {
            waker.wake_by_ref();
        }
        let emptied = async {
            while !self.open().wakers.is_empty() {
                self.emptied.notified().await;
            }
        };
        let _ = timeout_at(Instant::from_std(cut), emptied).await; // what is left is cut with the runtime
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn register(self: &Arc<Self>, waker: Waker) -> Registration {
        let mut open = self.open();
        let number = open.next;
        open.next += 1;
        open.wakers.insert(number, waker);
        self.stats.count_accepted();
        Registration {
            worker: Arc::clone(self),
            number,
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut open = self.worker.open();
        let waker = open.wakers.remove(&self.number);
        let is_last = open.wakers.is_empty();
        drop(open);
        drop(waker); // not under the lock: it may own the last reference to its task
        self.worker.stats.count_closed();
        if is_last {
            self.worker.emptied.notify_one();
        }
    }
}

/// Takes one connection after another off a listening socket.
async fn accept<H: Handler>(worker: Arc<Worker>, socket: TcpListener, listener: Arc<Listener>, handler: Arc<H>) {
    loop {
        let (stream, address) = match socket.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                worker.stats.count_accept_error();
                if !is_passing(&error) {
                    tracing::warn!(%error, listener = %listener.settings.address, "connections cannot be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
                continue;
            }
        };
        match listener.admission.admit() {
            Some(permit) => {
                let open = open(
                    Arc::clone(&worker),
                    stream,
                    address,
                    Arc::clone(&listener),
                    Arc::clone(&handler),
                    permit,
                );
                tokio::spawn(open);
            }
            None => worker.stats.count_refused_full(), // and closed
        }
    }
}

/// Of the one connection that was lost before it could be accepted.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

/// Finds out who calls, then serves.
async fn open<H: Handler>(
    worker: Arc<Worker>,
    mut stream: TcpStream,
    address: SocketAddr,
    listener: Arc<Listener>,
    handler: Arc<H>,
    permit: Permit,
) {
    let _registration = poll_fn(|context| Poll::Ready(worker.register(context.waker().clone()))).await;
    let Ok(local) = stream.local_addr() else {
        return; // gone already
    };
    let mut peer = Peer {
        address: address.ip().to_canonical(),
        port: address.port(),
        local: SocketAddr::new(local.ip().to_canonical(), local.port()),
        listener: listener.index,
        secure: false,
        tls: None,
    };
    let mut input = BytesMut::new();
    if let Some(balancers) = &listener.balancers {
        let announced = match balancers.contains(peer.address) {
            true => announce(&mut stream, &mut input, listener.settings.head_timeout).await,
            false => None,
        };
        match announced {
            Some(ProxyHeader::Local) => {}
            Some(ProxyHeader::Proxied { source, destination }) => {
                peer.address = source.ip();
                peer.port = source.port();
                peer.local = destination;
            }
            None => return worker.stats.count_refused_proxy_header(),
        }
    }
    let Some(_permit) = permit.charge(peer.address) else {
        return worker.stats.count_refused_source();
    };
    match &listener.settings.tls {
        None => protocol::serve(stream, input, handler, peer, &listener.settings, &worker).await,
        // Boxed, so that a connection without TLS does not hold its room.
        Some(tls) => Box::pin(secure(&worker, stream, input, &listener, tls, handler, peer)).await,
    }
}

/// Shakes hands, then serves what is spoken inside.
async fn secure<H: Handler>(
    worker: &Worker,
    stream: TcpStream,
    input: BytesMut,
    listener: &Listener,
    tls: &Arc<ServerTls>,
    handler: Arc<H>,
    mut peer: Peer,
) {
    let Ok((stream, facts)) = handshake::shake(worker, listener, tls, Prefixed::new(stream, input)).await else {
        return; // counted there
    };
    peer.secure = true;
    peer.tls = Some(Arc::new(facts));
    protocol::serve(stream, BytesMut::new(), handler, peer, &listener.settings, worker).await;
}

/// Reads the PROXY header; `None` when there is no acceptable one in time. What follows it stays in `input`.
async fn announce(stream: &mut TcpStream, input: &mut BytesMut, patience: Duration) -> Option<ProxyHeader> {
    let read = async {
        input.reserve(HEADER_BYTES_MAX);
        loop {
            if let Some((header, length)) = proxy_header::parse(input).ok()? {
                input.advance(length);
                return Some(header);
            }
            if stream.read_buf(input).await.ok()? == 0 {
                return None;
            }
        }
    };
    timeout(patience, read).await.ok().flatten()
}
