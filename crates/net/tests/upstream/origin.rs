//! Origins that do what a script says, connection by connection.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What an origin does next on a connection. At the end of its script it closes.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Reads a request's head.
    Head,
    /// Reads so many bytes.
    Read(usize),
    /// Reads until the client closes.
    ReadAll,
    /// Sends this at once.
    Send(Vec<u8>),
    /// Sends this byte by byte, each in its own segment as far as that can be asked for.
    Slowly(Vec<u8>),
    /// Ends the origin's side and goes on reading.
    EndSide,
    /// Closes with a reset.
    Reset,
}

/// A running origin.
pub(crate) struct Scripted {
    pub(crate) address: SocketAddr,
    connections: JoinHandle<Vec<JoinHandle<Vec<u8>>>>,
}

pub(crate) fn send(text: impl Into<Vec<u8>>) -> Step {
    Step::Send(text.into())
}

/// Serves one connection per script, in the order in which they come, and no others.
pub(crate) async fn serve(scripts: Vec<Vec<Step>>) -> Scripted {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = tokio::spawn(async move {
        let mut connections = Vec::new();
        for script in scripts {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            connections.push(tokio::spawn(run(stream, script)));
        }
        connections
    });
    Scripted { address, connections }
}

impl Scripted {
    /// What each connection has sent, once all scripts have come to their end.
    pub(crate) async fn seen(self) -> Vec<String> {
        let mut seen = Vec::new();
        for connection in self.connections.await.unwrap() {
            seen.push(String::from_utf8_lossy(&connection.await.unwrap()).into_owned());
        }
        seen
    }
}

async fn run(mut stream: TcpStream, script: Vec<Step>) -> Vec<u8> {
    let mut seen = Vec::new();
    for step in script {
        match step {
            Step::Head => {
                let start = seen.len();
                while !seen[start..].ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => seen.push(byte),
                        Err(_) => return seen, // the client has gone elsewhere
                    }
                }
            }
            Step::Read(length) => {
                let start = seen.len();
                seen.resize(start + length, 0);
                stream.read_exact(&mut seen[start..]).await.unwrap();
            }
            // A reset ends it as well as a close.
            Step::ReadAll => drop(stream.read_to_end(&mut seen).await),
            // The client may be gone already: that is for the test to say.
            Step::Send(bytes) => drop(stream.write_all(&bytes).await),
            Step::Slowly(bytes) => {
                for byte in bytes {
                    drop(stream.write_all(&[byte]).await);
                    tokio::task::yield_now().await;
                }
            }
            Step::EndSide => stream.shutdown().await.unwrap(),
            Step::Reset => stream.set_zero_linger().unwrap(),
        }
    }
    seen
}
