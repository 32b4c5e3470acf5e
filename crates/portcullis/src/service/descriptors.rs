//! Open files: a connection is one, and a shell's usual limit of 1,024 is far below what a gateway holds.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{config::Config, report};

/// What a process has open beside connections, generously.
const OTHERS: u64 = 256;

/// What is asked for where the system would allow any number: Linux' own bound for one process (`fs.nr_open`).
const FILES_MAX: u64 = 1024 * 1024;

/// Raises the limit to what the system allows this process, and notes when connections may still run into it.
pub(super) fn raise(config: &Config) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = Some(maximum.map_or(FILES_MAX, |maximum| maximum.min(FILES_MAX)));
    let limit = Rlimit {
        current: wanted,
        maximum,
    };
    let raised = match setrlimit(Resource::Nofile, limit) {
        Ok(()) => wanted,
        Err(_) => current, // as it was before; the note below says what follows from it
    };
    let needed = needed(config);
    if let Some(limit) = raised.filter(|limit| *limit < needed) {
        report::note(&format!(
            "warning: this process may open {limit} files, and its listeners allow connections for {needed} before any to origins: raise the limit (`ulimit -Hn`, `LimitNOFILE=`), or lower `connections_max`"
        ));
    }
}

fn needed(config: &Config) -> u64 {
    let connections: usize = config.listeners.iter().map(|listener| listener.connections_max).sum();
    u64::try_from(connections).unwrap_or(u64::MAX).saturating_add(OTHERS)
}
