//! Listeners and their TLS, HTTP/1.1 on both sides, upstream pools and tunnels.

pub mod acme;
pub mod body;
mod fields;
pub mod fuzzing;
pub mod http1;
pub mod identity;
pub mod listener;
mod reply;
pub mod server;
mod timer;
pub mod tls;
pub mod upstream;

pub use body::{Body, BodyError, BoxedBody};
pub use fields::{Field, Fields};
pub use reply::Reply;
