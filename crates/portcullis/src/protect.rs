//! The files that protect an origin without a document of one's own: `proxy.yaml` and `portcullis.toml`.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    net::SocketAddr,
    path::Path,
};

use portcullis_core::SecretRef;
use portcullis_jose::SecretEncoding;

use crate::failure::Failure;

/// The document's name.
pub(crate) const DOCUMENT: &str = "proxy.yaml";
/// The configuration's name.
pub(crate) const CONFIG: &str = "portcullis.toml";

/// What is protected, and how.
#[derive(Debug)]
pub(crate) struct Protection {
    /// `http` or `https`.
    pub(crate) scheme: &'static str,
    /// Host, port and path of the origin, without a slash at its end.
    pub(crate) origin: String,
    /// The header that carries the token. `Authorization` carries it behind `Bearer `.
    pub(crate) header: String,
    /// Where the secret is, as seen from the document.
    pub(crate) secret: SecretRef,
    /// How it is written.
    pub(crate) encoding: SecretEncoding,
    /// Where to listen.
    pub(crate) listen: SocketAddr,
    /// The stage's name.
    pub(crate) stage: String,
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// It was there with other content, and is as it was.
    Differs,
    /// It is new.
    New,
    /// It was there and is the same.
    Same,
}

// === impl Protection ===

impl Protection {
    /// The API document.
    pub(crate) fn document(&self) -> String {
        let Self {
            scheme,
            secret,
            encoding,
            ..
        } = self;
        let place = if self.is_bearer() {
            "      type: http\n      scheme: bearer\n".to_owned()
        } else {
            format!(
                "      type: apiKey\n      in: header\n      name: {}\n",
                quoted(&self.header)
            )
        };
        let encoding = match encoding {
            SecretEncoding::Base64 => "base64",
            SecretEncoding::Raw => "raw",
        };
        let secret = quoted(&secret.to_string());
        format!(
            r##"# What is served: every method of every path, for callers with a good token.
# Written by `portcullis protect`, yours to keep and edit: it is OpenAPI with the extensions of Amazon API Gateway.
# `portcullis check` says what is wrong with it, `portcullis routes` what is served.
openapi: "3.0.1"
info: {{title: Protected origin, version: "1"}}
components:
  securitySchemes:
    Token:
{place}      x-amazon-apigateway-authtype: custom
      x-portcullis-authorizer:
        type: token
        algorithms: [HS256]
        # Several, to replace a secret: `secret: [file:new, file:old]`. The files are watched.
        secret: {secret}
        secretEncoding: {encoding}
        # How long the policy made from a token is kept; expiry is looked at on every call all the same.
        authorizerResultTtlInSeconds: 300
paths:
  /:
    x-amazon-apigateway-any-method:
      security: [{{Token: []}}]
      x-amazon-apigateway-integration:
        type: http_proxy
        httpMethod: ANY
        uri: "{scheme}://${{stageVariables.origin}}/"
        timeoutInMillis: 29000
  /{{proxy+}}:
    x-amazon-apigateway-any-method:
      parameters: [{{name: proxy, in: path, required: true, schema: {{type: string}}}}]
      security: [{{Token: []}}]
      x-amazon-apigateway-integration:
        type: http_proxy
        httpMethod: ANY
        uri: "{scheme}://${{stageVariables.origin}}/{{proxy}}"
        requestParameters:
          integration.request.path.proxy: method.request.path.proxy
          # A header that only the gateway knows keeps callers from going around it; let the origin demand it:
          # integration.request.header.apikey: "'an-origin-key'"
        timeoutInMillis: 29000
"##
        )
    }

