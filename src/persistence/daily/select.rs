//! The questions of the daily figures, in the words of each engine.

use sea_orm::DbBackend;
use sea_orm::sea_query::{Expr, ExprTrait as _, Order as Sort, Query, SelectStatement};

use crate::domain::OrderNo;
use crate::domain::order::{RefundPurpose, RefundState};
use crate::domain::reconciliation::{BillDay, DAY_MS, EIGHT_HOURS_MS};
use crate::persistence::Db;
use crate::persistence::orders::{NUMBERED_BEFORE_MS, name};

/// Whole days in Beijing, from the first millisecond until before the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Period {
    from_ms: i64,
    to_ms: i64,
}

impl Period {
    /// So many days, at least one, of which `last` is the last.
    pub(super) fn until(last: BillDay, days: u64) -> Self {
        Self { from_ms: last.earlier(days.saturating_sub(1)).begins_ms(), to_ms: last.ends_ms() }
    }

    fn has(&self, column: &'static str) -> Expr {
        Expr::col(column).gte(self.from_ms).and(Expr::col(column).lt(self.to_ms))
    }

    /// Orders by the day of their acceptance: a stretch of the numbers, as in [`crate::persistence::orders::list_all`].
    pub(super) fn orders(&self, db: &Db) -> SelectStatement {
        let mut select = self.by_day(db, "orders", "created_at_ms", None);
        select
            .and_where(Expr::col("order_no").gte(OrderNo::time_prefix(self.from_ms - NUMBERED_BEFORE_MS)))
            .and_where(Expr::col("order_no").lt(OrderNo::time_prefix(self.to_ms + NUMBERED_BEFORE_MS)));
        select
    }

    /// Orders by the day on which their money came.
    pub(super) fn paid(&self, db: &Db) -> SelectStatement {
        let mut select = self.by_day(db, "orders", "paid_at_ms", Some("total_fen"));
        select.and_where(self.is_paid());
        select
    }

    /// Refunds of orders' own money by the day on which the buyers had it.
    pub(super) fn refunded(&self, db: &Db) -> SelectStatement {
        let mut select = self.by_day(db, "refunds", "ended_at_ms", Some("amount_fen"));
        select
            .and_where(Expr::col("state").eq(name(Some(&RefundState::Succeeded))))
            .and_where(Expr::col("purpose").eq(name(Some(&RefundPurpose::Order))));
        select
    }

    /// Users by the day of their registration.
    pub(super) fn users(&self, db: &Db) -> SelectStatement {
        self.by_day(db, "users", "created_at_ms", None)
    }

    /// Products by what orders paid in the period brought for them, the most first.
    pub(super) fn products(&self, db: &Db, limit: u64) -> SelectStatement {
        Query::select()
            .column("product_id")
            .expr_as(sum(db, "quantity"), "units")
            .expr_as(sum(db, "total_fen"), "fen")
            .from("orders")
            .and_where(self.has("paid_at_ms"))
            .and_where(self.is_paid())
            .group_by_col("product_id")
            .order_by("fen", Sort::Desc)
            .order_by("product_id", Sort::Asc)
            .limit(limit)
            .to_owned()
    }

    /// Orders with a payment that came in the period. Their own row says when they were paid; this finds them by an index.
    fn is_paid(&self) -> Expr {
        let paid = Query::select().column("order_no").from("payments").and_where(self.has("captured_at_ms")).to_owned();
        Expr::col("order_no").in_subquery(paid)
    }

    /// Rows of `table` by the day in which `moment` lies, with the sum of `amount`.
    fn by_day(
        &self,
        db: &Db,
        table: &'static str,
        moment: &'static str,
        amount: Option<&'static str>,
    ) -> SelectStatement {
        let divided_by = match db.backend() {
            DbBackend::MySql => "DIV", // its `/` makes a decimal
            _ => "/",
        };
        let day_no = Expr::cust(format!("({moment} + {EIGHT_HOURS_MS}) {divided_by} {DAY_MS}"));
        Query::select()
            .expr_as(day_no, "day_no")
            .expr_as(Expr::cust("COUNT(*)"), "counted")
            .expr_as(amount.map_or_else(|| whole(db, "0"), |amount| sum(db, amount)), "fen")
            .from(table)
            .and_where(self.has(moment))
            .group_by_col("day_no")
            .to_owned()
    }
}

/// A sum of BIGINT is a decimal to MySQL and PostgreSQL.
fn sum(db: &Db, column: &str) -> Expr {
    whole(db, &format!("SUM({column})"))
}

fn whole(db: &Db, expression: &str) -> Expr {
    let kind = match db.backend() {
        DbBackend::MySql => "SIGNED",
        _ => "BIGINT",
    };
    Expr::cust(format!("CAST({expression} AS {kind})"))
}
