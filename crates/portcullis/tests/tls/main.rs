//! TLS of the gateway's listeners, told by curl and OpenSSL.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unused_crate_dependencies)]

mod acme;
mod bad;
mod clients;
mod command;
mod domains;
mod http2;
mod names;
mod openssl;
mod rotation;
mod setup;
#[path = "../support/mod.rs"]
mod support;
