//! Waiting rooms that an administrator gave to single sales: how many buyers each admits in a second, in the columns of
//! its sale. Neither the gate nor a purchase's writes read them; nodes do, once a second ([`commanded`]).
//!
//! A room is closed by a rate of 0. Each closing is counted: the count is a part of the room's name ([`super::waiting_rooms::RoomId`]),
//! so a room that is opened again begins anew, and nobody waits for the turns of buyers who were let in when it closed.

use sea_orm::FromQueryResult;
use sea_orm::sea_query::{Cond, Expr, ExprTrait, Order, Query};

use super::db::Db;
use super::error::StoreError;
use super::query;
use super::sales::SaleRefusal;
use crate::domain::{ProductId, SaleId};

/// Most buyers that a sale can be told to admit in a second.
pub const ADMISSIONS_PER_SECOND_MAX: u32 = 1_000_000;
const OPERATION: &str = "changing a sale's waiting room";

/// What is said of a sale's waiting room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SaleRoom {
    /// Buyers that it admits in a second; 0: nobody waits; `None`: as the settings say.
    pub admissions_per_second: Option<u32>,
    /// How often it was closed by hand.
    pub closings: u32,
}

impl SaleRoom {
    /// From the columns; what cannot be is as if nobody had said it.
    pub(super) fn read(admissions_per_second: Option<i32>, closings: Option<i32>) -> Self {
        let closings = closings.and_then(|closings| u32::try_from(closings).ok()).unwrap_or(0);
        Self { admissions_per_second: admissions_per_second.and_then(|rate| u32::try_from(rate).ok()), closings }
    }

    /// What is in force, where the settings say so much.
    #[must_use]
    pub fn admits(self, by_settings: u32) -> u32 {
        self.admissions_per_second.unwrap_or(by_settings)
    }
}

/// How a rate stands in its column.
pub(super) fn column(admissions_per_second: Option<u32>) -> Option<i32> {
    admissions_per_second.map(|rate| i32::try_from(Ord::min(rate, ADMISSIONS_PER_SECOND_MAX)).unwrap_or(i32::MAX))
}

/// A sale whose room somebody commanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandedRoom {
    /// Of what.
    pub product: ProductId,
    /// Which sale.
    pub sale: SaleId,
    /// What was said.
    pub room: SaleRoom,
}

#[derive(FromQueryResult)]
struct Row {
    id: i64,
    product_id: i64,
    closed: bool,
    admissions_per_second: Option<i32>,
    room_closings: Option<i32>,
}

impl Row {
    fn room(&self) -> SaleRoom {
        SaleRoom::read(self.admissions_per_second, self.room_closings)
    }
}

const COLUMNS: [&str; 5] = ["id", "product_id", "closed", "admissions_per_second", "room_closings"];

/// Rooms that somebody commanded, of sales that are not over at `now_ms`; of more than `limit` those that open first.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn commanded(db: &Db, now_ms: i64, limit: u64) -> Result<Vec<CommandedRoom>, StoreError> {
    let said =
        Cond::any().add(Expr::col("admissions_per_second").is_not_null()).add(Expr::col("room_closings").is_not_null());
    let select = Query::select()
        .columns(COLUMNS)
        .from("sales")
        .and_where(Expr::col("closed").eq(false))
        .and_where(Expr::col("closes_at_ms").gt(now_ms))
        .cond_where(said)
        .order_by("opens_at_ms", Order::Asc)
        .order_by("id", Order::Asc)
        .limit(limit)
        .to_owned();
    let rows: Vec<Row> = query::all(db.reader(), &select, "reading waiting rooms of sales").await?;
    let room = |row: Row| CommandedRoom { product: ProductId(row.product_id), sale: SaleId(row.id), room: row.room() };
    Ok(rows.into_iter().map(room).collect())
}

/// What a command made of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomChanged {
    /// Of what.
    pub product: ProductId,
    /// What was said before.
    pub before: SaleRoom,
    /// What is said now.
    pub now: SaleRoom,
}

