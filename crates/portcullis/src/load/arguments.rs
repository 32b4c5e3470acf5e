//! A configuration made from a command's arguments: a document at `/`, or several as `PATH=DOCUMENT`.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use portcullis_core::{Findings, Place};
use portcullis_openapi::document::{ApiKind, Located};

use super::{Amend, Loaded, from_file, load_documents};
use crate::{
    command::parse_pair,
    config::{
        self, ACCOUNT, AccessLog, Api, Config, Destination, Format, Listener, REGION, Stage, Throttle, check_mount,
        check_stage_name, check_variable,
    },
    failure::Failure,
    releases::Releases,
    report::Sources,
};

/// The configuration that is read when nothing is named.
const CONFIG: &str = "portcullis.toml";
/// Where documents are served when nobody says where: on this machine alone.
pub(crate) const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// Which APIs a command is about.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Source {
    /// An API document (OpenAPI 3.0, 3.1 or Swagger 2.0; YAML or JSON), or several as PATH=DOCUMENT.
    #[arg(value_name = "DOCUMENT")]
    pub(crate) documents: Vec<String>,
    #[command(flatten)]
    pub(crate) how: How,
}

/// How documents are read, or the configuration that says so.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct How {
    /// A configuration file that names the documents, their stages and more [default: portcullis.toml, when no document is
    /// given].
    #[arg(long, value_name = "FILE", conflicts_with_all = ["documents", "kind", "stage", "variable", "origin_roots"])]
    pub(crate) config: Option<PathBuf>,
    /// As which of Amazon's products the documents are read [default: rest].
    #[arg(long, value_enum)]
    pub(crate) kind: Option<Kind>,
    /// The stage's name [default: TEST, or $default of HTTP APIs].
    #[arg(long, value_name = "NAME")]
    pub(crate) stage: Option<String>,
    /// A stage variable; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_pair)]
    pub(crate) variable: Vec<(String, String)>,
    /// A PEM file with the roots that the origins' certificates must chain to.
    #[arg(long, value_name = "FILE")]
    pub(crate) origin_roots: Option<PathBuf>,
}

/// `--kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// An HTTP API.
    Http,
    /// A REST API.
    Rest,
}

/// Where documents that come without a path are mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mounting {
    /// Each below its own id: they are looked at, not served.
    Apart,
    /// At the root, of which there is one.
    Root,
    /// At the root, if it were free: each is an error.
    Taken,
}

/// What else `serve` is told by arguments.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Serving {
    /// Where to listen; [`DEFAULT_LISTEN`] when empty.
    pub(crate) listen: Vec<SocketAddr>,
    /// Where metrics are answered.
    pub(crate) metrics: Option<SocketAddr>,
    /// Destinations and formats of the access log, as written.
    pub(crate) access_log: Vec<String>,
}

// === impl Source ===

impl Source {
    /// Reads what the arguments name: documents, or a configuration.
    ///
    /// # Errors
    /// The configuration file cannot be read, or there is none.
    pub(crate) fn load(&self, mounting: Mounting) -> Result<Loaded, Failure> {
        self.load_served(mounting, &Serving::default(), None)
    }

    /// Reads what the arguments name; documents are to be served as `serving` says.
    ///
    /// # Errors
    /// The configuration file cannot be read, or there is none.
    pub(crate) fn load_served(
        &self,
        mounting: Mounting,
        serving: &Serving,
        amend: Option<Amend<'_>>,
    ) -> Result<Loaded, Failure> {
        match &self.how.config {
            Some(path) => from_file(path, amend),
            // A configuration says all of this itself; to read it and ignore what was asked for would be worse than nothing.
            None if self.documents.is_empty() && (self.how != How::default() || *serving != Serving::default()) => {
                Err(Failure::DocumentMissing)
            }
            None if self.documents.is_empty() && Path::new(CONFIG).is_file() => from_file(Path::new(CONFIG), amend),
            None if self.documents.is_empty() => Err(Failure::NothingNamed),
            None if amend.is_some() => Err(Failure::NotKept),
            None => Ok(self.load_documents(mounting, serving)),
        }
    }

