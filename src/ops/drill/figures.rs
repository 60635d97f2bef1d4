//! The figures of a drill and the verdict on them. Pure: what was answered and what the books say come in.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Longest latency that is told apart: 5 minutes.
const LATENCY_US_MAX: u64 = 300_000_000;
/// Significant digits of a latency.
const LATENCY_DIGITS: u8 = 3;

/// Units of one pool as the database or the ledger has them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PoolUnits {
    /// Ever put in.
    pub put_in: i64,
    /// Can be bought.
    pub free: i64,
    /// Under unpaid orders.
    pub held: i64,
    /// Under paid orders.
    pub sold: i64,
}

/// What the shop says of the drill's product: `GET /api/admin/rehearsal/reconciliation`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Books {
    /// The database, a row a pool.
    pub stock: Vec<PoolUnits>,
    /// The ledger, a row a pool; only `free` counts.
    pub ledger: Vec<PoolUnits>,
    /// Tickets whose order is not in the database yet.
    pub unsettled: i64,
    /// Orders by status.
    pub orders: BTreeMap<String, u64>,
    /// Buyers with at least one order.
    pub distinct_buyers: u64,
}

impl Books {
    /// Orders of any status.
    #[must_use]
    pub fn orders_total(&self) -> u64 {
        self.orders.values().sum()
    }

    /// Orders with one of these statuses.
    #[must_use]
    pub fn orders_with(&self, statuses: &[&str]) -> u64 {
        statuses.iter().filter_map(|status| self.orders.get(*status)).sum()
    }

    fn stock_sum(&self, units: impl Fn(&PoolUnits) -> i64) -> i64 {
        self.stock.iter().map(units).sum()
    }
}

/// Statuses that hold a unit without a payment.
const HOLDING: &[&str] = &["pending_payment", "closing"];
/// Statuses whose unit is sold.
const SELLING: &[&str] = &["paid", "shipped", "completed"];

/// How the clicks were answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Clicks {
    /// Sent.
    pub attempted: u64,
    /// Got an order number.
    pub accepted: u64,
    /// No unit was left.
    pub sold_out: u64,
    /// The buyer had his units, or clicked too often.
    pub limited: u64,
    /// The shop said "busy".
    pub busy: u64,
    /// Refused for another reason, e.g. the sale was not open.
    pub refused: u64,
    /// No readable answer: whether an order came of it is unknown.
    pub errors: u64,
}

/// Latency of the clicks, counted from the planned instant, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Latency {
    /// Half of the clicks were answered in this time.
    pub p50_ms: f64,
    /// 95 % of them.
    pub p95_ms: f64,
    /// 99 % of them.
    pub p99_ms: f64,
    /// All of them.
    pub max_ms: f64,
}

impl Latency {
    /// The percentiles of `latencies`.
    #[must_use]
    pub fn of(latencies: &[Duration]) -> Self {
        let Ok(mut histogram) = Histogram::<u64>::new_with_bounds(1, LATENCY_US_MAX, LATENCY_DIGITS) else {
            return Self::default(); // the bounds above are valid
        };
        for latency in latencies {
            histogram.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(LATENCY_US_MAX).max(1));
        }
        let at = |quantile| milliseconds(histogram.value_at_quantile(quantile));
        Self { p50_ms: at(0.50), p95_ms: at(0.95), p99_ms: at(0.99), max_ms: milliseconds(histogram.max()) }
    }
}

#[expect(clippy::cast_precision_loss, reason = "at most LATENCY_US_MAX")]
fn milliseconds(us: u64) -> f64 {
    us as f64 / 1_000.0
}

/// Everything a drill has found out.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// The drill's product.
    pub product_id: i64,
    /// Units in its sale.
    pub stock: u64,
    /// Buyers that took part.
    pub buyers: u64,
    /// How the clicks were answered.
    #[serde(flatten)]
    pub clicks: Clicks,
    /// Orders in the database.
    pub persisted: u64,
    /// Paid by the drill.
    pub paid: u64,
    /// Cancelled by the drill.
    pub cancelled: u64,
    /// Cancelled by the payment deadline.
    pub timed_out: u64,
    /// Still unpaid at the end.
    pub pending: u64,
    /// Accepted orders whose buyer had a socket.
    pub pushes_expected: u64,
    /// Of those, how many were pushed.
    pub pushed: u64,
    /// From the first planned click to the last answer, in seconds.
    pub clicks_took_s: f64,
    /// From the first planned click until every accepted order was in the database, in seconds.
    pub persisted_after_s: f64,
    /// Of every click that was answered.
    pub latency: Latency,
    /// Of the accepted ones.
    pub accepted_latency: Latency,
    /// Must be all zero.
    pub verdict: Verdict,
    /// What was odd, in words.
    pub notes: Vec<String>,
}

