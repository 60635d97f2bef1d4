//! Idempotency keys: what a user's request with this key is or was answered.
//!
//! A row is written before any work, with the order numbers that the work will use and a lease. The work is idempotent
//! by those numbers; its answer is stored afterwards. If the lease ends without an answer (a crash), the next request
//! with the key takes the row over and works again under the *same* numbers, which finds what was done. Numbers whose
//! units were given back are spent: [`renumber`] replaces them (docs/adr/0007).

use std::cell::RefCell;

use sea_orm::entity::prelude::*;
use sea_orm::{DatabaseTransaction, QuerySelect as _, Set};

use super::db::Db;
use super::error::StoreError;
use super::leases::{Holders, Lease};
use crate::domain::stock::OrderLine;
use crate::domain::{BuyerId, OrderNo, ProductId};

/// How long an answer is repeated.
pub const KEPT_MS: i64 = 24 * 3_600_000;
/// `http_status` of a row that has no answer yet.
const NO_ANSWER: i16 = 0;

pub(super) mod entity {
    //! Table `idempotency_keys`.
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "idempotency_keys")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub user_id: i64,
        #[sea_orm(primary_key, auto_increment = false)]
        pub idempotency_key: String,
        pub fingerprint: String,
        #[sea_orm(column_type = "Text")]
        pub order_nos: String,
        pub http_status: i16,
        #[sea_orm(column_type = "Text")]
        pub answer: String,
        pub lease_until_ms: i64,
        pub created_at_ms: i64,
        pub lease_slot: i16,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

use entity::{ActiveModel, Column, Entity, Model};

/// A user's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Keys of different users are different.
    pub user: BuyerId,
    /// 1..=100 visible ASCII characters.
    pub key: String,
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAnswer {
    /// 200..=499.
    pub http_status: u16,
    /// The text, byte for byte.
    pub text: String,
}

/// A request that wants to work under a key.
#[derive(Clone, Copy, Debug)]
pub struct Work<'a> {
    /// Of method, path and body; 64 characters.
    pub fingerprint: &'a str,
    /// The numbers to work under if nobody had the key before.
    pub fresh: &'a [OrderNo],
    /// What each of them is for, where the request itself does not say so: a cart may be another one at the next.
    pub lines: &'a [OrderLine],
    /// How long it may work before another request takes the key over.
    pub lease: Lease,
}

/// What the request with this key has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// Work, under these numbers.
    Work {
        /// From the first request with the key.
        order_nos: Vec<OrderNo>,
        /// What they are for, as it was said then.
        lines: Vec<OrderLine>,
        /// True if an earlier request may have done some of it already.
        is_repeat: bool,
        /// Names this turn: [`finish`] and [`abandon`] of a turn that was taken over change nothing.
        lease_until_ms: i64,
    },
    /// Repeat this answer.
    Answered(StoredAnswer),
    /// Nothing: the key belongs to another request.
    OtherRequest,
    /// Nothing: another request with this key is at work.
    Running {
        /// When its lease ends, from now.
        lease_left_ms: i64,
    },
}

/// Claims the key for this work, or says what became of it.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn begin(db: &Db, key: &IdempotencyKey, work: Work<'_>, now_ms: i64) -> Result<Begun, StoreError> {
    match begin_once(db, key, work, now_ms).await {
        Err(error) if error.is_duplicate() => begin_once(db, key, work, now_ms).await, // it is there now
        outcome => outcome,
    }
}

async fn begin_once(db: &Db, key: &IdempotencyKey, work: Work<'_>, now_ms: i64) -> Result<Begun, StoreError> {
    let operation = "claiming an idempotency key";
    let earlier = RefCell::new(None);
    db.write(operation, async |tx| {
        let row = Entity::find_by_id((key.user.0, key.key.clone()))
            .lock_exclusive()
            .one(tx)
            .await
            .map_err(StoreError::during(operation))?;
        let begun = match row {
            Some(row) if earlier.borrow().as_ref().is_some_and(|begun| is_of(&row, begun)) => {
                return Ok(earlier.borrow_mut().take().unwrap_or(Begun::OtherRequest));
            }
            Some(row) if row.created_at_ms + KEPT_MS > now_ms => judge(tx, row, work, now_ms).await,
            Some(row) => {
                row.delete(tx).await.map_err(StoreError::during(operation))?;
                insert(tx, key, work, now_ms).await
            }
            None => insert(tx, key, work, now_ms).await,
        }?;
        earlier.replace(Some(begun.clone())); // in case this try's commit is not answered
        Ok(begun)
    })
    .await
}

