//! The flash sale, for buyers: which sales there are, buy, what became of it.

use std::collections::HashMap;

use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::Caller;
use super::door::{Arrived, Closer};
use super::envelope::{ApiResult, EnvelopeOf, ok};
use super::error::ApiError;
use super::extract::{Params, Query, from_path};
use super::fields::{Fields, FromFields};
use super::i18n::{Lang, status_text};
use super::idempotent::{Turn, once, unless_undecided};
use super::order_reads::{self, FoundOrder, Viewer};
use super::pages::PageQuery;
use super::sale_json::{SaleJson, SaleList};
use super::state::AppState;
use super::times::Time;
use super::waiting_room::{self, TICKET_BYTES_MAX};
use crate::actors::session::{BuyAnswer, BuyInSale};
use crate::domain::codes::Code;
use crate::domain::money::{Money, Yuan};
use crate::domain::order::OrderStatus;
use crate::domain::stock::{Claim, ClaimRejection, Ticket};
use crate::domain::{BuyerId, OrderNo, ProductId, Quantity};
use crate::persistence::orders::{EndReason, OrderView};
use crate::persistence::{products, sales};

/// A claim on the product's current sale.
#[derive(Debug, ToSchema)]
pub struct BuyRequest {
    /// What.
    #[schema(value_type = i64)]
    product_id: ProductId,
    /// How many; 1 if absent.
    #[schema(value_type = Option<i64>)]
    quantity: Quantity,
    /// From an earlier answer 60012, where buyers have to wait for their turn.
    queue_ticket: Option<String>,
}

impl FromFields for BuyRequest {
    const CODE: Code = Code::SECKILL_PARAMETER;

    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            product_id: fields.product("product_id"),
            quantity: fields.quantity("quantity", Some(Quantity::ONE)),
            queue_ticket: fields.text_if("queue_ticket", 1..=TICKET_BYTES_MAX),
        }
    }
}

/// An accepted claim: the order is owed under this number.
#[derive(Debug, Serialize, ToSchema)]
pub struct Bought {
    /// Of the order.
    pub order_no: String,
    /// True.
    pub success: bool,
    /// For people.
    pub message: &'static str,
    /// 0: the order is being written.
    pub status: i16,
    /// What.
    pub product_id: i64,
    /// Its name now.
    pub product_name: String,
    /// Of one unit, in yuan.
    #[schema(value_type = f64)]
    pub price: Yuan,
    /// How many.
    pub quantity: i64,
    /// When it was accepted.
    pub created_at: Time,
}

/// What became of a claim.
#[derive(Debug, Serialize, ToSchema)]
pub struct BuyResult {
    /// Of the order.
    pub order_no: String,
    /// `processing`, `created` or `failed`.
    pub status: &'static str,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
}

/// Which sales.
#[derive(Debug)]
pub struct SaleQuery {
    page: PageQuery,
    product: Option<ProductId>,
}

impl FromFields for SaleQuery {
    const CODE: Code = Code::BAD_REQUEST;

    fn from_fields(fields: &mut Fields) -> Self {
        Self { page: PageQuery::read(fields), product: fields.whole_if("product_id", 1..=i64::MAX).map(ProductId) }
    }
}

/// Sales that are open or to come, of all products or one.
#[utoipa::path(get, path = "/api/seckill", tag = "seckill",
    params(("product_id" = Option<i64>, Query), ("page" = Option<u64>, Query), ("page_size" = Option<u64>, Query)),
    responses((status = 200, body = EnvelopeOf<SaleList>)))]
pub async fn list_sales(state: web::Data<AppState>, Query(wanted): Query<SaleQuery>) -> ApiResult<SaleList> {
    let (now_ms, SaleQuery { page, product }) = (state.clock.now_ms(), wanted);
    let (known, total) = sales::list(&state.db, (Some(now_ms), product), page.offset(), page.page_size).await?;
    let products: Vec<ProductId> = known.iter().map(|known| known.sale.product).collect();
    let cards: HashMap<ProductId, _> =
        products::cards(&state.db, &products).await?.into_iter().map(|card| (card.id, card)).collect();
    let list = known.into_iter().map(|known| SaleJson::new(known, cards.get(&known.sale.product), now_ms)).collect();
    let page = page.of(list, total);
    ok(SaleList {
        list: page.list,
        total: page.total,
        page: page.page,
        page_size: page.page_size,
        total_page: page.total_page,
        server_time: Time(now_ms).with_millis(),
    })
}

/// Buys in the product's current sale. Answered as soon as the units are taken and the order is owed.
#[utoipa::path(post, path = "/api/seckill", tag = "seckill", security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "1..=100 visible ASCII characters")),
    request_body = BuyRequest, responses((status = 200, body = EnvelopeOf<Bought>),
        (status = 429, description = "60010, too many clicks; 60012, others are first: `queue_ticket`, `position`, `eta_ms`"), (status = 503, description = "60011, busy")))]
pub async fn buy(
    state: web::Data<AppState>,
    caller: Caller,
    lang: Lang,
    request: HttpRequest,
    Params(wanted): Params<BuyRequest>,
) -> Result<HttpResponse, ApiError> {
    waiting_room::pass(&state, wanted.product_id, caller.buyer, wanted.queue_ticket.as_deref()).await?;
    once(&request, &state, caller.buyer, 1, async |turn: Turn| {
        let outcome = claim(&state, &request, (caller.buyer, &wanted), &turn).await;
        let accepted = unless_undecided(&state, &turn, wanted.product_id, outcome).await?;
        Ok(bought(&state, accepted, lang).await)
    })
    .await
}

