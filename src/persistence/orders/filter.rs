//! Which orders an administrator wants to see, as conditions that every engine answers alike.

use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement};

use crate::domain::order::OrderStatus;
use crate::domain::stock::Pool;
use crate::domain::{BuyerId, OrderNo, ProductId};
use crate::persistence::lags;

/// The beginning of an order number, or all of it: 1..=26 characters of Crockford base 32 in capitals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberStart(String);

/// Letters of a whole order number.
const NUMBER_CHARS: usize = 26;

impl NumberStart {
    /// Reads what somebody typed; `None` if no number begins so.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let start = text.to_ascii_uppercase();
        let fits = start.chars().all(|c| c.is_ascii_digit() || (c.is_ascii_uppercase() && !"ILOU".contains(c)));
        (fits && (1..=NUMBER_CHARS).contains(&start.len())).then_some(Self(start))
    }

    /// True for rows whose `column` is a number that begins so: a stretch of the index, whatever the engine's `LIKE`.
    pub(in crate::persistence) fn names(&self, column: &'static str) -> Expr {
        let (first, last) = (format!("{:0<NUMBER_CHARS$}", self.0), format!("{:Z<NUMBER_CHARS$}", self.0));
        Expr::col(column).between(first, last)
    }
}

/// How much earlier than the acceptance of its claim an order may have been numbered: repeats under one key keep the number.
pub(in crate::persistence) const NUMBERED_BEFORE_MS: i64 = 24 * 3_600_000;

/// Which orders an administrator wants to see; absent fields do not filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderFilter {
    /// Of one buyer.
    pub buyer: Option<BuyerId>,
    /// Of one product.
    pub product: Option<ProductId>,
    /// From one pool.
    pub pool: Option<Pool>,
    /// In one status.
    pub status: Option<OrderStatus>,
    /// Only those that a human must look at.
    pub needs_review: bool,
    /// Whose number begins so.
    pub number: Option<NumberStart>,
    /// Accepted from then on.
    pub from_ms: Option<i64>,
    /// Accepted before then.
    pub to_ms: Option<i64>,
    /// Oldest number first instead of newest.
    pub oldest_first: bool,
}

impl OrderFilter {
    pub(super) fn select(&self) -> SelectStatement {
        let mut filtered = Query::select().from("orders").to_owned();
        let wanted = [
            ("user_id", self.buyer.map(|buyer| buyer.0)),
            ("product_id", self.product.map(|product| product.0)),
            ("pool", self.pool.map(i64::from)),
            ("status", self.status.map(|status| i64::from(status.code()))),
        ];
        for (column, value) in wanted {
            filtered.and_where_option(value.map(|value| Expr::col(column).eq(value)));
        }
        if self.needs_review {
            filtered.and_where(lags::in_review());
        }
        let numbered_from = |ms: i64| Expr::col("order_no").gte(OrderNo::time_prefix(ms - NUMBERED_BEFORE_MS));
        let numbered_before = |ms: i64| Expr::col("order_no").lt(OrderNo::time_prefix(ms + NUMBERED_BEFORE_MS));
        filtered
            .and_where_option(self.number.as_ref().map(|start| start.names("order_no")))
            .and_where_option(self.from_ms.map(numbered_from))
            .and_where_option(self.from_ms.map(|ms| Expr::col("created_at_ms").gte(ms)))
            .and_where_option(self.to_ms.map(numbered_before))
            .and_where_option(self.to_ms.map(|ms| Expr::col("created_at_ms").lt(ms)));
        filtered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_may_be_typed_in_small_letters_and_has_no_other_signs() {
        assert_eq!(NumberStart::read("01m0a"), Some(NumberStart("01M0A".to_owned())));
        assert_eq!(NumberStart::read(&"Z".repeat(26)), Some(NumberStart("Z".repeat(26))));
        for none in ["", "%", "01_", "0I", "0L", "0O", "0U", "号", &"0".repeat(27)] {
            assert_eq!(NumberStart::read(none), None, "{none}");
        }
    }
}
