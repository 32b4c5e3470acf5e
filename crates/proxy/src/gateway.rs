//! The outer shell of a request: its id, its times, its record; and what workers share.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use arc_swap::ArcSwap;
use http::{HeaderName, Method, Request, Version};
use portcullis_core::{Clock, RequestId, Timestamp};
use portcullis_net::{
    Reply,
    http1::HeadFault,
    listener::TrustedProxies,
    server::{Fault, Handler, Peer, RequestBody},
    upstream::{Client, ClientSettings},
};

use crate::{
    Observer, Rejection,
    answer::{self, Quotable},
    integrate::Message,
    live::Live,
    pipeline,
    record::{Kept, Record},
    trace::Trace,
    unreadable::Unreadable,
};

static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The data plane: the snapshot in force and what all workers share.
pub struct Gateway {
    live: ArcSwap<Live>,
    clock: Arc<dyn Clock>,
    /// By listener.
    trusted_proxies: Vec<TrustedProxies>,
    started: Instant,
    unreadable: Unreadable,
}

/// One thread's part of the data plane: its pool of connections to origins and its share of log and metrics.
pub struct Worker {
    gateway: Arc<Gateway>,
    client: Client,
    shared: Arc<WorkerShared>,
}

/// What the records of a worker's requests need to finish.
#[derive(Debug)]
pub(crate) struct WorkerShared {
    pub(crate) id: usize,
    /// The last second that was asked for, as logs write it. Only this worker's thread takes the lock.
    clf_second: Mutex<(i64, String)>,
}

// === impl Gateway ===

impl Gateway {
    /// A gateway that serves `live`. `trusted_proxies` are those of each listener, in the order of the listeners.
    pub fn new(live: Arc<Live>, clock: Arc<dyn Clock>, trusted_proxies: Vec<TrustedProxies>) -> Arc<Self> {
        Arc::new(Self {
            live: ArcSwap::new(live),
            clock,
            trusted_proxies,
            started: Instant::now(),
            unreadable: Unreadable::default(),
        })
    }

    /// The snapshot in force.
    pub fn live(&self) -> Arc<Live> {
        self.live.load_full()
    }

    /// Puts another snapshot in force. Requests under way end with the one that they began with.
    pub fn publish(&self, live: Arc<Live>) {
        self.live.store(live);
    }

    /// A worker. Made inside the worker's runtime.
    pub fn worker(self: &Arc<Self>, id: usize) -> Worker {
        Worker {
            gateway: Arc::clone(self),
            client: Client::new(ClientSettings::default()),
            shared: Arc::new(WorkerShared {
                id,
                clf_second: Mutex::new((i64::MIN, String::new())),
            }),
        }
    }
}

// === impl Worker ===

impl Worker {
    /// The client towards origins.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Answers a request while `observer` watches it pass the steps.
    ///
    /// Not an `async fn`, whose future holds its arguments twice: the parts of the request are moved into it once, and what is
    /// awaited in it borrows them.
    pub fn answer<O: Observer>(
        &self,
        request: Request<RequestBody>,
        peer: Peer,
        observer: &mut O,
    ) -> impl Future<Output = (Reply, Box<Record>)> + Send {
        let mut record = self.record(request.method().clone(), request.version(), &peer);
        let trusted = self.gateway.trusted_proxies.get(peer.listener);
        if let Some(trusted) = trusted.filter(|trusted| trusted.contains(peer.address)) {
            let forwarded_for = request.headers().get_all(&FORWARDED_FOR);
            record.source = trusted.client_address(peer.address, forwarded_for.iter());
        }
        if let Some(tracer) = &record.live.tracer {
            record.trace = Some(Trace::begin(tracer, &record, request.uri(), request.headers()));
        }
        let customized = self.quoted_headers(&record, &request);
        let (parts, body) = request.into_parts();
        let uri = parts.uri;
        let mut message = Message {
            method: parts.method,
            headers: parts.headers,
            body,
            peer,
        };
        async move {
            let result = pipeline::proceed(self, &mut record, &uri, &mut message, observer).await;
            let reply = match result {
                Ok(mut reply) => {
                    if let Some(compression) = record.compression {
                        // Boxed: a future is as large as its largest part, and this one is rare.
                        reply = Box::pin(compression.apply(reply)).await;
                    }
                    answer::identify(&record, &mut reply.fields);
                    reply
                }
                Err(rejection) => {
                    observer.refused(rejection.facts().step, format_args!("{}", rejection.log_text()));
                    record.rejection = Some(rejection.clone());
                    let quotable = customized.as_ref().map(|headers| Quotable { uri: &uri, headers });
                    answer::refuse(&record, &rejection, quotable)
                }
            };
            record.status = reply.status.as_u16();
            (reply, record)
        }
    }