/// What must never happen; each is a number of units or orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Given away beyond the stock.
    pub oversold: u64,
    /// Acknowledged to a buyer, but no living order is found under the number.
    pub lost: u64,
    /// Units or orders that no click, order or pool explains.
    pub unaccounted: u64,
    /// Orders beyond one a buyer.
    pub over_limit: u64,
    /// Units that nobody got although buyers clicked: all of them, when not one click was accepted.
    pub unsold: u64,
}

impl Verdict {
    /// Judges the books at rest. `found`: acknowledged orders that were looked up and live.
    #[must_use]
    pub fn of(stock: u64, clicks: &Clicks, found: u64, books: &Books) -> Self {
        let placed = books.orders_total() - books.orders_with(&["failed"]);
        let given = books.stock_sum(|pool| pool.held + pool.sold);
        let put_in = books.stock_sum(|pool| pool.put_in);
        let negative: i64 = books.stock.iter().chain(&books.ledger).map(|pool| (-pool.free).max(0)).sum();
        let living = books.orders_with(HOLDING) + books.orders_with(SELLING);
        let oversold = [living.saturating_sub(stock), positive(given - put_in), positive(negative)];
        Self {
            oversold: oversold.into_iter().max().unwrap_or(0),
            lost: clicks.accepted.saturating_sub(found),
            unaccounted: unaccounted_units(stock, books)
                + positive(books.unsettled)
                + placed.saturating_sub(clicks.accepted + clicks.errors),
            over_limit: books.orders_total().saturating_sub(books.distinct_buyers),
            unsold: if clicks.attempted > 0 && clicks.accepted == 0 { stock } else { 0 },
        }
    }

    /// True if the drill passed.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        *self == Self::default()
    }
}

/// Units that stand in no column, or in one without an order.
fn unaccounted_units(stock: u64, books: &Books) -> u64 {
    let put_in = books.stock_sum(|pool| pool.put_in);
    let spread = books.stock_sum(|pool| pool.free + pool.held + pool.sold);
    let free = books.stock_sum(|pool| pool.free);
    let free_in_ledger: i64 = books.ledger.iter().map(|pool| pool.free).sum();
    (put_in - spread).unsigned_abs()
        + positive(put_in).abs_diff(stock)
        + (free - free_in_ledger).unsigned_abs()
        + positive(books.stock_sum(|pool| pool.held)).abs_diff(books.orders_with(HOLDING))
        + positive(books.stock_sum(|pool| pool.sold)).abs_diff(books.orders_with(SELLING))
}

