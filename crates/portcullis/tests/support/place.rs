//! A directory to call the binary in, and what it says.

use std::{
    io::Write as _,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    thread,
};

use portcullis_testkit::PATIENCE;
use tempfile::TempDir;

use super::SECRET;

/// The real binary.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_portcullis");

/// A directory of its own, gone with the test.
#[derive(Debug)]
pub(crate) struct Place(TempDir);

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

// === impl Place ===

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Calls the binary; `APPROOV_SECRET` is in its environment.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        self.run_with(arguments, "")
    }

    /// Calls the binary with something on its standard input.
    #[track_caller]
    pub(crate) fn run_with(&self, arguments: &[&str], stdin: &str) -> Said {
        let mut command = Command::new(BINARY);
        command.args(arguments);
        self.call(command, stdin)
    }

    /// Has a POSIX shell carry out a script.
    #[track_caller]
    pub(crate) fn shell(&self, script: &str) -> Said {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        self.call(command, "")
    }

    #[track_caller]
    fn call(&self, mut command: Command, stdin: &str) -> Said {
        let mut child = command
            .env("APPROOV_SECRET", SECRET)
            .current_dir(self.0.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that reads no input may be gone before this is written.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        let output = within_patience(child);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said {
            status: output.status.code().unwrap(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// A token of `secret` (a reference), good for `expires`, made by the binary.
    #[track_caller]
    pub(crate) fn token(&self, secret: &str, expires: &str) -> String {
        let arguments = [
            "token",
            "issue",
            "--secret",
            secret,
            "--issuer",
            "Monitor",
            "--expires",
            expires,
        ];
        let said = self.run(&arguments);
        assert_eq!(said.status, 0, "{said:?}");
        said.out.trim().to_owned()
    }
}

// === impl Said ===

impl Said {
    /// It ended with `status`, and its outputs hold these texts.
    #[track_caller]
    pub(crate) fn expect(&self, status: i32, out: &str, err: &str) -> &Self {
        assert_eq!(self.status, status, "{self:?}");
        assert!(self.out.contains(out), "`{out}` in {self:?}");
        assert!(self.err.contains(err), "`{err}` in {self:?}");
        self
    }
}

/// What a process says until its end; panics when it does not come to one (a gateway that should have refused to serve).
#[track_caller]
fn within_patience(child: Child) -> Output {
    let id = child.id().to_string();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(child.wait_with_output()));
    match receiver.recv_timeout(PATIENCE) {
        Ok(output) => output.unwrap(),
        Err(_) => {
            // It was not waited for, so the id is still its own. The shell's kill is everywhere.
            let kill = ["-c", "kill -s KILL \"$1\"", "kill", &id];
            let _ = Command::new("sh").args(kill).status();
            let output = receiver.recv().unwrap().unwrap();
            panic!("it did not end; it said {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}
