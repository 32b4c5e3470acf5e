//! `portcullis key`: API keys, and the digests that a configuration holds instead of them.

use std::path::PathBuf;

use clap::Subcommand;
use portcullis_jose::{SecretEncoding, digest::sha256_hex};

use super::{Exit, read_input};
use crate::{failure::Failure, report, secret_file};

const GENERATE_HELP: &str = "\
Examples:
  portcullis key generate --name acme               prints the key once, and what goes into portcullis.toml
  portcullis key generate --name acme --plan gold

The key itself is kept nowhere: give it to its holder, who sends it as `x-api-key`.";

const DIGEST_HELP: &str = "\
Examples:
  printf %s \"$KEY\" | portcullis key digest          of a key that is there already

Prints the value of `sha256` in `[[api_keys]]`.";

/// What a key's value may have (aws).
const VALUE_BYTES_MIN: usize = 20;
const VALUE_BYTES_MAX: usize = 128;
/// Characters of a new key (aws).
const VALUE_BYTES: usize = 40;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print a new API key, and its digest for the configuration.
    #[command(after_help = GENERATE_HELP)]
    Generate(Generate),
    /// Print the digest of an API key.
    #[command(after_help = DIGEST_HELP)]
    Digest(Digest),
}

#[derive(Debug, clap::Args)]
pub(super) struct Generate {
    /// The key's name in `[[api_keys]]`.
    #[arg(long, default_value = "NAME")]
    name: String,
    /// The usage plans that it is in.
    #[arg(long = "plan", value_name = "PLAN")]
    plans: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Digest {
    /// The file that holds the key, or `-` for standard input (never the key itself: command lines can be read by others).
    #[arg(value_name = "FILE|-", default_value = "-")]
    file: PathBuf,
}

pub(super) fn run(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Generate(args) => generate(&args),
        Command::Digest(args) => digest(&args),
    }
}

fn generate(args: &Generate) -> Result<Exit, Failure> {
    let secret = secret_file::generate(SecretEncoding::Raw)?;
    // Hexadecimal digits: 160 random bits, which nobody finds by trying digests.
    let value = secret.expose().get(..VALUE_BYTES).unwrap_or_default();
    report::answer(&String::from_utf8_lossy(value));
    let plans: Vec<_> = args.plans.iter().map(|plan| format!("\"{plan}\"")).collect();
    report::note(&format!(
        "the key stands above and is kept nowhere; in portcullis.toml it is\n\n[[api_keys]]\nname = \"{}\"\nsha256 = \
         \"{}\"\nplans = [{}]",
        args.name,
        sha256_hex(value),
        plans.join(", ")
    ));
    Ok(Exit::Good)
}

fn digest(args: &Digest) -> Result<Exit, Failure> {
    let bytes = read_input(&args.file, 4 * VALUE_BYTES_MAX as u64)?;
    let value = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let value = value.strip_suffix(b"\r").unwrap_or(value);
    check(value)?;
    report::answer(&sha256_hex(value));
    Ok(Exit::Good)
}

/// In Amazon's words.
fn check(value: &[u8]) -> Result<(), Failure> {
    let what = if value.len() < VALUE_BYTES_MIN {
        "API Key value should be at least 20 characters"
    } else if value.len() > VALUE_BYTES_MAX {
        "API Key value exceeds maximum size of 128 characters"
    } else if !value.iter().all(u8::is_ascii_graphic) {
        "an API key has no blanks and no characters beyond ASCII, for it stands in a header"
    } else {
        return Ok(());
    };
    Err(Failure::Option {
        option: "FILE",
        what: what.to_owned(),
        remedy: "give the key alone, or make one with `portcullis key generate`".to_owned(),
    })
}
