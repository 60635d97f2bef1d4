//! Flash sales: when, at which price, how many for one buyer. Their units lie in the pool of the sale's id.
//!
//! Two sales of one product that are not closed never overlap in time, so "the product's sale now" is one sale. What
//! touches units or the ledger's copy of the terms goes through `stock_moves`, which survives a crash half-way.

use sea_orm::sea_query::{Cond, Expr, ExprTrait, Order, Query, SelectStatement};
use sea_orm::{ConnectionTrait, DatabaseTransaction, FromQueryResult};
use serde::Serialize;

use super::db::Db;
use super::error::StoreError;
use super::orders::Slice;
use super::sale_rooms::{self, SaleRoom};
use super::stock_moves::{self, StockPlan};
use super::{products, query, stock};
use crate::domain::sale::{SaleTerms, SaleWindow};
use crate::domain::{Money, ProductId, SaleId};
use crate::failpoint;

/// A planned sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sale {
    /// Of what.
    pub product: ProductId,
    /// Id, window, price, limit, closed or not.
    pub terms: SaleTerms,
    /// Units it was planned with, restocks included.
    pub units_planned: i64,
    /// What is said of its waiting room.
    pub room: SaleRoom,
    /// When it was planned.
    pub created_at_ms: i64,
}

/// A sale with where its units are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaleWithStock {
    /// The sale.
    pub sale: Sale,
    /// Units still free in its pool.
    pub units_left: i64,
    /// Units under unpaid orders.
    pub units_held: i64,
    /// Units under paid orders.
    pub units_sold: i64,
}

/// Why a sale cannot be planned or changed so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SaleRefusal {
    /// Another sale of the product that is not closed is open in a part of that time.
    #[error("overlaps with sale {other}")]
    Overlaps {
        /// Which.
        other: SaleId,
    },
    /// No such sale.
    #[error("no such sale")]
    NotFound,
    /// It was closed.
    #[error("the sale is closed")]
    Closed,
}

const OPERATION: &str = "changing sales";

#[derive(FromQueryResult)]
struct Row {
    id: i64,
    product_id: i64,
    price_fen: i64,
    units_planned: i64,
    units_per_buyer_max: i64,
    opens_at_ms: i64,
    closes_at_ms: i64,
    closed: bool,
    created_at_ms: i64,
    admissions_per_second: Option<i32>,
    room_closings: Option<i32>,
    free: Option<i64>,
    held: Option<i64>,
    sold: Option<i64>,
}

impl From<Row> for SaleWithStock {
    fn from(row: Row) -> Self {
        let terms = SaleTerms {
            sale: SaleId(row.id),
            window: SaleWindow { opens_at_ms: row.opens_at_ms, closes_at_ms: row.closes_at_ms },
            unit_price: Money::from_fen(row.price_fen),
            units_per_buyer_max: row.units_per_buyer_max,
            closed: row.closed,
        };
        let Row { units_planned, created_at_ms, .. } = row;
        let room = SaleRoom::read(row.admissions_per_second, row.room_closings);
        Self {
            sale: Sale { product: ProductId(row.product_id), terms, units_planned, room, created_at_ms },
            units_left: row.free.unwrap_or(0),
            units_held: row.held.unwrap_or(0),
            units_sold: row.sold.unwrap_or(0),
        }
    }
}

const COLUMNS: [&str; 10] = [
    "id",
    "product_id",
    "price_fen",
    "units_planned",
    "units_per_buyer_max",
    "opens_at_ms",
    "closes_at_ms",
    "closed",
    "created_at_ms",
    "admissions_per_second",
];

fn select() -> SelectStatement {
    let pool = Expr::col(("stock", "product_id"))
        .equals(("sales", "product_id"))
        .and(Expr::col(("stock", "pool")).equals(("sales", "id")));
    Query::select()
        .columns(COLUMNS.map(|column| ("sales", column)))
        .column(("sales", "room_closings"))
        .columns(["free", "held", "sold"].map(|column| ("stock", column)))
        .from("sales")
        .left_join("stock", pool)
        .to_owned()
}

