//! The gateways' days: from midnight to midnight in Beijing, wherever this server stands.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike as _, Days, NaiveDate, NaiveTime};
use serde::{Deserialize, Serialize};

/// Beijing is so much ahead of UTC, in summer too.
pub const EIGHT_HOURS_MS: i64 = 8 * 3_600_000;
/// Every day has as many milliseconds.
pub const DAY_MS: i64 = 24 * 3_600_000;
const MINUTE_MS: i64 = 60_000;
/// Clocks of ours and of a gateway differ by less.
const CLOCKS_DIFFER_MS: i64 = 10 * MINUTE_MS;

/// A day that has a bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BillDay(NaiveDate);

/// The text is no day of this millennium (`2026-11-20`), or no time of day (`10:30`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither a day like 2026-11-20 nor a time like 10:30")]
pub struct DayError;

impl BillDay {
    /// The day in which a moment lies.
    #[must_use]
    pub fn of(at_ms: i64) -> Self {
        let beijing = DateTime::from_timestamp_millis(at_ms.saturating_add(EIGHT_HOURS_MS)).unwrap_or_default();
        Self(beijing.date_naive())
    }

    /// Its first millisecond, unix ms.
    #[must_use]
    pub fn begins_ms(self) -> i64 {
        self.0.and_time(NaiveTime::MIN).and_utc().timestamp_millis() - EIGHT_HOURS_MS
    }

    /// The first millisecond of the next day.
    #[must_use]
    pub fn ends_ms(self) -> i64 {
        self.begins_ms() + DAY_MS
    }

    /// From when until when we heard of what must stand on this day's bill, or on an earlier one: the days are cut a few
    /// minutes early, so that nothing is looked for on a bill that is still to come, whichever clock is ahead.
    #[must_use]
    pub fn heard_within(self) -> (i64, i64) {
        (self.begins_ms() - CLOCKS_DIFFER_MS, self.ends_ms() - CLOCKS_DIFFER_MS)
    }

    /// The day before.
    #[must_use]
    pub fn previous(self) -> Self {
        self.earlier(1)
    }

    /// The day after.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.checked_add_days(Days::new(1)).unwrap_or(self.0))
    }

    /// So many days before.
    #[must_use]
    pub fn earlier(self, days: u64) -> Self {
        Self(self.0.checked_sub_days(Days::new(days)).unwrap_or(self.0))
    }

    /// Days from 1970-01-01 to it.
    #[must_use]
    pub fn number(self) -> i64 {
        (self.begins_ms() + EIGHT_HOURS_MS).div_euclid(DAY_MS)
    }

    /// As the gateways are asked for it.
    #[must_use]
    pub const fn date(self) -> NaiveDate {
        self.0
    }
}

impl fmt::Display for BillDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for BillDay {
    type Err = DayError;

    fn from_str(text: &str) -> Result<Self, DayError> {
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_| DayError)?;
        let is_sane = text.len() == 10 && (2000..3000).contains(&date.year());
        if is_sane { Ok(Self(date)) } else { Err(DayError) }
    }
}

impl Serialize for BillDay {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A time of day in Beijing, to the minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay(u16);

impl TimeOfDay {
    /// A time by its hour and minute; the last minute of the day if they are beyond it.
    #[must_use]
    pub const fn new(hour: u16, minute: u16) -> Self {
        let minutes = hour.saturating_mul(60).saturating_add(minute);
        Self(if minutes < 24 * 60 { minutes } else { 24 * 60 - 1 })
    }

    /// That time on a day, unix ms.
    #[must_use]
    pub fn on(self, day: BillDay) -> i64 {
        day.begins_ms() + i64::from(self.0) * MINUTE_MS
    }
}

impl FromStr for TimeOfDay {
    type Err = DayError;

    fn from_str(text: &str) -> Result<Self, DayError> {
        let (hour, minute) = text.split_once(':').ok_or(DayError)?;
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit()) && part.len() == 2;
        if !digits(hour) || !digits(minute) {
            return Err(DayError);
        }
        match (hour.parse(), minute.parse()) {
            (Ok(hour), Ok(minute)) if hour < 24 && minute < 60 => Ok(Self::new(hour, minute)),
            _ => Err(DayError),
        }
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl TryFrom<String> for TimeOfDay {
    type Error = DayError;

    fn try_from(text: String) -> Result<Self, DayError> {
        text.parse()
    }
}

impl From<TimeOfDay> for String {
    fn from(time: TimeOfDay) -> Self {
        time.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight_in_beijing() {
        let day: BillDay = "2026-11-20".parse().unwrap();
        assert_eq!(day.begins_ms(), 1_795_104_000_000);
        assert_eq!((BillDay::of(day.begins_ms()), BillDay::of(day.begins_ms() - 1)), (day, day.previous()));
        assert_eq!((BillDay::of(day.ends_ms() - 1), BillDay::of(day.ends_ms())), (day, day.next()));
        assert_eq!(day.next().to_string(), "2026-11-21");
        assert_eq!((day.number(), day.next().number()), (20_777, 20_778));
        assert_eq!("2026-03-01".parse::<BillDay>().unwrap().earlier(2).to_string(), "2026-02-27");
    }

    #[test]
    fn nonsense_is_no_day_and_no_time() {
        for text in ["", "x", "2026-13-01", "2026-02-30", "20261120", "2026-1-2", "0026-01-01", "2026-11-20 "] {
            assert_eq!(text.parse::<BillDay>(), Err(DayError), "{text}");
        }
        for text in ["", "24:00", "10:60", "1030", "1:30", "10:3", "-1:30", "+1:30", "10:30:00"] {
            assert_eq!(text.parse::<TimeOfDay>(), Err(DayError), "{text}");
        }
        let time: TimeOfDay = "10:30".parse().unwrap();
        let day: BillDay = "2026-11-20".parse().unwrap();
        assert_eq!((time.to_string().as_str(), time.on(day) - day.begins_ms()), ("10:30", 37_800_000));
    }
}
