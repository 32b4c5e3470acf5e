//! What the whole binary says of its work: logs, alarms, traces.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod alarms;
mod execution;
mod formats;
mod otlp;
mod rotation;
#[path = "../support/mod.rs"]
mod support;
