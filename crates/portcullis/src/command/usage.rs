//! `portcullis usage`: what API keys used of their quotas.

use std::path::PathBuf;

use serde_json::Value;

use super::{Exit, flush::configured};
use crate::{
    control_socket::{self, Order},
    failure::Failure,
    report,
};

pub(super) const HELP: &str = "\
Examples:
  portcullis usage                       every key of every plan, from the gateway of ./portcullis.toml
  portcullis usage --plan gold --json

Where gateways share one Redis, a key's count is the one that this gateway heard last.";

#[derive(Debug, clap::Args)]
pub(super) struct UsageArgs {
    /// Show this plan alone.
    #[arg(long, value_name = "PLAN")]
    plan: Option<String>,
    /// Print a JSON array instead of a table.
    #[arg(long)]
    json: bool,
    /// The data directory of the running gateway.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    data_dir: Option<PathBuf>,
    /// The configuration that says the data directory.
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
}

pub(super) fn run(args: &UsageArgs) -> Result<Exit, Failure> {
    let data_dir = match &args.data_dir {
        Some(directory) => directory.clone(),
        None => configured(&args.config)?,
    };
    let told =
        control_socket::tell(&data_dir, &Order::Usage).map_err(|error| Failure::NobodyListens(data_dir, error))?;
    let rows = match told.and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string())) {
        Ok(Value::Array(rows)) => rows,
        Ok(_) => Vec::new(),
        Err(text) => {
            report::note(&format!("error: {text}"));
            return Ok(Exit::Negative);
        }
    };
    let wanted = |row: &Value| args.plan.as_deref().is_none_or(|plan| row["plan"] == plan);
    let rows: Vec<_> = rows.into_iter().filter(wanted).collect();
    report::answer(&if args.json {
        format!("{:#}", Value::Array(rows))
    } else {
        table(&rows)
    });
    Ok(Exit::Good)
}

fn table(rows: &[Value]) -> String {
    let heading = ["PLAN", "KEY", "PERIOD", "LIMIT", "USED", "REMAINING", "UNTIL"].map(str::to_owned);
    let cells = rows.iter().map(|row| {
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            Value::Null => "-".to_owned(),
            other => other.to_string(),
        };
        let quota = &row["quota"];
        [
            text(&row["plan"]),
            text(&row["key"]),
            text(&quota["period"]),
            text(&quota["limit"]),
            text(&quota["used"]),
            text(&quota["remaining"]),
            text(&quota["to"]),
        ]
    });
    let lines: Vec<_> = std::iter::once(heading).chain(cells).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let line = |cells: &[String; 7]| {
        let padded = cells
            .iter()
            .enumerate()
            .map(|(column, cell)| format!("{cell:width$}", width = width(column)));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}
