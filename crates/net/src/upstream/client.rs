//! The client: one call after the other, each in its caller's task.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use tokio::time::Instant;

use super::body::{Home, UpstreamBody};
use super::call::{Answer, Call, RetryRule};
use super::connect::connect;
use super::connection::Connection;
use super::error::UpstreamError;
use super::exchange::{AwaitedHead, Exchange};
use super::origin::Origin;
use super::pool::{Pool, PoolLimits};
use super::request_head;
use super::stats::UpstreamStats;
use super::tunnel::Tunnel;
use super::upload::Upload;
use crate::body::Body;
use crate::fields::Fields;
use crate::http1::{
    Decoded, Decoder, HeadLimits, HeadReader, KEEP_ALIVE, ResponseFraming, ResponseHead, framing, persistence,
};

/// A response's body that came along with its head is copied out of the connection's buffer up to so many bytes.
const COPIED_BYTES_MAX: usize = 16 * 1024;

/// What a client keeps and how much it takes.
#[derive(Clone, Copy, Debug)]
pub struct ClientSettings {
    /// Resting connections per origin. 128 unless changed.
    pub idle_per_origin_max: usize,
    /// Resting connections in all. 1,024 unless changed.
    pub idle_max: usize,
    /// How long a connection may rest; an upstream's shorter `Keep-Alive: timeout=` is honoured. 4 s unless changed: below the 5 s
    /// after which common servers close.
    pub idle_timeout: Duration,
    /// The largest head of a response in bytes: its first line and its fields may each have so many. 64 KiB unless changed.
    pub head_bytes_max: usize,
}

/// Calls upstreams and keeps connections to them. One per worker: its connections belong to the worker's runtime. A clone is
/// the same client.
#[derive(Clone)]
pub struct Client {
    pool: Arc<Pool>,
    stats: Arc<UpstreamStats>,
    head_limits: HeadLimits,
}

// === impl ClientSettings ===

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            idle_per_origin_max: 128,
            idle_max: 1024,
            idle_timeout: Duration::from_secs(4),
            head_bytes_max: 64 * 1024,
        }
    }
}

// === impl Client ===

impl Client {
    /// A client without connections.
    pub fn new(settings: ClientSettings) -> Self {
        let ClientSettings {
            idle_per_origin_max,
            idle_max,
            idle_timeout,
            head_bytes_max,
        } = settings;
        let stats = Arc::new(UpstreamStats::default());
        let limits = PoolLimits {
            per_origin_max: idle_per_origin_max,
            total_max: idle_max,
            idle_timeout,
        };
        Self {
            pool: Arc::new(Pool::new(limits, Arc::clone(&stats))),
            stats,
            head_limits: HeadLimits {
                line_bytes_max: head_bytes_max,
                fields_bytes_max: head_bytes_max,
            },
        }
    }

    /// What the client has done so far; it goes on counting.
    pub fn stats(&self) -> Arc<UpstreamStats> {
        Arc::clone(&self.stats)
    }

    /// Sends a request and waits for its response's head. Dropping the future closes the connection.
    pub async fn call(&self, origin: &Arc<Origin>, mut call: Call) -> Result<Answer, UpstreamError> {
        let framing = request_head::framing(&call);
        let second_body = match (&call.body, call.retry) {
            (Body::Empty, RetryRule::Safe) => Some(Body::Empty),
            (Body::Full(bytes), RetryRule::Safe) => Some(Body::Full(bytes.clone())),
            // A body that streams is gone once it was polled.
            _ => None,
        };
        let kept = self.take(origin, call.retry);
        let reused = kept.is_some();
        let (mut connection, mut connect_time) = match kept {
            Some(connection) => (connection, None),
            None => Box::pin(self.open(origin, call.deadline)).await?,
        };
        connection.timer.set(call.deadline);
        request_head::write(&mut connection.output, origin, &call, framing).ok_or(UpstreamError::TargetMalformed)?;
        let upload = Upload::new(std::mem::take(&mut call.body), framing);
        let mut exchange = Exchange { connection, upload };
        let mut awaited = self.awaited_head();
        let mut outcome = poll_fn(|context| exchange.poll_head(&mut awaited, context)).await;
        let mut attempts = 1;
        if let (Err(UpstreamError::Reset), true, false, Some(body)) = (&outcome, reused, awaited.has_begun, second_body)
        {
            // The upstream closed the connection at the same moment: it had rested too long for the upstream's taste.
            self.stats.count_retried();
            attempts = 2;
            (exchange.connection, connect_time) = Box::pin(self.open(origin, call.deadline)).await?;
            request_head::write(&mut exchange.connection.output, origin, &call, framing)
                .ok_or(UpstreamError::TargetMalformed)?;
            exchange.upload = Upload::new(body, framing);
            awaited = self.awaited_head();
            outcome = poll_fn(|context| exchange.poll_head(&mut awaited, context)).await;
        }
        let mut answer = self.answer(origin, &call, exchange, outcome?)?;
        answer.reused = reused && attempts == 1;
        answer.attempts = attempts;
        answer.connect_time = connect_time;
        Ok(answer)
    }

