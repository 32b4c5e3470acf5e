//! The connection: made, watched and made again on a thread of its own.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use portcullis_core::Secret;
use portcullis_limit::SCRIPT;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo,
    RedisError, TlsCertificates, Value, aio::MultiplexedConnection,
};
use tokio::{
    runtime::Runtime,
    sync::Notify,
    time::{sleep, timeout},
};

use crate::RedisAddress;

/// How long connecting may take, greeting and password included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How often the connection is looked at while nobody complains, and how long it may take to answer.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The first and the longest pause before connecting again.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Deadlines missed one after the other before the connection is taken for lost.
const MISSES_MAX: u32 = 3;

/// Where the shared state is, and how long a request may wait for it.
#[derive(Debug)]
pub struct Settings {
    /// Where it is.
    pub address: RedisAddress,
    /// The name to log in with; Redis's own default user when absent.
    pub username: Option<String>,
    /// The password.
    pub password: Option<Secret>,
    /// PEM of the roots to trust instead of the system's.
    pub roots: Option<Vec<u8>>,
    /// What the names of all keys begin with.
    pub prefix: String,
    /// How long a request waits for an answer.
    pub deadline: Duration,
    /// What is shared, for those who read of it.
    pub shares: Shares,
}

/// What is shared over a connection. Limits and stored answers have one each: a large answer must not hold up a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shares {
    /// Throttles and quotas.
    Limits,
    /// Stored answers.
    Answers,
}

/// Redis did not answer in time, or is known to be away; the caller goes on without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Redis is away")]
pub struct Away;

/// Why nothing can be shared at all.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The password is not text.
    #[error("the password for Redis is not UTF-8")]
    Password,
    /// The roots cannot be used, or TLS cannot be spoken.
    #[error("the roots for Redis cannot be used: {0}")]
    Roots(RedisError),
    /// The thread cannot be started.
    #[error("the thread that talks with Redis cannot be started: {0}")]
    Thread(std::io::Error),
}

/// What happened so far, for metrics.
#[derive(Debug, Default)]
pub struct ClusterStats {
    calls: AtomicU64,
    away: AtomicU64,
    connected: AtomicU64,
}

/// The gateways' common memory. Calls may be made from any runtime; the connection lives on a thread of its own.
pub struct Cluster {
    shared: Arc<Shared>,
    prefix: String,
    deadline: Duration,
    /// Taken out when this is dropped.
    runtime: Option<Runtime>,
}

/// What the callers and the keeper of the connection share.
struct Shared {
    connection: ArcSwapOption<MultiplexedConnection>,
    /// What the server knows the script by.
    script: ArcSwapOption<String>,
    /// Deadlines missed since the last answer.
    misses: AtomicU32,
    /// Somebody found the connection lost.
    lost: Notify,
    /// Whether the present outage was reported.
    reported: AtomicBool,
    shares: Shares,
    stats: ClusterStats,
}

// === impl Cluster ===

impl Cluster {
    /// Starts to connect and goes on without waiting for it: a Redis that is away keeps nobody from starting.
    pub fn start(settings: Settings) -> Result<Arc<Self>, ClusterError> {
        let Settings {
            address,
            username,
            password,
            roots,
            prefix,
            deadline,
            shares,
        } = settings;
        let client = client(&address, username, password, roots)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("cluster")
            .enable_all()
            .build()
            .map_err(ClusterError::Thread)?;
        let shared = Arc::new(Shared {
            connection: ArcSwapOption::empty(),
            script: ArcSwapOption::empty(),
            misses: AtomicU32::new(0),
            lost: Notify::new(),
            reported: AtomicBool::new(false),
            shares,
            stats: ClusterStats::default(),
        });
        runtime.spawn(keep(Arc::clone(&shared), client));
        Ok(Arc::new(Self {
            shared,
            prefix,
            deadline,
            runtime: Some(runtime),
        }))
    }

