//! URIs of integrations: `http://${stageVariables.origin}/pets/{id}?full=true`.
//!
//! Stage variables are filled in once, when a stage is compiled; path parameters per request. The authority holds no path
//! parameters: a caller never chooses whom the gateway connects to.

use std::{borrow::Cow, collections::BTreeMap};

use crate::shown::shown;

/// Bytes of a URI at most.
pub const URI_BYTES_MAX: usize = 8 * 1024;

/// A URI as a document writes it, with its stage variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UriTemplate {
    text: String,
}

/// A URI whose stage variables are filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginUri {
    scheme: Scheme,
    host: String,
    port: u16,
    path: Vec<Piece>,
    query: Vec<Piece>,
}

/// How an origin is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain.
    Http,
    /// Over TLS.
    Https,
}

/// Why a text is no URI of an integration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// A character that cannot stand in a URI.
    #[error("the character {0:?} cannot stand in a URI: percent-encode it")]
    Character(char),
    /// A fragment.
    #[error("a fragment (`#…`) is never sent: drop it")]
    Fragment,
    /// The host is missing or malformed.
    #[error("`{0}` is no host")]
    Host(String),
    /// A path parameter in the authority.
    #[error("a path parameter cannot be a part of the host: a caller would choose whom the gateway connects to")]
    ParameterInHost,
    /// The port is no number from 1 to 65535.
    #[error("`{0}` is no port")]
    Port(String),
    /// Neither `http://` nor `https://`.
    #[error("it begins with neither `http://` nor `https://`")]
    Scheme,
    /// A stage variable that the stage does not have, or that is empty.
    #[error("the stage variable `{0}` is not set")]
    StageVariable(String),
    /// The name of a stage variable.
    #[error("`{0}` is no name of a stage variable: letters, digits and underscores, 64 at most")]
    StageVariableName(String),
    /// Too long.
    #[error("it is longer than {URI_BYTES_MAX} bytes")]
    TooLong,
    /// `{` without `}`, or an empty or nested name.
    #[error("a `{{parameter}}` is not closed, empty or nested")]
    Unbalanced,
    /// User and password.
    #[error("a user name in a URI is not sent: map an `Authorization` header instead")]
    UserInfo,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    Parameter(Box<str>),
}

const VARIABLE: &str = "${stageVariables.";

// === impl UriTemplate ===

impl UriTemplate {
    /// Reads a template; what depends on stage variables is checked by [`UriTemplate::resolve`].
    pub fn parse(text: &str) -> Result<Self, UriError> {
        if text.len() > URI_BYTES_MAX {
            return Err(UriError::TooLong);
        }
        let template = Self { text: text.to_owned() };
        // Read once with a harmless text in each variable's place, so that errors beside variables show at once.
        let probe = template.substitute(&|name| {
            crate::mapping::check_stage_variable(name).map_err(|_| UriError::StageVariableName(shown(name)))?;
            Ok(Cow::Borrowed("9"))
        })?;
        if !text.starts_with(VARIABLE) {
            OriginUri::parse(&probe)?;
        }
        Ok(template)
    }

    /// The names of its stage variables.
    pub fn stage_variables(&self) -> impl Iterator<Item = &str> {
        self.text
            .split(VARIABLE)
            .skip(1)
            .filter_map(|rest| rest.split_once('}'))
            .map(|(name, _)| name)
    }

    /// Fills the stage variables in. One that is missing or empty is an error: it would silently change whom or what the
    /// integration calls.
    pub fn resolve(&self, variables: &BTreeMap<String, String>) -> Result<OriginUri, UriError> {
        let text = self.substitute(&|name| {
            let value = variables.get(name).filter(|value| !value.is_empty());
            value
                .map(|value| Cow::Borrowed(value.as_str()))
                .ok_or_else(|| UriError::StageVariable(name.to_owned()))
        })?;
        OriginUri::parse(&text)
    }

    fn substitute<'v>(&self, value: &dyn Fn(&str) -> Result<Cow<'v, str>, UriError>) -> Result<String, UriError> {
        let mut out = String::with_capacity(self.text.len());
        let mut rest = self.text.as_str();
        while let Some((before, behind)) = rest.split_once(VARIABLE) {
            let (name, after) = behind.split_once('}').ok_or(UriError::Unbalanced)?;
            out.push_str(before);
            out.push_str(&value(name)?);
            rest = after;
        }
        out.push_str(rest);
        if out.len() > URI_BYTES_MAX {
            Err(UriError::TooLong)
        } else {
            Ok(out)
        }
    }
}

// === impl OriginUri ===