async fn read(conn: &impl ConnectionTrait, select: &SelectStatement) -> Result<Vec<SaleWithStock>, StoreError> {
    let rows: Vec<Row> = query::all(conn, select, "reading sales").await?;
    Ok(rows.into_iter().map(SaleWithStock::from).collect())
}

/// A sale to be planned.
#[derive(Clone, Copy, Debug)]
pub struct NewSale<'a> {
    /// Identity of the move that brings its units, 26 characters.
    pub move_id: &'a str,
    /// Of what.
    pub product: ProductId,
    /// `terms.sale` is ignored: the table gives the id.
    pub terms: SaleTerms,
    /// Units set aside for it.
    pub units_planned: i64,
    /// Buyers that its waiting room admits in a second; 0: nobody waits; `None`: as the settings say.
    pub admissions_per_second: Option<u32>,
}

/// Writes a sale's row and begins the move of its units, in one transaction: a crash leaves no sale that waits for
/// units for ever. End the move with `StockPlan::PlanSale` under the same id. A repeat answers the same sale.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn insert(db: &Db, new: NewSale<'_>, now_ms: i64) -> Result<Result<Sale, SaleRefusal>, StoreError> {
    let NewSale { move_id, product, terms, units_planned, admissions_per_second } = new;
    let room = SaleRoom { admissions_per_second, closings: 0 };
    let planning = db.write("planning a sale", async |tx| {
        stock::lock(tx, &[product]).await?; // two plans for one product follow each other
        if let Some((_, StockPlan::PlanSale { terms, units })) = stock_moves::planned(tx, move_id).await? {
            return Ok(Ok(Sale { product, terms, units_planned: units, room, created_at_ms: now_ms }));
        }
        if let Some(other) = overlapping(tx, product, &terms, None).await? {
            return Ok(Err(SaleRefusal::Overlaps { other }));
        }
        let row = vec![
            product.0.into(),
            terms.unit_price.fen().into(),
            units_planned.into(),
            terms.units_per_buyer_max.into(),
            terms.window.opens_at_ms.into(),
            terms.window.closes_at_ms.into(),
            terms.closed.into(),
            now_ms.into(),
            sale_rooms::column(admissions_per_second).into(),
            now_ms.into(),
        ];
        let columns: Vec<&str> = COLUMNS.into_iter().skip(1).chain(["updated_at_ms"]).collect();
        query::insert_rows(tx, "sales", &columns, vec![row], None).await?;
        let latest = select()
            .and_where(Expr::col(("sales", "product_id")).eq(product.0))
            .order_by(("sales", "id"), Order::Desc)
            .limit(1)
            .to_owned();
        let inserted = read(tx, &latest).await?.pop().map(|with_stock| with_stock.sale);
        let sale = inserted.ok_or(StoreError::Conflict { operation: OPERATION })?;
        let plan = StockPlan::PlanSale { terms: sale.terms, units: units_planned };
        stock_moves::begin(tx, move_id, product, plan, now_ms).await?;
        Ok(Ok(sale))
    });
    let outcome = planning.await?;
    failpoint::reach("sales.insert.after");
    Ok(outcome)
}

async fn overlapping(
    tx: &impl ConnectionTrait,
    product: ProductId,
    terms: &SaleTerms,
    except: Option<SaleId>,
) -> Result<Option<SaleId>, StoreError> {
    let mut select = select();
    select
        .and_where(Expr::col(("sales", "product_id")).eq(product.0))
        .and_where(Expr::col(("sales", "closed")).eq(false))
        .and_where(Expr::col(("sales", "opens_at_ms")).lt(terms.window.closes_at_ms))
        .and_where(Expr::col(("sales", "closes_at_ms")).gt(terms.window.opens_at_ms))
        .and_where_option(except.map(|sale| Expr::col(("sales", "id")).ne(sale.0)))
        .limit(1);
    Ok(read(tx, &select).await?.first().map(|other| other.sale.terms.sale))
}

