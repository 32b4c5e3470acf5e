//! `portcullis token`: tokens for trying out, for services, and for finding out why one is refused.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use portcullis_core::{Clock, Secret, SecretRef, SystemClock, Timestamp, secret::SecretRefError};
use portcullis_jose::{
    Algorithm, AlgorithmSet, Claims, KeySet, Rules, SecretEncoding, SigningKey, SkippedKey, TOKEN_BYTES_MAX,
    TokenError, inspect_secret, issue, verify,
};
use portcullis_proxy::keys::read_secret;
use serde_json::{Map, Value, json};

use super::{Exit, parse_pair, read_input, secret::Encoding};
use crate::{duration, failure::Failure, report, secret_file};

/// The longest life of a token: nobody who signs for longer will be there to revoke it.
const EXPIRY_S_MAX: i64 = 25 * 365 * 86_400;
/// From here on a token's life is worth a warning.
const EXPIRY_S_LONG: i64 = 30 * 86_400;
/// A JWK set in a file, as long as the gateway itself reads one.
const JWKS_BYTES_MAX: u64 = 150_000;
/// The claims that have an option or a rule of their own.
const RESERVED: [(&str, &str); 5] = [
    ("aud", "use --audience"),
    ("exp", "use --expires"),
    ("iat", "it is always the time of issue"),
    ("iss", "use --issuer"),
    ("sub", "use --subject"),
];

const ISSUE_HELP: &str = "\
Examples:
  portcullis token issue --secret file:approov.secret
  portcullis token issue --secret env:APPROOV_SECRET --issuer Monitor --expires 10y
  portcullis token issue --secret file:s --subject app-1 --claim scope='read write' --claim level=3 --claim 'amr=[\"pwd\"]'

The token is printed on standard output and nothing else is, so that it can be used in a command line:
  curl -H \"Approov-Token: $(portcullis token issue --secret file:approov.secret)\" http://127.0.0.1:8080/";

const CHECK_HELP: &str = "\
Examples:
  portcullis token check - --secret file:approov.secret < token.txt
  portcullis token check eyJhbGciOi… --jwks jwks.json --issuer https://id.example --audience api

A token on the command line can be seen by other users of this machine while the command runs, and may be kept in your \
shell's history: pass `-` and give it on standard input where that matters.

Prints the claims as JSON and `valid until …`, or `invalid: …` with the reason; the exit status is 1 then.";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print a new signed token.
    #[command(after_help = ISSUE_HELP)]
    Issue(Issue),
    /// Say whether a token is valid, what it claims, and why it is refused.
    #[command(after_help = CHECK_HELP)]
    Check(Check),
}

#[derive(Debug, clap::Args)]
pub(super) struct Issue {
    /// The secret that signs: env:NAME or file:PATH.
    #[arg(long, value_name = "REFERENCE")]
    secret: String,
    /// How the secret is written; guessed from its look, and said so, when absent.
    #[arg(long, value_enum)]
    secret_encoding: Option<Encoding>,
    /// HS256, HS384 or HS512.
    #[arg(long, default_value = "HS256")]
    algorithm: Algorithm,
    /// Who issues it: the claim `iss`.
    #[arg(long)]
    issuer: Option<String>,
    /// Whom it is about: the claim `sub`.
    #[arg(long)]
    subject: Option<String>,
    /// Whom it is for: the claim `aud`; may be repeated.
    #[arg(long)]
    audience: Vec<String>,
    /// How long it is valid: 10y, 4w, 30d, 12h, 15m or 90s; 25 years at most.
    #[arg(long, default_value = "1h", value_parser = parse_expiry)]
    expires: i64,
    /// A further claim; the value is JSON, or text when it is not JSON. May be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_pair)]
    claim: Vec<(String, String)>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Check {
    /// The token, or `-` to read it from standard input.
    token: String,
    /// A secret that may have signed it: env:NAME or file:PATH; may be repeated.
    #[arg(
        long,
        value_name = "REFERENCE",
        required_unless_present = "jwks",
        conflicts_with = "jwks"
    )]
    secret: Vec<String>,
    /// How the secrets are written; guessed from the look of the first, and said so, when absent.
    #[arg(long, value_enum)]
    secret_encoding: Option<Encoding>,
    /// A file with the public keys that may have signed it, as a JWK set.
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// An algorithm that is allowed; may be repeated. Every one that fits the keys when absent.
    #[arg(long)]
    algorithm: Vec<Algorithm>,
    /// The claim `iss` that it must have.
    #[arg(long)]
    issuer: Option<String>,
    /// An audience of which its claim `aud` must have one; may be repeated.
    #[arg(long)]
    audience: Vec<String>,
    /// Accept a token without an expiry.
    #[arg(long)]
    allow_no_expiry: bool,
    /// How many seconds the clocks may differ.
    #[arg(long, default_value_t = 0, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(0..=300))]
    leeway: u32,
    /// Print one JSON object instead.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: Command) -> Result<Exit, Failure> {
    let now = SystemClock.now();
    match command {
        Command::Issue(args) => run_issue(&args, now),
        Command::Check(args) => run_check(&args, now),
    }
}

