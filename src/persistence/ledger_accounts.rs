//! What the database remembers of the accounts that a ledger outside it has had, so that a ledger that lost everything is
//! not taken for a new one.
//!
//! **Invariant**: the epoch of a product's row is never below that of an account that the ledger accepts claims by. It is
//! raised in the transaction that reads what the account must be, under the product's stock rows; whoever places
//! orders locks those too. So each order is either in what was read, or its ticket is seen to be of an older account.
//! Nodes that rebuild in the same turn of the ledger are given the same epoch: one of them writes the account.
//!
//! An order of an older ticket makes the account of the row's epoch wrong about its buyer. `outdate` raises the epoch
//! beyond it then: from here on its tickets are of an older account too, until the next one is built.

use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ConnectionTrait, FromQueryResult};

use super::db::Db;
use super::error::StoreError;
use super::ledger::LostAccount;
use super::query;
use crate::domain::ProductId;

const OPERATION: &str = "remembering the ledger's account";
/// Of a row whose epoch no account has.
const NOBODYS_TURN: &str = "";

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct LedgerAccount {
    /// Counts the accounts of the product.
    pub epoch: i64,
    /// The turn in which this epoch was given out; empty if its account can no longer be right.
    turn: String,
    /// When the database was read for the latest one: no number made before this is sure to be known to the ledger. 0:
    /// nobody knows.
    pub built_at_ms: i64,
}

/// What is remembered of the product's account; `None` if it never had one.
///
/// # Errors
/// [`StoreError`].
pub async fn find(db: &Db, product: ProductId) -> Result<Option<LedgerAccount>, StoreError> {
    query::one(db.writer(), &select(product), OPERATION).await // a replica may not have it yet
}

fn select(product: ProductId) -> sea_orm::sea_query::SelectStatement {
    Query::select()
        .columns(["epoch", "turn", "built_at_ms"])
        .from("ledger_accounts")
        .and_where(Expr::col("product_id").eq(product.0))
        .to_owned()
}

/// The epoch of the account that follows on the one that was lost. To be asked with the product's stock rows locked.
pub(super) async fn succeed(
    tx: &impl ConnectionTrait,
    product: ProductId,
    lost: &LostAccount,
    now_ms: i64,
) -> Result<i64, StoreError> {
    let known: Option<LedgerAccount> = query::one(tx, &select(product), OPERATION).await?;
    let Some(known) = known else {
        let epoch = lost.epoch.saturating_add(1);
        let row = vec![product.0.into(), epoch.into(), lost.turn.as_str().into(), now_ms.into()];
        let columns = ["product_id", "epoch", "turn", "built_at_ms"];
        query::insert_rows(tx, "ledger_accounts", &columns, vec![row], None).await?;
        return Ok(epoch);
    };
    if known.turn == lost.turn {
        return Ok(known.epoch);
    }
    let epoch = Ord::max(known.epoch, lost.epoch).saturating_add(1);
    let update = Query::update()
        .table("ledger_accounts")
        .value("epoch", epoch)
        .value("turn", lost.turn.as_str())
        .value("built_at_ms", now_ms)
        .and_where(Expr::col("product_id").eq(product.0))
        .to_owned();
    query::execute(tx, &update, OPERATION).await?;
    Ok(epoch)
}

/// Declares the tickets of the present account older ones; once is enough until the next account is built.
pub(super) async fn outdate(tx: &impl ConnectionTrait, product: ProductId) -> Result<(), StoreError> {
    let update = Query::update()
        .table("ledger_accounts")
        .value("epoch", Expr::col("epoch").add(1_i64))
        .value("turn", NOBODYS_TURN)
        .and_where(Expr::col("product_id").eq(product.0))
        .and_where(Expr::col("turn").ne(NOBODYS_TURN))
        .to_owned();
    query::execute(tx, &update, OPERATION).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persistence::fixture::{NOW_MS, PRODUCT, Shop};
    use crate::persistence::stock;

    async fn succeed_to(shop: &Shop, epoch: i64, turn: &str) -> i64 {
        let lost = LostAccount { epoch, turn: turn.to_owned() };
        let succeeding = shop.db.write("testing", async |tx| {
            stock::lock(tx, &[PRODUCT]).await?;
            succeed(tx, PRODUCT, &lost, NOW_MS + epoch).await
        });
        succeeding.await.unwrap()
    }

    #[actix_rt::test]
    async fn epochs_rise_though_the_ledger_forgets_them_and_are_one_within_a_turn() {
        let shop = Shop::with_units(5).await;
        assert_eq!(find(&shop.db, PRODUCT).await.unwrap(), None, "the ledger in the database is never lost");
        let (one, other) = futures::join!(succeed_to(&shop, 0, "first"), succeed_to(&shop, 0, "first"));
        assert_eq!((one, other), (1, 1));
        assert_eq!(succeed_to(&shop, 1, "second").await, 2);
        assert_eq!(succeed_to(&shop, 0, "flushed").await, 3);
        assert_eq!(succeed_to(&shop, 9, "the database is an older copy").await, 10);
        shop.db.write("testing", async |tx| outdate(tx, PRODUCT).await).await.unwrap();
        for _ in 0..2 {
            let known = find(&shop.db, PRODUCT).await.unwrap().unwrap();
            assert_eq!((known.epoch, known.built_at_ms), (11, NOW_MS + 9));
            shop.db.write("testing", async |tx| outdate(tx, PRODUCT).await).await.unwrap();
        }
        assert_eq!(
            succeed_to(&shop, 10, "the database is an older copy").await,
            12,
            "that turn's account was outdated"
        );
    }
}
