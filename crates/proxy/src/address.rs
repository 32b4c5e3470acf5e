//! An IP address as text, without an allocation and, for IPv4, without the formatter: it is written twice a request.

use std::{io::Write as _, net::IpAddr};

/// The longest text of an IPv6 address, one that ends like an IPv4 address (RFC 4291 section 2.2).
const BYTES_MAX: usize = 45;

/// An address as `Display` writes it.
pub(crate) struct AddressText {
    bytes: [u8; BYTES_MAX],
    length: usize,
}

// === impl AddressText ===

impl AddressText {
    pub(crate) fn new(address: IpAddr) -> Self {
        let mut text = Self {
            bytes: [0; BYTES_MAX],
            length: 0,
        };
        match address {
            IpAddr::V4(address) => {
                for (index, octet) in address.octets().into_iter().enumerate() {
                    if index > 0 {
                        text.push(b'.');
                    }
                    text.push_octet(octet);
                }
            }
            IpAddr::V6(address) => {
                let mut rest = text.bytes.as_mut_slice();
                let fits = write!(rest, "{address}").is_ok(); // always: see BYTES_MAX
                text.length = if fits { BYTES_MAX - rest.len() } else { 0 };
            }
        }
        text
    }

    /// All of ASCII.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    fn push_octet(&mut self, octet: u8) {
        if octet >= 100 {
            self.push(b'0' + octet / 100);
        }
        if octet >= 10 {
            self.push(b'0' + octet / 10 % 10);
        }
        self.push(b'0' + octet % 10);
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_the_formatter_writes_it() {
        for text in [
            "0.0.0.0",
            "9.10.99.100",
            "255.255.255.255",
            "::",
            "::1",
            "2001:db8::7",
            "::ffff:192.0.2.128",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ] {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(AddressText::new(address).as_bytes(), address.to_string().as_bytes());
        }
    }
}
