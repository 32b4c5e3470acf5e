//! `portcullis deploy`: makes a deployment of a document, and has a stage serve it.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{Exit, parse_pair};
use crate::{
    config::{Config, LATENCY_MS_MAX, REQUESTS_MIN, WINDOW_S},
    control_socket::{self, Order},
    data_dir::DataDir,
    failure::Failure,
    load::{Amend, from_file},
    releases::{self, CanaryOrder, DeployOrder, Releases, Wish},
    report::{self, Form},
};

pub(super) const HELP: &str = "\
Examples:
  portcullis deploy --description 'new limits'           the only stage of the only API
  portcullis deploy --api proxy --stage PROD
  portcullis deploy --stage PROD --canary-percent 5 --rollback-error-percent 1
  portcullis deploy --stage TEST --follow                serve the document as it stands again

A deployment is a document as it is now, under a number. The stage serves it, whatever becomes of the file, until the next \
deploy or rollback. A running gateway is told and changes without a dropped request; else it is served when one starts. \
What `portcullis.toml` itself says about a stage is changed there.";

/// Which stage is meant, and of which configuration.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Which {
    /// The configuration that names the API.
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    pub(super) config: PathBuf,
    /// The API's id; needed when there are several.
    #[arg(long, value_name = "ID")]
    pub(super) api: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Deploy {
    #[command(flatten)]
    which: Which,
    /// The stage; needed when the API has several.
    #[arg(long, value_name = "NAME")]
    stage: Option<String>,
    /// What it is for, as `portcullis deployments` shows it.
    #[arg(long, value_name = "TEXT", default_value = "")]
    description: String,
    /// Record the deployment, but have no stage serve it.
    #[arg(long, conflicts_with_all = ["stage", "canary_percent", "follow"])]
    no_stage: bool,
    /// Have the stage serve its document as it stands again, and forget what commands decided about it.
    #[arg(long, conflicts_with_all = ["canary_percent", "description"])]
    follow: bool,
    /// Send a part of the stage's requests to the deployment, from 0 to 100; the others stay where they are.
    #[arg(long, value_name = "PERCENT")]
    canary_percent: Option<f64>,
    /// A stage variable of the canary; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_pair, requires = "canary_percent")]
    canary_variable: Vec<(String, String)>,
    /// Have the canary share the stage's response cache.
    #[arg(long, requires = "canary_percent")]
    use_stage_cache: bool,
    /// Roll the canary back when more of its answers are 5XX, in percent.
    #[arg(long, value_name = "PERCENT", requires = "canary_percent")]
    rollback_error_percent: Option<f64>,
    /// Roll the canary back when more than 1 of 100 of its requests take longer, in milliseconds.
    #[arg(long, value_name = "MS", requires = "canary_percent", value_parser = clap::value_parser!(u64).range(1..=LATENCY_MS_MAX))]
    rollback_latency_p99_ms: Option<u64>,
    /// How many requests it takes to judge the canary.
    #[arg(long, value_name = "COUNT", requires = "canary_percent", default_value_t = REQUESTS_MIN)]
    rollback_requests_min: u64,
    /// How far back is looked, in seconds.
    #[arg(long, value_name = "SECONDS", requires = "canary_percent", default_value_t = WINDOW_S, value_parser = clap::value_parser!(u64).range(1..=3600))]
    rollback_window_s: u64,
}

pub(super) fn run(args: &Deploy) -> Result<Exit, Failure> {
    let canary = args.canary_percent.map(|percent| CanaryOrder {
        percent,
        variables: args.canary_variable.iter().cloned().collect(),
        use_stage_cache: args.use_stage_cache,
        error_percent_max: args.rollback_error_percent,
        latency_p99_ms_max: args.rollback_latency_p99_ms,
        requests_min: args.rollback_requests_min,
        window_s: args.rollback_window_s,
    });
    let wish = match args.follow {
        true => Wish::Follow,
        false => Wish::Deploy(DeployOrder {
            description: args.description.clone(),
            is_recorded_only: args.no_stage,
            canary,
        }),
    };
    give(&args.which, args.stage.clone(), wish)
}

/// Has a wish fulfilled: by the gateway that runs on the data directory, else in the data directory itself.
pub(super) fn give(which: &Which, stage: Option<String>, wish: Wish) -> Result<Exit, Failure> {
    let order = releases::Order {
        api: which.api.clone(),
        stage,
        wish,
    };
    // Tried here first: what is wrong with a document is told to whoever deploys it, with its lines.
    let data_dir = carry_out(&which.config, &order, false)?.0;
    match control_socket::tell(&data_dir, &Order::Release(Box::new(order.clone()))) {
        Ok(Ok(text)) => {
            report::answer(&text);
            Ok(Exit::Good)
        }
        Ok(Err(text)) => {
            let (what, remedy) = text.split_once('\t').unwrap_or((&text, ""));
            report::note(&format!("error: {what}"));
            if !remedy.is_empty() {
                report::note(&format!("    {remedy}"));
            }
            Ok(Exit::Negative)
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            let _owned = DataDir::take(&data_dir).map_err(Failure::DataDir)?;
            let (_, said) = carry_out(&which.config, &order, true)?;
            report::answer(&said);
            report::note("no gateway runs on this data directory: it is served when one starts");
            Ok(Exit::Good)
        }
        Err(error) => Err(Failure::NobodyListens(data_dir, error)),
    }
}

/// Carries an order out, and keeps it if it is to be kept: the data directory, and what was done.
fn carry_out(config: &Path, order: &releases::Order, is_kept: bool) -> Result<(PathBuf, String), Failure> {
    let mut said = String::new();
    let mut amend = |config: &Config, releases: &mut Releases| {
        said = releases
            .carry_out(order, config, &|_, _| None)
            .map_err(Failure::Refused)?;
        Ok(())
    };
    let amend: Amend<'_> = &mut amend;
    let mut loaded = from_file(config, Some(amend))?;
    let needs_documents = !matches!(order.wish, Wish::Share(_) | Wish::Resume);
    if needs_documents && loaded.compile(None).is_none() {
        report::print(loaded.findings, &loaded.sources, Form::Text);
        return Err(Failure::Findings);
    }
    if is_kept {
        loaded.releases.keep(&loaded.config).map_err(Failure::Store)?;
    }
    let data_dir = loaded.config.data_dir.map(|directory| directory.value);
    Ok((data_dir.ok_or(Failure::NotKept)?, said))
}