/// Says how many buyers a sale admits in a second. `by_settings` is what sales admit of which nobody says anything: who
/// goes from a rate to none closes the room. Said twice it changes nothing more.
///
/// # Errors
/// [`StoreError::Database`]; [`SaleRefusal`] for a sale that is not there or closed.
pub async fn command(
    db: &Db,
    sale: SaleId,
    admissions_per_second: Option<u32>,
    by_settings: u32,
    now_ms: i64,
) -> Result<Result<RoomChanged, SaleRefusal>, StoreError> {
    db.write(OPERATION, async |tx| {
        let select = Query::select().columns(COLUMNS).from("sales").and_where(Expr::col("id").eq(sale.0)).to_owned();
        // two commands follow each other
        let row: Option<Row> = query::one(tx, &query::locked(select, tx), OPERATION).await?;
        let Some(row) = row else { return Ok(Err(SaleRefusal::NotFound)) };
        if row.closed {
            return Ok(Err(SaleRefusal::Closed));
        }
        let (product, before) = (ProductId(row.product_id), row.room());
        let mut now = SaleRoom { admissions_per_second, ..before };
        if now == before {
            return Ok(Ok(RoomChanged { product, before, now }));
        }
        if now.admits(by_settings) == 0 {
            now.closings = before.closings.saturating_add(1);
        }
        let update = Query::update()
            .table("sales")
            .value("admissions_per_second", column(admissions_per_second))
            .value("room_closings", i32::try_from(now.closings).unwrap_or(i32::MAX))
            .value("updated_at_ms", now_ms)
            .and_where(Expr::col("id").eq(sale.0))
            .to_owned();
        query::execute(tx, &update, OPERATION).await?;
        Ok(Ok(RoomChanged { product, before, now }))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persistence::fixture::{NOW_MS, PRODUCT, Shop};
    use crate::persistence::sales;
    use crate::persistence::stock_moves::StockPlan;

    const HOUR_MS: i64 = 3_600_000;
    const LIMIT: u64 = 10;

    fn room(admissions_per_second: Option<u32>, closings: u32) -> SaleRoom {
        SaleRoom { admissions_per_second, closings }
    }

    /// What a command leaves behind.
    async fn said(shop: &Shop, sale: SaleId, rate: Option<u32>, by_settings: u32) -> SaleRoom {
        let changed = command(&shop.db, sale, rate, by_settings, NOW_MS).await.unwrap().unwrap();
        assert_eq!(changed.product, PRODUCT);
        assert_eq!(sales::find(&shop.db, sale).await.unwrap().unwrap().sale.room, changed.now);
        changed.now
    }

    #[actix_rt::test]
    async fn a_room_is_counted_anew_each_time_that_it_is_closed_and_not_when_it_is_said_twice() {
        let shop = Shop::with_units(9).await;
        let sale = shop.sale(5, 1).await;
        assert_eq!(commanded(&shop.db, NOW_MS, LIMIT).await.unwrap(), []);
        for (rate, by_settings, left) in [
            (Some(5), 0, room(Some(5), 0)),
            (Some(1_000_000), 0, room(Some(1_000_000), 0)),
            (Some(0), 0, room(Some(0), 1)),
            (Some(0), 0, room(Some(0), 1)),
            (Some(3), 0, room(Some(3), 1)),
            (None, 0, room(None, 2)),
            (None, 0, room(None, 2)),
            (Some(7), 4, room(Some(7), 2)),
            (None, 4, room(None, 2)),
        ] {
            assert_eq!(
                said(&shop, sale, rate, by_settings).await,
                left,
                "{rate:?} where the settings say {by_settings}"
            );
            let known = CommandedRoom { product: PRODUCT, sale, room: left };
            assert_eq!(commanded(&shop.db, NOW_MS, LIMIT).await.unwrap(), [known]);
        }
        assert_eq!(commanded(&shop.db, NOW_MS, 0).await.unwrap(), []);
        assert_eq!(commanded(&shop.db, NOW_MS + HOUR_MS, LIMIT).await.unwrap(), [], "it is over");
    }

    #[actix_rt::test]
    async fn a_sale_that_is_closed_or_not_there_has_no_room_to_command() {
        let shop = Shop::with_units(9).await;
        let sale = shop.sale(5, 1).await;
        said(&shop, sale, Some(5), 0).await;
        shop.moves(PRODUCT, StockPlan::CloseSale { sale }).await;
        let refused = async |sale| command(&shop.db, sale, Some(1), 0, NOW_MS).await.unwrap().unwrap_err();
        assert_eq!(refused(sale).await, SaleRefusal::Closed);
        assert_eq!(refused(SaleId(sale.0 + 1)).await, SaleRefusal::NotFound);
        assert_eq!(commanded(&shop.db, NOW_MS, LIMIT).await.unwrap(), []);
    }

    #[actix_rt::test]
    async fn a_sale_that_is_planned_with_a_rate_has_it_and_keeps_it_when_its_terms_change() {
        let shop = Shop::with_units(9).await;
        let sale = shop.sale(5, 1).await;
        let mut terms = sales::find(&shop.db, sale).await.unwrap().unwrap().sale.terms;
        said(&shop, sale, Some(5), 0).await;
        terms.units_per_buyer_max = 3;
        shop.moves(PRODUCT, StockPlan::ChangeTerms { terms }).await;
        let changed = sales::find(&shop.db, sale).await.unwrap().unwrap().sale;
        assert_eq!((changed.terms.units_per_buyer_max, changed.room), (3, room(Some(5), 0)));

        (terms.window.opens_at_ms, terms.window.closes_at_ms) = (NOW_MS + 2 * HOUR_MS, NOW_MS + 3 * HOUR_MS);
        let move_id = shop.next_no().to_string();
        let new = sales::NewSale {
            move_id: &move_id,
            product: PRODUCT,
            terms,
            units_planned: 1,
            admissions_per_second: Some(0),
        };
        let planned = sales::insert(&shop.db, new, NOW_MS).await.unwrap().unwrap();
        assert_eq!(planned.room, room(Some(0), 0));
        let both = commanded(&shop.db, NOW_MS, LIMIT).await.unwrap();
        assert_eq!(both.iter().map(|known| known.sale).collect::<Vec<_>>(), [sale, planned.terms.sale]);
        assert_eq!(commanded(&shop.db, NOW_MS, 1).await.unwrap().len(), 1, "those that open first");
    }
}
