//! What a careful client wrote down: every answer that it read, every question whose answer it never read.
//!
//! An answer that was read is a promise; [`Order::judge`] holds the shop's books to it. A question without an answer is
//! asked again under its Idempotency-Key until it is answered, at the latest after the run: so in the end every order
//! in the books must be one that its buyer was told of, and each key names one set of orders.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::support::client::Answer;

/// Statuses of the contract.
pub mod status {
    pub const PROCESSING: i64 = 0;
    pub const UNPAID: i64 = 1;
    pub const PAID: i64 = 2;
    pub const SHIPPED: i64 = 3;
    pub const COMPLETED: i64 = 4;
    pub const CANCELLED: i64 = 5;
    pub const REFUNDING: i64 = 6;
    pub const REFUNDED: i64 = 7;
    pub const FAILED: i64 = 8;
    pub const CLOSING: i64 = 9;
}

use status::{CANCELLED, COMPLETED, FAILED, PAID, REFUNDED, SHIPPED};

/// How far something got, as the client knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    #[default]
    Never,
    /// Asked for, and the answer not read (or refused): it may have happened.
    Asked,
    /// Acknowledged.
    Done,
}

/// What can be done with an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    Pay,
    Cancel,
    Ship,
    Receive,
    Refund,
}

/// An order that a buyer was told of.
#[derive(Clone, Debug)]
pub struct Order {
    pub order_no: String,
    pub user_id: i64,
    pub product_id: i64,
    pub quantity: i64,
    pub told_at: Instant,
    /// Its buyer lets the deadline run out.
    pub is_abandoned: bool,
    deeds: BTreeMap<Act, Deed>,
}

/// The order as it lies in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub order_no: String,
    pub user_id: i64,
    pub product_id: i64,
    pub pool: i64,
    pub quantity: i64,
    pub status: i64,
    /// Of its payments: `captured`, `open`, …; with the money that went back.
    pub captured_fen: i64,
    pub refunded_fen: i64,
}

impl Order {
    /// As it was told.
    pub fn told(order_no: &str, user_id: i64, product_id: i64, quantity: i64) -> Self {
        let (order_no, told_at) = (order_no.to_owned(), Instant::now());
        Self { order_no, user_id, product_id, quantity, told_at, is_abandoned: false, deeds: BTreeMap::new() }
    }

    /// How far an act got.
    pub fn deed(&self, act: Act) -> Deed {
        self.deeds.get(&act).copied().unwrap_or_default()
    }

    /// The act is asked for now: from here on it may happen.
    pub fn ask(&mut self, act: Act) {
        self.raise(act, Deed::Asked);
    }

    /// What was answered to an act.
    pub fn learn(&mut self, act: Act, answer: &Answer) {
        if answer.is_accepted() {
            self.raise(act, Deed::Done);
        }
    }

    fn raise(&mut self, act: Act, deed: Deed) {
        let known = self.deeds.entry(act).or_default();
        *known = deed.max(*known);
    }

    /// True if nothing was asked of it yet, so that its buyer may still pay or cancel.
    pub fn is_untouched(&self) -> bool {
        self.deeds.is_empty()
    }

    /// Everything about the row that contradicts what was told; empty: nothing.
    pub fn judge(&self, row: Option<&Row>) -> Vec<String> {
        let Some(row) = row else {
            return vec![format!("order {} was acknowledged and does not exist", self.order_no)];
        };
        let mut wrong = Vec::new();
        let said = (self.user_id, self.product_id, self.quantity);
        if (row.user_id, row.product_id, row.quantity) != said {
            wrong.push(format!("buyer, product, quantity are not {said:?}"));
        }
        let expect = |holds: bool, what: &str, wrong: &mut Vec<String>| {
            if !holds {
                wrong.push(what.to_owned());
            }
        };
        let is = |among: &[i64]| among.contains(&row.status);
        let deed = |act| self.deed(act);
        expect(is(&[PAID, SHIPPED, COMPLETED, CANCELLED, REFUNDED, FAILED]), "has not ended", &mut wrong);
        if deed(Act::Pay) == Deed::Done {
            expect(is(&[PAID, SHIPPED, COMPLETED, REFUNDED]), "its payment was acknowledged", &mut wrong);
            expect(row.captured_fen > 0, "its payment was acknowledged and is not captured", &mut wrong);
        }
        for (act, outcomes) in [
            (Act::Cancel, &[CANCELLED][..]),
            (Act::Ship, &[SHIPPED, COMPLETED, REFUNDED]),
            (Act::Receive, &[COMPLETED, REFUNDED]),
            (Act::Refund, &[REFUNDED]),
        ] {
            expect(deed(act) != Deed::Done || is(outcomes), &format!("{act:?} was acknowledged"), &mut wrong);
        }
        for (act, outcomes) in [
            (Act::Pay, &[PAID, SHIPPED, COMPLETED, REFUNDED][..]),
            (Act::Ship, &[SHIPPED, COMPLETED]),
            (Act::Receive, &[COMPLETED]),
            (Act::Refund, &[REFUNDED]),
        ] {
            expect(deed(act) != Deed::Never || !is(outcomes), &format!("nobody asked for {act:?}"), &mut wrong);
        }
        let owed = if row.status == REFUNDED { row.captured_fen } else { 0 };
        expect(row.refunded_fen == owed, "money given back does not fit its state", &mut wrong);
        expect(is(&[PAID, SHIPPED, COMPLETED, REFUNDED]) || row.captured_fen == 0, "captured and not sold", &mut wrong);
        wrong
            .iter()
            .map(|what| format!("order {} is {}: {what} ({self:?}, {row:?})", self.order_no, row.status))
            .collect()
    }
}

