//! The files of a data directory.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use portcullis_core::Timestamp;
use portcullis_jose::digest::sha256_hex;

use crate::{Deployment, History, Releases, file, wire};

/// Deployments of one API that are kept when the configuration does not say how many.
pub const DEPLOYMENTS_MAX: usize = 100;
/// A document in bytes at most: more than is ever read as one.
const SOURCE_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// A history or the decisions about stages in bytes at most.
const INDEX_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The deployments in a data directory.
#[derive(Clone, Debug)]
pub struct Store {
    directory: PathBuf,
}

/// Why the store does not do what it is asked for.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file is not what was written.
    #[error("`{path}` is damaged: {what}; put back what your backup has of it", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A file cannot be read or written.
    #[error("`{path}` cannot be {did}: {error}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// `read` or `written`.
        did: &'static str,
        /// Why.
        error: io::Error,
    },
}

// === impl Store ===

impl Store {
    /// The store in a data directory, which need not be there yet. Nothing is opened.
    pub fn at(data_dir: &Path) -> Self {
        Self {
            directory: data_dir.join("deployments"),
        }
    }

    /// The history of an API; empty when nothing was ever deployed.
    pub fn history(&self, api: &str) -> Result<History, StoreError> {
        read(&self.history_file(api), wire::read_history)
    }

    /// What was decided about stages.
    pub fn releases(&self) -> Result<Releases, StoreError> {
        read(&self.stages_file(), wire::read_releases)
    }

    /// Keeps what was decided. For the directory's owner.
    pub fn keep_releases(&self, releases: &Releases) -> Result<(), StoreError> {
        write(&self.stages_file(), &wire::write_releases(releases))
    }

    /// A deployment's document, byte by byte as it was.
    pub fn source(&self, deployment: &Deployment) -> Result<Vec<u8>, StoreError> {
        let path = self.source_file(&deployment.digest);
        let damaged = |what: &str| StoreError::Damaged {
            path: path.clone(),
            what: what.to_owned(),
        };
        let bytes = file::read(&path, SOURCE_BYTES_MAX).map_err(|error| StoreError::Io {
            path: path.clone(),
            did: "read",
            error,
        })?;
        let bytes = bytes.ok_or_else(|| damaged("it is not there"))?;
        if sha256_hex(&bytes) == deployment.digest {
            Ok(bytes)
        } else {
            Err(damaged("its digest is not the one that it is named by"))
        }
    }

    /// Records a document as the next deployment of an API. Of more than `max` deployments the oldest are removed for which
    /// `is_in_use` says no. For the directory's owner.
    pub fn record(
        &self,
        api: &str,
        source: &[u8],
        (description, created): (&str, Timestamp),
        max: usize,
        is_in_use: &dyn Fn(u32) -> bool,
    ) -> Result<Deployment, StoreError> {
        let mut history = self.history(api)?;
        let deployment = Deployment {
            number: history.next_number(),
            digest: sha256_hex(source),
            created,
            description: description.to_owned(),
        };
        if self.source(&deployment).is_err() {
            write(&self.source_file(&deployment.digest), source)?;
        }
        history.add(deployment.clone(), max, is_in_use);
        write(&self.history_file(api), &wire::write_history(&history))?;
        self.remove_unnamed();
        Ok(deployment)
    }

    /// Removes documents that no history names. What cannot be removed now is tried again with the next deployment; where a
    /// history cannot be read nothing is removed, for it might name it.
    fn remove_unnamed(&self) {
        let Some(named) = self.named_digests() else { return };
        let Ok(sources) = fs::read_dir(self.directory.join("sources")) else {
            return;
        };
        for entry in sources.flatten() {
            let is_named = entry.file_name().to_str().is_some_and(|name| named.contains(name));
            if !is_named {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    fn named_digests(&self) -> Option<BTreeSet<String>> {
        let mut named = BTreeSet::new();
        for entry in fs::read_dir(self.directory.join("apis")).ok()? {
            let path = entry.ok()?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let history: History = read(&path, wire::read_history).ok()?;
                named.extend(history.deployments.into_iter().map(|deployment| deployment.digest));
            }
        }
        Some(named)
    }

    /// An API's id is letters, digits, `-` and `_`.
    fn history_file(&self, api: &str) -> PathBuf {
        self.directory.join("apis").join(format!("{api}.json"))
    }

    fn stages_file(&self) -> PathBuf {
        self.directory.join("stages.json")
    }

    fn source_file(&self, digest: &str) -> PathBuf {
        self.directory.join("sources").join(digest)
    }
}

fn read<T: Default>(path: &Path, parse: fn(&[u8]) -> Result<T, String>) -> Result<T, StoreError> {
    let bytes = file::read(path, INDEX_BYTES_MAX).map_err(|error| StoreError::Io {
        path: path.to_owned(),
        did: "read",
        error,
    })?;
    bytes.map_or_else(
        || Ok(T::default()),
        |bytes| {
            parse(&bytes).map_err(|what| StoreError::Damaged {
                path: path.to_owned(),
                what,
            })
        },
    )
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    file::replace(path, bytes).map_err(|error| StoreError::Io {
        path: path.to_owned(),
        did: "written",
        error,
    })
}
