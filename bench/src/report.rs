//! The results: a table for people, Markdown for the documentation, JSON for programs.

use std::{fs, process::Command};

use portcullis_core::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::{
    facts::Fact,
    measure::{Dose, Figures},
    row::{Peer, Row},
};

/// All runs of one row.
pub(crate) struct RowResult {
    /// The work.
    pub(crate) row: Row,
    /// Each peer's runs in their order.
    pub(crate) peers: Vec<(Peer, Vec<Figures>)>,
}

/// Where and with what it was measured.
pub(crate) struct Machine {
    date: String,
    processor: String,
    cores: usize,
    kernel: String,
    load: f64, // of the minute before the benchmark
    versions: Vec<(&'static str, String)>,
}

// === impl RowResult ===

impl RowResult {
    /// The median of one figure over a peer's runs.
    fn median(&self, peer: Peer, figure: impl Fn(&Figures) -> f64) -> Option<f64> {
        let runs = &self.peers.iter().find(|(other, _)| *other == peer)?.1;
        let mut values: Vec<f64> = runs.iter().map(figure).collect();
        values.sort_by(f64::total_cmp);
        let (low, high) = (
            values.get(values.len().checked_sub(1)? / 2)?,
            values.get(values.len() / 2)?,
        );
        Some((low + high) / 2.0)
    }

    /// Ours to theirs, in CPU time.
    fn ratio(&self, peer: Peer) -> Option<f64> {
        let cpu = |peer| self.median(peer, |figures| figures.cpu_us);
        (peer != Peer::Portcullis).then_some(())?;
        Some(cpu(Peer::Portcullis)? / cpu(peer)?)
    }

    /// The lines of this row as cells.
    fn cells(&self) -> Vec<[String; 8]> {
        let line = |(peer, _): &(Peer, Vec<Figures>)| {
            let cell = |figure: fn(&Figures) -> f64, digits: usize| {
                self.median(*peer, figure)
                    .map_or_else(String::new, |value| format!("{value:.digits$}"))
            };
            let aim = self
                .row
                .aim()
                .filter(|(against, _)| against == peer)
                .map(|(_, aim)| aim);
            let verdict = |ratio: f64| match aim {
                Some(aim) if ratio <= aim => format!("≤ {aim} ✓"),
                Some(aim) => format!("≤ {aim} ✗"),
                None => String::new(),
            };
            let ratio = self.ratio(*peer);
            [
                self.row.name().to_owned(),
                peer.name().to_owned(),
                cell(|figures| figures.cpu_us, 1),
                cell(|figures| figures.rate_per_s, 0),
                cell(|figures| figures.p50_us, 0),
                cell(|figures| figures.p99_us, 0),
                ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}")),
                ratio.map_or_else(String::new, verdict),
            ]
        };
        self.peers.iter().map(line).collect()
    }
}

const HEADINGS: [&str; 8] = [
    "work",
    "proxy",
    "CPU µs/request",
    "requests/s",
    "p50 µs",
    "p99 µs",
    "ours to it (CPU)",
    "aim",
];

