//! TLS towards an origin with a private root.

use std::net::SocketAddr;
use std::sync::Arc;

use portcullis_net::BodyError;
use portcullis_net::upstream::{Origin, OriginError, OriginTls, Roots, TlsFault, TlsSettingsError, UpstreamError};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{HandshakeKind, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::{client, get, read};

/// A certificate authority with one server.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    fn server(&self, name: &str, is_expired: bool) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        if is_expired {
            params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        }
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config
    }
}

/// Answers each request on each connection with `response`; `close` says whether a connection ends there, and how.
async fn serve(config: ServerConfig, response: &'static str, close: Option<Close>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
            let mut head = Vec::new();
            while let Ok(byte) = stream.read_u8().await {
                head.push(byte);
                if head.ends_with(b"\r\n\r\n") {
                    stream.write_all(response.as_bytes()).await.unwrap();
                    stream.flush().await.unwrap();
                    head.clear();
                    match close {
                        None => {}
                        Some(Close::Properly) => {
                            stream.shutdown().await.unwrap();
                            break;
                        }
                        Some(Close::Silently) => break,
                    }
                }
            }
        }
    });
    address
}

#[derive(Clone, Copy)]
enum Close {
    Properly,
    Silently,
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn origin(address: SocketAddr, roots: &str, server_name: Option<&str>) -> Arc<Origin> {
    let tls = OriginTls::new(Roots::Private(roots.as_bytes()), server_name, None).unwrap();
    Arc::new(Origin::https(&address.to_string(), Arc::new(tls)).unwrap())
}

#[tokio::test]
async fn a_private_root_is_trusted_and_the_connection_kept() {
    let authority = Authority::new();
    let address = serve(authority.server("127.0.0.1", false), OK, None).await;
    let (client, target) = (client(), origin(address, &authority.pem(), None));
    for reused in [false, true, true] {
        let answer = client.call(&target, get()).await.unwrap();
        assert_eq!(answer.reused, reused);
        assert_eq!(read(answer.body).await.unwrap(), b"ok");
    }
}

#[tokio::test]
async fn the_wrong_root_name_or_time_is_refused() {
    let (authority, other) = (Authority::new(), Authority::new());
    for (server, roots, server_name, expected) in [
        (authority.server("a.test", false), &authority, Some("a.test"), None),
        (
            authority.server("a.test", false),
            &authority,
            Some("b.test"),
            Some(TlsFault::CertificateForOtherName),
        ),
        (
            authority.server("a.test", false),
            &authority,
            None,
            Some(TlsFault::CertificateForOtherName),
        ),
        (
            authority.server("a.test", false),
            &other,
            Some("a.test"),
            Some(TlsFault::CertificateUntrusted),
        ),
        (
            authority.server("a.test", true),
            &authority,
            Some("a.test"),
            Some(TlsFault::CertificateExpired),
        ),
    ] {
        let address = serve(server, OK, None).await;
        let outcome = client().call(&origin(address, &roots.pem(), server_name), get()).await;
        assert_eq!(outcome.err(), expected.map(UpstreamError::Tls), "{server_name:?}");
    }
    let address = serve(authority.server("127.0.0.1", false), OK, None).await;
    let public = Arc::new(OriginTls::new(Roots::Mozilla, None, None).unwrap());
    let outcome = client()
        .call(&Arc::new(Origin::https(&address.to_string(), public).unwrap()), get())
        .await;
    assert_eq!(outcome.unwrap_err(), UpstreamError::Tls(TlsFault::CertificateUntrusted));
}

#[tokio::test]
async fn sessions_are_resumed() {
    let authority = Authority::new();
    let acceptor = TlsAcceptor::from(Arc::new(authority.server("127.0.0.1", false)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = origin(listener.local_addr().unwrap(), &authority.pem(), None);
    let client = client();
    for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let serve = async {
            let mut stream = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
                .await
                .unwrap();
            stream.flush().await.unwrap();
            stream.get_ref().1.handshake_kind()
        };
        let (kind, answer) = tokio::join!(serve, client.call(&target, get()));
        answer.unwrap();
        // A retried hello is a full handshake too.
        assert_eq!(
            kind == Some(HandshakeKind::Resumed),
            expected == HandshakeKind::Resumed,
            "{kind:?}"
        );
    }
}

#[tokio::test]
async fn an_end_without_close_notify_is_a_broken_body() {
    let authority = Authority::new();
    for (close, expected) in [
        (Close::Properly, Ok(b"all".to_vec())),
        (Close::Silently, Err(BodyError::UpstreamBroken)),
    ] {
        let address = serve(
            authority.server("127.0.0.1", false),
            "HTTP/1.1 200 OK\r\n\r\nall",
            Some(close),
        )
        .await;
        let answer = client()
            .call(&origin(address, &authority.pem(), None), get())
            .await
            .unwrap();
        assert_eq!(read(answer.body).await, expected);
    }
}

#[tokio::test]
async fn what_does_not_speak_tls_fails_the_handshake() {
    let authority = Authority::new();
    let plain = crate::origin::serve(vec![vec![
        crate::origin::Step::Read(5),
        crate::origin::send("HTTP/1.1 400 Bad Request\r\n\r\n"),
        crate::origin::Step::ReadAll,
    ]])
    .await;
    let outcome = client()
        .call(&origin(plain.address, &authority.pem(), None), get())
        .await;
    assert_eq!(outcome.unwrap_err(), UpstreamError::Tls(TlsFault::Handshake));
    let closing = crate::origin::serve(vec![vec![crate::origin::Step::Read(5)]]).await;
    let outcome = client()
        .call(&origin(closing.address, &authority.pem(), None), get())
        .await;
    assert_eq!(outcome.unwrap_err(), UpstreamError::Tls(TlsFault::BrokenOff));
}

#[test]
fn settings_are_checked() {
    let pem = Authority::new().pem();
    assert!(OriginTls::new(Roots::Private(pem.as_bytes()), Some("a.test"), None).is_ok());
    for (roots, name, expected) in [
        ("", None, TlsSettingsError::Roots),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            None,
            TlsSettingsError::Roots,
        ),
        (&*pem, Some("not a name"), TlsSettingsError::ServerName),
    ] {
        assert_eq!(
            OriginTls::new(Roots::Private(roots.as_bytes()), name, None).unwrap_err(),
            expected
        );
    }
    let tls = Arc::new(OriginTls::new(Roots::Mozilla, None, None).unwrap());
    assert!(Origin::https("a_b.test", Arc::clone(&tls)).is_ok());
    assert_eq!(Origin::https("a!b", tls).unwrap_err(), OriginError::ServerName);
}