    fn load_documents(&self, mounting: Mounting, serving: &Serving) -> Loaded {
        let mut findings = Findings::new();
        let access_log = access_log(&serving.access_log, &mut findings);
        let variables = self.variables(&mut findings);
        let mut taken = BTreeSet::new();
        let mut apis = Vec::new();
        let mut mounting = mounting;
        for argument in &self.documents {
            let has_path = split(argument).0.is_some();
            apis.extend(self.api(argument, mounting, (&variables, &access_log), &mut taken, &mut findings));
            if mounting == Mounting::Taken && !has_path {
                let message = format!("`{argument}` cannot be served at `/`: another document is");
                let remedy = "write each as PATH=DOCUMENT: `/pets=pets.yaml /orders=orders.yaml`";
                findings.error(whole("DOCUMENT"), "document-path", message, remedy);
            }
            if mounting == Mounting::Root && !has_path {
                mounting = Mounting::Taken;
            }
        }
        findings.extend(config::check_names(&apis));
        let located = |value| Located {
            value,
            place: whole("--listen"),
        };
        let listen = if serving.listen.is_empty() {
            &[DEFAULT_LISTEN][..]
        } else {
            &serving.listen
        };
        let config = Config {
            data_dir: None,
            workers: None,
            deployments_max: 1,
            listeners: listen.iter().map(|address| Listener::at(located(*address))).collect(),
            apis,
            domains: Vec::new(),
            alarms: Vec::new(),
            acme: None,
            otlp: None,
            usage_plans: Vec::new(),
            api_keys: Vec::new(),
            redis: None,
            metrics: serving.metrics.map(|value| Located {
                value,
                place: whole("--metrics-listen"),
            }),
        };
        load_documents(config, Releases::default(), Sources::default(), findings)
    }

    fn api(
        &self,
        argument: &str,
        mounting: Mounting,
        (variables, access_log): (&BTreeMap<String, Located<String>>, &AccessLog),
        taken: &mut BTreeSet<String>,
        findings: &mut Findings,
    ) -> Option<Api> {
        let place = whole("DOCUMENT");
        let (mount, document) = split(argument);
        let id = id(Path::new(document), taken);
        let mount = match (mount, mounting) {
            (Some(mount), _) => check_mount(mount),
            (None, Mounting::Root) => Ok("/".to_owned()),
            (None, Mounting::Apart | Mounting::Taken) => Ok(format!("/{id}")),
        };
        let mount = match mount {
            Ok(mount) => mount,
            Err(remedy) => {
                findings.error(
                    place,
                    "bad-mount",
                    format!("`{argument}`: that is no path to serve a document at"),
                    remedy,
                );
                return None;
            }
        };
        let kind = self.how.kind.map_or(ApiKind::Rest, ApiKind::from);
        let default = match kind {
            ApiKind::Http => "$default",
            ApiKind::Rest => "TEST",
        };
        let name = self.how.stage.as_deref().unwrap_or(default);
        if let Err(remedy) = check_stage_name(name, kind) {
            findings.error(
                whole("--stage"),
                "bad-stage-name",
                format!("`{name}` cannot be a stage's name"),
                remedy,
            );
        }
        let located = |value: String| Located {
            value,
            place: place.clone(),
        };
        let stage = Stage {
            name: located(name.to_owned()),
            mount: located(mount),
            variables: variables.clone(),
            throttle: Throttle::standard(place.clone()),
            source_throttle: None,
            principal_throttle: None,
            rate_limit_headers: None,
            methods: Vec::new(),
            access_log: access_log.clone(),
            execution_log: None,
            origin_roots: self.how.origin_roots.clone().map(|value| Located {
                value,
                place: whole("--origin-roots"),
            }),
            origin_client_certificate: None,
            cache: None,
            description: None,
            deployment: None,
            canary: None,
        };
        Some(Api {
            id: located(id),
            document: Located {
                value: PathBuf::from(document),
                place: place.clone(),
            },
            kind,
            region: REGION.to_owned(),
            account: ACCOUNT.to_owned(),
            stages: vec![stage],
            disable_default_endpoint: None,
        })
    }

    fn variables(&self, findings: &mut Findings) -> BTreeMap<String, Located<String>> {
        for (name, value) in &self.how.variable {
            if let Err(remedy) = check_variable(name, value) {
                let message = format!("the stage variable `{name}` cannot be honoured");
                findings.error(whole("--variable"), "bad-variable", message, remedy);
            }
        }
        let located = |(name, value): &(String, String)| {
            (
                name.clone(),
                Located {
                    value: value.clone(),
                    place: whole("--variable"),
                },
            )
        };
        self.how.variable.iter().map(located).collect()
    }
}

impl From<Kind> for ApiKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Http => Self::Http,
            Kind::Rest => Self::Rest,
        }
    }
}

/// `PATH=DOCUMENT`, where PATH begins with a slash; a file of that very name is a document.
fn split(argument: &str) -> (Option<&str>, &str) {
    match argument.split_once('=') {
        Some((mount, document)) if mount.starts_with('/') && !Path::new(argument).exists() => (Some(mount), document),
        _ => (None, argument),
    }
}

/// An id from a document's name, which no other API has yet.
fn id(document: &Path, taken: &mut BTreeSet<String>) -> String {
    let stem = document.file_stem().unwrap_or_default().to_string_lossy();
    let kept = stem.chars().map(|letter| {
        if letter.is_ascii_alphanumeric() || letter == '-' {
            letter
        } else {
            '-'
        }
    });
    let stem: String = kept.take(40).collect::<String>().trim_matches('-').to_owned();
    let stem = if stem.is_empty() { "api".to_owned() } else { stem };
    let mut id = stem.clone();
    let mut number = 1;
    while !taken.insert(id.clone()) {
        number += 1;
        id = format!("{stem}-{number}");
    }
    id
}

