//! The buyers' limits once more, for tickets of an account that the ledger has lost.
//!
//! The account that follows does not know of a ticket that waited elsewhere while it was built, and lets its buyer buy
//! again. Such a ticket carries an older epoch than the product's (`super::super::ledger_accounts`), whose row is read under
//! the stock lock: it becomes an order only within its buyer's limit, counted by the orders that are there. One that does
//! makes the present account wrong about that buyer, so the account's tickets are older ones too from there on.
//! Whichever of a buyer's tickets comes first has its order, and the limit holds.
//!
//! Tickets of the present account cost no statement here.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sea_orm::sea_query::{Cond, Expr, ExprTrait, Query};
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult};

use super::OPERATION;
use crate::domain::order::OrderStatus;
use crate::domain::stock::{Claim, Pool, Ticket};
use crate::domain::{BuyerId, ProductId, SaleId};
use crate::persistence::error::StoreError;
use crate::persistence::orders::LIVING;
use crate::persistence::{ledger_accounts, query};

type BuyerOf = (ProductId, Pool, BuyerId);

/// What the buyers of older tickets have, and what they may have.
#[derive(Default)]
pub(super) struct Limits {
    units: HashMap<BuyerOf, i64>,
    units_max: HashMap<SaleId, i64>,
    /// Products whose present account is wrong about a buyer.
    outdated: BTreeSet<ProductId>,
}

#[derive(FromQueryResult)]
struct SaleRow {
    id: i64,
    units_per_buyer_max: i64,
}

#[derive(FromQueryResult)]
struct BuyerRow {
    user_id: i64,
    units: i64,
}

const fn buyer_of(claim: &Claim) -> BuyerOf {
    (claim.product, claim.pool, claim.buyer)
}

impl Limits {
    /// Reads what must be known to judge these tickets; their products' stock rows are locked.
    pub(super) async fn read(tx: &impl ConnectionTrait, older: &[&Ticket]) -> Result<Self, StoreError> {
        let mut limits = Self::default();
        let mut buyers: BTreeMap<(ProductId, SaleId), BTreeSet<i64>> = BTreeMap::new();
        for Ticket { claim, .. } in older {
            if let Pool::Sale(sale) = claim.pool {
                buyers.entry((claim.product, sale)).or_default().insert(claim.buyer.0);
            }
        }
        if buyers.is_empty() {
            return Ok(limits);
        }
        let sales: Vec<i64> = buyers.keys().map(|(_, sale)| sale.0).collect();
        let rows: Vec<SaleRow> = query::by_keys(tx, &sales, OPERATION, |ids| {
            let columns = ["id", "units_per_buyer_max"];
            Query::select().columns(columns).from("sales").and_where(Expr::col("id").is_in(ids)).to_owned()
        })
        .await?;
        limits.units_max = rows.into_iter().map(|row| (SaleId(row.id), row.units_per_buyer_max)).collect();
        for ((product, sale), buyers) in buyers {
            let buyers: Vec<i64> = buyers.into_iter().collect();
            limits.read_buyers(tx, product, Pool::Sale(sale), &buyers).await?;
        }
        Ok(limits)
    }

    /// Units under living orders; goods that were sent stay with the buyer whose money went back.
    async fn read_buyers(
        &mut self,
        tx: &impl ConnectionTrait,
        product: ProductId,
        pool: Pool,
        buyers: &[i64],
    ) -> Result<(), StoreError> {
        let sum = match tx.get_database_backend() {
            DbBackend::MySql => "CAST(SUM(quantity) AS SIGNED)",
            _ => "CAST(SUM(quantity) AS BIGINT)",
        };
        let rows: Vec<BuyerRow> = query::by_keys(tx, buyers, OPERATION, |buyers| {
            let refunded = [OrderStatus::Refunding, OrderStatus::Refunded].map(OrderStatus::code);
            let was_sent = Expr::col("status").is_in(refunded).and(Expr::col("shipped_at_ms").is_not_null());
            let is_living = Expr::col("status").is_in(LIVING.map(OrderStatus::code));
            Query::select()
                .column("user_id")
                .expr_as(Expr::cust(sum), "units")
                .from("orders")
                .and_where(Expr::col("user_id").is_in(buyers))
                .and_where(Expr::col("product_id").eq(product.0))
                .and_where(Expr::col("pool").eq(i64::from(pool)))
                .cond_where(Cond::any().add(is_living).add(was_sent))
                .group_by_col("user_id")
                .to_owned()
        })
        .await?;
        self.units.extend(buyers.iter().map(|buyer| ((product, pool, BuyerId(*buyer)), 0)));
        self.units.extend(rows.into_iter().map(|row| ((product, pool, BuyerId(row.user_id)), row.units)));
        Ok(())
    }

    /// Whether the ticket's units are within its buyer's limit; true for whoever has no older ticket.
    pub(super) fn allow(&self, claim: &Claim) -> bool {
        let Pool::Sale(sale) = claim.pool else { return true };
        let (had, most) = (self.units.get(&buyer_of(claim)), self.units_max.get(&sale));
        had.zip(most).is_none_or(|(had, most)| had + claim.quantity.units() <= *most)
    }

    /// The ticket becomes an order with units.
    pub(super) fn take(&mut self, ticket: &Ticket, is_older: bool) {
        if let Some(had) = self.units.get_mut(&buyer_of(&ticket.claim)) {
            *had += ticket.claim.quantity.units();
            if is_older {
                self.outdated.insert(ticket.claim.product);
            }
        }
    }

    pub(super) async fn outdate(&self, tx: &impl ConnectionTrait) -> Result<(), StoreError> {
        for product in &self.outdated {
            ledger_accounts::outdate(tx, *product).await?;
        }
        Ok(())
    }
}
