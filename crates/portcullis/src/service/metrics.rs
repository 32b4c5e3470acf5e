//! `/metrics`, `/alarms`, `/livez` and `/readyz` on a listener of their own, which must not be open to callers of the APIs.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use http::{HeaderValue, Method, Request, StatusCode, header};
use portcullis_net::{
    Reply,
    server::{Fault, Handler, Listening, Peer, RequestBody, Server},
};
use portcullis_telemetry::metrics::{CONTENT_TYPE, Metrics};

use super::{Watch, alarm_statuses};
use crate::own_listener::{self, Uncounted, answer, text};

const JSON: &str = "application/json";

/// Answers scrapers and probes.
struct Answers {
    metrics: Arc<Metrics>,
    ready: Arc<AtomicBool>,
    alarms: Arc<Watch>,
}

/// Starts the listener. `ready` says whether the gateway takes requests.
pub(super) fn start(
    address: SocketAddr,
    inherited: Vec<Listening>,
    (metrics, ready, alarms): (&Arc<Metrics>, &Arc<AtomicBool>, &Arc<Watch>),
) -> io::Result<Server> {
    Server::start_with(own_listener::settings(address), inherited, |_| Answers {
        metrics: Arc::clone(metrics),
        ready: Arc::clone(ready),
        alarms: Arc::clone(alarms),
    })
}

impl Handler for Answers {
    type Receipt = Uncounted;

    async fn call(&self, request: Request<RequestBody>, _: &Peer) -> (Reply, Uncounted) {
        (self.answer(request.method(), request.uri().path()), Uncounted)
    }

    fn refuse(&self, fault: Fault, _: &Peer) -> (Reply, Uncounted) {
        (text(StatusCode::BAD_REQUEST, format!("{fault}\n")), Uncounted)
    }
}

impl Answers {
    fn answer(&self, method: &Method, path: &str) -> Reply {
        if !matches!(path, "/metrics" | "/alarms" | "/livez" | "/readyz") {
            return text(
                StatusCode::NOT_FOUND,
                "here are /metrics, /alarms, /livez and /readyz\n",
            );
        }
        if !matches!(*method, Method::GET | Method::HEAD) {
            let reply = text(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD only\n");
            return reply.with(&header::ALLOW, &HeaderValue::from_static("GET, HEAD"));
        }
        match path {
            "/metrics" => answer(StatusCode::OK, CONTENT_TYPE, self.metrics.render()),
            "/alarms" => answer(
                StatusCode::OK,
                JSON,
                alarm_statuses(&self.alarms.alarms.statuses()).to_string(),
            ),
            "/readyz" if !self.ready.load(Ordering::Relaxed) => text(StatusCode::SERVICE_UNAVAILABLE, "ending\n"),
            _ => text(StatusCode::OK, "ok\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_and_scrapers_are_answered() {
        let answers = Answers {
            metrics: Arc::new(Metrics::new(1)),
            ready: Arc::new(AtomicBool::new(true)),
            alarms: Arc::default(),
        };
        let check = |method: Method, path: &str, status: u16| {
            assert_eq!(answers.answer(&method, path).status, status, "{method} {path}");
        };
        for path in ["/metrics", "/alarms", "/livez", "/readyz"] {
            check(Method::GET, path, 200);
            check(Method::HEAD, path, 200);
            check(Method::POST, path, 405);
        }
        check(Method::GET, "/", 404);
        check(Method::GET, "/metrics/", 404);

        answers.ready.store(false, Ordering::Relaxed);
        check(Method::GET, "/readyz", 503);
        check(Method::GET, "/livez", 200);
        check(Method::GET, "/metrics", 200);
    }
}
