//! `portcullis secret`.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use portcullis_jose::SecretEncoding;

use super::Exit;
use crate::{failure::Failure, report, secret_file};

const GENERATE_HELP: &str = "\
Examples:
  portcullis secret generate --out approov.secret      a new file that only you may read
  portcullis secret generate > approov.secret          the same, with your umask

In the API document it is then `secret: file:approov.secret`, with `secretEncoding: base64`.";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print a new random secret, or write it to a new file.
    #[command(after_help = GENERATE_HELP)]
    Generate(Generate),
}

#[derive(Debug, clap::Args)]
pub(super) struct Generate {
    /// How it is written: base64 of 64 bytes, or 64 characters that are used as they stand.
    #[arg(long, value_enum, default_value_t = Encoding::Base64)]
    encoding: Encoding,
    /// Write it to this file (mode 0600) instead; a file that is there is never overwritten.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// How a secret is written; the names are those of `secretEncoding` in a document.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Encoding {
    /// base64, with the standard or the URL alphabet.
    Base64,
    /// The bytes as they stand.
    Raw,
}

impl From<Encoding> for SecretEncoding {
    fn from(encoding: Encoding) -> Self {
        match encoding {
            Encoding::Base64 => Self::Base64,
            Encoding::Raw => Self::Raw,
        }
    }
}

pub(super) fn run(command: Command) -> Result<Exit, Failure> {
    let Command::Generate(Generate { encoding, out }) = command;
    let secret = secret_file::generate(encoding.into())?;
    match out {
        Some(path) => {
            secret_file::create(&path, &secret)?;
            report::note(&format!(
                "a new secret is in `{}`, readable by its owner only",
                path.display()
            ));
        }
        // The one place where a secret is shown, because that was asked for.
        None => report::answer(&String::from_utf8_lossy(secret.expose())),
    }
    Ok(Exit::Good)
}
