//! Telling: a signed POST, or a program that reads the message.

use std::{process::Stdio, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use portcullis_core::{Clock, RequestId, SystemClock};
use portcullis_jose::{WebhookKey, WebhookKeyError};
use portcullis_proxy::keys::{FileError, read_secret};
use portcullis_telemetry::alarm::Transition;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
};

use super::message;
use crate::{
    config::{Endpoint, Notify},
    post::{Post, PostUnusable},
};

/// How long a receiver may take to answer, and a program to its end.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long to wait before each further try.
const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(10), Duration::from_secs(60)];
/// The longest pause that a receiver may ask for.
const PAUSE_MAX: Duration = Duration::from_secs(300);
/// Bytes of a program's complaint that are logged.
const COMPLAINT_BYTES_MAX: u64 = 1024;

/// Who is told.
#[derive(Debug)]
pub(super) enum Receiver {
    Command(Vec<String>),
    Webhook(Box<Webhook>),
}

#[derive(Debug)]
pub(super) struct Webhook {
    endpoint: Endpoint,
    key: Option<WebhookKey>,
}

/// Why nobody can be told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReceiverError {
    /// The secret cannot be used.
    #[error("the webhook's secret cannot be used: {0}")]
    Key(#[from] WebhookKeyError),
    /// The secret cannot be read.
    #[error("the webhook's secret: {0}")]
    Secret(#[from] FileError),
    /// The URL cannot be called.
    #[error("{0}")]
    Unusable(#[from] PostUnusable),
}

/// What became of a notification.
pub(super) enum Told {
    Taken,
    Lost,
}

// === impl Receiver ===

impl Receiver {
    /// Reads the secret, and looks whether the URL can be called.
    pub(super) fn open(notify: &Notify) -> Result<Self, ReceiverError> {
        match notify {
            Notify::Command(words) => Ok(Self::Command(words.clone())),
            Notify::Webhook { endpoint, secret } => {
                Post::new(endpoint, "", HeaderMap::new(), PATIENCE)?;
                let secret = secret.as_ref().map(|secret| read_secret(&secret.value)).transpose()?;
                let key = secret.map(|secret| WebhookKey::new(&secret)).transpose()?;
                Ok(Self::Webhook(Box::new(Webhook {
                    endpoint: Endpoint::clone(endpoint),
                    key,
                })))
            }
        }
    }

    /// Tells of a change, several times if need be.
    pub(super) async fn tell(&self, transition: &Transition) -> Told {
        let body = Bytes::from(message::transition(transition).to_string());
        match self {
            Self::Command(words) => run(words, transition, &body).await,
            Self::Webhook(webhook) => post(webhook, transition, body).await,
        }
    }
}

/// One id for all tries, so that the receiver can tell a second one (Standard Webhooks); a signature of its own for each.
async fn post(webhook: &Webhook, transition: &Transition, body: Bytes) -> Told {
    let Webhook { endpoint, key } = webhook;
    let alarm = &transition.spec.name;
    let post = match Post::new(endpoint, "", HeaderMap::new(), PATIENCE) {
        Ok(post) => post,
        Err(error) => {
            tracing::error!(alarm, %error, "nobody could be told of an alarm");
            return Told::Lost;
        }
    };
    let id = format!("msg_{}", RequestId::random().as_str());
    let mut pauses = PAUSES.into_iter();
    loop {
        let Err(error) = post.send(signed(&id, key.as_ref(), &body), body.clone()).await else {
            return Told::Taken;
        };
        let pause = pauses.next().filter(|_| error.is_worth_another_try());
        let Some(pause) = pause else {
            tracing::error!(alarm, %error, "nobody could be told of an alarm");
            return Told::Lost;
        };
        tracing::warn!(alarm, %error, "an alarm could not be told; it is tried again");
        tokio::time::sleep(error.retry_after().unwrap_or(pause).min(PAUSE_MAX)).await;
    }
}

fn signed(id: &str, key: Option<&WebhookKey>, body: &[u8]) -> HeaderMap {
    let now = SystemClock.now().unix_seconds();
    let value = |text: &str| HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("-"));
    let mut headers = HeaderMap::from_iter([
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (HeaderName::from_static("webhook-id"), value(id)),
        (HeaderName::from_static("webhook-timestamp"), value(&now.to_string())),
    ]);
    if let Some(key) = key {
        let signature = value(&key.sign(id, now, body));
        headers.insert(HeaderName::from_static("webhook-signature"), signature);
    }
    headers
}

/// Runs a program in an environment of its own: none of ours, for that holds secrets.
async fn run(words: &[String], transition: &Transition, body: &[u8]) -> Told {
    let Some((program, arguments)) = words.split_first() else {
        return Told::Lost;
    };
    let alarm = &transition.spec.name;
    let child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("ALARM_NAME", alarm)
        .env("ALARM_STATE", transition.to.as_str())
        .env("ALARM_REASON", &transition.reason)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let child = match child {
        Ok(child) => child,
        Err(error) => {
            tracing::error!(alarm, program, %error, "the alarm's program cannot be run");
            return Told::Lost;
        }
    };
    // Dropped when its time is over, and killed with that.
    match tokio::time::timeout(PATIENCE, watch(child, body)).await {
        Ok(Ok(None)) => Told::Taken,
        Ok(Ok(Some(complaint))) => {
            tracing::error!(alarm, program, complaint, "the alarm's program failed");
            Told::Lost
        }
        Ok(Err(error)) => {
            tracing::error!(alarm, program, %error, "the alarm's program could not be watched");
            Told::Lost
        }
        Err(_) => {
            tracing::error!(alarm, program, "the alarm's program took too long and was killed");
            Told::Lost
        }
    }
}

/// Gives the message to a program and waits for its end; what it complained of when that was no good one.
async fn watch(mut child: Child, body: &[u8]) -> std::io::Result<Option<String>> {
    if let Some(mut stdin) = child.stdin.take() {
        // A program need not read.
        let _ = stdin.write_all(body).await;
    }
    let mut complaint = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        let mut bounded = stderr.take(COMPLAINT_BYTES_MAX);
        bounded.read_to_end(&mut complaint).await?;
        // What it says beyond that must not stop it.
        let mut rest = bounded.into_inner();
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
    }
    let status = child.wait().await?;
    let complaint = String::from_utf8_lossy(&complaint);
    Ok((!status.success()).then(|| format!("{status}: {}", crate::report::printable(complaint.trim()))))
}
