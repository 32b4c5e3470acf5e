//! The time on a connection: what it may rest, stand still or keep us waiting, and how it is ended.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::server::Connection;
use h2::{Ping, PingPong, Reason};
use tokio::time::Instant;

use super::guard::{Gauge, Guard};
use crate::listener::ListenerSettings;
use crate::server::wire::Link;
use crate::server::worker::Worker;
use crate::timer::Timer;

/// How long a client gets to take our farewell.
const FAREWELL: Duration = Duration::from_secs(1);
/// A client that is silent for so long while it waits for us is asked whether it is still there.
const PING_AFTER: Duration = Duration::from_secs(30);
/// How long it may take to say so.
const PING_PATIENCE: Duration = Duration::from_secs(15);

/// What is watched of a connection that is open.
pub(super) struct Watch<'c> {
    settings: &'c ListenerSettings,
    gauge: &'c Arc<Gauge>,
    worker: &'c Worker,
    timer: Timer,
    pings: Option<PingPong>,
    is_pinged: bool,
    flushes: u64,
    /// Bytes that the client has sent.
    heard: Marked<u64>,
    /// Bytes that it has taken, while it takes no more.
    stalled: Option<Marked<u64>>,
    /// The head or frame that it has begun.
    unfinished: Option<Marked<u64>>,
    resting_since: Option<Instant>,
    farewell: Farewell,
}

/// Whether a farewell was said.
#[derive(Clone, Copy)]
enum Farewell {
    None,
    /// What was begun may end.
    Polite(Instant),
    /// Nothing more is read.
    Curt(Instant),
}

/// A number and since when it has stood.
#[derive(Clone, Copy)]
struct Marked<T> {
    value: T,
    since: Instant,
}

/// What becomes of the connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It goes on.
    Open,
    /// It is closed now.
    Cut,
}

/// What is due next.
enum Due {
    At(Instant),
    Ended,
}

// === impl Watch ===

impl<'c> Watch<'c> {
    pub(super) fn new(settings: &'c ListenerSettings, gauge: &'c Arc<Gauge>, worker: &'c Worker) -> Self {
        let now = Instant::now();
        Self {
            settings,
            gauge,
            worker,
            timer: Timer::new(now + settings.idle_timeout),
            pings: None,
            is_pinged: false,
            flushes: 0,
            heard: Marked { value: 0, since: now },
            stalled: None,
            unfinished: None,
            resting_since: None,
            farewell: Farewell::None,
        }
    }

    /// Whether all that the streams had handed over when the connection was last driven is with the system now.
    pub(super) fn has_written(&mut self) -> bool {
        let mut reading = self.gauge.lock();
        if reading.is_stalled || reading.flushes == self.flushes {
            return false;
        }
        self.flushes = reading.flushes;
        reading.is_written();
        true
    }

    /// Looks at the clock after the connection was driven. `is_resting` when no request is being served.
    pub(super) fn look<IO: Link>(
        &mut self,
        connection: &mut Connection<Guard<IO>, Bytes>,
        is_resting: bool,
        context: &mut Context<'_>,
    ) -> Fate {
        loop {
            let now = Instant::now();
            self.note(is_resting, now);
            let is_said = !matches!(self.farewell, Farewell::None);
            let due = match self.due(connection, now, context) {
                Due::At(due) => due,
                Due::Ended => return Fate::Cut,
            };
            if !is_said && !matches!(self.farewell, Farewell::None) {
                context.waker().wake_by_ref(); // the connection has something to say
            }
            self.timer.set(due);
            if self.timer.poll_due(context).is_pending() {
                return Fate::Open;
            }
        }
    }