/// Whether the row was written by the turn that began so.
fn is_of(row: &Model, begun: &Begun) -> bool {
    match begun {
        Begun::Work { order_nos, lines, lease_until_ms, .. } => {
            let is_same_turn = row.http_status == NO_ANSWER && row.lease_until_ms == *lease_until_ms;
            is_same_turn && row.order_nos == joined(order_nos, lines)
        }
        _ => false,
    }
}

async fn insert(
    tx: &DatabaseTransaction,
    key: &IdempotencyKey,
    work: Work<'_>,
    now_ms: i64,
) -> Result<Begun, StoreError> {
    let lease_until_ms = now_ms.saturating_add(work.lease.ms);
    let row = ActiveModel {
        user_id: Set(key.user.0),
        idempotency_key: Set(key.key.clone()),
        fingerprint: Set(work.fingerprint.to_owned()),
        order_nos: Set(joined(work.fresh, work.lines)),
        http_status: Set(NO_ANSWER),
        answer: Set(String::new()),
        lease_until_ms: Set(lease_until_ms),
        created_at_ms: Set(now_ms),
        lease_slot: Set(work.lease.slot.into()),
    };
    Entity::insert(row).exec_without_returning(tx).await.map_err(StoreError::during("storing an idempotency key"))?;
    let (order_nos, lines) = (work.fresh.to_vec(), work.lines.to_vec());
    Ok(Begun::Work { order_nos, lines, is_repeat: false, lease_until_ms })
}

async fn judge(tx: &DatabaseTransaction, row: Model, work: Work<'_>, now_ms: i64) -> Result<Begun, StoreError> {
    if row.fingerprint != work.fingerprint {
        return Ok(Begun::OtherRequest);
    }
    if row.http_status != NO_ANSWER {
        let http_status = u16::try_from(row.http_status).unwrap_or(200);
        return Ok(Begun::Answered(StoredAnswer { http_status, text: row.answer }));
    }
    if row.lease_until_ms > now_ms {
        return Ok(Begun::Running { lease_left_ms: row.lease_until_ms - now_ms });
    }
    let lease_until_ms = now_ms.saturating_add(work.lease.ms);
    let taken = Entity::update_many()
        .col_expr(Column::LeaseUntilMs, Expr::value(lease_until_ms))
        .col_expr(Column::LeaseSlot, Expr::value(i16::from(work.lease.slot)))
        .filter(Column::UserId.eq(row.user_id))
        .filter(Column::IdempotencyKey.eq(row.idempotency_key.as_str()))
        .filter(Column::HttpStatus.eq(NO_ANSWER))
        .filter(Column::LeaseUntilMs.eq(row.lease_until_ms))
        .exec(tx)
        .await
        .map_err(StoreError::during("taking an idempotency key over"))?;
    if taken.rows_affected == 0 {
        return Ok(Begun::Running { lease_left_ms: work.lease.ms });
    }
    let (order_nos, lines) = read(&row)?;
    Ok(Begun::Work { order_nos, lines, is_repeat: true, lease_until_ms })
}

/// Replaces the numbers of the turn that ends at `lease_until_ms`: the old ones are spent, their units were given back.
/// False if the key was taken over meanwhile. The caller makes sure that no order has one of the old numbers.
///
/// # Errors
/// [`StoreError`] if the database fails; the old numbers stay then.
pub async fn renumber(
    db: &Db,
    key: &IdempotencyKey,
    lease_until_ms: i64,
    fresh: &[OrderNo],
    lines: &[OrderLine],
) -> Result<bool, StoreError> {
    change_turn(db, key, lease_until_ms, [(Column::OrderNos, Expr::value(joined(fresh, lines)))]).await
}

/// Stores the answer of the turn that ends at `lease_until_ms`; false if the key was taken over meanwhile.
///
/// # Errors
/// [`StoreError`] if the database fails; the next request then takes the key over.
pub async fn finish(
    db: &Db,
    key: &IdempotencyKey,
    lease_until_ms: i64,
    answer: &StoredAnswer,
) -> Result<bool, StoreError> {
    let http_status = i16::try_from(answer.http_status).unwrap_or(200);
    end_turn(db, key, lease_until_ms, http_status, &answer.text).await
}

