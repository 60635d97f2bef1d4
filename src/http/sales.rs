//! Flash sales, for administrators: plan, change, restock, close.
//!
//! A plan is a row, begun together with the move of its units; if the units cannot be had the row goes again. Window and terms
//! are judged by the ledger, so a change holds for the next claim.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::admin_rooms::admissions;
use super::auth::{Admin, Caller};
use super::envelope::{ApiResult, EnvelopeOf, ok};
use super::error::ApiError;
use super::extract::{Body, Params, from_path};
use super::fields::{Fields, FromFields};
use super::idempotent::{Turn, once};
use super::problem::Problem;
use super::sale_json::SaleJson;
use super::state::AppState;
use crate::domain::codes::Code;
use crate::domain::sale::{AD_HOC_SALE_MS, SaleTerms, SaleWindow};
use crate::domain::stock::{POOL_UNITS_MAX, QUANTITY_MAX};
use crate::domain::{Money, ProductId, SaleId};
use crate::persistence::sales::{NewSale, SaleRefusal, SaleWithStock};
use crate::persistence::stock_moves::{self, StockPlan};
use crate::persistence::{products, sales};

/// A sale to plan.
#[derive(Debug, ToSchema)]
pub struct PlanSale {
    /// Of what.
    #[schema(value_type = i64)]
    product_id: ProductId,
    /// In yuan, above 0.
    #[schema(value_type = f64)]
    price: Money,
    /// Units set aside, 1..=100,000,000.
    stock: i64,
    /// First moment.
    #[schema(value_type = String)]
    start_at: i64,
    /// First moment after it; at most 366 days later.
    #[schema(value_type = String)]
    end_at: i64,
    /// 1..=999; 1 if absent.
    per_user_limit: Option<i64>,
    /// Buyers that its waiting room admits in a second, 0..=1,000,000; 0: nobody waits; as the settings say if absent.
    #[schema(value_type = Option<i64>)]
    admissions_per_second: Option<u32>,
}

impl FromFields for PlanSale {
    const CODE: Code = Code::SECKILL_PARAMETER;
    const STRICT: bool = true;

    fn from_fields(fields: &mut Fields) -> Self {
        let sale = Self {
            product_id: fields.product("product_id"),
            price: fields.price("price"),
            stock: fields.whole("stock", 1..=POOL_UNITS_MAX),
            start_at: fields.time("start_at"),
            end_at: fields.time("end_at"),
            per_user_limit: fields.whole_if("per_user_limit", 1..=QUANTITY_MAX),
            admissions_per_second: admissions(fields),
        };
        if SaleWindow::new(sale.start_at, sale.end_at).is_err() {
            fields.refuse("end_at", Problem::NotTime);
        }
        sale
    }
}

/// What to change; an absent field stays as it is.
#[derive(Debug, ToSchema)]
pub struct ChangeSale {
    /// In yuan, above 0.
    #[schema(value_type = Option<f64>)]
    price: Option<Money>,
    /// Units that shall be left in the sale; the difference comes from or goes to the free pool.
    stock: Option<i64>,
    /// First moment.
    #[schema(value_type = Option<String>)]
    start_at: Option<i64>,
    /// First moment after it.
    #[schema(value_type = Option<String>)]
    end_at: Option<i64>,
    /// 1..=999.
    per_user_limit: Option<i64>,
}

impl FromFields for ChangeSale {
    const CODE: Code = Code::SECKILL_PARAMETER;
    const STRICT: bool = true;

    fn from_fields(fields: &mut Fields) -> Self {
        let price = fields.money_if("price");
        if price.is_some_and(|price| !price.is_positive()) {
            fields.refuse("price", Problem::NotMoney);
        }
        Self {
            price,
            stock: fields.whole_if("stock", 0..=POOL_UNITS_MAX),
            start_at: fields.time_if("start_at"),
            end_at: fields.time_if("end_at"),
            per_user_limit: fields.whole_if("per_user_limit", 1..=QUANTITY_MAX),
        }
    }
}

/// Units of a product for an ad-hoc sale.
#[derive(Debug, ToSchema)]
pub struct OpenAdHocSale {
    /// Of what.
    #[schema(value_type = i64)]
    product_id: ProductId,
    /// Units that shall be left in the sale.
    stock: i64,
}

impl FromFields for OpenAdHocSale {
    const CODE: Code = Code::SECKILL_PARAMETER;
    const STRICT: bool = true;

    fn from_fields(fields: &mut Fields) -> Self {
        Self { product_id: fields.product("product_id"), stock: fields.whole("stock", 1..=POOL_UNITS_MAX) }
    }
}

