//! TLS of the gateway's listeners, told by curl and OpenSSL.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unused_crate_dependencies)]

mod acme;
mod names;
mod openssl;
mod setup;
#[path = "../support/mod.rs"]
mod support;
