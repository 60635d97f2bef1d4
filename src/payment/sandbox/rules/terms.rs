//! The time limits and bounds of the providers, as one value: tests and the control API shorten them.

use serde::{Deserialize, Serialize};

use super::refunds::RefundStatus;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Limits; all times in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Terms {
    /// A pay window that ends earlier is moved here.
    pub window_min_ms: i64,
    /// The pay window of a trade that names none.
    pub window_default_ms: i64,
    /// A pay window that ends later is clipped to this.
    pub window_max_ms: i64,
    /// How long a code to scan can be scanned.
    pub code_valid_ms: i64,
    /// A refund must be asked for within this time of the payment.
    pub refund_within_ms: i64,
    /// The most refunds of one trade.
    pub refunds_max: usize,
    /// The least time between two refunds of one trade.
    pub refund_pause_ms: i64,
    /// How long an accepted refund is being processed (WeChat Pay; Alipay moves money at once).
    pub refund_takes_ms: i64,
    /// What the processing of a refund ends in; `PROCESSING`: it never ends by itself.
    pub refund_outcome: RefundStatus,
    /// True if the merchant's balance covers refunds.
    pub refunds_are_funded: bool,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            window_min_ms: MINUTE_MS,
            window_default_ms: 7 * DAY_MS,
            window_max_ms: 90 * DAY_MS,
            code_valid_ms: 2 * HOUR_MS,
            refund_within_ms: 365 * DAY_MS,
            refunds_max: 50,
            refund_pause_ms: 0,
            refund_takes_ms: 3_000,
            refund_outcome: RefundStatus::Success,
            refunds_are_funded: true,
        }
    }
}

impl Terms {
    /// When a pay window ends that begins at `now_ms` and was asked to end at `asked_ms`.
    #[must_use]
    pub fn window_end(&self, asked_ms: Option<i64>, now_ms: i64) -> i64 {
        let asked_ms = asked_ms.unwrap_or(now_ms + self.window_default_ms);
        asked_ms.min(now_ms + self.window_max_ms).max(now_ms + self.window_min_ms)
    }
}
