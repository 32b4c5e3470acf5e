//! The CPU time of a process with its children.

use std::{collections::BTreeMap, fs, time::Duration};

use crate::failure::{Failure, Outcome, While as _};

/// The processes of a tree; a peer starts all of its own before it is measured.
#[derive(Clone)]
pub(crate) struct Tree {
    ids: Vec<u32>,
}

/// Ticks per second in `/proc/PID/stat`: USER_HZ, which is 100 on every Linux that Debian builds.
const TICKS_PER_S: u64 = 100;

impl Tree {
    /// The process and all of its descendants.
    pub(crate) fn of(root: u32) -> Outcome<Self> {
        let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for entry in fs::read_dir("/proc").doing("reading /proc")?.flatten() {
            let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            // One that has ended meanwhile is none of ours.
            if let Some(parent) = stat_field(id, 4).and_then(|parent| u32::try_from(parent).ok()) {
                children.entry(parent).or_default().push(id);
            }
        }
        let mut ids = vec![root];
        let mut next = 0;
        while let Some(id) = ids.get(next) {
            ids.extend(children.get(id).into_iter().flatten().copied().collect::<Vec<_>>());
            next += 1;
        }
        Ok(Self { ids })
    }

    /// utime and stime of all of them, with all their threads.
    pub(crate) fn time(&self) -> Outcome<Duration> {
        let mut ticks = 0;
        for id in &self.ids {
            let gone = || Failure::new(format!("process {id} has ended"));
            ticks += stat_field(*id, 14).ok_or_else(gone)? + stat_field(*id, 15).ok_or_else(gone)?;
        }
        Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_S))
    }

    /// Resident memory of all of them in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        self.ids.iter().filter_map(|id| stat_field(*id, 24)).sum::<u64>() * 4096
    }
}

/// A field of `/proc/PID/stat` by its number in proc(5); only those behind the name, which may hold spaces.
fn stat_field(id: u32, number: usize) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    stat.rsplit_once(')')?
        .1
        .split_ascii_whitespace()
        .nth(number - 3)?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_own_time_and_children() {
        let own = std::process::id();
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let tree = Tree::of(own).unwrap();
        assert!(tree.ids.contains(&own) && tree.ids.contains(&child.id()));
        let before = tree.time().unwrap();
        while tree.time().unwrap() < before + Duration::from_millis(30) {}
        assert!(tree.resident_bytes() > 100_000);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(tree.time().is_err(), "a peer that ends under the load is noticed");
    }
}
