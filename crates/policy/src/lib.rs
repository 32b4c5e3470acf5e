//! IAM policy documents: compiled once, evaluated per request.
