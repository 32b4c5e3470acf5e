//! The certificates that stages show to their origins: made where a stage says `generate`, replaced in time with both valid
//! for a while, and watched for their end.
//!
//! In `DATA_DIR/origin-certificates/API.STAGE/` stand `active.pem`, which is in use, and for a while before it ends
//! `next.pem`, which the origin is to trust by then. Each file is a certificate and its key, so that the two change at once.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use portcullis_core::{Secret, Timestamp};
use portcullis_model::snapshot::CertificateFiles;
use portcullis_net::{
    identity::{Identity, KeyKind, NotMade},
    tls::KeyPairFault,
};

use crate::config::{Config, OriginCertificate};

/// How long a generated certificate is valid (aws: 365 days).
const VALID_DAYS: u16 = 365;
/// From this long before its end people are warned, and the next one is there.
const WARNED_DAYS: i64 = 30;
/// From this long before its end the next one takes its place.
const REPLACED_DAYS: i64 = 7;
const DAY_S: i64 = 24 * 60 * 60;
/// The directory in the data directory.
const DIRECTORY: &str = "origin-certificates";
const ACTIVE: &str = "active.pem";
const NEXT: &str = "next.pem";

/// The certificate of one stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StageCertificate {
    /// The API's id.
    pub(crate) api: String,
    /// The stage's name.
    pub(crate) stage: String,
    /// Where it is.
    pub(crate) files: CertificateFiles,
    /// Where it is kept and what is made, if it is generated.
    pub(crate) generated: Option<Generated>,
}

/// A certificate that the gateway makes itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Generated {
    directory: PathBuf,
    kind: KeyKind,
}

/// What was done to keep a certificate valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// There was none; there is one now.
    Made,
    /// The next one is there for origins to be told of.
    NextMade,
    /// The next one is in use now.
    Replaced,
}

