//! The compiled configuration: APIs, stages, routes and what protects them, in one immutable [`Snapshot`].

pub mod router;
