//! The steps of one move, each of which may be repeated.

use std::collections::BTreeMap;
use std::time::Duration;

use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Order, Query};
use sea_orm::{ConnectionTrait, DatabaseTransaction, FromQueryResult};
use serde::{Deserialize, Serialize};

use super::{MoveDone, MoveRefusal, StockPlan};
use crate::domain::sale::SaleTerms;
use crate::domain::stock::{ClaimRejection, POOL_UNITS_MAX, Pool};
use crate::domain::{ProductId, SaleId};
use crate::failpoint;
use crate::persistence::db::Db;
use crate::persistence::error::StoreError;
use crate::persistence::ledger::{StockLedger, Withdraw};
use crate::persistence::stock::{self, StockDelta};
use crate::persistence::stock_history::{self, Moved};
use crate::persistence::{query, sales};

const OPERATION: &str = "moving stock";
/// `stock_moves.step`.
pub(super) const STARTED: i16 = 0;
pub(super) const IN_SQL: i16 = 1;
pub(super) const UNDOING: i16 = 2;
pub(super) const DONE: i16 = 3;
pub(super) const REFUSED: i16 = 4;
/// How often, and with what pause, a difference looks whether the one before it has ended.
const TURNS_MAX: u32 = 20;
const TURN_EVERY: Duration = Duration::from_millis(50);
/// Moves resumed at once.
const PENDING_MAX: u64 = 1_000;

/// One move and what is needed to drive it.
#[derive(Clone, Copy)]
pub(super) struct Move<'a> {
    pub(super) db: &'a Db,
    pub(super) ledger: &'a dyn StockLedger,
    pub(super) move_id: &'a str,
    pub(super) product: ProductId,
    pub(super) now_ms: i64,
}

/// A plan in terms of pools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Transfer {
    /// Who gives; `None` is the outside.
    from: Option<Pool>,
    /// Who gets; `None` is the outside.
    to: Option<Pool>,
    take: Withdraw,
}

/// `stock_moves.plan`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Stored {
    plan: StockPlan,
    /// Set before the first step that changes anything, so that a repeat moves the same.
    #[serde(default)]
    transfer: Option<Transfer>,
    /// Units really moved, known from the SQL step on.
    #[serde(default)]
    units: i64,
}

#[derive(FromQueryResult)]
struct Row {
    product_id: i64,
    step: i16,
    plan: String,
    refusal: String,
}

#[derive(FromQueryResult)]
struct OpenRow {
    move_id: String,
    step: i16,
    plan: String,
}

#[derive(FromQueryResult)]
struct Pending {
    move_id: String,
    product_id: i64,
}

/// Moves that have not ended, oldest first.
pub(super) async fn pending(db: &Db, begun_before_ms: i64) -> Result<Vec<(String, ProductId)>, StoreError> {
    let select = Query::select()
        .columns(["move_id", "product_id"])
        .from("stock_moves")
        .and_where(Expr::col("step").is_in([STARTED, IN_SQL, UNDOING]))
        .and_where(Expr::col("created_at_ms").lte(begun_before_ms))
        .order_by("created_at_ms", Order::Asc)
        .limit(PENDING_MAX)
        .to_owned();
    let rows: Vec<Pending> = query::all(db.reader(), &select, "reading pending moves").await?;
    Ok(rows.into_iter().map(|row| (row.move_id, ProductId(row.product_id))).collect())
}

/// The ledger's step that a move has next, which may have been taken already.
pub(in crate::persistence) struct OpenStep {
    /// As the ledger knows it.
    pub(in crate::persistence) step_id: String,
    /// Units that SQL has in a pool, and the ledger only once the step is taken.
    pub(in crate::persistence) in_sql_only: Option<(Pool, i64)>,
}

/// The open steps of a product's moves.
pub(in crate::persistence) async fn open_steps(
    conn: &impl ConnectionTrait,
    product: ProductId,
) -> Result<Vec<OpenStep>, StoreError> {
    let select = Query::select()
        .columns(["move_id", "step", "plan"])
        .from("stock_moves")
        .and_where(Expr::col("product_id").eq(product.0))
        .and_where(Expr::col("step").is_in([STARTED, IN_SQL, UNDOING]))
        .order_by("move_id", Order::Asc)
        .to_owned();
    let rows: Vec<OpenRow> = query::all(conn, &select, OPERATION).await?;
    rows.into_iter()
        .map(|OpenRow { move_id, step, plan }| {
            let stored: Stored = query::from_json(&plan, || format!("stock move {move_id}"))?;
            let gains = |pool: Option<Pool>| pool.map(|pool| (pool, stored.units));
            let (letter, in_sql_only) = match (step, stored.transfer) {
                (IN_SQL, Some(transfer)) => ('d', gains(transfer.to)),
                (UNDOING, Some(transfer)) => ('u', gains(transfer.from)),
                _ => ('w', None),
            };
            Ok(OpenStep { step_id: format!("{move_id}:{letter}"), in_sql_only })
        })
        .collect()
}

