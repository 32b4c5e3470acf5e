//! Listeners, HTTP/1.1 on both sides, upstream pools and tunnels.

pub mod body;
pub mod http1;
mod timer;
pub mod upstream;

pub use body::{Body, BodyError, BoxedBody};