/// Checks new terms (overlap, closed) without writing them: `StockPlan::ChangeTerms` writes them here and in the ledger.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn check_change(db: &Db, terms: &SaleTerms) -> Result<Result<Sale, SaleRefusal>, StoreError> {
    let Some(SaleWithStock { sale, .. }) = find(db, terms.sale).await? else { return Ok(Err(SaleRefusal::NotFound)) };
    if sale.terms.closed {
        return Ok(Err(SaleRefusal::Closed));
    }
    Ok(match overlapping(db.reader(), sale.product, terms, Some(terms.sale)).await? {
        Some(other) => Err(SaleRefusal::Overlaps { other }),
        None => Ok(sale),
    })
}

/// Writes terms into the row of an open sale.
pub(super) async fn update(tx: &DatabaseTransaction, terms: &SaleTerms, now_ms: i64) -> Result<(), StoreError> {
    let update = Query::update()
        .table("sales")
        .value("price_fen", terms.unit_price.fen())
        .value("units_per_buyer_max", terms.units_per_buyer_max)
        .value("opens_at_ms", terms.window.opens_at_ms)
        .value("closes_at_ms", terms.window.closes_at_ms)
        .value("updated_at_ms", now_ms)
        .and_where(Expr::col("id").eq(terms.sale.0))
        .to_owned();
    query::execute(tx, &update, OPERATION).await?;
    Ok(())
}

/// Counts a restock (negative: units taken back) into the plan.
pub(super) async fn restock(tx: &DatabaseTransaction, sale: SaleId, units: i64, now_ms: i64) -> Result<(), StoreError> {
    let update = Query::update()
        .table("sales")
        .value("units_planned", Expr::col("units_planned").add(units))
        .value("updated_at_ms", now_ms)
        .and_where(Expr::col("id").eq(sale.0))
        .to_owned();
    query::execute(tx, &update, OPERATION).await?;
    Ok(())
}

/// Marks a sale as closed for good.
pub(super) async fn close(tx: &DatabaseTransaction, sale: SaleId, now_ms: i64) -> Result<(), StoreError> {
    let update = Query::update()
        .table("sales")
        .value("closed", true)
        .value("updated_at_ms", now_ms)
        .and_where(Expr::col("id").eq(sale.0))
        .to_owned();
    query::execute(tx, &update, OPERATION).await?;
    Ok(())
}

/// Removes a sale that never got its units.
pub(super) async fn delete(tx: &DatabaseTransaction, sale: SaleId) -> Result<(), StoreError> {
    let delete = Query::delete().from_table("sales").and_where(Expr::col("id").eq(sale.0)).to_owned();
    query::execute(tx, &delete, OPERATION).await?;
    Ok(())
}

/// One sale.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn find(db: &Db, sale: SaleId) -> Result<Option<SaleWithStock>, StoreError> {
    find_in(db.reader(), sale).await
}

/// The same within a transaction, or outside of one.
pub(super) async fn find_in(conn: &impl ConnectionTrait, sale: SaleId) -> Result<Option<SaleWithStock>, StoreError> {
    let select = select().and_where(Expr::col(("sales", "id")).eq(sale.0)).to_owned();
    Ok(read(conn, &select).await?.pop())
}

/// Sales that end after `ends_after_ms` and are not closed, or all, of all products or one; those that open first come
/// first. And how many there are.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn list(
    db: &Db,
    (ends_after_ms, product): (Option<i64>, Option<ProductId>),
    offset: u64,
    limit: u64,
) -> Result<(Vec<SaleWithStock>, u64), StoreError> {
    let mut wanted = Cond::all();
    if let Some(product) = product {
        wanted = wanted.add(Expr::col(("sales", "product_id")).eq(product.0));
    }
    if let Some(ends_after_ms) = ends_after_ms {
        wanted = wanted
            .add(Expr::col(("sales", "closes_at_ms")).gt(ends_after_ms))
            .add(Expr::col(("sales", "closed")).eq(false));
    }
    let counted = Query::select().from("sales").cond_where(wanted.clone()).to_owned();
    let total = query::count(db.reader(), counted, "counting sales").await?;
    let select = select()
        .cond_where(wanted)
        .order_by(("sales", "opens_at_ms"), Order::Asc)
        .order_by(("sales", "id"), Order::Asc)
        .offset(offset)
        .limit(limit)
        .to_owned();
    Ok((read(db.reader(), &select).await?, total))
}

