//! A whole proxy: the server in front of the client, to an origin that speaks bytes.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{Request, StatusCode};
use portcullis_net::listener::ListenerSettings;
use portcullis_net::server::{Fault, Handler, Peer, Receipt, RequestBody, Sent, Server, ServerSettings};
use portcullis_net::upstream::{Call, Client, ClientSettings, FieldLines, Origin, RetryRule};
use portcullis_net::{Body, Reply};
use tokio::time::Instant;

use crate::harness::{Wire, settings};

/// Forwards everything to one origin.
pub(crate) struct Forward {
    client: Client,
    origin: Arc<Origin>,
    receipts: Sender<Sent>,
}

pub(crate) struct Told(Sender<Sent>);

impl Receipt for Told {
    fn finished(self, sent: Sent) {
        let _ = self.0.send(sent);
    }
}

impl Handler for Forward {
    type Receipt = Told;

    async fn call(&self, request: Request<RequestBody>, _: &Peer) -> (Reply, Told) {
        let (parts, body) = request.into_parts();
        let upgrade = parts.headers.contains_key("upgrade");
        let call = Call {
            method: parts.method,
            target: parts
                .uri
                .path_and_query()
                .cloned()
                .unwrap_or(PathAndQuery::from_static("/")),
            headers: parts.headers,
            lines: FieldLines::default(),
            host: None,
            body_length: body.length(),
            body: body.into(),
            deadline: Instant::now() + Duration::from_secs(29),
            body_idle_timeout: Duration::from_secs(15),
            retry: RetryRule::Never,
            upgrade,
        };
        let reply = match self.client.call(&self.origin, call).await {
            Ok(answer) => Reply {
                status: answer.status,
                fields: answer.fields,
                body: answer.body,
            },
            Err(error) => Reply::new(StatusCode::BAD_GATEWAY, bytes::Bytes::from(error.to_string())),
        };
        (reply, Told(self.receipts.clone()))
    }

    fn refuse(&self, _: Fault, _: &Peer) -> (Reply, Told) {
        (
            Reply::new(StatusCode::BAD_REQUEST, Body::Empty),
            Told(self.receipts.clone()),
        )
    }
}

/// A proxy in front of an origin that serves one connection with `serve`.
struct Chain {
    server: Server,
    receipts: Receiver<Sent>,
    origin: JoinHandle<()>,
}

fn chain(settings: ListenerSettings, serve: impl FnOnce(TcpStream) + Send + 'static) -> Chain {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let origin = Arc::new(Origin::http(&listener.local_addr().unwrap().to_string()).unwrap());
    let thread = thread::spawn(move || serve(listener.accept().unwrap().0));
    let (receipt, receipts) = channel();
    let settings = ServerSettings {
        workers: 1,
        listeners: vec![settings],
    };
    let server = Server::start(settings, |_| Forward {
        client: Client::new(ClientSettings::default()),
        origin: Arc::clone(&origin),
        receipts: receipt.clone(),
    });
    Chain {
        server: server.unwrap(),
        receipts,
        origin: thread,
    }
}

/// Reads one request's head.
fn head(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut byte = [0_u8; 1];
    while !bytes.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        bytes.push(byte[0]);
    }
    String::from_utf8(bytes).unwrap()
}

const UPGRADE: &str = "GET /ws HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\nconnection: upgrade\r\n\r\n";
const SWITCHING: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";

#[test]
fn a_tunnel_carries_everything_and_each_end_on_its_own() {
    let chain = chain(settings(), |mut stream| {
        assert!(head(&mut stream).to_lowercase().contains("upgrade: echo\r\n"));
        stream.write_all(&[SWITCHING, b"early"].concat()).unwrap(); // left over behind the head
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap(); // half closed by the client: we may go on
        stream.write_all(&all).unwrap();
        stream.write_all(b"late").unwrap();
    });
    let mut wire = Wire::connect(chain.server.local_addresses()[0]);
    wire.send(format!("{UPGRADE}first,"));
    wire.expect(&format!("{SWITCHED}early"));
    let rest = "0123456789abcdef".repeat(100_000);
    wire.send(&rest);
    wire.end();
    assert_eq!(wire.rest(), format!("first,{rest}late"));
    chain.origin.join().unwrap();
    let body_bytes = (5 + 6 + rest.len() + 4) as u64;
    assert_eq!(
        chain.receipts.recv().unwrap(),
        Sent {
            body_bytes,
            complete: true
        }
    );
}

