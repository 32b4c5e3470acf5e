//! Opening a connection.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::connection::{Connection, Stream};
use super::error::UpstreamError;
use super::origin::{Origin, Secure};
use super::tls;
use crate::timer::Timer;

/// Opens a connection to `origin` before its own connect timeout and before `deadline`.
pub(super) async fn connect(origin: &Origin, deadline: Instant) -> Result<Box<Connection>, UpstreamError> {
    let until = deadline.min(Instant::now() + origin.connect_timeout());
    let stream = timeout_at(until, open(origin, until))
        .await
        .map_err(|_| UpstreamError::ConnectTimeout)??;
    Ok(Box::new(Connection {
        stream,
        input: BytesMut::new(),
        output: Vec::new(),
        timer: Timer::new(deadline),
    }))
}

async fn open(origin: &Origin, until: Instant) -> Result<Stream, UpstreamError> {
    let addresses = origin.addresses().await?;
    let plain = open_any(&addresses, until)
        .await
        .map_err(|error| connect_error(&error))?;
    // A head and its body are one write already; waiting for an acknowledgement would only cost time.
    plain.set_nodelay(true).map_err(|error| connect_error(&error))?;
    match origin.secure() {
        None => Ok(Stream::Plain(plain)),
        Some(Secure { tls, server_name }) => {
            let handshake = TlsConnector::from(Arc::clone(&tls.config)).connect(server_name.clone(), plain);
            let stream = handshake
                .await
                .map_err(|error| UpstreamError::Tls(tls::fault(&error)))?;
            Ok(Stream::Secure(Box::new(stream)))
        }
    }
}

/// One address after the other, each with its share of the time that is left, so that a silent one does not use it all up.
async fn open_any(addresses: &[SocketAddr], until: Instant) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for (index, address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        let share: Duration = until.saturating_duration_since(Instant::now()) / left;
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

/// An address may use up its share, or the system its patience, just before our own timeout: that is the same fact.
fn connect_error(error: &io::Error) -> UpstreamError {
    match error.kind() {
        io::ErrorKind::TimedOut => UpstreamError::ConnectTimeout,
        kind => UpstreamError::Connect(kind),
    }
}