/// The units of an ad-hoc sale.
#[derive(Debug, Serialize, ToSchema)]
pub struct AdHocSale {
    /// Of what.
    pub product_id: i64,
    /// Units left in the sale.
    pub stock: i64,
    /// The sale.
    pub sale_id: i64,
}

/// Plans a sale and sets its units aside.
#[utoipa::path(post, path = "/api/seckill/sale", tag = "admin", security(("bearer" = [])), request_body = PlanSale,
    params(("Idempotency-Key" = Option<String>, Header, description = "1..=100 visible ASCII characters")),
    responses((status = 200, body = EnvelopeOf<SaleJson>)))]
pub async fn plan_sale(
    state: web::Data<AppState>,
    Admin(admin): Admin,
    request: HttpRequest,
    Body(wanted): Body<PlanSale>,
) -> Result<HttpResponse, ApiError> {
    let window =
        SaleWindow::new(wanted.start_at, wanted.end_at).map_err(|_| ApiError::from(Code::SECKILL_PARAMETER))?;
    let terms = SaleTerms {
        sale: SaleId(0), // given by the table
        window,
        unit_price: wanted.price,
        units_per_buyer_max: wanted.per_user_limit.unwrap_or(1),
        closed: false,
    };
    let plan = Plan {
        product: wanted.product_id,
        terms,
        units: wanted.stock,
        admissions_per_second: wanted.admissions_per_second,
    };
    once(&request, &state, admin.buyer, 1, async |turn: Turn| {
        let sale = carry_out(&state, &admin, &turn, plan).await?;
        shown(&state, sale).await
    })
    .await
}

/// Changes a sale's price, window, limit or units left.
#[utoipa::path(put, path = "/api/seckill/sale/{id}", tag = "admin", security(("bearer" = [])),
    params(("id" = i64, Path)), request_body = ChangeSale, responses((status = 200, body = EnvelopeOf<SaleJson>)))]
pub async fn change_sale(
    state: web::Data<AppState>,
    Admin(admin): Admin,
    path: web::Path<String>,
    Body(wanted): Body<ChangeSale>,
) -> ApiResult<SaleJson> {
    let known = known_sale(&state, &path).await?;
    let mut terms = known.sale.terms;
    let opens_at_ms = wanted.start_at.unwrap_or(terms.window.opens_at_ms);
    let closes_at_ms = wanted.end_at.unwrap_or(terms.window.closes_at_ms);
    terms.window = SaleWindow::new(opens_at_ms, closes_at_ms).map_err(|_| ApiError::from(Code::SECKILL_PARAMETER))?;
    terms.unit_price = wanted.price.unwrap_or(terms.unit_price);
    terms.units_per_buyer_max = wanted.per_user_limit.unwrap_or(terms.units_per_buyer_max);
    let product = known.sale.product;
    if terms != known.sale.terms {
        sales::check_change(&state.db, &terms).await??;
        state.move_stock(&admin, product, StockPlan::ChangeTerms { terms }).await?;
    }
    if let Some(units) = wanted.stock {
        state.move_stock(&admin, product, StockPlan::SetSale { sale: terms.sale, units }).await?;
    }
    let detail = json!({"terms": terms, "stock": wanted.stock});
    state.record(&admin, "sale.change", format!("sale {}", terms.sale), detail).await?;
    ok(shown(&state, terms.sale).await?)
}

/// Ends a sale for good; units left go back to the free pool.
#[utoipa::path(delete, path = "/api/seckill/sale/{id}", tag = "admin", security(("bearer" = [])),
    params(("id" = i64, Path)), responses((status = 200, body = EnvelopeOf<SaleJson>)))]
pub async fn close_sale(
    state: web::Data<AppState>,
    Admin(admin): Admin,
    path: web::Path<String>,
) -> ApiResult<SaleJson> {
    let known = known_sale(&state, &path).await?;
    let sale = known.sale.terms.sale;
    let done = state.move_stock(&admin, known.sale.product, StockPlan::CloseSale { sale }).await?;
    state.record(&admin, "sale.close", format!("sale {sale}"), json!({"units_back": done.units})).await?;
    ok(shown(&state, sale).await?)
}

/// Opens a sale at once: 24 hours, the product's price, one unit a buyer. While it runs, sets its units left.
#[utoipa::path(post, path = "/api/seckill/init", tag = "admin", security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "1..=100 visible ASCII characters")),
    request_body = OpenAdHocSale, responses((status = 200, body = EnvelopeOf<AdHocSale>)))]
