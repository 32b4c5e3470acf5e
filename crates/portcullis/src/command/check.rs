//! `portcullis check`: everything that a deploy would say, without deploying.

use std::{collections::BTreeSet, path::Path};

use portcullis_core::{Clock, Findings, SystemClock};
use portcullis_model::{
    Snapshot,
    snapshot::{AccessLogSpec, LogDestination},
};
use portcullis_proxy::{Fixtures, Live, LiveError, keys::FileError};

use super::Exit;
use crate::{
    config::{CertificateFiles, Config},
    failure::Failure,
    load::{Loaded, Mounting, Source, look_at_secrets, open_tls},
    origin_certificates,
    report::{self, Form, Tally, count},
};

pub(super) const HELP: &str = "\
Examples:
  portcullis check proxy.yaml --variable origin=api.example.com
  portcullis check --config portcullis.toml
  portcullis check pets.yaml orders.yaml --kind http --json

Nothing is served and no origin is called. Findings go to standard error, each with its file, line and a way out; the \
exit status is 1 when there are errors (with --deny-warnings: or warnings). What the secrets look like is told, too, but \
never what they are.";

#[derive(Debug, clap::Args)]
pub(super) struct Check {
    #[command(flatten)]
    source: Source,
    /// Let warnings count as errors.
    #[arg(long)]
    deny_warnings: bool,
    /// Print the findings as one JSON object on standard output instead.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Check) -> Result<Exit, Failure> {
    let mut loaded = args.source.load(Mounting::Apart)?;
    let drafts = std::mem::take(&mut loaded.drafts);
    loaded.findings.extend(drafts);
    let snapshot = loaded.compile(None);
    let secrets = secrets(&mut loaded);
    leave_out_unissued(&mut loaded);
    open_tls(&loaded.config, SystemClock.now(), &mut loaded.findings);
    let routes = snapshot
        .as_ref()
        .map(|snapshot| snapshot.stages.iter().map(|stage| stage.routes.len()).sum());
    if let Some(snapshot) = snapshot {
        look_at_files(&mut loaded, snapshot)?;
    }
    let form = if args.json { Form::Json } else { Form::Text };
    let Loaded {
        findings,
        sources,
        config,
        ..
    } = loaded;
    let tally = report::print(findings, &sources, form);
    if form == Form::Text {
        secrets.iter().for_each(|line| report::answer(line));
        report::answer(&summary(tally, &config, routes));
    }
    let is_good = tally.errors == 0 && (tally.warnings == 0 || !args.deny_warnings);
    Ok(if is_good { Exit::Good } else { Exit::Negative })
}

/// A line about each secret, each once.
fn secrets(loaded: &mut Loaded) -> BTreeSet<String> {
    let Loaded {
        config,
        documents,
        findings,
        ..
    } = loaded;
    let documents = config.apis.iter().zip(documents.iter());
    let lines = documents
        .filter_map(|(api, document)| Some(look_at_secrets(document.as_ref()?, &api.document.value, findings)));
    lines.flatten().collect()
}

/// Opens what a gateway would open, but for its access logs, which would be made by that.
fn look_at_files(loaded: &mut Loaded, mut snapshot: Snapshot) -> Result<(), Failure> {
    let mut findings = Findings::new();
    for stage in &mut snapshot.stages {
        let Some(AccessLogSpec {
            destination: LogDestination::File(path),
            ..
        }) = stage.access_log.take()
        else {
            continue;
        };
        let directory = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        if !directory.is_dir() {
            let message = format!(
                "the access log of stage `{}` is to be in `{}`, which is no directory",
                stage.name,
                directory.display()
            );
            findings.error(
                loaded.stage_place(&stage.api, &stage.name),
                "log-directory",
                message,
                "create it first",
            );
        }
    }
    forget_unmade(loaded, &mut snapshot);
    let fixtures = Fixtures::new(1).map_err(Failure::Start)?;
    for error in Live::open(snapshot, &fixtures, None).err().unwrap_or_default() {
        let message = error.to_string();
        match error {
            LiveError::AccessLog { .. } => {} // none is opened
            LiveError::Origin { api, stage, .. } => {
                findings.error(
                    loaded.stage_place(&api, &stage),
                    "origin-unusable",
                    message,
                    "mend `origin_roots` or `origin_client_certificate`, or the integration's `uri`",
                );
            }
            LiveError::Keys { authorizer, error } => keys(loaded, &authorizer, &error, message, &mut findings),
        }
    }
    loaded.findings.extend(findings);
    Ok(())
}

/// Certificates that the gateway makes when it starts are not missing before.
fn forget_unmade(loaded: &Loaded, snapshot: &mut Snapshot) {
    let certificates = origin_certificates::named(&loaded.config).into_iter();
    let unmade: Vec<_> = certificates
        .filter(|found| found.generated.is_some() && !found.files.certificate.exists())
        .map(|found| Some(found.files))
        .collect();
    let origins = snapshot.stages.iter_mut().flat_map(|stage| &mut stage.origins);
    for origin in origins.filter(|origin| unmade.contains(&origin.client_certificate)) {
        origin.client_certificate = None;
    }
}

/// Certificates that an ACME server will issue are not missing before the gateway has started.
fn leave_out_unissued(loaded: &mut Loaded) {
    let Loaded { config, findings, .. } = loaded;
    let Some(acme) = &config.acme else { return };
    let unissued = |files: &CertificateFiles| {
        let mut wanted = acme.certificates.iter();
        !files.certificate.value.exists() && wanted.any(|wanted| wanted.certificate.value == files.certificate.value)
    };
    for tls in config.listeners.iter_mut().filter_map(|listener| listener.tls.as_mut()) {
        for files in tls.certificates.extract_if(.., |files| unissued(files)) {
            findings.warn(
                files.place.clone(),
                "certificate-not-issued",
                format!("`{}` is not there yet", files.certificate.value.display()),
                "the gateway has it issued once it runs, and serves a placeholder until then",
            );
        }
    }
}

/// Keys that are not here may be where the gateway runs; what is here and wrong is wrong there, too.
fn keys(loaded: &Loaded, authorizer: &str, error: &FileError, message: String, findings: &mut Findings) {
    let said = error.to_string();
    if loaded.findings.iter().any(|finding| finding.message.contains(&said)) {
        return;
    }
    let place = loaded.authorizer_place(authorizer);
    match error {
        FileError::NotInEnvironment(_) | FileError::NotReadable(..) => {
            findings.warn(
                place,
                "keys-not-here",
                message,
                "it must be there where the gateway runs",
            );
        }
        FileError::Empty(_) | FileError::Jwks(..) | FileError::Key(..) | FileError::TooLarge(..) => {
            findings.error(place, "keys-unusable", message, "mend what it refers to");
        }
    }
}

fn summary(tally: Tally, config: &Config, routes: Option<usize>) -> String {
    let found = format!("{}, {}", count(tally.errors, "error"), count(tally.warnings, "warning"));
    match routes {
        Some(routes) if tally.errors == 0 => {
            let domains = match config.domains.len() {
                0 => String::new(),
                domains => format!(", at {}", count(domains, "domain")),
            };
            let apis = count(config.apis.len(), "API");
            format!("{found}: {apis} with {} can be served{domains}", count(routes, "route"))
        }
        Some(_) | None => format!("{found}: nothing can be served from this"),
    }
}
