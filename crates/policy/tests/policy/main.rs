//! Tests over the public interface of the policy evaluator.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod authorize;
mod common;
mod corpus;
mod documents;
mod model;
mod naive;
mod operators;
mod oracle;
mod resources;
mod templates;
mod variables;
