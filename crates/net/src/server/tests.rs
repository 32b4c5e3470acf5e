//! What happens when time passes, on a clock that the tests move, over connections in memory.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::{Instant, advance, sleep};

use super::connection::serve;
use super::handler::{Fault, Handler, Peer, Receipt, Sent};
use super::request_body::RequestBody;
use super::stats::ServerStats;
use super::worker::Worker;
use crate::listener::ListenerSettings;
use crate::reply::Reply;

/// Answers a body with itself or with its error, a refusal with its fault, and `/large` with a mebibyte.
#[derive(Clone, Default)]
struct Mirror(Arc<Mutex<Vec<Sent>>>);

impl Receipt for Mirror {
    fn finished(self, sent: Sent) {
        self.0.lock().unwrap().push(sent);
    }
}

impl Handler for Mirror {
    type Receipt = Self;

    async fn call(&self, request: Request<RequestBody>, _: &Peer) -> (Reply, Self) {
        let is_large = request.uri().path() == "/large";
        let bytes = match request.into_body().collect().await {
            Ok(_) if is_large => Bytes::from(vec![b'x'; 1 << 20]),
            Ok(body) => body.to_bytes(),
            Err(error) => Bytes::from(error.to_string()),
        };
        (Reply::new(StatusCode::OK, bytes), self.clone())
    }

    fn refuse(&self, fault: Fault, _: &Peer) -> (Reply, Self) {
        (Reply::new(StatusCode::OK, Bytes::from(fault.to_string())), self.clone())
    }
}

struct Subject {
    client: DuplexStream,
    task: JoinHandle<()>,
    sent: Arc<Mutex<Vec<Sent>>>,
    begun: Instant,
}

/// A connection whose sockets hold `buffer_bytes`.
fn subject(buffer_bytes: usize) -> Subject {
    let (client, link) = duplex(buffer_bytes);
    let mirror = Mirror::default();
    let sent = Arc::clone(&mirror.0);
    let peer = Peer {
        address: Ipv4Addr::LOCALHOST.into(),
        port: 1,
        local: SocketAddr::from(([127, 0, 0, 1], 2)),
        listener: 0,
        secure: false,
        tls: None,
    };
    let task = tokio::spawn(async move {
        let settings = ListenerSettings::new(peer.local);
        let worker = Worker::new(Arc::new(ServerStats::default()));
        serve(link, BytesMut::new(), Arc::new(mirror), peer, &settings, &worker).await;
    });
    Subject {
        client,
        task,
        sent,
        begun: Instant::now(),
    }
}

impl Subject {
    /// Everything until the connection ends, and the seconds that it took.
    async fn rest(mut self) -> (String, u64) {
        let mut all = String::new();
        self.client.read_to_string(&mut all).await.unwrap();
        let seconds = self.begun.elapsed().as_secs();
        drop(self.client);
        self.task.await.unwrap();
        (all, seconds)
    }
}

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n";

/// Sends each text so many seconds after the one before; the last answer ends with `expected` and the connection after `seconds`.
async fn check(script: &[(u64, &str)], expected: &str, seconds: u64) {
    let mut subject = subject(64 * 1024);
    for (pause, text) in script {
        sleep(Duration::from_secs(*pause)).await; // of paused time
        subject.client.write_all(text.as_bytes()).await.unwrap();
    }
    let (answers, elapsed) = subject.rest().await;
    assert!(answers.ends_with(expected), "{script:?}: {answers}");
    assert_eq!(elapsed, seconds, "{script:?}: {answers}");
}

