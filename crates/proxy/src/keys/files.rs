//! Keys and deny lists out of files and the environment.

use std::{
    collections::HashSet,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use portcullis_core::{Secret, SecretRef};
use portcullis_jose::{JwksError, KeyError, KeySet};
use portcullis_model::snapshot::KeySource;

/// Bytes of a secret or JWK set at most.
const KEYS_BYTES_MAX: u64 = 150_000;
/// Bytes of a deny list at most: about 800,000 entries.
const DENY_LIST_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What is wrong with a secret, a key file or a deny list; never says what stands in it.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is empty.
    #[error("{0} is empty: write the secret into it")]
    Empty(String),
    /// The JWK set cannot be used.
    #[error("{0} is no usable JWK set: {1}")]
    Jwks(String, #[source] JwksError),
    /// A secret cannot be used.
    #[error("{0} cannot be used as a key: {1}")]
    Key(String, #[source] KeyError),
    /// The environment does not have it.
    #[error("the environment variable {0} is not set, or not UTF-8")]
    NotInEnvironment(String),
    /// The file cannot be read.
    #[error("{0} cannot be read: {1}")]
    NotReadable(String, #[source] std::io::Error),
    /// It is too large.
    #[error("{0} is larger than {1} bytes")]
    TooLarge(String, u64),
}

/// The ids, subjects and digests that are refused, from a watched file.
#[derive(Debug)]
pub struct DenyList {
    path: PathBuf,
    entries: ArcSwap<HashSet<Box<str>>>,
}

/// Reads the keys of a local source; `None` for a remote one.
pub fn load_key_set(source: &KeySource) -> Result<Option<KeySet>, FileError> {
    match source {
        KeySource::Secrets { references, encoding } => {
            let secrets = references.iter().map(read_secret).collect::<Result<Vec<_>, _>>()?;
            let names = || {
                references
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            KeySet::from_secrets(&secrets, *encoding)
                .map(Some)
                .map_err(|error| FileError::Key(names(), error))
        }
        KeySource::JwksFile(path) => {
            let text = read_bounded(path, KEYS_BYTES_MAX)?;
            let name = || path.display().to_string();
            let (keys, skipped) = KeySet::from_jwks(&text).map_err(|error| FileError::Jwks(name(), error))?;
            for key in skipped {
                tracing::warn!(file = %path.display(), ?key, "a key of the JWK set is not used");
            }
            Ok(Some(keys))
        }
        KeySource::JwksUrl(_) | KeySource::Discovery(_) => Ok(None),
    }
}

/// Reads a secret. One line break at its end is not part of it.
pub fn read_secret(reference: &SecretRef) -> Result<Secret, FileError> {
    let mut bytes = match reference {
        SecretRef::Env(name) => std::env::var(name)
            .map_err(|_| FileError::NotInEnvironment(name.clone()))?
            .into_bytes(),
        SecretRef::File(path) => read_bounded(Path::new(path), KEYS_BYTES_MAX)?,
    };
    if bytes.ends_with(b"\n") {
        bytes.pop();
        if bytes.ends_with(b"\r") {
            bytes.pop();
        }
    }
    if bytes.is_empty() {
        Err(FileError::Empty(reference.to_string()))
    } else {
        Ok(Secret::new(bytes))
    }
}

fn read_bounded(path: &Path, bytes_max: u64) -> Result<Vec<u8>, FileError> {
    let name = || path.display().to_string();
    let unreadable = |error| FileError::NotReadable(name(), error);
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > bytes_max {
        Err(FileError::TooLarge(name(), bytes_max))
    } else {
        Ok(bytes)
    }
}

// === impl DenyList ===

impl DenyList {
    /// Reads the list: one entry a line; empty lines and those that begin with `#` are skipped.
    pub fn open(path: PathBuf) -> Result<Arc<Self>, FileError> {
        let entries = ArcSwap::from_pointee(read_entries(&path)?);
        Ok(Arc::new(Self { path, entries }))
    }

    /// Reads the list again. `Ok(true)` when it changed.
    pub fn reread(&self) -> Result<bool, FileError> {
        let entries = read_entries(&self.path)?;
        let changed = **self.entries.load() != entries;
        if changed {
            self.entries.store(Arc::new(entries));
        }
        Ok(changed)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether one of these names is on the list.
    pub(crate) fn holds<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> bool {
        let entries = self.entries.load();
        !entries.is_empty() && names.into_iter().any(|name| entries.contains(name))
    }
}

fn read_entries(path: &Path) -> Result<HashSet<Box<str>>, FileError> {
    let text = read_bounded(path, DENY_LIST_BYTES_MAX)?;
    let text = String::from_utf8_lossy(&text);
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.map(Into::into).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deny_lists_skip_comments_and_notice_changes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("denied");
        std::fs::write(&path, "# stolen\n\n jti-1 \nalice\n").unwrap();
        let list = DenyList::open(path.clone()).unwrap();
        assert!(list.holds(["x", "alice"]) && list.holds(["jti-1"]) && !list.holds(["# stolen"]) && !list.holds([""]));
        assert!(!list.reread().unwrap());
        std::fs::write(&path, "bob\n").unwrap();
        assert!(list.reread().unwrap());
        assert!(list.holds(["bob"]) && !list.holds(["alice"]));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(list.reread(), Err(FileError::NotReadable(..))));
        assert!(list.holds(["bob"]), "a list that cannot be read again stays in force");
    }

    #[test]
    fn a_secret_loses_one_line_break() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let reference = SecretRef::File(path.display().to_string());
        for (content, secret) in [
            ("abc", "abc"),
            ("abc\n", "abc"),
            ("abc\r\n", "abc"),
            ("abc\n\n", "abc\n"),
        ] {
            std::fs::write(&path, content).unwrap();
            assert!(read_secret(&reference).unwrap().is(secret.as_bytes()), "{content:?}");
        }
        std::fs::write(&path, "\n").unwrap();
        assert!(matches!(read_secret(&reference), Err(FileError::Empty(_))));
        std::fs::write(&path, vec![b'a'; 150_001]).unwrap();
        assert!(matches!(read_secret(&reference), Err(FileError::TooLarge(..))));
        assert!(matches!(
            read_secret(&SecretRef::Env("PORTCULLIS_UNSET".into())),
            Err(FileError::NotInEnvironment(_))
        ));
    }
}