fn access_log(written: &[String], findings: &mut Findings) -> AccessLog {
    let place = || whole("--access-log");
    let mut log = AccessLog {
        destination: Located {
            value: Destination::Stdout,
            place: place(),
        },
        format: Located {
            value: Format::Clf,
            place: place(),
        },
        rotation: None,
    };
    for text in written {
        match (Destination::parse(text, |path| path.into()), Format::parse(text)) {
            (Some(destination), _) => log.destination.value = destination,
            (None, Some(format)) => log.format.value = format,
            (None, None) => {
                let remedy = "write `clf`, `csv`, `json`, `xml` or a template with `$context.requestId`; `stdout`, `stderr`, `file:PATH` or `off`";
                findings.error(
                    place(),
                    "bad-access-log",
                    format!("`{text}` is neither a format nor a destination"),
                    remedy,
                );
            }
        }
    }
    log
}

fn whole(option: &str) -> Place {
    Place::whole(option)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_before_a_document_begins_with_a_slash() {
        let check =
            |argument: &str, mount: Option<&str>, document: &str| assert_eq!(split(argument), (mount, document));
        check("a.yaml", None, "a.yaml");
        check("/a=b.yaml", Some("/a"), "b.yaml");
        check("/=b.yaml", Some("/"), "b.yaml");
        check("a=b.yaml", None, "a=b.yaml");
        check("/etc/a.yaml", None, "/etc/a.yaml");
        check("/a=/etc/b=c.yaml", Some("/a"), "/etc/b=c.yaml");
    }

    #[test]
    fn ids_come_from_names_and_differ() {
        let mut taken = BTreeSet::new();
        for (document, expected) in [
            ("dir/pets.yaml", "pets"),
            ("pets.json", "pets-2"),
            ("pets.v2.yaml", "pets-v2"),
            ("ä.yaml", "api"),
            ("", "api-2"),
            ("_x_.yaml", "x"),
        ] {
            assert_eq!(id(Path::new(document), &mut taken), expected, "{document}");
        }
    }

    #[test]
    fn an_access_log_is_told_by_format_and_destination() {
        let check = |written: &[&str], destination: Destination, format: Format| {
            let written: Vec<_> = written.iter().map(|&text| text.to_owned()).collect();
            let mut findings = Findings::new();
            let log = access_log(&written, &mut findings);
            assert_eq!(
                (log.destination.value, log.format.value, findings.is_empty()),
                (destination, format, true)
            );
        };
        check(&[], Destination::Stdout, Format::Clf);
        check(&["json"], Destination::Stdout, Format::Json);
        check(&["file:a.log"], Destination::File("a.log".into()), Format::Clf);
        check(&["json", "stderr"], Destination::Stderr, Format::Json);
        check(&["off"], Destination::Off, Format::Clf);
        check(
            &["$context.requestId"],
            Destination::Stdout,
            Format::Template("$context.requestId".into()),
        );
        let mut findings = Findings::new();
        access_log(&["jsno".to_owned()], &mut findings);
        assert!(findings.has_errors());
    }

    #[test]
    fn several_documents_need_paths() {
        let served = |documents: &[&str], mounting| {
            let source = Source {
                documents: documents.iter().map(|&text| text.to_owned()).collect(),
                ..Source::default()
            };
            let loaded = source.load(mounting).unwrap();
            let codes: Vec<_> = loaded
                .findings
                .iter()
                .map(|finding| finding.code)
                .filter(|code| *code != "document-missing")
                .collect();
            let stages = loaded
                .config
                .apis
                .into_iter()
                .map(|api| format!("{} {}", api.id.value, api.stages[0].mount.value));
            (stages.collect::<Vec<_>>(), codes)
        };
        let none: Vec<&str> = Vec::new();
        assert_eq!(
            served(&["no/a.yaml"], Mounting::Root),
            (vec!["a /".to_owned()], none.clone())
        );
        assert_eq!(
            served(&["/x=no/a.yaml", "/y/=no/a.yaml"], Mounting::Root),
            (vec!["a /x".to_owned(), "a-2 /y".to_owned()], none.clone())
        );
        assert_eq!(served(&["no/a.yaml", "no/b.yaml"], Mounting::Root).1, ["document-path"]);
        assert_eq!(
            served(&["no/a.yaml", "no/b.yaml"], Mounting::Apart),
            (vec!["a /a".to_owned(), "b /b".to_owned()], none)
        );
        assert_eq!(served(&["/a b=no/a.yaml"], Mounting::Root).1, ["bad-mount"]);
    }
}
