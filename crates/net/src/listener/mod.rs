//! Where clients come in: addresses, limits of a connection, the PROXY protocol, and whose word about addresses is taken.

mod admission;
mod bind;
pub mod proxy_header;
mod settings;
mod trust;

pub(crate) use admission::{Admission, Permit};
pub(crate) use bind::{bind, to_std};
pub use settings::{Http2, ListenerSettings, ProxyProtocol};
pub use trust::TrustedProxies;
