//! Token buckets that are exact under concurrency.