fn positive(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(put_in: i64, free: i64, held: i64, sold: i64) -> PoolUnits {
        PoolUnits { put_in, free, held, sold }
    }

    /// 100 units: 60 paid, 10 cancelled, 30 waiting for payment, all accounted for.
    fn clean() -> (u64, Clicks, u64, Books) {
        let clicks = Clicks { attempted: 300, accepted: 100, sold_out: 200, ..Clicks::default() };
        let orders = [("paid", 60), ("cancelled", 10), ("pending_payment", 30)];
        let books = Books {
            stock: vec![pool(0, 0, 0, 0), pool(100, 10, 30, 60)],
            ledger: vec![PoolUnits { free: 10, ..PoolUnits::default() }],
            unsettled: 0,
            orders: orders.map(|(status, count)| (status.to_owned(), count)).into(),
            distinct_buyers: 100,
        };
        (100, clicks, 100, books)
    }

    fn verdict((stock, clicks, found, books): &(u64, Clicks, u64, Books)) -> Verdict {
        Verdict::of(*stock, clicks, *found, books)
    }

    #[test]
    fn a_sale_that_adds_up_is_clean() {
        assert!(verdict(&clean()).is_clean(), "{:?}", verdict(&clean()));
    }

    #[test]
    fn a_cancelled_unit_bought_again_is_not_oversold() {
        let mut drill = clean();
        drill.1.accepted = 105;
        drill.2 = 105;
        drill.3.orders.insert("pending_payment".to_owned(), 35);
        drill.3.stock[1] = pool(100, 5, 35, 60);
        drill.3.ledger[0].free = 5;
        drill.3.distinct_buyers = 105;
        assert!(verdict(&drill).is_clean(), "{:?}", verdict(&drill));
    }

    #[test]
    fn one_unit_too_many_is_oversold() {
        let mut drill = clean();
        drill.1.accepted = 111;
        drill.2 = 111;
        drill.3.orders.insert("pending_payment".to_owned(), 41);
        drill.3.stock[1] = pool(100, 0, 41, 60);
        drill.3.ledger[0].free = 0;
        drill.3.distinct_buyers = 111;
        assert_eq!(verdict(&drill), Verdict { oversold: 1, unaccounted: 1, ..Verdict::default() });
    }

    #[test]
    fn negative_stock_is_oversold() {
        let mut drill = clean();
        drill.3.ledger.push(PoolUnits { free: -1, ..PoolUnits::default() });
        assert_eq!(verdict(&drill).oversold, 1);
    }

    #[test]
    fn an_acknowledged_order_that_is_not_found_is_lost() {
        let mut drill = clean();
        drill.2 = 99;
        assert_eq!(verdict(&drill), Verdict { lost: 1, ..Verdict::default() });
    }

    #[test]
    fn a_unit_that_vanished_and_one_that_nobody_ordered_are_unaccounted() {
        let mut vanished = clean();
        vanished.3.stock[1].free = 9;
        vanished.3.ledger[0].free = 9;
        assert_eq!(verdict(&vanished).unaccounted, 1);
        let mut held_for_nobody = clean();
        held_for_nobody.3.stock[1] = pool(100, 9, 31, 60);
        held_for_nobody.3.ledger[0].free = 9;
        assert_eq!(verdict(&held_for_nobody).unaccounted, 1);
        let mut unsettled = clean();
        unsettled.3.unsettled = 3;
        assert_eq!(verdict(&unsettled).unaccounted, 3);
    }

    #[test]
    fn an_order_nobody_was_told_of_is_explained_only_by_a_click_without_an_answer() {
        let mut drill = clean();
        drill.1.accepted = 98;
        drill.2 = 98;
        assert_eq!(verdict(&drill).unaccounted, 2);
        drill.1.errors = 2;
        assert!(verdict(&drill).is_clean());
    }

    #[test]
    fn a_sale_in_which_nobody_got_anything_is_no_success() {
        let nobody = Clicks { attempted: 300, refused: 300, ..Clicks::default() };
        let stock = vec![pool(100, 100, 0, 0)];
        let books = Books { ledger: stock.clone(), stock, ..Books::default() };
        assert_eq!(Verdict::of(100, &nobody, 0, &books), Verdict { unsold: 100, ..Verdict::default() });
    }

    #[test]
    fn a_second_order_of_one_buyer_is_over_the_limit() {
        let mut drill = clean();
        drill.3.distinct_buyers = 99;
        assert_eq!(verdict(&drill), Verdict { over_limit: 1, ..Verdict::default() });
    }

    #[test]
    fn percentiles_are_those_of_the_latencies() {
        let latencies: Vec<Duration> = (1..=1_000).map(Duration::from_millis).collect();
        let latency = Latency::of(&latencies);
        for (is, should) in
            [(latency.p50_ms, 500.0), (latency.p95_ms, 950.0), (latency.p99_ms, 990.0), (latency.max_ms, 1_000.0)]
        {
            assert!((is - should).abs() <= should / 500.0, "{is} {should}");
        }
        assert_eq!(Latency::of(&[]), Latency::default());
    }

    #[test]
    fn the_books_are_read_as_the_shop_sends_them() {
        let sent = r#"{"product_id":7,"stock":[{"pool":0,"put_in":5,"free":1,"held":1,"sold":3}],
            "ledger":[{"pool":0,"free":1}],"unsettled":0,"orders":{"paid":3,"pending_payment":1},"distinct_buyers":4}"#;
        let books: Books = serde_json::from_str(sent).unwrap();
        assert_eq!((books.orders_total(), books.stock[0].sold, books.ledger[0].free), (4, 3, 1));
    }
}
