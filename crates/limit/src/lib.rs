//! Limits that are exact under concurrency: throttles (a rate and a burst) are token buckets, quotas are counts per calendar
//! period. [`Limits`] holds all of one request's and alone gives the [`Lease`] that lets it pass.
//!
//! Invariant: no clock. `now` is what the caller reads ([`Now`]). Invariant: no lock that two callers of different keys share.

pub mod bucket;
mod keyed;
mod limits;
mod period;
mod quota;
mod shared;

pub use bucket::{Level, Rate, RateError, Throttled, TokenBucket};
pub use keyed::KeyedBuckets;
pub use limits::{Began, Keyed, Kind, Lease, Levels, Limits, Now, Refused, Standing, Throttle};
pub use period::{Period, PeriodNumber};
pub use quota::{Exceeded, Quota, QuotaSpec, Usage};
pub use shared::{AnswerMalformed, Claim, Claims, SCRIPT};
