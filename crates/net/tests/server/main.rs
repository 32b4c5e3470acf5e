//! The server side against real sockets: what goes in byte by byte, and what comes out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod answers;
mod bodies;
mod curl;
mod harness;
mod http2;
mod limits;
mod proxy_protocol;
mod shutdown;
mod smuggling;
mod splitting;
mod tunnel;
