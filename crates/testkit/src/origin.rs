//! Origins that answer, or fail to, exactly as a test wants.

use std::{
    io::{self, Write as _},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use socket2::SockRef;

use crate::{PATIENCE, Received, request::read_request};

/// One thing that an origin does on a connection; a script is a list of them.
///
/// A script whose last step is done starts again from its first on the same connection, so `[ReadRequest, Send(…)]` is a
/// kept-alive server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Read one request and record it; ends the connection when the client has closed it.
    ReadRequest,
    /// Write these bytes at once.
    Send(Vec<u8>),
    /// Write these bytes one after the other, this long apart: a slow origin.
    Trickle(Vec<u8>, Duration),
    /// Do nothing until the client goes away or the test ends: an origin that hangs.
    Hang,
    /// Wait until the test calls [`Origin::release`] once more.
    AwaitRelease,
    /// End the connection in order (FIN).
    Close,
    /// End the connection with a reset (RST).
    Reset,
}

/// A TCP server on loopback that plays scripts and records what it receives.
#[derive(Debug)]
pub struct Origin {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    log: Mutex<Log>,
    changed: Condvar,
    ended: AtomicBool,
}

#[derive(Debug, Default)]
struct Log {
    requests: Vec<Received>,
    connections: Vec<Option<TcpStream>>, // `None` once closed
    releases: usize,
}

// === impl Origin ===

impl Origin {
    /// Plays `scripts[n]` on the n-th connection, and the last one on every later connection.
    pub fn scripted(scripts: Vec<Vec<Step>>) -> Self {
        assert!(
            scripts.iter().all(|script| !script.is_empty()) && !scripts.is_empty(),
            "a script has a step"
        );
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || accept(&listener, &scripts, &accepting));
        Self { address, shared }
    }

    /// Answers every request of every connection with these bytes.
    pub fn answering(response: impl Into<Vec<u8>>) -> Self {
        Self::scripted(vec![vec![Step::ReadRequest, Step::Send(response.into())]])
    }

    /// Answers 200 with `body`, framed by its length.
    pub fn ok(body: &str) -> Self {
        Self::answering(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    /// Reads the request and never answers.
    pub fn hanging() -> Self {
        Self::scripted(vec![vec![Step::ReadRequest, Step::Hang]])
    }

    /// Reads the request and resets the connection.
    pub fn resetting() -> Self {
        Self::scripted(vec![vec![Step::ReadRequest, Step::Reset]])
    }

    /// Reads the request and closes the connection without a word.
    pub fn closing() -> Self {
        Self::scripted(vec![vec![Step::ReadRequest, Step::Close]])
    }

    /// Announces `announced` bytes, sends `body` and closes: more or less than it said.
    pub fn lying_about_length(announced: usize, body: &str) -> Self {
        let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {announced}\r\n\r\n{body}");
        Self::scripted(vec![vec![Step::ReadRequest, Step::Send(response.into()), Step::Close]])
    }

    /// Sends `response` byte by byte, `pause` apart.
    pub fn slow(response: impl Into<Vec<u8>>, pause: Duration) -> Self {
        Self::scripted(vec![vec![Step::ReadRequest, Step::Trickle(response.into(), pause)]])
    }

    /// Where it listens, `127.0.0.1:PORT`.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests received so far, in order.
    pub fn requests(&self) -> Vec<Received> {
        self.shared.lock().requests.clone()
    }

    /// Waits until `count` requests have been received and returns all of them.
    #[track_caller]
    pub fn wait_for_requests(&self, count: usize) -> Vec<Received> {
        self.shared
            .wait_until(|log| log.requests.len() >= count)
            .requests
            .clone()
    }

    /// How many connections have been accepted so far.
    pub fn connection_count(&self) -> usize {
        self.shared.lock().connections.len()
    }

    /// Waits until no connection is open any more.
    #[track_caller]
    pub fn wait_until_idle(&self) {
        drop(
            self.shared
                .wait_until(|log| log.connections.iter().all(Option::is_none)),
        );
    }

    /// Lets one [`Step::AwaitRelease`] go on.
    pub fn release(&self) {
        self.shared.lock().releases += 1;
        self.shared.changed.notify_all();
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        for connection in self.shared.lock().connections.iter().flatten() {
            let _ = connection.shutdown(Shutdown::Both);
        }
        self.shared.changed.notify_all();
        let _ = TcpStream::connect(self.address); // wakes the accepting thread, which then ends
    }
}

// === impl Shared ===

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[track_caller]
    fn wait_until(&self, reached: impl Fn(&Log) -> bool) -> std::sync::MutexGuard<'_, Log> {
        let waited = self
            .changed
            .wait_timeout_while(self.lock(), PATIENCE, |log| !reached(log));
        let (log, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(
            !waited.timed_out(),
            "the origin waited in vain; it received {:#?}",
            log.requests
        );
        log
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }
}

