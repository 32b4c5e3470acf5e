//! A connection for bytes that no well-behaved client sends, and for ends of connections that curl does not tell apart.

use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
};

use crate::{Answer, PATIENCE, curl::parse_heads};

/// A TCP connection to a server; closed when dropped.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// How a server ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireEnd {
    /// In order (FIN).
    Closed,
    /// With a reset (RST).
    Reset,
}

// === impl Wire ===

impl Wire {
    /// Connects; panics when nobody listens.
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"));
        stream.set_nodelay(true).expect("TCP_NODELAY");
        stream.set_read_timeout(Some(PATIENCE)).expect("a read timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a write timeout");
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    /// Sends these bytes at once; panics when the server takes them no more.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.try_send(bytes)
            .unwrap_or_else(|error| panic!("cannot send: {error}"));
        self
    }

    /// Sends these bytes at once, to a server that may have ended the connection already.
    ///
    /// # Errors
    /// The server takes them no more.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Ends our side (FIN) and goes on reading.
    pub fn finish(&mut self) -> &mut Self {
        let _ = self.stream.shutdown(Shutdown::Write); // the server may have ended both
        self
    }

    /// Reads one answer that is framed by its `Content-Length`, after any interim ones; what follows it stays unread.
    #[track_caller]
    pub fn read_answer(&mut self) -> Answer {
        loop {
            let (status, headers) = parse_heads(self.read_head().as_bytes());
            if status < 200 {
                continue;
            }
            let length = headers.get("content-length").and_then(|length| length.to_str().ok());
            let length = length
                .and_then(|length| length.parse().ok())
                .unwrap_or_else(|| panic!("the answer is not framed by its length: {headers:?}"));
            let body = self.read_exact(length);
            return Answer { status, headers, body };
        }
    }

    /// Reads the head of one answer, its empty line included.
    #[track_caller]
    pub fn read_head(&mut self) -> String {
        let mut searched = 0;
        loop {
            let found = self.unread[searched..]
                .windows(4)
                .position(|window| window == b"\r\n\r\n");
            if let Some(end) = found.map(|position| searched + position + 4) {
                let head: Vec<u8> = self.unread.drain(..end).collect();
                return String::from_utf8_lossy(&head).into_owned();
            }
            searched = self.unread.len().saturating_sub(3);
            assert!(self.fill() > 0, "the connection ended; unread is {:?}", self.text());
        }
    }

    /// Reads exactly this many bytes.
    #[track_caller]
    pub fn read_exact(&mut self, length: usize) -> Vec<u8> {
        while self.unread.len() < length {
            assert!(self.fill() > 0, "the connection ended; unread is {:?}", self.text());
        }
        self.unread.drain(..length).collect()
    }

    /// Reads whatever comes until the server ends the connection, and how it did.
    #[track_caller]
    pub fn read_to_end(&mut self) -> (Vec<u8>, WireEnd) {
        let mut bytes = std::mem::take(&mut self.unread);
        let end = match self.stream.read_to_end(&mut bytes) {
            Ok(_) => WireEnd::Closed,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => WireEnd::Reset,
            Err(error) => panic!("the server neither spoke nor ended the connection: {error}"),
        };
        (bytes, end)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.unread).into_owned()
    }

    #[track_caller]
    fn fill(&mut self) -> usize {
        let mut chunk = [0; 16 * 1024];
        let length = self
            .stream
            .read(&mut chunk)
            .unwrap_or_else(|error| panic!("cannot read: {error}; unread is {:?}", self.text()));
        self.unread.extend_from_slice(&chunk[..length]);
        length
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Origin, Step};

    const REQUEST: &str = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";

    #[test]
    fn reads_answers_one_by_one() {
        let two = "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: 1\r\n\r\nhi";
        let origin = Origin::answering(two);
        let mut wire = Wire::connect(origin.address());
        wire.send(REQUEST).send(REQUEST);
        for _ in 0..2 {
            let answer = wire.read_answer();
            assert_eq!(
                (answer.status, answer.text(), answer.header("x-a")),
                (200, "hi", Some("1"))
            );
        }
        assert_eq!(wire.finish().read_to_end(), (Vec::new(), WireEnd::Closed));
    }

    #[test]
    fn tells_how_a_connection_ends() {
        let check = |end: Step, expected: WireEnd| {
            let origin = Origin::scripted(vec![vec![
                Step::ReadRequest,
                Step::AwaitRelease,
                Step::Send(b"bye".into()),
                end,
            ]]);
            let mut wire = Wire::connect(origin.address());
            wire.send(REQUEST);
            origin.release();
            assert_eq!(wire.read_exact(3), b"bye");
            assert_eq!(wire.read_to_end().1, expected);
        };
        check(Step::Close, WireEnd::Closed);
        check(Step::Reset, WireEnd::Reset);
    }
}
