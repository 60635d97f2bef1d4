//! Times on the wire: RFC 3339 in China's time (`2006-01-02T15:04:05+08:00`) out, that or `2006-01-02 15:04:05` in.

use chrono::{DateTime, FixedOffset, NaiveDateTime, SecondsFormat, TimeZone};
use serde::{Serialize, Serializer};

const CHINA_OFFSET_S: i32 = 8 * 3_600;

/// A time in milliseconds since 1970; written in China's time with whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub i64);

fn china() -> Option<FixedOffset> {
    FixedOffset::east_opt(CHINA_OFFSET_S)
}

impl Time {
    /// Reads RFC 3339 with any offset, or a date and time without one as China's.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Some(Self(time.timestamp_millis()));
        }
        let local = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S")
            .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S"))
            .ok()?;
        Some(Self(china()?.from_local_datetime(&local).single()?.timestamp_millis()))
    }

    /// With milliseconds, where they matter (server time, sale windows at the edge).
    #[must_use]
    pub fn with_millis(self) -> String {
        self.written(SecondsFormat::Millis)
    }

    fn written(self, format: SecondsFormat) -> String {
        let time = DateTime::from_timestamp_millis(self.0).zip(china());
        time.map(|(time, zone)| time.with_timezone(&zone).to_rfc3339_opts(format, false)).unwrap_or_default()
    }
}

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.written(SecondsFormat::Secs))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl utoipa::PartialSchema for Time {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .description(Some("RFC 3339 with +08:00"))
            .examples([serde_json::json!("2026-11-11T00:00:00+08:00")])
            .into()
    }
}

impl utoipa::ToSchema for Time {
    fn name() -> std::borrow::Cow<'static, str> {
        "Time".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_are_read_and_one_is_written() {
        for text in ["2026-11-11T00:00:00+08:00", "2026-11-11 00:00:00", "2026-11-10T16:00:00Z", "2026-11-11T00:00:00"]
        {
            assert_eq!(Time::parse(text).unwrap().to_string(), "2026-11-11T00:00:00+08:00", "{text}");
        }
        assert_eq!(Time(1_500).with_millis(), "1970-01-01T08:00:01.500+08:00");
        for text in ["", "yesterday", "2026-13-01 00:00:00", "2026-11-11"] {
            assert_eq!(Time::parse(text), None, "{text}");
        }
    }
}
