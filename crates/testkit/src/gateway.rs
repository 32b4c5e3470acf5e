//! The gateway's own binary as a child process.

use std::{ffi::OsStr, net::SocketAddr, path::Path, process::Command};

use crate::{Child, Ended, Stream};

/// A running `portcullis`, ready for requests, stopped by its id when dropped.
///
/// ```no_run
/// # use portcullis_testkit::{Portcullis, curl};
/// # let binary = "portcullis"; // in a test: env!("CARGO_BIN_EXE_portcullis")
/// let gateway = Portcullis::command(binary).args(["serve", "proxy.yaml", "--listen", "127.0.0.1:0"]).start();
/// assert_eq!(curl(&[&gateway.url("/example.json")]).status, 401);
/// assert!(gateway.stop().status.success());
/// ```
#[derive(Debug)]
pub struct Portcullis {
    child: Child,
    addresses: Vec<SocketAddr>,
}

/// How a [`Portcullis`] shall be started.
#[derive(Debug)]
pub struct Setup {
    command: Command,
    listeners: usize,
}

/// What the binary says on its standard error for each listener once it serves.
const READY: [&str; 2] = ["listening on http://", "listening on https://"];

// === impl Portcullis ===

impl Portcullis {
    /// Prepares to start `binary`, which an integration test names as `env!("CARGO_BIN_EXE_portcullis")`.
    pub fn command(binary: impl AsRef<OsStr>) -> Setup {
        Setup {
            command: Command::new(binary),
            listeners: 1,
        }
    }

    /// Where its first listener listens.
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// Where its listeners listen, in the order in which it said so; the metrics' listener is one when it says so.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The URL of `path` at its first listener.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// The same where it speaks TLS, by the name that certificates of tests are for.
    pub fn secure_url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address().port())
    }

    /// The process: its id, its lines, its signals.
    pub fn child(&self) -> &Child {
        &self.child
    }

    /// Waits until `count` lines are on its standard output (the access log) and returns all of them.
    #[track_caller]
    pub fn wait_for_access_log(&self, count: usize) -> Vec<String> {
        if count > 0 {
            self.child.wait_for_line(Stream::Stdout, count - 1, |_| true);
        }
        self.child.lines(Stream::Stdout)
    }

    /// Waits until it ends by itself, or by a signal that it was sent before.
    #[track_caller]
    pub fn wait(self) -> Ended {
        self.child.wait()
    }

    /// Asks it to end (SIGTERM), which drains it, and waits until it has.
    #[track_caller]
    pub fn stop(self) -> Ended {
        self.child.stop()
    }

    /// Ends it as a power cut would (SIGKILL).
    #[track_caller]
    pub fn kill(self) -> Ended {
        self.child.kill()
    }
}

// === impl Setup ===

impl Setup {
    /// Adds arguments.
    pub fn args<Argument: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = Argument>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Starts it in this directory.
    pub fn directory(mut self, path: impl AsRef<Path>) -> Self {
        self.command.current_dir(path);
        self
    }

    /// Waits for this many listeners (1 unless told).
    pub fn listeners(mut self, count: usize) -> Self {
        self.listeners = count;
        self
    }

    /// Starts it and waits until it serves; panics with all it said when it does not come to that.
    #[track_caller]
    pub fn start(self) -> Portcullis {
        let child = Child::start(self.command, "build the binary first: cargo build");
        let addresses = (0..self.listeners).map(|listener| {
            let line = child.wait_for_line(Stream::Stderr, listener, is_ready);
            address_in(&line).unwrap_or_else(|| panic!("no address in `{line}`"))
        });
        Portcullis {
            addresses: addresses.collect(),
            child,
        }
    }
}

fn is_ready(line: &str) -> bool {
    READY.iter().any(|ready| line.contains(ready))
}

fn address_in(line: &str) -> Option<SocketAddr> {
    let rest = READY.iter().find_map(|ready| line.split_once(ready))?.1;
    let end = rest.find(|character: char| !(character.is_ascii_hexdigit() || ".:[]".contains(character)));
    rest[..end.unwrap_or(rest.len())]
        .trim_end_matches(['.', ':'])
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_address_in_a_line() {
        let check = |line: &str, expected: &str| assert_eq!(address_in(line), expected.parse().ok(), "{line}");
        check("listening on http://127.0.0.1:8080", "127.0.0.1:8080");
        check(
            "12:00 INFO listening on http://127.0.0.1:8080 (proxy)",
            "127.0.0.1:8080",
        );
        check("listening on http://[::1]:8080/", "[::1]:8080");
        check("listening on https://127.0.0.1:8443", "127.0.0.1:8443");
        assert_eq!(address_in("listening on http://somewhere"), None);
    }

    #[test]
    fn is_ready_once_every_listener_said_so() {
        let script = "trap 'exit 0' TERM; echo listening on http://127.0.0.1:1 >&2; \
                      echo listening on http://127.0.0.1:2 >&2; echo line; while :; do :; done";
        let gateway = Portcullis::command("sh").args(["-c", script]).listeners(2).start();
        assert_eq!(
            gateway.addresses(),
            ["127.0.0.1:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap()]
        );
        assert_eq!(gateway.url("/a"), "http://127.0.0.1:1/a");
        assert_eq!(gateway.wait_for_access_log(1), ["line"]);
        assert!(gateway.stop().status.success());
    }

    #[test]
    #[should_panic(expected = "port is busy")]
    fn a_gateway_that_does_not_start_tells_why() {
        Portcullis::command("sh")
            .args(["-c", "echo port is busy >&2; exit 2"])
            .start();
    }
}
