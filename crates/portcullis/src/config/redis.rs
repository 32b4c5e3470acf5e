//! `[redis]`: where gateways count together.

use std::{path::PathBuf, time::Duration};

use portcullis_cluster::{RedisAddress, RedisAddressError};
use portcullis_core::SecretRef;
use portcullis_openapi::document::Located;

use super::{api::is_name_byte, section::Section};

/// The longest that a request may wait for shared limits.
const DEADLINE_MS_MAX: u64 = 1_000;
/// How long it does when nothing is said.
const DEADLINE_MS: u64 = 20;
/// A prefix of keys.
const PREFIX_BYTES_MAX: usize = 64;

/// The Redis that gateways share.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Redis {
    /// Where it is.
    pub(crate) address: Located<RedisAddress>,
    /// The name to log in with.
    pub(crate) username: Option<String>,
    /// Where the password is.
    pub(crate) password: Option<Located<SecretRef>>,
    /// Where the secret is that stored answers are sealed with.
    pub(crate) cache_key: Option<Located<SecretRef>>,
    /// PEM file of the roots to trust instead of Mozilla's and the system's.
    pub(crate) roots: Option<Located<PathBuf>>,
    /// What the names of all keys begin with (default `portcullis`).
    pub(crate) prefix: String,
    /// How long a request waits for shared limits (default 20 ms).
    pub(crate) deadline: Duration,
}

pub(super) fn read(section: &Section<'_>) -> Option<Redis> {
    let address = section.required("url", |key| read_url(section, key));
    let username = section.text("username").map(|name| name.value);
    let secret = |key: &'static str| section.text(key).and_then(|text| read_secret(section, key, text));
    let (password, cache_key) = (secret("password"), secret("cache_key"));
    let roots = section.path("roots");
    let prefix = section.text("prefix");
    let deadline = section.integer("deadline_ms", 1..=DEADLINE_MS_MAX);
    section.finish();
    if let Some(prefix) = &prefix
        && !((1..=PREFIX_BYTES_MAX).contains(&prefix.value.len()) && prefix.value.bytes().all(is_name_byte))
    {
        let message = format!("`{}` cannot be a prefix of keys", prefix.value);
        let remedy = "use 1 to 64 of letters, digits, `-` and `_`";
        section.report.error(&prefix.place, "bad-name", message, remedy);
    }
    Some(Redis {
        address: address?,
        username,
        password,
        cache_key,
        roots,
        prefix: prefix.map_or_else(|| "portcullis".to_owned(), |prefix| prefix.value),
        deadline: Duration::from_millis(deadline.map_or(DEADLINE_MS, |deadline| deadline.value)),
    })
}

fn read_url(section: &Section<'_>, key: &'static str) -> Option<Located<RedisAddress>> {
    let text = section.text(key)?;
    match text.value.parse() {
        Ok(value) => Some(Located {
            value,
            place: text.place,
        }),
        Err(error) => {
            // The text is not repeated: it may hold a password.
            let message = format!("`redis.url` cannot be used: {error}");
            let remedy = match error {
                RedisAddressError::Credentials => {
                    "move them to `username` and `password = \"file:PATH\"` (or `env:NAME`), and replace the password if \
                     others saw it"
                }
                RedisAddressError::Database
                | RedisAddressError::Host
                | RedisAddressError::Port
                | RedisAddressError::Scheme => {
                    "write it as in `redis://127.0.0.1:6379` or `rediss://redis.internal:6380/0`"
                }
            };
            section.report.error(&text.place, "bad-redis-url", message, remedy);
            None
        }
    }
}

fn read_secret(section: &Section<'_>, key: &str, text: Located<String>) -> Option<Located<SecretRef>> {
    match text.value.parse::<SecretRef>() {
        Ok(reference) => {
            let value = match reference {
                SecretRef::File(path) => SecretRef::File(section.report.relative(&path).display().to_string()),
                SecretRef::Env(name) => SecretRef::Env(name),
            };
            Some(Located {
                value,
                place: text.place,
            })
        }
        Err(_) => {
            let message = format!("`redis.{key}` is not a reference; a secret has no place in a configuration");
            let remedy = "write `file:PATH` or `env:NAME`, and replace it if others saw it";
            section
                .report
                .error(&text.place, "secret-in-configuration", message, remedy);
            None
        }
    }
}
