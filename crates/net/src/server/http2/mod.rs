//! Serving HTTP/2 (RFC 9113): the same handler, limits and promises as over HTTP/1.1, many requests at a time.
//!
//! Frames, windows and HPACK are the `h2` crate's. All streams of a connection are served in the connection's task. What is ours:
//! - A request that was begun is brought to its end and recorded, also when the client resets its stream or goes away, and holds
//!   its place among the connection's streams until then: resetting makes no room for more.
//! - Each frame that is no request and no body costs points ([`frames`]); who has none left is sent away.
//! - Every wait has a deadline, and what waits to be written is bounded per connection, not only per stream.

mod answer;
mod body;
mod connection;
mod frames;
mod guard;
mod request;
mod watch;

pub(super) use connection::serve;
pub(super) use frames::PREFACE;
