//! The commands, one noun per file; here is what they have in common.

mod acme;
mod alarms;
mod canary;
mod certificate;
mod check;
mod deploy;
mod deployments;
mod execution_log;
mod flush;
mod key;
mod origin_certificate;
mod policy;
mod protect;
mod rollback;
mod routes;
mod secret;
mod serve;
mod test_call;
mod token;
mod usage;

use std::{io::Read, path::Path, process::ExitCode};

use clap::{Parser, Subcommand};

pub(crate) use self::certificate::remedy as pem_remedy;
use crate::{failure::Failure, report};

const AFTER_HELP: &str = "\
Exit status: 0 for a good answer, 1 for a negative one (a denial, an invalid token, findings), 2 when the command \
could not be carried out.

Secrets are given by reference, never by value: `env:NAME` or `file:PATH`.";

/// Financial-grade API gateway in one binary.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, about, after_help = AFTER_HELP, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say how the alarms of a running gateway stand.
    #[command(after_help = alarms::HELP)]
    Alarms(alarms::Alarms),
    /// Obtain certificates from an ACME server by hand.
    #[command(subcommand)]
    Acme(acme::Command),
    /// Say how a canary goes on.
    #[command(subcommand, after_help = canary::HELP)]
    Canary(canary::Command),
    /// Show certificates, and print the pins that mobile applications need.
    #[command(subcommand)]
    Certificate(certificate::Command),
    /// Report everything that is wrong with API documents or a configuration.
    #[command(after_help = check::HELP)]
    Check(check::Check),
    /// Make a deployment of a document and have a stage serve it.
    #[command(after_help = deploy::HELP)]
    Deploy(Box<deploy::Deploy>),
    /// List deployments, and which stages serve them.
    #[command(after_help = deployments::HELP)]
    Deployments(deployments::Deployments),
    /// Have a stage of a running gateway say what happens to its requests, for some time.
    #[command(after_help = execution_log::HELP)]
    ExecutionLog(execution_log::ExecutionLog),
    /// Have a running gateway forget the tokens or the answers that it remembers.
    #[command(after_help = flush::HELP)]
    Flush(flush::Flush),
    /// Show and rotate the certificates that origins are shown.
    #[command(subcommand)]
    OriginCertificate(origin_certificate::Command),
    /// Make API keys, and the digests that a configuration holds instead of them.
    #[command(subcommand)]
    Key(key::Command),
    /// Evaluate IAM policies without a gateway.
    #[command(subcommand)]
    Policy(policy::Command),
    /// Protect an origin with tokens, without a document: writes what it serves.
    #[command(after_help = protect::HELP)]
    Protect(Box<protect::Protect>),
    /// Have a stage serve an earlier deployment.
    #[command(after_help = rollback::HELP)]
    Rollback(rollback::Rollback),
    /// List the routes that would be served, with what protects each.
    #[command(after_help = routes::HELP)]
    Routes(routes::Routes),
    /// Make secrets that tokens are signed with.
    #[command(subcommand)]
    Secret(secret::Command),
    /// Serve API documents, or what a configuration names.
    #[command(after_help = serve::HELP)]
    Serve(Box<serve::Serve>),
    /// Send one call through the pipeline and show its way.
    #[command(after_help = test_call::HELP)]
    Test(Box<test_call::TestCall>),
    /// Issue and check tokens (JWT).
    #[command(subcommand)]
    Token(token::Command),
    /// Show what API keys used of their quotas.
    #[command(after_help = usage::HELP)]
    Usage(usage::UsageArgs),
}

/// How a command that did its work ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    /// Status 0.
    Good,
    /// Status 1: denied, invalid, not found to be right.
    Negative,
}

/// Reads the command line and carries it out.
pub(crate) fn run() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Alarms(args) => alarms::run(&args),
        Command::Acme(command) => acme::run(&command),
        Command::Canary(command) => canary::run(command),
        Command::Certificate(command) => certificate::run(command),
        Command::Check(args) => check::run(&args),
        Command::Deploy(args) => deploy::run(&args),
        Command::Deployments(args) => deployments::run(&args),
        Command::ExecutionLog(args) => execution_log::run(&args),
        Command::Flush(args) => flush::run(&args),
        Command::OriginCertificate(command) => origin_certificate::run(&command),
        Command::Key(command) => key::run(command),
        Command::Policy(command) => policy::run(command),
        Command::Protect(args) => protect::run(&args),
        Command::Rollback(args) => rollback::run(&args),
        Command::Routes(args) => routes::run(&args),
        Command::Secret(command) => secret::run(command),
        Command::Serve(args) => serve::run(&args),
        Command::Test(args) => test_call::run(&args),
        Command::Token(command) => token::run(command),
        Command::Usage(args) => usage::run(&args),
    };
    match outcome {
        Ok(Exit::Good) => ExitCode::SUCCESS,
        Ok(Exit::Negative) => ExitCode::from(1),
        Err(failure) => {
            report::note(&format!("error: {failure}"));
            match failure.remedy().as_str() {
                "" => {}
                remedy => report::note(&format!("    {remedy}")),
            }
            ExitCode::from(2)
        }
    }
}

/// The content of a file, or of standard input for `-`, of at most `bytes_max` bytes.
fn read_input(name: &Path, bytes_max: u64) -> Result<Vec<u8>, Failure> {
    let is_stdin = name.as_os_str() == "-";
    let shown = if is_stdin {
        "standard input".to_owned()
    } else {
        format!("`{}`", name.display())
    };
    let unreadable = |error| Failure::NotReadable(shown.clone(), error);
    let source: Box<dyn Read> = if is_stdin {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(std::fs::File::open(name).map_err(unreadable)?)
    };
    let mut bytes = Vec::new();
    source
        .take(bytes_max.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > bytes_max {
        Err(Failure::TooLarge(shown, bytes_max))
    } else {
        Ok(bytes)
    }
}

/// Splits `NAME=VALUE`; for options that take such pairs.
pub(crate) fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}
