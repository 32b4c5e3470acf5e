//! `x-amazon-apigateway-cors`: entries to what is compared and sent.

use http::{HeaderName, HeaderValue};
use portcullis_core::{Findings, Verb};
use portcullis_openapi::document::{self, Located};

use crate::cors::{Cors, Origins};

/// Compiles; `None` after an error.
pub(super) fn compile(given: &document::Cors, findings: &mut Findings) -> Option<Cors> {
    if given.allow_origins.is_empty() {
        let message = "`x-amazon-apigateway-cors` allows no origin, so that it has no effect";
        let remedy = "name them in `allowOrigins`, or take it out";
        findings.error(given.place.clone(), "cors-origin", message, remedy);
    }
    for origin in &given.allow_origins {
        if let Err(remedy) = check_origin(&origin.value) {
            let message = format!("no browser sends `{}` as its origin", origin.value);
            findings.error(origin.place.clone(), "cors-origin", message, remedy);
        }
    }
    for method in given.allow_methods.iter().filter(|method| !is_method(&method.value)) {
        let message = format!("`{}` is no method that can be allowed", method.value);
        let remedy = "write one of DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, in capitals, or `*`";
        findings.error(method.place.clone(), "cors-method", message, remedy);
    }
    for name in given.allow_headers.iter().chain(&given.expose_headers) {
        if name.value != "*" && HeaderName::try_from(name.value.as_str()).is_err() {
            let message = format!("`{}` is no header's name", name.value);
            findings.error(name.place.clone(), "cors-header", message, "write a name, or `*`");
        }
    }
    if given.allow_credentials {
        check_credentials(given, findings);
    }
    if findings.has_errors() {
        return None;
    }
    Some(Cors {
        origins: origins(&given.allow_origins),
        allow_methods: joined(&given.allow_methods),
        allow_headers: joined(&given.allow_headers),
        expose_headers: joined(&given.expose_headers),
        max_age: given.max_age_s.map(HeaderValue::from),
        allow_credentials: given.allow_credentials,
    })
}

/// With credentials, browsers take `*` for everyone as a refusal, and elsewhere as a name like any other (Fetch standard,
/// section 3.3.5).
fn check_credentials(given: &document::Cors, findings: &mut Findings) {
    if let Some(any) = given.allow_origins.iter().find(|origin| origin.value == "*") {
        let message = "every origin is allowed to send credentials, which no browser accepts";
        let remedy = "name the origins, or take `allowCredentials` out";
        findings.error(any.place.clone(), "cors-credentials", message, remedy);
    }
    if let Some(wide) = given.allow_origins.iter().find(|origin| origin.value.ends_with("://*")) {
        let message = format!(
            "whoever has a page at `{}` may act with the credentials of its visitors",
            wide.value
        );
        findings.warn(wide.place.clone(), "cors-wide", message, "name the origins");
    }
    for list in [&given.allow_methods, &given.allow_headers, &given.expose_headers] {
        if let Some(any) = list.iter().find(|entry| entry.value == "*") {
            let message = "with `allowCredentials`, browsers do not take `*` for everything";
            findings.warn(any.place.clone(), "cors-literal", message, "write the names out");
        }
    }
}

/// What a browser may send as its origin, `*`, or `https://*`; otherwise what to write instead.
fn check_origin(text: &str) -> Result<(), &'static str> {
    if text == "*" {
        return Ok(());
    }
    if text == "null" {
        return Err("take it out: every sandboxed page and local file sends `null`");
    }
    let Some((scheme, authority)) = text.split_once("://") else {
        return Err("write scheme and host, as in `https://www.example.com`");
    };
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte));
    if !is_scheme || authority.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err("write it in small letters: origins are compared byte by byte");
    }
    if authority == "*" {
        return Ok(());
    }
    if authority.contains(['/', '?', '#', '@']) {
        return Err("write scheme, host and port alone: an origin has no path and no slash at its end");
    }
    if authority.contains('*') {
        return Err("a wildcard stands for everything: `*`, `https://*` or `http://*`; name the hosts otherwise");
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !authority.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let is_host = !host.is_empty()
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte))
        && (host.starts_with('[') || !host.contains(':'));
    if !is_host {
        return Err("write a host name as browsers do, with `xn--…` labels, as in `https://www.example.com`");
    }
    match (scheme, port) {
        ("https", Some("443")) | ("http", Some("80")) => {
            Err("leave the port out: browsers do not send the scheme's own")
        }
        (_, Some(port)) if !port.parse::<u16>().is_ok_and(|number| number.to_string() == port) => {
            Err("write a port from 1 to 65535, as in `http://localhost:3000`")
        }
        (_, Some(_) | None) => Ok(()),
    }
}