fn run_issue(args: &Issue, now: Timestamp) -> Result<Exit, Failure> {
    let (reference, secret) = read(&args.secret)?;
    let encoding = secret_file::encoding(args.secret_encoding.map(Into::into), &reference, &secret);
    for warning in inspect_secret(secret.expose()).warnings(encoding, args.algorithm) {
        report::note(&format!("warning: {reference}: {warning}"));
    }
    let key = SigningKey::hmac(&secret, encoding, args.algorithm).map_err(|error| Failure::Key(reference, error))?;
    let token = issue(&claims(args, now)?, &key, None).map_err(Failure::Sign)?;
    if args.expires > EXPIRY_S_LONG {
        report::note(&format!(
            "warning: this token is good for {}: give it to a server you trust, never to an app, a web page or another public client",
            duration::in_words(args.expires)
        ));
    }
    report::answer(&token);
    Ok(Exit::Good)
}

fn claims(args: &Issue, now: Timestamp) -> Result<Map<String, Value>, Failure> {
    let mut claims = Map::new();
    if let Some(issuer) = &args.issuer {
        claims.insert("iss".to_owned(), json!(issuer));
    }
    if let Some(subject) = &args.subject {
        claims.insert("sub".to_owned(), json!(subject));
    }
    match args.audience.as_slice() {
        [] => {}
        [one] => drop(claims.insert("aud".to_owned(), json!(one))),
        several => drop(claims.insert("aud".to_owned(), json!(several))),
    }
    claims.insert("iat".to_owned(), json!(now.unix_seconds()));
    claims.insert("exp".to_owned(), json!(now.plus_seconds(args.expires).unix_seconds()));
    for (name, text) in &args.claim {
        let refused = |what: String, remedy: &str| Failure::Option {
            option: "--claim",
            what,
            remedy: remedy.to_owned(),
        };
        if let Some((_, remedy)) = RESERVED.iter().find(|(reserved, _)| reserved == name) {
            return Err(refused(format!("`{name}` cannot be set like this"), remedy));
        }
        if claims.insert(name.clone(), claim_value(text)).is_some() {
            return Err(refused(
                format!("`{name}` is given twice"),
                "for several values write a JSON array: `name=[\"a\",\"b\"]`",
            ));
        }
    }
    Ok(claims)
}

/// JSON where it is JSON (`3`, `true`, `["a"]`, `"3"`), text otherwise.
fn claim_value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

fn run_check(args: &Check, now: Timestamp) -> Result<Exit, Failure> {
    let token = read_token(&args.token)?;
    let (keys, fitting) = match &args.jwks {
        Some(path) => (
            read_jwks(path)?,
            AlgorithmSet::from_iter(Algorithm::ALL.into_iter().filter(|algorithm| !algorithm.is_symmetric())),
        ),
        None => (
            read_secrets(args)?,
            AlgorithmSet::from_iter(Algorithm::ALL.into_iter().filter(|algorithm| algorithm.is_symmetric())),
        ),
    };
    let algorithms = if args.algorithm.is_empty() {
        fitting
    } else {
        args.algorithm.iter().copied().collect()
    };
    let rules = Rules {
        algorithms,
        require_expiry: !args.allow_no_expiry,
        leeway_s: args.leeway,
        issuer: args.issuer.as_deref().map(Into::into),
        audiences: args.audience.iter().map(|audience| audience.as_str().into()).collect(),
        ..Rules::default()
    };
    let outcome = verify(&token, &keys, &rules, now);
    // The signature of a token that is out of time may still be good: then its claims tell when it was valid.
    let claims = match &outcome {
        Ok(claims) => Some(claims.clone()),
        Err(TokenError::Expired | TokenError::NotYetValid) => {
            let timeless = Rules {
                leeway_s: u32::MAX,
                ..rules
            };
            verify(&token, &keys, &timeless, now).ok()
        }
        Err(_) => None,
    };
    let verdict = match &outcome {
        Ok(claims) => valid_in_words(claims, now),
        Err(error) => format!("invalid: {error}{}", out_of_time(*error, claims.as_ref(), now)),
    };
    print_verdict(args.json, outcome.is_ok(), claims.as_ref(), &verdict);
    Ok(if outcome.is_ok() { Exit::Good } else { Exit::Negative })
}

