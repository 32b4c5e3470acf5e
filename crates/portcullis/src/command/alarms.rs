//! `portcullis alarms`: how the alarms of a running gateway stand.

use std::path::PathBuf;

use serde_json::Value;

use super::{Exit, flush};
use crate::{
    control_socket::{self, Order},
    failure::Failure,
    report,
};

pub(super) const HELP: &str = "\
Examples:
  portcullis alarms                        of the gateway of ./portcullis.toml
  portcullis alarms --data-dir portcullis-data --json

The exit status is 1 while one of them is in the state ALARM.";

#[derive(Debug, clap::Args)]
pub(super) struct Alarms {
    /// The data directory of the running gateway.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    data_dir: Option<PathBuf>,
    /// The configuration that says the data directory.
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
    /// Print what `/alarms` answers on the metrics listener.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Alarms) -> Result<Exit, Failure> {
    let data_dir = flush::data_dir(args.data_dir.as_deref(), &args.config)?;
    let told = control_socket::tell(&data_dir, &Order::Alarms);
    let text = match told.map_err(|error| Failure::NobodyListens(data_dir, error))? {
        Ok(text) => text,
        Err(text) => {
            report::note(&format!("error: {text}"));
            return Ok(Exit::Negative);
        }
    };
    let answer: Value = serde_json::from_str(&text).unwrap_or_default();
    let alarms = answer["MetricAlarms"].as_array().map(Vec::as_slice).unwrap_or_default();
    report::answer(&match args.json {
        true => format!("{answer:#}"),
        false if alarms.is_empty() => "no alarm is configured".to_owned(),
        false => alarms.iter().map(line).collect::<Vec<_>>().join("\n"),
    });
    let is_any = alarms.iter().any(|alarm| alarm["StateValue"] == "ALARM");
    Ok(if is_any { Exit::Negative } else { Exit::Good })
}

fn line(alarm: &Value) -> String {
    let text = |key: &str| report::printable(alarm[key].as_str().unwrap_or("-"));
    format!(
        "{:<17}  {:<20}  {}  {}",
        text("StateValue"),
        text("StateUpdatedTimestamp"),
        text("AlarmName"),
        text("StateReason")
    )
}
