//! Bad input of every kind, given to the whole binary over sockets: each with a clear answer, and nothing lost.
//!
//! Every refusal has its accepted twin beside it: a check that refuses everything fails too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod documents;
mod limits;
mod process;

mod requests;
mod slow;

#[path = "../support/mod.rs"]
mod support;
