//! A real ACME server, with a name server of its own: Pebble.

use std::{
    fs,
    net::{SocketAddr, UdpSocket},
    process::Command,
};

use tempfile::TempDir;

use crate::{Child, ReservedPort, Stream};

/// A running ACME server (RFC 8555) that takes every name to 127.0.0.1.
#[derive(Debug)]
pub struct Pebble {
    _server: Child,
    _names: Child,
    port: ReservedPort,
    management: ReservedPort,
    names: SocketAddr,
    _directory: TempDir,
}

// === impl Pebble ===

impl Pebble {
    /// Starts it with a certificate for 127.0.0.1 and its key, both PEM. It looks for `http-01` on `http_port`, the 80 of this
    /// world. `certificates_last_s` is how long those are valid that it issues.
    #[track_caller]
    pub fn start(certificate: &str, key: &str, http_port: u16, certificates_last_s: u64) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let [port, management, names_management] = [(); 3].map(|()| ReservedPort::new());
        let file = |name: &str, text: &str| fs::write(directory.path().join(name), text).expect("a file of ours");
        file("certificate.pem", certificate);
        file("key.pem", key);
        file(
            "pebble.json",
            &format!(
                "{{\"pebble\": {{\"listenAddress\": \"{}\", \"managementListenAddress\": \"{}\", \"certificate\": \
                 \"certificate.pem\", \"privateKey\": \"key.pem\", \"httpPort\": {http_port}, \"tlsPort\": 1, \
                 \"certificateValidityPeriod\": {certificates_last_s}}}}}",
                port.address(),
                management.address()
            ),
        );
        let dns = free_udp();
        let mut names = Command::new("pebble-challtestsrv");
        names.args([
            "-dns01",
            &dns.to_string(),
            "-http01",
            "",
            "-https01",
            "",
            "-tlsalpn01",
            "",
        ]);
        names.args([
            "-management",
            &names_management.address().to_string(),
            "-defaultIPv6",
            "",
        ]);
        let names = Child::start(names, INSTALL);
        names.wait_for_line(Stream::Stdout, 0, |line| line.contains("Starting management server"));
        let mut server = Command::new("pebble");
        server
            .args(["-config", "pebble.json", "-dnsserver", &dns.to_string()])
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_WFE_NONCEREJECT", "0") // at random it would refuse a nonce three times in a row one day
            .current_dir(directory.path());
        let server = Child::start(server, INSTALL);
        server.wait_for_line(Stream::Stdout, 0, |line| line.contains("Listening on"));
        Self {
            _server: server,
            _names: names,
            port,
            management,
            names: names_management.address(),
            _directory: directory,
        }
    }

    /// The URL of its directory.
    pub fn directory(&self) -> String {
        format!("https://{}/dir", self.port.address())
    }

    /// Where a TXT record is set: a POST of `{"host": "_acme-challenge.a.test.", "value": "…"}` to `/set-txt`, and of the host
    /// alone to `/clear-txt`.
    pub fn names(&self) -> SocketAddr {
        self.names
    }

    /// The URL of the root of what it issues, as PEM.
    pub fn root(&self) -> String {
        format!("https://{}/roots/0", self.management.address())
    }
}

const INSTALL: &str = "run ./test, which installs pebble";

/// An address that was free a moment ago: name servers do not share theirs.
fn free_udp() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free loopback port");
    socket.local_addr().expect("its address")
}
