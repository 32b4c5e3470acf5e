//! Origins of a snapshot, made ready to be called.

use std::sync::Arc;

use portcullis_model::snapshot::OriginSpec;
use portcullis_net::upstream::{Origin, OriginError, OriginTls, Roots, TlsSettingsError};

/// Why an origin cannot be called at all.
#[derive(Debug, thiserror::Error)]
pub enum OriginUnusable {
    /// Host or port cannot be.
    #[error("the origin {0} cannot be called: {1}")]
    Authority(String, #[source] OriginError),
    /// The roots' file cannot be read.
    #[error("the roots {0} cannot be read: {1}")]
    RootsUnreadable(String, #[source] std::io::Error),
    /// The roots cannot be used.
    #[error("TLS to {0} cannot be set up: {1}")]
    Tls(String, #[source] TlsSettingsError),
}

/// Makes an origin ready. Reads its roots from their file.
pub(crate) fn origin(spec: &OriginSpec) -> Result<Arc<Origin>, OriginUnusable> {
    let authority = authority(spec);
    let unusable = |error| OriginUnusable::Authority(authority.clone(), error);
    if !spec.tls {
        return Origin::http(&authority).map(Arc::new).map_err(unusable);
    }
    let pem = match &spec.roots {
        Some(path) => {
            let unreadable = |error| OriginUnusable::RootsUnreadable(path.display().to_string(), error);
            Some(std::fs::read(path).map_err(unreadable)?)
        }
        None => None,
    };
    let roots = pem.as_deref().map_or(Roots::Mozilla, Roots::Private);
    let tls = OriginTls::new(roots, spec.server_name.as_deref())
        .map_err(|error| OriginUnusable::Tls(authority.clone(), error))?;
    Origin::https(&authority, Arc::new(tls)).map(Arc::new).map_err(unusable)
}

/// `host`, with its port where it is not the scheme's own, as it stands in `Host` (RFC 9110 section 7.2).
fn authority(spec: &OriginSpec) -> String {
    let host = if spec.host.contains(':') {
        format!("[{}]", spec.host)
    } else {
        spec.host.clone()
    };
    let default = if spec.tls { 443 } else { 80 };
    if spec.port == default {
        host
    } else {
        format!("{host}:{}", spec.port)
    }
}
