//! The gateways' ways to write a moment, all in Beijing time; unix ms on our side.

use chrono::{DateTime, FixedOffset, NaiveDateTime, Offset as _, TimeZone as _};

/// `2026-11-21T10:00:00+08:00`.
#[must_use]
pub fn rfc3339(at_ms: i64) -> String {
    beijing(at_ms).to_rfc3339_opts(chrono::SecondsFormat::Secs, false)
}

/// `20261121100000`.
#[must_use]
pub fn compact(at_ms: i64) -> String {
    beijing(at_ms).format("%Y%m%d%H%M%S").to_string()
}

/// `2026-11-21 10:00:00`.
#[must_use]
pub fn spaced(at_ms: i64) -> String {
    beijing(at_ms).format("%Y-%m-%d %H:%M:%S").to_string()
}

/// Reads RFC 3339 with any offset.
#[must_use]
pub fn from_rfc3339(text: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(text).ok().map(|at| at.timestamp_millis())
}

/// Reads `yyyyMMddHHmmss`.
#[must_use]
pub fn from_compact(text: &str) -> Option<i64> {
    parse(text, "%Y%m%d%H%M%S")
}

/// Reads `yyyy-MM-dd HH:mm:ss`, with or without fractions of a second.
#[must_use]
pub fn from_spaced(text: &str) -> Option<i64> {
    parse(text, "%Y-%m-%d %H:%M:%S%.f")
}

fn parse(text: &str, format: &str) -> Option<i64> {
    let local = NaiveDateTime::parse_from_str(text.trim(), format).ok()?;
    offset().from_local_datetime(&local).single().map(|at| at.timestamp_millis())
}

/// China has had no summer time since 1991.
fn offset() -> FixedOffset {
    const EIGHT_HOURS_S: i32 = 8 * 3_600;
    FixedOffset::east_opt(EIGHT_HOURS_S).unwrap_or_else(|| chrono::Utc.fix())
}

fn beijing(at_ms: i64) -> DateTime<FixedOffset> {
    DateTime::from_timestamp_millis(at_ms).unwrap_or_default().with_timezone(&offset())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_survives_each_way_of_writing() {
        let at_ms = 1_795_312_000_000;
        assert_eq!(rfc3339(at_ms), "2026-11-22T09:46:40+08:00");
        assert_eq!(compact(at_ms), "20261122094640");
        assert_eq!(spaced(at_ms), "2026-11-22 09:46:40");
        assert_eq!(from_rfc3339(&rfc3339(at_ms)), Some(at_ms));
        assert_eq!(from_rfc3339("2026-11-22T01:46:40Z"), Some(at_ms));
        assert_eq!(from_compact(&compact(at_ms)), Some(at_ms));
        assert_eq!(from_spaced(&spaced(at_ms)), Some(at_ms));
        assert_eq!(from_spaced("2026-11-22 09:46:40.250"), Some(at_ms + 250));
        for nonsense in ["", "x", "2026-13-01T00:00:00+08:00", "20261322094640", "2026-11-22"] {
            assert_eq!((from_rfc3339(nonsense), from_compact(nonsense), from_spaced(nonsense)), (None, None, None));
        }
    }
}
