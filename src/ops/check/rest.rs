//! What must not be left over when the shop is at rest, and what is only counted.

use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement};

use super::{CheckOptions, Invariant};
use crate::domain::order::OrderStatus;
use crate::persistence::{StoreError, query};

const OPERATION: &str = "checking for leftovers";

/// The invariants, and how many dead tickets there are. `with_ledger`: the ledger lies in the database too.
pub(super) async fn check(
    tx: &impl ConnectionTrait,
    options: CheckOptions,
    with_ledger: bool,
) -> Result<(Vec<Invariant>, u64), StoreError> {
    let before_ms = options.now_ms.saturating_sub(options.grace_ms);
    let pending = OrderStatus::PendingPayment.code();
    let leftovers = [
        ("outbox told", "outbox", Expr::col("created_at_ms").lte(before_ms)),
        ("effects done", "effects", Expr::col("due_at_ms").lte(before_ms)),
        (
            "notifications told",
            "notices",
            Expr::col("state").eq("open").and(Expr::col("received_at_ms").lte(before_ms)),
        ),
        ("payments logged", "money_log_owed", Expr::exists(recorded_by(before_ms))),
        ("stock moves ended", "stock_moves", Expr::col("step").lt(3).and(Expr::col("created_at_ms").lte(before_ms))),
        (
            "tickets settled",
            "ledger_tickets",
            Expr::col("state").is_in([0, 1]).and(Expr::col("accepted_at_ms").lte(before_ms)),
        ),
        (
            "unpaid orders end",
            "orders",
            Expr::col("status").eq(pending).and(Expr::col("pay_deadline_ms").lte(before_ms)),
        ),
    ];
    let mut invariants = Vec::with_capacity(leftovers.len());
    for (name, table, is_left) in leftovers.into_iter().filter(|left| with_ledger || left.1 != "ledger_tickets") {
        let all = Query::select().from(table).to_owned();
        let rows = query::count(tx, all.clone(), OPERATION).await?;
        let left = query::count(tx, all.clone().and_where(is_left).to_owned(), OPERATION).await?;
        let mut invariant = Invariant { rows, ..Invariant::new(name) };
        if left > 0 {
            invariant.violate(format!("{left} rows of {table} are overdue"));
            invariant.violations = left;
        }
        invariants.push(invariant);
    }
    let dead_tickets = query::count(tx, Query::select().from("dead_tickets").to_owned(), OPERATION).await?;
    Ok((invariants, dead_tickets))
}

/// The journal's row of what is owed to the money log, if it was written by then.
fn recorded_by(before_ms: i64) -> SelectStatement {
    let owed = |column: &'static str| Expr::col(("money_log_owed", column));
    let mut row = Query::select();
    row.expr(Expr::val(1)).from("order_events");
    row.and_where(Expr::col(("order_events", "order_no")).eq(owed("order_no")));
    row.and_where(Expr::col(("order_events", "seq")).eq(owed("seq")));
    row.and_where(Expr::col(("order_events", "at_ms")).lte(before_ms)).to_owned()
}
