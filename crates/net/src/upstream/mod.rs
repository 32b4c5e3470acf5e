//! Calling an upstream over HTTP/1.1 in the task of the request: no connection tasks, no channels.
//!
//! A [`Client`] belongs to one worker and keeps that worker's connections. [`Client::call`] takes one (or opens one), writes the
//! request, reads the response's head, and hands back the body, which carries the connection until it has ended and then puts
//! it back. Dropping anything half-way closes the connection: a connection in the pool has nothing in flight.

mod body;
mod call;
mod client;
mod connect;
mod connection;
mod error;
mod exchange;
mod field_lines;
mod origin;
mod pool;
mod request_head;
mod stats;
mod tls;
mod tunnel;
mod upload;

pub use body::UpstreamBody;
pub use call::{Answer, Call, RetryRule};
pub use client::{Client, ClientSettings};
pub use error::{TlsFault, UpstreamError};
pub use field_lines::FieldLines;
pub use origin::{Origin, OriginError};
pub use stats::UpstreamStats;
pub use tls::{OriginTls, Roots, TlsSettingsError};
pub use tunnel::Tunnel;
