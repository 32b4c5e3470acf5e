//! TLS towards clients: key pairs by name, what a handshake has found out, changes without a dropped connection.
//!
//! Invariants:
//! - TLS 1.2 and 1.3 with forward secrecy only; no early data (it can be replayed), no renegotiation.
//! - A handshake takes the settings that are in force at its first message, whole; a change never mixes two.

mod certificate;
mod facts;
mod fault;
mod key_pair;
mod name;
mod server;

pub use certificate::{Certificate, CertificateFault, spki_sha256};
pub use facts::{ApplicationProtocol, TlsFacts};
pub use fault::HandshakeFault;
pub use key_pair::{KeyPair, KeyPairFault};
pub use server::{ServerTls, ServerTlsSettings, TlsSettingsFault, TlsVersion};
