//! A real Redis, which keeps nothing on the disk.

use std::{net::SocketAddr, process::Command};

use crate::{Child, ReservedPort, Stream};

/// A running `redis-server` on a port of its own.
#[derive(Debug)]
pub struct Redis {
    child: Child,
    port: ReservedPort,
}

impl Redis {
    /// Starts one and waits until it takes commands.
    #[track_caller]
    pub fn start() -> Self {
        Self::at(ReservedPort::new())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// The process.
    pub fn child(&self) -> &Child {
        &self.child
    }

    /// Kills it, and starts another one, which knows nothing, at the same address.
    #[track_caller]
    pub fn killed(self) -> ReservedPort {
        self.child.kill();
        self.port
    }

    /// Starts one at a port that is reserved.
    #[track_caller]
    pub fn at(port: ReservedPort) -> Self {
        let mut command = Command::new("redis-server");
        let number = port.address().port().to_string();
        command.args([
            "--port",
            &number,
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ]);
        let child = Child::start(command, "run ./test, which installs redis-server");
        child.wait_for_line(Stream::Stdout, 0, |line| line.contains("Ready to accept connections"));
        Self { child, port }
    }
}