/// Writes the row of a move, unless it is there.
pub(in crate::persistence) async fn begin(
    conn: &impl ConnectionTrait,
    move_id: &str,
    product: ProductId,
    plan: StockPlan,
    now_ms: i64,
) -> Result<(), StoreError> {
    let stored = Stored { plan, transfer: None, units: 0 };
    let row = vec![
        move_id.into(),
        product.0.into(),
        STARTED.into(),
        query::to_json(&stored, "stock plan")?.into(),
        "".into(),
        now_ms.into(),
        now_ms.into(),
    ];
    let columns = ["move_id", "product_id", "step", "plan", "refusal", "created_at_ms", "updated_at_ms"];
    let keep = OnConflict::column("move_id").do_nothing_on(["move_id"]).to_owned();
    query::insert_rows(conn, "stock_moves", &columns, vec![row], Some(keep)).await
}

/// What the move of that id shall do, and with which product, if it was begun.
pub(in crate::persistence) async fn planned(
    conn: &impl ConnectionTrait,
    move_id: &str,
) -> Result<Option<(ProductId, StockPlan)>, StoreError> {
    let Some(row) = row(conn, move_id).await? else { return Ok(None) };
    let stored: Stored = query::from_json(&row.plan, || format!("stock move {move_id}"))?;
    Ok(Some((ProductId(row.product_id), stored.plan)))
}

async fn row(conn: &impl ConnectionTrait, move_id: &str) -> Result<Option<Row>, StoreError> {
    let select = Query::select()
        .columns(["product_id", "step", "plan", "refusal"])
        .from("stock_moves")
        .and_where(Expr::col("move_id").eq(move_id))
        .to_owned();
    query::one(conn, &select, OPERATION).await
}

