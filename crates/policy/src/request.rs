//! What is asked of a policy.

use std::net::IpAddr;

use portcullis_core::Timestamp;

use crate::key::Key;

/// What the caller wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// `execute-api:Invoke`: call the method.
    Invoke,
    /// `execute-api:InvalidateCache`: have the cached answer fetched anew.
    InvalidateCache,
}

/// One question to a policy.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What the caller wants to do.
    pub action: Action,
    /// The method ARN over the actual path, see [`portcullis_core::MethodArn`].
    pub resource: &'a str,
    /// The values of condition keys and policy variables.
    pub context: &'a Context<'a>,
}

/// The values of condition keys for one request.
///
/// Start from [`Context::new`] and fill in what is known, so that a key added here later is absent until it is filled in:
/// `Context { source_ip: Some(address), ..Context::new(now) }`.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// `aws:CurrentTime` (exactly) and `aws:EpochTime` (in whole seconds, rounded down).
    pub now: Timestamp,
    /// `aws:SourceIp`: the caller's address. An IPv4-mapped IPv6 address counts as the IPv4 address.
    pub source_ip: Option<IpAddr>,
    /// `aws:SecureTransport`: whether the request came over TLS.
    pub secure_transport: bool,
    /// `aws:UserAgent`: the header's value.
    pub user_agent: Option<&'a str>,
    /// `aws:Referer`: the header's value.
    pub referer: Option<&'a str>,
    /// `aws:SourceArn`: the resource on whose behalf a service calls.
    pub source_arn: Option<&'a str>,
    /// `aws:SourceVpc`: the private network that the request came from.
    pub source_vpc: Option<&'a str>,
    /// `aws:SourceVpce`: the private network's endpoint.
    pub source_vpce: Option<&'a str>,
    /// All other keys: client certificates, grants, amounts.
    pub extra: &'a dyn ExtraKeys,
}

/// Condition keys beyond those of [`Context`], with any number of values each.
pub trait ExtraKeys {
    /// Calls `visit` once for each value of `key`, in any order; not at all when the request does not have the key.
    ///
    /// `key` is in lower case (`aws:principaltag/team`). A key without values counts as absent.
    fn visit(&self, key: &str, visit: &mut dyn FnMut(KeyValue<'_>));
}

/// No keys beyond those of [`Context`].
#[derive(Clone, Copy, Debug, Default)]
pub struct NoExtraKeys;

/// One value of a condition key.
///
/// An operator reads a value as its own type where that is possible without guessing (`Text("12.50")` as a number,
/// `Number` as text or as a date in seconds since the epoch); a value that it cannot read matches nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyValue<'a> {
    /// An address; the text form is that of RFC 5952.
    Address(IpAddr),
    /// `true` or `false`.
    Bool(bool),
    /// Raw bytes, for `BinaryEquals` alone.
    Bytes(&'a [u8]),
    /// A whole number.
    Number(i64),
    /// Text as received.
    Text(&'a str),
    /// A point in time; the text form is RFC 3339 in UTC with whole seconds.
    Time(Timestamp),
}

// === impl Context ===

impl Context<'_> {
    /// A request at `now` over plain HTTP of which nothing else is known.
    pub fn new(now: Timestamp) -> Self {
        Self {
            now,
            source_ip: None,
            secure_transport: false,
            user_agent: None,
            referer: None,
            source_arn: None,
            source_vpc: None,
            source_vpce: None,
            extra: &NoExtraKeys,
        }
    }

    /// Calls `visit` for each value of `key`.
    #[inline]
    pub(crate) fn visit(&self, key: &Key, visit: &mut dyn FnMut(KeyValue<'_>)) {
        let value = match key {
            Key::CurrentTime => Some(KeyValue::Time(self.now)),
            Key::EpochTime => Some(KeyValue::Number(self.now.unix_seconds())),
            Key::Referer => self.referer.map(KeyValue::Text),
            Key::SecureTransport => Some(KeyValue::Bool(self.secure_transport)),
            Key::SourceArn => self.source_arn.map(KeyValue::Text),
            Key::SourceIp => self.source_ip.map(KeyValue::Address),
            Key::SourceVpc => self.source_vpc.map(KeyValue::Text),
            Key::SourceVpce => self.source_vpce.map(KeyValue::Text),
            Key::UserAgent => self.user_agent.map(KeyValue::Text),
            Key::Extra(name) => return self.extra.visit(name, visit),
        };
        if let Some(value) = value {
            visit(value);
        }
    }
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The header values and extra keys are the caller's and may hold what is not for a log.
        formatter
            .debug_struct("Context")
            .field("now", &self.now)
            .field("source_ip", &self.source_ip)
            .finish_non_exhaustive()
    }
}

// === impl NoExtraKeys ===

impl ExtraKeys for NoExtraKeys {
    fn visit(&self, _: &str, _: &mut dyn FnMut(KeyValue<'_>)) {}
}
