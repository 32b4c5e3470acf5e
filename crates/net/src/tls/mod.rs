//! TLS towards clients: key pairs by name, what a handshake has found out, changes without a dropped connection.
//!
//! Invariants:
//! - TLS 1.2 and 1.3 with forward secrecy only; no early data (it can be replayed), no renegotiation.
//! - A client's certificate is judged by the settings in force when its request comes, not by those of its handshake.
//! - A handshake takes the settings that are in force at its first message, whole; a change never mixes two.

mod certificate;
mod clients;
mod facts;
mod fault;
mod key_pair;
mod name;
mod pem;
mod server;
mod truststore;

pub use certificate::{Certificate, CertificateFault};
pub use clients::{CLIENT_CHAIN_MAX, ClientCertificateFault, ClientMode, ClientPolicy};
pub use facts::{ApplicationProtocol, ClientCertificate, TlsFacts};
pub use fault::HandshakeFault;
pub use key_pair::{KeyPair, KeyPairFault};
pub use pem::{PemFault, PemItem, pin, read_pem};
pub use server::{ServerTls, ServerTlsSettings, TlsDomain, TlsSettingsFault, TlsVersion};
pub use truststore::{RevocationList, RevocationRules, Truststore, TruststoreFault};
