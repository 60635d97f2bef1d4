//! Flash sales in every state with their figures, for administrators. `sales.rs` plans and changes them.
//!
//! Planning is preloading: a sale's units lie at the gate before the plan is answered. `preloaded` says whether they still do.

use std::collections::HashMap;
use std::time::Duration;

use actix_web::web;
use futures::stream::{self, StreamExt as _};
use serde::Serialize;
use utoipa::ToSchema;

use super::admin_rooms::{self, SaleRoomJson};
use super::auth::Admin;
use super::envelope::{ApiResult, EnvelopeOf, ok};
use super::extract::{Query, from_path};
use super::fields::{Fields, FromFields};
use super::pages::PageQuery;
use super::sale_json::SaleJson;
use super::state::AppState;
use super::times::Time;
use crate::actors::kit::ActorState;
use crate::domain::codes::Code;
use crate::domain::money::{Money, Yuan};
use crate::domain::order::OrderStatus;
use crate::domain::stock::Pool;
use crate::domain::{ProductId, SaleId};
use crate::persistence::ledger::LedgerSnapshot;
use crate::persistence::orders::Slice;
use crate::persistence::products;
use crate::persistence::rehearsal::{self, Counted};
use crate::persistence::sales::{self, Sale, SaleFilter, SaleRefusal, SaleState, SaleWithStock};

const STATES: [(&str, Option<SaleState>); 5] = [
    ("all", None),
    ("upcoming", Some(SaleState::Upcoming)),
    ("open", Some(SaleState::Open)),
    ("ended", Some(SaleState::Ended)),
    ("closed", Some(SaleState::Closed)),
];
/// Products that the gate is asked about at the same time, and how long all of them may take.
const GATE_ASKED_AT_ONCE: usize = 8;
const GATE_WITHIN: Duration = Duration::from_secs(1);

/// Which sales.
#[derive(Debug)]
pub struct WhichSales {
    page: PageQuery,
    filter: SaleFilter,
}

impl FromFields for WhichSales {
    const CODE: Code = Code::SECKILL_PARAMETER;

    fn from_fields(fields: &mut Fields) -> Self {
        let filter = SaleFilter {
            state: fields.one_of_if("state", &STATES, "all, upcoming, open, ended, closed").flatten(),
            product: fields.whole_if("product_id", 1..=i64::MAX).map(ProductId),
            keyword: fields.text_if("keyword", 0..=100).unwrap_or_default(),
        };
        Self { page: PageQuery::read(fields), filter }
    }
}

/// A sale with its figures.
#[derive(Debug, Serialize, ToSchema)]
pub struct AdminSaleJson {
    /// What everybody sees; `total_stock` were planned, `stock` are left by the database.
    #[serde(flatten)]
    pub sale: SaleJson,
    /// Units under unpaid orders.
    pub held: i64,
    /// Units left at the gate that claims are judged at; null if it did not answer, or has no such sale.
    pub gate_left: Option<i64>,
    /// Units and terms lie at the gate; null if it did not answer.
    pub preloaded: Option<bool>,
    /// Purchases of the product are held up by an administrator on this node.
    pub paused: bool,
    /// In front of it.
    pub waiting_room: SaleRoomJson,
    /// When it was planned.
    pub created_at: Time,
}

/// A page of sales, with the time that their windows are judged by.
#[derive(Debug, Serialize, ToSchema)]
pub struct AdminSaleList {
    /// Those that open (or opened) last come first.
    pub list: Vec<AdminSaleJson>,
    /// Sales on all pages.
    pub total: u64,
    /// From 1.
    pub page: u64,
    /// Entries a page.
    pub page_size: u64,
    /// Pages in all.
    pub total_page: u64,
    /// With milliseconds.
    pub server_time: String,
}

/// Orders of a sale in one state.
#[derive(Debug, Serialize, ToSchema)]
pub struct StatusCountJson {
    /// 0 to 9, closing (9) among them.
    pub status: i16,
    /// How many.
    pub orders: u64,
    /// What they cost together, in yuan.
    #[schema(value_type = f64)]
    pub total: Yuan,
}

/// A sale with what its orders came to.
#[derive(Debug, Serialize, ToSchema)]
pub struct AdminSaleDetail {
    /// The sale.
    #[serde(flatten)]
    pub sale: AdminSaleJson,
    /// Of paid, shipped and completed orders, in yuan.
    #[schema(value_type = f64)]
    pub revenue: Yuan,
    /// Its orders by state.
    pub orders: Vec<StatusCountJson>,
}

/// Sales in every state: `state` `all` (the default), `upcoming`, `open`, `ended` (its time is over, nobody closed it) or `closed`;
/// `keyword` is a part of the product's name.
#[utoipa::path(get, path = "/api/admin/sales", tag = "admin", security(("bearer" = [])),
    params(("page" = Option<u64>, Query), ("page_size" = Option<u64>, Query), ("state" = Option<String>, Query),
        ("product_id" = Option<i64>, Query), ("keyword" = Option<String>, Query)),
    responses((status = 200, body = EnvelopeOf<AdminSaleList>)))]
