//! The evidence that an integration demands, and the proof that nobody can forge it.
//!
//! | Evidence | Says | Made by |
//! |---|---|---|
//! | [`Received`](crate::Received) | the head is within bounds, its path reads one way | step *receive* |
//! | [`Located`](crate::Located), [`Routed`](crate::Routed) | a stage and a route answer it | steps *locate* and *route* |
//! | `Screened` | the source is within its rate; its field is private to its module | step *shield* |
//! | [`Caller`](crate::Caller) | who calls | step *authenticate* |
//! | [`Permit`](portcullis_policy::Permit) | a policy allows this very request | [`portcullis_policy::authorize`] |
//! | [`Lease`](portcullis_limit::Lease) | its API key, throttles and quota let it pass | [`portcullis_limit::Limits`] |
//!
//! What was decided can be held and passed on, once:
//!
//! ```
//! use portcullis_limit::{Lease, Limits, Now, Rate, Throttle};
//! use portcullis_policy::{Action, Context, Identity, Permit, Request, authorize};
//!
//! fn integrate(_: Permit, _: Lease) {}
//!
//! let context = Context::new(portcullis_core::Timestamp::from_unix_seconds(0));
//! let request = Request { action: Action::Invoke, resource: "", context: &context };
//! let permit = authorize(Identity::Open, None, &request)?;
//! let stage = Throttle::new(Rate::new(1.0, 1)?, None);
//! let limits = Limits { plan_method: None, plan: None, principal: None, method: None, stage: &stage, quota: None };
//! let lease = limits.admit(Now { monotonic_ns: 0, unix_s: 0 }).expect("the bucket starts full");
//! integrate(permit, lease);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A permit is made by the policy crate alone:
//!
//! ```compile_fail,E0451
//! use portcullis_policy::{DecidedBy, Permit};
//! let permit = Permit { decided_by: DecidedBy::NoPolicy };
//! ```
//!
//! and is about one request, so that it cannot be kept for another:
//!
//! ```compile_fail,E0599
//! fn twice(permit: portcullis_policy::Permit) -> (portcullis_policy::Permit, portcullis_policy::Permit) {
//!     (permit.clone(), permit)
//! }
//! ```
//!
//! A lease is made by charging all of a request's limits alone:
//!
//! ```compile_fail,E0451
//! let lease = portcullis_limit::Lease { _taken: () };
//! ```
//!
//! and lets one request pass:
//!
//! ```compile_fail,E0382
//! fn twice(lease: portcullis_limit::Lease) -> (portcullis_limit::Lease, portcullis_limit::Lease) {
//!     (lease, lease)
//! }
//! ```
//!
//! A caller, a route and a received request are made by their steps alone:
//!
//! ```compile_fail,E0423
//! let caller = portcullis_proxy::Caller(loop {});
//! ```
//!
//! ```compile_fail,E0451
//! fn forge(route: portcullis_proxy::Routed<'static, 'static>) -> portcullis_proxy::Routed<'static, 'static> {
//!     portcullis_proxy::Routed { index: 0, ..route }
//! }
//! ```
//!
//! ```compile_fail,E0451
//! fn forge(received: portcullis_proxy::Received<'static>) -> portcullis_proxy::Received<'static> {
//!     portcullis_proxy::Received { verb: None, ..received }
//! }
//! ```
