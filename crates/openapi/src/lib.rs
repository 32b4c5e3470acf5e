//! OpenAPI documents with the API Gateway extensions, read with every finding in its place.
//!
//! [`read`] takes a text to a [`Document`] and [`Findings`](portcullis_core::Findings);
//! [`read_tree`] only to a located [`tree`]. What a document asks for is either in the result or an error: an
//! authoriser, validator, model, integration or mapping that is not supported is never passed over.
//!
//! Invariant: pure. No files (references stay within the document), no sockets, no clock, no HTTP status decided.

mod api_key;
mod base_path;
mod cache_key;
mod compose;
mod cors;
pub mod document;
mod endpoint;
mod extensions;
mod fields;
pub mod fuzzing;
mod gateway_response;
mod http_proxy;
mod integration;
mod mock;
mod payload;
mod read;
mod reference;
mod report;
mod root;
mod route;
mod scalar;
mod scheme;
mod security;
mod tag;
mod template;
mod token;
pub mod tree;
mod validator;

pub use compose::{DEPTH_MAX, NODES_MAX, TEXT_BYTES_MAX, read_tree};
pub use document::{ApiKind, Document};
pub use read::read;
pub use route::ROUTES_MAX;
