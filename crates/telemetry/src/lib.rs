//! Access log and metrics.