    /// Whether a call would be tried now.
    pub fn is_up(&self) -> bool {
        self.shared.connection.load().is_some()
    }

    /// What happened so far.
    pub fn stats(&self) -> &ClusterStats {
        &self.shared.stats
    }

    /// How long a request waits for an answer.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// The name of a key: the configured prefix, what it is for, and which one.
    pub fn key(&self, purpose: &str, name: &str) -> String {
        format!("{}:{purpose}:{name}", self.prefix)
    }

    /// Has something done on the connection's thread, behind the back of whoever asks for it.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.runtime {
            drop(runtime.spawn(work));
        }
    }

    /// What the server knows [`SCRIPT`] by, since it was told.
    pub(crate) fn script_hash(&self) -> Option<Arc<String>> {
        self.shared.script.load_full()
    }

    /// Counts a call that had no answer.
    pub(crate) fn note_away(&self) -> Away {
        self.shared.stats.away.fetch_add(1, Ordering::Relaxed);
        Away
    }

    /// One command, one answer, within `deadline`. An answer that is an error of Redis's own counts as no answer but for
    /// `NOSCRIPT`, which the caller can do something about.
    pub(crate) async fn ask(&self, command: &Cmd, deadline: Duration) -> Result<Value, Refusal> {
        let shared = &self.shared;
        let Some(connection) = shared.connection.load_full() else {
            return Err(Refusal::Away(self.note_away()));
        };
        shared.stats.calls.fetch_add(1, Ordering::Relaxed);
        let mut caller = MultiplexedConnection::clone(&connection);
        let answer = timeout(deadline, caller.send_packed_command(command)).await;
        match answer.map(|answer| answer.and_then(Value::extract_error)) {
            Ok(Ok(value)) => {
                shared.misses.store(0, Ordering::Relaxed);
                return Ok(value);
            }
            Ok(Err(error)) if is_script_unknown(&error) => return Err(Refusal::ScriptUnknown),
            Ok(Err(error)) if error.is_unrecoverable_error() || error.is_io_error() => {
                shared.lose(&connection);
            }
            Ok(Err(error)) => {
                if !shared.reported.swap(true, Ordering::Relaxed) {
                    tracing::warn!(%error, "Redis refuses; {} here alone", shared.shares.kept());
                }
            }
            Err(_) => {
                if shared.misses.fetch_add(1, Ordering::Relaxed) + 1 >= MISSES_MAX {
                    shared.lose(&connection);
                }
            }
        }
        Err(Refusal::Away(self.note_away()))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background(); // it may be dropped where waiting is not allowed
        }
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Cluster")
            .field("is_up", &self.is_up())
            .finish_non_exhaustive()
    }
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Nobody answers in time.
    Away(Away),
    /// The script must be sent first: this Redis was started anew, or told to forget.
    ScriptUnknown,
}

fn is_script_unknown(error: &RedisError) -> bool {
    error.code() == Some("NOSCRIPT")
}

// === impl ClusterStats ===

impl ClusterStats {
    /// Calls that were tried.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Calls that had no answer, those that were not tried included.
    pub fn away(&self) -> u64 {
        self.away.load(Ordering::Relaxed)
    }

    /// Times a connection was made.
    pub fn connected(&self) -> u64 {
        self.connected.load(Ordering::Relaxed)
    }
}

// === impl Shares ===

impl Shares {
    fn what(self) -> &'static str {
        match self {
            Self::Limits => "limits are",
            Self::Answers => "stored answers are",
        }
    }

    fn kept(self) -> &'static str {
        match self {
            Self::Limits => "limits are counted",
            Self::Answers => "answers are stored",
        }
    }
}

// === impl Shared ===

impl Shared {
    /// Takes a connection out of use and has it made again; another that took its place meanwhile stays.
    fn lose(&self, lost: &Arc<MultiplexedConnection>) {
        let held = self.connection.compare_and_swap(lost, None);
        if held.as_ref().is_some_and(|held| Arc::ptr_eq(held, lost)) {
            self.lost.notify_one();
        }
    }
}

