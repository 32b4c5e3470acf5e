//! `execution_log`: what happens to the requests of a stage, line by line.

use portcullis_model::snapshot::LogDestination;
use portcullis_proxy::ExecutionLevel;

use super::{access_log::Destination, section::Section};

/// `execution_log`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ExecutionLog {
    /// How much is written.
    pub(crate) level: ExecutionLevel,
    /// Where to (default standard error).
    pub(crate) destination: LogDestination,
}

pub(super) fn read(section: &Section<'_>) -> Option<ExecutionLog> {
    let table = section.table("execution_log")?;
    let level = table.required("level", |key| table.text(key));
    let destination = table.text("destination");
    table.finish();
    let level = level?;
    let parsed = match level.value.as_str() {
        "OFF" => return None,
        text => text.parse().ok(),
    };
    if parsed.is_none() {
        let message = format!("`{}` is no level", level.value);
        let remedy = "write `OFF`, `ERROR` or `INFO`";
        table.report.error(&level.place, "bad-level", message, remedy);
    }
    let destination = match destination {
        None => LogDestination::Stderr,
        Some(text) => match Destination::parse(&text.value, |path| table.report.relative(path)) {
            Some(Destination::File(path)) => LogDestination::File(path),
            Some(Destination::Stderr) => LogDestination::Stderr,
            Some(Destination::Stdout) => LogDestination::Stdout,
            Some(Destination::Off) | None => {
                let message = format!("`{}` is not a place for an execution log", text.value);
                let remedy = "write `stderr`, `stdout` or `file:PATH`; `level = \"OFF\"` turns it off";
                table.report.error(&text.place, "bad-destination", message, remedy);
                return None;
            }
        },
    };
    Some(ExecutionLog {
        level: parsed?,
        destination,
    })
}
