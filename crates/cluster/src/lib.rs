//! What gateways share through one Redis (or Valkey), and how they do without it.
//!
//! Invariant: nobody waits for Redis longer than a stated deadline, and nothing fails because it is away. Every call gives
//! [`Away`] then, and the caller has a way of its own: limits count locally, answers are fetched again.
//!
//! The connection lives on a thread of its own ([`Cluster`]), which finds out by itself when it is lost or back. While it is
//! lost, calls end at once and do not try.

mod address;
mod limits;
mod link;
mod values;

pub use address::{RedisAddress, RedisAddressError};
pub use link::{Away, Cluster, ClusterError, ClusterStats, Settings, Shares};