fn accept(listener: &TcpListener, scripts: &[Vec<Step>], shared: &Arc<Shared>) {
    for stream in listener.incoming().flatten() {
        if shared.has_ended() {
            return;
        }
        let mut log = shared.lock();
        let index = log.connections.len();
        log.connections.push(stream.try_clone().ok());
        drop(log);
        let script = scripts[index.min(scripts.len() - 1)].clone();
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            let _ = play(&script, &stream, index, &shared); // a client that goes away ends its script
            shared.lock().connections[index] = None; // the second handle first: the last one to go closes
            drop(stream);
            shared.changed.notify_all();
        });
    }
}

fn play(script: &[Step], mut stream: &TcpStream, connection: usize, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::new();
    for step in script.iter().cycle() {
        match step {
            Step::ReadRequest => {
                let Some(request) = read_request(&mut stream, &mut buffer, connection)? else {
                    return Ok(());
                };
                shared.lock().requests.push(request);
                shared.changed.notify_all();
            }
            Step::Send(bytes) => stream.write_all(bytes)?,
            Step::Trickle(bytes, pause) => trickle(stream, bytes, *pause, shared)?,
            Step::Hang => return wait_for_end(stream),
            Step::AwaitRelease => await_release(shared)?,
            Step::Close => return stream.shutdown(Shutdown::Both),
            Step::Reset => return SockRef::from(stream).set_linger(Some(Duration::ZERO)), // makes the close a reset
        }
    }
    Ok(())
}

/// Reads and forgets until the client, or the end of the test, closes the connection.
fn wait_for_end(mut stream: &TcpStream) -> io::Result<()> {
    io::copy(&mut stream, &mut io::sink()).map(|_| ())
}

fn await_release(shared: &Shared) -> io::Result<()> {
    let waiting = |log: &Log| log.releases == 0 && !shared.has_ended();
    let waited = shared
        .changed
        .wait_timeout_while(shared.lock(), PATIENCE, |log| waiting(log));
    let (mut log, _) = waited.unwrap_or_else(PoisonError::into_inner);
    if log.releases == 0 {
        return Err(io::ErrorKind::TimedOut.into());
    }
    log.releases -= 1;
    Ok(())
}

/// The pauses are what is tested here, so they are slept; a test's end cuts them short.
fn trickle(mut stream: &TcpStream, bytes: &[u8], pause: Duration, shared: &Shared) -> io::Result<()> {
    for byte in bytes {
        stream.write_all(&[*byte])?;
        let until = Instant::now() + pause;
        let waited = shared
            .changed
            .wait_timeout_while(shared.lock(), pause, |_| !shared.has_ended() && Instant::now() < until);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::{curl, try_curl};

    fn url(origin: &Origin) -> String {
        format!("http://{}/a", origin.address())
    }

    #[test]
    fn answers_and_records() {
        let origin = Origin::ok("hello");
        let answer = curl(&["-H", "X-A: 1", "--data", "body", &url(&origin), &url(&origin)]);
        assert_eq!((answer.status, answer.text()), (200, "hello"));
        let requests = origin.wait_for_requests(2);
        assert_eq!(requests[0].request_line(), "POST /a HTTP/1.1");
        assert_eq!(
            (requests[0].header("x-a"), &requests[0].body[..]),
            (Some("1"), &b"body"[..])
        );
        assert_eq!(
            (requests[1].connection, origin.connection_count()),
            (0, 1),
            "the connection is kept"
        );
        origin.wait_until_idle();
    }

    #[test]
    fn fails_in_each_way() {
        let check = |origin: Origin, code: i32| {
            assert_eq!(try_curl(&["--max-time", "1", &url(&origin)]).unwrap_err().code, code);
            assert_eq!(origin.requests().len(), 1);
        };
        check(Origin::hanging(), 28);
        check(Origin::resetting(), 56);
        check(Origin::closing(), 52);
        check(Origin::lying_about_length(9, "short"), 18);
        check(
            Origin::slow("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Duration::from_secs(30)),
            28,
        );
    }

    #[test]
    fn a_slow_answer_is_still_an_answer() {
        let origin = Origin::slow(
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n.",
            Duration::from_millis(1),
        );
        assert_eq!(curl(&[&url(&origin)]).text(), ".");
    }

    #[test]
    fn plays_one_script_per_connection_and_waits_to_be_released() {
        let answer = |body: &str| Step::Send(format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{body}").into());
        let origin = Origin::scripted(vec![
            vec![Step::Close],
            vec![Step::ReadRequest, Step::AwaitRelease, answer("b"), Step::Close],
        ]);
        assert_eq!(TcpStream::connect(origin.address()).unwrap().read(&mut [0]).unwrap(), 0);
        let caller = std::thread::spawn({
            let url = url(&origin);
            move || curl(&[&url]).text().to_owned()
        });
        origin.wait_for_requests(1);
        assert!(!caller.is_finished());
        origin.release();
        assert_eq!(caller.join().unwrap(), "b");
    }
}
