//! Rotation by the gateway itself: a file that is large or old enough is renamed, a new one begun, the oldest removed.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use portcullis_core::Timestamp;

/// When a file is rotated, and how many are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Before a file would grow beyond so many bytes; `None` for any size. What was collected is written as a whole, so that a
    /// file that begins with much of it may be larger.
    pub bytes_max: Option<u64>,
    /// At the first line of each, in UTC; `None` for any age.
    pub every: Option<Every>,
    /// Rotated files that are kept, beside the one that is written.
    pub keep: usize,
}

/// How long a file is written at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each says itself")]
pub enum Every {
    Day,
    Hour,
}

// === impl Rotation ===

impl Rotation {
    /// Whether a file that has `bytes` and was begun at `began` is to be rotated before `more` bytes are written `now`.
    pub(super) fn is_due(&self, (bytes, began): (u64, Timestamp), more: u64, now: Timestamp) -> bool {
        let is_large = self.bytes_max.is_some_and(|max| bytes.saturating_add(more) > max);
        let is_old = self.every.is_some_and(|every| every.number(began) != every.number(now));
        bytes > 0 && (is_large || is_old)
    }
}

impl Every {
    /// The number of a time's day or hour since 1970.
    fn number(self, time: Timestamp) -> i64 {
        let seconds = match self {
            Self::Day => 86_400,
            Self::Hour => 3_600,
        };
        time.unix_seconds().div_euclid(seconds)
    }
}

/// Gives `path` the name of this moment, behind all that it gave before. One that was moved away by someone else is no error.
pub(super) fn rename(path: &Path, now: Timestamp) -> io::Result<()> {
    let stamp = stamp(now);
    let of_second = rotated(path)?.into_iter().filter(|(known, ..)| *known == stamp);
    let number = of_second.map(|(_, number, _)| number).max().unwrap_or(0) + 1;
    // Nobody else writes these names: a process owns its logs as it owns its data directory.
    match fs::rename(path, with_suffix(path, &stamp, number)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        renamed => renamed,
    }
}

/// Removes the oldest rotated files of `path` beyond `keep`.
pub(super) fn prune(path: &Path, keep: usize) -> io::Result<()> {
    let rotated = rotated(path)?;
    let excess = rotated.len().saturating_sub(keep);
    rotated
        .iter()
        .take(excess)
        .try_for_each(|(_, _, path)| fs::remove_file(path))
}

/// The files that have a name that [`rename`] gives, the oldest first: their moment, their number in it, their path.
fn rotated(path: &Path) -> io::Result<Vec<(String, u64, PathBuf)>> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return Ok(Vec::new());
    };
    let mut rotated = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let found = entry.file_name();
        let suffix = found
            .to_str()
            .and_then(|found| found.strip_prefix(name)?.strip_prefix('.'));
        if let Some((stamp, number)) = suffix.and_then(parse) {
            rotated.push((stamp.to_owned(), number, entry.path()));
        }
    }
    rotated.sort();
    Ok(rotated)
}

/// `20261121T132817Z`.
fn stamp(now: Timestamp) -> String {
    now.to_rfc3339().replace(['-', ':'], "")
}

/// `access.log.20261121T132817Z`, and `-2` behind it for the second of one second.
fn with_suffix(path: &Path, stamp: &str, number: u64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(stamp);
    if number > 1 {
        name.push(format!("-{number}"));
    }
    name.into()
}

fn parse(suffix: &str) -> Option<(&str, u64)> {
    let (stamp, number) = suffix
        .split_once('-')
        .map_or((suffix, Some(1)), |(stamp, number)| (stamp, number.parse().ok()));
    let is_stamp = stamp.len() == 16
        && stamp.bytes().enumerate().all(|(at, byte)| match at {
            8 => byte == b'T',
            15 => byte == b'Z',
            _ => byte.is_ascii_digit(),
        });
    number.filter(|_| is_stamp).map(|number| (stamp, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn a_file_is_due_when_it_is_large_or_old_and_not_empty() {
        let check = |rotation: Rotation, bytes: u64, more: u64, now: &str, expected: bool| {
            let began = at("2026-11-21T13:59:59Z");
            assert_eq!(
                rotation.is_due((bytes, began), more, at(now)),
                expected,
                "{rotation:?} {bytes} {more} {now}"
            );
        };
        let rotation = |bytes_max, every| Rotation {
            bytes_max,
            every,
            keep: 1,
        };
        let size = rotation(Some(100), None);
        check(size, 90, 10, "2027-01-01T00:00:00Z", false);
        check(size, 90, 11, "2026-11-21T13:59:59Z", true);
        check(size, 0, 200, "2026-11-21T13:59:59Z", false);
        let hour = rotation(None, Some(Every::Hour));
        check(hour, 1, 1 << 40, "2026-11-21T13:59:59Z", false);
        check(hour, 1, 1, "2026-11-21T14:00:00Z", true);
        check(hour, 0, 1, "2026-11-21T14:00:00Z", false);
        let day = rotation(None, Some(Every::Day));
        check(day, 1, 1, "2026-11-21T23:59:59Z", false);
        check(day, 1, 1, "2026-11-22T00:00:00Z", true);
        check(
            rotation(Some(100), Some(Every::Day)),
            1,
            100,
            "2026-11-21T14:00:00Z",
            true,
        );
    }

    #[test]
    fn names_are_given_once_and_the_oldest_go() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        let write = |text: &str| fs::write(&path, text).unwrap();
        for (index, time) in [
            "2026-11-21T09:00:00Z",
            "2026-11-21T10:00:00Z",
            "2026-11-21T10:00:00Z",
            "2026-12-01T00:00:00Z",
        ]
        .into_iter()
        .enumerate()
        {
            write(&index.to_string());
            rename(&path, at(time)).unwrap();
        }
        rename(&path, at("2027-01-01T00:00:00Z")).unwrap();
        let others = [
            "a.log.1",
            "a.log.old",
            "a.log.20261121T090000",
            "b.log.20201121T090000Z",
            "a.log.2026x121T090000Z",
        ];
        others
            .iter()
            .for_each(|other| fs::write(directory.path().join(other), "").unwrap());
        prune(&path, 2).unwrap();
        let mut left: Vec<_> = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !others.contains(&name.as_str()))
            .collect();
        left.sort();
        assert_eq!(left, ["a.log.20261121T100000Z-2", "a.log.20261201T000000Z"]);
        assert_eq!(fs::read_to_string(directory.path().join(&left[0])).unwrap(), "2");
        assert_eq!(parse("20261121T100000Z-x"), None);
    }
}
