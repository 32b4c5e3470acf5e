//! `origin_client_certificate`: what the origins of a stage are shown, so that they answer nobody but the gateway.

use std::path::PathBuf;

use portcullis_net::identity::KeyKind;
use portcullis_openapi::document::Located;

use super::section::Section;

/// `origin_client_certificate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OriginCertificate {
    /// `{ certificate = "FILE", key = "FILE" }`.
    Given {
        /// PEM: the certificate, then those that certify it.
        certificate: Located<PathBuf>,
        /// PEM: its private key.
        key: Located<PathBuf>,
    },
    /// `{ generate = true }`: made and replaced in time by the gateway, kept in its data directory.
    Generated {
        /// The kind of its key (default P-256).
        kind: KeyKind,
    },
}

pub(super) fn read(section: &Section<'_>) -> Option<Located<OriginCertificate>> {
    let table = section.table("origin_client_certificate")?;
    let generate = table.flag("generate");
    let key_type = table.text("key_type");
    let (certificate, key) = (table.path("certificate"), table.path("key"));
    table.finish();
    let place = table.place.clone();
    let refuse = |message: &str, remedy: &str| {
        table
            .report
            .error(&place, "origin-certificate", message.to_owned(), remedy);
        None
    };
    let value = match (generate.is_some_and(|generate| generate.value), certificate, key) {
        (true, None, None) => OriginCertificate::Generated {
            kind: key_kind(&table, key_type)?,
        },
        (true, ..) => {
            return refuse(
                "a certificate is either generated or given",
                "keep `generate = true`, or `certificate` and `key`",
            );
        }
        (false, Some(certificate), Some(key)) if key_type.is_none() => OriginCertificate::Given { certificate, key },
        (false, Some(_), Some(_)) => {
            return refuse(
                "`key_type` is for certificates that are generated",
                "take `key_type` out",
            );
        }
        (false, ..) => {
            return refuse(
                "neither a certificate with its key nor `generate = true` is there",
                "write `{ generate = true }` or `{ certificate = \"FILE\", key = \"FILE\" }`",
            );
        }
    };
    Some(Located { value, place })
}

fn key_kind(table: &Section<'_>, written: Option<Located<String>>) -> Option<KeyKind> {
    let Some(written) = written else {
        return Some(KeyKind::default());
    };
    match written.value.as_str() {
        "P-256" => Some(KeyKind::P256),
        "RSA-2048" => Some(KeyKind::Rsa2048),
        other => {
            let message = format!("`{other}` is no kind of key that is generated");
            table.report.error(
                &written.place,
                "origin-certificate",
                message,
                "write `P-256` or `RSA-2048`",
            );
            None
        }
    }
}