/// Where a sale stands, as administrators sort them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaleState {
    /// Its window is to come.
    Upcoming,
    /// Within its window.
    Open,
    /// Its window is over; nobody closed it before.
    Ended,
    /// Closed, by an administrator or after its end.
    Closed,
}

/// Which sales; what is absent leaves nothing out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SaleFilter {
    /// In one state.
    pub state: Option<SaleState>,
    /// Of one product.
    pub product: Option<ProductId>,
    /// Part of the product's name; empty for all.
    pub keyword: String,
}

/// Sales that pass the filter, those that open (or opened) last first, and how many there are.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn search(
    db: &Db,
    filter: &SaleFilter,
    now_ms: i64,
    slice: Slice,
) -> Result<(Vec<SaleWithStock>, u64), StoreError> {
    let (opens, closes) = (|| Expr::col(("sales", "opens_at_ms")), || Expr::col(("sales", "closes_at_ms")));
    let closed = Expr::col(("sales", "closed")).eq(filter.state == Some(SaleState::Closed));
    let mut wanted = Cond::all().add_option(filter.state.map(|_| closed)).add_option(match filter.state {
        Some(SaleState::Upcoming) => Some(opens().gt(now_ms)),
        Some(SaleState::Open) => Some(opens().lte(now_ms).and(closes().gt(now_ms))),
        Some(SaleState::Ended) => Some(closes().lte(now_ms)),
        Some(SaleState::Closed) | None => None,
    });
    wanted = wanted.add_option(filter.product.map(|product| Expr::col(("sales", "product_id")).eq(product.0)));
    if !filter.keyword.is_empty() {
        let named = products::ids_named(&filter.keyword);
        wanted = wanted.add(Expr::col(("sales", "product_id")).in_subquery(named));
    }
    let counted = Query::select().from("sales").cond_where(wanted.clone()).to_owned();
    let total = query::count(db.reader(), counted, "counting sales").await?;
    let select = select()
        .cond_where(wanted)
        .order_by(("sales", "opens_at_ms"), Order::Desc)
        .order_by(("sales", "id"), Order::Desc)
        .offset(slice.offset)
        .limit(slice.limit)
        .to_owned();
    Ok((read(db.reader(), &select).await?, total))
}

/// All sales of a product, by opening time.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn of_product(db: &Db, product: ProductId) -> Result<Vec<SaleWithStock>, StoreError> {
    let select = select()
        .and_where(Expr::col(("sales", "product_id")).eq(product.0))
        .order_by(("sales", "opens_at_ms"), Order::Asc)
        .order_by(("sales", "id"), Order::Asc)
        .to_owned();
    read(db.reader(), &select).await
}

/// Closed sales whose pool has free units again (orders cancelled after the close): each wants another `CloseSale`.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn stranded(db: &Db, limit: u64) -> Result<Vec<(ProductId, SaleId)>, StoreError> {
    let select = select()
        .and_where(Expr::col(("sales", "closed")).eq(true))
        .and_where(Expr::col(("stock", "free")).gt(0_i64))
        .order_by(("sales", "id"), Order::Asc)
        .limit(limit)
        .to_owned();
    let found = read(db.reader(), &select).await?;
    Ok(found.into_iter().map(|stranded| (stranded.sale.product, stranded.sale.terms.sale)).collect())
}

/// Sales whose window closed before `ended_before_ms` and that nobody closed: their units wait to go back.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn ended(db: &Db, ended_before_ms: i64, limit: u64) -> Result<Vec<(ProductId, SaleId)>, StoreError> {
    let select = select()
        .and_where(Expr::col(("sales", "closed")).eq(false))
        .and_where(Expr::col(("sales", "closes_at_ms")).lt(ended_before_ms))
        .order_by(("sales", "id"), Order::Asc)
        .limit(limit)
        .to_owned();
    let found = read(db.reader(), &select).await?;
    Ok(found.into_iter().map(|ended| (ended.sale.product, ended.sale.terms.sale)).collect())
}
