//! `portcullis canary`: how a canary goes on.

use super::{
    Exit,
    deploy::{Which, give},
};
use crate::{failure::Failure, releases::Wish};

pub(super) const HELP: &str = "\
Examples:
  portcullis deploy --stage PROD --canary-percent 1      begins one
  portcullis canary set PROD --percent 50
  portcullis canary promote PROD                         all requests go to its deployment
  portcullis canary remove PROD                          none do

A canary that was rolled back gets no requests until `set` or `resume`.";

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Send another part of the requests to it.
    Set {
        #[command(flatten)]
        stage: Stage,
        /// The part, from 0 to 100.
        #[arg(long, value_name = "PERCENT")]
        percent: f64,
    },
    /// Have the stage serve the canary's deployment with the canary's variables; the canary ends.
    Promote(Stage),
    /// End it; the stage serves what it served.
    Remove(Stage),
    /// Send it its part again after it was rolled back.
    Resume(Stage),
}

#[derive(Debug, clap::Args)]
pub(super) struct Stage {
    /// The stage.
    #[arg(value_name = "STAGE")]
    name: String,
    #[command(flatten)]
    which: Which,
}

pub(super) fn run(command: Command) -> Result<Exit, Failure> {
    let (stage, wish) = match command {
        Command::Set { stage, percent } => (stage, Wish::Share(percent)),
        Command::Promote(stage) => (stage, Wish::Promote),
        Command::Remove(stage) => (stage, Wish::Remove),
        Command::Resume(stage) => (stage, Wish::Resume),
    };
    give(&stage.which, Some(stage.name), wish)
}
