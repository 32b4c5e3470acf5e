//! OpenAPI documents with the API Gateway extensions, read with every finding in its place.

pub mod document;
