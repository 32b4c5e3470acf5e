//! What the metrics tell beside the requests: connections, pools, lost log lines, remembered tokens.

use std::sync::Arc;

use portcullis_net::{server::ServerStats, tls::HandshakeFault, upstream::UpstreamStats};
use portcullis_proxy::{Fixtures, Gateway};
use portcullis_telemetry::metrics::ReadingError;

/// Name, help, and how it is read off what counts.
type Counter<S> = (&'static str, &'static str, fn(&S) -> u64);

/// Adds all of them.
pub(super) fn register(
    fixtures: &Arc<Fixtures>,
    gateway: &Arc<Gateway>,
    server: &Arc<ServerStats>,
    upstreams: Vec<Arc<UpstreamStats>>,
) -> Result<(), ReadingError> {
    let metrics = &fixtures.metrics;
    metrics.gauge(
        "portcullis_build",
        "The version that runs.",
        &[("version", env!("CARGO_PKG_VERSION"))],
        || 1.0,
    )?;
    connections(fixtures, server)?;
    pools(fixtures, upstreams)?;

    for (name, help, read) in [
        (
            "portcullis_access_log_lines",
            "Lines written to access logs.",
            AccessLogReading::Lines,
        ),
        (
            "portcullis_access_log_dropped",
            "Lines that access logs lost.",
            AccessLogReading::Dropped,
        ),
        (
            "portcullis_access_log_errors",
            "Times an access log could not be written.",
            AccessLogReading::Errors,
        ),
    ] {
        // Not the fixtures themselves: they hold the metrics that hold this.
        let fixtures = Arc::downgrade(fixtures);
        let logs = move || fixtures.upgrade().map(|fixtures| fixtures.logs()).unwrap_or_default();
        metrics.counter(name, help, &[], move || logs().iter().map(|log| read.of(log)).sum())?;
    }
    for (name, help, read) in [
        (
            "portcullis_cache_entries",
            "Answers that are stored.",
            (|usage| usage.0) as fn((u64, u64)) -> u64,
        ),
        ("portcullis_cache_bytes", "Bytes that stored answers take.", |usage| {
            usage.1
        }),
    ] {
        let gateway = Arc::clone(gateway);
        metrics.gauge(name, help, &[], move || read(gateway.live().cache_usage()) as f64)?;
    }
    let gateway = Arc::clone(gateway);
    let remembered = move || gateway.live().tokens_remembered() as f64;
    metrics.gauge(
        "portcullis_tokens_remembered",
        "Tokens whose policy authorisers remember.",
        &[],
        remembered,
    )
}

fn connections(fixtures: &Fixtures, server: &Arc<ServerStats>) -> Result<(), ReadingError> {
    let metrics = &fixtures.metrics;
    let stats = Arc::clone(server);
    metrics.gauge(
        "portcullis_connections_open",
        "Connections of clients open now.",
        &[],
        move || stats.open() as f64,
    )?;
    let counters: [Counter<ServerStats>; 10] = [
        (
            "portcullis_connections_accepted",
            "Connections of clients accepted.",
            ServerStats::accepted,
        ),
        (
            "portcullis_connections_refused_full",
            "Connections closed because there were too many.",
            ServerStats::refused_full,
        ),
        (
            "portcullis_connections_refused_source",
            "Connections closed because their source had too many.",
            ServerStats::refused_source,
        ),
        (
            "portcullis_connections_refused_proxy_header",
            "Connections closed for want of an acceptable PROXY header.",
            ServerStats::refused_proxy_header,
        ),
        (
            "portcullis_accept_errors",
            "Connections that the system could not hand over.",
            ServerStats::accept_errors,
        ),
        (
            "portcullis_malformed_requests",
            "Requests that could not be read.",
            ServerStats::faults,
        ),
        (
            "portcullis_slow_clients",
            "Answers given up because the client took nothing of them.",
            ServerStats::timeouts,
        ),
        (
            "portcullis_connections_http2",
            "Connections of clients that have spoken HTTP/2.",
            ServerStats::http2,
        ),
        (
            "portcullis_http2_floods",
            "HTTP/2 connections ended because they cost more than requests do.",
            ServerStats::floods,
        ),
        (
            "portcullis_requests_shed",
            "Requests refused because too many were under way.",
            ServerStats::shed,
        ),
    ];
    for (name, help, read) in counters {
        let stats = Arc::clone(server);
        metrics.counter(name, help, &[], move || read(&stats))?;
    }
    handshakes(fixtures, server)
}

fn handshakes(fixtures: &Fixtures, server: &Arc<ServerStats>) -> Result<(), ReadingError> {
    for is_resumed in [false, true] {
        let stats = Arc::clone(server);
        let kind = if is_resumed { "resumed" } else { "full" };
        let read = move || match is_resumed {
            true => stats.handshakes_resumed(),
            false => stats.handshakes_full(),
        };
        let help = "TLS handshakes that were completed.";
        fixtures
            .metrics
            .counter("portcullis_tls_handshakes", help, &[("kind", kind)], read)?;
    }
    for fault in HandshakeFault::ALL {
        let stats = Arc::clone(server);
        fixtures.metrics.counter(
            "portcullis_tls_handshakes_failed",
            "TLS handshakes that were not completed.",
            &[("reason", fault.as_str())],
            move || stats.handshakes_failed(fault),
        )?;
    }
    Ok(())
}

/// Pools are per worker; what is told is their sum.
fn pools(fixtures: &Fixtures, upstreams: Vec<Arc<UpstreamStats>>) -> Result<(), ReadingError> {
    let metrics = &fixtures.metrics;
    let upstreams: Arc<[Arc<UpstreamStats>]> = upstreams.into();
    let pools = Arc::clone(&upstreams);
    let idle = move || pools.iter().map(|stats| stats.idle() as f64).sum();
    metrics.gauge(
        "portcullis_upstream_connections_idle",
        "Connections to origins kept ready.",
        &[],
        idle,
    )?;
    let counters: [Counter<UpstreamStats>; 5] = [
        (
            "portcullis_upstream_connections_opened",
            "Connections to origins opened.",
            UpstreamStats::opened,
        ),
        (
            "portcullis_upstream_connections_reused",
            "Times a kept connection was used again.",
            UpstreamStats::reused,
        ),
        (
            "portcullis_upstream_connections_failed",
            "Connections to origins that could not be opened.",
            UpstreamStats::failed,
        ),
        (
            "portcullis_upstream_connections_stale",
            "Kept connections found unusable.",
            UpstreamStats::stale,
        ),
        (
            "portcullis_upstream_retries",
            "Requests sent to an origin a second time.",
            UpstreamStats::retried,
        ),
    ];
    for (name, help, read) in counters {
        let pools = Arc::clone(&upstreams);
        metrics.counter(name, help, &[], move || pools.iter().map(|stats| read(stats)).sum())?;
    }
    Ok(())
}

/// A counter of an access log.
#[derive(Clone, Copy)]
enum AccessLogReading {
    Lines,
    Dropped,
    Errors,
}

impl AccessLogReading {
    fn of(self, log: &portcullis_telemetry::AccessLog) -> u64 {
        match self {
            Self::Lines => log.lines(),
            Self::Dropped => log.dropped(),
            Self::Errors => log.write_errors(),
        }
    }
}