fn is_method(text: &str) -> bool {
    text == "*" || Verb::parse(text).is_some()
}

fn origins(entries: &[Located<String>]) -> Origins {
    if entries.iter().any(|entry| entry.value == "*") {
        return Origins::Any;
    }
    let (mut exact, mut schemes) = (Vec::new(), Vec::new());
    for Located { value, .. } in entries {
        match value.strip_suffix("://*") {
            Some(scheme) => schemes.push(scheme.into()),
            None => exact.push(value.as_str().into()),
        }
    }
    Origins::Listed { exact, schemes }
}

fn joined(entries: &[Located<String>]) -> Option<HeaderValue> {
    let names: Vec<_> = entries.iter().map(|entry| entry.value.as_str()).collect();
    HeaderValue::try_from(names.join(","))
        .ok()
        .filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use portcullis_core::Place;

    use super::*;

    #[test]
    fn an_origin_is_what_a_browser_sends() {
        for good in [
            "*",
            "https://*",
            "http://*",
            "https://www.example.com",
            "http://localhost:3000",
            "https://[::1]:8443",
            "http://[::1]",
            "capacitor://localhost",
            "chrome-extension://abcdef",
        ] {
            assert_eq!(check_origin(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "null",
            "www.example.com",
            "https://",
            "https://www.example.com/",
            "https://www.example.com/app",
            "https://*.example.com",
            "https://www.Example.com",
            "HTTPS://www.example.com",
            "https://www.example.com:443",
            "http://www.example.com:80",
            "https://www.example.com:0443",
            "https://www.example.com:99999",
            "https://user@www.example.com",
            "https://bücher.example",
            "https://a:b:c",
        ] {
            assert!(check_origin(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn origins_are_compared_whole() {
        let cors = |entries: &[&str]| {
            let located = |text: &&str| Located {
                value: (*text).to_owned(),
                place: Place::whole("t"),
            };
            let allow_origins: Vec<_> = entries.iter().map(located).collect();
            let given = document::Cors {
                place: Place::whole("t"),
                allow_origins,
                allow_methods: Vec::new(),
                allow_headers: Vec::new(),
                expose_headers: Vec::new(),
                max_age_s: None,
                allow_credentials: false,
            };
            compile(&given, &mut Findings::new()).unwrap()
        };
        let check = |entries: &[&str], origin: &'static str, expected: Option<&str>| {
            let allowed = cors(entries).allowed_origin(&HeaderValue::from_static(origin));
            assert_eq!(
                allowed.as_ref().map(|value| value.to_str().unwrap()),
                expected,
                "{entries:?} {origin}"
            );
        };
        let listed = ["https://www.example.com", "http://localhost:3000"];
        check(&listed, "https://www.example.com", Some("https://www.example.com"));
        check(&listed, "http://localhost:3000", Some("http://localhost:3000"));
        for other in [
            "http://www.example.com",
            "https://example.com",
            "https://www.example.com.evil.example",
            "https://www.example.com:8443",
            "https://evil.example/https://www.example.com",
            "http://localhost",
            "null",
            "",
        ] {
            check(&listed, other, None);
        }
        check(
            &["https://*"],
            "https://any.example:8443",
            Some("https://any.example:8443"),
        );
        check(&["https://*"], "http://any.example", None);
        check(&["https://*"], "https://", None);
        check(&["https://*"], "httpss://any.example", None);
        check(&["*"], "https://any.example", Some("*"));
        check(&["https://www.example.com", "*"], "null", Some("*"));
        assert!(!cors(&["*"]).depends_on_origin() && cors(&["https://*"]).depends_on_origin());
    }
}
