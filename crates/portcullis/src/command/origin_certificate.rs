//! `portcullis origin-certificate`: what the origins of a stage are shown, for those who set the origins up.

use std::path::PathBuf;

use clap::Subcommand;
use portcullis_core::{Clock, SystemClock, Timestamp};

use super::{Exit, read_input};
use crate::{
    config::{self, CONFIG_BYTES_MAX},
    failure::Failure,
    origin_certificates::{self, Change, StageCertificate},
    report,
};

const SHOW_HELP: &str = "\
Examples:
  portcullis origin-certificate show > gateway.pem      what nginx's `ssl_client_certificate` is to name
  portcullis origin-certificate show --stage TEST

The certificate in use, and the next one where there is one: have the origin trust both. Private keys are never printed.";

const ROTATE_HELP: &str = "\
Examples:
  portcullis origin-certificate rotate                  makes the next one; copy it to the origin, then
  portcullis origin-certificate rotate --activate       the gateway shows it from now on

Generated certificates are rotated without being asked: the next one is there 30 days before the one in use ends, and takes \
its place 7 days before. A running gateway notices within a second.";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print the certificates that origins are to trust, as PEM.
    #[command(after_help = SHOW_HELP)]
    Show(Which),
    /// Make the next certificate, or put it in use.
    #[command(after_help = ROTATE_HELP)]
    Rotate(Rotate),
}

#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// The configuration that names them.
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
    /// Those of one API alone.
    #[arg(long, value_name = "ID")]
    api: Option<String>,
    /// Those of one stage alone.
    #[arg(long, value_name = "NAME")]
    stage: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Rotate {
    #[command(flatten)]
    which: Which,
    /// Put the next certificate in use, which the origin trusts by now.
    #[arg(long)]
    activate: bool,
}

pub(super) fn run(command: &Command) -> Result<Exit, Failure> {
    match command {
        Command::Show(which) => show(which),
        Command::Rotate(rotate) => turn(rotate),
    }
}

fn show(which: &Which) -> Result<Exit, Failure> {
    let now = SystemClock.now();
    for certificate in chosen(which)? {
        let failed = |error| Failure::OriginCertificate(certificate.name(), error);
        let active = certificate.active().map_err(failed)?;
        report::note(&format!(
            "{}: {}, until {}{}",
            certificate.name(),
            active.subject(),
            active.expires().to_rfc3339(),
            ending(active.expires(), now)
        ));
        let public = certificate.public().map_err(failed)?;
        if public.len() > 1 {
            report::note("    the second one is the next: have the origin trust both");
        }
        public.iter().for_each(|text| report::answer(text.trim_end()));
    }
    Ok(Exit::Good)
}

fn turn(rotate: &Rotate) -> Result<Exit, Failure> {
    let mut exit = Exit::Good;
    for certificate in chosen(&rotate.which)? {
        let name = certificate.name();
        let changed = if rotate.activate {
            certificate.activate()
        } else {
            certificate.rotate(SystemClock.now())
        };
        let text = match changed.map_err(|error| Failure::OriginCertificate(name.clone(), error))? {
            Some(Change::Replaced) => "the next certificate is in use now".to_owned(),
            Some(Change::Made | Change::NextMade) => {
                "the next certificate is there: `portcullis origin-certificate show` prints it for the origin, then `rotate --activate`"
                    .to_owned()
            }
            None => {
                exit = Exit::Negative;
                refusal(&certificate, rotate.activate).to_owned()
            }
        };
        report::answer(&format!("{name}: {text}"));
    }
    Ok(exit)
}

fn refusal(certificate: &StageCertificate, activate: bool) -> &'static str {
    match (&certificate.generated, activate) {
        (None, _) => "it was given, not generated: put another file in its place",
        (Some(_), true) => "there is no next certificate: `portcullis origin-certificate rotate` makes one",
        (Some(_), false) => "the next certificate is there already; `--activate` puts it in use",
    }
}

fn ending(expires: Timestamp, now: Timestamp) -> String {
    match StageCertificate::ends_in_days(expires, now) {
        Some(days) => format!(" (ends in {days} days)"),
        None => String::new(),
    }
}

/// Those of the configuration that were asked for, at least one.
fn chosen(which: &Which) -> Result<Vec<StageCertificate>, Failure> {
    let text = read_input(&which.config, CONFIG_BYTES_MAX as u64)?;
    let name = which.config.display().to_string();
    let directory = which.config.parent().unwrap_or(std::path::Path::new(""));
    let (config, _) = config::read(&name, &String::from_utf8_lossy(&text), directory);
    let is_wanted = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
    let chosen: Vec<_> = origin_certificates::named(&config)
        .into_iter()
        .filter(|found| is_wanted(&which.api, &found.api) && is_wanted(&which.stage, &found.stage))
        .collect();
    if chosen.is_empty() {
        return Err(Failure::Option {
            option: "--config",
            what: format!("no stage of `{name}` that was asked for has an `origin_client_certificate`"),
            remedy: "write `origin_client_certificate = { generate = true }` under `[[apis.stages]]`".to_owned(),
        });
    }
    Ok(chosen)
}
