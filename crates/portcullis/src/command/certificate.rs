//! `portcullis certificate`: what certificates say, and the pins that mobile applications are given.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use portcullis_core::{Clock, SystemClock, Timestamp};
use portcullis_net::tls::{Certificate, PemFault, PemItem, pin, read_pem};

use super::{Exit, read_input};
use crate::{failure::Failure, load, report};

const PINS_HELP: &str = "\
Examples:
  portcullis certificate pins tls/api.pem              the chain: pin the first, and one that is not served as a spare
  portcullis certificate pins tls/next.key             a key that has no certificate yet, as a spare
  portcullis certificate pins --config portcullis.toml every certificate that is served

A pin is the SHA-256 digest of the public key, so it stays true when a certificate is renewed with the same key. Give an \
application at least two: the key in use, and one that is kept elsewhere.";

const SHOW_HELP: &str = "\
Examples:
  portcullis certificate show tls/api.pem
  openssl s_client -connect api.example.com:443 -showcerts </dev/null | portcullis certificate show -";

/// What is read of one file, in bytes.
const PEM_BYTES_MAX: u64 = 16 * 1024 * 1024;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print the pins (SHA-256 of the public key, base64) of certificates and keys.
    #[command(after_help = PINS_HELP)]
    Pins(Pins),
    /// Print what certificates say: subject, issuer, names, time, key, digests.
    #[command(after_help = SHOW_HELP)]
    Show(Show),
}

#[derive(Debug, clap::Args)]
pub(super) struct Pins {
    /// Files in PEM; `-` for standard input.
    #[arg(value_name = "FILE", required_unless_present = "config")]
    files: Vec<PathBuf>,
    /// The certificates that the listeners and domains of this configuration are served with.
    #[arg(long, value_name = "FILE", conflicts_with = "files")]
    config: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Show {
    /// Files in PEM; `-` for standard input.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

pub(super) fn run(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Pins(args) => {
            let files = match &args.config {
                Some(config) => load::from_file(config, None)?.certificate_files(),
                None => args.files,
            };
            if files.is_empty() {
                report::note("no listener of this configuration speaks TLS");
                return Ok(Exit::Negative);
            }
            for file in files {
                read(&file)?
                    .iter()
                    .for_each(|item| report::answer(&pin_line(&file, item)));
            }
        }
        Command::Show(args) => {
            let now = SystemClock.now();
            for file in args.files {
                for item in read(&file)? {
                    match item {
                        PemItem::Certificate(certificate) => report::answer(&describe(&certificate, now)),
                        PemItem::PrivateKey(_) | PemItem::PublicKey(_) => report::answer(&pin_line(&file, &item)),
                    }
                }
            }
        }
    }
    Ok(Exit::Good)
}

fn read(file: &Path) -> Result<Vec<PemItem>, Failure> {
    let bytes = read_input(file, PEM_BYTES_MAX)?;
    read_pem(&bytes).map_err(|fault| Failure::Pem(file.display().to_string(), fault))
}

fn pin_line(file: &Path, item: &PemItem) -> String {
    let file = file.display();
    match item {
        PemItem::Certificate(certificate) => {
            format!(
                "{}  {file}  {}",
                pin(&certificate.spki_sha256),
                report::printable(&certificate.subject)
            )
        }
        PemItem::PrivateKey(spki) => format!("{}  {file}  private key", pin(spki)),
        PemItem::PublicKey(spki) => format!("{}  {file}  public key", pin(spki)),
    }
}

fn describe(certificate: &Certificate, now: Timestamp) -> String {
    let hexadecimal: Vec<_> = certificate.sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    let (from, until) = (certificate.not_before.to_rfc3339(), certificate.not_after.to_rfc3339());
    let standing = match certificate {
        _ if certificate.not_before > now => "not valid yet",
        _ if certificate.not_after < now => "expired",
        _ => "valid",
    };
    let names = match certificate.names.is_empty() {
        true => "none".to_owned(),
        false => certificate.names.join(", "),
    };
    let text = [
        ("subject", certificate.subject.clone()),
        ("issuer", certificate.issuer.clone()),
        ("serial", certificate.serial_number.clone()),
        ("names", names),
        ("time", format!("{from} to {until}, {standing}")),
        ("key", certificate.key.clone()),
        (
            "authority",
            if certificate.is_authority { "yes" } else { "no" }.to_owned(),
        ),
        ("sha256", hexadecimal.concat()),
        ("pin", pin(&certificate.spki_sha256)),
    ];
    let lines: Vec<_> = text
        .iter()
        .map(|(name, value)| format!("{name:<9} {}", report::printable(value)))
        .collect();
    lines.join("\n") + "\n"
}

/// What to do about a file that cannot be read.
pub(crate) fn remedy(fault: PemFault) -> &'static str {
    match fault {
        PemFault::Certificate(..) | PemFault::Empty | PemFault::NotPem => {
            "certificates and keys in PEM are read (`openssl x509 -inform der` makes PEM of DER)"
        }
        PemFault::Key(_) => "RSA, ECDSA (P-256, P-384, P-521) and Ed25519 are supported",
        PemFault::KeyEncrypted => {
            "decrypt it (`openssl pkey -in … -pubout` gives the public key, which has the same pin)"
        }
        PemFault::TooMany => "is this the right file?",
    }
}
