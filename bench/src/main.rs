//! `make bench`: CPU time per request of the gateway, nginx and HAProxy, in one run on one machine.
//!
//! The proxy under measurement has a core for itself; this program, which is the load, and the origin share another. Each
//! run starts a fresh proxy, sees that it answers and refuses as it should, and loads it; the peers take turns.

mod cpu;
mod facts;
mod failure;
mod http2;
mod load;
mod measure;
mod peer;
mod report;
mod row;
mod token;
mod wire;

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    process::ExitCode,
    rc::Rc,
};

use clap::Parser;

use crate::{
    failure::{Failure, Outcome, While as _},
    measure::{Dose, measure},
    peer::{Running, Setting, start_origin},
    report::{Machine, RowResult},
    row::{Peer, Row},
    token::Keys,
    wire::Certificates,
};

/// CPU time per request of Portcullis against nginx and HAProxy. Run by `make bench` from the root of the tree.
#[derive(Parser)]
struct Arguments {
    /// Measure these rows only.
    #[arg(long = "row", value_enum, value_delimiter = ',')]
    rows: Vec<Row>,
    /// Measure these proxies only.
    #[arg(long = "peer", value_enum, value_delimiter = ',')]
    peers: Vec<Peer>,
    /// Alternating runs of each proxy in each row.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Kept-alive connections.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    connections: u16,
    /// Requests measured in a run.
    #[arg(long, default_value_t = 200_000)]
    requests: usize,
    /// Requests measured in a run where each has a connection of its own.
    #[arg(long, default_value_t = 5_000)]
    handshakes: usize,
    /// Requests measured in a run where each needs a token of its own, signed beforehand.
    #[arg(long, default_value_t = 50_000)]
    new_token_requests: usize,
    /// Core of the proxy under measurement.
    #[arg(long, default_value_t = 0)]
    proxy_core: usize,
    /// Core of the origin; the load runs where this program is started, by `make bench` on the same.
    #[arg(long, default_value_t = 1)]
    load_core: usize,
    /// The gateway's binary.
    #[arg(long, default_value = "target/release/portcullis")]
    gateway: PathBuf,
    /// Measure memory and start, too, when rows are named.
    #[arg(long)]
    facts: bool,
    /// Keep the table in docs/PERFORMANCE.md.
    #[arg(long)]
    write: bool,
}

/// The least that is measured in a run, so that a tick of the system's clock stays below a percent.
const REQUESTS_MIN: usize = 20_000;
/// The same where each request is a handshake, which takes a hundred times as long.
const HANDSHAKES_MIN: usize = 2_000;

fn main() -> ExitCode {
    match bench(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn bench(arguments: &Arguments) -> Outcome<()> {
    let directory = PathBuf::from("bench/out");
    fs::create_dir_all(&directory).doing("making bench/out")?;
    let _alone = be_alone(&directory)?;
    let setting = Setting {
        directory: directory.canonicalize().doing("bench/out")?,
        gateway: arguments.gateway.clone(),
        proxy_core: arguments.proxy_core,
        load_core: arguments.load_core,
        body: body(),
    };
    let machine = Machine::here();
    if let Some(warning) = machine.busy() {
        eprintln!("bench: {warning}");
    }
    let certificates = Certificates::make(&setting.directory)?;
    let origin = start_origin(&setting)?;
    let dose = Dose {
        connections: arguments.connections.into(),
        warm_up: 10_000,
        requests: arguments.requests.max(REQUESTS_MIN),
    };
    let rows = if arguments.rows.is_empty() {
        <Row as clap::ValueEnum>::value_variants()
    } else {
        &arguments.rows
    };
    let mut results = Vec::new();
    for row in rows {
        let dose = match (row.is_new_each_time(), row.connects_each_time()) {
            (true, _) => Dose {
                requests: arguments.new_token_requests.max(REQUESTS_MIN),
                ..dose
            },
            (false, true) => Dose {
                warm_up: 500,
                requests: arguments.handshakes.max(HANDSHAKES_MIN),
                ..dose
            },
            (false, false) => dose,
        };
        results.push(measure_row(*row, arguments, &origin, &certificates, &setting, dose)?);
    }
    let mut facts = Vec::new();
    if arguments.facts || arguments.rows.is_empty() {
        facts = facts::all(&origin, &certificates, &setting)?;
    }
    print!("{}{}", report::plain(&results), facts::plain(&facts));
    let markdown = report::markdown(&results, &machine, arguments.runs, dose) + &facts::markdown(&facts);
    let json = report::json(&results, &facts, &machine, dose);
    fs::write(directory.join("results.json"), format!("{json:#}\n")).doing("writing bench/out/results.json")?;
    fs::write(directory.join("results.md"), &markdown).doing("writing bench/out/results.md")?;
    eprintln!("written: bench/out/results.json, bench/out/results.md");
    if arguments.write { write_page(&markdown) } else { Ok(()) }
}

/// Takes the directory's lock, which lasts as long as the file is open: two benchmarks at a time would measure each other.
fn be_alone(directory: &Path) -> Outcome<File> {
    let lock = File::create(directory.join("lock")).doing("making bench/out/lock")?;
    match lock.try_lock() {
        Err(TryLockError::WouldBlock) => {
            return Err(Failure::new("another benchmark is running: wait until it has ended"));
        }
        taken => taken.doing("locking bench/out/lock")?,
    }
    Ok(lock)
}

/// The runs of one row, the peers taking turns.
fn measure_row(
    row: Row,
    arguments: &Arguments,
    origin: &Running,
    certificates: &Certificates,
    setting: &Setting,
    dose: Dose,
) -> Outcome<RowResult> {
    let chosen = |peer: &&Peer| arguments.peers.is_empty() || arguments.peers.contains(peer);
    let mut peers: Vec<(Peer, Vec<_>)> = row
        .peers()
        .iter()
        .filter(chosen)
        .map(|peer| (*peer, Vec::new()))
        .collect();
    let tokens = match row.algorithm() {
        None => None,
        Some(algorithm) => {
            let keys = Keys::open(algorithm, &setting.directory)?;
            // One for each request of the longest row, and one for the checks.
            let count = dose.warm_up + arguments.new_token_requests.max(REQUESTS_MIN) + 1;
            let tokens: Rc<[String]> = keys.tokens(count)?.into();
            Some((keys, tokens))
        }
    };
    for run in 1..=arguments.runs {
        for (peer, figures) in &mut peers {
            let measured = measure(*peer, row, &tokens, origin, certificates, setting, dose)?;
            let (row, name) = (row.name(), peer.name());
            let (cpu, rate, logged) = (measured.cpu_us, measured.rate_per_s, measured.logged * 100.0);
            eprintln!("{row}: {name} run {run}: {cpu:.1} µs/request, {rate:.0} requests/s, {logged:.1} % logged");
            figures.push(measured);
        }
    }
    Ok(RowResult { row, peers })
}

fn write_page(markdown: &str) -> Outcome<()> {
    let path = "docs/PERFORMANCE.md";
    let page = fs::read_to_string(path).doing(path)?;
    let page = report::put_into(&page, markdown).ok_or_else(|| Failure::new(format!("{path} has lost its marks")))?;
    fs::write(path, page).doing(path)
}

/// 1 KiB of JSON.
fn body() -> String {
    let frame = r#"{"message":""}"#.len();
    format!(r#"{{"message":"{}"}}"#, "x".repeat(1024 - frame))
}
