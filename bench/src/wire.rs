//! Connections of the load: TCP, or TLS over it.

use std::{fs, net::SocketAddr, path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    client::Resumption,
    crypto::aws_lc_rs::{default_provider, kx_group},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    version::TLS13,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use portcullis_testkit::{Authority, Identity};

use crate::{
    failure::{Failure, Outcome, While as _},
    row::{Row, Way},
};

/// The name in the proxies' certificate.
pub(crate) const NAME: &str = "bench.test";

/// What proxies and load prove themselves with, made for one benchmark.
pub(crate) struct Certificates {
    authority: Authority,
    client: Identity,
}

/// How a connection is made.
#[derive(Clone)]
pub(crate) struct Connector(Option<TlsConnector>);

/// A connection.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Unpin {}

impl<W: AsyncRead + AsyncWrite + Unpin> Wire for W {}

// === impl Certificates ===

impl Certificates {
    /// Makes them and writes what the proxies read: `server.pem`, `server.key`, both in `server-both.pem`, and `clients.pem`.
    pub(crate) fn make(directory: &Path) -> Outcome<Self> {
        let authority = Authority::root("Benchmark");
        let (server, client) = (authority.server(&[NAME]), authority.client("load"));
        let write = |name: &str, text: String| fs::write(directory.join(name), text).doing(format!("writing {name}"));
        write("server.pem", server.chain().to_owned())?;
        write("server.key", server.key().to_owned())?;
        write("server-both.pem", format!("{}{}", server.chain(), server.key()))?;
        write("clients.pem", authority.pem())?;
        Ok(Self { authority, client })
    }

    /// How the connections of a row are made; with `client`, its certificate is shown where the row asks for one.
    ///
    /// TLS 1.3 with X25519 for all: it is what all of them know, and a hybrid with ML-KEM would be measured for the gateway
    /// alone.
    pub(crate) fn connector(&self, row: Row, shows_client: bool) -> Outcome<Connector> {
        let alpn: &[u8] = match row.way() {
            Way::Plain => return Ok(Connector(None)),
            Way::Tls => b"http/1.1",
            Way::Http2 => b"h2",
        };
        let failed = |error: rustls::Error| Failure::new(format!("TLS of the load: {error}"));
        let mut provider = default_provider();
        provider.kx_groups = vec![kx_group::X25519];
        let builder = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&TLS13])
            .map_err(failed)?
            .with_root_certificates(self.roots()?);
        let mut config = match row.is_mutual() && shows_client {
            false => builder.with_no_client_auth(),
            true => {
                let chain = certificates(self.client.chain())?;
                let key = PrivateKeyDer::from_pem_slice(self.client.key().as_bytes());
                let key = key.map_err(|error| Failure::new(format!("the client's key: {error}")))?;
                builder.with_client_auth_cert(chain, key).map_err(failed)?
            }
        };
        config.alpn_protocols = vec![alpn.to_vec()];
        if !row.resumes() {
            config.resumption = Resumption::disabled();
        }
        Ok(Connector(Some(TlsConnector::from(Arc::new(config)))))
    }

    fn roots(&self) -> Outcome<RootCertStore> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&self.authority.pem())? {
            roots
                .add(certificate)
                .map_err(|error| Failure::new(format!("the benchmark's root: {error}")))?;
        }
        Ok(roots)
    }
}

fn certificates(pem: &str) -> Outcome<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| Failure::new(format!("a certificate of the benchmark: {error}")))
}

// === impl Connector ===

impl Connector {
    /// Over TCP alone.
    #[cfg(test)]
    pub(crate) const PLAIN: Self = Self(None);

    /// Opens a connection.
    pub(crate) async fn connect(&self, address: SocketAddr) -> Outcome<Box<dyn Wire>> {
        let stream = TcpStream::connect(address).await.doing("connecting to the proxy")?;
        stream.set_nodelay(true).doing("TCP_NODELAY")?;
        let Some(tls) = &self.0 else {
            return Ok(Box::new(stream));
        };
        let name = ServerName::try_from(NAME).map_err(|error| Failure::new(format!("{NAME}: {error}")))?;
        let stream = tls.connect(name, stream).await.doing("a handshake with the proxy")?;
        Ok(Box::new(stream))
    }
}