async fn claim(
    state: &AppState,
    request: &HttpRequest,
    (buyer, wanted): (BuyerId, &BuyRequest),
    turn: &Turn,
) -> Result<Accepted, ApiError> {
    let order_no = turn.order_no()?;
    let span = tracing::Span::current();
    span.record("product_id", wanted.product_id.0).record("order_no", tracing::field::display(order_no));
    if turn.is_repeat
        && let Some(accepted) = accepted_before(state, buyer, order_no).await?
    {
        return Ok(accepted);
    }
    let since = Arrived::of(request);
    let message = BuyInSale { product: wanted.product_id, quantity: wanted.quantity, order_no, since };
    let asked = state.shop.sessions.ask(&buyer, message, state.ask_timeout()).await;
    let outcome = match &asked {
        Ok(BuyAnswer { outcome: Ok(_), .. }) => "accepted",
        Ok(BuyAnswer { outcome: Err(rejection), .. }) => rejection.label(),
        Err(_) => "busy",
    };
    metrics::counter!("rushmall_seckill_total", "outcome" => outcome).increment(1);
    let BuyAnswer { outcome, clicks } = asked?;
    request.extensions_mut().insert(Closer(clicks));
    match outcome {
        Ok(ticket) => Ok(Accepted::from(&ticket)),
        Err(rejection) => {
            // A repeat may be refused because of the first one's own claim, or by a flag instead of the ledger.
            let is_own = rejection == ClaimRejection::AlreadyBought { order_no }.into();
            let found = if is_own || turn.is_repeat { accepted_before(state, buyer, order_no).await? } else { None };
            Ok(found.ok_or(rejection)?)
        }
    }
}

/// A claim that was accepted, from its ticket or its order.
struct Accepted {
    order_no: OrderNo,
    product: ProductId,
    quantity: Quantity,
    unit_price: Money,
    at_ms: i64,
}

impl From<&Ticket> for Accepted {
    fn from(Ticket { claim, accepted_at_ms, .. }: &Ticket) -> Self {
        let Claim { order_no, product, quantity, unit_price, .. } = *claim;
        Self { order_no, product, quantity, unit_price, at_ms: *accepted_at_ms }
    }
}

impl From<&OrderView> for Accepted {
    fn from(order: &OrderView) -> Self {
        let OrderView { order_no, product, quantity, total, created_at_ms, .. } = *order;
        let unit_price = order.items.first().map_or(total, |item| item.unit_price);
        Self { order_no, product, quantity, unit_price, at_ms: created_at_ms }
    }
}

/// What an earlier request with the key was promised.
async fn accepted_before(state: &AppState, buyer: BuyerId, order_no: OrderNo) -> Result<Option<Accepted>, ApiError> {
    Ok(match order_reads::find(state, Viewer::Buyer(buyer), order_no).await? {
        Some(FoundOrder::Accepted(ticket)) => Some(Accepted::from(&ticket)),
        Some(FoundOrder::Written(order)) => Some(Accepted::from(&order)),
        Some(FoundOrder::Withdrawn(_)) | None => None,
    })
}

async fn bought(state: &AppState, claim: Accepted, lang: Lang) -> Bought {
    // The units are taken: a name that cannot be read must not turn the answer into an error.
    let card = state.product_cards.get(&state.db, claim.product).await.ok().flatten();
    Bought {
        order_no: claim.order_no.to_string(),
        success: true,
        message: status_text(OrderStatus::Processing, lang),
        status: OrderStatus::Processing.code(),
        product_id: claim.product.0,
        product_name: card.map(|card| card.name).unwrap_or_default(),
        price: Yuan(claim.unit_price),
        quantity: claim.quantity.units(),
        created_at: Time(claim.at_ms),
    }
}

/// What became of a claim; another buyer's does not exist.
#[utoipa::path(get, path = "/api/seckill/result/{order_no}", tag = "seckill", security(("bearer" = [])),
    params(("order_no" = String, Path)), responses((status = 200, body = EnvelopeOf<BuyResult>)))]
pub async fn buy_result(state: web::Data<AppState>, caller: Caller, path: web::Path<String>) -> ApiResult<BuyResult> {
    let order_no = from_path(&path, Code::ORDER_NOT_FOUND)?;
    let (status, reason) = match order_reads::find(&state, caller.viewer(), order_no).await? {
        None => return Err(Code::ORDER_NOT_FOUND.into()),
        Some(FoundOrder::Accepted(_)) => ("processing", None),
        Some(FoundOrder::Withdrawn(_)) => ("failed", Some("withdrawn")),
        Some(FoundOrder::Written(view)) if view.status == OrderStatus::Failed => match view.end_reason {
            Some(EndReason::SoldOut) | None => ("failed", Some("sold_out")),
            Some(EndReason::OverLimit) => ("failed", Some("over_limit")),
            Some(_) => ("failed", Some("not_processed")),
        },
        Some(FoundOrder::Written(_)) => ("created", None),
    };
    ok(BuyResult { order_no: order_no.to_string(), status, reason })
}
