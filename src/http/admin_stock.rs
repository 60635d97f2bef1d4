//! Where a product's units are and how they came there, for administrators. Movements by orders are not listed: the sums have
//! them, and `GET /api/admin/orders?product_id=` leads to each with its journal.

use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::Admin;
use super::envelope::{ApiResult, EnvelopeOf, ok};
use super::error::ApiError;
use super::extract::{Query, from_path};
use super::fields::{Fields, FromFields};
use super::pages::{PageOf, PageQuery};
use super::state::AppState;
use super::times::Time;
use crate::domain::codes::Code;
use crate::domain::stock::Pool;
use crate::domain::{ProductId, SaleId};
use crate::persistence::orders::Slice;
use crate::persistence::stock_history::{self, Movement, MovementFilter};
use crate::persistence::{products, sold_out, stock};

const KINDS: [(&str, &str); 7] = [
    ("put_in", "put_in"),
    ("take_out", "take_out"),
    ("set_free", "set_free"),
    ("sale_plan", "sale_plan"),
    ("sale_restock", "sale_restock"),
    ("sale_set", "sale_set"),
    ("sale_close", "sale_close"),
];
const KIND_WORDS: &str = "put_in, take_out, set_free, sale_plan, sale_restock, sale_set, sale_close";

/// Which movements.
#[derive(Debug)]
pub struct WhichMovements {
    page: PageQuery,
    filter: MovementFilter,
}

impl FromFields for WhichMovements {
    const CODE: Code = Code::PRODUCT_PARAMETER;

    fn from_fields(fields: &mut Fields) -> Self {
        let filter = MovementFilter {
            kind: fields.one_of_if("kind", &KINDS, KIND_WORDS),
            sale: fields.whole_if("sale_id", 1..=i64::MAX).map(SaleId),
            from_ms: fields.time_if("from"),
            to_ms: fields.time_if("to"),
        };
        Self { page: PageQuery::read(fields), filter }
    }
}

/// The units of one pool.
#[derive(Debug, Serialize, ToSchema)]
pub struct PoolJson {
    /// The sale; null for the free pool, from which ordinary orders are served.
    pub sale_id: Option<i64>,
    /// Ever put into it, less what was taken out or moved on: free, held and sold together.
    pub put_in: i64,
    /// For sale, by the database.
    pub free: i64,
    /// Under unpaid orders.
    pub held: i64,
    /// Under paid orders.
    pub sold: i64,
    /// For sale, by the gate that claims are judged at; less than `free` while tickets are on their way to the database. Null if the
    /// gate did not answer, or has no such pool.
    pub gate_free: Option<i64>,
    /// Units under tickets that are no orders yet.
    pub gate_unsettled: Option<i64>,
}

/// One movement.
#[derive(Debug, Serialize, ToSchema)]
pub struct MovementJson {
    /// Its identity.
    pub move_id: String,
    /// `put_in`, `take_out`, `set_free` (an edit of the product's stock, its first units too), `sale_plan`, `sale_restock`,
    /// `sale_set` (an edit of a sale's units) or `sale_close`.
    pub kind: String,
    /// The sale; null if it is about the free pool.
    pub sale_id: Option<i64>,
    /// Units that came into that pool; negative if they went.
    pub units: i64,
    /// Free units of the product after it.
    pub free_after: i64,
    /// Units left in the sale after it.
    pub sale_left_after: Option<i64>,
    /// When.
    pub at: Time,
    /// Who; null for the shop itself (a sale that ended).
    pub actor_id: Option<i64>,
    /// His name then.
    pub actor_name: String,
    /// What he said.
    pub why: String,
}

impl From<Movement> for MovementJson {
    fn from(movement: Movement) -> Self {
        Self {
            move_id: movement.move_id,
            kind: movement.kind,
            sale_id: movement.sale_id,
            units: movement.units,
            free_after: movement.free_after,
            sale_left_after: movement.sale_left_after,
            at: Time(movement.at_ms),
            actor_id: movement.actor_id,
            actor_name: movement.actor_name,
            why: movement.why,
        }
    }
}

