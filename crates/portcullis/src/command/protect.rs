//! `portcullis protect`: an origin behind tokens, without a document.

use std::{
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    path::{Path, PathBuf},
    time::Duration,
};

use http::HeaderName;
use portcullis_core::{Clock, Secret, SecretRef, SystemClock, secret::SecretRefError};
use portcullis_jose::{Algorithm, SecretEncoding, SigningKey, issue};
use portcullis_openapi::document::ApiKind;
use portcullis_proxy::keys::read_secret;
use portcullis_template::uri::{OriginUri, Scheme};
use serde_json::json;

use super::{Exit, serve};
use crate::{
    config::{self, check_stage_name},
    failure::Failure,
    load::{self, Amend, DEFAULT_LISTEN},
    process_log::ProcessLog,
    protect::{CONFIG, DOCUMENT, Protection, Written, write},
    report, secret_file,
};

/// How long the origin may take to be reached before its absence is noted.
const REACH_WAIT: Duration = Duration::from_secs(2);
/// How long the printed token is good for.
const TOKEN_S: i64 = 86_400;

pub(super) const HELP: &str = "\
Examples:
  portcullis protect https://api.example.com --header Approov-Token --secret file:approov.secret
  portcullis protect http://127.0.0.1:9000 --header Authorization --secret file:s --listen 0.0.0.0:8080 --directory gateway

Makes the secret when its file is not there, writes `proxy.yaml` and `portcullis.toml` to the directory, prints a token \
and calls to try, and serves. From then on the files are yours: `portcullis serve --config portcullis.toml` serves the \
same. Files that are there are never overwritten; they are served as they are.";

#[derive(Debug, clap::Args)]
pub(super) struct Protect {
    /// The origin's URL, with a path where its API begins below one.
    #[arg(value_name = "ORIGIN")]
    origin: String,
    /// The header that carries the token; `Authorization` carries it behind `Bearer `.
    #[arg(long, value_name = "NAME", value_parser = parse_header_name)]
    header: String,
    /// The secret that signs tokens: file:PATH (made when it is not there) or env:NAME.
    #[arg(long, value_name = "REFERENCE")]
    secret: String,
    /// Where to listen [default: 127.0.0.1:8080, or what portcullis.toml says].
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Where the files are written.
    #[arg(long, value_name = "DIRECTORY", default_value = ".")]
    directory: PathBuf,
    /// The stage's name.
    #[arg(long, value_name = "NAME", default_value = "TEST")]
    stage: String,
    #[command(flatten)]
    log: ProcessLog,
}

pub(super) fn run(args: &Protect) -> Result<Exit, Failure> {
    args.log.start()?;
    let uri = origin(&args.origin)?;
    check_stage_name(&args.stage, ApiKind::Rest).map_err(|remedy| Failure::Option {
        option: "--stage",
        what: format!("`{}` cannot be a stage's name", args.stage),
        remedy: remedy.to_owned(),
    })?;
    let (secret, encoding, reference) = secret(args)?;
    let protection = Protection {
        scheme: if uri.scheme() == Scheme::Https { "https" } else { "http" },
        origin: behind_scheme(&args.origin),
        header: args.header.clone(),
        secret: reference,
        encoding,
        // What an earlier call wrote stands; `--listen` holds for this run alone then.
        listen: configured_address(&args.directory)
            .or(args.listen)
            .unwrap_or(DEFAULT_LISTEN),
        stage: args.stage.clone(),
    };
    let config = write_files(&args.directory, &protection)?;
    warn_if_unreachable(&uri);

    let listen = args.listen;
    let load = move |amend: Option<Amend<'_>>| {
        let mut loaded = load::from_file(&config, amend)?;
        if let (Some(address), Some(listener)) = (listen, loaded.config.listeners.first_mut()) {
            listener.address.value = address;
        }
        Ok(loaded)
    };
    let service = serve::start(Box::new(load), false)?;
    explain(&service.url(), &protection, &token(&secret, encoding, &protection)?);
    Ok(serve::end(service.run()))
}

fn origin(text: &str) -> Result<OriginUri, Failure> {
    let refused = |what: String| Failure::Option {
        option: "ORIGIN",
        what,
        remedy: "write it as in `https://api.example.com` or `http://127.0.0.1:9000/base`".to_owned(),
    };
    let uri = OriginUri::parse(text).map_err(|error| refused(format!("`{text}`: {error}")))?;
    if uri.has_query() || uri.parameters().next().is_some() || text.contains('$') {
        return Err(refused(format!("`{text}` has a query, a parameter or a variable")));
    }
    Ok(uri)
}

/// Host, port and path, without a slash at the end: what the stage variable `origin` holds.
fn behind_scheme(origin: &str) -> String {
    let rest = origin.split_once("://").map_or(origin, |(_, rest)| rest);
    rest.trim_end_matches('/').to_owned()
}

