//! What a running gateway can be told from its own machine: a Unix socket in its data directory, for its user alone.
//!
//! One line is asked, one line is answered: `alarms`, `execution-log LEVEL SECONDS API STAGE`, `flush-tokens`, `forget-token TOKEN`, `flush-cache API STAGE` (`*` for each),
//! `forget-cached METHOD URI` or `release JSON`; `ok …` or `error …`, whose remedy stands behind a tab. What answers `hand-over` is in
//! `service/handover.rs`.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use http::{Method, Uri};
use portcullis_model::snapshot::LogDestination;
use portcullis_proxy::{ExecutionLevel, Fixtures, Gateway};

use crate::{
    failure::Failure,
    releases, report,
    service::{Watch, alarm_statuses},
    usage,
};

/// The socket's file in the data directory.
const SOCKET: &str = "control.sock";
/// Bytes of a line at most: a canary with all the variables that a stage may have, in JSON.
const LINE_BYTES_MAX: u64 = 512 * 1024;
/// Bytes of an answer at most: 10,000 API keys in 10 usage plans each.
const ANSWER_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// How long either side waits for the other.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a change of what is served may take: every document is read and compiled.
const RELEASE_PATIENCE: Duration = Duration::from_secs(60);
/// How long to wait after a failure.
const PAUSE: Duration = Duration::from_millis(100);

/// Stands for every API or stage; no name holds it.
const EVERY: &str = "*";

/// What a gateway is told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Order {
    /// Say how the alarms stand.
    Alarms,
    /// Have a stage write its execution log to standard error for some seconds.
    ExecutionLog {
        level: ExecutionLevel,
        seconds: u64,
        api: String,
        stage: String,
    },
    /// Forget every token that an authoriser remembers.
    FlushTokens,
    /// Forget one token.
    ForgetToken(String),
    /// Change what a stage serves.
    Release(Box<releases::Order>),
    /// Forget every stored answer of an API and stage, or of all.
    FlushCache { api: Option<String>, stage: Option<String> },
    /// Forget the stored answers to one method and URI.
    ForgetCached { method: Method, uri: Uri },
    /// Say what API keys used of their quotas, as JSON.
    Usage,
}

/// What the main thread is to do, for it alone changes what is served.
pub(crate) enum Task {
    /// Change what a stage serves, and say what was done.
    Release(Box<releases::Order>, mpsc::Sender<Result<String, Failure>>),
    /// Hand everything over to the process at the other end.
    HandOver(UnixStream),
}

/// Where tasks for the main thread go.
pub(crate) type Tasks = tokio::sync::mpsc::Sender<Task>;

/// What orders reach.
pub(crate) struct Reach {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) alarms: Arc<Watch>,
    pub(crate) fixtures: Arc<Fixtures>,
    pub(crate) tasks: Tasks,
}

/// Asks for everything.
const HAND_OVER: &str = "hand-over";
/// Tasks that wait at most.
pub(crate) const TASKS_MAX: usize = 16;

/// Listens in `data_dir` until the process ends. A socket that a killed process left behind is replaced: the directory's
/// lock says that nobody uses it.
pub(crate) fn listen(data_dir: &Path, reach: Reach) -> io::Result<()> {
    let path = socket(data_dir);
    // Beside its place first: while one process takes over from another, somebody always answers there.
    let beside = path.with_extension("new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&beside)?;
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o600))?;
    fs::rename(&beside, &path)?;
    thread::Builder::new().name("control".to_owned()).spawn(move || {
        for stream in listener.incoming() {
            let answered = stream.and_then(|stream| answer(stream, &reach));
            if let Err(error) = answered {
                tracing::warn!(%error, "an order could not be answered");
                thread::sleep(PAUSE); // accepting may fail for a while, for want of a descriptor
            }
        }
    })?;
    Ok(())
}

/// Tells the gateway that owns `data_dir`, and gives back what it says.
pub(crate) fn tell(data_dir: &Path, order: &Order) -> io::Result<Result<String, String>> {
    let stream = send(data_dir, order)?;
    let line = read_line(&stream, ANSWER_BYTES_MAX)?;
    Ok(match line.split_once(' ') {
        Some(("ok", text)) => Ok(text.to_owned()),
        Some(("error", text)) => Err(text.to_owned()),
        _ => Err("the gateway answered what this version does not know".to_owned()),
    })
}

