//! Values of a section that are more than text: paths, addresses, networks.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use ipnet::IpNet;
use portcullis_openapi::document::Located;

use super::section::Section;

impl Section<'_> {
    pub(super) fn path(&self, key: &'static str) -> Option<Located<PathBuf>> {
        self.as_path(key, self.text(key)?)
    }

    pub(super) fn paths(&self, key: &'static str, max: usize) -> Option<Vec<Located<PathBuf>>> {
        let texts = self.texts(key, max)?;
        let paths: Vec<_> = texts.into_iter().map(|text| self.as_path(key, text)).collect();
        paths.into_iter().collect() // after all have been looked at
    }

    fn as_path(&self, key: &str, text: Located<String>) -> Option<Located<PathBuf>> {
        if text.value.is_empty() || text.value.contains('\0') {
            let message = format!("`{}` is not a path", self.full(key));
            self.report.error(
                &text.place,
                "bad-path",
                message,
                "write a path relative to this file, or an absolute one",
            );
            return None;
        }
        Some(Located {
            value: self.report.relative(&text.value),
            place: text.place,
        })
    }

    pub(super) fn address(&self, key: &'static str) -> Option<Located<SocketAddr>> {
        let text = self.text(key)?;
        match text.value.parse() {
            Ok(value) => Some(Located {
                value,
                place: text.place,
            }),
            Err(_) => {
                let message = format!("`{}` is not an address and a port", text.value);
                self.report
                    .error(&text.place, "bad-address", message, address_remedy(&text.value));
                None
            }
        }
    }

    pub(super) fn networks(&self, key: &'static str, max: usize) -> Option<Vec<Located<IpNet>>> {
        let texts = self.texts(key, max)?;
        let networks: Vec<_> = texts.into_iter().map(|text| self.as_network(text)).collect();
        networks.into_iter().collect() // after all have been looked at
    }

    fn as_network(&self, text: Located<String>) -> Option<Located<IpNet>> {
        let Located { value, place } = text;
        let parsed = value
            .parse::<IpNet>()
            .ok()
            .or_else(|| value.parse::<IpAddr>().ok().map(IpNet::from));
        match parsed {
            Some(network) if network.trunc() == network => Some(Located { value: network, place }),
            Some(network) => {
                let message = format!("`{value}` has bits set behind its prefix");
                self.report.error(
                    &place,
                    "bad-network",
                    message,
                    format!("did you mean `{}`?", network.trunc()),
                );
                None
            }
            None => {
                let message = format!("`{value}` is not a network");
                self.report.error(
                    &place,
                    "bad-network",
                    message,
                    "write an address and a prefix length, as in `10.0.0.0/8`",
                );
                None
            }
        }
    }
}

fn address_remedy(written: &str) -> String {
    match written.rsplit_once(':') {
        Some(("" | "*", port)) if port.parse::<u16>().is_ok() => {
            format!("for every interface: `0.0.0.0:{port}` or `[::]:{port}`")
        }
        Some(("localhost", port)) if port.parse::<u16>().is_ok() => {
            format!("names are not looked up: `127.0.0.1:{port}`")
        }
        _ if written.parse::<IpAddr>().is_ok() => "add a port, as in `127.0.0.1:8080`".to_owned(),
        _ => "write an IP address and a port, as in `127.0.0.1:8080` or `[::1]:8080`".to_owned(),
    }
}
