//! `[acme]`: certificates that are obtained and renewed by themselves.

use std::{net::SocketAddr, path::PathBuf};

use portcullis_net::{
    acme::{NAMES_MAX, Proof},
    identity::KeyKind,
};
use portcullis_openapi::document::Located;

use super::section::Section;

/// Certificates of one process at most.
const CERTIFICATES_MAX: usize = 100;
/// Contacts at most.
const CONTACTS_MAX: usize = 10;
/// Words of a hook at most.
const HOOK_WORDS_MAX: usize = 32;
/// A name of the domain name system (RFC 1035 section 2.3.4).
const NAME_BYTES_MAX: usize = 253;
/// A label of it.
const LABEL_BYTES_MAX: usize = 63;
/// The server that is asked unless another is named.
const DIRECTORY: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// `[acme]`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Acme {
    /// The URL of the server's directory.
    pub(crate) directory: Located<String>,
    /// PEM file of the roots that the server's own certificate must chain to, instead of the built-in ones.
    pub(crate) roots: Option<Located<PathBuf>>,
    /// Whom the server may write to: `mailto:ops@example.com`.
    pub(crate) contacts: Vec<String>,
    /// Where `http-01` challenges are answered; reached from outside as port 80.
    pub(crate) http_address: Option<Located<SocketAddr>>,
    /// The certificates.
    pub(crate) certificates: Vec<AcmeCertificate>,
}

/// `[[acme.certificates]]`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AcmeCertificate {
    /// Its names, one at least.
    pub(crate) names: Vec<String>,
    /// Where its chain is written to, for a listener to name.
    pub(crate) certificate: Located<PathBuf>,
    /// Where its key is written to.
    pub(crate) key: Located<PathBuf>,
    /// How control over its names is proved.
    pub(crate) proof: Proof,
    /// The kind of its key (default P-256).
    pub(crate) kind: KeyKind,
    /// Whether the key stays when it is renewed, so that pins stay true (default).
    pub(crate) keep_key: bool,
    /// The command that sets and removes TXT records; empty when a person does.
    pub(crate) dns_hook: Vec<String>,
}

pub(super) fn read(root: &Section<'_>) -> Option<Acme> {
    let section = root.table("acme")?;
    let directory = section.text("directory").unwrap_or_else(|| Located {
        value: DIRECTORY.to_owned(),
        place: section.place.clone(),
    });
    let roots = section.path("roots");
    let contacts = section.texts("contacts", CONTACTS_MAX).unwrap_or_default();
    let agreed = section.flag("agree_to_terms").is_some_and(|found| found.value);
    let http_address = section.address("http_address");
    let tables = section.tables("certificates", CERTIFICATES_MAX);
    let certificates: Vec<_> = tables.iter().filter_map(read_certificate).collect();
    section.finish();

    let refuse = |place, message: String, remedy: &str| section.report.error(place, "acme", message, remedy);
    if !directory.value.starts_with("https://") {
        let message = format!("`{}` is not the URL of an ACME server's directory", directory.value);
        refuse(
            &directory.place,
            message,
            "write `https://…`: the protocol is spoken over TLS alone",
        );
    }
    if !agreed {
        let message = "certificates are issued to those who agree to the terms of the server".to_owned();
        refuse(&section.place, message, "read them, then write `agree_to_terms = true`");
    }
    for contact in &contacts {
        if !contact.value.starts_with("mailto:") || contact.value.chars().any(char::is_whitespace) {
            let message = format!("`{}` is no contact", contact.value);
            refuse(&contact.place, message, "write `mailto:ops@example.com`");
        }
    }
    if section.is_absent_or_empty("certificates") {
        let remedy = "add `[[acme.certificates]]` with `names`, `certificate` and `key`";
        section
            .report
            .missing(&section.place, "`acme` names no certificate", remedy);
    }
    let needs_http = certificates.iter().any(|found| found.proof == Proof::Http01);
    if needs_http && http_address.is_none() && !section.has("http_address") {
        let message = "`http-01` is looked for on port 80, and nothing answers there".to_owned();
        let remedy = "write `http_address = \"0.0.0.0:80\"`, or use `proof = \"dns-01\"`";
        refuse(&section.place, message, remedy);
    }
    Some(Acme {
        directory,
        roots,
        contacts: contacts.into_iter().map(|contact| contact.value).collect(),
        http_address,
        certificates,
    })
}

