//! What the gateway says about its work: an access log off the request path, metrics, alarms on them, and traces.
//!
//! Invariants: nothing here ever makes a request wait. A log that cannot be written loses lines and counts them; a metric is
//! a few additions to memory that one worker writes. Both are bounded whatever happens outside.

pub mod access_log;
pub mod alarm;
pub mod metrics;
pub mod otlp;
pub mod trace;

pub use access_log::{AccessLog, Destination, LogBuffer};
pub use alarm::Alarms;
pub use metrics::{Metrics, RouteKey, RouteSeries, RouteTotal};
pub use trace::Tracer;