/// Asks the gateway that owns `data_dir` to hand everything over; what it sends is to be read.
pub(crate) fn ask_to_hand_over(data_dir: &Path) -> io::Result<UnixStream> {
    let mut stream = UnixStream::connect(socket(data_dir))?;
    stream.set_read_timeout(Some(RELEASE_PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    writeln!(stream, "{HAND_OVER}")?;
    Ok(stream)
}

fn send(data_dir: &Path, order: &Order) -> io::Result<UnixStream> {
    let mut stream = UnixStream::connect(socket(data_dir))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let (line, patience) = match order {
        Order::Alarms => ("alarms\n".to_owned(), PATIENCE),
        Order::ExecutionLog {
            level,
            seconds,
            api,
            stage,
        } => {
            let line = format!("execution-log {} {seconds} {api} {stage}\n", level.as_str());
            (line, PATIENCE)
        }
        Order::FlushTokens => ("flush-tokens\n".to_owned(), PATIENCE),
        Order::ForgetToken(token) => (format!("forget-token {token}\n"), PATIENCE),
        Order::FlushCache { api, stage } => {
            let name = |name: &Option<String>| name.clone().unwrap_or_else(|| EVERY.to_owned());
            (format!("flush-cache {} {}\n", name(api), name(stage)), PATIENCE)
        }
        Order::ForgetCached { method, uri } => (format!("forget-cached {method} {uri}\n"), PATIENCE),
        Order::Usage => ("usage\n".to_owned(), PATIENCE),
        Order::Release(order) => (
            format!("release {}\n", serde_json::to_string(order)?),
            RELEASE_PATIENCE + PATIENCE,
        ),
    };
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(line.as_bytes())?;
    Ok(stream)
}

fn socket(data_dir: &Path) -> PathBuf {
    data_dir.join(SOCKET)
}

fn answer(mut stream: UnixStream, reach: &Reach) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let line = read_line(&stream, LINE_BYTES_MAX)?;
    if line == HAND_OVER {
        let _ = reach.tasks.try_send(Task::HandOver(stream)); // who asks sees the end of the stream when nobody takes it
        return Ok(());
    }
    let text = match parse(&line) {
        Some(order) => carry_out(order, reach),
        None => "error this version does not know that order".to_owned(),
    };
    writeln!(stream, "{text}")
}

fn parse(line: &str) -> Option<Order> {
    match line.split_once(' ') {
        None if line == "alarms" => Some(Order::Alarms),
        None if line == "flush-tokens" => Some(Order::FlushTokens),
        None if line == "usage" => Some(Order::Usage),
        Some(("release", json)) => serde_json::from_str(json).ok().map(Order::Release),
        Some(("execution-log", words)) => execution_log(words),
        Some(("forget-token", token)) if !token.is_empty() => Some(Order::ForgetToken(token.to_owned())),
        Some(("flush-cache", names)) => {
            let (api, stage) = names.split_once(' ')?;
            let name = |name: &str| (name != EVERY).then(|| name.to_owned());
            Some(Order::FlushCache {
                api: name(api),
                stage: name(stage),
            })
        }
        Some(("forget-cached", wanted)) => {
            let (method, uri) = wanted.split_once(' ')?;
            Some(Order::ForgetCached {
                method: method.parse().ok()?,
                uri: uri.parse().ok()?,
            })
        }
        _ => None,
    }
}

fn execution_log(words: &str) -> Option<Order> {
    let words: Vec<_> = words.split(' ').collect();
    let [level, seconds, api, stage] = words[..] else {
        return None;
    };
    Some(Order::ExecutionLog {
        level: level.parse().ok()?,
        seconds: seconds.parse().ok()?,
        api: api.to_owned(),
        stage: stage.to_owned(),
    })
}

/// Has the main thread carry an order out.
fn release(order: Box<releases::Order>, tasks: &Tasks) -> String {
    let (reply, said) = mpsc::channel();
    if tasks.try_send(Task::Release(order, reply)).is_err() {
        return "error too much is asked of this gateway at once\ttry again".to_owned();
    }
    match said.recv_timeout(RELEASE_PATIENCE) {
        Ok(Ok(text)) => format!("ok {text}"),
        Ok(Err(failure)) => format!(
            "error {}\t{}",
            one_line(&failure.to_string()),
            one_line(&failure.remedy())
        ),
        Err(_) => "error the gateway is ending or busy\t`portcullis deployments` shows whether it was done".to_owned(),
    }
}

fn one_line(text: &str) -> String {
    text.replace(['\n', '\t'], " ")
}

fn carry_out(order: Order, reach: &Reach) -> String {
    let live = reach.gateway.live();
    match order {
        Order::Alarms => format!("ok {}", alarm_statuses(&reach.alarms.alarms.statuses())),
        Order::ExecutionLog {
            level,
            seconds,
            api,
            stage,
        } => {
            let mut stages = live.snapshot().stages.iter();
            if !stages.any(|found| *found.api == *api && *found.name == *stage) {
                return format!("error there is no stage `{api}/{stage}`");
            }
            match reach.fixtures.execution_target(LogDestination::Stderr) {
                Ok(target) => {
                    let time = Duration::from_secs(seconds);
                    reach.fixtures.execution.ask(&api, &stage, level, time, target);
                    format!("ok the execution log of {api}/{stage} is on standard error for {seconds} s")
                }
                Err(error) => format!("error the log cannot be opened: {error}"),
            }
        }
        Order::FlushTokens => {
            live.flush_authorizers();
            "ok every token is verified anew when it comes again".to_owned()
        }
        Order::ForgetToken(token) => {
            live.forget_token(&token);
            "ok the token is verified anew when it comes again".to_owned()
        }
        Order::Release(order) => release(order, &reach.tasks),
        Order::FlushCache { api, stage } => match live.flush_caches(api.as_deref(), stage.as_deref()) {
            0 => "error no stage of that name has a cache".to_owned(),
            stages => format!(
                "ok the stored answers of {} are forgotten{}",
                report::count(stages, "stage"),
                if live.owes_flush() {
                    " here; Redis is away, and other gateways are told when it is back"
                } else {
                    ""
                }
            ),
        },
        Order::ForgetCached { method, uri } => match live.forget_cached(&method, &uri) {
            Ok(0) => "ok there was no stored answer to it".to_owned(),
            Ok(entries) => format!("ok {} forgotten", report::count(entries, "stored answer")),
            Err(error) => format!("error {error}"),
        },
        Order::Usage => format!("ok {}", usage::shown(live.snapshot())),
    }
}

/// A line without its line break.
fn read_line(stream: &UnixStream, bytes_max: u64) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(stream.take(bytes_max)).read_line(&mut line)?;
    match line.strip_suffix('\n') {
        Some(line) => Ok(line.to_owned()),
        None => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "a line is too long or broken off",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_known_or_refused() {
        assert_eq!(parse("flush-tokens"), Some(Order::FlushTokens));
        assert_eq!(parse("usage"), Some(Order::Usage));
        assert_eq!(parse("forget-token a.b.c"), Some(Order::ForgetToken("a.b.c".into())));
        let flush = |api: Option<&str>, stage: Option<&str>| Order::FlushCache {
            api: api.map(Into::into),
            stage: stage.map(Into::into),
        };
        assert_eq!(parse("flush-cache * *"), Some(flush(None, None)));
        assert_eq!(parse("flush-cache a TEST"), Some(flush(Some("a"), Some("TEST"))));
        let forget = Order::ForgetCached {
            method: Method::GET,
            uri: Uri::from_static("http://h/a?b=c"),
        };
        assert_eq!(parse("forget-cached GET http://h/a?b=c"), Some(forget));
        let execution = |level| Order::ExecutionLog {
            level,
            seconds: 60,
            api: "a".into(),
            stage: "$default".into(),
        };
        let (info, error) = (execution(ExecutionLevel::Info), execution(ExecutionLevel::Error));
        assert_eq!(parse("execution-log INFO 60 a $default"), Some(info));
        assert_eq!(parse("execution-log ERROR 60 a $default"), Some(error));
        for unknown in [
            "execution-log ALL 60 a b",
            "execution-log INFO -1 a b",
            "execution-log INFO 60 a",
            "execution-log INFO 60 a b c",
            "flush-cache",
            "flush-cache a",
            "forget-cached GET",
            "forget-cached GET a b",
        ] {
            assert_eq!(parse(unknown), None, "{unknown}");
        }
        for unknown in ["", "flush-tokens now", "forget-token", "forget-token ", "flush"] {
            assert_eq!(parse(unknown), None, "{unknown}");
        }
    }
}