/// Ends a turn without an answer (the shop was busy): the next request with the key may work at once, under the same
/// numbers. False if the key was taken over meanwhile.
///
/// # Errors
/// [`StoreError`] if the database fails; the key is then free when its lease ends.
pub async fn abandon(db: &Db, key: &IdempotencyKey, lease_until_ms: i64) -> Result<bool, StoreError> {
    end_turn(db, key, lease_until_ms, NO_ANSWER, "").await
}

/// Ends the turns without an answer of processes that are dead.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn abandon_all(db: &Db, of: Holders) -> Result<u64, StoreError> {
    let operation = "ending the turns of an earlier life";
    db.write(operation, async |tx| {
        let mut update = Entity::update_many()
            .col_expr(Column::LeaseUntilMs, Expr::value(0_i64))
            .filter(Column::HttpStatus.eq(NO_ANSWER))
            .filter(Column::LeaseUntilMs.gt(0));
        if let Holders::Slot(slot) = of {
            update = update.filter(Column::LeaseSlot.eq(i16::from(slot)));
        }
        let ended = update.exec(tx).await.map_err(StoreError::during(operation))?;
        Ok(ended.rows_affected)
    })
    .await
}

async fn end_turn(
    db: &Db,
    key: &IdempotencyKey,
    lease_until_ms: i64,
    http_status: i16,
    answer: &str,
) -> Result<bool, StoreError> {
    let ended = [
        (Column::HttpStatus, Expr::value(http_status)),
        (Column::Answer, Expr::value(answer)),
        (Column::LeaseUntilMs, Expr::value(0_i64)),
    ];
    change_turn(db, key, lease_until_ms, ended).await
}

/// Compare-and-swap: only while the key is this turn's and has no answer.
async fn change_turn<const N: usize>(
    db: &Db,
    key: &IdempotencyKey,
    lease_until_ms: i64,
    changes: [(Column, Expr); N],
) -> Result<bool, StoreError> {
    let operation = "changing an idempotency key";
    db.write(operation, async |tx| {
        let mut update = Entity::update_many();
        for (column, value) in &changes {
            update = update.col_expr(*column, value.clone());
        }
        let changed = update
            .filter(Column::UserId.eq(key.user.0))
            .filter(Column::IdempotencyKey.eq(key.key.as_str()))
            .filter(Column::HttpStatus.eq(NO_ANSWER))
            .filter(Column::LeaseUntilMs.eq(lease_until_ms))
            .exec(tx)
            .await
            .map_err(StoreError::during(operation))?;
        Ok(changed.rows_affected == 1)
    })
    .await
}

/// Deletes keys older than [`KEPT_MS`]; returns how many.
///
/// # Errors
/// [`StoreError`] if the database fails.
pub async fn purge(db: &Db, now_ms: i64) -> Result<u64, StoreError> {
    let operation = "purging idempotency keys";
    db.write(operation, async |tx| {
        let old = Entity::delete_many().filter(Column::CreatedAtMs.lte(now_ms - KEPT_MS));
        Ok(old.exec(tx).await.map_err(StoreError::during(operation))?.rows_affected)
    })
    .await
}

/// Numbers with commas between; of one that has a line `number:product:units`.
fn joined(order_nos: &[OrderNo], lines: &[OrderLine]) -> String {
    let text = |order_no: &OrderNo| match lines.iter().find(|line| line.order_no == *order_no) {
        Some(OrderLine { product, quantity, .. }) => format!("{order_no}:{product}:{}", quantity.units()),
        None => order_no.to_string(),
    };
    order_nos.iter().map(text).collect::<Vec<_>>().join(",")
}

fn read(row: &Model) -> Result<(Vec<OrderNo>, Vec<OrderLine>), StoreError> {
    let (mut order_nos, mut lines) = (Vec::new(), Vec::new());
    for text in row.order_nos.split(',').filter(|text| !text.is_empty()) {
        let corrupt = || StoreError::Corrupt { what: format!("the order number {text} of a key") };
        let (number, line) = text.split_once(':').map_or((text, None), |(number, line)| (number, Some(line)));
        let order_no: OrderNo = number.parse().map_err(|_| corrupt())?;
        if let Some(line) = line {
            let (product, units) = line.split_once(':').ok_or_else(corrupt)?;
            let product = ProductId(product.parse().map_err(|_| corrupt())?);
            let units: i64 = units.parse().map_err(|_| corrupt())?;
            lines.push(OrderLine { order_no, product, quantity: units.try_into().map_err(|_| corrupt())? });
        }
        order_nos.push(order_no);
    }
    Ok((order_nos, lines))
}

#[cfg(test)]
mod tests;
