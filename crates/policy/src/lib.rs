//! IAM policy documents: compiled once, evaluated per request.
//!
//! ```
//! use portcullis_core::Timestamp;
//! use portcullis_policy::{Action, Context, Effect, Policy, Request};
//!
//! let policy = Policy::parse(r#"{
//!     "Version": "2012-10-17",
//!     "Statement": {
//!         "Effect": "Allow",
//!         "Action": "execute-api:Invoke",
//!         "Resource": "arn:aws:execute-api:*:*:proxy/live/GET/*",
//!         "Condition": {"DateLessThan": {"aws:CurrentTime": "2026-11-20T00:00:00Z"}}
//!     }
//! }"#)?;
//! let context = Context::new(Timestamp::from_unix_seconds(1_700_000_000));
//! let resource = "arn:aws:execute-api:eu-west-1:123456789012:proxy/live/GET/pets/1";
//! let decision = policy.evaluate(&Request { action: Action::Invoke, resource, context: &context });
//! assert_eq!(decision.effect, Effect::Allow);
//! # Ok::<(), portcullis_policy::PolicyError>(())
//! ```
//!
//! What a document says is decided when it is parsed: an element, operator or value that cannot be honoured is refused
//! with its place and a way out, and never becomes a condition that silently does not match. Evaluating can therefore not
//! fail. Invariants: this crate reads no clock, opens nothing, and knows no HTTP status; text is matched in linear time.
//!
//! | Module | Noun |
//! |---|---|
//! | [`policy`](Policy) | a compiled document and its verdict on a request |
//! | [`request`](Request) | what is asked, and the values of condition keys |
//! | [`authorize()`] | how identity and resource policies are combined, and the [`Permit`] that comes of it |
//! | [`template`] | documents with a token's claims in them |

mod arn_pattern;
mod authorize;
mod claim;
mod condition;
mod date;
mod decimal;
mod describe;
mod document;
mod error;
pub mod fuzzing;
mod glob;
mod json;
mod key;
mod operator;
mod pattern;
mod place;
mod policy;
mod request;
mod statement;
pub mod template;
mod value;
mod warning;

pub use authorize::{DecidedBy, Denial, Identity, Permit, Side, authorize, denied_outright};
pub use error::{Fault, PolicyError};
pub use policy::{Decision, Effect, Policy, StatementRef};
pub use request::{Action, Context, ExtraKeys, KeyValue, NoExtraKeys, Request};
pub use template::{PolicyTemplate, TemplateError};
pub use warning::PolicyWarning;

/// The longest document, in bytes of compact JSON.
pub const DOCUMENT_BYTES_MAX: usize = 64 * 1024;
/// The most statements in a document.
pub const STATEMENTS_MAX: usize = 200;
/// The most `?` in a document's strings: each may cost a pass over the text that is matched, as no other symbol does.
pub const QUESTION_MARKS_MAX: usize = 500;
/// The most values in one list: actions, resources, or the values of a condition key.
pub const VALUES_MAX: usize = 1000;
