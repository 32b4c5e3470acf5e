//! The directory that one process owns.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::{DirBuilderExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

/// The lock's file in the directory.
const LOCK: &str = "lock";

/// A directory that no other process uses for as long as this value lives.
#[derive(Debug)]
pub(crate) struct DataDir {
    lock: File,
}

/// Why a directory cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DataDirError {
    /// Another process has it.
    #[error("`{}` belongs to another process that is still running", .0.display())]
    InUse(PathBuf),
    /// It cannot be created or its lock not taken.
    #[error("`{path}` cannot be used: {error}", path = .0.display(), error = .1)]
    Unusable(PathBuf, #[source] io::Error),
}

impl DataDir {
    /// Creates the directory (mode 0700) where it is not there, and takes it. The system lets go of it when the process
    /// ends, however it ends.
    pub(crate) fn take(path: &Path) -> Result<Self, DataDirError> {
        let unusable = |error| DataDirError::Unusable(path.to_owned(), error);
        if !path.is_dir() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(path)
                .map_err(unusable)?;
        }
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join(LOCK))
            .map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { lock }),
            Err(TryLockError::WouldBlock) => Err(DataDirError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(unusable(error)),
        }
    }

    /// A directory whose lock another process has handed over. The lock belongs to the open file, not to the process: it stays
    /// taken until the last of the two lets go of it.
    pub(crate) fn inherit(lock: OwnedFd) -> Self {
        Self { lock: lock.into() }
    }

    /// The open file that holds the lock.
    pub(crate) fn lock(&self) -> BorrowedFd<'_> {
        self.lock.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_owner_at_a_time() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let owner = DataDir::take(&path).unwrap();
        assert!(matches!(DataDir::take(&path), Err(DataDirError::InUse(_))));
        drop(owner);
        drop(DataDir::take(&path).unwrap());

        std::fs::write(parent.path().join("file"), "").unwrap();
        assert!(matches!(
            DataDir::take(&parent.path().join("file")),
            Err(DataDirError::Unusable(..))
        ));
    }
}
