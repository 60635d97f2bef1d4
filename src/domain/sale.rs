//! The window of a flash sale and the terms that every claim on it is judged by.

use serde::{Deserialize, Serialize};

use super::ids::SaleId;
use super::money::Money;

/// The longest sale that can be planned: 366 days.
pub const SALE_MS_MAX: i64 = 366 * 24 * 3_600_000;
/// An ad-hoc sale opened by `POST /api/seckill/init` lasts 24 hours.
pub const AD_HOC_SALE_MS: i64 = 24 * 3_600_000;

/// Half-open in time: open at `opens_at_ms`, shut at `closes_at_ms` (milliseconds since 1970).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaleWindow {
    /// First millisecond of the sale.
    pub opens_at_ms: i64,
    /// First millisecond after the sale.
    pub closes_at_ms: i64,
}

/// Where `now` lies in relation to a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SalePhase {
    /// Before the window.
    NotStarted,
    /// Inside it.
    Open,
    /// After it.
    Ended,
}

/// The window is empty, reversed or longer than [`SALE_MS_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sale must end after it starts and last at most 366 days")]
pub struct SaleWindowError;

impl SaleWindow {
    /// A window of at least one millisecond and at most [`SALE_MS_MAX`].
    ///
    /// # Errors
    /// [`SaleWindowError`] outside those bounds.
    pub fn new(opens_at_ms: i64, closes_at_ms: i64) -> Result<Self, SaleWindowError> {
        let length_ms = closes_at_ms.checked_sub(opens_at_ms).ok_or(SaleWindowError)?;
        if !(1..=SALE_MS_MAX).contains(&length_ms) {
            return Err(SaleWindowError);
        }
        Ok(Self { opens_at_ms, closes_at_ms })
    }

    /// The phase at `now_ms`.
    #[must_use]
    pub const fn phase(self, now_ms: i64) -> SalePhase {
        if now_ms < self.opens_at_ms {
            SalePhase::NotStarted
        } else if now_ms < self.closes_at_ms {
            SalePhase::Open
        } else {
            SalePhase::Ended
        }
    }

    /// True if some millisecond lies in both windows.
    #[must_use]
    pub const fn overlaps(self, other: Self) -> bool {
        self.opens_at_ms < other.closes_at_ms && other.opens_at_ms < self.closes_at_ms
    }
}

/// What a sale offers: judged inside the ledger's atomic step, so they lie beside the units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaleTerms {
    /// The sale.
    pub sale: SaleId,
    /// When it is open.
    pub window: SaleWindow,
    /// Price of one unit.
    pub unit_price: Money,
    /// Units one buyer may hold or have bought in this sale, at least 1.
    pub units_per_buyer_max: i64,
    /// Closed by an administrator before its window ended.
    pub closed: bool,
}

impl SaleTerms {
    /// The phase at `now_ms`; a sale closed by hand has ended.
    #[must_use]
    pub const fn phase(&self, now_ms: i64) -> SalePhase {
        if self.closed { SalePhase::Ended } else { self.window.phase(now_ms) }
    }
}

/// Of a product's sales the open one, else the next to open, else the last that ended.
pub fn current<'a>(sales: impl IntoIterator<Item = &'a SaleTerms>, now_ms: i64) -> Option<SaleTerms> {
    let rank = |terms: &SaleTerms| match terms.phase(now_ms) {
        SalePhase::Open => (0, 0),
        SalePhase::NotStarted => (1, terms.window.opens_at_ms),
        SalePhase::Ended => (2, -terms.window.closes_at_ms),
    };
    sales.into_iter().copied().min_by_key(rank)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r72_the_window_opens_on_its_first_and_shuts_on_its_last_millisecond() {
        let window = SaleWindow::new(1_000, 2_000).unwrap();
        for (now_ms, phase) in [
            (999, SalePhase::NotStarted),
            (1_000, SalePhase::Open),
            (1_999, SalePhase::Open),
            (2_000, SalePhase::Ended),
        ] {
            assert_eq!(window.phase(now_ms), phase, "{now_ms}");
        }
    }

    #[test]
    fn empty_reversed_and_endless_windows_are_refused() {
        for (opens, closes) in [(5, 5), (6, 5), (0, SALE_MS_MAX + 1), (i64::MIN, i64::MAX)] {
            assert_eq!(SaleWindow::new(opens, closes), Err(SaleWindowError));
        }
    }

    #[test]
    fn windows_that_touch_do_not_overlap() {
        let window = |opens, closes| SaleWindow::new(opens, closes).unwrap();
        assert!(!window(0, 10).overlaps(window(10, 20)));
        assert!(window(0, 11).overlaps(window(10, 20)));
    }
}
