//! `portcullis acme`: certificates from an ACME server, by hand.

use std::path::PathBuf;

use clap::Subcommand;
use portcullis_core::{Clock, SystemClock};
use portcullis_net::acme::Proof;

use super::{Exit, read_input};
use crate::{
    acme::{self, Challenges, Hook, OnScreen},
    config::{self, Acme, AcmeCertificate, CONFIG_BYTES_MAX},
    failure::Failure,
    report,
};

const OBTAIN_HELP: &str = "\
Examples:
  portcullis acme obtain                              whatever is due of ./portcullis.toml
  portcullis acme obtain --name '*.example.com' --now

A running gateway obtains and renews by itself, but for `dns-01` without a `dns_hook`: here the record is printed and you \
are waited for. It takes up what is written within a second. For `http-01` while no gateway runs, its `http_address` is \
answered from here.";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Obtain the certificates that are due.
    #[command(after_help = OBTAIN_HELP)]
    Obtain(Obtain),
}

#[derive(Debug, clap::Args)]
pub(super) struct Obtain {
    /// The configuration that names them.
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
    /// The certificate with this name alone.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Also what is not due yet.
    #[arg(long)]
    now: bool,
}

pub(super) fn run(command: &Command) -> Result<Exit, Failure> {
    let Command::Obtain(args) = command;
    let text = read_input(&args.config, CONFIG_BYTES_MAX as u64)?;
    let name = args.config.display().to_string();
    let directory = args.config.parent().unwrap_or(std::path::Path::new(""));
    let (config, _) = config::read(&name, &String::from_utf8_lossy(&text), directory);
    let (Some(acme), Some(data_dir)) = (&config.acme, &config.data_dir) else {
        return Err(Failure::Option {
            option: "--config",
            what: format!("`{name}` has no `[acme]`"),
            remedy: "write `[acme]` with `agree_to_terms = true` and `[[acme.certificates]]`".to_owned(),
        });
    };
    acme::prepare(acme, SystemClock.now()).map_err(Failure::Acme)?;
    let mut obtained = 0;
    for wanted in chosen(args, acme)? {
        let due = acme::due(wanted, SystemClock.now()).map_err(Failure::Acme)?;
        if due.is_none() && !args.now {
            continue;
        }
        obtain(acme, wanted, &data_dir.value)?;
        obtained += 1;
        let first = wanted.names.first().map_or("", String::as_str);
        report::answer(&format!("{first}: issued, in `{}`", wanted.certificate.value.display()));
    }
    if obtained == 0 {
        report::answer("nothing is due; --now obtains all the same");
    }
    Ok(Exit::Good)
}

fn chosen<'a>(args: &Obtain, acme: &'a Acme) -> Result<Vec<&'a AcmeCertificate>, Failure> {
    let is_wanted = |found: &&AcmeCertificate| args.name.as_ref().is_none_or(|name| found.names.contains(name));
    let chosen: Vec<_> = acme.certificates.iter().filter(is_wanted).collect();
    match (&args.name, chosen.is_empty()) {
        (Some(name), true) => Err(Failure::Option {
            option: "--name",
            what: format!("no certificate is configured for `{name}`"),
            remedy: "write it under `names` of `[[acme.certificates]]`".to_owned(),
        }),
        _ => Ok(chosen),
    }
}

fn obtain(acme: &Acme, wanted: &AcmeCertificate, data_dir: &std::path::Path) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::Start)?;
    let outcome = match wanted.proof {
        Proof::Http01 => {
            let challenges = Challenges::default();
            let address = acme.http_address.as_ref();
            let server = address
                .map(|address| {
                    challenges
                        .serve(address.value)
                        .map_err(|error| Failure::Bind(address.value, error))
                })
                .transpose()?;
            let outcome = runtime.block_on(acme::obtain(acme, wanted, data_dir, &challenges));
            drop(server);
            outcome
        }
        Proof::Dns01 if wanted.dns_hook.is_empty() => runtime.block_on(acme::obtain(acme, wanted, data_dir, &OnScreen)),
        Proof::Dns01 => runtime.block_on(acme::obtain(acme, wanted, data_dir, &Hook(wanted.dns_hook.clone()))),
    };
    outcome.map_err(Failure::Acme)
}
