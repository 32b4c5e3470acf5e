//! A WebSocket server that greets, then sends back what it gets.

use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    thread,
};

use portcullis_testkit::{PATIENCE, Received, read_request};

use crate::frame::{CLOSE, Frame, PING, PONG, TEXT};

/// The example of RFC 6455 section 1.3, so that nobody here needs SHA-1: a key …
pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// … and the one right answer to it.
pub(crate) const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The server. It serves any number of connections until the test ends.
pub(crate) struct Echo {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    handshakes: Vec<Received>,
    open: Vec<(usize, TcpStream)>,
}

impl Echo {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::<Shared>::default();
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for (index, stream) in listener.incoming().flatten().enumerate() {
                let shared = Arc::clone(&accepting);
                thread::spawn(move || {
                    shared
                        .state
                        .lock()
                        .unwrap()
                        .open
                        .push((index, stream.try_clone().unwrap()));
                    let _ = serve(&stream, &shared); // a client that goes away ends it
                    shared.state.lock().unwrap().open.retain(|(other, _)| *other != index);
                    shared.changed.notify_all();
                });
            }
        });
        Self { address, shared }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests that it agreed to.
    pub(crate) fn handshakes(&self) -> Vec<Received> {
        self.shared.state.lock().unwrap().handshakes.clone()
    }

    /// Waits until it has seen a connection and none is open any more.
    pub(crate) fn wait_until_idle(&self) {
        let state = self.shared.state.lock().unwrap();
        let busy = |state: &mut State| state.handshakes.is_empty() || !state.open.is_empty();
        let waited = self.shared.changed.wait_timeout_while(state, PATIENCE, busy).unwrap();
        assert!(!waited.1.timed_out(), "a connection stays open");
    }

    /// Ends all connections in order, without a close frame.
    pub(crate) fn hang_up(&self) {
        for (_, stream) in &self.shared.state.lock().unwrap().open {
            stream.shutdown(Shutdown::Both).unwrap();
        }
    }
}

fn serve(mut stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    let mut buffer = Vec::new();
    let Some(request) = read_request(&mut stream, &mut buffer, 0)? else {
        return Ok(());
    };
    assert_eq!(request.header("sec-websocket-key"), Some(KEY));
    shared.state.lock().unwrap().handshakes.push(request);
    // The greeting may arrive with the head, in one segment.
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {ACCEPT}\r\n\
         Sec-WebSocket-Protocol: chat\r\n\r\n"
    );
    stream.write_all(&[head.into_bytes(), Frame::new(TEXT, b"welcome").plain()].concat())?;
    loop {
        let frame = Frame::read(|length| {
            let mut bytes = buffer.drain(..buffer.len().min(length)).collect::<Vec<_>>();
            let early = bytes.len();
            bytes.resize(length, 0);
            stream.read_exact(&mut bytes[early..]).map(|()| bytes)
        })?;
        assert!(frame.is_masked, "a client's frames are masked (RFC 6455 section 5.1)");
        let opcode = if frame.opcode == PING { PONG } else { frame.opcode };
        stream.write_all(&Frame::new(opcode, &frame.payload).plain())?;
        if frame.opcode == CLOSE {
            return stream.shutdown(Shutdown::Write);
        }
    }
}
