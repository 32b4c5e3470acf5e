//! `portcullis serve`.

use std::{net::SocketAddr, num::NonZeroUsize};

use super::Exit;
use crate::{
    acme,
    failure::Failure,
    load::{Amend, Loaded, Mounting, Serving, Source},
    process_log::ProcessLog,
    report::{self, Form},
    service::{self, End, Load, Reloader, Service},
};

pub(super) const HELP: &str = "\
Examples:
  portcullis serve proxy.yaml --variable origin=127.0.0.1:9000
  portcullis serve /pets=pets.yaml /orders=orders.yaml --kind http --listen 0.0.0.0:8080
  portcullis serve proxy.yaml --access-log json --access-log file:access.log --metrics-listen 127.0.0.1:9100
  portcullis serve --config portcullis.toml

Nothing is served while there is an error in a document or the configuration: all of them are printed. Once it serves, \
it says `listening on http://…` (or `https://…`) on standard error for each listener; the access log goes to standard output.

SIGINT and SIGTERM end it when the requests under way are answered, within 30 s; a second one ends it at once. SIGHUP \
has access logs opened again and everything loaded again, and so has a change of the configuration, a document or a certificate: no \
request is dropped, and a bad change is reported while the old goes on. Listeners, workers and metrics change with the \
next start: `portcullis serve --take-over` makes one without a dropped request, also of another version.";

#[derive(Debug, clap::Args)]
pub(super) struct Serve {
    #[command(flatten)]
    source: Source,
    /// Where to listen; may be repeated [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with = "config")]
    listen: Vec<SocketAddr>,
    /// The access log: clf, json or a template of $context variables; stdout, stderr, off or file:PATH. Give it twice to
    /// say both [default: clf, stdout].
    #[arg(long, value_name = "FORMAT|DESTINATION", conflicts_with = "config")]
    access_log: Vec<String>,
    /// Where /metrics, /livez and /readyz are answered; nowhere when absent.
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with = "config")]
    metrics_listen: Option<SocketAddr>,
    /// Take the listening sockets and the data directory over from the gateway that runs on it, which ends when this one
    /// serves; no request is dropped. Starts as usual when none runs.
    #[arg(long, conflicts_with = "documents")]
    take_over: bool,
    /// Threads that serve [default: one per core].
    #[arg(long, value_name = "NUMBER")]
    workers: Option<NonZeroUsize>,
    #[command(flatten)]
    log: ProcessLog,
}

pub(super) fn run(args: &Serve) -> Result<Exit, Failure> {
    args.log.start()?;
    let serving = Serving {
        listen: args.listen.clone(),
        metrics: args.metrics_listen,
        access_log: args.access_log.clone(),
    };
    let (source, workers) = (args.source.clone(), args.workers);
    let load = move |amend: Option<Amend<'_>>| {
        let mut loaded = source.load_served(Mounting::Root, &serving, amend)?;
        if workers.is_some() {
            loaded.config.workers = workers;
        }
        Ok(loaded)
    };
    Ok(end(start(Box::new(load), args.take_over)?.run()))
}

/// Loads and starts, or prints everything that is wrong with it. The same is loaded again when its files change.
///
/// With `take_over` the process that owns the data directory hands its sockets over once everything could be loaded; from then
/// on until this one serves it changes nothing, so everything is loaded once more.
pub(super) fn start(load: Load, take_over: bool) -> Result<Service, Failure> {
    let mut loaded = load(None)?;
    acme::have_something(&loaded.config)?;
    let mut inherited = None;
    if take_over {
        if loaded.open(None).is_none() {
            report::print(loaded.findings, &loaded.sources, Form::Text);
            return Err(Failure::Findings);
        }
        let data_dir = loaded.config.data_dir.as_ref().ok_or(Failure::NotKept)?;
        inherited = service::take_over(&data_dir.value).map_err(Failure::NotHandedOver)?;
        loaded = load(None)?;
    }
    let compiled = loaded.open(None);
    let files = loaded.files();
    let Loaded {
        config,
        releases,
        sources,
        findings,
        ..
    } = loaded;
    report::print(findings, &sources, Form::Text);
    let reloader = Reloader::new(load, config, &files);
    Service::start(compiled.ok_or(Failure::Findings)?, reloader, releases, inherited)
}

/// How a command ends that served.
pub(super) fn end(end: End) -> Exit {
    match end {
        End::Drained => Exit::Good,
        End::CutOff => Exit::Negative,
    }
}