/// Connects, looks after the connection, and connects again, for as long as the runtime lives.
async fn keep(shared: Arc<Shared>, client: Client) {
    let mut pause = PAUSE_MIN;
    loop {
        match connect(&client).await {
            Ok((connection, script)) => {
                pause = PAUSE_MIN;
                shared.misses.store(0, Ordering::Relaxed);
                shared.stats.connected.fetch_add(1, Ordering::Relaxed);
                if shared.reported.swap(false, Ordering::Relaxed) || shared.stats.connected() == 1 {
                    tracing::info!("Redis answers: {} shared", shared.shares.what());
                }
                shared.script.store(script.map(Arc::new));
                let connection = Arc::new(connection);
                shared.connection.store(Some(Arc::clone(&connection)));
                look_after(&shared, &connection).await;
                shared.connection.store(None);
                if !shared.reported.swap(true, Ordering::Relaxed) {
                    tracing::warn!("Redis is away: {} here alone until it is back", shared.shares.kept());
                }
            }
            Err(error) => {
                if !shared.reported.swap(true, Ordering::Relaxed) {
                    tracing::warn!(%error, "Redis cannot be reached: {} here alone until it can", shared.shares.kept());
                }
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// A connection, and what its server knows the script by; a server that may not be told gets the script each time.
async fn connect(client: &Client) -> Result<(MultiplexedConnection, Option<String>), RedisError> {
    // The deadlines of calls are ours; this one is for what the library says by itself.
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(CONNECT_TIMEOUT));
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    let load = redis::cmd("SCRIPT").arg("LOAD").arg(SCRIPT).to_owned();
    let told = timeout(CONNECT_TIMEOUT, connection.send_packed_command(&load)).await;
    let script = match told {
        Ok(Ok(Value::BulkString(hash))) => String::from_utf8(hash).ok(),
        Ok(Ok(Value::SimpleString(hash))) => Some(hash),
        Ok(Ok(_) | Err(_)) | Err(_) => None,
    };
    Ok((connection, script))
}

/// Ends when the connection does not answer, or a caller found it lost.
async fn look_after(shared: &Shared, connection: &MultiplexedConnection) {
    let mut own = connection.clone();
    let ping = redis::cmd("PING");
    loop {
        tokio::select! {
            () = shared.lost.notified() => return,
            () = sleep(LOOK_EVERY) => {}
        }
        match timeout(LOOK_EVERY, own.send_packed_command(&ping)).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
}

fn client(
    address: &RedisAddress,
    username: Option<String>,
    password: Option<Secret>,
    roots: Option<Vec<u8>>,
) -> Result<Client, ClusterError> {
    let RedisAddress {
        tls,
        host,
        port,
        database,
    } = address.clone();
    let mut settings = RedisConnectionInfo::default()
        .set_db(database.into())
        .set_skip_set_lib_name();
    if let Some(username) = username {
        settings = settings.set_username(username);
    }
    if let Some(password) = password {
        settings = settings.set_password(std::str::from_utf8(password.expose()).map_err(|_| ClusterError::Password)?);
    }
    let address = if tls {
        ConnectionAddr::TcpTls {
            host,
            port,
            insecure: false,
            tls_params: None,
        }
    } else {
        ConnectionAddr::Tcp(host, port)
    };
    let info: ConnectionInfo = address.into_connection_info().map_err(ClusterError::Roots)?;
    let info = info.set_redis_settings(settings);
    if tls {
        let certificates = TlsCertificates {
            client_tls: None,
            root_cert: roots,
        };
        Client::build_with_tls(info, certificates).map_err(ClusterError::Roots)
    } else {
        Client::open(info).map_err(ClusterError::Roots)
    }
}
