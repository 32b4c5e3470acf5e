//! Why handshakes fail, as far as an operator can do something about it.

use std::io;

use rustls::{AlertDescription, Error};

/// Why a handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeFault {
    /// The client broke off.
    #[error("the client broke off")]
    BrokenOff,
    /// The client's certificate is missing, or not accepted.
    #[error("the client's certificate is missing or not accepted")]
    ClientCertificate,
    /// There were too many handshakes under way.
    #[error("too many handshakes are under way")]
    Full,
    /// What came is no TLS.
    #[error("what came is not TLS")]
    NotTls,
    /// The client does not accept the server's certificate, or something else of what it was told.
    #[error("the client refused")]
    Refused,
    /// It did not end in time.
    #[error("it did not end in time")]
    TimedOut,
    /// Both sides have no version, cipher suite, group or application protocol in common, or the client made a mistake.
    #[error("nothing could be agreed on")]
    Unagreed,
}

// === impl HandshakeFault ===

impl HandshakeFault {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::BrokenOff,
        Self::ClientCertificate,
        Self::Full,
        Self::NotTls,
        Self::Refused,
        Self::TimedOut,
        Self::Unagreed,
    ];

    /// Its name in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BrokenOff => "broken_off",
            Self::ClientCertificate => "client_certificate",
            Self::Full => "full",
            Self::NotTls => "not_tls",
            Self::Refused => "refused_by_client",
            Self::TimedOut => "timed_out",
            Self::Unagreed => "unagreed",
        }
    }

    /// What an error of the handshake means. Foreign enums that grow: what has no fact of its own here could not be agreed on.
    pub(crate) fn of(error: &io::Error) -> Self {
        let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
            return Self::BrokenOff;
        };
        match error {
            Error::InvalidMessage(_) | Error::InappropriateMessage { .. } => Self::NotTls,
            Error::NoCertificatesPresented | Error::InvalidCertificate(_) | Error::InvalidCertRevocationList(_) => {
                Self::ClientCertificate
            }
            Error::AlertReceived(AlertDescription::CloseNotify) => Self::BrokenOff,
            Error::AlertReceived(_) => Self::Refused,
            _ => Self::Unagreed,
        }
    }
}
