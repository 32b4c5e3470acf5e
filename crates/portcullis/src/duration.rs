//! Spans of time as people write and read them.

/// The units that can be written and their seconds; a year has 365 days, as it has for whoever reads `10y`.
const UNITS: [(char, i64, &str); 6] = [
    ('y', 365 * 86_400, "year"),
    ('w', 7 * 86_400, "week"),
    ('d', 86_400, "day"),
    ('h', 3_600, "hour"),
    ('m', 60, "minute"),
    ('s', 1, "second"),
];

/// Reads a span such as `10y`, `30d`, `12h`, `15m` or `90s` as seconds; at least one.
///
/// # Errors
/// What to write instead.
pub(crate) fn parse(text: &str) -> Result<i64, String> {
    let remedy = || "write a number and a unit: 10y, 4w, 30d, 12h, 15m or 90s".to_owned();
    let (unit, number) = text
        .chars()
        .next_back()
        .map(|unit| (unit, &text[..text.len() - unit.len_utf8()]))
        .ok_or_else(remedy)?;
    let (_, seconds, _) = UNITS
        .into_iter()
        .find(|(letter, ..)| *letter == unit)
        .ok_or_else(remedy)?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let number: i64 = if is_number {
        number.parse().map_err(|_| remedy())?
    } else {
        return Err(remedy());
    };
    number
        .checked_mul(seconds)
        .filter(|total| *total > 0)
        .ok_or_else(remedy)
}

/// A span in words, in its two largest units: `9 years and 364 days`, `1 hour`, `0 seconds`.
pub(crate) fn in_words(seconds: i64) -> String {
    let mut rest = seconds.max(0);
    let mut words = Vec::new();
    for (letter, size, name) in UNITS {
        let number = rest / size;
        if number > 0 && letter != 'w' {
            rest %= size;
            words.push(format!("{number} {name}{}", if number == 1 { "" } else { "s" }));
        }
        if words.len() == 2 || (words.len() == 1 && number == 0 && letter != 'w') {
            break;
        }
    }
    if words.is_empty() {
        "0 seconds".to_owned()
    } else {
        words.join(" and ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_number_and_a_unit() {
        let check = |text: &str, expected: Option<i64>| assert_eq!(parse(text).ok(), expected, "{text}");
        check("10y", Some(315_360_000));
        check("4w", Some(2_419_200));
        check("30d", Some(2_592_000));
        check("12h", Some(43_200));
        check("15m", Some(900));
        check("90s", Some(90));
        for bad in [
            "",
            "y",
            "10",
            "0s",
            "-1d",
            "+1d",
            "1.5h",
            "10 y",
            "10Y",
            "1é",
            "9223372036854775807y",
            "99999999999999999999s",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn says_two_units_at_most() {
        let check = |seconds: i64, expected: &str| assert_eq!(in_words(seconds), expected);
        check(0, "0 seconds");
        check(-5, "0 seconds");
        check(1, "1 second");
        check(61, "1 minute and 1 second");
        check(3_600, "1 hour");
        check(3_601, "1 hour");
        check(90_000, "1 day and 1 hour");
        check(9 * 365 * 86_400 + 364 * 86_400 + 7, "9 years and 364 days");
        check(10 * 365 * 86_400, "10 years");
    }
}
