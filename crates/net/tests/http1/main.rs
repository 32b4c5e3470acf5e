//! The HTTP/1.1 codec from outside: tables, properties, the fuzzers' corpus, and hyper as the oracle.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bodies;
mod corpus;
mod differential;
mod framings;
mod heads;
mod mutate;

/// How many times the ordinary count of random cases to run: 1, or what `PORTCULLIS_SOAK` says.
fn soak() -> u32 {
    std::env::var("PORTCULLIS_SOAK")
        .ok()
        .and_then(|factor| factor.parse().ok())
        .unwrap_or(1)
}
