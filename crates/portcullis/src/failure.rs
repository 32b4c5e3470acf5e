//! Why a command could not do its work at all, and what to do about it.

use std::{io, net::SocketAddr, path::PathBuf};

use portcullis_cluster::ClusterError;
use portcullis_core::{PathError, SecretRef};
use portcullis_jose::{JwksError, KeyError, SealingKeyError, SignError};
use portcullis_net::tls::{PemFault, TlsSettingsFault};
use portcullis_policy::PolicyError;
use portcullis_proxy::{LiveError, keys::FileError};
use portcullis_store::StoreError;
use portcullis_telemetry::metrics::ReadingError;

use crate::{
    acme::ObtainError,
    command::pem_remedy,
    data_dir::DataDirError,
    origin_certificates::CertificateError,
    releases::Refused,
    service::{OtlpError, ReceiverError, bind_remedy},
    usage::UsageError,
};

/// A command that came to nothing: exit status 2. A negative answer is no failure.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// An execution log cannot be opened.
    #[error("the execution log of stage `{0}` cannot be opened: {1}")]
    ExecutionLog(String, #[source] io::Error),
    /// Telemetry cannot be sent.
    #[error("telemetry.otlp: {0}")]
    Otlp(#[source] OtlpError),
    /// Who is to be told of an alarm cannot be.
    #[error("the alarm `{0}`: {1}")]
    Alarm(String, #[source] ReceiverError),
    /// A certificate could not be obtained or kept.
    #[error("{0}")]
    Acme(#[source] ObtainError),
    /// The file would have been overwritten.
    #[error("`{}` is already there and is never overwritten", .0.display())]
    AlreadyThere(PathBuf),
    /// An address cannot be listened on.
    #[error("`{0}` cannot be listened on: {1}")]
    Bind(SocketAddr, #[source] io::Error),
    /// The data directory cannot be had.
    #[error("data_dir: {0}")]
    DataDir(#[source] DataDirError),
    /// Options that a configuration says itself stand without a document.
    #[error("these options need a document: a configuration says all that they say itself")]
    DocumentMissing,
    /// There are errors among the findings, which have been printed.
    #[error("nothing can be served from this")]
    Findings,
    /// Keys, logs or origins cannot be opened; all of them.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\nerror: "))]
    Live(Vec<LiveError>),
    /// No gateway listens in a data directory.
    #[error("no running gateway could be told in `{path}`: {error}", path = .0.display(), error = .1)]
    NobodyListens(PathBuf, #[source] io::Error),
    /// Nothing is kept of documents that are named as arguments.
    #[error("deployments are kept for what a configuration names")]
    NotKept,
    /// What is deployed cannot be kept or is not what was written.
    #[error("{0}")]
    Store(#[source] StoreError),
    /// What is wanted of a stage cannot be done.
    #[error("{}", .0.what)]
    Refused(#[source] Refused),
    /// The gateway that runs does not hand over.
    #[error("the gateway that runs did not hand over: {0}")]
    NotHandedOver(#[source] io::Error),
    /// Neither documents nor a configuration are given.
    #[error("no document is named, and there is no `portcullis.toml` here")]
    NothingNamed,
    /// Neither `-` nor a file could be read.
    #[error("{0} cannot be read: {1}")]
    NotReadable(String, #[source] io::Error),
    /// A file could not be written.
    #[error("`{path}` cannot be written: {error}", path = .0.display(), error = .1)]
    NotWritable(PathBuf, #[source] io::Error),
    /// An option's value cannot be honoured.
    #[error("{option}: {what}")]
    Option {
        /// The option as it is written: `--claim`.
        option: &'static str,
        /// What is wrong. Never holds a secret.
        what: String,
        /// What to write instead.
        remedy: String,
    },
    /// A certificate for origins cannot be kept valid.
    #[error("the certificate that the origins of {0} are shown: {1}")]
    OriginCertificate(String, #[source] CertificateError),
    /// A path in no form that a request could have.
    #[error("--path: {0}")]
    Path(#[source] PathError),
    /// A PEM file that cannot be read.
    #[error("`{0}`: {1}")]
    Pem(String, #[source] PemFault),
    /// A policy document that cannot be honoured.
    #[error("{0}: {1}")]
    Policy(String, #[source] PolicyError),
    /// A JWK set that cannot be used.
    #[error("{0}: {1}")]
    Jwks(String, #[source] JwksError),
    /// A metric of our own cannot be added.
    #[error("the metrics cannot be set up: {0}")]
    Readings(#[source] ReadingError),
    /// The system gives no thread, descriptor or port.
    #[error("the gateway cannot be started: {0}")]
    Start(#[source] io::Error),
    /// Redis cannot be talked with, whether it is there or not.
    #[error("redis: {0}")]
    Redis(#[source] ClusterError),
    /// The password for Redis cannot be had.
    #[error("redis.password: {0}")]
    RedisPassword(#[source] FileError),
    /// The secret that stored answers are sealed with cannot be had.
    #[error("redis.cache_key: {0}")]
    RedisCacheKey(#[source] FileError),
    /// It is no such secret.
    #[error("redis.cache_key: {0}")]
    RedisCacheKeyUnusable(#[source] SealingKeyError),
    /// What was used of quotas cannot be known.
    #[error("{0}")]
    Usage(#[source] UsageError),
    /// A secret or key that cannot be had.
    #[error("{0}")]
    Secret(#[source] FileError),
    /// A secret or key that cannot be used.
    #[error("{0}: {1}")]
    Key(SecretRef, #[source] KeyError),
    /// The system has no random bytes.
    #[error("no secret could be generated: {0}")]
    NoSecret(#[source] KeyError),
    /// A token that could not be made.
    #[error("no token could be made: {0}")]
    Sign(#[source] SignError),
    /// TLS that cannot be set up, whatever the certificates.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[source] TlsSettingsFault),
    /// The input is larger than what is read.
    #[error("{0} has more than {1} bytes")]
    TooLarge(String, u64),
}

impl Failure {
    /// What to do about it; empty when the message says all there is.
    pub(crate) fn remedy(&self) -> String {
        match self {
            Self::ExecutionLog(_, error) => writable_remedy(error).to_owned(),
            Self::Otlp(OtlpError::Secret(_, error)) => secret_remedy(error),
            Self::Otlp(OtlpError::Header(_)) => "is it the right file? a value is one line of plain text".to_owned(),
            Self::Otlp(OtlpError::Unusable(_)) => "mend `endpoint` and `roots`".to_owned(),
            Self::Alarm(_, ReceiverError::Secret(error)) => secret_remedy(error),
            Self::Alarm(_, ReceiverError::Key(_)) => "take the secret that the receiver shows: `whsec_…`".to_owned(),
            Self::Alarm(_, ReceiverError::Unusable(_)) => "mend `webhook`".to_owned(),
            Self::Acme(error) => acme_remedy(error).to_owned(),
            Self::AlreadyThere(_) => "remove it first, or choose another name".to_owned(),
            Self::Bind(address, error) => bind_remedy(*address, error),
            Self::DataDir(DataDirError::InUse(_)) => {
                "end the other process, or give this one a `data_dir` of its own".to_owned()
            }
            Self::DataDir(DataDirError::Unusable(_, error)) => writable_remedy(error).to_owned(),
            Self::NotHandedOver(_) => "it goes on; is it as new as this one, and of the same user?".to_owned(),
            Self::NotKept => "write a `portcullis.toml` that names the document".to_owned(),
            Self::Refused(refused) => refused.remedy.clone(),
            Self::Store(_) => "nothing was changed".to_owned(),
            Self::Live(_) | Self::Readings(_) | Self::Start(_) | Self::Tls(_) => String::new(),
            Self::DocumentMissing => "name one, as in `proxy.yaml`, or write it into `portcullis.toml`".to_owned(),
            Self::NobodyListens(..) => "start it with `portcullis serve --config …`, as the same user".to_owned(),
            Self::NothingNamed => "name one, as in `proxy.yaml`, or give `--config FILE`".to_owned(),
            Self::Findings => "mend the errors above; `portcullis check` says them again".to_owned(),
            Self::NotReadable(_, error) => readable_remedy(error).to_owned(),
            Self::NotWritable(_, error) => writable_remedy(error).to_owned(),
            Self::Option { remedy, .. } => remedy.clone(),
            Self::OriginCertificate(_, error) => certificate_remedy(error).to_owned(),
            Self::Path(_) => {
                "write the path as a client would send it, from its slash on and without a query".to_owned()
            }
            Self::Pem(_, fault) => pem_remedy(*fault).to_owned(),
            Self::Policy(..) => String::new(), // the error brings its own
            Self::Jwks(..) => "expected is JSON as in `{\"keys\": [{\"kty\": \"RSA\", …}]}`".to_owned(),
            Self::Redis(_) => "see `[redis]` in the configuration".to_owned(),
            Self::RedisPassword(error) | Self::RedisCacheKey(error) => secret_remedy(error),
            Self::RedisCacheKeyUnusable(_) => {
                "`openssl rand -base64 32` makes a good one; all gateways that share answers have the same".to_owned()
            }
            Self::Usage(UsageError::NotReadable(_, error)) => readable_remedy(error).to_owned(),
            Self::Usage(UsageError::Damaged(_)) => {
                "put back a copy, or remove it: then every quota of the present period is given out once more"
                    .to_owned()
            }
            Self::Secret(error) => secret_remedy(error),
            Self::Key(..) | Self::NoSecret(_) | Self::Sign(_) => String::new(),
            Self::TooLarge(..) => "is this the right file?".to_owned(),
        }
    }
}

fn readable_remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "check its name; relative paths begin at the working directory",
        io::ErrorKind::PermissionDenied => "make it readable for this user",
        io::ErrorKind::IsADirectory => "name a file in it",
        _ => "",
    }
}

fn writable_remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "create its directory first",
        io::ErrorKind::PermissionDenied => "choose a directory that this user may write to",
        _ => "",
    }
}

fn acme_remedy(error: &ObtainError) -> &'static str {
    match error {
        ObtainError::File(_, error) => writable_remedy(error),
        ObtainError::Pair(..) => "remove both files to have another obtained",
        ObtainError::Tls(_) => "mend `roots` of `[acme]`",
        ObtainError::Acme(_) | ObtainError::NotMade(_) => "",
    }
}

fn certificate_remedy(error: &CertificateError) -> &'static str {
    match error {
        CertificateError::File(_, error) => writable_remedy(error),
        CertificateError::Unusable(..) => {
            "mend it; remove a generated one to have another made, which the origin must then be told of"
        }
        CertificateError::NotMade(_) => "",
    }
}

fn secret_remedy(error: &FileError) -> String {
    match error {
        FileError::NotInEnvironment(name) => format!("set it (`export {name}=…`), or use `file:PATH`"),
        FileError::NotReadable(_, error) => match error.kind() {
            io::ErrorKind::NotFound => "`portcullis secret generate --out FILE` makes one".to_owned(),
            _ => readable_remedy(error).to_owned(),
        },
        FileError::Empty(_) => "`portcullis secret generate` prints one".to_owned(),
        FileError::Jwks(..) | FileError::Key(..) | FileError::TooLarge(..) => String::new(),
    }
}
