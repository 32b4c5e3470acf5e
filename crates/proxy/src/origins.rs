//! Origins of a snapshot, made ready to be called.

use std::{fs::File, io::Read, path::Path, sync::Arc};

use portcullis_core::Secret;
use portcullis_model::snapshot::{CertificateFiles, OriginSpec};
use portcullis_net::{
    identity::Identity,
    tls::KeyPairFault,
    upstream::{Origin, OriginError, OriginTls, Roots, TlsSettingsError},
};

/// Bytes of a file of certificates or of a key at most.
const PEM_BYTES_MAX: u64 = 1024 * 1024;

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
    /// A file of the client certificate cannot be read.
    #[error("the client certificate's file {0} cannot be read: {1}")]
    CertificateUnreadable(String, #[source] std::io::Error),
    /// The client certificate and its key cannot be used.
    #[error("the client certificate {0} with the key {1} cannot be used: {2}")]
    Certificate(String, String, #[source] KeyPairFault),
}

/// What of an origin stands in files: as long as it is the same, so is the origin.
#[derive(Debug, Default)]
pub(crate) struct Material {
    roots: Option<Vec<u8>>,
    /// Certificate and key.
    identity: Option<(Vec<u8>, Secret)>,
}

// === impl Material ===

impl Material {
    /// Reads the files that an origin names.
    pub(crate) fn read(spec: &OriginSpec) -> Result<Self, OriginUnusable> {
        let roots = spec
            .roots
            .as_deref()
            .map(|path| read(path).map_err(|error| OriginUnusable::RootsUnreadable(path.display().to_string(), error)));
        let identity = spec.client_certificate.as_ref().map(|files| {
            let file = |path: &Path| {
                read(path).map_err(|error| OriginUnusable::CertificateUnreadable(path.display().to_string(), error))
            };
            Ok((file(&files.certificate)?, Secret::new(file(&files.key)?)))
        });
        Ok(Self {
            roots: roots.transpose()?,
            identity: identity.transpose()?,
        })
    }

    /// Whether nothing has changed.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let is_same_identity = match (&self.identity, &other.identity) {
            (Some((certificate, key)), Some((others, others_key))) => {
                certificate == others && key.is(others_key.expose())
            }
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        self.roots == other.roots && is_same_identity
    }

    fn identity(&self, files: Option<&CertificateFiles>) -> Result<Option<Identity>, OriginUnusable> {
        let (Some((certificate, key)), Some(files)) = (&self.identity, files) else {
            return Ok(None);
        };
        let unusable = |error| {
            let [certificate, key] = [&files.certificate, &files.key].map(|path| path.display().to_string());
            OriginUnusable::Certificate(certificate, key, error)
        };
        Identity::from_pem(certificate, key.expose())
            .map(Some)
            .map_err(unusable)
    }
}

/// Reads the files that an origin names and makes it ready: for those who call one for their own sake.
pub fn open(spec: &OriginSpec) -> Result<Arc<Origin>, OriginUnusable> {
    origin(spec, &Material::read(spec)?)
}

/// Makes an origin ready with what stands in its files.
pub(crate) fn origin(spec: &OriginSpec, material: &Material) -> Result<Arc<Origin>, OriginUnusable> {
    let authority = authority(spec);
    let unusable = |error| OriginUnusable::Authority(authority.clone(), error);
    if !spec.tls {
        return Origin::http(&authority).map(Arc::new).map_err(unusable);
    }
    let roots = material.roots.as_deref().map_or(Roots::Mozilla, Roots::Private);
    let identity = material.identity(spec.client_certificate.as_ref())?;
    let tls = OriginTls::new(roots, spec.server_name.as_deref(), identity.as_ref())
        .map_err(|error| OriginUnusable::Tls(authority.clone(), error))?;
    Origin::https(&authority, Arc::new(tls)).map(Arc::new).map_err(unusable)
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(PEM_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > PEM_BYTES_MAX {
        let message = format!("it has more than {PEM_BYTES_MAX} bytes");
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, message));
    }
    Ok(bytes)
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
