//! A client's connection that speaks HTTP/2 frame by frame, also such as no client sends.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use crate::harness::PATIENCE;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// Frame types (RFC 9113 section 6).
pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

// Flags.
pub(super) const END_STREAM: u8 = 1;
pub(super) const ACK: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

// Error codes (RFC 9113 section 7).
pub(super) const NO_ERROR: u32 = 0;
pub(super) const PROTOCOL_ERROR: u32 = 1;
pub(super) const CANCEL: u32 = 8;
pub(super) const ENHANCE_YOUR_CALM: u32 = 11;

pub(super) struct Wire {
    stream: TcpStream,
    /// The code of a farewell that was read.
    away: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

/// How the server ends a stream or a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// GOAWAY with this code.
    Away(u32),
    /// The connection was closed or reset without one, or before it could be read.
    Closed,
}

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Fields as HPACK literals without indexing, without Huffman's code (RFC 7541 section 6.2.2).
pub(super) fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        for text in [name, value] {
            integer(&mut bytes, text.len());
            bytes.extend(text.as_bytes());
        }
    }
    bytes
}

/// An integer with a prefix of 7 bits (RFC 7541 section 5.1).
fn integer(bytes: &mut Vec<u8>, mut value: usize) {
    if value < 127 {
        return bytes.push(value as u8);
    }
    bytes.push(127);
    value -= 127;
    while value >= 128 {
        bytes.push((value % 128) as u8 | 128);
        value /= 128;
    }
    bytes.push(value as u8);
}

/// The fields of a GET.
pub(super) fn get(path: &str) -> Vec<u8> {
    fields(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "a"),
        (":path", path),
    ])
}

/// The fields of a POST.
pub(super) fn post(path: &str) -> Vec<u8> {
    fields(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "a"),
        (":path", path),
    ])
}

impl Wire {
    /// Connects, sends preface and `settings`, and reads the server's.
    pub(super) fn open(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let mut wire = Self::silent(address);
        wire.send(PREFACE);
        wire.settings(settings);
        assert_eq!(wire.read().kind, SETTINGS);
        wire.send(frame(SETTINGS, ACK, 0, &[]));
        wire
    }

    /// Connects and says nothing.
    pub(super) fn silent(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, away: None }
    }

    pub(super) fn settings(&mut self, settings: &[(u16, u32)]) {
        let mut payload = Vec::new();
        for (name, value) in settings {
            payload.extend(name.to_be_bytes());
            payload.extend(value.to_be_bytes());
        }
        self.send(frame(SETTINGS, 0, 0, &payload));
    }

    pub(super) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).unwrap();
    }

    pub(super) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Sends a request without a body.
    pub(super) fn request(&mut self, stream: u32, fields: &[u8]) {
        self.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, fields));
    }

    /// The next frame.
    pub(super) fn read(&mut self) -> Frame {
        self.try_read().expect("a frame")
    }

    fn try_read(&mut self) -> io::Result<Frame> {
        let mut header = [0; 9];
        self.stream.read_exact(&mut header)?;
        let [high, middle, low, kind, flags, stream @ ..] = header;
        let mut payload = vec![0; u32::from_be_bytes([0, high, middle, low]) as usize];
        self.stream.read_exact(&mut payload)?;
        if kind == PING && flags & ACK == 0 {
            let _ = self.try_send(frame(PING, ACK, 0, &payload)); // the server may have ended the connection by now
        }
        Ok(Frame {
            kind,
            flags,
            stream: u32::from_be_bytes(stream),
            payload,
        })
    }

    /// Skips what comes until a frame of this kind.
    pub(super) fn read_until(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.read();
            if frame.kind == kind {
                return frame;
            }
            assert_ne!(frame.kind, GOAWAY, "{frame:?}");
        }
    }

    /// Skips what comes until the server's farewell.
    pub(super) fn read_until_goaway(&mut self) -> Frame {
        loop {
            let frame = self.read();
            if frame.kind == GOAWAY {
                self.away = Some(code(&frame.payload[4..]));
                return frame;
            }
        }
    }

    /// The body of the answer on `stream`, or the code with which the stream is reset.
    pub(super) fn answer(&mut self, stream: u32) -> Result<Vec<u8>, u32> {
        let mut body = Vec::new();
        loop {
            let frame = self.read();
            assert!(frame.kind != GOAWAY || frame.payload[4..8] == [0; 4], "{frame:?}");
            if frame.stream != stream {
                continue;
            }
            match frame.kind {
                RST_STREAM => return Err(code(&frame.payload)),
                DATA => body.extend(frame.payload),
                _ => {}
            }
            if matches!(frame.kind, DATA | HEADERS) && frame.flags & END_STREAM != 0 {
                return Ok(body);
            }
        }
    }

    /// Skips what comes until the server ends the connection.
    pub(super) fn end(&mut self) -> End {
        loop {
            match self.try_read() {
                Ok(frame) if frame.kind == GOAWAY => self.away = Some(code(&frame.payload[4..])),
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    panic!("the server goes on")
                }
                Err(_) => return self.away.map_or(End::Closed, End::Away),
            }
        }
    }
}

fn code(payload: &[u8]) -> u32 {
    u32::from_be_bytes(payload[..4].try_into().unwrap())
}