#[tokio::test(start_paused = true)]
async fn each_wait_has_its_deadline() {
    let late_head = "the head did not arrive in time";
    let late_body = "the body made no progress in time";
    for (script, expected, seconds) in [
        (&[][..], "", 60),                                // silence from the start
        (&[(59, GET)], "content-length: 0\r\n\r\n", 119), // and between requests
        (&[(5, GET), (59, GET)], "content-length: 0\r\n\r\n", 124),
        (&[(59, "G")], late_head, 69), // 10 s from the first byte
        (&[(0, "GET / HTTP/1.1\r\n"), (9, "host: a\r\n")], late_head, 10), // whatever follows
        (
            &[(0, "GET / HTTP/1.1\r\n"), (9, "host: a\r\n\r\n")],
            "content-length: 0\r\n\r\n",
            69,
        ),
        (&[(0, GET), (0, "GET")], late_head, 10),
        (&[(0, POST)], late_body, 15),
        (&[(0, POST), (14, "hel"), (14, "l"), (14, "o")], "hello", 102), // progress renews a body's time
        (&[(0, POST), (14, "hel"), (14, "l")], late_body, 43),
    ] {
        check(script, expected, seconds).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_must_make_progress() {
    for (pause, is_complete) in [(29, true), (31, false)] {
        let mut subject = subject(64 * 1024);
        subject
            .client
            .write_all(b"GET /large HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut buffer = vec![0_u8; 256 * 1024];
        let mut read = 0;
        loop {
            sleep(Duration::from_secs(pause)).await; // of paused time
            match subject.client.read(&mut buffer).await.unwrap() {
                0 => break,
                bytes => read += bytes,
            }
        }
        assert_eq!(read > 1 << 20, is_complete, "{pause} s: {read} bytes");
        let sent = subject.sent.lock().unwrap().clone();
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0].complete, is_complete, "{pause} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_client_that_never_closes_is_left() {
    let mut subject = subject(64 * 1024);
    subject.client.write_all(b"nonsense\n").await.unwrap();
    let mut answer = vec![0_u8; 4096];
    let read = subject.client.read(&mut answer).await.unwrap();
    assert!(
        answer[..read].starts_with(b"HTTP/1.1 200 OK\r\n"),
        "the handler chose so"
    );
    subject.task.await.unwrap();
    assert_eq!(subject.begun.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_body_outlives_its_request_as_an_error() {
    /// Answers at once and gives the body away.
    struct Keeper(Arc<Mutex<Vec<RequestBody>>>);
    impl Handler for Keeper {
        type Receipt = Mirror;
        async fn call(&self, request: Request<RequestBody>, _: &Peer) -> (Reply, Mirror) {
            self.0.lock().unwrap().push(request.into_body());
            (Reply::default(), Mirror::default())
        }
        fn refuse(&self, _: Fault, _: &Peer) -> (Reply, Mirror) {
            (Reply::default(), Mirror::default())
        }
    }
    let (mut client, link) = duplex(4096);
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let keeper = Arc::new(Keeper(Arc::clone(&bodies)));
    let peer = Peer {
        address: Ipv4Addr::LOCALHOST.into(),
        port: 1,
        local: SocketAddr::from(([127, 0, 0, 1], 2)),
        listener: 0,
        secure: false,
        tls: None,
    };
    let task = tokio::spawn(async move {
        let settings = ListenerSettings::new(peer.local);
        let worker = Worker::new(Arc::new(ServerStats::default()));
        serve(link, BytesMut::new(), keeper, peer, &settings, &worker).await;
    });
    client.write_all(POST.as_bytes()).await.unwrap();
    let mut answer = [0_u8; 4096];
    assert_ne!(client.read(&mut answer).await.unwrap(), 0);
    client.write_all(b"first").await.unwrap();
    client.write_all(POST.as_bytes()).await.unwrap();
    assert_ne!(client.read(&mut answer).await.unwrap(), 0);
    let first = bodies.lock().unwrap().remove(0);
    assert_eq!(first.collect().await.unwrap_err(), crate::BodyError::ClientGone);
    client.write_all(b"again").await.unwrap();
    client.shutdown().await.unwrap();
    advance(Duration::from_secs(1)).await;
    task.await.unwrap();
    assert_eq!(bodies.lock().unwrap().len(), 1, "two requests came");
}
