//! What the whole binary says of its work: logs, alarms, traces.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod alarms;
mod formats;
mod otlp;
#[path = "../support/mod.rs"]
mod support;