fn read_certificate(section: &Section<'_>) -> Option<AcmeCertificate> {
    let names = section.required("names", |key| section.texts(key, NAMES_MAX));
    let certificate = section.required("certificate", |key| section.path(key));
    let key = section.required("key", |key| section.path(key));
    let proof = section.text("proof");
    let key_type = section.text("key_type");
    let keep_key = section.flag("keep_key").is_none_or(|found| found.value);
    let hook = section.texts("dns_hook", HOOK_WORDS_MAX);
    section.finish();

    let refuse = |place, message: String, remedy: &str| section.report.error(place, "acme", message, remedy);
    let proof = match proof.as_ref().map(|text| (text.value.as_str(), &text.place)) {
        None | Some(("http-01", _)) => Proof::Http01,
        Some(("dns-01", _)) => Proof::Dns01,
        Some((other, place)) => {
            refuse(
                place,
                format!("`{other}` is no proof that can be given"),
                "write `http-01` or `dns-01`",
            );
            return None;
        }
    };
    let kind = match key_type.as_ref().map(|text| (text.value.as_str(), &text.place)) {
        None | Some(("P-256", _)) => KeyKind::P256,
        Some(("RSA-2048", _)) => KeyKind::Rsa2048,
        Some((other, place)) => {
            let message = format!("`{other}` is no kind of key that is made");
            refuse(place, message, "write `P-256` or `RSA-2048`");
            return None;
        }
    };
    let names = names?;
    if names.is_empty() {
        refuse(
            &section.place,
            "a certificate has one name at least".to_owned(),
            "write `names = [\"api.example.com\"]`",
        );
    }
    for name in &names {
        if let Err(remedy) = check_name(&name.value, proof) {
            refuse(
                &name.place,
                format!("no certificate can be had for `{}`", name.value),
                remedy,
            );
        }
    }
    let dns_hook: Vec<String> = hook.unwrap_or_default().into_iter().map(|word| word.value).collect();
    match (proof, dns_hook.is_empty()) {
        (Proof::Dns01, true) => section.report.warn(
            &section.place,
            "acme-by-hand",
            "nobody sets the TXT record, so this certificate is not renewed by itself",
            "write `dns_hook = [\"/usr/local/bin/dns\"]`, or run `portcullis acme obtain` before it ends, which prints the record",
        ),
        (Proof::Http01, false) => {
            refuse(&section.place, "`dns_hook` is for `dns-01`".to_owned(), "write `proof = \"dns-01\"`, or take it out");
        }
        (Proof::Dns01, false) | (Proof::Http01, true) => {}
    }
    Some(AcmeCertificate {
        names: names.into_iter().map(|name| name.value.to_ascii_lowercase()).collect(),
        certificate: certificate?,
        key: key?,
        proof,
        kind,
        keep_key,
        dns_hook,
    })
}

/// A host name (RFC 1123 section 2.1) of two labels at least, with a wildcard in front where the proof allows that.
fn check_name(name: &str, proof: Proof) -> Result<(), &'static str> {
    let host = match (name.strip_prefix("*."), proof) {
        (Some(host), Proof::Dns01) => host,
        (Some(_), Proof::Http01) => return Err("wildcards are issued for `proof = \"dns-01\"` alone"),
        (None, _) => name,
    };
    let is_label = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_host = host.len() <= NAME_BYTES_MAX && host.contains('.') && host.split('.').all(is_label);
    if !is_host || host.parse::<std::net::IpAddr>().is_ok() {
        return Err("write a public host name like `api.example.com`");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_certificates_are_issued_for() {
        use Proof::{Dns01, Http01};
        for (name, proof, expected) in [
            ("api.example.com", Http01, true),
            ("API.Example.com", Http01, true),
            ("xn--bcher-kva.example", Http01, true),
            ("*.example.com", Dns01, true),
            ("*.example.com", Http01, false),
            ("a.*.example.com", Dns01, false),
            ("localhost", Http01, false),
            ("127.0.0.1", Http01, false),
            ("-a.example.com", Http01, false),
            ("a..com", Http01, false),
            ("b\u{fc}cher.example", Http01, false),
            ("", Http01, false),
        ] {
            assert_eq!(check_name(name, proof).is_ok(), expected, "{name} {proof:?}");
        }
    }
}