/// The table for a terminal.
pub(crate) fn plain(results: &[RowResult]) -> String {
    let lines: Vec<_> = results.iter().flat_map(RowResult::cells).collect();
    let heading = HEADINGS.map(ToOwned::to_owned);
    let width = |column: usize| {
        let cells = lines.iter().chain([&heading]).map(|line| line[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..HEADINGS.len()).map(width).collect();
    let write = |line: &[String; 8]| {
        let cells = line
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, width))| match column {
                0 | 1 | 7 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    [&heading].into_iter().chain(&lines).map(write).collect()
}

/// The table in Markdown.
fn markdown_table(results: &[RowResult]) -> String {
    let row = |line: &[String; 8]| format!("| {} |\n", line.join(" | "));
    let rule = "|---|---|--:|--:|--:|--:|--:|---|\n";
    let body: String = results
        .iter()
        .flat_map(RowResult::cells)
        .map(|line| row(&line))
        .collect();
    row(&HEADINGS.map(ToOwned::to_owned)) + rule + &body
}

/// What `docs/PERFORMANCE.md` holds between its two marks.
pub(crate) fn markdown(results: &[RowResult], machine: &Machine, runs: usize, dose: Dose) -> String {
    let versions: String = machine
        .versions
        .iter()
        .map(|(name, version)| format!("- {name}: {version}\n"))
        .collect();
    let busy = machine
        .busy()
        .map_or_else(String::new, |warning| format!("{warning}\n\n"));
    let Machine {
        date,
        processor,
        cores,
        kernel,
        ..
    } = machine;
    let Dose {
        connections,
        warm_up,
        requests,
    } = dose;
    format!(
        "Measured {date} on {cores} cores of {processor}, Linux {kernel}:\n\n{versions}\n\
         Median of {runs} alternating runs, {connections} kept-alive connections, 1 KiB answers, {requests} requests \
         after {warm_up} unmeasured ones (fewer where each needs a token or a connection of its own).\n\n{busy}{}",
        markdown_table(results)
    )
}

/// `page` with what stands between its two marks replaced by `measured`; `None` without the marks.
pub(crate) fn put_into(page: &str, measured: &str) -> Option<String> {
    const BEGIN: &str = "<!-- measured: begin (written by make bench) -->\n";
    const END: &str = "<!-- measured: end -->";
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{measured}\n{END}{after}"))
}

/// Everything, each run for itself.
pub(crate) fn json(results: &[RowResult], facts: &[Fact], machine: &Machine, dose: Dose) -> Value {
    let run = |figures: &Figures| {
        let Figures {
            cpu_us,
            rate_per_s,
            p50_us,
            p99_us,
            resident_mib,
            logged,
        } = figures;
        json!({
            "cpu_us": cpu_us, "rate_per_s": rate_per_s, "p50_us": p50_us, "p99_us": p99_us,
            "resident_mib": resident_mib, "logged": logged,
        })
    };
    let peer = |(peer, runs): &(Peer, Vec<Figures>)| json!({ "name": peer.name(), "runs": runs.iter().map(run).collect::<Vec<_>>() });
    let row = |result: &RowResult| {
        let peers: Vec<_> = result.peers.iter().map(peer).collect();
        json!({ "name": result.row.name(), "peers": peers })
    };
    let versions: serde_json::Map<_, _> = machine
        .versions
        .iter()
        .map(|(name, version)| ((*name).to_owned(), version.as_str().into()))
        .collect();
    json!({
        "date": machine.date, "load": machine.load, "processor": machine.processor, "cores": machine.cores, "kernel": machine.kernel,
        "versions": versions, "connections": dose.connections, "requests": dose.requests,
        "rows": results.iter().map(row).collect::<Vec<_>>(),
        "facts": facts.iter().map(Fact::json).collect::<Vec<_>>(),
    })
}

// === impl Machine ===

impl Machine {
    /// What to say when other programs were at work.
    pub(crate) fn busy(&self) -> Option<String> {
        let sentence = "Other programs were at work on this machine (load before the start";
        (self.load > 0.5).then(|| format!("{sentence}: {:.1}): figures and ratios waver.", self.load))
    }

    /// Asks this machine.
    pub(crate) fn here() -> Self {
        let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = processors
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Self {
            date: SystemClock.now().to_rfc3339(),
            processor: model.map_or("an unknown processor", |(_, name)| name).to_owned(),
            cores: processors.lines().filter(|line| line.starts_with("processor")).count(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .unwrap_or_default()
                .trim()
                .to_owned(),
            load: load_average().unwrap_or(0.0),
            versions: vec![
                ("Portcullis", said("git", &["describe", "--always", "--dirty"])),
                ("nginx", said("nginx", &["-v"]).replace("nginx version: ", "")),
                ("HAProxy", said("haproxy", &["-v"]).replace("HAProxy version ", "")),
                ("Rust", said("rustc", &["--version"])),
            ],
        }
    }
}

fn load_average() -> Option<f64> {
    fs::read_to_string("/proc/loadavg")
        .ok()?
        .split(' ')
        .next()?
        .parse()
        .ok()
}

/// The first line of what a command says about itself.
fn said(command: &str, arguments: &[&str]) -> String {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/local/sbin:/usr/sbin";
    let Ok(output) = Command::new(command).args(arguments).env("PATH", path).output() else {
        return "not there".to_owned();
    };
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text)
        .lines()
        .next()
        .unwrap_or_default()
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(cpu_us: f64) -> Figures {
        Figures {
            cpu_us,
            rate_per_s: 1.0,
            p50_us: 2.0,
            p99_us: 3.0,
            resident_mib: 4.0,
            logged: 1.0,
        }
    }

    fn result(ours: &[f64], nginx: &[f64]) -> RowResult {
        let runs = |values: &[f64]| values.iter().copied().map(figures).collect();
        RowResult {
            row: Row::Plain,
            peers: vec![(Peer::Nginx, runs(nginx)), (Peer::Portcullis, runs(ours))],
        }
    }

    #[test]
    fn medians_and_ratios() {
        let check = |ours: &[f64], nginx: &[f64], ratio: &str, aim: &str| {
            let cells = result(ours, nginx).cells();
            assert_eq!((cells[0][6].as_str(), cells[0][7].as_str()), (ratio, aim));
            assert_eq!(
                (cells[1][6].as_str(), cells[1][7].as_str()),
                ("", ""),
                "no ratio to oneself"
            );
        };
        check(&[9.0, 100.0, 8.0], &[10.0, 1.0, 11.0], "0.90", "≤ 1 ✓");
        check(&[12.0, 14.0], &[10.0], "1.30", "≤ 1 ✗");
    }

    #[test]
    fn a_peer_left_out_leaves_its_ratio_out() {
        let alone = RowResult {
            row: Row::Plain,
            peers: vec![(Peer::Nginx, vec![figures(1.0)])],
        };
        assert_eq!(alone.cells()[0][6], "");
        assert_eq!(plain(&[alone]).lines().count(), 2);
    }

    #[test]
    fn replaces_between_the_marks_alone() {
        let page = "a\n<!-- measured: begin (written by make bench) -->\nold\n<!-- measured: end -->\nb\n";
        let new = put_into(page, "new\n").unwrap();
        assert!(new.starts_with("a\n") && new.ends_with("\nb\n") && new.contains("\nnew\n") && !new.contains("old"));
        assert_eq!(put_into(&new, "new\n").as_ref(), Some(&new));
        assert_eq!(put_into("a\n", "new"), None);
    }
}
