//! The open end of a destination.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::{fd::AsFd, unix::fs::OpenOptionsExt},
    path::Path,
};

use super::Destination;

/// Owner reads and writes, group reads: a log names people's addresses.
const MODE: u32 = 0o640;

/// A destination that was opened. Nothing is buffered here: what `write` took, the operating system has.
#[derive(Debug)]
pub(super) struct Output {
    destination: Destination,
    file: File,
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
        Ok(Self { destination, file })
    }

    /// Whatever is open, without a name to open it by again.
    #[cfg(test)]
    pub(super) fn of(file: File) -> Self {
        Self {
            destination: Destination::Stdout,
            file,
        }
    }

    /// Opens a file again under its name; nothing to do for the others.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        if let Destination::File(path) = &self.destination {
            self.file = append_to(path)?;
        }
        Ok(())
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    pub(super) fn destination(&self) -> &Destination {
        &self.destination
    }
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
