//! A handler whose answers are easy to read, a server of one worker around it, and a client that speaks bytes.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::pin::Pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use portcullis_net::http1::HeadFault;
use portcullis_net::listener::ListenerSettings;
use portcullis_net::server::{Fault, Handler, Peer, Receipt, RequestBody, Sent, Server, ServerSettings, ServerStats};
use portcullis_net::{Body, BodyError, Fields, Reply};
use tokio::sync::Semaphore;

/// However slow the machine is: a test that takes this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A server and what its handler saw.
pub(crate) struct Subject {
    pub(crate) server: Server,
    /// `GET /path` for each call, `fault: …` for each refusal.
    pub(crate) calls: Arc<Mutex<Vec<String>>>,
    /// What became of the answers.
    pub(crate) receipts: Receiver<Sent>,
    /// What `/wait` waits for.
    pub(crate) gate: Arc<Semaphore>,
    /// A line for each `/wait` that has begun to wait.
    pub(crate) waiting: Receiver<()>,
}

struct Echo {
    calls: Arc<Mutex<Vec<String>>>,
    receipts: Sender<Sent>,
    gate: Arc<Semaphore>,
    waiting: Sender<()>,
}

pub(crate) struct Told(Sender<Sent>);

impl Receipt for Told {
    fn finished(self, sent: Sent) {
        let _ = self.0.send(sent);
    }
}

/// Frames or errors in a row.
pub(crate) struct Pieces {
    pieces: std::vec::IntoIter<Result<Bytes, BodyError>>,
    length: Option<u64>,
}

impl Pieces {
    fn body(length: Option<u64>, pieces: Vec<Result<&'static str, BodyError>>) -> Body {
        let pieces: Vec<_> = pieces
            .into_iter()
            .map(|piece| piece.map(|text| Bytes::from_static(text.as_bytes())))
            .collect();
        Body::stream(Self {
            pieces: pieces.into_iter(),
            length,
        })
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Poll::Ready(self.pieces.next().map(|piece| piece.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Handler for Echo {
    type Receipt = Told;

    async fn call(&self, request: Request<RequestBody>, peer: &Peer) -> (Reply, Told) {
        self.calls
            .lock()
            .unwrap()
            .push(format!("{} {}", request.method(), request.uri()));
        let path = request.uri().path().to_owned();
        let fields: String = match path.as_str() {
            "/fields" => request
                .headers()
                .iter()
                .map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap()))
                .collect(),
            _ => String::new(),
        };
        let builder = Response::builder();
        let response = match path.as_str() {
            "/echo" => {
                let announced = request.body().length();
                match request.into_body().collect().await {
                    Ok(body) => builder.body(Body::from(body.to_bytes())),
                    Err(error) => builder
                        .status(StatusCode::BAD_REQUEST)
                        .body(Body::from(Bytes::from(format!("{error}, announced {announced:?}")))),
                }
            }
            "/stream" => builder.body(Body::from(request.into_body())),
            "/unread" => builder
                .status(StatusCode::PAYLOAD_TOO_LARGE)
                .body(Body::from(Bytes::from_static(b"no"))),
            "/pieces" => builder.body(Pieces::body(None, vec![Ok("one"), Ok(""), Ok("two"), Ok("three")])),
            "/known" => builder.body(Pieces::body(Some(6), vec![Ok("one"), Ok("two")])),
            "/breaks" => builder.body(Pieces::body(None, vec![Ok("one"), Err(BodyError::UpstreamBroken)])),
            "/short" => builder.body(Pieces::body(Some(7), vec![Ok("one"), Ok("two")])),
            "/long" => builder.body(Pieces::body(Some(5), vec![Ok("one"), Ok("two")])),
            "/fields" => builder.body(Body::from(Bytes::from(fields))),
            "/large" => builder.body(Body::from(Bytes::from(vec![b'x'; 1 << 20]))),
            "/empty" => builder.body(Body::Empty),
            "/204" => builder
                .status(StatusCode::NO_CONTENT)
                .header("content-length", "5")
                .body(Body::from(Bytes::from_static(b"gone?"))),
            "/304" => builder
                .status(StatusCode::NOT_MODIFIED)
                .header("content-length", "5")
                .header("etag", "\"1\"")
                .body(Body::Empty),
            "/100" => builder.status(StatusCode::CONTINUE).body(Body::Empty),
            "/close" => builder
                .header("connection", "close")
                .header("keep-alive", "timeout=5")
                .body(Body::from(Bytes::from_static(b"bye"))),
            "/confused" => builder
                .header("content-length", "99")
                .header("transfer-encoding", "chunked")
                .header("date", "Thu, 01 Jan 1970 00:00:00 GMT")
                .header("x-kept", "yes")
                .body(Body::from(Bytes::from_static(b"hello"))),
            "/peer" => builder.body(Body::from(Bytes::from(format!(
                "{}|{}|{}|{}",
                peer.address, peer.port, peer.local, peer.secure
            )))),
            "/wait" => {
                let _ = self.waiting.send(());
                self.gate.acquire().await.unwrap().forget();
                builder.body(Body::from(Bytes::from_static(b"waited")))
            }
            "/panic" => panic!("the handler was asked to"),
            _ => builder.body(Body::from(Bytes::from_static(b"hello"))),
        };
        (reply(response.unwrap()), Told(self.receipts.clone()))
    }

    fn refuse(&self, fault: Fault, _: &Peer) -> (Reply, Told) {
        self.calls.lock().unwrap().push(format!("fault: {fault}"));
        let status = match fault {
            Fault::HeadTimeout => 408,
            Fault::Overloaded => 503,
            Fault::Head(HeadFault::LineTooLong) => 414,
            Fault::Head(HeadFault::FieldsTooLarge | HeadFault::FieldsTooMany) => 431,
            Fault::Head(HeadFault::VersionUnsupported) => 505,
            Fault::Head(_) | Fault::Framing(_) => 400,
        };
        let response = Response::builder().status(status).body(Body::Empty);
        (reply(response.unwrap()), Told(self.receipts.clone()))
    }
}

fn reply(response: Response<Body>) -> Reply {
    let (head, body) = response.into_parts();
    Reply {
        status: head.status,
        fields: Fields::from(&head.headers),
        body,
    }
}

pub(crate) fn settings() -> ListenerSettings {
    ListenerSettings::new(SocketAddr::from(([127, 0, 0, 1], 0)))
}

/// A server of one worker with default limits.
pub(crate) fn subject() -> Subject {
    subject_with(settings())
}

pub(crate) fn subject_with(settings: ListenerSettings) -> Subject {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let (receipt, receipts) = channel();
    let (waits, waiting) = channel();
    let gate = Arc::new(Semaphore::new(0));
    let settings = ServerSettings {
        workers: 1,
        listeners: vec![settings],
    };
    let server = Server::start(settings, |_| Echo {
        calls: Arc::clone(&calls),
        receipts: receipt.clone(),
        gate: Arc::clone(&gate),
        waiting: waits.clone(),
    });
    Subject {
        server: server.unwrap(),
        calls,
        receipts,
        gate,
        waiting,
    }
}

impl Subject {
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.local_addresses()[0]
    }

    pub(crate) fn connect(&self) -> Wire {
        Wire::connect(self.address())
    }

    /// Sends `bytes` and all of its answers until the server closes; our sending side stays open.
    pub(crate) fn talk(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut wire = self.connect();
        wire.send(bytes);
        wire.rest()
    }

    /// The same with our sending side closed behind `bytes`.
    pub(crate) fn talk_half_closed(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut wire = self.connect();
        wire.send(bytes);
        wire.end();
        wire.rest()
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    pub(crate) fn receipt(&self) -> Sent {
        self.receipts.recv_timeout(PATIENCE).expect("a receipt")
    }
}

/// A connection is counted as closed just behind its last byte.
pub(crate) fn await_open(stats: &ServerStats, open: u64) {
    let begun = Instant::now();
    while stats.open() != open {
        assert!(begun.elapsed() < PATIENCE, "{} open in place of {open}", stats.open());
        std::thread::yield_now();
    }
}

/// A client's connection.
pub(crate) struct Wire(TcpStream);

impl Wire {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).unwrap();
    }