impl OriginUri {
    /// Reads a URI without stage variables.
    pub fn parse(text: &str) -> Result<Self, UriError> {
        let (scheme, rest) = match (strip_scheme(text, "http://"), strip_scheme(text, "https://")) {
            (Some(rest), _) => (Scheme::Http, rest),
            (_, Some(rest)) => (Scheme::Https, rest),
            (None, None) => return Err(UriError::Scheme),
        };
        if rest.contains('#') {
            return Err(UriError::Fragment);
        }
        if let Some(wrong) = rest.chars().find(|letter| !is_uri_char(*letter)) {
            return Err(UriError::Character(wrong));
        }
        let authority_end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(authority_end);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let (host, port) = parse_authority(authority, scheme)?;
        let path = if path.is_empty() { "/" } else { path };
        Ok(Self {
            scheme,
            host,
            port,
            path: pieces(path)?,
            query: pieces(query)?,
        })
    }

    /// How to speak to the origin.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host: a name, or an address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, the scheme's own when none is written.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The names of the path parameters in it.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.path.iter().chain(&self.query).filter_map(|piece| match piece {
            Piece::Parameter(name) => Some(&**name),
            Piece::Text(_) => None,
        })
    }

    /// Appends the path. `parameter` gives values as they are to stand in a path: already percent-encoded. `false` when one
    /// of them is missing.
    pub fn write_path<'v>(&self, parameter: &dyn Fn(&str) -> Option<Cow<'v, str>>, out: &mut String) -> bool {
        self.path.iter().all(|piece| match piece {
            Piece::Text(text) => {
                out.push_str(text);
                true
            }
            Piece::Parameter(name) => parameter(name).map(|value| out.push_str(&value)).is_some(),
        })
    }

    /// Whether the URI has a query of its own.
    pub fn has_query(&self) -> bool {
        !self.query.is_empty()
    }

    /// Appends the query without its question mark. Values come percent-encoded for a path; what would end a query value is
    /// encoded as well. `false` when one is missing.
    pub fn write_query<'v>(&self, parameter: &dyn Fn(&str) -> Option<Cow<'v, str>>, out: &mut String) -> bool {
        self.query.iter().all(|piece| match piece {
            Piece::Text(text) => {
                out.push_str(text);
                true
            }
            Piece::Parameter(name) => parameter(name).map(|value| encode_into(&value, true, out)).is_some(),
        })
    }
}

/// Percent-encodes text so that it is one path segment or one query value, whoever splits it.
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    encode_into(text, false, &mut out);
    out
}

fn encode_into(text: &str, keep_escapes: bool, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        let unreserved = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if unreserved || (keep_escapes && byte == b'%') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

/// Schemes are case-insensitive (RFC 3986 section 3.1).
fn strip_scheme<'t>(text: &'t str, scheme: &str) -> Option<&'t str> {
    let head = text.get(..scheme.len())?;
    head.eq_ignore_ascii_case(scheme).then(|| &text[scheme.len()..])
}

/// RFC 3986 sections 2.2 and 2.3, the percent sign, and the braces of parameters.
fn is_uri_char(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "-._~:/?@!$&'()*+,;=%{}[]".contains(letter)
}

fn parse_authority(authority: &str, scheme: Scheme) -> Result<(String, u16), UriError> {
    if authority.contains(['{', '}']) {
        return Err(UriError::ParameterInHost);
    }
    if authority.contains('@') {
        return Err(UriError::UserInfo);
    }
    let default = match scheme {
        Scheme::Http => 80,
        Scheme::Https => 443,
    };
    let bad_host = || UriError::Host(shown(authority));
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']').ok_or_else(bad_host)?;
            address.parse::<std::net::Ipv6Addr>().map_err(|_| bad_host())?;
            let port = if after.is_empty() {
                None
            } else {
                Some(after.strip_prefix(':').ok_or_else(bad_host)?)
            };
            (address, port)
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let is_address = authority.starts_with('[');
    if !is_address && (host.is_empty() || host.len() > 253 || !host.bytes().all(name)) {
        return Err(bad_host());
    }
    let port = match port {
        None => default,
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => port
            .parse::<u16>()
            .ok()
            .filter(|port| *port > 0)
            .ok_or_else(|| UriError::Port(shown(port)))?,
        Some(port) => return Err(UriError::Port(shown(port))),
    };
    Ok((host.to_ascii_lowercase(), port))
}

