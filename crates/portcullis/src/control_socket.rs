//! What a running gateway can be told from its own machine: a Unix socket in its data directory, for its user alone.
//!
//! One line is asked, one line is answered: `alarms`, `flush-tokens` or `forget-token TOKEN`; `ok …` or `error …`.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use portcullis_proxy::Gateway;

use crate::service::{Watch, alarm_statuses};

/// The socket's file in the data directory.
const SOCKET: &str = "control.sock";
/// Bytes of a line at most: the longest token and a word before it.
const LINE_BYTES_MAX: u64 = 17 * 1024;
/// Bytes of an answer at most: of all alarms, with their descriptions.
const ANSWER_BYTES_MAX: u64 = 2 * 1024 * 1024;
/// How long either side waits for the other.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long to wait after a failure.
const PAUSE: Duration = Duration::from_millis(100);

/// What a gateway is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Say how the alarms stand.
    Alarms,
    /// Forget every token that an authoriser remembers.
    FlushTokens,
    /// Forget one token.
    ForgetToken(String),
}

/// Listens in `data_dir` until the process ends. A socket that a killed process left behind is replaced: the directory's
/// lock says that nobody uses it.
pub(crate) fn listen(data_dir: &Path, gateway: Arc<Gateway>, alarms: Arc<Watch>) -> io::Result<()> {
    let path = socket(data_dir);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    thread::Builder::new().name("control".to_owned()).spawn(move || {
        for stream in listener.incoming() {
            let answered = stream.and_then(|stream| answer(stream, &gateway, &alarms));
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
    let mut stream = UnixStream::connect(socket(data_dir))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let line = match order {
        Order::Alarms => "alarms\n".to_owned(),
        Order::FlushTokens => "flush-tokens\n".to_owned(),
        Order::ForgetToken(token) => format!("forget-token {token}\n"),
    };
    stream.write_all(line.as_bytes())?;
    let line = read_line(&stream, ANSWER_BYTES_MAX)?;
    Ok(match line.split_once(' ') {
        Some(("ok", text)) => Ok(text.to_owned()),
        Some(("error", text)) => Err(text.to_owned()),
        _ => Err("the gateway answered what this version does not know".to_owned()),
    })
}

fn socket(data_dir: &Path) -> PathBuf {
    data_dir.join(SOCKET)
}

fn answer(mut stream: UnixStream, gateway: &Gateway, alarms: &Watch) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let text = match parse(&read_line(&stream, LINE_BYTES_MAX)?) {
        Some(order) => carry_out(&order, gateway, alarms),
        None => "error this version does not know that order".to_owned(),
    };
    writeln!(stream, "{text}")
}

fn parse(line: &str) -> Option<Order> {
    match line.split_once(' ') {
        None if line == "alarms" => Some(Order::Alarms),
        None if line == "flush-tokens" => Some(Order::FlushTokens),
        Some(("forget-token", token)) if !token.is_empty() => Some(Order::ForgetToken(token.to_owned())),
        _ => None,
    }
}

fn carry_out(order: &Order, gateway: &Gateway, alarms: &Watch) -> String {
    let live = gateway.live();
    match order {
        Order::Alarms => format!("ok {}", alarm_statuses(&alarms.alarms.statuses())),
        Order::FlushTokens => {
            live.flush_authorizers();
            "ok every token is verified anew when it comes again".to_owned()
        }
        Order::ForgetToken(token) => {
            live.forget_token(token);
            "ok the token is verified anew when it comes again".to_owned()
        }
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
        assert_eq!(parse("forget-token a.b.c"), Some(Order::ForgetToken("a.b.c".into())));
        for unknown in ["", "flush-tokens now", "forget-token", "forget-token ", "flush"] {
            assert_eq!(parse(unknown), None, "{unknown}");
        }
    }
}
