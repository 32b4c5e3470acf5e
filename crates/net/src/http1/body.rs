//! Reading a body off a buffer, piece by piece (RFC 9112 sections 6 and 7.1).

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderName, HeaderValue};

use super::framing::{RequestFraming, ResponseFraming};
use super::head::FIELDS_MAX;

/// The most digits of a chunk size; 16 hold every 64-bit number, so the size cannot overflow.
pub const CHUNK_SIZE_DIGITS_MAX: usize = 16;
/// The most bytes of extensions behind one chunk size. They are ignored (RFC 9112 section 7.1.1).
pub const CHUNK_EXTENSION_BYTES_MAX: usize = 256;
/// The most bytes of extensions in one body.
pub const EXTENSIONS_BYTES_MAX: usize = 8 * 1024;
/// The most bytes of the trailer section with its line breaks. Trailers are checked and discarded.
pub const TRAILERS_BYTES_MAX: usize = 8 * 1024;

/// Takes a body apart as it arrives; it never reads over the body's end.
#[derive(Debug)]
pub struct Decoder {
    state: State,
    extensions_bytes: usize,
    trailers_bytes: usize,
    trailers: usize,
}

/// What the front of the buffer held.
#[derive(Debug, PartialEq, Eq)]
pub enum Decoded {
    /// Bytes of the body, never empty, sharing the buffer's memory.
    Data(Bytes),
    /// The body goes on; the buffer holds no more of it.
    NeedMore,
    /// The body has ended; what the buffer holds is the next message's.
    End,
}

/// Why a body is refused. The connection is of no use after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeFault {
    /// A chunk's data is not followed by CR LF (RFC 9112 section 7.1).
    #[error("a chunk does not end where its size says")]
    ChunkEnd,
    /// More or other bytes behind a chunk size than may be ignored.
    #[error("a chunk extension is malformed or too long")]
    ChunkExtension,
    /// A chunk size is not 1 to 16 hexadecimal digits, or its line does not end with CR LF.
    #[error("a chunk size is malformed")]
    ChunkSize,
    /// A trailer field is malformed, or there are too many or too large ones.
    #[error("the trailer section is malformed or too large")]
    Trailers,
    /// The connection ended before the body did.
    #[error("the body ended early")]
    Truncated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ended,
    Length(u64),
    UntilClose,
    ChunkSize,
    ChunkData(u64),
    ChunkEnd,
    Trailers,
}

// === impl Decoder ===

impl Decoder {
    /// For a request's body.
    pub fn request(framing: RequestFraming) -> Self {
        Self::new(match framing {
            RequestFraming::None | RequestFraming::Length(0) => State::Ended,
            RequestFraming::Length(bytes) => State::Length(bytes),
            RequestFraming::Chunked => State::ChunkSize,
        })
    }

    /// For a response's body.
    pub fn response(framing: ResponseFraming) -> Self {
        Self::new(match framing {
            ResponseFraming::None | ResponseFraming::Length(0) => State::Ended,
            ResponseFraming::Length(bytes) => State::Length(bytes),
            ResponseFraming::Chunked => State::ChunkSize,
            ResponseFraming::UntilClose => State::UntilClose,
        })
    }

    fn new(state: State) -> Self {
        Self {
            state,
            extensions_bytes: 0,
            trailers_bytes: 0,
            trailers: 0,
        }
    }

    /// Whether the body has ended.
    pub fn is_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// Whether the body ends where the connection does (RFC 9112 section 6.3, item 8).
    pub fn is_until_close(&self) -> bool {
        self.state == State::UntilClose
    }

    /// How many bytes are still to come, where that is known.
    pub fn remaining(&self) -> Option<u64> {
        match self.state {
            State::Ended => Some(0),
            State::Length(bytes) => Some(bytes),
            State::UntilClose | State::ChunkSize | State::ChunkData(_) | State::ChunkEnd | State::Trailers => None,
        }
    }

    /// Takes the next piece off the front of `input`. After a fault it gives the same fault again.
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Decoded, DecodeFault> {
        if !self.settle(input)? {
            return Ok(Decoded::NeedMore);
        }
        let (remaining, after): (u64, fn(u64) -> State) = match self.state {
            State::UntilClose => (u64::MAX, |_| State::UntilClose),
            State::Length(remaining) => (
                remaining,
                |left| if left == 0 { State::Ended } else { State::Length(left) },
            ),
            State::ChunkData(remaining) => (remaining, |left| {
                if left == 0 {
                    State::ChunkEnd
                } else {
                    State::ChunkData(left)
                }
            }),
            State::Ended | State::ChunkEnd | State::ChunkSize | State::Trailers => return Ok(Decoded::End),
        };
        if input.is_empty() {
            return Ok(Decoded::NeedMore);
        }
        let length = usize::try_from(remaining).unwrap_or(usize::MAX).min(input.len());
        self.state = after(remaining - length as u64);
        Ok(Decoded::Data(input.split_to(length).freeze()))
    }

