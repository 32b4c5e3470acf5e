//! Time as a value: decisions take `now`, they never ask for it.

use std::time::{SystemTime, UNIX_EPOCH};

/// A point in time in microseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// Where the current time comes from; a test puts its own here.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// The operating system's real-time clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

// === impl SystemClock ===

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let micros = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            // A clock set before 1970 is refused nowhere: every token is simply not yet valid.
            Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros),
        };
        Timestamp(micros)
    }
}

// === impl Timestamp ===

impl Timestamp {
    /// From whole seconds since the epoch, saturating at the ends of the range (±292,000 years).
    pub const fn from_unix_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// From microseconds since the epoch.
    pub const fn from_unix_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Whole milliseconds since the epoch, rounded down.
    pub const fn unix_millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Microseconds since the epoch.
    pub const fn unix_micros(self) -> i64 {
        self.0
    }

    /// This time and `seconds` more (or less, when negative), saturating.
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1_000_000)))
    }

    /// Parses an RFC 3339 date and time with an offset (`2026-11-20T00:00:00Z`).
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>()
            .ok()
            .map(|time| Self(time.as_microsecond()))
    }

    /// As RFC 3339 in UTC with whole seconds: `2026-11-20T00:00:00Z`.
    pub fn to_rfc3339(self) -> String {
        self.format("%Y-%m-%dT%H:%M:%SZ")
    }

    /// As Amazon's access logs and events write it (`$context.requestTime`): `20/Nov/2026:00:00:00 +0000`.
    pub fn to_clf(self) -> String {
        self.format("%d/%b/%Y:%H:%M:%S +0000")
    }

    /// As an HTTP date (IMF-fixdate, RFC 9110 section 5.6.7): `Fri, 20 Nov 2026 00:00:00 GMT`.
    pub fn to_http_date(self) -> String {
        self.format("%a, %d %b %Y %H:%M:%S GMT")
    }

    /// As `clientCert.validity` in Amazon's events and OpenSSL write it: `May  8 12:30:02 2019 GMT`, the day padded by a blank.
    pub fn to_certificate_date(self) -> String {
        self.format("%b %e %H:%M:%S %Y GMT")
    }

    fn format(self, pattern: &str) -> String {
        let seconds = self.unix_seconds().clamp(-62_135_596_800, 253_402_207_200); // years 1 to 9999
        jiff::Timestamp::from_second(seconds).map_or_else(|_| "-".to_owned(), |time| time.strftime(pattern).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_the_dates_of_the_wire() {
        let time = Timestamp::parse_rfc3339("2019-05-28T12:30:02.5Z").unwrap();
        assert_eq!(time.unix_millis(), 1_559_046_602_500);
        assert_eq!(time.to_rfc3339(), "2019-05-28T12:30:02Z");
        assert_eq!(time.to_clf(), "28/May/2019:12:30:02 +0000");
        assert_eq!(time.to_http_date(), "Tue, 28 May 2019 12:30:02 GMT");
        assert_eq!(time.to_certificate_date(), "May 28 12:30:02 2019 GMT");
        assert_eq!(
            time.plus_seconds(-20 * 86_400).to_certificate_date(),
            "May  8 12:30:02 2019 GMT"
        );
        assert_eq!(
            Timestamp::parse_rfc3339("2019-05-28T12:30:02+02:00")
                .unwrap()
                .unix_seconds(),
            1_559_039_402
        );
        assert_eq!(Timestamp::parse_rfc3339("yesterday"), None);
    }

    #[test]
    fn rounds_down_before_the_epoch() {
        assert_eq!(Timestamp::from_unix_micros(-1).unix_seconds(), -1);
        assert_eq!(
            Timestamp::from_unix_seconds(i64::MAX).plus_seconds(1).unix_micros(),
            i64::MAX
        );
    }

    proptest::proptest! {
        #[test]
        fn rfc3339_reads_back(seconds in -62_135_596_800_i64..253_402_207_200) {
            let time = Timestamp::from_unix_seconds(seconds);
            proptest::prop_assert_eq!(Timestamp::parse_rfc3339(&time.to_rfc3339()), Some(time));
        }
    }
}
