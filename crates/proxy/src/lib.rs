//! The data plane: requests led through the steps of one pipeline over an immutable snapshot.
//!
//! Read [`pipeline`](crate) first: `pipeline.rs` is the order of steps on one screen. Each step has a module of its own and
//! returns evidence that later steps demand. Invariants: the order of steps is one function; nothing is forwarded without
//! a permit and a lease; what a caller reads about a refusal and what the log says are two texts.

mod address;
mod answer;
mod api_key;
mod authenticate;
mod authorize;
mod cache;
mod client;
mod compression;
pub mod evidence;
mod execution;
pub mod fuzzing;
mod gateway;
mod integrate;
pub mod keys;
mod live;
mod locate;
mod origins;
mod pipeline;
mod preflight;
mod receive;
mod record;
mod rejection;
mod shield;
mod step;
mod throttle;
mod trace;
mod trace_id;
mod unreadable;

pub use authenticate::{AuthorizerState, Caller, Verified};
pub use cache::{NotCached, SharedAnswers};
pub use execution::{ExecutionLevel, ExecutionLogs, ExecutionTarget};
pub use gateway::{Gateway, Worker};
pub use live::{Fixtures, Live, LiveError};
pub use locate::{Located, Routed};
pub use origins::{OriginUnusable, open as open_origin};
pub use receive::{BODY_BYTES_MAX, HEADER_BYTES_MAX, Received, URI_BYTES_MAX};
pub use record::Record;
pub use rejection::{Facts, Party, Rejection, Retry};
pub use step::{Observer, Step};
