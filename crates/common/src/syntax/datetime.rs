//! Times as records hold them: the part that RFC 3339, ISO 8601 and HTML have in common.
//!
//! Spec: <https://atproto.com/specs/lexicon#datetime>

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use super::text::text_type;

const DAY_MILLIS: i64 = 86_400_000;
const MINUTE_MILLIS: i64 = 60_000;

/// A time with its time zone, in the text that was given; it sorts by the moment that it names.
#[derive(Clone)]
pub struct Datetime {
    text: Box<str>,
    millis: i64,
}

/// Why text is not a datetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatetimeError {
    #[error("a datetime has at most {} characters", Datetime::MAX_CHARS)]
    TooLong,
    #[error("a datetime has the form YYYY-MM-DDTHH:MM:SS.sssZ")]
    Form,
    #[error("the fraction of a second has 1 to 20 digits")]
    Fraction,
    #[error("a datetime ends with its time zone: Z, or an offset such as +01:00, but not -00:00")]
    Zone,
    #[error("there is no such date or time of day")]
    NotInCalendar,
    #[error("a datetime is not before the year 0001")]
    YearZero,
}

impl Datetime {
    /// The most characters that a datetime may have.
    pub const MAX_CHARS: usize = 64;

    /// The first and the last moment that [`Datetime::from_millis`] can write.
    pub const RANGE_MILLIS: std::ops::RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;

    /// Writes a moment, given in milliseconds since the Unix epoch, as `YYYY-MM-DDTHH:MM:SS.mmmZ`.
    ///
    /// A moment outside of [`Datetime::RANGE_MILLIS`] becomes the nearest in it.
    pub fn from_millis(millis: i64) -> Self {
        let millis = millis.clamp(*Self::RANGE_MILLIS.start(), *Self::RANGE_MILLIS.end());
        let (year, month, day) = civil_from_days(millis.div_euclid(DAY_MILLIS));
        let of_day = millis.rem_euclid(DAY_MILLIS);
        let (seconds, fraction) = (of_day / 1000, of_day % 1000);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:03}Z");
        Self { text: text.into(), millis }
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the milliseconds since the Unix epoch; what is finer is cut off.
    pub const fn millis(&self) -> i64 {
        self.millis
    }

    fn parse(text: &str) -> Result<Self, DatetimeError> {
        if text.len() > Self::MAX_CHARS {
            return Err(DatetimeError::TooLong);
        }
        let (main, rest) = text.as_bytes().split_first_chunk::<19>().ok_or(DatetimeError::Form)?;
        let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', n1, n2, b':', s1, s2] = *main else {
            return Err(DatetimeError::Form);
        };
        let number = |digits: &[u8]| number(digits).ok_or(DatetimeError::Form);
        let (year, month, day) = (number(&[y1, y2, y3, y4])?, number(&[m1, m2])?, number(&[d1, d2])?);
        let (hour, minute, second) = (number(&[h1, h2])?, number(&[n1, n2])?, number(&[s1, s2])?);
        let (fraction, zone) = fraction(rest)?;
        let offset_minutes = offset(zone)?;

        if !(1..=12).contains(&month) || !(1..=days_in_month(year, month)).contains(&day) {
            return Err(DatetimeError::NotInCalendar);
        }
        // Neither JavaScript nor Go take a leap second.
        if hour > 23 || minute > 59 || second > 59 {
            return Err(DatetimeError::NotInCalendar);
        }
        let minutes = hour * 60 + minute - offset_minutes;
        let millis = days_from_civil(year, month, day) * DAY_MILLIS + minutes * MINUTE_MILLIS + second * 1000 + fraction;
        // Calendars disagree about the year 0000, and an offset can lead there from the year 0001.
        if year == 0 || millis < *Self::RANGE_MILLIS.start() {
            return Err(DatetimeError::YearZero);
        }
        Ok(Self { text: text.into(), millis })
    }
}

