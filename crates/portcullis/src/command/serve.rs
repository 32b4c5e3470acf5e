//! `portcullis serve`.

use std::{net::SocketAddr, num::NonZeroUsize};

use super::Exit;
use crate::{
    acme,
    failure::Failure,
    load::{Loaded, Mounting, Serving, Source},
    process_log::ProcessLog,
    report::{self, Form},
    service::{End, Load, Reloader, Service},
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
request is dropped, and a bad change is reported while the old goes on. Listeners, workers, metrics and data_dir change \
with the next start.";

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
    let load = move || {
        let mut loaded = source.load_served(Mounting::Root, &serving)?;
        if workers.is_some() {
            loaded.config.workers = workers;
        }
        Ok(loaded)
    };
    Ok(end(start(Box::new(load))?.run()))
}

/// Loads and starts, or prints everything that is wrong with it. The same is loaded again when its files change.
pub(super) fn start(load: Load) -> Result<Service, Failure> {
    let mut loaded = load()?;
    acme::have_something(&loaded.config)?;
    let compiled = loaded.open(None);
    let files = loaded.files();
    let Loaded {
        config,
        sources,
        findings,
        ..
    } = loaded;
    report::print(findings, &sources, Form::Text);
    let reloader = Reloader::new(load, config.clone(), &files);
    Service::start(&config, compiled.ok_or(Failure::Findings)?, reloader)
}

/// How a command ends that served.
pub(super) fn end(end: End) -> Exit {
    match end {
        End::Drained => Exit::Good,
        End::CutOff => Exit::Negative,
    }
}
