//! When a gateway is asked again. All times in milliseconds.

/// After the start of an attempt: 5 and 30 s, 1, 3, 5, 10 and 30 min (races.md R35); then every 30 min.
const WATCH_AT_MS: [i64; 7] = [5_000, 30_000, 60_000, 180_000, 300_000, 600_000, 1_800_000];
/// After a refund was asked for. Alipay wants 10 s before the first look.
const REFUND_AT_MS: [i64; 6] = [10_000, 30_000, 60_000, 300_000, 900_000, 1_800_000];
/// While a charge is being closed before its end.
const CLOSING_EVERY_MS: i64 = 10_000;
/// A gateway that says "not paid" so long after the end of a charge will not take money for it any more (R29).
pub(super) const UNPAID_IS_FINAL_AFTER_MS: i64 = 300_000;
/// A gateway that does not know a charge so long after its end never will (R30).
pub(super) const UNKNOWN_IS_FINAL_AFTER_MS: i64 = 10_000;

/// A payment that is being made so long after the end of its charge needs a human; it is asked about on (R40).
pub(super) const PAYER_IS_SLOW_AFTER_MS: i64 = 3_600_000;
/// So does a refund that is on its way for so long: to a bank card it may take three working days.
pub(super) const REFUND_IS_SLOW_AFTER_MS: i64 = 7 * 24 * 3_600_000;
/// From so long after the end of a charge on it is looked at less often.
const CLOSING_IS_LATE_AFTER_MS: i64 = 600_000;
const CLOSING_LATE_EVERY_MS: i64 = 300_000;

fn next(at_ms: &[i64], since_ms: i64, now_ms: i64) -> i64 {
    let age_ms = now_ms.saturating_sub(since_ms);
    let every_ms = at_ms.last().copied().unwrap_or(CLOSING_EVERY_MS);
    let next = at_ms.iter().find(|at_ms| **at_ms > age_ms);
    next.map_or_else(|| now_ms.saturating_add(every_ms), |at_ms| since_ms.saturating_add(*at_ms))
}

/// When an attempt that began at `since_ms` is looked at again.
pub(super) fn watch(since_ms: i64, now_ms: i64) -> i64 {
    next(&WATCH_AT_MS, since_ms, now_ms)
}

/// When a refund that was asked for at `since_ms` is looked at again.
pub(super) fn refund(since_ms: i64, now_ms: i64) -> i64 {
    next(&REFUND_AT_MS, since_ms, now_ms)
}

/// When a charge that ends at `expires_at_ms` and is being closed is looked at again: soon after its end, if that is near.
pub(super) fn closing(expires_at_ms: i64, now_ms: i64) -> i64 {
    if now_ms >= expires_at_ms.saturating_add(CLOSING_IS_LATE_AFTER_MS) {
        return now_ms.saturating_add(CLOSING_LATE_EVERY_MS);
    }
    let regular_ms = now_ms.saturating_add(CLOSING_EVERY_MS);
    let after_end_ms = expires_at_ms.saturating_add(UNKNOWN_IS_FINAL_AFTER_MS);
    if after_end_ms > now_ms { regular_ms.min(after_end_ms) } else { regular_ms }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_watched_at_the_documented_moments() {
        let (started_ms, mut now_ms, mut at_s) = (1_000_000, 1_000_000, Vec::new());
        for _ in 0..9 {
            now_ms = watch(started_ms, now_ms);
            at_s.push((now_ms - started_ms) / 1_000);
        }
        assert_eq!(at_s, [5, 30, 60, 180, 300, 600, 1_800, 3_600, 5_400]);
    }

    #[test]
    fn a_clock_that_went_back_does_not_stop_the_watch() {
        assert_eq!(watch(1_000_000, 400_000), 1_005_000);
    }

    #[test]
    fn closing_is_looked_at_soon_after_the_charges_end() {
        assert_eq!(closing(100_000, 95_000), 105_000);
        assert_eq!(closing(100_000, 104_000), 110_000);
        assert_eq!(closing(100_000, 120_000), 130_000);
        assert_eq!(closing(100_000, 700_000), 1_000_000);
    }
}