pub async fn list_all_sales(
    state: web::Data<AppState>,
    _admin: Admin,
    Query(wanted): Query<WhichSales>,
) -> ApiResult<AdminSaleList> {
    let (now_ms, page) = (state.clock.now_ms(), wanted.page);
    let slice = Slice { offset: page.offset(), limit: page.page_size };
    let (known, total) = sales::search(&state.db, &wanted.filter, now_ms, slice).await?;
    let page = page.of(shown(&state, known, now_ms).await?, total);
    ok(AdminSaleList {
        list: page.list,
        total: page.total,
        page: page.page,
        page_size: page.page_size,
        total_page: page.total_page,
        server_time: Time(now_ms).with_millis(),
    })
}

/// One sale, with its orders by state and what they came to.
///
/// # Errors
/// `SECKILL_NOT_FOUND`.
#[utoipa::path(get, path = "/api/admin/sales/{id}", tag = "admin", security(("bearer" = [])),
    params(("id" = i64, Path)), responses((status = 200, body = EnvelopeOf<AdminSaleDetail>)))]
pub async fn show_sale(
    state: web::Data<AppState>,
    _admin: Admin,
    path: web::Path<String>,
) -> ApiResult<AdminSaleDetail> {
    let id = SaleId(from_path(&path, Code::SECKILL_NOT_FOUND)?);
    let known = sales::find(&state.db, id).await?.ok_or(SaleRefusal::NotFound)?;
    let counts = rehearsal::orders_by_status(&state.db, Counted::Sale(known.sale.product, id)).await?;
    let earned = |status| matches!(status, OrderStatus::Paid | OrderStatus::Shipped | OrderStatus::Completed);
    let revenue = counts.iter().filter(|count| earned(count.status)).map(|count| Money::from_fen(count.total_fen));
    let revenue = Yuan(revenue.sum());
    let sale = shown(&state, vec![known], state.clock.now_ms()).await?.pop().ok_or(SaleRefusal::NotFound)?;
    let orders = counts.into_iter().map(|count| StatusCountJson {
        status: count.status.code(),
        orders: count.orders,
        total: Yuan(Money::from_fen(count.total_fen)),
    });
    ok(AdminSaleDetail { sale, revenue, orders: orders.collect() })
}

async fn shown(
    state: &AppState,
    known: Vec<SaleWithStock>,
    now_ms: i64,
) -> Result<Vec<AdminSaleJson>, super::error::ApiError> {
    let mut ids: Vec<ProductId> = known.iter().map(|known| known.sale.product).collect();
    ids.sort_unstable();
    ids.dedup();
    let cards: HashMap<ProductId, _> =
        products::cards(&state.db, &ids).await?.into_iter().map(|card| (card.id, card)).collect();
    let of: Vec<Sale> = known.iter().map(|known| known.sale).collect();
    let (gates, rooms) = tokio::join!(gates(state, ids), admin_rooms::rooms_of(state, &of, now_ms));
    let sale = |(known, waiting_room): (SaleWithStock, SaleRoomJson)| {
        let (product, sale) = (known.sale.product, known.sale.terms.sale);
        let pool = gates.get(&product).map(|gate| gate.pool(Pool::Sale(sale)));
        AdminSaleJson {
            waiting_room,
            held: known.units_held,
            gate_left: pool.flatten().map(|pool| pool.free),
            preloaded: pool.map(|pool| pool.is_some_and(|pool| pool.terms.is_some())),
            paused: state.shop.inventory.state_of(&product) == Some(ActorState::Paused),
            created_at: Time(known.sale.created_at_ms),
            sale: SaleJson::new(known, cards.get(&product), now_ms),
        }
    };
    Ok(known.into_iter().zip(rooms).map(sale).collect())
}

/// What the gate has of these products; those that it does not tell in time are left out.
async fn gates(state: &AppState, ids: Vec<ProductId>) -> HashMap<ProductId, LedgerSnapshot> {
    let mut told = HashMap::new();
    let asking = stream::iter(ids).map(async |id| (id, state.shop.ledger.snapshot(id).await));
    let mut asking = std::pin::pin!(asking.buffer_unordered(GATE_ASKED_AT_ONCE));
    let all = async {
        while let Some((product, answer)) = asking.next().await {
            match answer {
                Ok(gate) => drop(told.insert(product, gate)),
                Err(error) => tracing::warn!(%product, %error, "the gate does not say how many units it has"),
            }
        }
    };
    if tokio::time::timeout(GATE_WITHIN, all).await.is_err() {
        tracing::warn!("the gate did not answer for all sales in time");
    }
    told
}
