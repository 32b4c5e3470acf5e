//! The PROXY protocol, version 2: who really called, told by a load balancer in front of the connection.
//!
//! Source: "The PROXY protocol", HAProxy Technologies, section 2.2 (binary header format).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Magic bytes that no HTTP/1.1 request and no TLS record can begin with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family, length.
const FIXED_BYTES: usize = 16;
/// The whole header in bytes. Longer ones are refused though the length field would allow 65,551: every sender's first
/// segment holds 536 bytes.
pub const HEADER_BYTES_MAX: usize = 536;

/// What a header says. Its extensions (TLVs) are skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyHeader {
    /// The load balancer speaks for itself (a health check), or does not know for whom: the socket's addresses hold.
    Local,
    /// It speaks for a client.
    Proxied {
        /// The client's address and port.
        source: SocketAddr,
        /// The address and port that the client connected to.
        destination: SocketAddr,
    },
}

/// Why a connection is closed in place of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyHeaderFault {
    /// A transport other than TCP, or an address family other than IPv4 and IPv6.
    #[error("the PROXY header's address family is not supported")]
    Family,
    /// Longer than [`HEADER_BYTES_MAX`], or too short for its addresses.
    #[error("the PROXY header's length is wrong")]
    Length,
    /// It does not begin as version 2 does.
    #[error("the connection does not begin with a PROXY header, version 2")]
    Signature,
    /// Neither version 2, nor LOCAL or PROXY.
    #[error("the PROXY header's version or command is not supported")]
    Version,
}

/// Reads a header off the front of `input`: it and its length in bytes, or `None` when it is not complete.
///
/// Refuses at the first byte that cannot belong to one, so that nobody is waited for in vain.
pub fn parse(input: &[u8]) -> Result<Option<(ProxyHeader, usize)>, ProxyHeaderFault> {
    let known = input.len().min(SIGNATURE.len());
    if input[..known] != SIGNATURE[..known] {
        return Err(ProxyHeaderFault::Signature);
    }
    let is_local = match input.get(12) {
        Some(0x20) => true,
        Some(0x21) => false,
        Some(_) => return Err(ProxyHeaderFault::Version),
        None => return Ok(None),
    };
    let Some(&[family, high, low]) = input.get(13..FIXED_BYTES) else {
        return Ok(None);
    };
    let length = FIXED_BYTES + usize::from(u16::from_be_bytes([high, low]));
    if length > HEADER_BYTES_MAX {
        return Err(ProxyHeaderFault::Length);
    }
    let addresses_bytes = match family {
        _ if is_local => 0, // the receiver must ignore what follows
        0x00 => 0,          // unspecified: as LOCAL
        0x11 => 12,
        0x21 => 36,
        _ => return Err(ProxyHeaderFault::Family),
    };
    if length - FIXED_BYTES < addresses_bytes {
        return Err(ProxyHeaderFault::Length);
    }
    let Some(body) = input.get(FIXED_BYTES..length) else {
        return Ok(None);
    };
    Ok(Some((addresses(&body[..addresses_bytes]), length)))
}

fn addresses(bytes: &[u8]) -> ProxyHeader {
    if let Some((octets, ports)) = split::<4>(bytes) {
        let [source, destination] = octets.map(|octets| IpAddr::V4(Ipv4Addr::from(octets)));
        return proxied(source, destination, ports);
    }
    if let Some((octets, ports)) = split::<16>(bytes) {
        let [source, destination] = octets.map(|octets| IpAddr::V6(Ipv6Addr::from(octets)).to_canonical());
        return proxied(source, destination, ports);
    }
    ProxyHeader::Local
}

/// Two addresses of `N` bytes and two ports, when `bytes` is exactly that.
fn split<const N: usize>(bytes: &[u8]) -> Option<([[u8; N]; 2], [u16; 2])> {
    let (source, rest) = bytes.split_first_chunk::<N>()?;
    let (destination, rest) = rest.split_first_chunk::<N>()?;
    let ports: [u8; 4] = rest.try_into().ok()?;
    let ports = [
        u16::from_be_bytes([ports[0], ports[1]]),
        u16::from_be_bytes([ports[2], ports[3]]),
    ];
    Some(([*source, *destination], ports))
}

fn proxied(source: IpAddr, destination: IpAddr, [source_port, destination_port]: [u16; 2]) -> ProxyHeader {
    ProxyHeader::Proxied {
        source: SocketAddr::new(source, source_port),
        destination: SocketAddr::new(destination, destination_port),
    }
}

/// Fuzz target: whatever the bytes, the parser agrees with itself on every prefix.
pub fn fuzz_proxy_header(data: &[u8]) {
    let whole = parse(data);
    if let Ok(Some((_, length))) = whole {
        assert!((FIXED_BYTES..=HEADER_BYTES_MAX).contains(&length) && length <= data.len());
        assert_eq!(parse(&data[..length]), whole, "what follows the header does not matter");
    }
    for end in 0..data.len().min(HEADER_BYTES_MAX) {
        match parse(&data[..end]) {
            Ok(None) => {}
            decided => assert_eq!(decided, whole, "a decision is final"),
        }
    }
}

#[cfg(test)]
mod tests;
