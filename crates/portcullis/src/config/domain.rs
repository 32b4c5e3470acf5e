//! `[[domains]]`: host names of the gateway's own, whose base paths lead to stages.

use std::path::PathBuf;

use portcullis_core::RequestPath;
use portcullis_model::{DomainSource, MappingSource, domain::NAME_BYTES_MAX};
use portcullis_openapi::document::Located;

use super::{
    api::Api,
    section::Section,
    tls::{self, CertificateFiles, ClientCertificates},
};

/// Domains of one process at most.
const DOMAINS_MAX: usize = 1_000;
/// Mappings of one domain at most (aws: 200).
const MAPPINGS_MAX: usize = 200;
/// A base path (aws).
const BASE_PATH_BYTES_MAX: usize = 300;
/// A label of a host name (RFC 1035 section 2.3.4).
const LABEL_BYTES_MAX: usize = 63;

/// A domain without errors.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Domain {
    source: DomainSource,
    certificate: Option<CertificateFiles>,
    clients: Option<ClientCertificates>,
}

impl Domain {
    /// What the compiler takes.
    pub(crate) fn source(&self) -> DomainSource {
        self.source.clone()
    }

    /// Its name, in lower case.
    pub(crate) fn name(&self) -> &Located<String> {
        &self.source.name
    }

    /// The certificate that it is served with in place of the listeners'.
    pub(crate) fn certificate(&self) -> Option<&CertificateFiles> {
        self.certificate.as_ref()
    }

    /// What is asked of its clients in place of what the listeners ask.
    pub(crate) fn clients(&self) -> Option<&ClientCertificates> {
        self.clients.as_ref()
    }

    /// Every file that it names.
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let certificate = self.certificate.iter();
        let pair = certificate.flat_map(|files| [&files.certificate.value, &files.key.value]);
        pair.chain(self.clients.iter().flat_map(ClientCertificates::files))
    }
}

/// Reads them; `apis` are those that they may lead to.
pub(super) fn read(root: &Section<'_>, apis: &[Api]) -> Vec<Domain> {
    // An API with an error is not among `apis`; that it were unknown would send a reader after ghosts.
    let known = (!root.report.has_errors()).then_some(apis);
    let tables = root.tables("domains", DOMAINS_MAX);
    tables.iter().filter_map(|table| read_domain(table, known)).collect()
}

fn read_domain(section: &Section<'_>, apis: Option<&[Api]>) -> Option<Domain> {
    let name = section.required("name", |key| read_name(section, key));
    let tables = section.tables("mappings", MAPPINGS_MAX);
    let mappings: Vec<_> = tables.iter().map(|table| read_mapping(table, apis)).collect();
    let certificate = section.table("certificate").map(|table| tls::read_certificate(&table));
    let clients = section.table("client_certificates");
    let clients = clients.map(|table| tls::read_clients(&table));
    section.finish();
    if section.is_absent_or_empty("mappings") {
        let remedy = "add `mappings = [{ base_path = \"/\", api = …, stage = … }]`";
        let message = "this domain has no mapping, so nobody can be served there";
        section.report.missing(&section.place, message, remedy);
    }
    Some(Domain {
        source: DomainSource {
            name: name?,
            mappings: mappings.into_iter().collect::<Option<_>>()?,
        },
        certificate: certificate.flatten(),
        clients: clients.flatten(),
    })
}

fn read_name(section: &Section<'_>, key: &'static str) -> Option<Located<String>> {
    let Located { value, place } = section.text(key)?;
    match check_name(&value) {
        Ok(name) => Some(Located { value: name, place }),
        Err(remedy) => {
            let message = format!("`{value}` is not a host name");
            section.report.error(&place, "bad-domain", message, remedy);
            None
        }
    }
}

/// The name in small letters and without a dot at its end, or what to write instead.
fn check_name(text: &str) -> Result<String, String> {
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    if name.contains([':', '/']) {
        return Err("write the name alone, without scheme, port and path, as in `api.example.com`".to_owned());
    }
    if !name.is_ascii() {
        return Err("write it as DNS knows it, with `xn--…` labels".to_owned());
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(format!("a host name has {NAME_BYTES_MAX} characters at most"));
    }
    let (is_wildcard, labels) = match name.strip_prefix("*.") {
        Some(rest) => (true, rest),
        None => (false, name.as_str()),
    };
    let is_label = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if !labels.split('.').all(is_label) {
        return Err(if labels.contains('*') {
            "a wildcard is the whole first label and nothing else: `*.example.com`".to_owned()
        } else {
            format!(
                "a name is made of labels of 1 to {LABEL_BYTES_MAX} letters, digits and inner `-`, as in `api.example.com`"
            )
        });
    }
    let ends_in_digits = labels
        .rsplit('.')
        .next()
        .is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    if ends_in_digits && !is_wildcard {
        return Err("an address is no domain: whoever calls by address gets the default address".to_owned());
    }
    Ok(name)
}