    /// Nanoseconds since the gateway's start, for throttles.
    pub(crate) fn monotonic_ns(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.gateway.started).as_nanos()).unwrap_or(u64::MAX)
    }

    /// The caller's headers, if a refusal might quote them: they are gone with the request otherwise. Copying them costs
    /// nothing where no gateway response is customised.
    fn quoted_headers(&self, record: &Record, request: &Request<RequestBody>) -> Option<http::HeaderMap> {
        record.live.quotes_requests.then(|| request.headers().clone())
    }

    /// Boxed, for it goes through many hands on its way to the answer's end.
    fn record(&self, method: Method, version: Version, peer: &Peer) -> Box<Record> {
        Box::new(Record {
            id: RequestId::random(),
            started: self.gateway.clock.now(),
            started_at: Instant::now(),
            live: self.gateway.live.load_full(),
            worker: Arc::clone(&self.shared),
            method,
            version,
            source: peer.address,
            secure: peer.secure,
            tls: peer.tls.clone(),
            stage: None,
            mapping: None,
            route: None,
            kept: Kept::default(),
            caller: None,
            subscription: None,
            integration: None,
            rejection: None,
            trace: None,
            execution: None,
            queued: None,
            compression: None,
            status: 0,
        })
    }
}

impl Handler for Worker {
    type Receipt = Box<Record>;

    fn call(&self, request: Request<RequestBody>, peer: &Peer) -> impl Future<Output = (Reply, Box<Record>)> + Send {
        // Nothing is allocated or leaked: nobody has no size.
        let nobody: &'static mut () = Box::leak(Box::new(()));
        self.answer(request, peer.clone(), nobody)
    }

    fn refuse(&self, fault: Fault, peer: &Peer) -> (Reply, Box<Record>) {
        let mut record = self.record(pipeline::unknown_method(), Version::HTTP_11, peer);
        let rejection = rejection(fault);
        self.gateway.unreadable.tell(&record, &rejection, peer);
        let reply = answer::refuse(&record, &rejection, None::<Quotable<'_>>);
        record.status = reply.status.as_u16();
        record.rejection = Some(rejection);
        (reply, record)
    }
}

/// What an unreadable head is to its sender.
fn rejection(fault: Fault) -> Rejection {
    use portcullis_net::http1::FramingFault;
    Rejection::HeadMalformed(match fault {
        Fault::HeadTimeout => return Rejection::HeadTimeout,
        Fault::Overloaded => return Rejection::Overloaded,
        Fault::Head(HeadFault::LineTooLong) => return Rejection::UriTooLong,
        Fault::Head(HeadFault::FieldsTooLarge | HeadFault::FieldsTooMany) => return Rejection::HeadersTooLarge,
        Fault::Head(HeadFault::BareLineFeed) => "a line of the head does not end with CR LF",
        Fault::Head(HeadFault::FieldFolded) => "a header field is folded over two lines",
        Fault::Head(HeadFault::FieldMalformed) => "a header field is malformed",
        Fault::Head(HeadFault::HostDisagrees) => "the request target and Host name different hosts",
        Fault::Head(HeadFault::HostMalformed) => "Host is malformed",
        Fault::Head(HeadFault::HostMissing) => "Host is missing",
        Fault::Head(HeadFault::HostRepeated) => "Host is given more than once",
        Fault::Head(HeadFault::LineMalformed) => "the request line is malformed",
        Fault::Head(HeadFault::TargetMalformed) => "the request target is malformed",
        Fault::Head(HeadFault::VersionUnsupported) => "the HTTP version is not supported",
        Fault::Framing(FramingFault::Ambiguous) => "Content-Length and Transfer-Encoding are both present",
        Fault::Framing(FramingFault::LengthMalformed) => "Content-Length is malformed",
        Fault::Framing(FramingFault::LengthRepeated) => "Content-Length is given more than once",
        Fault::Framing(FramingFault::CodingUnsupported) => "Transfer-Encoding is not exactly `chunked`",
        Fault::Framing(FramingFault::CodingTooNew) => "Transfer-Encoding is not part of HTTP/1.0",
    })
}

// === impl WorkerShared ===

impl WorkerShared {
    /// `$context.requestTime`, formatted once a second.
    pub(crate) fn clf_time(&self, time: Timestamp, write: impl FnOnce(&str)) {
        let mut cached = self.clf_second.lock().unwrap_or_else(PoisonError::into_inner);
        if cached.0 != time.unix_seconds() {
            *cached = (time.unix_seconds(), time.to_clf());
        }
        write(&cached.1);
    }
}