fn pieces(text: &str) -> Result<Vec<Piece>, UriError> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('{') {
        let (name, after) = behind.split_once('}').ok_or(UriError::Unbalanced)?;
        let name = name.strip_suffix('+').unwrap_or(name);
        if name.is_empty() || name.contains('{') || before.contains('}') {
            return Err(UriError::Unbalanced);
        }
        if !before.is_empty() {
            pieces.push(Piece::Text(before.into()));
        }
        pieces.push(Piece::Parameter(name.into()));
        rest = after;
    }
    if rest.contains('}') {
        return Err(UriError::Unbalanced);
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.into()));
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn resolve(text: &str, variables: &[(&str, &str)]) -> Result<OriginUri, UriError> {
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        UriTemplate::parse(text)?.resolve(&variables)
    }

    fn render(uri: &OriginUri) -> String {
        let value = |name: &str| (name != "missing").then_some(Cow::Borrowed("a/b%2F&c"));
        let mut out = String::new();
        if !uri.write_path(&value, &mut out) {
            return "missing".to_owned();
        }
        if uri.has_query() {
            out.push('?');
            uri.write_query(&value, &mut out);
        }
        out
    }

    #[test]
    fn reads_and_renders() {
        type Variables = &'static [(&'static str, &'static str)];
        let cases: [(&str, Variables, Scheme, &str, u16, &str); 9] = [
            ("http://o/{proxy}", &[], Scheme::Http, "o", 80, "/a/b%2F&c"),
            ("https://O.Example:8443", &[], Scheme::Https, "o.example", 8443, "/"),
            (
                "HTTPS://o?x={id}&y=1",
                &[],
                Scheme::Https,
                "o",
                443,
                "/?x=a%2Fb%2F%26c&y=1",
            ),
            (
                "http://${stageVariables.origin}/{proxy}",
                &[("origin", "127.0.0.1:9000")],
                Scheme::Http,
                "127.0.0.1",
                9000,
                "/a/b%2F&c",
            ),
            (
                "${stageVariables.all}",
                &[("all", "https://o/v2/{x}")],
                Scheme::Https,
                "o",
                443,
                "/v2/a/b%2F&c",
            ),
            (
                "http://o/${stageVariables.v}/{p+}/",
                &[("v", "v1")],
                Scheme::Http,
                "o",
                80,
                "/v1/a/b%2F&c/",
            ),
            ("http://[::1]:9000/a", &[], Scheme::Http, "::1", 9000, "/a"),
            ("http://o/{missing}", &[], Scheme::Http, "o", 80, "missing"),
            ("http://o/a?", &[], Scheme::Http, "o", 80, "/a"),
        ];
        for (text, variables, scheme, host, port, target) in cases {
            let uri = resolve(text, variables).unwrap();
            assert_eq!((uri.scheme(), uri.host(), uri.port()), (scheme, host, port), "{text}");
            assert_eq!(render(&uri), target, "{text}");
        }
    }

    #[test]
    fn refuses_what_cannot_be_called() {
        let cases = [
            ("ftp://o/", UriError::Scheme),
            ("//o/", UriError::Scheme),
            ("http:///a", UriError::Host(String::new())),
            ("http://{host}/a", UriError::ParameterInHost),
            ("http://user:pw@o/", UriError::UserInfo),
            ("http://o/#top", UriError::Fragment),
            ("http://o/a b", UriError::Character(' ')),
            ("http://o\\@evil/", UriError::Character('\\')),
            ("http://o:0/", UriError::Port("0".into())),
            ("http://o:65536/", UriError::Port("65536".into())),
            ("http://o:+1/", UriError::Port("+1".into())),
            ("http://[::1/", UriError::Host("[::1".into())),
            ("http://o/{", UriError::Unbalanced),
            ("http://o/}", UriError::Unbalanced),
            ("http://o/{}", UriError::Unbalanced),
            (
                "http://o/${stageVariables.a-b}",
                UriError::StageVariableName("a-b".into()),
            ),
            ("http://o/${stageVariables.a", UriError::Unbalanced),
            ("http://${stageVariables.gone}/", UriError::StageVariable("gone".into())),
            (
                "http://${stageVariables.empty}/",
                UriError::StageVariable("empty".into()),
            ),
            ("${stageVariables.evil}", UriError::UserInfo),
        ];
        for (text, error) in cases {
            assert_eq!(
                resolve(text, &[("empty", ""), ("evil", "http://a@b/")]),
                Err(error),
                "{text}"
            );
        }
    }

    #[test]
    fn encoding_leaves_one_segment() {
        assert_eq!(encode("a/b?c&d=é%"), "a%2Fb%3Fc%26d%3D%C3%A9%25");
    }

    proptest! {
        #[test]
        fn never_panics_and_what_is_read_renders_to_a_target(text in "(http://)?[a-z${}./?:@#\\[\\]%]{0,40}") {
            if let Ok(uri) = resolve(&text, &[]) {
                let mut out = String::new();
                prop_assert!(uri.write_path(&|_| Some(Cow::Borrowed("x")), &mut out));
                prop_assert!(out.starts_with('/'));
            }
        }
    }
}