    /// Consumes what carries no data: chunk sizes and ends, trailers. Returns whether data or the end is next; with `false`,
    /// more input is needed to tell. Lets a reader see a body's end together with its last data.
    pub fn settle(&mut self, input: &mut BytesMut) -> Result<bool, DecodeFault> {
        loop {
            match self.state {
                State::Ended | State::UntilClose | State::Length(_) | State::ChunkData(_) => return Ok(true),
                State::ChunkEnd => match input.as_ref() {
                    [b'\r', b'\n', ..] => {
                        input.advance(2);
                        self.state = State::ChunkSize;
                    }
                    [] | [b'\r'] => return Ok(false),
                    _ => return Err(DecodeFault::ChunkEnd),
                },
                State::ChunkSize => match self.chunk_size(input)? {
                    Some(0) => self.state = State::Trailers,
                    Some(bytes) => self.state = State::ChunkData(bytes),
                    None => return Ok(false),
                },
                State::Trailers => match self.trailer_line(input)? {
                    Some(Trailer::Field) => {}
                    Some(Trailer::End) => self.state = State::Ended,
                    None => return Ok(false),
                },
            }
        }
    }

    /// Told that no more bytes will come and `decode` has asked for more: that ends a body that lasts until the connection
    /// closes, and breaks every other.
    pub fn end_of_input(&mut self) -> Result<(), DecodeFault> {
        match self.state {
            State::Ended => Ok(()),
            State::UntilClose => {
                self.state = State::Ended;
                Ok(())
            }
            State::Length(_) | State::ChunkSize | State::ChunkData(_) | State::ChunkEnd | State::Trailers => {
                Err(DecodeFault::Truncated)
            }
        }
    }

    /// The next chunk's size, `None` while its line is incomplete.
    fn chunk_size(&mut self, input: &mut BytesMut) -> Result<Option<u64>, DecodeFault> {
        let digits = input
            .iter()
            .take(CHUNK_SIZE_DIGITS_MAX + 1)
            .take_while(|byte| byte.is_ascii_hexdigit())
            .count();
        if digits > CHUNK_SIZE_DIGITS_MAX {
            return Err(DecodeFault::ChunkSize);
        }
        let rest = &input[digits..];
        // No white space here, though RFC 9112 section 7.1.1 has readers tolerate it before a semicolon: it has hidden smuggling.
        let line_end = match rest {
            [] => return Ok(None),
            _ if digits == 0 => return Err(DecodeFault::ChunkSize),
            [b'\r', b'\n', ..] => digits,
            [b'\r'] => return Ok(None),
            [b';', ..] => match self.extension_end(rest)? {
                Some(end) => digits + end,
                None => return Ok(None),
            },
            _ => return Err(DecodeFault::ChunkSize),
        };
        let size = std::str::from_utf8(&input[..digits])
            .ok()
            .and_then(|text| u64::from_str_radix(text, 16).ok());
        let size = size.ok_or(DecodeFault::ChunkSize)?;
        self.extensions_bytes += line_end - digits;
        input.advance(line_end + 2);
        Ok(Some(size))
    }

    /// How long the extension is that `rest` begins with, `None` while its end is missing.
    fn extension_end(&self, rest: &[u8]) -> Result<Option<usize>, DecodeFault> {
        let bytes_max = CHUNK_EXTENSION_BYTES_MAX.min(EXTENSIONS_BYTES_MAX.saturating_sub(self.extensions_bytes));
        let length = rest
            .iter()
            .take(bytes_max + 1)
            .take_while(|byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..))
            .count();
        match &rest[length..] {
            _ if length > bytes_max => Err(DecodeFault::ChunkExtension),
            [b'\r', b'\n', ..] => Ok(Some(length)),
            [] | [b'\r'] => Ok(None),
            _ => Err(DecodeFault::ChunkExtension),
        }
    }

    /// Takes one line of the trailer section, `None` while it is incomplete.
    fn trailer_line(&mut self, input: &mut BytesMut) -> Result<Option<Trailer>, DecodeFault> {
        let bytes_max = TRAILERS_BYTES_MAX - self.trailers_bytes;
        let Some(feed) = memchr::memchr(b'\n', &input[..input.len().min(bytes_max)]) else {
            return if input.len() >= bytes_max {
                Err(DecodeFault::Trailers)
            } else {
                Ok(None)
            };
        };
        let Some((b'\r', line)) = input[..feed].split_last() else {
            return Err(DecodeFault::Trailers);
        };
        let trailer = if line.is_empty() {
            Trailer::End
        } else if self.trailers < FIELDS_MAX && is_field_line(line) {
            Trailer::Field
        } else {
            return Err(DecodeFault::Trailers);
        };
        self.trailers += 1;
        self.trailers_bytes += feed + 1;
        input.advance(feed + 1);
        Ok(Some(trailer))
    }
}

enum Trailer {
    Field,
    End,
}

/// A name that is a token, a colon right behind it, a value without control characters (RFC 9112 section 5).
fn is_field_line(line: &[u8]) -> bool {
    let Some(colon) = memchr::memchr(b':', line) else {
        return false;
    };
    HeaderName::from_bytes(&line[..colon]).is_ok() && HeaderValue::from_bytes(&line[colon + 1..]).is_ok()
}