impl PartialEq for Datetime {
    /// Compares the text: one moment has many spellings, and a record keeps its own.
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Datetime {}

impl Hash for Datetime {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl Ord for Datetime {
    fn cmp(&self, other: &Self) -> Ordering {
        self.millis.cmp(&other.millis).then_with(|| self.text.cmp(&other.text))
    }
}

impl PartialOrd for Datetime {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

text_type!(Datetime, DatetimeError, "a datetime");

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |sum, b| b.is_ascii_digit().then(|| sum * 10 + i64::from(b - b'0')))
}

/// Reads the fraction, if there is one, as milliseconds; returns what follows it.
fn fraction(rest: &[u8]) -> Result<(i64, &[u8]), DatetimeError> {
    let Some(rest) = rest.strip_prefix(b".") else {
        return Ok((0, rest));
    };
    let len = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    if !(1..=20).contains(&len) {
        return Err(DatetimeError::Fraction);
    }
    let (digits, zone) = rest.split_at(len);
    let millis = [100, 10, 1].iter().zip(digits).map(|(unit, digit)| unit * i64::from(digit - b'0')).sum();
    Ok((millis, zone))
}

/// Reads the time zone as minutes east of UTC.
fn offset(zone: &[u8]) -> Result<i64, DatetimeError> {
    match *zone {
        [b'Z'] => Ok(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (Some(hours), Some(minutes)) = (number(&[h1, h2]), number(&[m1, m2])) else {
                return Err(DatetimeError::Zone);
            };
            let offset = hours * 60 + minutes;
            if hours > 23 || minutes > 59 || (sign == b'-' && offset == 0) {
                return Err(DatetimeError::Zone);
            }
            Ok(if sign == b'-' { -offset } else { offset })
        }
        _ => Err(DatetimeError::Zone),
    }
}

const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

const fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days from 0000-03-01 to 1970-01-01. Counting years from March puts the leap day at the end of a year.
const EPOCH_DAYS: i64 = 719_468;
const DAYS_IN_400_YEARS: i64 = 146_097;

/// Days from the first of March to the first of the month that is `month` months later.
const fn days_before_month(month: i64) -> i64 {
    (153 * month + 2) / 5
}

const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + days_before_month(month) + day - 1 - EPOCH_DAYS
}

const fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH_DAYS;
    let (cycle, of_cycle) = (days.div_euclid(DAYS_IN_400_YEARS), days.rem_euclid(DAYS_IN_400_YEARS));
    // What leap days add is taken out first, so that all years are of one length.
    let year = (of_cycle - of_cycle / 1460 + of_cycle / 36_524 - of_cycle / 146_096) / 365;
    let of_year = of_cycle - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - days_before_month(month) + 1;
    let year = year + cycle * 400;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Datetime, DatetimeError> {
        text.parse()
    }

    #[test]
    fn moments_are_counted_from_the_epoch_and_keep_their_text() {
        for (text, millis) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1969-12-31T23:59:59.999Z", -1),
            ("2000-02-29T12:00:00.5+01:00", 951_822_000_500),
            ("1985-04-12T23:20:50.1235678912345Z", 482_196_050_123),
            ("2100-03-01T00:00:00-00:30", 4_107_544_200_000),
        ] {
            let datetime = parse(text).unwrap();
            assert_eq!((datetime.millis(), datetime.as_str()), (millis, text));
        }
    }

    #[test]
    fn every_day_is_written_as_it_is_read() {
        let (first, last) = (Datetime::RANGE_MILLIS.start() / DAY_MILLIS, Datetime::RANGE_MILLIS.end() / DAY_MILLIS);
        let mut expected = (1, 1, 1);
        for days in first..=last {
            assert_eq!(civil_from_days(days), expected);
            let (year, month, day) = expected;
            assert_eq!(days_from_civil(year, month, day), days);
            expected = match (month, day == days_in_month(year, month)) {
                (12, true) => (year + 1, 1, 1),
                (_, true) => (year, month + 1, 1),
                (_, false) => (year, month, day + 1),
            };
        }
        assert_eq!(expected, (10_000, 1, 1));
    }

    #[test]
    fn moments_outside_of_the_calendar_become_the_nearest() {
        assert_eq!(Datetime::from_millis(1_700_000_000_123), "2023-11-14T22:13:20.123Z");
        assert_eq!(Datetime::from_millis(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(Datetime::from_millis(i64::MIN), "0001-01-01T00:00:00.000Z");
        assert_eq!(Datetime::from_millis(i64::MAX), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn they_sort_by_moment_and_are_equal_by_text() {
        let (west, utc) = (parse("1985-04-12T23:20:50-07:00").unwrap(), parse("1985-04-13T06:20:50Z").unwrap());
        assert_eq!(west.millis(), utc.millis());
        assert_ne!(west, utc);
        assert!(parse("1985-04-13T06:20:49Z").unwrap() < west);
    }

    #[test]
    fn errors_name_what_is_wrong() {
        assert_eq!(parse("1985-04-12").unwrap_err(), DatetimeError::Form);
        assert_eq!(parse("1985-04-12T23:20:50.Z").unwrap_err(), DatetimeError::Fraction);
        assert_eq!(parse("1985-04-12T23:20:50").unwrap_err(), DatetimeError::Zone);
        assert_eq!(parse("1985-04-12T23:20:50-00:00").unwrap_err(), DatetimeError::Zone);
        assert_eq!(parse("1985-02-29T23:20:50Z").unwrap_err(), DatetimeError::NotInCalendar);
        assert_eq!(parse("0000-06-01T00:00:00Z").unwrap_err(), DatetimeError::YearZero);
        assert_eq!(parse("0001-01-01T00:00:00+00:01").unwrap_err(), DatetimeError::YearZero);
    }
}
