//! A stored answer.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, StatusCode, header};
use portcullis_core::Timestamp;
use portcullis_model::cache::CacheSettings;
use portcullis_net::{Body, Field, Fields, Reply};

/// Room for the fields that every answer gets: its age, its ids, what steps have queued.
const OWN_BYTES: usize = 256;

/// A whole answer of an origin, mapped, without what belongs to one request or connection.
pub(crate) struct Entry {
    pub(super) head: EntryHead,
    pub(super) body: Bytes,
}

/// The head of an answer whose body is still to come.
pub(super) struct EntryHead {
    pub(super) status: StatusCode,
    pub(super) fields: Fields,
    pub(super) stored: Timestamp,
    /// How old it was when it came, by the origin's word.
    pub(super) age_s: u32,
}

/// Fields that belong to a connection, not to an answer: framing is the server's to write, and the age grows.
const ENDS_HERE: [HeaderName; 4] = [
    header::AGE,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
];

/// How fresh an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freshness {
    Fresh,
    /// It may be served once more while it is fetched anew.
    Revalidate,
    /// It may be served if the origin fails.
    StandIn,
    /// It may not be served any more.
    Dead,
}

/// Whether a field is none of an entry's.
pub(super) fn ends_here(field: &Field<'_>) -> bool {
    ENDS_HERE.iter().any(|name| field.is(name.as_str()))
}

// === impl EntryHead ===

impl EntryHead {
    /// Of an answer that may be kept.
    pub(super) fn of(reply: &Reply, now: Timestamp) -> Self {
        let age = reply.fields.get(header::AGE.as_str());
        let age = age.and_then(|age| std::str::from_utf8(age).ok()?.parse::<u32>().ok());
        let mut fields = reply.fields.clone();
        fields.retain(|field| !ends_here(field));
        Self {
            status: reply.status,
            fields,
            stored: now,
            age_s: age.unwrap_or(0),
        }
    }

    /// With its body.
    pub(super) fn complete(self, body: Bytes) -> Entry {
        Entry { head: self, body }
    }
}

// === impl Entry ===

impl Entry {
    /// The answer to one more request, with its age (RFC 9111 section 5.1).
    pub(super) fn answer(&self, now: Timestamp) -> Reply {
        let mut fields = self.head.fields.copy_with_room(OWN_BYTES);
        fields.push_number(&header::AGE, u64::from(self.head.age_s) + self.resident(now).as_secs());
        Reply {
            status: self.head.status,
            fields,
            body: Body::from(self.body.clone()),
        }
    }

    /// How fresh it is. A clock that was set back makes it stale: how long it has been here cannot be told any more.
    pub(super) fn freshness(&self, settings: &CacheSettings, now: Timestamp) -> Freshness {
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        let fresh = seconds(settings.ttl_s);
        let age = self.resident(now);
        if now < self.head.stored {
            Freshness::Dead
        } else if age < fresh {
            Freshness::Fresh
        } else if age < fresh + seconds(settings.stale_while_revalidate_s) {
            Freshness::Revalidate
        } else if age < fresh + seconds(settings.stale_if_error_s) {
            Freshness::StandIn
        } else {
            Freshness::Dead
        }
    }

    /// Whether it may be served in the place of an answer that the origin could not give.
    pub(super) fn may_stand_in(&self, settings: &CacheSettings, now: Timestamp) -> bool {
        let last = u64::from(settings.ttl_s) + u64::from(settings.stale_if_error_s);
        settings.stale_if_error_s > 0 && now >= self.head.stored && self.resident(now) < Duration::from_secs(last)
    }

    /// For how long it may still be of any use.
    pub(super) fn lifetime(&self, settings: &CacheSettings, now: Timestamp) -> Duration {
        let stale_s = settings.stale_while_revalidate_s.max(settings.stale_if_error_s);
        let whole = Duration::from_secs(u64::from(settings.ttl_s) + u64::from(stale_s));
        whole.saturating_sub(self.resident(now))
    }

    /// Bytes that it takes, about.
    pub(super) fn bytes(&self) -> usize {
        self.body.len() + self.head.fields.size() + size_of::<Self>()
    }

    fn resident(&self, now: Timestamp) -> Duration {
        let micros = now.unix_micros().saturating_sub(self.head.stored.unix_micros());
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    }
}

impl std::fmt::Debug for Entry {
    /// Never its content: it may be someone's account.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Entry({}, {} bytes)", self.head.status, self.body.len())
    }
}