    fn awaited_head(&self) -> AwaitedHead {
        AwaitedHead::new(HeadReader::new(self.head_limits))
    }

    fn take(&self, origin: &Origin, retry: RetryRule) -> Option<Box<Connection>> {
        loop {
            let connection = self.pool.take(origin.id())?;
            // Who may not try twice asks the system itself: what the runtime knows is as old as its last look.
            if retry == RetryRule::Safe || connection.is_open_now() {
                self.stats.count_reused();
                return Some(connection);
            }
            self.stats.count_stale(1);
        }
    }

    /// Boxed where it is awaited: the future of a call that finds a connection would carry the room for it otherwise.
    async fn open(
        &self,
        origin: &Origin,
        deadline: Instant,
    ) -> Result<(Box<Connection>, Option<Duration>), UpstreamError> {
        let begun = Instant::now();
        match connect(origin, deadline).await {
            Ok(connection) => {
                self.stats.count_opened();
                Ok((connection, Some(begun.elapsed())))
            }
            Err(error) => {
                self.stats.count_failed();
                Err(error)
            }
        }
    }

    /// What to hand back for a head: the body where it is complete, and else what will read it.
    fn answer(
        &self,
        origin: &Origin,
        call: &Call,
        mut exchange: Exchange,
        head: ResponseHead,
    ) -> Result<Answer, UpstreamError> {
        let (framing, body_length) = framing::of_response(&call.method, &head).map_err(UpstreamError::Framing)?;
        let ResponseHead {
            status,
            version,
            fields,
            noted,
        } = head;
        let body = if status == StatusCode::SWITCHING_PROTOCOLS {
            if !call.upgrade || !is_same_protocol(&call.headers, &fields) || !exchange.upload.is_done() {
                return Err(UpstreamError::UpgradeUnexpected);
            }
            Body::Tunnel(Tunnel::new(exchange.connection))
        } else {
            let keep = version == http::Version::HTTP_11
                && framing != ResponseFraming::UntilClose
                && persistence::of_head(version, &fields, noted);
            let mut decoder = Decoder::response(framing);
            let arrived = arrived(&mut decoder, &mut exchange.connection.input);
            let home = keep.then(|| Home {
                pool: &self.pool,
                origin: origin.id(),
                timeout: noted.keep_alive.then(|| allowed_rest(&fields)).flatten(),
            });
            if decoder.is_ended() {
                if let Some(home) = home {
                    home.take_in(exchange);
                }
                Body::from(arrived)
            } else {
                Body::Upstream(UpstreamBody::new(
                    exchange,
                    decoder,
                    arrived,
                    home,
                    call.body_idle_timeout,
                ))
            }
        };
        Ok(Answer {
            status,
            fields,
            body,
            body_length,
            reused: false,
            attempts: 0,
            connect_time: None,
        })
    }
}

/// What of the body came along with its head. A fault is left for the body to run into again.
fn arrived(decoder: &mut Decoder, input: &mut BytesMut) -> Bytes {
    if let Some(remaining) = decoder.remaining()
        && remaining == input.len() as u64
        && input.len() <= COPIED_BYTES_MAX
    {
        // The common case: copying leaves the buffer to the connection.
        let bytes = Bytes::copy_from_slice(input);
        input.clear();
        *decoder = Decoder::response(ResponseFraming::None);
        return bytes;
    }
    let mut first = Bytes::new();
    let mut joined = BytesMut::new();
    while let Ok(Decoded::Data(piece)) = decoder.decode(input) {
        if first.is_empty() {
            first = piece;
        } else {
            if joined.is_empty() {
                joined.extend_from_slice(&first);
            }
            joined.extend_from_slice(&piece);
        }
    }
    if joined.is_empty() { first } else { joined.freeze() }
}

/// How long the upstream says that it keeps the connection, less a second for the way there.
fn allowed_rest(fields: &Fields) -> Option<Duration> {
    let value = std::str::from_utf8(fields.get(KEEP_ALIVE)?).ok()?;
    let parameter = value.split(',').find_map(|part| part.trim().strip_prefix("timeout="))?;
    parameter
        .parse()
        .ok()
        .map(|seconds: u64| Duration::from_secs(seconds.saturating_sub(1)))
}

/// Whether a 101 names the protocol that was asked for, and says so as RFC 9110 section 7.8 wants it.
fn is_same_protocol(asked: &HeaderMap, answered: &Fields) -> bool {
    let answered_with = answered.get(header::UPGRADE.as_str());
    let (Some(asked), Some(answered_with)) = (asked.get(header::UPGRADE), answered_with) else {
        return false;
    };
    persistence::has_option(answered, "upgrade") && asked.as_bytes().eq_ignore_ascii_case(answered_with)
}