    /// Since when everything is as it is.
    fn note(&mut self, is_resting: bool, now: Instant) {
        let mut reading = self.gauge.lock();
        reading.allowance.refill(now);
        if reading.read != self.heard.value {
            self.heard = Marked {
                value: reading.read,
                since: now,
            };
            self.is_pinged = false;
        }
        mark(&mut self.stalled, reading.is_stalled.then_some(reading.written), now);
        mark(&mut self.unfinished, reading.frames.unfinished(), now);
        self.resting_since = is_resting.then(|| self.resting_since.unwrap_or(now));
    }

    /// When to look again, having done what is due now.
    fn due<IO: Link>(
        &mut self,
        connection: &mut Connection<Guard<IO>, Bytes>,
        now: Instant,
        context: &mut Context<'_>,
    ) -> Due {
        let mut next = now + self.settings.idle_timeout;
        let mut is_due = |due: Instant| {
            next = next.min(due);
            due <= now
        };
        if self
            .stalled
            .is_some_and(|stalled| is_due(stalled.since + self.settings.write_idle_timeout))
        {
            return self.give_up();
        }
        if let Farewell::Curt(since) = self.farewell {
            return if is_due(since + FAREWELL) {
                Due::Ended
            } else {
                Due::At(next)
            };
        }
        let is_slow = self
            .unfinished
            .is_some_and(|begun| is_due(begun.since + self.settings.head_timeout));
        if is_slow || self.gauge.lock().is_overspent {
            if is_slow {
                self.worker.stats().count_fault();
            } else {
                self.worker.stats().count_flood();
            }
            connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
            self.farewell = Farewell::Curt(now);
            return Due::At(now + FAREWELL);
        }
        if self.worker.is_stopping() {
            self.farewell.say(connection, now);
        }
        match (self.resting_since, self.farewell) {
            (Some(since), Farewell::Polite(said)) if is_due(since.max(said) + FAREWELL) => return Due::Ended,
            (Some(_), Farewell::Polite(_) | Farewell::Curt(_)) => {}
            // All is answered, but the client's windows keep part of it here.
            (Some(since), Farewell::None) if connection.has_streams() => {
                if is_due(since + self.settings.write_idle_timeout) {
                    return self.give_up();
                }
            }
            (Some(since), Farewell::None) => {
                if is_due(since + self.settings.idle_timeout) {
                    self.farewell.say(connection, now);
                    is_due(now + FAREWELL);
                }
            }
            (None, _) => {
                let asked = self.heard.since + PING_AFTER;
                if is_due(asked + PING_PATIENCE) {
                    return Due::Ended;
                }
                if !self.is_pinged && is_due(asked) {
                    self.is_pinged = true;
                    ping(&mut self.pings, connection, context);
                }
            }
        }
        Due::At(next)
    }

    /// It does not read: the system need not try any longer either.
    fn give_up(&self) -> Due {
        self.worker.stats().count_timeout();
        self.gauge.lock().resets_on_close = true;
        Due::Ended
    }
}

/// Keeps the time at which `value` was first seen.
fn mark(marked: &mut Option<Marked<u64>>, value: Option<u64>, now: Instant) {
    *marked = value.map(|value| match *marked {
        Some(standing) if standing.value == value => standing,
        _ => Marked { value, since: now },
    });
}

fn ping<IO: Link>(
    pings: &mut Option<PingPong>,
    connection: &mut Connection<Guard<IO>, Bytes>,
    context: &mut Context<'_>,
) {
    if pings.is_none() {
        *pings = connection.ping_pong();
    }
    if let Some(pings) = pings {
        if let Poll::Ready(Err(_)) = pings.poll_pong(context) {
            return; // the connection is ending
        }
        let _ = pings.send_ping(Ping::opaque()); // one that is under way already asks the same
    }
}

// === impl Farewell ===

impl Farewell {
    /// Tells the client once that no new request will be taken (RFC 9113 section 6.8).
    fn say<IO: Link>(&mut self, connection: &mut Connection<Guard<IO>, Bytes>, now: Instant) {
        if matches!(self, Self::None) {
            connection.graceful_shutdown();
            *self = Self::Polite(now);
        }
    }
}
