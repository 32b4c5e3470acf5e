//! The real binary, as a person calls it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod check;
mod flush;
mod policy;
mod protect;
mod reload;
mod routes;
mod secret;
mod serve;
mod test_call;
mod token;

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// An API with one protected route to an origin.
const PROXY: &str = include_str!("proxy.yaml");
/// What serves it.
const CONFIG: &str = r#"data_dir = "state"

[[listeners]]
address = "127.0.0.1:8080"

[[apis]]
id = "proxy"
document = "proxy.yaml"

[[apis.stages]]
name = "TEST"
mount = "/"
variables = { origin = "127.0.0.1:9000" }
"#;
/// base64 of 64 bytes.
const SECRET: &str = "MDEyMzQ1Njc4OUFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaYWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXotXw==";

/// A directory to call the binary in.
struct Place(TempDir);

/// What the binary said.
#[derive(Debug)]
struct Said {
    status: i32,
    out: String,
    err: String,
}

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Calls the binary with words that have no spaces in them.
    fn run(&self, line: &str) -> Said {
        self.run_with(&line.split_whitespace().collect::<Vec<_>>(), "", &[])
    }

    fn run_with(&self, arguments: &[&str], stdin: &str, environment: &[(&str, &str)]) -> Said {
        let mut child = Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(arguments)
            .envs(environment.iter().copied())
            .current_dir(self.0.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that reads no input may be gone before this is written.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said {
            status: output.status.code().unwrap(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }
}

impl Said {
    #[track_caller]
    fn expect(&self, status: i32, out: &str, err: &str) -> &Self {
        assert_eq!(self.status, status, "{self:?}");
        assert!(self.out.contains(out), "`{out}` in {self:?}");
        assert!(self.err.contains(err), "`{err}` in {self:?}");
        self
    }

    /// Neither output holds any of these.
    #[track_caller]
    fn hides(&self, secrets: &[&str]) -> &Self {
        for secret in secrets {
            assert!(
                !secret.is_empty() && !self.out.contains(secret) && !self.err.contains(secret),
                "a secret is in {self:?}"
            );
        }
        self
    }
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).unwrap().mode() & 0o777
}

#[test]
fn help_and_mistakes_are_told_apart() {
    let place = Place::new();
    place.run("--help").expect(0, "Usage: portcullis <COMMAND>", "");
    place.run("--version").expect(0, "portcullis 0.", "");
    place.run("").expect(2, "", "Usage: portcullis <COMMAND>");
    place.run("tokn").expect(2, "", "unrecognized subcommand 'tokn'");
}

#[test]
fn every_command_has_a_help_with_examples() {
    let place = Place::new();
    for command in [
        "check",
        "policy simulate",
        "routes",
        "secret generate",
        "token issue",
        "token check",
    ] {
        place
            .run(&format!("{command} --help"))
            .expect(0, &format!("Usage: portcullis {command}"), "")
            .expect(0, "Examples:", "");
    }
}
