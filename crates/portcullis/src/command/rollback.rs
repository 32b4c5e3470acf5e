//! `portcullis rollback`: has a stage serve an earlier deployment.

use super::{
    Exit,
    deploy::{Which, give},
};
use crate::{failure::Failure, releases::Wish};

pub(super) const HELP: &str = "\
Examples:
  portcullis rollback PROD          the deployment before the present one
  portcullis rollback PROD 7        deployment 7; `portcullis deployments` lists them

The stage serves it until the next deploy or rollback, whatever becomes of the document's file; its canary ends. The \
deployment that it served stays in the history.";

#[derive(Debug, clap::Args)]
pub(super) struct Rollback {
    /// The stage.
    #[arg(value_name = "STAGE")]
    stage: String,
    /// The deployment [default: the one before the present one].
    #[arg(value_name = "NUMBER")]
    number: Option<u32>,
    #[command(flatten)]
    which: Which,
}

pub(super) fn run(args: &Rollback) -> Result<Exit, Failure> {
    give(&args.which, Some(args.stage.clone()), Wish::Rollback(args.number))
}
