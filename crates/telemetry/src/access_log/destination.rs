//! The open end of a destination.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::{fd::AsFd, unix::fs::OpenOptionsExt},
    path::Path,
    time::UNIX_EPOCH,
};

use portcullis_core::{Clock, SystemClock, Timestamp};

use super::{
    Destination,
    rotation::{self, Rotation},
};

/// Owner reads and writes, group reads: a log names people's addresses.
const MODE: u32 = 0o640;

/// A destination that was opened. Nothing is buffered here: what `write` took, the operating system has.
#[derive(Debug)]
pub(super) struct Output {
    destination: Destination,
    file: File,
    /// Of a file with a name of its own: its bytes, and when it was begun.
    age: Option<(u64, Timestamp)>,
}

// === impl Output ===

impl Output {
    pub(super) fn open(destination: Destination) -> io::Result<Self> {
        let file = match &destination {
            // A descriptor of our own, for the library's handles buffer and lock.
            Destination::Stdout => File::from(io::stdout().as_fd().try_clone_to_owned()?),
            Destination::Stderr => File::from(io::stderr().as_fd().try_clone_to_owned()?),
            Destination::File(path) => append_to(path)?,
        };
        let age = age(&destination, &file);
        Ok(Self { destination, file, age })
    }

    /// Whatever is open, without a name to open it by again.
    #[cfg(test)]
    pub(super) fn of(file: File) -> Self {
        Self {
            destination: Destination::Stdout,
            file,
            age: None,
        }
    }

    /// Opens a file again under its name; nothing to do for the others.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        if let Destination::File(path) = &self.destination {
            self.file = append_to(path)?;
            self.age = age(&self.destination, &self.file);
        }
        Ok(())
    }

    /// Rotates the file if that is due before `more` bytes are written.
    pub(super) fn rotate_if_due(&mut self, rotation: &Rotation, more: u64, now: Timestamp) -> io::Result<()> {
        let (Destination::File(path), Some(age)) = (&self.destination, self.age) else {
            return Ok(());
        };
        if !rotation.is_due(age, more, now) {
            return Ok(());
        }
        let path = path.clone();
        rotation::rename(&path, now)?;
        self.reopen()?;
        rotation::prune(&path, rotation.keep)
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        if let Some((bytes, _)) = &mut self.age {
            *bytes = bytes.saturating_add(written as u64);
        }
        Ok(written)
    }

    pub(super) fn destination(&self) -> &Destination {
        &self.destination
    }
}

/// A file that was begun before us is as old as its last line.
fn age(destination: &Destination, file: &File) -> Option<(u64, Timestamp)> {
    let about = file.metadata().ok().filter(fs::Metadata::is_file)?;
    let now = SystemClock.now();
    let changed = about.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    let changed = Timestamp::from_unix_micros(i64::try_from(changed.as_micros()).ok()?);
    let began = if about.len() == 0 { now } else { changed };
    matches!(destination, Destination::File(_)).then_some((about.len(), began))
}

fn append_to(path: &Path) -> io::Result<File> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(MODE)
        .open(path)
        .map_err(named)?;
    if ends_within_a_line(path).map_err(named)? {
        file.write_all(b"\n").map_err(named)?; // a process before us was killed while it wrote
    }
    Ok(file)
}

fn ends_within_a_line(path: &Path) -> io::Result<bool> {
    let about = fs::metadata(path)?;
    if !about.is_file() || about.len() == 0 {
        return Ok(false);
    }
    let mut file = match File::open(path) {
        Ok(file) => file,
        // Who may append need not be allowed to read.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(false),
        Err(error) => return Err(error),
    };
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    Ok(file.read(&mut last)? == 1 && last != *b"\n")
}
