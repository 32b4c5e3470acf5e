//! Certificates from an ACME server: when one is due, what is kept of it, and how its challenges are put up.
//!
//! A listener names the files of a certificate; here is who writes them. They are written beside their place first and then
//! moved there, the certificate last, so that a process that is killed half-way leaves a pair that [`finish`] completes.

mod presenters;

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use portcullis_core::{Clock, Secret, SystemClock, Timestamp};
use portcullis_net::{
    acme::{AcmeAccount, AcmeError, Issued, Presenter},
    identity::{Identity, NotMade},
    tls::KeyPairFault,
    upstream::{OriginTls, Roots, TlsSettingsError},
};

pub(crate) use self::presenters::{Challenges, Hook, OnScreen};
use crate::{
    config::{Acme, AcmeCertificate, Config},
    failure::Failure,
    report,
};

/// Where the account is kept in the data directory.
const DIRECTORY: &str = "acme";
const ACCOUNT: &str = "account.json";

/// Why a certificate is to be obtained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// There is none but a placeholder.
    Missing,
    /// It is for other names.
    OtherNames,
    /// Two thirds of its time are over.
    Ending,
}

/// Why a certificate could not be obtained or kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ObtainError {
    /// A file cannot be read or written.
    #[error("`{path}`: {error}", path = .0.display(), error = .1)]
    File(PathBuf, #[source] io::Error),
    /// What stands in the files is no certificate with its key.
    #[error("`{path}`: {error}", path = .0.display(), error = .1)]
    Pair(PathBuf, #[source] KeyPairFault),
    /// The roots cannot be used.
    #[error("{0}")]
    Tls(#[from] TlsSettingsError),
    /// The server, or the proof.
    #[error("{0}")]
    Acme(#[from] AcmeError),
    /// The system's cryptography.
    #[error("{0}")]
    NotMade(#[from] NotMade),
}

/// Has something for every listener to begin with, and says so.
pub(crate) fn have_something(config: &Config) -> Result<(), Failure> {
    let Some(acme) = &config.acme else { return Ok(()) };
    for name in prepare(acme, SystemClock.now()).map_err(Failure::Acme)? {
        report::note(&format!(
            "a placeholder that no client trusts is served for {name} until its certificate is issued"
        ));
    }
    Ok(())
}

/// Has something to serve with in the place of each certificate that is not there yet, and completes what was written half.
/// Gives the names of the placeholders.
pub(crate) fn prepare(acme: &Acme, now: Timestamp) -> Result<Vec<String>, ObtainError> {
    let mut made = Vec::new();
    for wanted in &acme.certificates {
        finish(wanted)?;
        if !wanted.certificate.value.exists() && !wanted.key.value.exists() {
            let (chain_pem, key_pem) = Identity::placeholder(&wanted.names, wanted.kind, now)?;
            keep(wanted, &Issued { chain_pem, key_pem })?;
            made.extend(wanted.names.first().cloned());
        }
    }
    Ok(made)
}

/// Whether a certificate is to be obtained now.
pub(crate) fn due(wanted: &AcmeCertificate, now: Timestamp) -> Result<Option<Due>, ObtainError> {
    let [certificate, key] = [&wanted.certificate.value, &wanted.key.value].map(|path| read(path));
    let pair = Identity::from_pem(&certificate?, Secret::new(key?).expose());
    let pair = pair.map_err(|error| ObtainError::Pair(wanted.certificate.value.clone(), error))?;
    if pair.is_placeholder() {
        return Ok(Some(Due::Missing));
    }
    let sorted = |names: &[String]| {
        let mut names = names.to_vec();
        names.sort_unstable();
        names
    };
    if sorted(pair.names()) != sorted(&wanted.names) {
        return Ok(Some(Due::OtherNames));
    }
    let (begins, ends) = (pair.begins().unix_seconds(), pair.expires().unix_seconds());
    let is_ending = now.unix_seconds() >= begins + (ends - begins) / 3 * 2;
    Ok(is_ending.then_some(Due::Ending))
}

/// Obtains a certificate and puts it in its place. The account is made when there is none yet.
pub(crate) async fn obtain(
    acme: &Acme,
    wanted: &AcmeCertificate,
    data_dir: &Path,
    presenter: &impl Presenter,
) -> Result<(), ObtainError> {
    let account = account(acme, data_dir).await?;
    let kept = match wanted.keep_key {
        true if wanted.key.value.exists() => Some(Secret::new(read(&wanted.key.value)?)),
        true | false => None,
    };
    let issued = account
        .obtain(&wanted.names, wanted.proof, wanted.kind, kept.as_ref(), presenter)
        .await?;
    keep(wanted, &issued)
}

/// The account with this server: the one that was kept, or a new one.
async fn account(acme: &Acme, data_dir: &Path) -> Result<AcmeAccount, ObtainError> {
    let directory = data_dir.join(DIRECTORY);
    let path = directory.join(ACCOUNT);
    let pem = acme.roots.as_ref().map(|roots| read(&roots.value)).transpose()?;
    let roots = pem.as_deref().map_or(Roots::Mozilla, Roots::Private);
    let tls = OriginTls::new(roots, None, None)?;
    if path.exists() {
        let kept = Secret::new(read(&path)?);
        if is_with(&kept, &acme.directory.value) {
            return Ok(AcmeAccount::open(tls, &kept).await?);
        }
    }
    let (account, kept) = AcmeAccount::create(tls, &acme.directory.value, &acme.contacts).await?;
    let written = DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&directory)
        .and_then(|()| write(&path, kept.expose(), 0o600));
    written.map_err(|error| ObtainError::File(path, error))?;
    Ok(account)
}

/// Whether an account is with the server of this directory.
fn is_with(kept: &Secret, directory: &str) -> bool {
    let kept: Option<serde_json::Value> = serde_json::from_slice(kept.expose()).ok();
    kept.is_some_and(|kept| kept.get("directory").and_then(|found| found.as_str()) == Some(directory))
}

fn keep(wanted: &AcmeCertificate, issued: &Issued) -> Result<(), ObtainError> {
    let (certificate, key) = (next(&wanted.certificate.value), next(&wanted.key.value));
    write(&key, issued.key_pem.expose(), 0o600).map_err(|error| ObtainError::File(key, error))?;
    write(&certificate, issued.chain_pem.as_bytes(), 0o644).map_err(|error| ObtainError::File(certificate, error))?;
    finish(wanted)
}

/// Moves what was written whole to its place. A certificate that is ready says that its key is, too.
fn finish(wanted: &AcmeCertificate) -> Result<(), ObtainError> {
    let [certificate, key] = [&wanted.certificate.value, &wanted.key.value];
    let failed = |error| ObtainError::File(certificate.clone(), error);
    if !next(certificate).exists() {
        return match fs::remove_file(next(key)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
            _ => Ok(()),
        };
    }
    if next(key).exists() {
        fs::rename(next(key), key).map_err(failed)?;
    }
    fs::rename(next(certificate), certificate).map_err(failed)?;
    let directory = certificate.parent().filter(|parent| !parent.as_os_str().is_empty());
    let synced = File::open(directory.unwrap_or(Path::new("."))).and_then(|directory| directory.sync_all());
    synced.map_err(failed)
}

/// Where the next content of a file waits.
fn next(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".next");
    name.into()
}

fn read(path: &Path) -> Result<Vec<u8>, ObtainError> {
    fs::read(path).map_err(|error| ObtainError::File(path.to_owned(), error))
}

/// Whole, on disk, and with its mode from the first moment; what was there is gone.
fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use portcullis_core::Place;
    use portcullis_net::{acme::Proof, identity::KeyKind};
    use portcullis_openapi::document::Located;

    use super::*;

    fn wanted(directory: &Path) -> AcmeCertificate {
        let path = |name: &str| Located {
            value: directory.join(name),
            place: Place::default(),
        };
        AcmeCertificate {
            names: vec!["a.example.com".to_owned(), "b.example.com".to_owned()],
            certificate: path("a.pem"),
            key: path("a.key"),
            proof: Proof::Http01,
            kind: KeyKind::P256,
            keep_key: true,
            dns_hook: Vec::new(),
        }
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn a_placeholder_serves_until_a_certificate_is_there() {
        let place = tempfile::tempdir().unwrap();
        let acme = Acme {
            directory: Located {
                value: String::new(),
                place: Place::default(),
            },
            roots: None,
            contacts: Vec::new(),
            http_address: None,
            certificates: vec![wanted(place.path())],
        };
        let now = at("2026-01-01T00:00:00Z");
        assert_eq!(prepare(&acme, now).unwrap(), ["a.example.com"]);
        assert_eq!(prepare(&acme, now).unwrap(), [""; 0], "once is enough");
        assert_eq!(due(&acme.certificates[0], now).unwrap(), Some(Due::Missing));
    }

    #[test]
    fn a_certificate_is_due_in_the_last_third_of_its_time_or_for_other_names() {
        let place = tempfile::tempdir().unwrap();
        let wanted = wanted(place.path());
        let (chain_pem, key_pem) = Identity::self_signed("x", KeyKind::P256, at("2026-01-01T00:00:00Z"), 89).unwrap();
        keep(&wanted, &Issued { chain_pem, key_pem }).unwrap();
        assert_eq!(due(&wanted, at("2026-01-02T00:00:00Z")).unwrap(), Some(Due::OtherNames));
        let nameless = AcmeCertificate {
            names: Vec::new(),
            ..wanted
        };
        // Valid from the last of December for 90 days.
        assert_eq!(due(&nameless, at("2026-02-28T23:59:59Z")).unwrap(), None);
        assert_eq!(due(&nameless, at("2026-03-01T00:00:00Z")).unwrap(), Some(Due::Ending));
    }

    #[test]
    fn what_a_killed_process_left_is_completed_or_taken_away() {
        let place = tempfile::tempdir().unwrap();
        let wanted = wanted(place.path());
        let [certificate, key] = [&wanted.certificate.value, &wanted.key.value];
        let text = |path: &Path| fs::read_to_string(path).unwrap_or_default();
        for (files, expected) in [
            (vec![], ("old", "old")),
            (vec![next(key)], ("old", "old")), // its certificate was not ready
            (vec![next(key), next(certificate)], ("new", "new")),
            (vec![next(certificate)], ("new", "old")), // the key was moved already, as `old` shall show
        ] {
            fs::write(certificate, "old").unwrap();
            fs::write(key, "old").unwrap();
            for file in &files {
                fs::write(file, "new").unwrap();
            }
            finish(&wanted).unwrap();
            assert_eq!((text(certificate).as_str(), text(key).as_str()), expected, "{files:?}");
            assert!(!next(key).exists() && !next(certificate).exists(), "{files:?}");
        }
    }
}
