//! The compiled configuration: APIs, stages, routes and what protects them, in one immutable [`Snapshot`].
//!
//! [`compile()`] makes it from documents and settings; the data plane reads it. Invariant: control and data plane meet in
//! this crate and nowhere else.

pub mod cache;
pub mod canary;
pub mod compile;
pub mod cors;
pub mod domain;
pub mod gateway_response;
pub mod limits;
pub mod locate;
pub mod router;
pub mod snapshot;

pub use compile::{
    ApiKeySource, ApiSource, DomainSource, KeyedSource, MappingSource, MethodSource, MethodVerb, PlanSource,
    PlanStageSource, Role, Sources, StageLimits, StageSource, ThrottleSource, compile,
};
pub use locate::Unlocated;
pub use snapshot::Snapshot;
