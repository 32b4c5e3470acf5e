//! Dates as IAM documents write them.

use portcullis_core::Timestamp;

use crate::decimal::Decimal;

/// Reads a date: `YYYY-MM`, `YYYY-MM-DD`, or the latter with `Thh:mm`, `Thh:mm:ss` or `Thh:mm:ss.f…` and an offset (`Z`,
/// `±hh:mm`); or seconds since the epoch, also with a fraction.
///
/// The date alone is its beginning in UTC, and a time without an offset is in UTC. Four digits alone are refused: they
/// could be a year or seconds. Source: the W3C's note on date and time formats, a profile of ISO 8601; RFC 3339.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    const TEXT_BYTES_MAX: usize = 40;
    let bytes = text.as_bytes();
    if bytes.len() > TEXT_BYTES_MAX || !bytes.is_ascii() {
        return None;
    }
    if bytes.get(4) != Some(&b'-') || !bytes[..4].iter().all(u8::is_ascii_digit) {
        let is_year = bytes.len() == 4 && bytes.iter().all(u8::is_ascii_digit);
        return if is_year {
            None
        } else {
            Decimal::parse(text).and_then(from_number)
        };
    }
    if bytes.len() == 7 {
        return Timestamp::parse_rfc3339(&format!("{text}-01T00:00:00Z"));
    }
    if bytes.get(7) != Some(&b'-') {
        return None;
    }
    if bytes.len() == 10 {
        return Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z"));
    }
    let time = text.get(10..)?.strip_prefix(['T', 't'])?;
    let is_time = |byte: u8| byte.is_ascii_digit() || b":.+-Zz".contains(&byte);
    if bytes.get(13) != Some(&b':') || !time.bytes().all(is_time) {
        return None;
    }
    if time.contains(['+', '-', 'Z', 'z']) {
        Timestamp::parse_rfc3339(text)
    } else {
        Timestamp::parse_rfc3339(&format!("{text}Z"))
    }
}

/// Seconds since the epoch.
pub(crate) fn from_number(seconds: Decimal) -> Option<Timestamp> {
    seconds.to_micros().map(Timestamp::from_unix_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_forms_of_iso_8601_and_seconds() {
        let cases = [
            ("2026-11-20T10:30:00Z", Some("2026-11-20T10:30:00Z")),
            ("2026-11-20t10:30:00z", Some("2026-11-20T10:30:00Z")),
            ("2026-11-20T10:30Z", Some("2026-11-20T10:30:00Z")),
            ("2026-11-20T10:30:00.123456Z", Some("2026-11-20T10:30:00Z")),
            ("2026-11-20T10:30:00+02:00", Some("2026-11-20T08:30:00Z")),
            ("2026-11-20T10:30:00-02:00", Some("2026-11-20T12:30:00Z")),
            ("2026-11-20T10:30:00", Some("2026-11-20T10:30:00Z")),
            ("2026-11-20T10:30:00.5", Some("2026-11-20T10:30:00Z")),
            ("2026-11-20", Some("2026-11-20T00:00:00Z")),
            ("2026-11", Some("2026-11-01T00:00:00Z")),
            ("2024-02-29", Some("2024-02-29T00:00:00Z")),
            ("1700000000", Some("2023-11-14T22:13:20Z")),
            ("1700000000.75", Some("2023-11-14T22:13:20Z")),
            ("0", Some("1970-01-01T00:00:00Z")),
            ("-1", Some("1969-12-31T23:59:59Z")),
            ("2026", None),
            ("", None),
            ("soon", None),
            ("2026-13-01", None),
            ("2026-02-29", None),
            ("2026-11-20T", None),
            ("2026-11-20T10Z", None),
            ("2026-11-20T25:00:00Z", None),
            ("2026-11-20 10:30:00Z", None),
            ("2026-11-20T10:30:00Z[Europe/Berlin]", None),
            ("2026-11-20T10:30:00 GMT", None),
            ("20/Nov/2026", None),
            ("20261120T103000Z", None),
            ("2026-11-20T10:30:00Z and more text than a date has", None),
            ("２０２６-11-20", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text).map(Timestamp::to_rfc3339).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn keeps_fractions() {
        assert_eq!(
            parse("1970-01-01T00:00:00.25Z"),
            Some(Timestamp::from_unix_micros(250_000))
        );
        assert_eq!(parse("0.25"), Some(Timestamp::from_unix_micros(250_000)));
    }
}