#[test]
fn a_silent_tunnel_is_closed() {
    let mut settings = settings();
    settings.tunnel_idle_timeout = Duration::from_millis(100);
    let chain = chain(settings, |mut stream| {
        head(&mut stream);
        stream.write_all(SWITCHING).unwrap();
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all); // ended or reset
        assert_eq!(all, b"");
    });
    let mut wire = Wire::connect(chain.server.local_addresses()[0]);
    wire.send(UPGRADE);
    wire.expect(SWITCHED);
    assert_eq!(wire.rest(), "");
    chain.origin.join().unwrap();
    assert!(!chain.receipts.recv().unwrap().complete);
}

#[test]
fn an_upgrade_that_is_declined_is_an_ordinary_answer() {
    let chain = chain(settings(), |mut stream| {
        head(&mut stream);
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno")
            .unwrap();
        head(&mut stream);
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyes")
            .unwrap();
    });
    let mut wire = Wire::connect(chain.server.local_addresses()[0]);
    wire.send(UPGRADE);
    wire.expect("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno");
    wire.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    wire.expect("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyes");
    chain.origin.join().unwrap();
}

#[test]
fn an_origin_that_breaks_off_breaks_the_answer() {
    for (answer, expected) in [
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 50000\r\n\r\nshort",
            "HTTP/1.1 200 OK\r\ncontent-length: 50000\r\n\r\nshort",
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nshort\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nshort\r\n",
        ),
    ] {
        let chain = chain(settings(), move |mut stream| {
            head(&mut stream);
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let mut wire = Wire::connect(chain.server.local_addresses()[0]);
        wire.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        let read = wire.rest();
        assert!(expected.starts_with(&read), "{read}");
        assert!(!chain.receipts.recv().unwrap().complete);
        chain.origin.join().unwrap();
    }
}

#[test]
fn uploads_and_downloads_flow_at_once() {
    let bytes: usize = 64 << 20;
    let mut settings = settings();
    settings.body_bytes_max = 1 << 30;
    let chain = chain(settings, move |mut stream| {
        assert!(head(&mut stream).contains(&format!("content-length: {bytes}\r\n")));
        stream
            .write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n").as_bytes())
            .unwrap();
        let mut buffer = vec![0_u8; 64 * 1024];
        let mut left = bytes;
        while left > 0 {
            let read = stream.read(&mut buffer).unwrap();
            stream.write_all(&buffer[..read]).unwrap();
            left -= read;
        }
        stream.shutdown(Shutdown::Write).unwrap();
    });
    let mut wire = Wire::connect(chain.server.local_addresses()[0]);
    let mut writer = wire.split();
    let piece: Vec<u8> = (0..65_521_u32).map(|number| (number % 251) as u8).collect();
    let sent = piece.clone();
    let sending = thread::spawn(move || {
        writer.send(format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {bytes}\r\n\r\n"));
        let mut left = bytes;
        while left > 0 {
            let length = left.min(sent.len());
            writer.send(&sent[..length]);
            left -= length;
        }
    });
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(wire.skip(1));
    }
    let mut left = bytes;
    while left > 0 {
        let length = left.min(piece.len());
        assert!(wire.skip(length) == piece[..length], "{left} bytes before the end");
        left -= length;
    }
    sending.join().unwrap();
    chain.origin.join().unwrap();
    assert_eq!(
        chain.receipts.recv().unwrap(),
        Sent {
            body_bytes: bytes as u64,
            complete: true
        }
    );
}
