//! `portcullis check`: everything that a deploy would say, without deploying.

use std::collections::BTreeSet;

use super::Exit;
use crate::{
    failure::Failure,
    load::{Loaded, Mounting, Source, look_at_secrets},
    report::{self, Form, Tally, count},
};

pub(super) const HELP: &str = "\
Examples:
  portcullis check proxy.yaml --variable origin=api.example.com
  portcullis check --config portcullis.toml
  portcullis check pets.yaml orders.yaml --kind http --json

Nothing is served and no origin is called. Findings go to standard error, each with its file, line and a way out; the
exit status is 1 when there are errors (with --deny-warnings: or warnings). What the secrets look like is told, too, but
never what they are.";

#[derive(Debug, clap::Args)]
pub(super) struct Check {
    #[command(flatten)]
    source: Source,
    /// Let warnings count as errors.
    #[arg(long)]
    deny_warnings: bool,
    /// Print the findings as one JSON object on standard output instead.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Check) -> Result<Exit, Failure> {
    let mut loaded = args.source.load(Mounting::Apart)?;
    let snapshot = loaded.compile(None);
    let secrets = secrets(&mut loaded);
    let form = if args.json { Form::Json } else { Form::Text };
    let Loaded {
        findings,
        sources,
        config,
        ..
    } = loaded;
    let tally = report::print(findings, &sources, form);
    if form == Form::Text {
        secrets.iter().for_each(|line| report::answer(line));
        let routes = snapshot.map(|snapshot| snapshot.stages.iter().map(|stage| stage.routes.len()).sum::<usize>());
        report::answer(&summary(tally, config.apis.len(), routes));
    }
    let is_good = tally.errors == 0 && (tally.warnings == 0 || !args.deny_warnings);
    Ok(if is_good { Exit::Good } else { Exit::Negative })
}

/// A line about each secret, each once.
fn secrets(loaded: &mut Loaded) -> BTreeSet<String> {
    let Loaded {
        config,
        documents,
        findings,
        ..
    } = loaded;
    let documents = config.apis.iter().zip(documents.iter());
    let lines = documents
        .filter_map(|(api, document)| Some(look_at_secrets(document.as_ref()?, &api.document.value, findings)));
    lines.flatten().collect()
}

fn summary(tally: Tally, apis: usize, routes: Option<usize>) -> String {
    let found = format!("{}, {}", count(tally.errors, "error"), count(tally.warnings, "warning"));
    match routes {
        Some(routes) => format!(
            "{found}: {} with {} can be served",
            count(apis, "API"),
            count(routes, "route")
        ),
        None => format!("{found}: nothing can be served from this"),
    }
}
