//! A connection that has left HTTP behind (101 Switching Protocols, RFC 9110 section 15.2.2).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Buf;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connection::Connection;

/// Bytes to and from an upstream after it has switched protocols. What it sent right behind its head is read first.
pub struct Tunnel {
    connection: Box<Connection>,
}

// === impl Tunnel ===

impl Tunnel {
    pub(super) fn new(connection: Box<Connection>) -> Self {
        Self { connection }
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left_over = &mut self.connection.input;
        if left_over.is_empty() {
            return Pin::new(&mut self.connection.stream).poll_read(context, buffer);
        }
        let length = left_over.len().min(buffer.remaining());
        buffer.put_slice(&left_over[..length]);
        left_over.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection.stream).poll_shutdown(context)
    }
}
