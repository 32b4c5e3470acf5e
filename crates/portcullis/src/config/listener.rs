//! `[[listeners]]`: where callers are accepted, and with how much patience.

use std::{net::SocketAddr, time::Duration};

use ipnet::IpNet;
use portcullis_net::listener::Http2;
use portcullis_openapi::document::Located;

use super::{
    section::Section,
    tls::{self, ListenerTls},
};

/// Networks in one list at most.
const NETWORKS_MAX: usize = 1_000;
/// The longest patience that may be set: one hour.
const TIMEOUT_MS_MAX: u64 = 3_600_000;
/// The most connections that may be allowed.
const CONNECTIONS_MAX: u64 = 1_000_000;
/// The most requests at once that one HTTP/2 connection may be allowed.
const HTTP2_STREAMS_MAX: u64 = 1_000;

/// A listener without errors.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Listener {
    /// What it is bound to; port 0 lets the system choose.
    pub(crate) address: Located<SocketAddr>,
    /// TLS; `None` for plain HTTP.
    pub(crate) tls: Option<ListenerTls>,
    /// The networks that must send a PROXY protocol v2 header; `None` when nobody may.
    pub(crate) proxy_protocol: Option<Vec<IpNet>>,
    /// How callers come to speak HTTP/2 (default by TLS's negotiation).
    pub(crate) http2: Http2,
    /// Requests of one HTTP/2 connection under way at once (default 100).
    pub(crate) http2_streams_max: u32,
    /// Requests under way in one worker at once (default 4,096).
    pub(crate) requests_in_flight_max: usize,
    /// Connections open at once (default 10,000).
    pub(crate) connections_max: usize,
    /// Connections open at once from one source, an IPv6 /64 being one (default 1,000).
    pub(crate) connections_per_source_max: usize,
    /// From a head's first byte to its last (default 10 s).
    pub(crate) head_timeout: Duration,
    /// A body's longest pause (default 15 s).
    pub(crate) body_idle_timeout: Duration,
    /// The longest pause of a caller who reads (default 30 s).
    pub(crate) write_idle_timeout: Duration,
    /// How long a kept-alive connection waits for its next request (default 60 s).
    pub(crate) keep_alive_timeout: Duration,
    /// Peers whose `X-Forwarded-For` is believed.
    pub(crate) trusted_proxies: Vec<IpNet>,
}

impl Listener {
    /// A listener with the defaults.
    pub(crate) fn at(address: Located<SocketAddr>) -> Self {
        Self {
            address,
            tls: None,
            proxy_protocol: None,
            http2: Http2::default(),
            http2_streams_max: 100,
            requests_in_flight_max: 4_096,
            connections_max: 10_000,
            connections_per_source_max: 1_000,
            head_timeout: Duration::from_secs(10),
            body_idle_timeout: Duration::from_secs(15),
            write_idle_timeout: Duration::from_secs(30),
            keep_alive_timeout: Duration::from_secs(60),
            trusted_proxies: Vec::new(),
        }
    }
}

/// Whether two listeners do the same, wherever they are written.
pub(crate) fn is_same(one: &Listener, other: &Listener) -> bool {
    let is_same_tls = match (&one.tls, &other.tls) {
        (Some(one), Some(other)) => one.is_same(other),
        (one, other) => one.is_none() && other.is_none(),
    };
    let Located { place, .. } = &one.address;
    let moved = Located {
        place: place.clone(),
        ..other.address.clone()
    };
    let other = Listener {
        address: moved,
        tls: one.tls.clone(),
        ..other.clone()
    };
    is_same_tls && *one == other
}

pub(super) fn read(section: &Section<'_>) -> Option<Listener> {
    let address = section.required("address", |key| section.address(key));
    let count = |key| {
        section
            .integer(key, 1..=CONNECTIONS_MAX)
            .and_then(|found| usize::try_from(found.value).ok())
    };
    let timeout = |key| {
        section
            .integer(key, 1..=TIMEOUT_MS_MAX)
            .map(|found| Duration::from_millis(found.value))
    };
    let http2 = http2(section);
    let http2_streams_max = section
        .integer("http2_streams_max", 1..=HTTP2_STREAMS_MAX)
        .and_then(|found| u32::try_from(found.value).ok());
    let requests_in_flight_max = count("requests_in_flight_max");
    let connections_max = count("connections_max");
    let connections_per_source_max = count("connections_per_source_max");
    let head_timeout = timeout("head_timeout_ms");
    let body_idle_timeout = timeout("body_idle_timeout_ms");
    let write_idle_timeout = timeout("write_idle_timeout_ms");
    let keep_alive_timeout = timeout("keep_alive_timeout_ms");
    let trusted_proxies = networks(section, "trusted_proxies");
    let proxy_protocol = section
        .table("proxy_protocol")
        .and_then(|table| read_proxy_protocol(&table));
    let tls = section.table("tls").map(|table| tls::read(&table));
    section.finish();

    let defaults = Listener::at(address?);
    Some(Listener {
        proxy_protocol,
        http2: http2.unwrap_or(defaults.http2),
        http2_streams_max: http2_streams_max.unwrap_or(defaults.http2_streams_max),
        requests_in_flight_max: requests_in_flight_max.unwrap_or(defaults.requests_in_flight_max),
        connections_max: connections_max.unwrap_or(defaults.connections_max),
        connections_per_source_max: connections_per_source_max.unwrap_or(defaults.connections_per_source_max),
        head_timeout: head_timeout.unwrap_or(defaults.head_timeout),
        body_idle_timeout: body_idle_timeout.unwrap_or(defaults.body_idle_timeout),
        write_idle_timeout: write_idle_timeout.unwrap_or(defaults.write_idle_timeout),
        keep_alive_timeout: keep_alive_timeout.unwrap_or(defaults.keep_alive_timeout),
        trusted_proxies: trusted_proxies.unwrap_or_default(),
        tls: tls.flatten(),
        address: defaults.address,
    })
}

fn http2(section: &Section<'_>) -> Option<Http2> {
    let text = section.text("http2")?;
    let http2 = match text.value.as_str() {
        "negotiated" => Http2::Negotiated,
        "off" => Http2::Off,
        "prior-knowledge" => Http2::PriorKnowledge,
        _ => {
            section.report.error(
                &text.place,
                "unknown-http2",
                format!("`{}` is no way to speak HTTP/2", text.value),
                "write \"negotiated\" (by TLS), \"prior-knowledge\" (also without TLS) or \"off\"",
            );
            return None;
        }
    };
    Some(http2)
}

fn read_proxy_protocol(table: &Section<'_>) -> Option<Vec<IpNet>> {
    let from = table.required("from", |key| networks(table, key));
    table.finish();
    if from.as_ref().is_some_and(Vec::is_empty) {
        let message = "`proxy_protocol.from` names no network, so every connection would be refused";
        table.report.error(
            &table.place,
            "no-networks",
            message,
            "name the networks of your load balancers, as in `[\"10.0.0.0/8\"]`",
        );
    }
    from
}

fn networks(section: &Section<'_>, key: &'static str) -> Option<Vec<IpNet>> {
    let networks = section.networks(key, NETWORKS_MAX)?;
    for network in networks.iter().filter(|network| network.value.prefix_len() == 0) {
        let message = format!(
            "`{key}` holds `{}`: every caller may choose the address that policies see",
            network.value
        );
        section.report.warn(
            &network.place,
            "trusts-everyone",
            message,
            "name only the networks of your own proxies",
        );
    }
    Some(networks.into_iter().map(|network| network.value).collect())
}