/// A purchase that is not answered yet.
#[derive(Clone, Debug)]
pub struct Question {
    pub key: String,
    pub path: &'static str,
    pub body: serde_json::Value,
    /// What the order numbers stand for, if the answer does not say it.
    pub wanted: (i64, i64),
}

/// True if asking again under the same key cannot change the answer: the shop has decided.
pub fn is_final(answer: &Answer) -> bool {
    answer.was_heard() && answer.status < 500 && answer.code >= 0 && !matches!(answer.status, 401 | 403 | 409 | 429)
}

mod tests {
    use super::*;

    fn order() -> Order {
        Order::told("01A", 7, 3, 2)
    }

    fn row(status: i64) -> Row {
        let captured_fen = if matches!(status, PAID | SHIPPED | COMPLETED | REFUNDED) { 500 } else { 0 };
        let refunded_fen = if status == REFUNDED { 500 } else { 0 };
        let order_no = "01A".to_owned();
        Row { order_no, user_id: 7, product_id: 3, pool: 1, quantity: 2, status, captured_fen, refunded_fen }
    }

    fn with(acts: &[(Act, Deed)]) -> Order {
        let mut order = order();
        for (act, deed) in acts {
            order.raise(*act, *deed);
        }
        order
    }

    #[test]
    fn what_agrees_is_accepted() {
        use {Act::*, Deed::*};
        for (order, status) in [
            (order(), CANCELLED),
            (order(), FAILED),
            (with(&[(Pay, Asked)]), PAID),
            (with(&[(Pay, Asked)]), CANCELLED),
            (with(&[(Pay, Done)]), PAID),
            (with(&[(Pay, Done), (Ship, Done), (Receive, Asked)]), COMPLETED),
            (with(&[(Pay, Done), (Refund, Done)]), REFUNDED),
            (with(&[(Cancel, Done)]), CANCELLED),
        ] {
            assert_eq!(order.judge(Some(&row(status))), Vec::<String>::new(), "{order:?}");
        }
    }

    #[test]
    fn every_broken_promise_is_found() {
        use {Act::*, Deed::*};
        let paid = with(&[(Pay, Done)]);
        assert_eq!(paid.judge(None).len(), 1, "it is gone");
        for (order, row) in [
            (paid.clone(), row(CANCELLED)),
            (paid.clone(), row(FAILED)),
            (paid.clone(), Row { captured_fen: 0, ..row(PAID) }),
            (paid.clone(), Row { user_id: 8, ..row(PAID) }),
            (paid.clone(), Row { quantity: 1, ..row(PAID) }),
            (paid.clone(), row(SHIPPED)),
            (paid, row(REFUNDED)),
            (order(), row(PAID)),
            (order(), row(status::PROCESSING)),
            (order(), row(status::UNPAID)),
            (order(), row(status::CLOSING)),
            (with(&[(Pay, Done), (Refund, Asked)]), row(status::REFUNDING)),
            (with(&[(Pay, Done), (Refund, Asked)]), Row { refunded_fen: 0, ..row(REFUNDED) }),
            (with(&[(Pay, Asked), (Cancel, Done)]), row(PAID)),
            (with(&[(Pay, Done), (Ship, Done)]), row(PAID)),
            (with(&[(Pay, Asked)]), Row { captured_fen: 500, ..row(CANCELLED) }),
        ] {
            assert!(!order.judge(Some(&row)).is_empty(), "{order:?} {row:?}");
        }
    }
}
