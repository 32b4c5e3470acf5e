//! Addresses to listen on.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    sync::Arc,
};

use portcullis_net::{
    listener::{ListenerSettings, ProxyProtocol},
    server::Listening,
    tls::ServerTls,
};
use portcullis_proxy::BODY_BYTES_MAX;

use crate::{
    config::{Config, Listener},
    failure::Failure,
};

/// Tries every address, so that one that cannot be had is named. The real listeners are bound right after.
/// Those of the sockets that another process handed over are had already.
pub(super) fn probe(config: &Config, inherited: &[Listening]) -> Result<(), Failure> {
    let addresses = config
        .listeners
        .iter()
        .map(|listener| &listener.address)
        .chain(&config.metrics);
    let is_had = |address: &SocketAddr| inherited.iter().any(|socket| socket.address == *address);
    for address in addresses
        .map(|address| address.value)
        .filter(|address| !is_had(address))
    {
        TcpListener::bind(address).map_err(|error| Failure::Bind(address, error))?;
    }
    Ok(())
}

/// What to do when an address cannot be had.
pub(crate) fn remedy(address: SocketAddr, error: &io::Error) -> String {
    let port = address.port();
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "another process listens on port {port} (`ss -ltnp 'sport = :{port}'` shows which): end it, or listen elsewhere, as in `--listen {}`",
            SocketAddr::new(address.ip(), port.checked_add(1).unwrap_or(8080))
        ),
        io::ErrorKind::AddrNotAvailable => {
            "this machine does not have that address; `0.0.0.0` stands for all it has".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need the right to bind them (CAP_NET_BIND_SERVICE); choose a higher one".to_owned()
        }
        _ => "choose another address".to_owned(),
    }
}

/// A listener as the server takes it.
pub(super) fn settings(listener: &Listener, tls: Option<Arc<ServerTls>>) -> ListenerSettings {
    let Listener {
        address,
        tls: written,
        proxy_protocol,
        http2,
        http2_streams_max,
        requests_in_flight_max,
        connections_max,
        connections_per_source_max,
        head_timeout,
        body_idle_timeout,
        write_idle_timeout,
        keep_alive_timeout,
        trusted_proxies: _, // the data plane's business: the server knows no header fields
    } = listener;
    let proxy_protocol = proxy_protocol
        .clone()
        .map_or(ProxyProtocol::Off, |from| ProxyProtocol::Required { from });
    let defaults = ListenerSettings::new(address.value);
    ListenerSettings {
        handshake_timeout: written
            .as_ref()
            .map_or(defaults.handshake_timeout, |tls| tls.handshake_timeout),
        handshakes_max: written
            .as_ref()
            .map_or(defaults.handshakes_max, |tls| tls.handshakes_max),
        tls,
        proxy_protocol,
        http2: *http2,
        http2_streams_max: *http2_streams_max,
        requests_in_flight_max: *requests_in_flight_max,
        connections_max: *connections_max,
        connections_per_source_max: *connections_per_source_max,
        body_bytes_max: BODY_BYTES_MAX,
        head_timeout: *head_timeout,
        idle_timeout: *keep_alive_timeout,
        body_idle_timeout: *body_idle_timeout,
        write_idle_timeout: *write_idle_timeout,
        ..defaults
    }
}

/// How a client on this machine calls an address: one that stands for all is called by the loopback.
pub(super) fn url(scheme: &str, address: SocketAddr) -> String {
    let host = match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        host => host,
    };
    format!("{scheme}://{}", SocketAddr::new(host, address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_called_by_what_a_client_can_reach() {
        for (address, expected) in [
            ("127.0.0.1:1", "http://127.0.0.1:1"),
            ("0.0.0.0:1", "http://127.0.0.1:1"),
            ("[::]:1", "http://[::1]:1"),
            ("[2001:db8::1]:1", "http://[2001:db8::1]:1"),
        ] {
            assert_eq!(url("http", address.parse().unwrap()), expected);
        }
    }
}
