//! Whose `X-Forwarded-For` is believed.

use std::net::{IpAddr, SocketAddr};

use http::HeaderValue;
use ipnet::IpNet;

/// How many hops are followed; a longer chain ends at the last of these.
const HOPS_MAX: usize = 64;

/// The networks of proxies in front of the gateway that say truthfully who called them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
}

// === impl TrustedProxies ===

impl TrustedProxies {
    /// Nobody is trusted when `networks` is empty.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self { networks }
    }

    /// Whether `address` is a trusted proxy. An IPv4 address mapped into IPv6 is taken as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(&address))
    }

    /// The client's address: the peer's own, unless the peer is trusted.
    ///
    /// `x_forwarded_for` are the field's values in the order in which they were received. They are read from the right, where each
    /// proxy adds whom it saw, as long as the address that says so is trusted. An entry that is no address ends the chain at the
    /// last good one: what stands left of it was vouched for by nobody known. An entry may carry a port.
    pub fn client_address<'a>(
        &self,
        peer: IpAddr,
        x_forwarded_for: impl DoubleEndedIterator<Item = &'a HeaderValue>,
    ) -> IpAddr {
        let mut client = peer.to_canonical();
        if self.networks.is_empty() {
            return client;
        }
        let entries = x_forwarded_for
            .rev()
            .flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','));
        for entry in entries.take(HOPS_MAX) {
            if !self.contains(client) {
                break;
            }
            match address(entry) {
                Some(address) => client = address,
                None => break,
            }
        }
        client
    }
}

/// `192.0.2.1`, `192.0.2.1:5000`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:5000`.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?.trim_matches([' ', '\t']);
    let bare = || text.parse::<IpAddr>().ok();
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    bare()
        .or_else(bracketed)
        .or_else(with_port)
        .map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(peer: &str, values: &[&str], expected: &str) {
        let trusted = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap(), "2001:db8:1::/48".parse().unwrap()]);
        let values: Vec<HeaderValue> = values
            .iter()
            .map(|value| HeaderValue::from_str(value).unwrap())
            .collect();
        let client = trusted.client_address(peer.parse().unwrap(), values.iter());
        assert_eq!(client, expected.parse::<IpAddr>().unwrap(), "{peer} {values:?}");
        let nobody = TrustedProxies::default().client_address(peer.parse().unwrap(), values.iter());
        assert_eq!(
            nobody,
            peer.parse::<IpAddr>().unwrap().to_canonical(),
            "nobody is trusted"
        );
    }

    #[test]
    fn follows_the_chain_of_trusted_proxies_from_the_right() {
        for (peer, values, expected) in [
            ("198.51.100.1", &["192.0.2.7"][..], "198.51.100.1"), // a stranger's word
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["192.0.2.7"], "192.0.2.7"),
            ("::ffff:10.0.0.1", &["192.0.2.7"], "192.0.2.7"),
            ("10.0.0.1", &["1.1.1.1, 192.0.2.7"], "192.0.2.7"), // what the client itself claimed
            ("10.0.0.1", &["1.1.1.1", "192.0.2.7,10.0.0.2"], "192.0.2.7"),
            ("10.0.0.1", &["10.0.0.3 ,\t10.0.0.2"], "10.0.0.3"),
            ("2001:db8:1::5", &["[2001:db8:2::7]:4711"], "2001:db8:2::7"),
            ("10.0.0.1", &["2001:db8:2::7"], "2001:db8:2::7"),
            ("10.0.0.1", &["[2001:db8:2::7]"], "2001:db8:2::7"),
            ("10.0.0.1", &["192.0.2.7:80"], "192.0.2.7"),
            ("10.0.0.1", &["::ffff:192.0.2.7"], "192.0.2.7"),
            ("10.0.0.1", &["192.0.2.7, unknown"], "10.0.0.1"), // malformed: ends at the last good one
            ("10.0.0.1", &["192.0.2.7, , 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["192.0.2.7, 10.0.0.256, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["192.0.2.7, [10.0.0.9]"], "10.0.0.1"),
        ] {
            check(peer, values, expected);
        }
    }

    #[test]
    fn a_chain_without_end_is_not_followed_to_its_end() {
        let long = vec!["10.0.0.2"; HOPS_MAX].join(",");
        check("10.0.0.1", &[&format!("192.0.2.7,{long}")], "10.0.0.2");
        let fits = vec!["10.0.0.2"; HOPS_MAX - 1].join(",");
        check("10.0.0.1", &[&format!("192.0.2.7,{fits}")], "192.0.2.7");
    }
}
