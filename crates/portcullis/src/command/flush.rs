//! `portcullis flush`: has a running gateway forget what its authorisers remember, or answers that it keeps.

use std::path::{Path, PathBuf};

use http::Uri;

use super::{Exit, read_input};
use crate::{
    config::{self, CONFIG_BYTES_MAX},
    control_socket::{self, Order},
    failure::Failure,
    report,
};

pub(super) const HELP: &str = "\
Examples:
  portcullis flush                                  every token of the gateway of ./portcullis.toml
  portcullis flush --data-dir portcullis-data
  printf %s \"$TOKEN\" | portcullis flush --token -   one token
  portcullis flush --cache                          every stored answer
  portcullis flush --cache --api proxy --stage TEST those of one stage
  portcullis flush --cache-entry GET '/pets/7?page=2'

What a token allows is remembered for authorizerResultTtlInSeconds and evaluated anew for each request; changed keys and \
deny lists take effect at once, without a flush.";

/// Bytes of a token at most.
const TOKEN_BYTES_MAX: u64 = 16 * 1024;

#[derive(Debug, clap::Args)]
pub(super) struct Flush {
    /// Forget this one token: a file that holds it, or `-` for standard input (never the token itself: command lines can be
    /// read by others).
    #[arg(long, value_name = "FILE|-")]
    token: Option<PathBuf>,
    /// Forget stored answers instead: all of them, or those of one API or stage.
    #[arg(long, conflicts_with_all = ["token", "cache_entry"])]
    cache: bool,
    /// The API whose stored answers to forget.
    #[arg(long, value_name = "ID", requires = "cache")]
    api: Option<String>,
    /// The stage whose stored answers to forget.
    #[arg(long, value_name = "NAME", requires = "cache")]
    stage: Option<String>,
    /// Forget the stored answers to one method and URI, whatever headers they were stored for. The URI is what a client calls:
    /// a path with its query, with the host in front where that matters.
    #[arg(long, num_args = 2, value_names = ["METHOD", "URI"], conflicts_with = "token")]
    cache_entry: Option<Vec<String>>,
    /// The data directory of the running gateway.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    data_dir: Option<PathBuf>,
    /// The configuration that says the data directory.
    #[arg(long, value_name = "FILE", default_value = "portcullis.toml")]
    config: PathBuf,
}

pub(super) fn run(args: &Flush) -> Result<Exit, Failure> {
    let order = order(args)?;
    let data_dir = data_dir(args.data_dir.as_deref(), &args.config)?;
    match control_socket::tell(&data_dir, &order).map_err(|error| Failure::NobodyListens(data_dir, error))? {
        Ok(text) => {
            report::answer(&text);
            Ok(Exit::Good)
        }
        Err(text) => {
            report::note(&format!("error: {text}"));
            Ok(Exit::Negative)
        }
    }
}

/// The data directory of a running gateway: as given, or as its configuration says.
pub(super) fn data_dir(given: Option<&Path>, config: &Path) -> Result<PathBuf, Failure> {
    given.map_or_else(|| configured(config), |directory| Ok(directory.to_owned()))
}

fn order(args: &Flush) -> Result<Order, Failure> {
    if args.cache {
        return Ok(Order::FlushCache {
            api: args.api.clone(),
            stage: args.stage.clone(),
        });
    }
    match (&args.token, args.cache_entry.as_deref()) {
        (Some(file), _) => Ok(Order::ForgetToken(token(file)?)),
        (None, Some([method, uri])) => entry(method, uri),
        (None, _) => Ok(Order::FlushTokens),
    }
}

fn entry(method: &str, uri: &str) -> Result<Order, Failure> {
    let wrong = |what: String| Failure::Option {
        option: "--cache-entry",
        what,
        remedy: "write it as a client calls it: `GET '/pets/7?page=2'`".to_owned(),
    };
    let is_target = uri.starts_with('/') || uri.contains("://");
    let uri: Uri = match uri.parse() {
        Ok(uri) if is_target => uri,
        _ => return Err(wrong(format!("`{uri}` is no path or URL"))),
    };
    let method = method.parse().map_err(|_| wrong(format!("`{method}` is no method")))?;
    Ok(Order::ForgetCached { method, uri })
}

fn token(file: &Path) -> Result<String, Failure> {
    let bytes = read_input(file, TOKEN_BYTES_MAX)?;
    let text = String::from_utf8(bytes).unwrap_or_default();
    let token = text.trim();
    if token.is_empty() || token.contains(char::is_whitespace) {
        return Err(Failure::Option {
            option: "--token",
            what: "there is no token in it, or more than one".to_owned(),
            remedy: "give the token alone, as callers send it".to_owned(),
        });
    }
    Ok(token.to_owned())
}

pub(super) fn configured(path: &Path) -> Result<PathBuf, Failure> {
    let text = read_input(path, CONFIG_BYTES_MAX as u64)?;
    let name = path.display().to_string();
    let (config, _) = config::read(
        &name,
        &String::from_utf8_lossy(&text),
        path.parent().unwrap_or(Path::new("")),
    );
    config
        .data_dir
        .map(|directory| directory.value)
        .ok_or(Failure::Findings)
}
