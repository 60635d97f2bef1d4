//! What was moved into, out of and between a product's pools, for ever: written with the move itself, signed by whoever
//! asked for it. Orders move units too; they are not here, because each order's journal says so already.

use sea_orm::sea_query::{Expr, ExprTrait, Order as Sort, Query};
use sea_orm::{ConnectionTrait, FromQueryResult};

use super::db::Db;
use super::error::StoreError;
use super::orders::Slice;
use super::{query, stock};
use crate::domain::stock::Pool;
use crate::domain::{BuyerId, ProductId, SaleId};

const TABLE: &str = "stock_history";
const NAME_CHARS_MAX: usize = 50;
const WHY_CHARS_MAX: usize = 200;
const COLUMNS: [&str; 11] = [
    "move_id",
    "product_id",
    "kind",
    "sale_id",
    "units",
    "free_after",
    "sale_left_after",
    "at_ms",
    "actor_id",
    "actor_name",
    "why",
];

/// A move that took effect in the authority.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Movement {
    /// Its identity.
    pub move_id: String,
    /// `put_in`, `take_out`, `set_free`, `sale_plan`, `sale_restock`, `sale_set` or `sale_close`.
    pub kind: String,
    /// The sale that it is about.
    pub sale_id: Option<i64>,
    /// Units that came into the pool it is about (the sale's, else the free one); negative if they went.
    pub units: i64,
    /// Free units of the product after it.
    pub free_after: i64,
    /// Units left in the sale after it.
    pub sale_left_after: Option<i64>,
    /// When.
    pub at_ms: i64,
    /// Who asked for it; `None`: the shop itself, or somebody whose signature was lost in a crash.
    pub actor_id: Option<i64>,
    /// His name then.
    pub actor_name: String,
    /// What he said.
    pub why: String,
}

/// Which movements of a product; what is absent leaves nothing out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MovementFilter {
    /// Of one kind.
    pub kind: Option<&'static str>,
    /// Of one sale.
    pub sale: Option<SaleId>,
    /// From then on.
    pub from_ms: Option<i64>,
    /// Before then.
    pub to_ms: Option<i64>,
}

/// A move as its transaction knows it.
pub(super) struct Moved<'a> {
    pub(super) move_id: &'a str,
    pub(super) product: ProductId,
    pub(super) kind: &'static str,
    pub(super) sale: Option<SaleId>,
    pub(super) units: i64,
}

/// Writes the movement after its units were moved, in the same transaction.
pub(super) async fn note(tx: &impl ConnectionTrait, moved: Moved<'_>, now_ms: i64) -> Result<(), StoreError> {
    let rows = stock::lock(tx, &[moved.product]).await?;
    let free = |pool: Pool| rows.iter().find(|row| row.pool == pool).map_or(0, |row| row.free);
    let row = vec![
        moved.move_id.into(),
        moved.product.0.into(),
        moved.kind.into(),
        moved.sale.map(|sale| sale.0).into(),
        moved.units.into(),
        free(Pool::Free).into(),
        moved.sale.map(|sale| free(Pool::Sale(sale))).into(),
        now_ms.into(),
        None::<i64>.into(),
        "".into(),
        "".into(),
    ];
    query::insert_rows(tx, TABLE, &COLUMNS, vec![row], None).await
}

/// Signs a movement; one that is not there (nothing was moved) stays away.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn sign(db: &Db, move_id: &str, actor: BuyerId, name: &str, why: &str) -> Result<(), StoreError> {
    let operation = "signing a movement";
    let cut = |text: &str, chars_max: usize| text.chars().take(chars_max).collect::<String>();
    let update = Query::update()
        .table(TABLE)
        .value("actor_id", actor.0)
        .value("actor_name", cut(name, NAME_CHARS_MAX))
        .value("why", cut(why, WHY_CHARS_MAX))
        .and_where(Expr::col("move_id").eq(move_id))
        .to_owned();
    db.write(operation, async |tx| query::execute(tx, &update, operation).await).await?;
    Ok(())
}

/// A product's movements that pass the filter, newest first, and how many there are.
///
/// # Errors
/// [`StoreError::Database`].
pub async fn of_product(
    db: &Db,
    product: ProductId,
    filter: &MovementFilter,
    slice: Slice,
) -> Result<(Vec<Movement>, u64), StoreError> {
    let operation = "reading movements";
    let mut filtered = Query::select();
    filtered
        .from(TABLE)
        .and_where(Expr::col("product_id").eq(product.0))
        .and_where_option(filter.kind.map(|kind| Expr::col("kind").eq(kind)))
        .and_where_option(filter.sale.map(|sale| Expr::col("sale_id").eq(sale.0)))
        .and_where_option(filter.from_ms.map(|from_ms| Expr::col("at_ms").gte(from_ms)))
        .and_where_option(filter.to_ms.map(|to_ms| Expr::col("at_ms").lt(to_ms)));
    let total = query::count(db.reader(), filtered.clone(), operation).await?;
    filtered
        .columns(COLUMNS)
        .order_by("at_ms", Sort::Desc)
        .order_by("move_id", Sort::Desc)
        .offset(slice.offset)
        .limit(slice.limit);
    Ok((query::all(db.reader(), &filtered, operation).await?, total))
}
