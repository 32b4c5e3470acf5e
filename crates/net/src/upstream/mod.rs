//! Calling an upstream over HTTP/1.1 in the task of the request: no connection tasks, no channels.

mod body;
mod connection;
mod tunnel;

pub use body::UpstreamBody;
pub use tunnel::Tunnel;
