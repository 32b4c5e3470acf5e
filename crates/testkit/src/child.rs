//! A child process whose output is read line by line as it comes.

use std::{
    io::{BufRead as _, BufReader, Read},
    process::{Child as Process, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::JoinHandle,
    time::Instant,
};

use crate::PATIENCE;

/// A running program, stopped by its id when dropped.
#[derive(Debug)]
pub struct Child {
    process: Process,
    name: String,
    output: Arc<Output>,
    readers: Vec<JoinHandle<()>>,
}

/// Which of a program's two outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Its standard output.
    Stdout,
    /// Its standard error.
    Stderr,
}

/// What is left of a program that has ended.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output, whole.
    pub stdout: String,
    /// Its standard error, whole.
    pub stderr: String,
}

#[derive(Debug, Default)]
struct Output {
    lines: Mutex<Lines>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Lines {
    all: Vec<(Stream, String)>,
    closed: u8, // how many of the two streams have ended
}

// === impl Child ===

impl Child {
    /// Starts `command` with both outputs read and nothing on its input. Panics, naming `remedy`, when it cannot be started.
    #[track_caller]
    pub fn start(mut command: Command, remedy: &str) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start `{name}`: {error}; {remedy}"));
        let output = Arc::new(Output::default());
        let (stdout, stderr) = (
            process.stdout.take().expect("piped"),
            process.stderr.take().expect("piped"),
        );
        let readers = vec![
            read(Stream::Stdout, stdout, &output),
            read(Stream::Stderr, stderr, &output),
        ];
        Self {
            process,
            name,
            output,
            readers,
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits until `stream` has a line that `wanted` accepts, from the `skip`-th such line on, and returns that line.
    /// Panics with all that was said when the program ends first or [`PATIENCE`] runs out.
    #[track_caller]
    pub fn wait_for_line(&self, stream: Stream, skip: usize, wanted: impl Fn(&str) -> bool) -> String {
        let until = Instant::now() + PATIENCE;
        let mut lines = self.output.lock();
        loop {
            let found = lines
                .all
                .iter()
                .filter(|(from, line)| *from == stream && wanted(line))
                .nth(skip);
            if let Some((_, line)) = found {
                return line.clone();
            }
            let left = until.saturating_duration_since(Instant::now());
            if lines.closed == 2 || left.is_zero() {
                let why = if lines.closed == 2 { "has ended" } else { "went silent" };
                panic!(
                    "`{}` {why} without the line waited for; it said:\n{}",
                    self.name,
                    lines.text()
                );
            }
            lines = self
                .output
                .changed
                .wait_timeout(lines, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// What `stream` has said so far, line by line.
    pub fn lines(&self, stream: Stream) -> Vec<String> {
        self.output.lock().of(stream)
    }

    /// Sends a signal (`TERM`, `INT`, `HUP`, `QUIT`, `USR1`) to the process by its id.
    #[track_caller]
    pub fn signal(&self, signal: &str) {
        // std sends SIGKILL only, and a system call of our own would be `unsafe`; the shell's kill is everywhere.
        let id = self.process.id().to_string();
        let status = Command::new("sh")
            .args(["-c", "kill -s \"$1\" \"$2\"", "kill", signal, &id])
            .status();
        assert!(
            status.expect("sh").success(),
            "`{}` ({id}) took no SIG{signal}",
            self.name
        );
    }

    /// Waits until it ends by itself.
    #[track_caller]
    pub fn wait(mut self) -> Ended {
        self.await_end();
        let status = self.process.wait().expect("a child of ours");
        for reader in self.readers.drain(..) {
            reader.join().expect("a reader that does not panic");
        }
        let lines = self.output.lock();
        let text = |stream| lines.of(stream).into_iter().map(|line| line + "\n").collect();
        Ended {
            status,
            stdout: text(Stream::Stdout),
            stderr: text(Stream::Stderr),
        }
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    #[track_caller]
    pub fn stop(self) -> Ended {
        self.signal("TERM");
        self.wait()
    }

    /// Ends it as a power cut would (SIGKILL) and waits until it has.
    #[track_caller]
    pub fn kill(mut self) -> Ended {
        self.process.kill().expect("a child of ours");
        self.wait()
    }

    /// Waits until both outputs are closed, which a program that ends does.
    #[track_caller]
    fn await_end(&mut self) {
        let lines = self.output.lock();
        let waited = self
            .output
            .changed
            .wait_timeout_while(lines, PATIENCE, |lines| lines.closed < 2);
        let (lines, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(
            !waited.timed_out(),
            "`{}` did not end; it said:\n{}",
            self.name,
            lines.text()
        );
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // A child that has been waited for is gone already: both calls then do nothing.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

// === impl Output ===

impl Output {
    fn lock(&self) -> std::sync::MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn of(&self, stream: Stream) -> Vec<String> {
        self.all
            .iter()
            .filter(|(from, _)| *from == stream)
            .map(|(_, line)| line.clone())
            .collect()
    }

    fn text(&self) -> String {
        self.all
            .iter()
            .map(|(stream, line)| format!("  {stream:?}: {line}\n"))
            .collect()
    }
}

fn read(stream: Stream, from: impl Read + Send + 'static, output: &Arc<Output>) -> JoinHandle<()> {
    let output = Arc::clone(output);
    std::thread::spawn(move || {
        for line in BufReader::new(from).split(b'\n') {
            let Ok(line) = line else { break };
            output
                .lock()
                .all
                .push((stream, String::from_utf8_lossy(&line).into_owned()));
            output.changed.notify_all();
        }
        output.lock().closed += 1;
        output.changed.notify_all();
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Child {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Child::start(command, "a POSIX shell is needed")
    }

    #[test]
    fn waits_for_lines_and_for_the_end() {
        let child = shell("echo one; echo two >&2; echo three; exec cat /dev/null");
        assert_eq!(child.wait_for_line(Stream::Stderr, 0, |_| true), "two");
        assert_eq!(child.wait_for_line(Stream::Stdout, 1, |_| true), "three");
        let ended = child.wait();
        assert!(ended.status.success());
        assert_eq!(
            (ended.stdout.as_str(), ended.stderr.as_str()),
            ("one\nthree\n", "two\n")
        );
    }

    #[test]
    fn stops_by_signal() {
        // `read` on a FIFO nobody writes would need a file; a shell waiting for a job of its own takes a trap at once.
        let child = shell("trap 'echo bye; exit 7' TERM; echo ready; while :; do :; done");
        child.wait_for_line(Stream::Stdout, 0, |line| line == "ready");
        let ended = child.stop();
        assert_eq!((ended.status.code(), ended.stdout.as_str()), (Some(7), "ready\nbye\n"));
    }

    #[test]
    fn dropping_ends_it() {
        let child = shell("echo ready; while :; do :; done");
        child.wait_for_line(Stream::Stdout, 0, |line| line == "ready");
        let path = format!("/proc/{}", child.id());
        drop(child);
        assert!(!std::path::Path::new(&path).exists());
    }

    #[test]
    #[should_panic(expected = "has ended without the line")]
    fn a_line_that_never_comes_fails_with_what_was_said() {
        shell("echo no").wait_for_line(Stream::Stdout, 0, |line| line == "yes");
    }

    #[test]
    #[should_panic(expected = "run ./test")]
    fn a_missing_program_names_the_remedy() {
        Child::start(Command::new("/no/such/program"), "run ./test");
    }
}
