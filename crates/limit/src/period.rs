//! Days, weeks and months of the calendar in UTC, which quotas are counted by.

use std::{fmt, str::FromStr};

/// How long a quota lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Period {
    /// From midnight to midnight.
    Day,
    /// From Monday's midnight.
    Week,
    /// From the first's midnight.
    Month,
}

/// Which day, week or month it is, counted from 1970; they are compared within one [`Period`] only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeriodNumber(pub u32);

const DAY_S: i64 = 86_400;

// === impl Period ===

impl Period {
    /// The period that a time is in. Times before 1970 are in the first.
    pub fn number(self, unix_s: i64) -> PeriodNumber {
        let day = unix_s.div_euclid(DAY_S).max(0);
        let number = match self {
            Self::Day => day,
            Self::Week => (day + 3) / 7, // 1970 began on a Thursday
            Self::Month => {
                let (year, month) = month_of(day);
                (year - 1970) * 12 + month - 1
            }
        };
        PeriodNumber(u32::try_from(number).unwrap_or(u32::MAX))
    }

    /// When a period begins, in seconds since 1970.
    pub fn start_unix_s(self, number: PeriodNumber) -> i64 {
        let number = i64::from(number.0);
        let day = match self {
            Self::Day => number,
            Self::Week => (number * 7 - 3).max(0),
            Self::Month => first_day_of(1970 + number / 12, number % 12 + 1),
        };
        day * DAY_S
    }

    /// When it ends, which is when the next begins.
    pub fn end_unix_s(self, number: PeriodNumber) -> i64 {
        self.start_unix_s(PeriodNumber(number.0.saturating_add(1)))
    }

    /// Amazon's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "DAY",
            Self::Week => "WEEK",
            Self::Month => "MONTH",
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// It is none of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a period is `DAY`, `WEEK` or `MONTH`")]
pub struct PeriodUnknown;

impl FromStr for Period {
    type Err = PeriodUnknown;

    fn from_str(text: &str) -> Result<Self, PeriodUnknown> {
        let all = [Self::Day, Self::Week, Self::Month];
        all.into_iter()
            .find(|period| period.as_str() == text)
            .ok_or(PeriodUnknown)
    }
}

/// Year and month (1 to 12) of a day since 1970, in the Gregorian calendar: eras of 400 years that begin in March.
fn month_of(day: i64) -> (i64, i64) {
    let shifted = day + 719_468; // days since 0000-03-01
    let era = shifted.div_euclid(146_097);
    let in_era = shifted.rem_euclid(146_097);
    let year_of_era = (in_era - in_era / 1_460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * in_year + 2) / 153;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month)
}

/// The inverse: the day since 1970 that a month begins with.
fn first_day_of(year: i64, month: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let from_march = if month > 2 { month - 3 } else { month + 9 };
    let in_year = (153 * from_march + 2) / 5;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + in_year - 719_468
}

#[cfg(test)]
mod tests {
    use jiff::{Timestamp, ToSpan, civil::Weekday, tz::TimeZone};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a calendar that others wrote.
        #[test]
        fn periods_are_those_of_the_calendar(unix_s in 0_i64..253_000_000_000) {
            let date = Timestamp::from_second(unix_s).unwrap().to_zoned(TimeZone::UTC).date();
            let monday = date.nth_weekday(-1, Weekday::Monday).unwrap();
            let monday = if date.weekday() == Weekday::Monday { date } else { monday };
            let starts = [
                (Period::Day, date, 1.day()),
                (Period::Week, monday, 1.week()),
                (Period::Month, date.first_of_month(), 1.month()),
            ];
            for (period, start, length) in starts {
                let at = |date: jiff::civil::Date| date.to_zoned(TimeZone::UTC).unwrap().timestamp().as_second().max(0);
                let number = period.number(unix_s);
                prop_assert_eq!(period.start_unix_s(number), at(start), "{} {}", period, date);
                prop_assert_eq!(period.end_unix_s(number), at(start.checked_add(length).unwrap()));
                prop_assert_eq!(period.number(period.end_unix_s(number)).0, number.0 + 1);
                prop_assert_eq!(period.number(period.end_unix_s(number) - 1), number);
            }
        }
    }

    #[test]
    fn names_read_back() {
        for period in [Period::Day, Period::Week, Period::Month] {
            assert_eq!(period.to_string().parse(), Ok(period));
        }
        assert_eq!("YEAR".parse::<Period>(), Err(PeriodUnknown));
        assert_eq!(Period::Day.number(-1), PeriodNumber(0));
    }
}
