//! A configuration and the documents that it names, read from files or made from arguments, with all findings at once.

mod arguments;
mod clients;
mod compose;
mod limits;
mod secrets;
mod tls;

use std::{
    borrow::Cow,
    collections::BTreeMap,
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
    config::{self, Api, CONFIG_BYTES_MAX, Config, Domain},
    failure::Failure,
    origin_certificates,
    releases::{Releases, document_name},
    report::Sources,
};

/// What was read.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The configuration's file; `None` where it was made from arguments.
    pub(crate) config_file: Option<PathBuf>,
    /// The configuration, as far as it is sound.
    pub(crate) config: Config,
    /// The document of each of its APIs as it stands, in their order; `None` where it cannot be read at all.
    pub(crate) documents: Vec<Option<Document>>,
    /// The documents of deployments that stages are pinned to, by API and number.
    pub(crate) deployed: BTreeMap<(String, u32), Document>,
    /// What is deployed, and what is to be kept of this.
    pub(crate) releases: Releases,
    /// The numbers under which documents are served as they stand, by API.
    pub(crate) numbers: BTreeMap<String, u32>,
    /// What is wrong with documents that no stage serves as they stand: they may be half written.
    pub(crate) drafts: Findings,
    /// The texts, for excerpts.
    pub(crate) sources: Sources,
    /// What is wrong with any of it so far.
    pub(crate) findings: Findings,
}

/// Changes what is deployed before documents are read.
pub(crate) type Amend<'a> = &'a mut dyn FnMut(&Config, &mut Releases) -> Result<(), Failure>;

/// Reads a configuration file and its documents.
///
/// # Errors
/// The configuration file itself cannot be read, or the change is refused; whatever else is wrong is a finding.
pub(crate) fn from_file(path: &Path, amend: Option<Amend<'_>>) -> Result<Loaded, Failure> {
    let name = path.display().to_string();
    let text =
        read_text(path, CONFIG_BYTES_MAX as u64).map_err(|error| Failure::NotReadable(format!("`{name}`"), error))?;
    let directory = path.parent().unwrap_or(Path::new(""));
    let (config, mut findings) = config::read(&name, &text, directory);
    let mut sources = Sources::default();
    sources.keep(name, text);
    let mut releases = Releases::read(&config, &mut findings);
    if let Some(amend) = amend {
        amend(&config, &mut releases)?;
    }
    let loaded = load_documents(config, releases, sources, findings);
    Ok(Loaded {
        config_file: Some(path.to_owned()),
        ..loaded
    })
}

impl Loaded {
    /// The files that are to be watched: the configuration, the documents that are served as they stand, and the certificates
    /// of listeners and for origins.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let followed = self.config.apis.iter().filter(|api| is_followed(api, &self.releases));
        let documents = followed.map(|api| api.document.value.clone());
        let listeners = self.config.listeners.iter();
        let served = listeners
            .filter_map(|listener| listener.tls.as_ref())
            .flat_map(|tls| tls.files().cloned());
        let certificates = origin_certificates::named(&self.config).into_iter();
        let certificates = certificates.flat_map(|found| {
            let both = found.files.key != found.files.certificate;
            std::iter::once(found.files.certificate).chain(both.then_some(found.files.key))
        });
        let domains = self.config.domains.iter();
        let served = served.chain(domains.flat_map(|domain| domain.files().cloned()));
        let config = self.config_file.iter().cloned();
        config.chain(documents).chain(served).chain(certificates).collect()
    }

    /// The certificates that listeners and domains are served with.
    pub(crate) fn certificate_files(&self) -> Vec<PathBuf> {
        let listeners = self
            .config
            .listeners
            .iter()
            .filter_map(|listener| listener.tls.as_ref());
        let of_listeners = listeners.flat_map(|tls| &tls.certificates);
        let of_domains = self.config.domains.iter().filter_map(Domain::certificate);
        let mut files: Vec<_> = of_listeners
            .chain(of_domains)
            .map(|files| files.certificate.value.clone())
            .collect();
        files.sort();
        files.dedup();
        files
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

/// Reads the documents of a configuration, and those of the deployments that its stages are pinned to.
fn load_documents(config: Config, mut releases: Releases, sources: Sources, findings: Findings) -> Loaded {
    let mut reading = Reading { sources, findings };
    let (mut documents, mut numbers, mut drafts) = (Vec::new(), BTreeMap::new(), Findings::new());
    let mut deployed = BTreeMap::new();
    for api in &config.apis {
        let id = &api.id.value;
        if is_followed(api, &releases) {
            let read = reading.document(api);
            let number = read
                .as_ref()
                .and_then(|(text, _)| releases.number_of_document(id, text));
            numbers.extend(number.map(|number| (id.clone(), number)));
            documents.push(read.and_then(|(_, document)| document));
        } else {
            let served = std::mem::take(&mut reading.findings);
            documents.push(reading.document(api).and_then(|(_, document)| document));
            drafts.extend(std::mem::replace(&mut reading.findings, served));
        }
        for (number, place) in pinned(api, &releases) {
            if let Some(text) = releases.document(id, number, &place, &mut reading.findings) {
                let name = match releases.is_new(id, number) {
                    true => api.document.value.display().to_string(),
                    false => document_name(&api.document.value, number),
                };
                let document = reading.read(name, text, api).1;
                deployed.extend(document.map(|document| ((id.clone(), number), document)));
            }
        }
    }
    let Reading { sources, findings } = reading;
    Loaded {
        config_file: None,
        config,
        documents,
        deployed,
        releases,
        numbers,
        drafts,
        sources,
        findings,
    }
}

/// Whether a stage serves the API's document as it stands.
fn is_followed(api: &Api, releases: &Releases) -> bool {
    let mut stages = api.stages.iter();
    stages.any(|stage| releases.target(api, stage).deployment.is_none())
}

/// The deployments that stages and canaries of an API serve, each once, and who said so.
fn pinned(api: &Api, releases: &Releases) -> BTreeMap<u32, Place> {
    let mut pinned = BTreeMap::new();
    for stage in &api.stages {
        let target = releases.target(api, stage);
        let canary_place = stage.canary.as_ref().map(|canary| canary.place.clone());
        let place = stage.deployment.as_ref().map(|deployment| deployment.place.clone());
        let canary = target.canary.map(|canary| (canary.deployment, canary_place));
        let whole = target.deployment.map(|number| (number, place));
        for (number, place) in whole.into_iter().chain(canary) {
            pinned
                .entry(number)
                .or_insert_with(|| place.unwrap_or_else(|| stage.name.place.clone()));
        }
    }
    pinned
}

/// Documents on their way in.
struct Reading {
    sources: Sources,
    findings: Findings,
}

impl Reading {
    fn document(&mut self, api: &Api) -> Option<(String, Option<Document>)> {
        let path = &api.document.value;
        match read_text(path, TEXT_BYTES_MAX as u64) {
            Ok(text) => Some(self.read(path.display().to_string(), text, api)),
            Err(error) => {
                unreadable(api, &error, &mut self.findings);
                None
            }
        }
    }

    fn read(&mut self, name: String, text: String, api: &Api) -> (String, Option<Document>) {
        let (document, found) = portcullis_openapi::read(&name, &substitute(&text, api), api.kind);
        self.findings.extend(found);
        self.sources.keep(name, text.clone());
        (text, document)
    }
}

fn unreadable(api: &Api, error: &io::Error, findings: &mut Findings) {
    let path = &api.document.value;
    let name = path.display();
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
