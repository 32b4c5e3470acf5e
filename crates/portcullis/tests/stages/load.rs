//! Clients that count every request that is not answered as it should be.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, Scope, ScopedJoinHandle},
};

use portcullis_testkit::PATIENCE;

/// Clients at work until they are stopped.
#[derive(Default)]
pub(crate) struct Load {
    is_done: AtomicBool,
    words: Mutex<BTreeMap<String, usize>>,
}

impl Load {
    /// Starts clients that each open a connection per request, and as many that keep theirs.
    pub(crate) fn start<'s>(
        &'s self,
        scope: &'s Scope<'s, '_>,
        address: SocketAddr,
        clients: usize,
    ) -> Vec<ScopedJoinHandle<'s, ()>> {
        let client = |keeps: bool| scope.spawn(move || self.run(address, keeps));
        (0..clients).flat_map(|_| [client(false), client(true)]).collect()
    }

    /// The answers so far, by word.
    pub(crate) fn words(&self) -> BTreeMap<String, usize> {
        self.words.lock().unwrap().clone()
    }

    /// Waits until there were `count` more answers.
    pub(crate) fn wait_for_more(&self, count: usize, clients: &[ScopedJoinHandle<'_, ()>]) {
        let sum = || self.words().values().sum::<usize>();
        let wanted = sum() + count;
        while sum() < wanted && !clients.iter().any(ScopedJoinHandle::is_finished) {
            thread::yield_now();
        }
    }

    /// Has the clients end with the request that they are at.
    pub(crate) fn stop(&self) {
        self.is_done.store(true, Ordering::Relaxed);
    }

    fn run(&self, address: SocketAddr, keeps: bool) {
        let mut kept = None;
        while !self.is_done.load(Ordering::Relaxed) {
            let answer = match keeps {
                true => get_kept(&mut kept, address),
                false => get(address),
            };
            let word = answer.unwrap_or_else(|error| panic!("a request failed (kept: {keeps}): {error}"));
            *self.words.lock().unwrap().entry(word).or_default() += 1;
        }
    }
}

/// Set when it is dropped, also by a failed assertion: clients must not go on for ever.
pub(crate) struct Stop<'l>(pub(crate) &'l Load);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// The word of `GET /word` over a connection of its own, or the status when it is not 200.
pub(crate) fn get(address: SocketAddr) -> io::Result<String> {
    let mut stream = connect(address)?;
    stream.write_all(b"GET /word HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    said(head, body)
}

/// The same over a connection that is kept until the gateway says that it ends.
fn get_kept(kept: &mut Option<TcpStream>, address: SocketAddr) -> io::Result<String> {
    let mut stream = match kept.take() {
        Some(stream) => stream,
        None => connect(address)?,
    };
    stream.write_all(b"GET /word HTTP/1.1\r\nHost: a\r\n\r\n")?;
    let mut answer = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let length = stream.read(&mut piece)?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        answer.extend_from_slice(&piece[..length]);
        let text = String::from_utf8_lossy(&answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let head = head.to_ascii_lowercase();
        let announced = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if announced.and_then(|length| length.parse().ok()) != Some(body.len()) {
            continue;
        }
        if !head.contains("connection: close") {
            *kept = Some(stream);
        }
        return said(&head, body);
    }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn said(head: &str, body: &str) -> io::Result<String> {
    let status = head.split(' ').nth(1).unwrap_or_default();
    if status != "200" {
        return Ok(status.to_owned());
    }
    let word = body.split('"').nth(3);
    word.map(ToOwned::to_owned)
        .ok_or_else(|| io::Error::other(format!("{head}\n{body}")))
}
