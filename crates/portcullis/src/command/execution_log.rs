//! `portcullis execution-log`: what happens to the requests of a stage, from now on and for some time.

use std::path::PathBuf;

use portcullis_proxy::ExecutionLevel;

use super::{Exit, flush};
use crate::{
    control_socket::{self, Order},
    failure::Failure,
    report,
};

pub(super) const HELP: &str = "\
Examples:
  portcullis execution-log proxy/TEST                               everything, for 60 s
  portcullis execution-log proxy/TEST --level ERROR --seconds 3600

The lines are on the gateway's standard error. Values that open doors are masked, and bodies are not written.";

#[derive(Debug, clap::Args)]
pub(super) struct ExecutionLog {
    /// The API's id and the stage's name.
    #[arg(value_name = "API/STAGE", value_parser = parse_stage)]
    stage: (String, String),
    /// How much is written: ERROR or INFO.
    #[arg(long, default_value = "INFO", value_parser = parse_level)]
    level: ExecutionLevel,
    /// For how long.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// The data directory of the running gateway.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    data_dir: Option<PathBuf>,
    /// The configuration that says the data directory.
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
}

pub(super) fn run(args: &ExecutionLog) -> Result<Exit, Failure> {
    let data_dir = flush::data_dir(args.data_dir.as_deref(), &args.config)?;
    let (api, stage) = args.stage.clone();
    let order = Order::ExecutionLog {
        level: args.level,
        seconds: args.seconds,
        api,
        stage,
    };
    match control_socket::tell(&data_dir, &order).map_err(|error| Failure::NobodyListens(data_dir, error))? {
        Ok(text) => {
            report::answer(&text);
            Ok(Exit::Good)
        }
        Err(text) => {
            report::note(&format!("error: {text}"));
            Ok(Exit::Negative)
        }
    }
}

fn parse_stage(text: &str) -> Result<(String, String), String> {
    match text.split_once('/') {
        Some((api, stage)) if !text.contains(char::is_whitespace) && !api.is_empty() && !stage.is_empty() => {
            Ok((api.to_owned(), stage.to_owned()))
        }
        _ => Err("write the API's id and the stage's name: `proxy/TEST`".to_owned()),
    }
}

fn parse_level(text: &str) -> Result<ExecutionLevel, String> {
    text.parse().map_err(|()| "write `ERROR` or `INFO`".to_owned())
}
