//! Limits that are exact under concurrency. Throttles (a rate and a burst) are token buckets; quotas and budgets come later.
//!
//! Invariant: no clock and no lock. `now` is a monotonic count that the caller reads.

pub mod bucket;

pub use bucket::{Lease, Rate, RateError, Throttled, TokenBucket};
