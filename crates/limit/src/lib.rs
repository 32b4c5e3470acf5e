//! How much of something may happen: token buckets that are exact under concurrency, and counts of what is open.
//!
//! Invariant: this crate reads no clock. The caller gives the time as a count of nanoseconds that only grows, from
//! whatever beginning it likes; every caller of one bucket must count from the same one.

pub mod bucket;
pub mod rate;
pub mod source;

pub use bucket::{Lease, RETRY_AFTER_MS_MAX, Throttled, TokenBucket};
pub use rate::{BURST_MAX, RATE_PER_S_MAX, REFILL_S_MAX, Rate, RateError};
pub use source::{SourceCounts, SourceGuard, SourceLimits};