impl Move<'_> {
    /// Runs step after step until the move has ended.
    pub(super) async fn finish(&self) -> Result<Result<MoveDone, MoveRefusal>, StoreError> {
        loop {
            let (step, stored, refusal) = self.load().await?;
            match step {
                STARTED => match self.resolve_in_turn(stored).await? {
                    Ok(stored) => match self.withdraw(&stored).await? {
                        Ok(units) => self.write(Stored { units, ..stored }).await?,
                        Err(refusal) => self.refuse(&stored, refusal, STARTED).await?,
                    },
                    Err(refusal) => self.refuse(&stored, refusal, STARTED).await?,
                },
                IN_SQL => self.deposit(&stored).await?,
                UNDOING => {
                    self.undo(&stored).await?;
                    self.refuse(&stored, refusal.unwrap_or(MoveRefusal::Short { units_left: 0 }), UNDOING).await?;
                }
                REFUSED => return Ok(Err(refusal.unwrap_or(MoveRefusal::Short { units_left: 0 }))),
                _ => return Ok(Ok(MoveDone { units: stored.signed_units() })),
            }
        }
    }

    async fn load(&self) -> Result<(i16, Stored, Option<MoveRefusal>), StoreError> {
        let what = || format!("stock move {}", self.move_id);
        let row = row(self.db.reader(), self.move_id).await?;
        let row = row.ok_or_else(|| StoreError::Corrupt { what: what() })?;
        let refusal = (!row.refusal.is_empty()).then(|| query::from_json(&row.refusal, what)).transpose()?;
        Ok((row.step, query::from_json(&row.plan, what)?, refusal))
    }

    /// Waits for an earlier difference to end, or for an account that was lost meanwhile, for a while.
    async fn resolve_in_turn(&self, stored: Stored) -> Result<Result<Stored, MoveRefusal>, StoreError> {
        for _ in 1..TURNS_MAX {
            match self.resolve(stored).await {
                Err(StoreError::Conflict { .. } | StoreError::LedgerLost { .. }) => {
                    tokio::time::sleep(TURN_EVERY).await;
                }
                outcome => return outcome,
            }
        }
        self.resolve(stored).await
    }

    /// Says which pools give and get, once: a difference is taken against what is free at this moment (R15).
    async fn resolve(&self, stored: Stored) -> Result<Result<Stored, MoveRefusal>, StoreError> {
        if stored.transfer.is_some() {
            return Ok(Ok(stored));
        }
        if stored.plan.is_difference() {
            self.ledger.snapshot(self.product).await?; // a lost account is rebuilt now: it needs the rows locked below
        }
        let resolving = async |tx: &DatabaseTransaction| {
            let transfer = match self.transfer(tx, stored.plan).await? {
                Ok(transfer) => transfer,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let resolved = Stored { transfer: Some(transfer), ..stored };
            let update = Query::update()
                .table("stock_moves")
                .value("plan", query::to_json(&resolved, "stock plan")?)
                .and_where(Expr::col("move_id").eq(self.move_id))
                .and_where(Expr::col("plan").eq(query::to_json(&stored, "stock plan")?))
                .to_owned();
            query::execute(tx, &update, OPERATION).await.map(|_| Ok(()))
        };
        let resolved = self.db.write(OPERATION, async |tx| {
            self.await_turn(tx, stored.plan).await?;
            resolving(tx).await
        });
        match resolved.await? {
            Ok(()) => Ok(Ok(self.load().await?.1)), // read again: if another node resolved it meanwhile, its word counts
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    /// A difference holds only while no other one is under way: of two "let there be n" the later must see what the
    /// earlier moved, or both add. The product's rows are locked meanwhile.
    async fn await_turn(&self, tx: &DatabaseTransaction, plan: StockPlan) -> Result<(), StoreError> {
        if !plan.is_difference() {
            return Ok(());
        }
        stock::lock(tx, &[self.product]).await?;
        let select = Query::select()
            .columns(["product_id", "step", "plan", "refusal"])
            .from("stock_moves")
            .and_where(Expr::col("product_id").eq(self.product.0))
            .and_where(Expr::col("step").is_in([STARTED, IN_SQL, UNDOING]))
            .and_where(Expr::col("move_id").ne(self.move_id))
            .to_owned();
        let others: Vec<Row> = query::all(tx, &select, OPERATION).await?;
        for other in others {
            let stored: Stored = query::from_json(&other.plan, || format!("a stock move of product {}", self.product))?;
            if stored.transfer.is_some() && stored.plan.is_difference() {
                return Err(StoreError::Conflict { operation: OPERATION });
            }
        }
        Ok(())
    }

    async fn transfer(
        &self,
        tx: &DatabaseTransaction,
        plan: StockPlan,
    ) -> Result<Result<Transfer, MoveRefusal>, StoreError> {
        let (from, to, units) = match plan {
            StockPlan::PutIn { units } => (None, Some(Pool::Free), units),
            StockPlan::TakeOut { units } => (Some(Pool::Free), None, units),
            StockPlan::SetFree { units } => return self.difference(tx, Pool::Free, None, units).await,
            StockPlan::PlanSale { terms, units } => (Some(Pool::Free), Some(Pool::Sale(terms.sale)), units),
            StockPlan::RestockSale { sale, units } if units < 0 => (Some(Pool::Sale(sale)), Some(Pool::Free), -units),
            StockPlan::RestockSale { sale, units } => (Some(Pool::Free), Some(Pool::Sale(sale)), units),
            StockPlan::ChangeTerms { .. } | StockPlan::CloseSale { .. } | StockPlan::SetSale { .. } => (None, None, 0),
        };
        if let Some(sale) = sale_of(plan) {
            let known = self.sale(tx, sale).await?;
            let Some(terms) = known else { return Ok(Err(MoveRefusal::NoSuchSale)) };
            if let StockPlan::CloseSale { .. } = plan {
                let (from, to) = (Some(Pool::Sale(sale)), Some(Pool::Free));
                return Ok(Ok(Transfer { from, to, take: Withdraw::All }));
            }
            if terms.closed {
                return Ok(Err(MoveRefusal::SaleClosed));
            }
            if let StockPlan::SetSale { units, .. } = plan {
                return self.difference(tx, Pool::Sale(sale), Some(Pool::Free), units).await;
            }
        }
        if !(0..=POOL_UNITS_MAX).contains(&units) {
            return Ok(Err(MoveRefusal::OutOfRange));
        }
        Ok(Ok(Transfer { from, to, take: Withdraw::Exactly(units) }))
    }

    /// What brings `pool` to `wanted` free units, to or from `other` (`None`: the outside).
    async fn difference(
        &self,
        tx: &DatabaseTransaction,
        pool: Pool,
        other: Option<Pool>,
        wanted: i64,
    ) -> Result<Result<Transfer, MoveRefusal>, StoreError> {
        if !(0..=POOL_UNITS_MAX).contains(&wanted) {
            return Ok(Err(MoveRefusal::OutOfRange));
        }
        let missing = wanted - self.ledger.glance_in(tx, self.product).await?.free(pool);
        Ok(Ok(if missing < 0 {
            Transfer { from: Some(pool), to: other, take: Withdraw::UpTo(-missing) }
        } else {
            Transfer { from: other, to: Some(pool), take: Withdraw::Exactly(missing) }
        }))
    }

    async fn sale(&self, conn: &impl ConnectionTrait, sale: SaleId) -> Result<Option<SaleTerms>, StoreError> {
        let known = sales::find_in(conn, sale).await?;
        Ok(known.filter(|known| known.sale.product == self.product).map(|known| known.sale.terms))
    }

    /// Takes the units out of the ledger; a sale that closes is shut there first.
    async fn withdraw(&self, stored: &Stored) -> Result<Result<i64, MoveRefusal>, StoreError> {
        failpoint::reach("stock_moves.withdraw.before");
        if let StockPlan::CloseSale { sale } = stored.plan
            && let Some(terms) = self.sale(self.db.reader(), sale).await?
        {
            self.ledger.set_terms(self.product, &SaleTerms { closed: true, ..terms }).await?;
        }
        let Some(Transfer { from, take, .. }) = stored.transfer else { return Ok(Ok(0)) };
        let Some(from) = from else {
            return Ok(Ok(match take {
                Withdraw::Exactly(units) | Withdraw::UpTo(units) => units,
                Withdraw::All => 0,
            }));
        };
        let step_id = format!("{}:w", self.move_id);
        let answer = self.ledger.withdraw(&step_id, self.product, from, take, self.now_ms).await?;
        failpoint::reach("stock_moves.withdraw.after");
        Ok(answer.map_err(|rejection| match rejection {
            ClaimRejection::StockShort { units_left } => MoveRefusal::Short { units_left },
            _ => MoveRefusal::Short { units_left: 0 },
        }))
    }

    /// Writes the authority; if it is short of what the ledger gave, the move turns back.
    async fn write(&self, stored: Stored) -> Result<(), StoreError> {
        failpoint::reach("stock_moves.sql.before");
        self.db.write(OPERATION, async |tx| self.write_in(tx, &stored).await).await?;
        failpoint::reach("stock_moves.sql.after");
        Ok(())
    }

    async fn write_in(&self, tx: &DatabaseTransaction, stored: &Stored) -> Result<(), StoreError> {
        let Some(Transfer { from, to, .. }) = stored.transfer else { return Ok(()) };
        let mut deltas = BTreeMap::new();
        if let Some(to) = to {
            stock::ensure(tx, self.product, to).await?;
            deltas.insert((self.product, to), StockDelta::put_in(stored.units));
        }
        if let Some(from) = from {
            let rows = stock::lock(tx, &[self.product]).await?;
            let units_left = rows.iter().find(|row| row.pool == from).map_or(0, |row| row.free);
            if units_left < stored.units {
                let refusal = MoveRefusal::Short { units_left };
                self.mark(tx, STARTED, UNDOING, stored, Some(refusal)).await?;
                return Ok(());
            }
            deltas.insert((self.product, from), StockDelta::put_in(-stored.units));
        }
        if !self.mark(tx, STARTED, IN_SQL, stored, None).await? {
            return Ok(()); // another node was faster
        }
        if stored.units != 0 && !stock::apply_all(tx, &deltas).await? {
            return Err(StoreError::Conflict { operation: OPERATION });
        }
        match stored.plan {
            StockPlan::ChangeTerms { terms } => return sales::update(tx, &terms, self.now_ms).await,
            StockPlan::RestockSale { sale, .. } | StockPlan::SetSale { sale, .. } => {
                sales::restock(tx, sale, stored.signed_units(), self.now_ms).await?;
            }
            StockPlan::CloseSale { sale } => sales::close(tx, sale, self.now_ms).await?,
            _ => {}
        }
        let (Move { move_id, product, .. }, units) = (*self, stored.units_gained());
        let moved = Moved { move_id, product, kind: stored.plan.kind(), sale: sale_of(stored.plan), units };
        stock_history::note(tx, moved, self.now_ms).await
    }

    /// Gives the units to the ledger's pool, with the terms that the sale has now.
    async fn deposit(&self, stored: &Stored) -> Result<(), StoreError> {
        failpoint::reach("stock_moves.deposit.before");
        if let Some(sale) = sale_of(stored.plan)
            && let Some(terms) = self.sale(self.db.reader(), sale).await?
        {
            self.ledger.set_terms(self.product, &terms).await?;
        }
        if let Some(to) = stored.transfer.and_then(|transfer| transfer.to) {
            let step_id = format!("{}:d", self.move_id);
            self.ledger.deposit(&step_id, self.product, to, stored.units, self.now_ms).await?;
        }
        self.mark(self.db.writer(), IN_SQL, DONE, stored, None).await?;
        failpoint::reach("stock_moves.deposit.after");
        Ok(())
    }

    async fn undo(&self, stored: &Stored) -> Result<(), StoreError> {
        let Some(from) = stored.transfer.and_then(|transfer| transfer.from) else { return Ok(()) };
        let step_id = format!("{}:u", self.move_id);
        self.ledger.deposit(&step_id, self.product, from, stored.units, self.now_ms).await
    }

    /// Ends the move with a refusal; a sale that was to be opened by it goes.
    async fn refuse(&self, stored: &Stored, refusal: MoveRefusal, from_step: i16) -> Result<(), StoreError> {
        self.db
            .write(OPERATION, async |tx| {
                let is_ended = self.mark(tx, from_step, REFUSED, stored, Some(refusal)).await?;
                match stored.plan {
                    StockPlan::PlanSale { terms, .. } if is_ended => sales::delete(tx, terms.sale).await,
                    _ => Ok(()),
                }
            })
            .await
    }

    /// Sets the row from one step to another; false if it is not at that step any more.
    async fn mark(
        &self,
        conn: &impl ConnectionTrait,
        from_step: i16,
        step: i16,
        stored: &Stored,
        refusal: Option<MoveRefusal>,
    ) -> Result<bool, StoreError> {
        let refusal = refusal.map(|refusal| query::to_json(&refusal, "refusal")).transpose()?.unwrap_or_default();
        let update = Query::update()
            .table("stock_moves")
            .value("step", step)
            .value("plan", query::to_json(stored, "stock plan")?)
            .value("refusal", refusal)
            .value("updated_at_ms", self.now_ms)
            .and_where(Expr::col("move_id").eq(self.move_id))
            .and_where(Expr::col("step").eq(from_step))
            .to_owned();
        Ok(query::execute(conn, &update, OPERATION).await? == 1)
    }
}

impl Stored {
    /// Positive if the pool that the plan is about gained.
    fn signed_units(&self) -> i64 {
        let took_away = match self.plan {
            StockPlan::SetFree { .. } => self.transfer.is_some_and(|transfer| transfer.to.is_none()),
            StockPlan::SetSale { .. } => self.transfer.is_some_and(|transfer| transfer.to == Some(Pool::Free)),
            StockPlan::RestockSale { units, .. } => units < 0,
            _ => false,
        };
        if took_away { -self.units } else { self.units }
    }

    /// Units that came into the pool that the plan is about, as its history says it.
    fn units_gained(&self) -> i64 {
        match self.plan {
            StockPlan::TakeOut { .. } | StockPlan::CloseSale { .. } => -self.units,
            _ => self.signed_units(),
        }
    }
}

const fn sale_of(plan: StockPlan) -> Option<SaleId> {
    match plan {
        StockPlan::PlanSale { terms, .. } | StockPlan::ChangeTerms { terms } => Some(terms.sale),
        StockPlan::RestockSale { sale, .. } | StockPlan::SetSale { sale, .. } | StockPlan::CloseSale { sale } => {
            Some(sale)
        }
        StockPlan::PutIn { .. } | StockPlan::TakeOut { .. } | StockPlan::SetFree { .. } => None,
    }
}

#[cfg(test)]
mod tests;
