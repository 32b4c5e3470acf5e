//! Serving HTTP/1.1 and HTTP/2: one `current_thread` runtime per worker, one task per connection, the handler called in that task.
//!
//! Invariants:
//! - Nothing behind a refused head is ever parsed, and nothing behind a body that broke.
//! - Each request is answered at most once (over HTTP/1.1 in the order of arrival), and each answer has exactly one [`Receipt`] call.
//! - Every wait has a deadline and every buffer a bound.

mod answer;
mod connection;
mod date;
mod handler;
mod handover;
mod handshake;
mod http2;
mod lifecycle;
mod load;
mod outbox;
mod protocol;
mod receipt;
mod request_body;
mod stats;
mod tunnel;
mod wire;
mod worker;

#[cfg(test)]
mod tests;

pub use handler::{Fault, Handler, Peer, Receipt, Sent};
pub use lifecycle::{Listening, Server, ServerSettings, WorkerId};
pub use request_body::RequestBody;
pub use stats::ServerStats;
