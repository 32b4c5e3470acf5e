//! The words of Portcullis: what every other crate speaks in.
//!
//! Invariant: this crate reads no clock but in [`SystemClock`], opens no file and no socket, and knows no HTTP status.

pub mod arn;
pub mod clock;
pub mod finding;
pub mod id;
pub mod path;
pub mod secret;
pub mod suggest;
pub mod verb;

pub use arn::MethodArn;
pub use clock::{Clock, SystemClock, Timestamp};
pub use finding::{Finding, Findings, Place, Severity};
pub use id::RequestId;
pub use path::{PathError, RequestPath};
pub use secret::{Secret, SecretRef};
pub use verb::Verb;
