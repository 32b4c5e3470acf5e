//! What the secrets of a document look like, for a person to compare with what they know of them.

use std::path::Path;

use portcullis_core::{Findings, SecretRef};
use portcullis_jose::{Algorithm, KeyError, SecretEncoding, SecretForm, SecretLook, inspect_secret};
use portcullis_openapi::document::{AuthorizerKind, Document, Located, TokenAuthorizer};
use portcullis_proxy::keys::{FileError, read_secret};

use super::compose::directory;

/// Looks at every secret of the token authorisers: a line about each for people, warnings for what is doubtful.
///
/// References to files are relative to `file`, the document's own. A secret that is not there is a warning alone: a document is also checked where its secrets must not be.
pub(crate) fn look_at_secrets(document: &Document, file: &Path, findings: &mut Findings) -> Vec<String> {
    let directory = directory(file);
    let mut lines = Vec::new();
    for authorizer in document.authorizers.values() {
        if let AuthorizerKind::Token(token) = &authorizer.kind {
            lines.extend(
                token
                    .secrets
                    .iter()
                    .filter_map(|secret| look(token, secret, directory, findings)),
            );
        }
    }
    lines
}

fn look(
    token: &TokenAuthorizer,
    written: &Located<String>,
    directory: &Path,
    findings: &mut Findings,
) -> Option<String> {
    let reference: SecretRef = written.value.parse().ok()?; // what is none was reported by the compiler
    let reference = match reference {
        SecretRef::File(path) => SecretRef::File(directory.join(path).display().to_string()),
        SecretRef::Env(name) => SecretRef::Env(name),
    };
    let secret = match read_secret(&reference) {
        Ok(secret) => secret,
        Err(error @ (FileError::NotInEnvironment(_) | FileError::NotReadable(..))) => {
            let remedy = "it must be there where the gateway runs; `portcullis secret generate` makes one";
            findings.warn(written.place.clone(), "secret-not-here", error.to_string(), remedy);
            return None;
        }
        Err(error @ (FileError::Empty(_) | FileError::Jwks(..) | FileError::Key(..) | FileError::TooLarge(..))) => {
            let remedy = "`portcullis secret generate` makes a good one";
            findings.error(written.place.clone(), "secret-unusable", error.to_string(), remedy);
            return None;
        }
    };
    let encoding = match token.secret_encoding.as_ref().map(|encoding| encoding.value.as_str()) {
        Some("raw") => SecretEncoding::Raw,
        _ => SecretEncoding::Base64, // the default; what is neither was reported by the compiler
    };
    let look = inspect_secret(secret.expose());
    if look.key_bytes(encoding).is_none() {
        // In the words of the gateway, which would refuse to start.
        let error = FileError::Key(reference.to_string(), KeyError::NotBase64);
        findings.error(
            written.place.clone(),
            "secret-unusable",
            error.to_string(),
            "write `secretEncoding: raw`, or another secret",
        );
        return None;
    }
    let algorithms = token
        .algorithms
        .iter()
        .filter_map(|name| name.value.parse::<Algorithm>().ok());
    for algorithm in algorithms.filter(|algorithm| algorithm.is_symmetric()) {
        for warning in look.warnings(encoding, algorithm) {
            let remedy = "`portcullis secret generate` makes a good one; `secretEncoding` says how it is written";
            findings.warn(
                written.place.clone(),
                "secret-doubtful",
                format!("{reference}: {warning}"),
                remedy,
            );
        }
    }
    Some(format!("{reference} {}", in_words(look, encoding)))
}

fn in_words(look: SecretLook, encoding: SecretEncoding) -> String {
    let form = match look.form {
        SecretForm::Base64 => "looks like base64",
        SecretForm::Base64Url => "looks like base64url",
        SecretForm::Binary => "looks like raw bytes",
        SecretForm::Hex => "looks like hexadecimal digits",
        SecretForm::Text => "looks like text",
    };
    let read = match encoding {
        SecretEncoding::Base64 => "is read as base64",
        SecretEncoding::Raw => "is used as it stands",
    };
    format!(
        "{form} and {read}: a key of {} bytes",
        look.key_bytes(encoding).unwrap_or(0)
    )
}
