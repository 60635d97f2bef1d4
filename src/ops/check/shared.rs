//! A ledger outside the database, product by product: no snapshot spans both, so a product that disagrees is looked at
//! again after a moment. What was between the two settles; what stays is wrong.
//!
//! An account that the ledger has lost, or never had, is not wrong: nobody can buy from it, and the next question about
//! it rebuilds it.

use std::time::Duration;

use sea_orm::FromQueryResult;
use sea_orm::sea_query::{Expr, ExprTrait, Order as Sort, Query};

use super::{CheckOptions, Invariant};
use crate::domain::ProductId;
use crate::domain::stock::Ticket;
use crate::persistence::drift::{Look, look};
use crate::persistence::ledger::StockLedger;
use crate::persistence::{Db, StoreError, query};

/// Looks at a product that disagrees, and the pause between them.
const LOOKS_MAX: u32 = 10;
const LOOK_EVERY: Duration = Duration::from_millis(300);
const PRODUCTS_PAGE: u64 = 1_000;

/// What the comparison found.
pub(super) struct Compared {
    pub(super) invariants: Vec<Invariant>,
    pub(super) wrong: Vec<ProductId>,
}

pub(super) async fn check(db: &Db, ledger: &dyn StockLedger, options: CheckOptions) -> Result<Compared, StoreError> {
    let mut matches = Invariant::new("ledger matches stock");
    let mut settled = Invariant::new("tickets settled");
    let mut open = Vec::new();
    let before_ms = options.now_ms.saturating_sub(options.grace_ms);
    let mut after = ProductId(0);
    loop {
        let page = products_after(db, after).await?;
        let Some(last) = page.last() else { break };
        after = *last;
        for product in page {
            let tickets = ledger.unsettled(product).await?;
            let is_overdue = |ticket: &&Ticket| ticket.accepted_at_ms <= before_ms;
            settled.rows += tickets.len() as u64;
            if let Some(ticket) = tickets.iter().find(is_overdue) {
                let overdue = tickets.iter().filter(is_overdue).count();
                settled.violate(format!("product {product}: {overdue} overdue, first {}", ticket.claim.order_no));
            }
            match look(db, ledger, product, options.now_ms).await? {
                Look::Lost => {}
                Look::Agrees { rows } => matches.rows += rows,
                Look::Differs { .. } => open.push(product),
            }
        }
    }
    let mut wrong = Vec::new();
    for product in open {
        let told = look_again(db, ledger, product, options.now_ms, &mut matches).await?;
        if !told.is_empty() {
            wrong.push(product);
            told.into_iter().for_each(|told| matches.violate(told));
        }
    }
    Ok(Compared { invariants: vec![matches, settled], wrong })
}

/// What still differs after a while.
async fn look_again(
    db: &Db,
    ledger: &dyn StockLedger,
    product: ProductId,
    now_ms: i64,
    matches: &mut Invariant,
) -> Result<Vec<String>, StoreError> {
    for remaining in (0..LOOKS_MAX).rev() {
        tokio::time::sleep(LOOK_EVERY).await;
        match look(db, ledger, product, now_ms).await? {
            Look::Lost => break,
            Look::Agrees { rows } => {
                matches.rows += rows;
                break;
            }
            Look::Differs { rows, told } if remaining == 0 => {
                matches.rows += rows;
                return Ok(told);
            }
            Look::Differs { .. } => {}
        }
    }
    Ok(Vec::new())
}

#[derive(FromQueryResult)]
struct Row {
    product_id: i64,
}

async fn products_after(db: &Db, after: ProductId) -> Result<Vec<ProductId>, StoreError> {
    let select = Query::select()
        .distinct()
        .column("product_id")
        .from("stock")
        .and_where(Expr::col("product_id").gt(after.0))
        .order_by("product_id", Sort::Asc)
        .limit(PRODUCTS_PAGE)
        .to_owned();
    let rows: Vec<Row> = query::all(db.reader(), &select, "listing products").await?;
    Ok(rows.into_iter().map(|row| ProductId(row.product_id)).collect())
}