pub async fn open_ad_hoc_sale(
    state: web::Data<AppState>,
    Admin(admin): Admin,
    request: HttpRequest,
    Params(wanted): Params<OpenAdHocSale>,
) -> Result<HttpResponse, ApiError> {
    let OpenAdHocSale { product_id: product, stock } = wanted;
    once(&request, &state, admin.buyer, 1, async |turn: Turn| {
        let sale = open_or_restock(&state, &admin, &turn, product, stock).await?;
        Ok(AdHocSale { product_id: product.0, stock, sale_id: sale.0 })
    })
    .await
}

/// Either is one move under the turn's number, so a repeat goes on with the one that was begun.
async fn open_or_restock(
    state: &AppState,
    admin: &Caller,
    turn: &Turn,
    product: ProductId,
    stock: i64,
) -> Result<SaleId, ApiError> {
    let card = products::card(&state.db, product).await?.ok_or(ApiError::from(Code::PRODUCT_NOT_FOUND))?;
    let now_ms = state.clock.now_ms();
    let running = sales::of_product(&state.db, product).await?.into_iter().find(|known| {
        let window = known.sale.terms.window;
        !known.sale.terms.closed && window.opens_at_ms <= now_ms && now_ms < window.closes_at_ms
    });
    let move_id = turn.order_no()?.to_string();
    let begun = if turn.is_repeat { stock_moves::find(&state.db, &move_id).await? } else { None };
    let restocked = match (begun, running) {
        (Some((_, StockPlan::SetSale { sale, .. })), _) => Some(sale),
        (None, Some(known)) => Some(known.sale.terms.sale),
        _ => None,
    };
    if let Some(sale) = restocked {
        state.end_move_by(admin, "", move_id, (product, StockPlan::SetSale { sale, units: stock })).await?;
        state.record(admin, "sale.restock", format!("sale {sale}"), json!({"stock": stock})).await?;
        return Ok(sale);
    }
    let window =
        SaleWindow::new(now_ms, now_ms + AD_HOC_SALE_MS).map_err(|_| ApiError::from(Code::SECKILL_PARAMETER))?;
    let (sale, unit_price) = (SaleId(0), card.price);
    let terms = SaleTerms { sale, window, unit_price, units_per_buyer_max: 1, closed: false };
    let plan = Plan { product, terms, units: stock, admissions_per_second: None };
    carry_out(state, admin, turn, plan).await
}

/// A sale as it is to be planned.
#[derive(Clone, Copy, Debug)]
struct Plan {
    product: ProductId,
    terms: SaleTerms,
    units: i64,
    admissions_per_second: Option<u32>,
}

/// Of a repeat the move that was begun counts, with its terms.
async fn carry_out(state: &AppState, admin: &Caller, turn: &Turn, plan: Plan) -> Result<SaleId, ApiError> {
    let Plan { product, mut terms, units, admissions_per_second } = plan;
    products::card(&state.db, product).await?.ok_or(ApiError::from(Code::PRODUCT_NOT_FOUND))?;
    let move_id = turn.order_no()?.to_string();
    let new = NewSale { move_id: &move_id, product, terms, units_planned: units, admissions_per_second };
    terms = sales::insert(&state.db, new, state.clock.now_ms()).await??.terms;
    if admissions_per_second.is_some() {
        // before its units lie at the gate
        state.shop.waiting_room.of_sales.refresh(&state.db, &state.clock).await;
    }
    state.end_move_by(admin, "", move_id, (product, StockPlan::PlanSale { terms, units })).await?;
    let mut detail = json!({"product_id": product, "terms": terms, "stock": units});
    if let Some(rate) = admissions_per_second {
        detail["admissions_per_second"] = rate.into();
    }
    state.record(admin, "sale.plan", format!("sale {}", terms.sale), detail).await?;
    Ok(terms.sale)
}

async fn known_sale(state: &AppState, id: &str) -> Result<SaleWithStock, ApiError> {
    let sale = SaleId(from_path(id, Code::SECKILL_NOT_FOUND)?);
    Ok(sales::find(&state.db, sale).await?.ok_or(SaleRefusal::NotFound)?)
}

async fn shown(state: &AppState, sale: SaleId) -> Result<SaleJson, ApiError> {
    let known = sales::find(&state.db, sale).await?.ok_or(SaleRefusal::NotFound)?;
    let card = products::card(&state.db, known.sale.product).await?;
    Ok(SaleJson::new(known, card.as_ref(), state.clock.now_ms()))
}
