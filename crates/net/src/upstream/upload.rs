//! Sending a request's body, as fast as the client gives it and the upstream takes it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http_body::Body as _;
use tokio::io::AsyncWrite;

use super::connection::Stream;
use crate::body::{Body, BodyError};
use crate::http1::{RequestFraming, encode};

/// Head and body go out in one write up to so many bytes; larger pieces are written from where they lie.
const COALESCED_BYTES_MAX: usize = 16 * 1024;

/// What is still to be sent of a request besides what lies in the connection's `output`.
pub(super) struct Upload {
    state: State,
    /// A piece that was too large to copy; it goes out behind `output`.
    piece: Bytes,
    /// How many bytes went out, head included.
    written: u64,
}

enum State {
    /// The body has `remaining` bytes.
    Length { body: Body, remaining: u64 },
    /// The body goes out in chunks.
    Chunked(Body),
    /// The body is taken up; what lies in buffers may still have to go out.
    Draining,
    /// Everything went out.
    Done,
    /// The upstream takes no more. It may still answer.
    Refused,
}

// === impl Upload ===

impl Upload {
    /// The body of a request whose head lies in `output`.
    pub(super) fn new(body: Body, framing: RequestFraming) -> Self {
        let state = match framing {
            RequestFraming::None | RequestFraming::Length(0) => State::Draining,
            RequestFraming::Length(remaining) => State::Length { body, remaining },
            RequestFraming::Chunked => State::Chunked(body),
        };
        Self {
            state,
            piece: Bytes::new(),
            written: 0,
        }
    }

    /// Whether everything went out: only then does the connection have a next request.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// How many bytes went out, to see whether anything moves.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Sends what can be sent now. Ready when no more will be: everything went out, or the upstream takes no more, which
    /// is no error here, for it may have answered already. An error is the body's own.
    pub(super) fn poll(
        &mut self,
        stream: &mut Stream,
        output: &mut Vec<u8>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), BodyError>> {
        while !matches!(self.state, State::Done | State::Refused) {
            self.gather(output, context)?;
            let is_idle = output.is_empty() && self.piece.is_empty();
            let step = if is_idle {
                self.poll_flush(stream, context)
            } else {
                self.poll_write(stream, output, context)
            };
            ready!(step);
            if is_idle && !matches!(self.state, State::Done | State::Refused) {
                return Poll::Pending; // the body is: gather has asked it
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Moves what the body has ready to `output` or `piece`.
    fn gather(&mut self, output: &mut Vec<u8>, context: &mut Context<'_>) -> Result<(), BodyError> {
        while self.piece.is_empty() && output.len() < COALESCED_BYTES_MAX {
            let (State::Length { body, .. } | State::Chunked(body)) = &mut self.state else {
                return Ok(());
            };
            match Pin::new(body).poll_frame(context) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Some(frame)) => self.accept(output, frame?.into_data().unwrap_or_default())?,
                Poll::Ready(None) => return self.end(output),
            }
        }
        Ok(())
    }

    fn accept(&mut self, output: &mut Vec<u8>, data: Bytes) -> Result<(), BodyError> {
        if data.is_empty() {
            return Ok(()); // an empty chunk would end the body
        }
        let is_small = output.len() + data.len() <= COALESCED_BYTES_MAX;
        match &mut self.state {
            State::Length { remaining, .. } => {
                *remaining = remaining
                    .checked_sub(data.len() as u64)
                    .ok_or(BodyError::LengthMismatch)?;
                if *remaining == 0 {
                    self.state = State::Draining;
                }
                if is_small {
                    output.extend_from_slice(&data);
                } else {
                    self.piece = data;
                }
            }
            State::Chunked(_) => {
                encode::chunk_start(output, data.len());
                if is_small {
                    output.extend_from_slice(&data);
                    encode::chunk_end(output);
                } else {
                    self.piece = data;
                }
            }
            State::Draining | State::Done | State::Refused => {}
        }
        Ok(())
    }

    fn end(&mut self, output: &mut Vec<u8>) -> Result<(), BodyError> {
        match &self.state {
            State::Length { .. } => return Err(BodyError::LengthMismatch), // it would have been Draining at 0
            State::Chunked(_) => output.extend_from_slice(encode::LAST_CHUNK),
            State::Draining | State::Done | State::Refused => {}
        }
        self.state = State::Draining;
        Ok(())
    }

    fn poll_write(&mut self, stream: &mut Stream, output: &mut Vec<u8>, context: &mut Context<'_>) -> Poll<()> {
        let from_output = !output.is_empty();
        let bytes = if from_output {
            output.as_ref()
        } else {
            self.piece.as_ref()
        };
        match ready!(Pin::new(stream).poll_write(context, bytes)) {
            Ok(0) | Err(_) => self.refuse(output),
            Ok(length) => {
                self.written += length as u64;
                if from_output {
                    output.drain(..length); // mostly all
                } else {
                    self.piece.advance(length);
                    if self.piece.is_empty() && matches!(self.state, State::Chunked(_)) {
                        encode::chunk_end(output);
                    }
                }
            }
        }
        Poll::Ready(())
    }

    /// TLS may hold back what was written.
    fn poll_flush(&mut self, stream: &mut Stream, context: &mut Context<'_>) -> Poll<()> {
        match ready!(Pin::new(stream).poll_flush(context)) {
            Err(_) => self.state = State::Refused,
            Ok(()) if matches!(self.state, State::Draining) => self.state = State::Done,
            Ok(()) => {}
        }
        Poll::Ready(())
    }

    fn refuse(&mut self, output: &mut Vec<u8>) {
        self.state = State::Refused;
        self.piece = Bytes::new();
        output.clear();
    }
}
