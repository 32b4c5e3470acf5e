//! Real components for tests: a real nginx, origins that misbehave to order, the real curl, the gateway's own binary, a
//! fake clock, a certification authority.
//!
//! Everything listens on loopback with a port from the system, blocks the calling thread, waits for events and never for
//! time to pass, gives up after [`PATIENCE`] with what it saw, and is stopped by its id when dropped.
//!
//! What goes wrong here is a failed test, so this crate panics with a reason where others return an error.
//! Invariant: a dev-dependency of all, a dependency of none.

// Its callers are tests: a panic is the way to fail one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod child;
pub mod clock;
pub mod curl;
pub mod gateway;
pub mod nginx;
pub mod origin;
pub mod pebble;
pub mod pki;
pub mod port;
pub mod redis;
mod request;
pub mod wire;

pub use child::{Child, Ended, Stream};
pub use clock::ManualClock;
pub use curl::{Answer, CurlFailure, curl, try_curl};
pub use gateway::Portcullis;
pub use nginx::Nginx;
pub use origin::{Origin, Step};
pub use pebble::Pebble;
pub use pki::{Authority, Identity, Leaf};
pub use port::ReservedPort;
pub use redis::Redis;
pub use request::{Received, read_request};
pub use wire::{Wire, WireEnd};

/// How long a wait lasts before the test fails: far above what a loaded two-core machine needs.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);
