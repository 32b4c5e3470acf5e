//! Who puts up what an ACME server looks for: a listener of our own, a command, or a person.

use std::{
    collections::HashMap,
    io::{self, BufRead},
    net::SocketAddr,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::{Method, Request, StatusCode};
use portcullis_net::{
    Reply,
    acme::{Challenge, Presenter},
    server::{Fault, Handler, Peer, RequestBody, Server},
};

use crate::{
    own_listener::{self, Uncounted, text},
    report,
};

/// What is answered below this path (RFC 8555 section 8.3).
const WELL_KNOWN: &str = "/.well-known/acme-challenge/";
/// Challenges up at once at most; an order has as many as names.
const CHALLENGES_MAX: usize = 1_000;
/// How long a hook may take: name servers need their time.
const HOOK_TIMEOUT: Duration = Duration::from_secs(300);

/// Texts by token, answered over plain HTTP by [`Challenges::serve`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Challenges(Arc<Mutex<HashMap<String, String>>>);

/// A command that sets and removes TXT records.
#[derive(Clone, Debug)]
pub(crate) struct Hook(pub(crate) Vec<String>);

/// A person in front of a terminal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OnScreen;

struct Answers(Challenges);

// === impl Challenges ===

impl Challenges {
    /// Answers challenges at an address, and nothing else, until the server is dropped.
    pub(crate) fn serve(&self, address: SocketAddr) -> io::Result<Server> {
        Server::start(own_listener::settings(address), |_| Answers(self.clone()))
    }

    fn text(&self, token: &str) -> Option<String> {
        let texts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        texts.get(token).cloned()
    }
}

impl Presenter for Challenges {
    async fn present(&self, challenge: &Challenge) -> Result<(), String> {
        let Challenge::Http { token, text, .. } = challenge else {
            return Err("it is no challenge of http-01".to_owned());
        };
        let mut texts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if texts.len() >= CHALLENGES_MAX {
            return Err(format!("more than {CHALLENGES_MAX} challenges are up"));
        }
        texts.insert(token.clone(), text.clone());
        Ok(())
    }

    async fn withdraw(&self, challenge: &Challenge) {
        if let Challenge::Http { token, .. } = challenge {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(token);
        }
    }
}

impl Handler for Answers {
    type Receipt = Uncounted;

    async fn call(&self, request: Request<RequestBody>, _: &Peer) -> (Reply, Uncounted) {
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        let token = request.uri().path().strip_prefix(WELL_KNOWN).filter(|_| is_read);
        let reply = match token.and_then(|token| self.0.text(token)) {
            Some(found) => text(StatusCode::OK, found),
            None => text(StatusCode::NOT_FOUND, "only ACME challenges are answered here\n"),
        };
        (reply, Uncounted)
    }

    fn refuse(&self, fault: Fault, _: &Peer) -> (Reply, Uncounted) {
        (text(StatusCode::BAD_REQUEST, format!("{fault}\n")), Uncounted)
    }
}

// === impl Hook ===

impl Hook {
    /// Calls the command with `present` or `remove`, the record and its value; without a shell, and with nothing of the
    /// gateway's environment but where programs are found.
    async fn call(&self, action: &str, challenge: &Challenge) -> Result<(), String> {
        let Challenge::Dns { record, value } = challenge else {
            return Err("it is no challenge of dns-01".to_owned());
        };
        let (program, words) = self.0.split_first().ok_or("there is no command")?;
        let mut command = tokio::process::Command::new(program);
        command
            .args(words)
            .args([action, record, value])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let ended = tokio::time::timeout(HOOK_TIMEOUT, command.status()).await;
        match ended {
            Err(_) => Err(format!("`{program}` took more than {} s", HOOK_TIMEOUT.as_secs())),
            Ok(Err(error)) => Err(format!("`{program}` cannot be run: {error}")),
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(format!("`{program} … {action} {record} …` ended with {status}")),
        }
    }
}

impl Presenter for Hook {
    async fn present(&self, challenge: &Challenge) -> Result<(), String> {
        self.call("present", challenge).await
    }

    async fn withdraw(&self, challenge: &Challenge) {
        if let Err(reason) = self.call("remove", challenge).await {
            report::note(&format!("warning: {reason}: the TXT record may still be there"));
        }
    }
}

// === impl OnScreen ===

impl Presenter for OnScreen {
    async fn present(&self, challenge: &Challenge) -> Result<(), String> {
        let Challenge::Dns { record, value } = challenge else {
            return Err("it is no challenge of dns-01".to_owned());
        };
        report::answer(&format!("{record}. IN TXT \"{value}\""));
        report::note("set this record, wait until your name servers give it, then press Return");
        let mut line = String::new();
        // A person is waited for: nothing else happens in this process meanwhile.
        match io::stdin().lock().read_line(&mut line) {
            Ok(0) => Err("the input ended before the record was set".to_owned()),
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn withdraw(&self, challenge: &Challenge) {
        report::note(&format!(
            "the TXT record of `{}` can be removed now",
            challenge.subject()
        ));
    }
}
