//! Origins that speak TLS: verified against the roots that the stage names.

use portcullis_testkit::Nginx;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::support::Setup;

/// A private certification authority.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn root(&self) -> String {
        self.0.pem()
    }

    /// An origin that proves to be `name`.
    fn origin(&self, name: &str) -> Nginx {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Nginx::serving("/a.txt", "secure")
            .tls(&certificate.pem(), &key.serialize_pem())
            .with("ssl_protocols TLSv1.2 TLSv1.3; add_header X-Protocol $ssl_protocol;")
            .start()
    }
}

/// The status and body of a call to `origin`, trusting `roots`.
fn call(origin: &Nginx, host: &str, roots: Option<String>) -> (u16, String) {
    let setup = Setup::open(format!("{host}:{}", origin.address().port())).in_document("uri: http:", "uri: https:");
    let setup = match roots {
        Some(roots) => setup
            .in_config("name = \"TEST\"", "name = \"TEST\"\norigin_roots = \"roots.pem\"")
            .file("roots.pem", roots),
        None => setup,
    };
    let running = setup.start();
    let answer = running.call("/a.txt", &[]);
    if answer.status == 200 {
        assert_eq!(answer.header("x-protocol"), Some("TLSv1.3"));
    }
    running.stop();
    (answer.status, answer.text().to_owned())
}

#[test]
fn an_origin_is_verified_against_the_roots_of_its_stage() {
    let authority = Authority::new();
    let accepted = (200, "secure".to_owned());
    let refused = (
        504,
        "{\"message\":\"Network error communicating with endpoint\"}".to_owned(),
    );
    let origin = authority.origin("127.0.0.1");
    assert_eq!(call(&origin, "127.0.0.1", Some(authority.root())), accepted);
    assert_eq!(
        call(&origin, "127.0.0.1", None),
        refused,
        "the built-in roots do not know it"
    );
    assert_eq!(
        call(&origin, "127.0.0.1", Some(Authority::new().root())),
        refused,
        "nor do others"
    );
    assert_eq!(
        call(&origin, "localhost", Some(authority.root())),
        refused,
        "it is another's certificate"
    );
    let several = Authority::new().root() + &authority.root();
    assert_eq!(
        call(&origin, "127.0.0.1", Some(several)),
        accepted,
        "one of several roots is enough"
    );
    assert_eq!(
        call(&authority.origin("localhost"), "localhost", Some(authority.root())),
        accepted
    );
    // Nothing but TLS is spoken to an https origin.
    let plain = Nginx::serving("/a.txt", "plain").start();
    assert_eq!(call(&plain, "127.0.0.1", Some(authority.root())), refused);
}

#[test]
fn roots_that_cannot_be_used_are_named() {
    for roots in ["no certificate", ""] {
        let setup = Setup::open("127.0.0.1:9")
            .in_document("uri: http:", "uri: https:")
            .in_config("name = \"TEST\"", "name = \"TEST\"\norigin_roots = \"roots.pem\"");
        let place = setup.file("roots.pem", roots).written();
        let reason = "stage `TEST` of `proxy`: TLS to 127.0.0.1:9 cannot be set up: the root certificates are not PEM certificates";
        let checked = place.run(&["check"]);
        checked
            .expect(1, "1 error", reason)
            .expect(1, "", "mend `origin_roots`");
        place.run(&["serve"]).expect(2, "", reason);
    }
}