/// A product's units and their history.
#[derive(Debug, Serialize, ToSchema)]
pub struct StockJson {
    /// Of what.
    pub product_id: i64,
    /// Its name now; empty if it was deleted.
    pub product_name: String,
    /// All pools together.
    pub put_in: i64,
    /// For sale outside of sales.
    pub free: i64,
    /// Set aside in sales and not claimed.
    pub in_sales: i64,
    /// Under unpaid orders.
    pub held: i64,
    /// Under paid orders.
    pub sold: i64,
    /// Since when an administrator has every purchase refused as sold out (`set-sold-out`); null if nobody does.
    pub sold_out_since: Option<Time>,
    /// Pool by pool, the free one first.
    pub pools: Vec<PoolJson>,
    /// Newest first; those of administrators and of the shop, not those by orders.
    pub movements: PageOf<MovementJson>,
}

/// A product's units, pool by pool, and what was moved in, out and between them.
///
/// # Errors
/// `PRODUCT_NOT_FOUND`.
#[utoipa::path(get, path = "/api/admin/products/{id}/stock", tag = "admin", security(("bearer" = [])),
    params(("id" = i64, Path), ("page" = Option<u64>, Query), ("page_size" = Option<u64>, Query),
        ("kind" = Option<String>, Query), ("sale_id" = Option<i64>, Query), ("from" = Option<String>, Query),
        ("to" = Option<String>, Query)),
    responses((status = 200, body = EnvelopeOf<StockJson>)))]
pub async fn show_stock(
    state: web::Data<AppState>,
    _admin: Admin,
    path: web::Path<String>,
    Query(wanted): Query<WhichMovements>,
) -> ApiResult<StockJson> {
    let product = ProductId(from_path(&path, Code::PRODUCT_NOT_FOUND)?);
    let (card, rows) = (products::card(&state.db, product).await?, stock::of_product(&state.db, product).await?);
    if card.is_none() && rows.is_empty() {
        return Err(ApiError::from(Code::PRODUCT_NOT_FOUND));
    }
    let gate = state.shop.ledger.snapshot(product).await.inspect_err(|error| {
        tracing::warn!(%product, %error, "the gate does not say how many units it has");
    });
    let gate = gate.unwrap_or_default();
    let slice = Slice { offset: wanted.page.offset(), limit: wanted.page.page_size };
    let (movements, total) = stock_history::of_product(&state.db, product, &wanted.filter, slice).await?;
    let pool = |row: &stock::StockRow| PoolJson {
        sale_id: sale_of(row.pool),
        put_in: row.put_in,
        free: row.free,
        held: row.held,
        sold: row.sold,
        gate_free: gate.pool(row.pool).map(|pool| pool.free),
        gate_unsettled: gate.pool(row.pool).map(|pool| pool.unsettled),
    };
    let sum = |count: fn(&stock::StockRow) -> i64| rows.iter().map(count).sum::<i64>();
    let is_free = |row: &&stock::StockRow| row.pool == Pool::Free;
    let free = rows.iter().find(is_free).map_or(0, |row| row.free);
    ok(StockJson {
        product_id: product.0,
        product_name: card.map(|card| card.name).unwrap_or_default(),
        put_in: sum(|row| row.put_in),
        free,
        in_sales: sum(|row| row.free) - free,
        held: sum(|row| row.held),
        sold: sum(|row| row.sold),
        sold_out_since: sold_out::since(&state.db, product).await?.map(Time),
        pools: rows.iter().map(pool).collect(),
        movements: wanted.page.of(movements.into_iter().map(Into::into).collect(), total),
    })
}

const fn sale_of(pool: Pool) -> Option<i64> {
    match pool {
        Pool::Free => None,
        Pool::Sale(sale) => Some(sale.0),
    }
}