/// Why a certificate cannot be kept valid.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CertificateError {
    /// A file cannot be read or written.
    #[error("`{path}`: {error}", path = .0.display(), error = .1)]
    File(PathBuf, #[source] io::Error),
    /// What is in a file is no certificate with its key.
    #[error("`{path}`: {error}", path = .0.display(), error = .1)]
    Unusable(PathBuf, #[source] KeyPairFault),
    /// None could be made.
    #[error(transparent)]
    NotMade(#[from] NotMade),
}

/// The certificates that a configuration names.
pub(crate) fn named(config: &Config) -> Vec<StageCertificate> {
    let stages = config
        .apis
        .iter()
        .flat_map(|api| api.stages.iter().map(move |stage| (api, stage)));
    stages
        .filter_map(|(api, stage)| {
            let (api, name) = (&api.id.value, &stage.name.value);
            let certificate = &stage.origin_client_certificate.as_ref()?.value;
            StageCertificate::of(
                certificate,
                config.data_dir.as_ref().map(|found| found.value.as_path()),
                api,
                name,
            )
        })
        .collect()
}

// === impl StageCertificate ===

impl StageCertificate {
    /// `None` for one that is to be generated without a data directory; the configuration's reader says so.
    pub(crate) fn of(certificate: &OriginCertificate, data_dir: Option<&Path>, api: &str, stage: &str) -> Option<Self> {
        let (files, generated) = match certificate {
            OriginCertificate::Given { certificate, key } => {
                let (certificate, key) = (certificate.value.clone(), key.value.clone());
                (CertificateFiles { certificate, key }, None)
            }
            OriginCertificate::Generated { kind } => {
                let directory = data_dir?.join(DIRECTORY).join(format!("{api}.{stage}"));
                let active = directory.join(ACTIVE);
                let files = CertificateFiles {
                    certificate: active.clone(),
                    key: active,
                };
                (files, Some(Generated { directory, kind: *kind }))
            }
        };
        let (api, stage) = (api.to_owned(), stage.to_owned());
        Some(Self {
            api,
            stage,
            files,
            generated,
        })
    }

    /// Makes what is missing and replaces what ends; nothing for a certificate that was given.
    pub(crate) fn tend(&self, now: Timestamp) -> Result<Option<Change>, CertificateError> {
        let Some(generated) = &self.generated else {
            return Ok(None);
        };
        generated.tend(&self.name(), now)
    }

    /// Makes the next certificate now, if there is none yet.
    pub(crate) fn rotate(&self, now: Timestamp) -> Result<Option<Change>, CertificateError> {
        let Some(generated) = &self.generated else {
            return Ok(None);
        };
        if generated.next()?.is_some() {
            return Ok(None);
        }
        generated.make(NEXT, &self.name(), now)?;
        Ok(Some(Change::NextMade))
    }

    /// Puts the next certificate in use, if there is one.
    pub(crate) fn activate(&self) -> Result<Option<Change>, CertificateError> {
        match &self.generated {
            Some(generated) if generated.next()?.is_some() => generated.replace().map(Some),
            Some(_) | None => Ok(None),
        }
    }

    /// The one in use.
    pub(crate) fn active(&self) -> Result<Identity, CertificateError> {
        let [certificate, key] = [&self.files.certificate, &self.files.key].map(|path| read(path));
        let unusable = |error| CertificateError::Unusable(self.files.certificate.clone(), error);
        Identity::from_pem(&certificate?, Secret::new(key?).expose()).map_err(unusable)
    }

    /// The certificates that the origin is to trust, as PEM without any key: the one in use, and the next where there is one.
    pub(crate) fn public(&self) -> Result<Vec<String>, CertificateError> {
        let active = read(&self.files.certificate)?;
        let next = match &self.generated {
            Some(generated) => generated.next()?,
            None => None,
        };
        let texts = [Some(active), next].into_iter().flatten();
        Ok(texts.map(|text| certificates_alone(&text)).collect())
    }

    /// Days until it ends, none when it has; `None` while there is still time.
    pub(crate) fn ends_in_days(expires: Timestamp, now: Timestamp) -> Option<i64> {
        let days = (expires.unix_seconds() - now.unix_seconds()).div_euclid(DAY_S);
        (days < WARNED_DAYS).then_some(days.max(0))
    }

    /// `API/STAGE`, its subject and its name for people.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.api, self.stage)
    }
}

// === impl Generated ===

impl Generated {
    fn tend(&self, name: &str, now: Timestamp) -> Result<Option<Change>, CertificateError> {
        let path = self.directory.join(ACTIVE);
        let text = match read(&path) {
            Ok(text) => text,
            Err(CertificateError::File(_, error)) if error.kind() == io::ErrorKind::NotFound => {
                self.make(ACTIVE, name, now)?;
                return Ok(Some(Change::Made));
            }
            Err(error) => return Err(error),
        };
        let active = Identity::from_pem(&text, &text).map_err(|error| CertificateError::Unusable(path, error))?;
        let has_next = self.next()?.is_some();
        let left_s = active.expires().unix_seconds() - now.unix_seconds();
        match (left_s < REPLACED_DAYS * DAY_S, left_s < WARNED_DAYS * DAY_S) {
            (true, _) if has_next => self.replace().map(Some),
            (_, true) if !has_next => {
                self.make(NEXT, name, now)?;
                Ok(Some(Change::NextMade))
            }
            _ => Ok(None),
        }
    }

    fn next(&self) -> Result<Option<Vec<u8>>, CertificateError> {
        match read(&self.directory.join(NEXT)) {
            Ok(text) => Ok(Some(text)),
            Err(CertificateError::File(_, error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn make(&self, file: &str, name: &str, now: Timestamp) -> Result<(), CertificateError> {
        let (certificate, key) = Identity::self_signed(name, self.kind, now, VALID_DAYS)?;
        let failed = |error| CertificateError::File(self.directory.join(file), error);
        write(&self.directory, file, &[certificate.as_bytes(), key.expose()]).map_err(failed)
    }

    /// One rename: whoever reads the file finds the old pair or the new one.
    fn replace(&self) -> Result<Change, CertificateError> {
        let [next, active] = [NEXT, ACTIVE].map(|file| self.directory.join(file));
        let renamed = fs::rename(&next, &active).and_then(|()| File::open(&self.directory)?.sync_all());
        renamed.map_err(|error| CertificateError::File(active, error))?;
        Ok(Change::Replaced)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    fs::read(path).map_err(|error| CertificateError::File(path.to_owned(), error))
}

/// Whole or not at all, and for its owner alone from the first moment.
fn write(directory: &Path, file: &str, parts: &[&[u8]]) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let unfinished = directory.join(format!("{file}.unfinished"));
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut out = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&unfinished)?;
    parts.iter().try_for_each(|part| out.write_all(part))?;
    out.sync_all()?;
    fs::rename(&unfinished, directory.join(file))?;
    File::open(directory)?.sync_all()
}

/// The blocks of certificates in a PEM text, nothing else.
fn certificates_alone(pem: &[u8]) -> String {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let text = String::from_utf8_lossy(pem);
    let blocks = text.split(BEGIN).skip(1);
    let bodies = blocks.filter_map(|block| block.split_once(END).map(|(body, _)| body));
    bodies
        .map(|body| format!("{BEGIN}{}{END}\n", body.replace('\r', "")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(data_dir: &Path) -> StageCertificate {
        let kind = KeyKind::P256;
        StageCertificate::of(&OriginCertificate::Generated { kind }, Some(data_dir), "pay", "TEST").unwrap()
    }

    #[test]
    fn a_certificate_is_made_and_replaced_in_time_with_both_valid_for_a_while() {
        let place = tempfile::tempdir().unwrap();
        let stage = stage(place.path());
        let start = Timestamp::parse_rfc3339("2026-01-01T12:00:00Z").unwrap();
        let day = |days: i64| start.plus_seconds(days * DAY_S);
        assert_eq!(stage.tend(day(0)).unwrap(), Some(Change::Made));
        let first = stage.public().unwrap();
        for (days, expected, kept) in [
            (0, None, 1),
            (334, None, 1),
            (335, Some(Change::NextMade), 2),
            (335, None, 2),
            (357, None, 2),
            (358, Some(Change::Replaced), 1),
            (359, None, 1),
        ] {
            assert_eq!(stage.tend(day(days)).unwrap(), expected, "day {days}");
            let public = stage.public().unwrap();
            assert_eq!(public.len(), kept, "day {days}");
            assert_eq!(public[0] == first[0], days < 358, "day {days}");
            assert!(public.iter().all(|text| !text.contains("PRIVATE")));
        }
        // Off for years: what ended is replaced as soon as origins can have been told.
        assert_eq!(stage.tend(day(5_000)).unwrap(), Some(Change::NextMade));
        assert_eq!(stage.tend(day(5_000)).unwrap(), Some(Change::Replaced));
        assert_eq!(
            StageCertificate::ends_in_days(stage.active().unwrap().expires(), day(5_000)),
            None
        );
    }

    #[test]
    fn people_rotate_when_they_want_to() {
        let place = tempfile::tempdir().unwrap();
        let stage = stage(place.path());
        let now = Timestamp::parse_rfc3339("2026-01-01T12:00:00Z").unwrap();
        stage.tend(now).unwrap();
        assert_eq!(stage.activate().unwrap(), None, "there is no next one");
        assert_eq!(stage.rotate(now).unwrap(), Some(Change::NextMade));
        assert_eq!(
            stage.rotate(now).unwrap(),
            None,
            "the next one stays what origins were told"
        );
        let public = stage.public().unwrap();
        assert_eq!(stage.activate().unwrap(), Some(Change::Replaced));
        assert_eq!(stage.public().unwrap(), public[1..]);
    }

    #[test]
    fn files_belong_to_the_gateway_alone_and_broken_ones_are_named() {
        use std::os::unix::fs::PermissionsExt;
        let place = tempfile::tempdir().unwrap();
        let stage = stage(place.path());
        let now = Timestamp::parse_rfc3339("2026-01-01T12:00:00Z").unwrap();
        stage.tend(now).unwrap();
        let path = &stage.files.key;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(path), mode(path.parent().unwrap())), (0o600, 0o700));
        fs::write(path, "").unwrap();
        let error = stage.tend(now).unwrap_err().to_string();
        assert!(
            error.contains("pay.TEST/active.pem") && error.contains("holds no certificate"),
            "{error}"
        );
    }
}
