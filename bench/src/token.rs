//! Keys and tokens, made once and kept under `bench/out`: signing with RSA costs more than all that is measured.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use portcullis_core::{Clock as _, Secret, SystemClock, Timestamp};
use portcullis_jose::{Algorithm, SecretEncoding, SigningKey, issue};
use serde_json::{Map, Value, json};

use crate::failure::{Failure, Outcome, While as _};

/// The keys of one algorithm, in the forms that the peers read.
pub(crate) struct Keys {
    algorithm: Algorithm,
    signing: SigningKey,
    /// What HAProxy's `jwt_verify` takes: the secret itself, or the path of the public key.
    pub(crate) haproxy: String,
    /// The lines of `x-portcullis-authorizer` that name the keys.
    pub(crate) portcullis: String,
    directory: PathBuf,
}

const TEN_YEARS_S: i64 = 10 * 365 * 86_400;
const HOUR_S: i64 = 3_600;

impl Keys {
    /// Reads the keys of `algorithm` from `directory`, or makes them.
    pub(crate) fn open(algorithm: Algorithm, directory: &Path) -> Outcome<Self> {
        let name = algorithm.as_str().to_ascii_lowercase();
        let file = |suffix: &str| directory.join(format!("{name}.{suffix}"));
        if algorithm == Algorithm::HS256 {
            return Self::open_secret(file("secret"), directory);
        }
        let (private, public, jwks) = (file("pem"), file("pub.pem"), file("jwks.json"));
        if !private.exists() {
            let kind: &[&str] = match algorithm {
                Algorithm::RS256 => &["RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
                _ => &["EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
            };
            openssl(&[&["genpkey", "-algorithm"], kind, &["-out", &text(&private)]].concat())?;
        }
        openssl(&["pkey", "-in", &text(&private), "-pubout", "-out", &text(&public)])?;
        let pem = fs::read(&private).doing("reading a private key")?;
        let signing = SigningKey::from_pkcs8_pem(&pem, algorithm).doing("a private key")?;
        let key = signing
            .public_jwk()
            .ok_or_else(|| Failure::new("a key without a public half"))?;
        fs::write(&jwks, json!({ "keys": [key] }).to_string()).doing("writing the JWKS")?;
        Ok(Self {
            algorithm,
            signing,
            haproxy: text(&public),
            portcullis: format!("jwks: file:{}", jwks.display()),
            directory: directory.to_owned(),
        })
    }

    fn open_secret(path: PathBuf, directory: &Path) -> Outcome<Self> {
        if !path.exists() {
            openssl(&["rand", "-hex", "-out", &text(&path), "32"])?;
        }
        let secret = fs::read_to_string(&path).doing("reading the secret")?.trim().to_owned();
        let bytes = Secret::new(secret.clone().into_bytes());
        Ok(Self {
            algorithm: Algorithm::HS256,
            signing: SigningKey::hmac(&bytes, SecretEncoding::Raw, Algorithm::HS256).doing("the secret")?,
            haproxy: secret,
            portcullis: format!("secret: file:{}\n        secretEncoding: raw", path.display()),
            directory: directory.to_owned(),
        })
    }

    /// `count` different tokens that live for ten years, from the store of an earlier run where it holds enough.
    pub(crate) fn tokens(&self, count: usize) -> Outcome<Vec<String>> {
        let path = self
            .directory
            .join(format!("tokens-{}.txt", self.algorithm.as_str().to_ascii_lowercase()));
        let kept = fs::read_to_string(&path).unwrap_or_default();
        let mut tokens: Vec<String> = kept.lines().take(count).map(ToOwned::to_owned).collect();
        if tokens.len() == count && self.still_signs(&tokens[0])? {
            return Ok(tokens);
        }
        eprintln!("signing {count} {} tokens …", self.algorithm.as_str());
        tokens = self.sign_in_parallel(count)?;
        fs::write(&path, tokens.join("\n")).doing("keeping the tokens")?;
        Ok(tokens)
    }

    /// A token that ended an hour ago.
    pub(crate) fn expired(&self) -> Outcome<String> {
        let now = SystemClock.now().unix_seconds();
        issue(&claims(0, now - 2 * HOUR_S, now - HOUR_S), &self.signing, None).doing("signing a token")
    }

    /// Whether a kept token is of this key and younger than a year: ECDSA signs differently every time, so its claims are
    /// compared and its signature is left to the check before each run.
    fn still_signs(&self, token: &str) -> Outcome<bool> {
        let key = self.directory.join(match self.algorithm {
            Algorithm::HS256 => "hs256.secret".to_owned(),
            other => format!("{}.pem", other.as_str().to_ascii_lowercase()),
        });
        let kept = self
            .directory
            .join(format!("tokens-{}.txt", self.algorithm.as_str().to_ascii_lowercase()));
        let written = |path: &Path| {
            fs::metadata(path)
                .and_then(|data| data.modified())
                .doing("a kept file's time")
        };
        let young = written(&kept)?.elapsed().is_ok_and(|age| age.as_secs() < 365 * 86_400);
        Ok(!token.is_empty() && young && written(&kept)? >= written(&key)?)
    }

    fn sign_in_parallel(&self, count: usize) -> Outcome<Vec<String>> {
        let now = SystemClock.now();
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let sign = |number: usize| {
            let claims = claims(number, now.unix_seconds(), expiry(now));
            issue(&claims, &self.signing, None).doing("signing a token")
        };
        std::thread::scope(|scope| {
            let parts: Vec<_> = (0..threads)
                .map(|part| scope.spawn(move || (part..count).step_by(threads).map(sign).collect::<Outcome<Vec<_>>>()))
                .collect();
            let mut tokens = Vec::with_capacity(count);
            for part in parts {
                tokens.extend(part.join().map_err(|_| Failure::new("a signing thread panicked"))??);
            }
            Ok(tokens)
        })
    }
}

fn claims(number: usize, issued: i64, expires: i64) -> Map<String, Value> {
    let claims = json!({ "iss": "Monitor", "sub": format!("device-{number:06}"), "iat": issued, "exp": expires });
    claims.as_object().cloned().unwrap_or_default()
}

fn expiry(now: Timestamp) -> i64 {
    now.plus_seconds(TEN_YEARS_S).unix_seconds()
}

fn openssl(arguments: &[&str]) -> Outcome<()> {
    let output = Command::new("openssl")
        .args(arguments)
        .output()
        .doing("starting openssl (make bench installs it)")?;
    match output.status.success() {
        true => Ok(()),
        false => Err(Failure::new(format!(
            "openssl: {}",
            String::from_utf8_lossy(&output.stderr)
        ))),
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
