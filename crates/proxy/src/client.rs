//! Steps 2 and 6: the client's certificate, looked at on every request and not only at the handshake.

use std::fmt::Write as _;

use portcullis_core::Timestamp;
use portcullis_net::tls::{ClientCertificate, TlsFacts};
use portcullis_policy::{ExtraKeys, KeyValue};
use portcullis_template::{Sink, Variable};

use crate::Rejection;

/// What policies may ask of the client's certificate; nothing where there is none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientKeys<'r>(pub(crate) Option<&'r ClientCertificate>);

/// Step 2: refuses a request for a host at which other clients are let in than on this connection (RFC 9110 section 15.5.20).
pub(crate) fn direct(tls: Option<&TlsFacts>, host: Option<&str>) -> Result<(), Rejection> {
    match (tls, host) {
        (Some(facts), Some(host)) if !facts.admits(host) => Err(Rejection::Misdirected),
        _ => Ok(()),
    }
}

/// Refuses who has shown a certificate that is no good any more, or none where one is required by now.
pub(crate) fn admit(tls: Option<&TlsFacts>, now: Timestamp) -> Result<(), Rejection> {
    match tls {
        None => Ok(()),
        Some(facts) => facts.client_standing(now).map_err(Rejection::ClientCertificate),
    }
}

/// Writes a variable of `$context.identity.clientCert`, if the client has shown a certificate.
pub(crate) fn write(client: Option<&ClientCertificate>, variable: &Variable, sink: &mut Sink<'_>) {
    let Some(client) = client else { return };
    let certificate = client.certificate();
    match variable {
        Variable::IdentityClientCertIssuerDn => sink.text(&certificate.issuer),
        Variable::IdentityClientCertNotAfter => sink.text(&certificate.not_after.to_certificate_date()),
        Variable::IdentityClientCertNotBefore => sink.text(&certificate.not_before.to_certificate_date()),
        Variable::IdentityClientCertPem => sink.text(&client.to_pem()),
        Variable::IdentityClientCertSerialNumber => sink.text(&certificate.serial_number),
        Variable::IdentityClientCertSubjectDn => sink.text(&certificate.subject),
        _ => {} // of something else
    }
}

// === impl ClientKeys ===

impl ExtraKeys for ClientKeys<'_> {
    fn visit(&self, key: &str, visit: &mut dyn FnMut(KeyValue<'_>)) {
        let Some(certificate) = self.0.map(ClientCertificate::certificate) else {
            return;
        };
        match key {
            "portcullis:clientcertissuer" => visit(KeyValue::Text(&certificate.issuer)),
            "portcullis:clientcertnotafter" => visit(KeyValue::Time(certificate.not_after)),
            "portcullis:clientcertserialnumber" => visit(KeyValue::Text(&certificate.serial_number)),
            "portcullis:clientcertsha256" => visit(KeyValue::Text(&hexadecimal(&certificate.sha256))),
            "portcullis:clientcertsubject" => visit(KeyValue::Text(&certificate.subject)),
            _ => {}
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}"); // a String takes everything
    }
    text
}
