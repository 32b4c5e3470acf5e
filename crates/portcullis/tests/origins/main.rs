//! Origins that fail, and origins that do not, behind the whole binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bodies;
mod client_certificate;
mod failures;
mod keys;
mod reuse;
#[path = "../support/mod.rs"]
mod support;
mod tls;
