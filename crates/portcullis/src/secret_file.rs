//! Secrets written to files, and the way a secret is read when nobody says how it is encoded.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

use portcullis_core::{Secret, SecretRef};
use portcullis_jose::{SecretEncoding, SecretForm, generate_secret, inspect_secret};

use crate::{failure::Failure, report};

/// A new secret as it is to be written: one line of text, without its line break.
///
/// `Raw` gives 64 hexadecimal digits (256 bits): text that an environment variable can hold and that nobody, we included,
/// takes for base64.
pub(crate) fn generate(encoding: SecretEncoding) -> Result<Secret, Failure> {
    let key = generate_secret().map_err(Failure::NoSecret)?;
    Ok(match encoding {
        SecretEncoding::Base64 => encoding.encode(&key),
        SecretEncoding::Raw => {
            let digits = key.expose().iter().take(32).flat_map(|byte| [byte >> 4, byte & 15]);
            Secret::new(digits.map(|digit| b"0123456789abcdef"[usize::from(digit)]).collect())
        }
    })
}

/// Writes a secret and a line break to a new file that only its owner may read.
///
/// # Errors
/// The file is already there, or cannot be written.
pub(crate) fn create(path: &Path, secret: &Secret) -> Result<(), Failure> {
    let failure = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => Failure::AlreadyThere(path.to_owned()),
        _ => Failure::NotWritable(path.to_owned(), error),
    };
    // The mode is there from the first moment: a file made private afterwards was public before.
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(failure)?;
    let written = file
        .write_all(secret.expose())
        .and_then(|()| file.write_all(b"\n"))
        .and_then(|()| file.sync_all());
    written.map_err(|error| {
        let _ = fs::remove_file(path); // half a secret is worse than none; the error that counts is the first one
        failure(error)
    })
}

/// Notes on standard error that other users of the machine can read the file of a secret.
pub(crate) fn warn_if_public(reference: &SecretRef) {
    let SecretRef::File(path) = reference else { return };
    if fs::metadata(path).is_ok_and(|found| found.is_file() && found.mode() & 0o077 != 0) {
        report::note(&format!(
            "warning: {reference} can be read by other users: `chmod 600 {path}`"
        ));
    }
}

/// How a secret is to be read: as it was said, or as it looks, which is then noted on standard error.
pub(crate) fn encoding(said: Option<SecretEncoding>, reference: &SecretRef, secret: &Secret) -> SecretEncoding {
    let likely = || match likely_encoding(secret) {
        SecretEncoding::Base64 => {
            let remedy = "`--secret-encoding raw` uses its text instead";
            report::note(&format!("{reference} looks like base64 and is read as such; {remedy}"));
            SecretEncoding::Base64
        }
        SecretEncoding::Raw => {
            report::note(&format!(
                "{reference} does not look like base64 and is used as it stands (`--secret-encoding raw`)"
            ));
            SecretEncoding::Raw
        }
    };
    said.unwrap_or_else(likely)
}

/// How a secret is to be read as it looks.
pub(crate) fn likely_encoding(secret: &Secret) -> SecretEncoding {
    match inspect_secret(secret.expose()).form {
        SecretForm::Base64 | SecretForm::Base64Url => SecretEncoding::Base64,
        SecretForm::Binary | SecretForm::Hex | SecretForm::Text => SecretEncoding::Raw,
    }
}
