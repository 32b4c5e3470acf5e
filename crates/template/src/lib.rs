//! The small languages of API Gateway documents: `$context` variables, mapping expressions, URI, log and gateway response
//! templates.
//!
//! Everything is parsed when configuration is loaded, and refused there with a reason; rendering cannot fail in ways that
//! were visible then. Invariants: pure, no clock, no file, no socket; no value that a caller sends can break out of the
//! place where a template puts it.

pub mod fuzzing;
pub mod gateway;
pub mod log;
pub mod log_form;
pub mod mapping;
mod shown;
pub mod sink;
pub mod uri;
pub mod variable;

pub use sink::{Escape, Sink};
pub use variable::{ContextValues, Product, Variable, VariableError};