    pub(crate) fn end(&mut self) {
        self.0.shutdown(Shutdown::Write).unwrap();
    }

    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.0.write_all(bytes.as_ref())
    }

    /// Everything until the server closes, without the dates. A reset reads as ` RESET`.
    pub(crate) fn rest(&mut self) -> String {
        let mut all = Vec::new();
        match self.0.read_to_end(&mut all) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => all.extend(b" RESET"),
            Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&all)),
        }
        undated(&String::from_utf8(all).unwrap())
    }

    /// Reads exactly as much as `expected` is long (the dates aside) and compares.
    pub(crate) fn expect(&mut self, expected: &str) {
        let mut read = Vec::new();
        let mut byte = [0_u8; 1];
        while undated(&String::from_utf8_lossy(&read)) != expected {
            assert!(read.len() < expected.len() + 4096, "{}", String::from_utf8_lossy(&read));
            match self.0.read(&mut byte) {
                Ok(1) => read.push(byte[0]),
                other => panic!("{other:?} after {:?}", String::from_utf8_lossy(&read)),
            }
        }
    }

    /// Reads so many bytes.
    pub(crate) fn skip(&mut self, mut bytes: usize) -> Vec<u8> {
        let mut all = Vec::with_capacity(bytes);
        let mut buffer = vec![0_u8; 64 * 1024];
        while bytes > 0 {
            let room = bytes.min(buffer.len());
            let read = self.0.read(&mut buffer[..room]).unwrap();
            assert_ne!(read, 0, "ended {bytes} bytes early");
            all.extend_from_slice(&buffer[..read]);
            bytes -= read;
        }
        all
    }

    pub(crate) fn split(&self) -> Self {
        Self(self.0.try_clone().unwrap())
    }
}

/// Without its `date` lines, which every answer must have.
pub(crate) fn undated(text: &str) -> String {
    let mut result = String::new();
    for line in text.split_inclusive("\r\n") {
        if !(line.starts_with("date: ") && line.ends_with(" GMT\r\n")) {
            result.push_str(line);
        }
    }
    result
}

/// How much longer the long tests run: `PORTCULLIS_SOAK`, 1 unless set.
pub(crate) fn soak() -> u32 {
    std::env::var("PORTCULLIS_SOAK")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1)
}
