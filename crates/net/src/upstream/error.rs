//! Why a call has no answer.

use std::io;

use crate::body::BodyError;
use crate::http1::{FramingFault, HeadFault};

/// Why a call has no answer. The text is for logs: it never holds a byte of what the upstream sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// No address of the upstream accepted a connection.
    #[error("could not connect: {0}")]
    Connect(io::ErrorKind),
    /// The connection, TLS included, did not come about in time.
    #[error("connecting took too long")]
    ConnectTimeout,
    /// The upstream's name has no address.
    #[error("the host name could not be resolved")]
    Dns,
    /// The response's framing is ambiguous or malformed.
    #[error("the response's framing is refused: {0}")]
    Framing(FramingFault),
    /// The response's head is malformed.
    #[error("the response's head is malformed: {0}")]
    HeadMalformed(HeadFault),
    /// The head did not come before the deadline.
    #[error("the response did not come in time")]
    HeadTimeout,
    /// The head is larger than the client takes.
    #[error("the response's head is too large")]
    HeadTooLarge,
    /// More interim (1xx) responses than anybody needs.
    #[error("too many interim responses")]
    InterimTooMany,
    /// The request's body broke off: it is the client's fault, or the client's connection's.
    #[error("the request's body broke off: {0}")]
    RequestBody(BodyError),
    /// The connection ended before the response's head had come.
    #[error("the connection ended without a response")]
    Reset,
    /// The target cannot be written on a request line.
    #[error("the request target is malformed")]
    TargetMalformed,
    /// The TLS handshake failed.
    #[error("TLS failed: {0}")]
    Tls(TlsFault),
    /// 101 without having been asked, or for another protocol than was asked for.
    #[error("the upstream switched to a protocol that was not asked for")]
    UpgradeUnexpected,
}

/// Why a TLS handshake with an upstream failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsFault {
    /// The connection ended during the handshake.
    #[error("the connection ended during the handshake")]
    BrokenOff,
    /// The certificate's time is over or has not begun.
    #[error("the certificate is not valid at this time")]
    CertificateExpired,
    /// The certificate is for other names.
    #[error("the certificate is for another name")]
    CertificateForOtherName,
    /// The certificate is wrong in another way.
    #[error("the certificate is not valid")]
    CertificateInvalid,
    /// None of the accepted roots has issued the certificate.
    #[error("the certificate's issuer is not trusted")]
    CertificateUntrusted,
    /// Anything else: no common version or suite, an alert, a malformed message.
    #[error("the handshake failed")]
    Handshake,
}

// === impl UpstreamError ===

impl UpstreamError {
    /// Whether the upstream may have acted on the request although there is no answer.
    pub fn may_have_acted(self) -> bool {
        match self {
            Self::Connect(_) | Self::ConnectTimeout | Self::Dns | Self::TargetMalformed | Self::Tls(_) => false,
            Self::Framing(_)
            | Self::HeadMalformed(_)
            | Self::HeadTimeout
            | Self::HeadTooLarge
            | Self::InterimTooMany
            | Self::RequestBody(_)
            | Self::Reset
            | Self::UpgradeUnexpected => true,
        }
    }

    /// Whether time ran out.
    pub fn is_timeout(self) -> bool {
        matches!(self, Self::ConnectTimeout | Self::HeadTimeout)
    }
}

impl From<HeadFault> for UpstreamError {
    fn from(fault: HeadFault) -> Self {
        match fault {
            HeadFault::FieldsTooLarge | HeadFault::FieldsTooMany | HeadFault::LineTooLong => Self::HeadTooLarge,
            HeadFault::BareLineFeed
            | HeadFault::FieldFolded
            | HeadFault::FieldMalformed
            | HeadFault::HostDisagrees
            | HeadFault::HostMalformed
            | HeadFault::HostMissing
            | HeadFault::HostRepeated
            | HeadFault::LineMalformed
            | HeadFault::TargetMalformed
            | HeadFault::VersionUnsupported => Self::HeadMalformed(fault),
        }
    }
}