    /// The configuration that serves it.
    pub(crate) fn config(&self) -> String {
        let (listen, stage, origin) = (
            quoted(&self.listen.to_string()),
            quoted(&self.stage),
            quoted(&self.origin),
        );
        format!(
            r#"# Serves `{DOCUMENT}`: `portcullis serve --config {CONFIG}`.
# Written by `portcullis protect`, yours to keep and edit. Paths are relative to this file.
data_dir = "portcullis-data"

[[listeners]]
address = {listen}
# trusted_proxies = ["10.0.0.0/8"]             # whose X-Forwarded-For is believed

[[apis]]
id = "proxy"
document = "{DOCUMENT}"
kind = "rest"

[[apis.stages]]
name = {stage}
mount = "/"                                    # without it: below the stage's name
variables = {{ origin = {origin} }}
throttle = {{ rate_per_s = 10000, burst = 5000 }}
access_log = {{ destination = "stdout", format = "clf" }}   # or "file:PATH"; "json" or a template

# [metrics]
# address = "127.0.0.1:9100"                   # /metrics, /livez, /readyz
"#
        )
    }

    /// The header with a token, as curl takes it.
    pub(crate) fn header_with(&self, token: &str) -> String {
        let bearer = if self.is_bearer() { "Bearer " } else { "" };
        format!("{}: {bearer}{token}", self.header)
    }

    fn is_bearer(&self) -> bool {
        self.header.eq_ignore_ascii_case("authorization")
    }
}

/// Writes a new file. One that is there is never touched.
pub(crate) fn write(path: &Path, text: &str) -> Result<Written, Failure> {
    let opened = OpenOptions::new().write(true).create_new(true).open(path);
    match opened {
        Ok(mut file) => {
            file.write_all(text.as_bytes())
                .map_err(|error| Failure::NotWritable(path.to_owned(), error))?;
            Ok(Written::New)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let there =
                std::fs::read(path).map_err(|error| Failure::NotReadable(format!("`{}`", path.display()), error))?;
            Ok(if there == text.as_bytes() {
                Written::Same
            } else {
                Written::Differs
            })
        }
        Err(error) => Err(Failure::NotWritable(path.to_owned(), error)),
    }
}

/// A text in double quotes, as YAML, TOML and JSON alike read it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use portcullis_openapi::document::ApiKind;

    use super::*;

    fn protection(header: &str) -> Protection {
        Protection {
            scheme: "https",
            origin: "origin.example:8443/base".to_owned(),
            header: header.to_owned(),
            secret: SecretRef::File("a \"b\".secret".to_owned()),
            encoding: SecretEncoding::Raw,
            listen: ([127, 0, 0, 1], 8080).into(),
            stage: "TEST".to_owned(),
        }
    }

    #[test]
    fn what_is_written_reads_back_without_findings() {
        for header in ["Approov-Token", "Authorization"] {
            let protection = protection(header);
            let (document, findings) = portcullis_openapi::read(DOCUMENT, &protection.document(), ApiKind::Rest);
            assert_eq!(
                findings.iter().map(ToString::to_string).collect::<Vec<_>>(),
                [""; 0],
                "{header}"
            );
            let document = document.unwrap();
            assert_eq!(document.operations.len(), 2);
            assert!(document.operations.iter().all(|operation| operation.security.is_some()));
            let (config, findings) = crate::config::read(CONFIG, &protection.config(), Path::new(""));
            assert!(findings.is_empty(), "{findings:?}");
            assert_eq!(
                config.apis[0].stages[0].variables["origin"].value,
                "origin.example:8443/base"
            );
        }
    }

    #[test]
    fn a_bearer_token_has_its_prefix() {
        assert_eq!(protection("Approov-Token").header_with("x"), "Approov-Token: x");
        assert_eq!(protection("authorization").header_with("x"), "authorization: Bearer x");
    }

    #[test]
    fn files_are_written_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        assert_eq!(write(&path, "x").unwrap(), Written::New);
        assert_eq!(write(&path, "x").unwrap(), Written::Same);
        assert_eq!(write(&path, "y").unwrap(), Written::Differs);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "x");
        assert!(write(&directory.path().join("no/a"), "x").is_err());
    }
}
