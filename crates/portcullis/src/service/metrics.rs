//! `/metrics`, `/alarms`, `/livez` and `/readyz` on a listener of their own, which must not be open to callers of the APIs.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use portcullis_net::{
    Reply,
    listener::ListenerSettings,
    server::{Fault, Handler, Listening, Peer, Receipt, RequestBody, Sent, Server, ServerSettings},
};
use portcullis_telemetry::metrics::{CONTENT_TYPE, Metrics};

use super::{Watch, alarm_statuses};

/// Connections of scrapers and probes at once.
const CONNECTIONS_MAX: usize = 100;
const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// Answers scrapers and probes.
struct Answers {
    metrics: Arc<Metrics>,
    ready: Arc<AtomicBool>,
    alarms: Arc<Watch>,
}

/// These answers are not counted.
struct Uncounted;

impl Receipt for Uncounted {
    fn finished(self, _: Sent) {}
}

/// Starts the listener. `ready` says whether the gateway takes requests.
pub(super) fn start(
    address: SocketAddr,
    inherited: Vec<Listening>,
    (metrics, ready, alarms): (&Arc<Metrics>, &Arc<AtomicBool>, &Arc<Watch>),
) -> io::Result<Server> {
    let listener = ListenerSettings {
        connections_max: CONNECTIONS_MAX,
        connections_per_source_max: CONNECTIONS_MAX,
        body_bytes_max: 0,
        body_idle_timeout: Duration::from_secs(1),
        ..ListenerSettings::new(address)
    };
    let settings = ServerSettings {
        workers: 1,
        listeners: vec![listener],
    };
    Server::start_with(settings, inherited, |_| Answers {
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
        (text(StatusCode::BAD_REQUEST, &format!("{fault}\n")), Uncounted)
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

fn text(status: StatusCode, body: &str) -> Reply {
    answer(status, TEXT, body.to_owned())
}

fn answer(status: StatusCode, media_type: &'static str, body: String) -> Reply {
    Reply::new(status, Bytes::from(body))
        .with(&header::CONTENT_TYPE, &HeaderValue::from_static(media_type))
        .with(&header::CACHE_CONTROL, &HeaderValue::from_static("no-store"))
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