/// The secret, made when its file is not there; how it is written; and its reference as seen from the document.
fn secret(args: &Protect) -> Result<(Secret, SecretEncoding, SecretRef), Failure> {
    let reference: SecretRef = args.secret.parse().map_err(|error: SecretRefError| Failure::Option {
        option: "--secret",
        what: error.to_string(),
        remedy: "name a file, as in `file:approov.secret`; it is made when it is not there".to_owned(),
    })?;
    std::fs::create_dir_all(&args.directory).map_err(|error| Failure::NotWritable(args.directory.clone(), error))?;
    if let SecretRef::File(path) = &reference
        && !Path::new(path).exists()
    {
        secret_file::create(Path::new(path), &secret_file::generate(SecretEncoding::Base64)?)?;
        report::note(&format!("made a secret: `{path}`, readable by its owner only"));
    }
    secret_file::warn_if_public(&reference);
    let secret = read_secret(&reference).map_err(Failure::Secret)?;
    let encoding = secret_file::likely_encoding(&secret);
    let seen = match reference {
        SecretRef::File(path) => SecretRef::File(seen_from(&args.directory, Path::new(&path))),
        SecretRef::Env(name) => SecretRef::Env(name),
    };
    Ok((secret, encoding, seen))
}

/// A path relative to a directory when it is below it, and absolute otherwise.
fn seen_from(directory: &Path, path: &Path) -> String {
    let absolute = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let directory = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    absolute
        .strip_prefix(&directory)
        .unwrap_or(&absolute)
        .display()
        .to_string()
}

/// Writes what is not there yet and gives the configuration's path.
fn write_files(directory: &Path, protection: &Protection) -> Result<PathBuf, Failure> {
    for (name, text) in [(DOCUMENT, protection.document()), (CONFIG, protection.config())] {
        let path = directory.join(name);
        match write(&path, &text)? {
            Written::New => report::note(&format!("wrote `{}`", path.display())),
            Written::Same => {}
            Written::Differs => report::note(&format!(
                "`{}` is there and says something else than these arguments: it is served as it is; remove it to have it written anew",
                path.display()
            )),
        }
    }
    Ok(directory.join(CONFIG))
}

/// Where a configuration that is there already listens first.
fn configured_address(directory: &Path) -> Option<SocketAddr> {
    let text = std::fs::read_to_string(directory.join(CONFIG)).ok()?;
    let (config, _) = config::read(CONFIG, &text, directory);
    config.listeners.first().map(|listener| listener.address.value)
}

/// An origin that is down is no reason not to start: it may come up later.
fn warn_if_unreachable(uri: &OriginUri) {
    let addresses = (uri.host(), uri.port()).to_socket_addrs();
    let reached = addresses.and_then(|mut addresses| {
        let absent = || std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
        let first = addresses.next().ok_or_else(absent)?;
        TcpStream::connect_timeout(&first, REACH_WAIT)
    });
    if let Err(error) = reached {
        report::note(&format!(
            "warning: the origin {}:{} cannot be reached now: {error}",
            uri.host(),
            uri.port()
        ));
    }
}

fn token(secret: &Secret, encoding: SecretEncoding, protection: &Protection) -> Result<String, Failure> {
    let failure = |error| Failure::Key(protection.secret.clone(), error);
    let key = SigningKey::hmac(secret, encoding, Algorithm::HS256).map_err(failure)?;
    let now = SystemClock.now();
    let mut claims = serde_json::Map::new();
    claims.insert("sub".to_owned(), json!("try-out"));
    claims.insert("iat".to_owned(), json!(now.unix_seconds()));
    claims.insert("exp".to_owned(), json!(now.plus_seconds(TOKEN_S).unix_seconds()));
    issue(&claims, &key, None).map_err(Failure::Sign)
}

fn explain(url: &str, protection: &Protection, token: &str) {
    let good = protection.header_with("$token");
    let bad = protection.header_with("${token}x");
    report::note(&format!(
        "\nto try, with a token that is good for a day:\n\n  \
         token={token}\n  \
         curl -i {url}/    # 401: there is no token\n  \
         curl -i -H \"{good}\" {url}/    # the origin's answer\n  \
         curl -i -H \"{bad}\" {url}/    # 403: the token is not good\n\n\
         `portcullis token issue` makes more tokens; Ctrl-C ends this\n"
    ));
}

/// A header's name, in the case in which its owner writes it.
fn parse_header_name(text: &str) -> Result<String, String> {
    let name: Result<HeaderName, _> = text.parse();
    name.map(|_| text.to_owned())
        .map_err(|_| "a header's name has letters, digits and `-`".to_owned())
}
