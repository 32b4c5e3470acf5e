//! A configuration and the documents that it names, read from files or made from arguments, with all findings at once.

mod arguments;
mod compose;
mod secrets;
mod tls;

use std::{
    borrow::Cow,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use portcullis_core::{Findings, Place};
use portcullis_openapi::{TEXT_BYTES_MAX, document::Document};

pub(crate) use self::{
    arguments::{DEFAULT_LISTEN, How, Mounting, Serving, Source},
    compose::Compiled,
    secrets::look_at_secrets,
    tls::{expiry_warning, open_tls},
};
use crate::{
    config::{self, Api, CONFIG_BYTES_MAX, Config},
    failure::Failure,
    origin_certificates,
    report::Sources,
};

/// What was read.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The configuration's file; `None` where it was made from arguments.
    pub(crate) config_file: Option<PathBuf>,
    /// The configuration, as far as it is sound.
    pub(crate) config: Config,
    /// The document of each of its APIs, in their order; `None` where it cannot be read at all.
    pub(crate) documents: Vec<Option<Document>>,
    /// The texts, for excerpts.
    pub(crate) sources: Sources,
    /// What is wrong with any of it so far.
    pub(crate) findings: Findings,
}

/// Reads a configuration file and its documents.
///
/// # Errors
/// The configuration file itself cannot be read; whatever else is wrong is a finding.
pub(crate) fn from_file(path: &Path) -> Result<Loaded, Failure> {
    let name = path.display().to_string();
    let text =
        read_text(path, CONFIG_BYTES_MAX as u64).map_err(|error| Failure::NotReadable(format!("`{name}`"), error))?;
    let directory = path.parent().unwrap_or(Path::new(""));
    let (config, findings) = config::read(&name, &text, directory);
    let mut sources = Sources::default();
    sources.keep(name, text);
    let loaded = load_documents(config, sources, findings);
    Ok(Loaded {
        config_file: Some(path.to_owned()),
        ..loaded
    })
}

impl Loaded {
    /// The files that it was read from: the configuration, its documents, and the certificates of listeners and for origins.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let documents = self.config.apis.iter().map(|api| api.document.value.clone());
        let listeners = self.config.listeners.iter();
        let served = listeners
            .filter_map(|listener| listener.tls.as_ref())
            .flat_map(|tls| tls.files().cloned());
        let certificates = origin_certificates::named(&self.config).into_iter();
        let certificates = certificates.flat_map(|found| {
            let both = found.files.key != found.files.certificate;
            std::iter::once(found.files.certificate).chain(both.then_some(found.files.key))
        });
        let config = self.config_file.iter().cloned();
        config.chain(documents).chain(served).chain(certificates).collect()
    }

    /// Where a stage is configured; of any API when `api` is empty.
    pub(crate) fn stage_place(&self, api: &str, stage: &str) -> Place {
        let apis = self
            .config
            .apis
            .iter()
            .filter(|found| api.is_empty() || found.id.value == api);
        let mut stages = apis.flat_map(|api| &api.stages);
        stages
            .find(|found| found.name.value == stage)
            .map(|found| found.name.place.clone())
            .unwrap_or_default()
    }

    /// Where an authoriser is described.
    pub(crate) fn authorizer_place(&self, name: &str) -> Place {
        let mut documents = self.documents.iter().flatten();
        let found = documents.find_map(|document| document.authorizers.get(name));
        found.map(|authorizer| authorizer.place.clone()).unwrap_or_default()
    }
}

/// Reads the documents of a configuration.
fn load_documents(config: Config, mut sources: Sources, mut findings: Findings) -> Loaded {
    let documents = config
        .apis
        .iter()
        .map(|api| load_document(api, &mut sources, &mut findings))
        .collect();
    Loaded {
        config_file: None,
        config,
        documents,
        sources,
        findings,
    }
}

fn load_document(api: &Api, sources: &mut Sources, findings: &mut Findings) -> Option<Document> {
    let path = &api.document.value;
    let name = path.display().to_string();
    match read_text(path, TEXT_BYTES_MAX as u64) {
        Ok(text) => {
            let (document, found) = portcullis_openapi::read(&name, &substitute(&text, api), api.kind);
            findings.extend(found);
            sources.keep(name, text);
            document
        }
        Err(error) => {
            let (code, remedy) = match error.kind() {
                io::ErrorKind::NotFound => ("document-missing", missing_remedy(&api.document.place, path)),
                io::ErrorKind::InvalidData => ("document-not-text", "save it as UTF-8".to_owned()),
                _ => ("document-unreadable", "make it readable for this user".to_owned()),
            };
            let message = format!(
                "the document `{name}` of the API `{}` cannot be read: {error}",
                api.id.value
            );
            findings.error(api.document.place.clone(), code, message, remedy);
            None
        }
    }
}

/// What Amazon's import puts in the place of its pseudo parameters. They never hold a line break, so places stay true.
fn substitute<'t>(text: &'t str, api: &Api) -> Cow<'t, str> {
    if !text.contains("${AWS::") {
        return Cow::Borrowed(text);
    }
    let text = text
        .replace("${AWS::Region}", &api.region)
        .replace("${AWS::AccountId}", &api.account);
    Cow::Owned(text.replace("${AWS::Partition}", "aws"))
}

fn missing_remedy(place: &Place, path: &Path) -> String {
    if place.line == 0 {
        return "check its name".to_owned();
    }
    let absolute = std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path));
    format!(
        "paths are relative to the file that names them; `{}` was looked for",
        absolute.display()
    )
}

/// A file as text of at most `bytes_max` bytes and one more, so that whoever reads the text can say that it is too long.
fn read_text(path: &Path, bytes_max: u64) -> io::Result<String> {
    let bytes = read_bytes(path, bytes_max)?;
    if bytes.len() as u64 > bytes_max {
        return Ok(String::from_utf8_lossy(&bytes).into_owned());
    }
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))
}

/// A file's content, of at most `bytes_max` bytes and one more.
fn read_bytes(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(bytes_max.saturating_add(1))
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}
