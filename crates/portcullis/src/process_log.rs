//! The process's own log, on standard error: what is wrong with keys, logs and listeners while it serves.

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::failure::Failure;

/// What is logged, and how.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ProcessLog {
    /// What the process itself logs on standard error: error, warn, info, debug, or filters as in
    /// `info,portcullis_proxy=debug`.
    #[arg(long = "log", value_name = "FILTER", default_value = "info")]
    filter: String,
    /// Log the process's own events as JSON, one object per line.
    #[arg(long)]
    log_json: bool,
}

impl ProcessLog {
    /// From now on events are logged.
    pub(crate) fn start(&self) -> Result<(), Failure> {
        let filter = EnvFilter::try_new(&self.filter).map_err(|error| Failure::Option {
            option: "--log",
            what: error.to_string(),
            remedy: "write `error`, `warn`, `info`, `debug` or `info,portcullis_proxy=debug`".to_owned(),
        })?;
        let registry = tracing_subscriber::registry().with(filter);
        let layer = fmt::layer().with_writer(std::io::stderr);
        // A second start (there is none) would find the first one in place, which serves as well.
        let _ = if self.log_json {
            registry.with(layer.json()).try_init()
        } else {
            registry.with(layer.with_ansi(false)).try_init()
        };
        Ok(())
    }
}
