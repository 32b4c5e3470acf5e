//! What the tests of the whole binary have in common: a directory with the documented shapes, the binary in it, a gateway
//! that serves them, and what they say.
#![allow(dead_code, unused_imports)] // every test binary uses its own part

pub(crate) mod metrics;
mod place;
mod setup;

pub(crate) use self::{
    place::{BINARY, Place, Said},
    setup::{Running, Setup, ok, open},
};

/// The API document as the documentation shows it, to the letter.
pub(crate) const PROXY: &str = include_str!("proxy.yaml");
/// The configuration as the documentation shows it, to the letter.
pub(crate) const CONFIG: &str = include_str!("portcullis.toml");
/// What [`PROXY`] adds towards the origin; no log may tell it.
pub(crate) const ORIGIN_KEY: &str = "an-origin-key";
/// base64 of 64 bytes.
pub(crate) const SECRET: &str =
    "MDEyMzQ1Njc4OUFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaYWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXotXw==";
/// What an explicit deny reads.
pub(crate) const EXPLICIT_DENY: &str = "{\"Message\":\"User is not authorized to access this resource with an explicit deny in an identity-based policy\"}";
/// What an implicit deny reads.
pub(crate) const IMPLICIT_DENY: &str = "{\"Message\":\"User is not authorized to access this resource because no identity-based policy allows the execute-api:Invoke action\"}";

/// Asks until the answer is what is waited for; panics with the last one when [`portcullis_testkit::PATIENCE`] runs out.
///
/// For what happens in another process at a time of its own. Asking is work (a call), so this does not spin.
#[track_caller]
pub(crate) fn poll<T: std::fmt::Debug>(mut ask: impl FnMut() -> T, is_reached: impl Fn(&T) -> bool) -> T {
    let until = std::time::Instant::now() + portcullis_testkit::PATIENCE;
    loop {
        let answer = ask();
        if is_reached(&answer) {
            return answer;
        }
        assert!(
            std::time::Instant::now() < until,
            "waited in vain; the last was {answer:?}"
        );
    }
}
