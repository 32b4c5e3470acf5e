//! URLs that the gateway calls for its own sake, and references to secrets.

use std::path::PathBuf;

use portcullis_core::{Place, SecretRef};
use portcullis_model::snapshot::OriginSpec;
use portcullis_openapi::document::Located;
use portcullis_template::uri::OriginUri;

use super::section::Section;

/// Where something is posted to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Endpoint {
    /// The server.
    pub(crate) origin: OriginSpec,
    /// Path and query.
    pub(crate) target: String,
    /// Where it is written.
    pub(crate) place: Place,
}

// === impl Endpoint ===

impl Endpoint {
    /// Reads a URL; plain HTTP to another machine is warned of.
    pub(super) fn read(section: &Section<'_>, url: Located<String>) -> Option<Self> {
        let Located { value, place } = url;
        match Self::parse(&value, place.clone()) {
            Ok(endpoint) => {
                if !endpoint.origin.tls && !endpoint.origin.is_local() {
                    let message = "what is sent there can be read and changed on its way";
                    section.report.warn(&place, "plain-http", message, "write `https://`");
                }
                Some(endpoint)
            }
            Err(error) => {
                let message = format!("this is no URL that can be called: {error}");
                section
                    .report
                    .error(&place, "bad-url", message, "write `https://HOST/PATH`");
                None
            }
        }
    }

    fn parse(url: &str, place: Place) -> Result<Self, String> {
        let uri = OriginUri::parse(url).map_err(|error| error.to_string())?;
        let mut target = String::new();
        let is_path = uri.write_path(&|_| None, &mut target);
        let is_query = !uri.has_query() || {
            target.push('?');
            uri.write_query(&|_| None, &mut target)
        };
        if !is_path || !is_query {
            return Err("it cannot have variables".to_owned());
        }
        Ok(Self {
            origin: OriginSpec::of(&uri, None, None),
            target,
            place,
        })
    }

    /// The same server, trusted by the roots in a file instead of the built-in ones.
    pub(crate) fn with_roots(mut self, roots: Option<PathBuf>) -> Self {
        self.origin.roots = roots.filter(|_| self.origin.tls);
        self
    }
}

impl Section<'_> {
    /// A reference to a secret, `env:NAME` or `file:PATH`, the path relative to the configuration.
    pub(super) fn secret(&self, key: &'static str) -> Option<Located<SecretRef>> {
        let text = self.text(key)?;
        self.as_secret(key, text)
    }

    /// The same of a text that was read already.
    pub(super) fn as_secret(&self, key: &str, text: Located<String>) -> Option<Located<SecretRef>> {
        let Located { value, place } = text;
        match value.parse() {
            Ok(SecretRef::File(path)) => Some(SecretRef::File(self.report.relative(&path).display().to_string())),
            Ok(SecretRef::Env(name)) => Some(SecretRef::Env(name)),
            Err(_) => {
                // Without the text: it may be the secret itself.
                let message = format!("`{}` is no reference to a secret", self.full(key));
                let remedy = "write `env:NAME` or `file:PATH`; a secret never stands in a configuration";
                self.report.error(&place, "bad-secret", message, remedy);
                None
            }
        }
        .map(|value| Located { value, place })
    }
}