fn print_verdict(as_json: bool, is_valid: bool, claims: Option<&Claims>, verdict: &str) {
    let claims = claims.map(|claims| Value::Object(claims.object().clone()));
    if as_json {
        report::answer(&format!(
            "{:#}",
            json!({"valid": is_valid, "verdict": verdict, "claims": claims})
        ));
        return;
    }
    if let Some(claims) = claims {
        report::answer(&format!("{claims:#}"));
    }
    report::answer(verdict);
}

fn valid_in_words(claims: &Claims, now: Timestamp) -> String {
    match claims.exp() {
        Some(exp) if exp > now => format!(
            "valid until {}, for {} more",
            exp.to_rfc3339(),
            duration::in_words(exp.unix_seconds() - now.unix_seconds())
        ),
        Some(exp) => format!("valid only by the leeway: it expired at {}", exp.to_rfc3339()),
        None => "valid, and it never expires".to_owned(),
    }
}

fn out_of_time(error: TokenError, claims: Option<&Claims>, now: Timestamp) -> String {
    let Some(claims) = claims else { return String::new() };
    match (error, claims.exp(), claims.nbf()) {
        (TokenError::Expired, Some(exp), _) => format!(
            " at {}, {} ago",
            exp.to_rfc3339(),
            duration::in_words(now.unix_seconds() - exp.unix_seconds())
        ),
        (TokenError::NotYetValid, _, Some(nbf)) => format!(" before {}", nbf.to_rfc3339()),
        _ => String::new(),
    }
}

fn read_token(argument: &str) -> Result<String, Failure> {
    if argument != "-" {
        return Ok(argument.trim().to_owned());
    }
    let bytes = read_input(Path::new("-"), TOKEN_BYTES_MAX as u64 + 1024)?; // and whatever space is around it
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}

fn read_jwks(path: &Path) -> Result<KeySet, Failure> {
    let name = format!("`{}`", path.display());
    let (keys, skipped) =
        KeySet::from_jwks(&read_input(path, JWKS_BYTES_MAX)?).map_err(|error| Failure::Jwks(name.clone(), error))?;
    for SkippedKey { index, kid, reason } in skipped {
        let kid = kid
            .map(|kid| format!(" (`{}`)", report::printable(&kid)))
            .unwrap_or_default();
        report::note(&format!("warning: {name}: key {index}{kid} is not used: {reason}"));
    }
    Ok(keys)
}

fn read_secrets(args: &Check) -> Result<KeySet, Failure> {
    let mut keys = Vec::new();
    for text in &args.secret {
        let (reference, secret) = read(text)?;
        let encoding = secret_file::encoding(args.secret_encoding.map(Into::into), &reference, &secret);
        keys.push(
            encoding
                .decode(&secret)
                .map_err(|error| Failure::Key(reference, error))?,
        );
    }
    KeySet::from_secrets(&keys, SecretEncoding::Raw).map_err(|error| Failure::Option {
        option: "--secret",
        what: error.to_string(),
        remedy: String::new(),
    })
}

/// A reference is taken apart here and not by clap, whose complaint would repeat what was given: perhaps the secret.
fn read(text: &str) -> Result<(SecretRef, Secret), Failure> {
    let reference: SecretRef = text.parse().map_err(|error: SecretRefError| Failure::Option {
        option: "--secret",
        what: error.to_string(),
        remedy: "put it into a file or the environment; on a command line others could read it".to_owned(),
    })?;
    secret_file::warn_if_public(&reference);
    let secret = read_secret(&reference).map_err(Failure::Secret)?;
    Ok((reference, secret))
}

fn parse_expiry(text: &str) -> Result<i64, String> {
    let seconds = duration::parse(text)?;
    if seconds > EXPIRY_S_MAX {
        return Err("more than 25 years is refused: such a token outlives whoever could revoke it".to_owned());
    }
    Ok(seconds)
}
