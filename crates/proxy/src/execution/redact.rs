//! Values as an execution log may show them.

use std::fmt;

use http::{HeaderMap, HeaderName};

/// What a name that speaks of a secret holds.
const SECRET_WORDS: [&str; 16] = [
    "auth",
    "token",
    "key",
    "secret",
    "cookie",
    "password",
    "passwd",
    "signature",
    "credential",
    "session",
    "jwt",
    "assertion",
    "otp",
    "pin",
    "code",
    "cert",
];

/// Names with their values, as `{a=1, b=2}`.
pub(super) struct Pairs<'p>(pub(super) &'p [(&'p str, &'p str)]);

/// A query's parameters; also the one of a name is masked.
pub(super) struct Query<'q>(pub(super) Option<&'q str>, pub(super) Option<&'q str>);

/// Fields with their values, those masked that open doors.
pub(super) struct Masked(Vec<(String, String)>);

// === impl Masked ===

impl Masked {
    /// `lines` are fields with lower-case names; `secrets` are masked whatever their names say.
    pub(super) fn of(headers: &HeaderMap, lines: &[(String, String)], secrets: &[HeaderName]) -> Self {
        let own = headers.iter().map(|(name, value)| {
            (
                name.as_str().to_owned(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        });
        let all = own.chain(lines.iter().cloned());
        let masked = all.map(|(name, value)| {
            let is_secret = secrets.iter().any(|secret| *secret == name.as_str());
            let shown = masked(&name, &value, is_secret);
            (name, shown)
        });
        Self(masked.collect())
    }
}

impl fmt::Display for Masked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs: Vec<_> = self
            .0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        write!(formatter, "{}", Pairs(&pairs))
    }
}

impl fmt::Display for Pairs<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("{")?;
        for (index, (name, value)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(formatter, "{comma}{name}={value}")?;
        }
        formatter.write_str("}")
    }
}

impl fmt::Display for Query<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs: Vec<(&str, String)> = self
            .0
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (name, masked(name, value, self.1 == Some(name))))
            .collect();
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
        write!(formatter, "{}", Pairs(&pairs))
    }
}

/// The lines of a head, `name: value` each, as pairs.
pub(super) fn lines(head: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(head);
    let pair = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    text.split("\r\n").filter_map(pair).collect()
}

/// Who calls, as far as it tells two of them apart: the last characters.
pub(super) fn principal(principal: &str) -> String {
    let shown: String = match principal.char_indices().rev().nth(3) {
        Some((at, _)) if at > 0 => principal[at..].to_owned(),
        _ => String::new(),
    };
    format!("*****{shown}")
}

fn masked(name: &str, value: &str, is_secret: bool) -> String {
    let name = name.to_ascii_lowercase();
    let speaks_of_one = SECRET_WORDS.iter().any(|word| name.contains(word));
    if is_secret || speaks_of_one || looks_like_token(value) {
        format!("****** ({} bytes)", value.len())
    } else {
        value.to_owned()
    }
}

/// A JWT, or credentials of a scheme, wherever they stand.
fn looks_like_token(value: &str) -> bool {
    let begins = |word: &str| {
        value
            .get(..word.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(word))
    };
    begins("Bearer ") || begins("Basic ") || (value.contains("eyJ") && value.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_opens_doors_is_masked() {
        let check =
            |name: &str, value: &str, expected: &str| assert_eq!(masked(name, value, false), expected, "{name}");
        check("accept", "*/*", "*/*");
        check("user-agent", "curl/8", "curl/8");
        check("content-type", "text/plain", "text/plain");
        check("authorization", "x", "****** (1 bytes)");
        check("Set-Cookie", "a=1; Path=/", "****** (11 bytes)");
        check("x-api-key", "k", "****** (1 bytes)");
        check("apikey", "k", "****** (1 bytes)");
        check("x-amz-security-token", "k", "****** (1 bytes)");
        check("x-forwarded-client-cert", "k", "****** (1 bytes)");
        check("x-note", "bearer abc", "****** (10 bytes)");
        check("x-note", "see eyJhbGciOi.eyJzdWIi.sig", "****** (27 bytes)");
        check("x-note", "é", "é");
        assert_eq!(masked("x-note", "plain", true), "****** (5 bytes)");
    }

    #[test]
    fn queries_heads_and_principals() {
        let query = Query(Some("page=2&access_token=abc&flag&q=x"), Some("q"));
        assert_eq!(
            query.to_string(),
            "{page=2, access_token=****** (3 bytes), flag=, q=****** (1 bytes)}"
        );
        assert_eq!(Query(None, None).to_string(), "{}");
        let read = lines(b"Host: a\r\nX-A:  b:c \r\nbroken\r\n");
        assert_eq!(
            read,
            [
                ("host".to_owned(), "a".to_owned()),
                ("x-a".to_owned(), "b:c".to_owned())
            ]
        );
        for (whole, shown) in [
            ("user|1234567", "*****4567"),
            ("abcd", "*****"),
            ("", "*****"),
            ("éééééé", "*****éééé"),
        ] {
            assert_eq!(principal(whole), shown);
        }
    }
}
