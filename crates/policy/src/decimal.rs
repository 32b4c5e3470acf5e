//! Numbers that are compared exactly.

/// A decimal number with up to 18 digits behind the point, in units of 10⁻¹⁸: amounts of money are never floats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Decimal(i128);

impl Decimal {
    const SCALE: i32 = 18;
    const ONE: i128 = 1_000_000_000_000_000_000;
    const TEXT_BYTES_MAX: usize = 64;

    /// Reads the grammar of JSON numbers (RFC 8259 section 6), with leading zeros and `+` allowed; `None` for anything
    /// else, and for what does not fit exactly.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() > Self::TEXT_BYTES_MAX {
            return None;
        }
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let digits = mantissa.strip_prefix(['-', '+']).unwrap_or(mantissa);
        let (whole, fraction) = match digits.split_once('.') {
            Some((_, "")) => return None,
            Some(parts) => parts,
            None => (digits, ""),
        };
        if whole.is_empty() {
            return None;
        }
        let mut units = 0_i128;
        for byte in whole.bytes().chain(fraction.bytes()) {
            let digit = byte.is_ascii_digit().then(|| i128::from(byte - b'0'))?;
            units = units.checked_mul(10)?.checked_add(digit)?;
        }
        let shift = Self::SCALE
            .checked_add(exponent)?
            .checked_sub(i32::try_from(fraction.len()).ok()?)?;
        let power = 10_i128.checked_pow(shift.unsigned_abs())?;
        let units = match shift {
            0.. => units.checked_mul(power)?,
            _ if units % power == 0 => units / power,
            _ => return None,
        };
        Some(Self(if mantissa.starts_with('-') { -units } else { units }))
    }

    /// A whole number.
    pub(crate) fn from_whole(number: i64) -> Self {
        Self(i128::from(number) * Self::ONE) // 2⁶³ · 10¹⁸ < 2¹²⁷
    }

    /// In millionths, rounded down; `None` out of range.
    pub(crate) fn to_micros(self) -> Option<i64> {
        i64::try_from(self.0.div_euclid(Self::ONE / 1_000_000)).ok()
    }
}

impl std::fmt::Display for Decimal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (whole, fraction) = (
            self.0.unsigned_abs() / Self::ONE.unsigned_abs(),
            self.0.unsigned_abs() % Self::ONE.unsigned_abs(),
        );
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(formatter, "{sign}{whole}")?;
        if fraction == 0 {
            return Ok(());
        }
        write!(formatter, ".{}", format!("{fraction:018}").trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_exactly_or_not_at_all() {
        let cases = [
            ("0", Some("0")),
            ("-0", Some("0")),
            ("12.50", Some("12.5")),
            ("+1", Some("1")),
            ("007", Some("7")),
            ("1e3", Some("1000")),
            ("15e-1", Some("1.5")),
            ("1.5E+1", Some("15")),
            ("0.000000000000000001", Some("0.000000000000000001")),
            ("-0.1", Some("-0.1")),
            ("18446744073709551615", Some("18446744073709551615")),
            ("0.0000000000000000010", Some("0.000000000000000001")),
            ("0.0000000000000000001", None),
            ("1e30", None),
            ("1e2147483647", None),
            ("1e-2147483648", None),
            ("", None),
            ("-", None),
            (".5", None),
            ("5.", None),
            ("1.2.3", None),
            ("0x10", None),
            ("1 ", None),
            ("--1", None),
            ("NaN", None),
            ("1e", None),
            ("١", None),
        ];
        for (text, expected) in cases {
            assert_eq!(
                Decimal::parse(text).map(|number| number.to_string()).as_deref(),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn orders_by_value() {
        let number = |text| Decimal::parse(text).unwrap();
        assert!(number("0.1") < number("0.2"));
        assert!(number("-1") < number("0"));
        assert_eq!(number("1.0"), Decimal::from_whole(1));
        assert_eq!(number("-0.0000001").to_micros(), Some(-1));
        assert_eq!(number("1e15").to_micros(), None);
    }
}
