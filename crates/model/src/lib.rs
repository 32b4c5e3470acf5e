//! The compiled Snapshot: APIs, stages, routes and what protects them.