fn read_mapping(section: &Section<'_>, apis: Option<&[Api]>) -> Option<MappingSource> {
    let base_path = match section.text("base_path") {
        Some(written) => read_base_path(section, written),
        None if section.has("base_path") => None, // of a wrong type, and said so
        None => Some(Located {
            value: String::new(),
            place: section.place.clone(),
        }),
    };
    let api = section.required("api", |key| section.text(key));
    let stage = section.required("stage", |key| section.text(key));
    section.finish();
    if let (Some(api), Some(stage), Some(apis)) = (&api, &stage, apis) {
        check_target(section, api, stage, apis);
    }
    Some(MappingSource {
        base_path: base_path?,
        api: api?,
        stage: stage?,
    })
}

fn read_base_path(section: &Section<'_>, written: Located<String>) -> Option<Located<String>> {
    let Located { value, place } = written;
    match check_base_path(&value) {
        Ok(path) => Some(Located {
            value: path.to_owned(),
            place,
        }),
        Err(remedy) => {
            let message = format!("`{value}` cannot be a base path");
            section.report.error(&place, "bad-base-path", message, remedy);
            None
        }
    }
}

/// The base path without slashes at its ends, or what to write instead. Amazon writes the one of no path `(none)`.
fn check_base_path(text: &str) -> Result<&str, String> {
    if matches!(text, "" | "/" | "(none)") {
        return Ok("");
    }
    let path = text.strip_prefix('/').unwrap_or(text);
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.len() > BASE_PATH_BYTES_MAX {
        return Err(format!(
            "it has {} characters; at most {BASE_PATH_BYTES_MAX} are allowed",
            path.len()
        ));
    }
    if path.split('/').any(str::is_empty) {
        return Err("remove the double slash".to_owned());
    }
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"$-_.+!*'()/".contains(&byte);
    if !path.bytes().all(is_allowed) {
        return Err("use letters, digits and any of `$-_.+!*'()/`".to_owned());
    }
    RequestPath::parse(&format!("/{path}")).map_err(|error| error.to_string())?;
    Ok(path)
}

fn check_target(section: &Section<'_>, api: &Located<String>, stage: &Located<String>, apis: &[Api]) {
    let Some(found) = apis.iter().find(|found| found.id.value == api.value) else {
        let known = apis.iter().map(|api| format!("`{}`", api.id.value)).collect::<Vec<_>>();
        let message = format!("there is no API `{}`", api.value);
        let remedy = format!("it is one of {}", known.join(", "));
        section.report.error(&api.place, "unknown-api", message, remedy);
        return;
    };
    if !found.stages.iter().any(|known| known.name.value == stage.value) {
        let known = found.stages.iter();
        let known = known.map(|stage| format!("`{}`", stage.name.value)).collect::<Vec<_>>();
        let message = format!("`{}` has no stage `{}`", api.value, stage.value);
        let remedy = format!("it has {}", known.join(", "));
        section.report.error(&stage.place, "unknown-stage", message, remedy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_host_names() {
        let long = format!("{}.example", "a".repeat(64));
        let longest = ["a"; 127].join(".");
        for (text, expected) in [
            ("api.example.com", Some("api.example.com")),
            ("API.Example.COM.", Some("api.example.com")),
            ("localhost", Some("localhost")),
            ("*.example.com", Some("*.example.com")),
            ("xn--bcher-kva.example", Some("xn--bcher-kva.example")),
            (&longest, Some(longest.as_str())),
            (&format!("a.{longest}"), None),
            (&long, None),
            ("", None),
            (".", None),
            ("a..b", None),
            ("-a.b", None),
            ("a-.b", None),
            ("a_b.c", None),
            ("*", None),
            ("*.*.example.com", None),
            ("a.*.example.com", None),
            ("*a.example.com", None),
            ("https://api.example.com", None),
            ("api.example.com:443", None),
            ("api.example.com/v1", None),
            ("bücher.example", None),
            ("127.0.0.1", None),
            ("[::1]", None),
        ] {
            assert_eq!(check_name(text).ok().as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn base_paths_are_plain_paths() {
        let longest = "a".repeat(BASE_PATH_BYTES_MAX);
        for (text, expected) in [
            ("", Some("")),
            ("/", Some("")),
            ("(none)", Some("")),
            ("v1", Some("v1")),
            ("/v1", Some("v1")),
            ("/v1/", Some("v1")),
            ("/v2/deep", Some("v2/deep")),
            ("/a$-_.+!*'()/b", Some("a$-_.+!*'()/b")),
            (&longest, Some(longest.as_str())),
            (&format!("{longest}a"), None),
            ("//", None),
            ("/a//b", None),
            ("/a/../b", None),
            ("/a%20b", None),
            ("/{id}", None),
            ("/a b", None),
            ("/a?b", None),
        ] {
            assert_eq!(check_base_path(text).ok(), expected, "{text}");
        }
    }
}
