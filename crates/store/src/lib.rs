//! What must outlive a process: deployments with their history, and what was decided about stages.
//!
//! Plain files in the data directory, for they can be read, copied and compared with what every machine has:
//!
//! ```text
//! deployments/sources/{sha256}    a document, named by its digest: the same text is kept once
//! deployments/apis/{api}.json     the history of an API: number, digest, time and description of each deployment
//! deployments/stages.json         which deployment each stage serves, and its canary, where a command said so
//! ```
//!
//! Invariants:
//! - A file is replaced whole: written beside its place, flushed to the disk, renamed, its directory flushed. Whatever the
//!   moment at which a process dies, each file is as it was before or as it is after.
//! - A document is there before the history names it, and in the history before a stage points to it.
//! - A number is given once and never again, also after its deployment was removed.
//! - Reading is for everyone; writing is for the owner of the data directory.

mod deployment;
mod file;
mod release;
mod store;
mod wire;

pub use deployment::{Deployment, History};
pub use release::{Canary, Release, Releases, RollbackRule, Stopped};
pub use store::{DEPLOYMENTS_MAX, Store, StoreError};
