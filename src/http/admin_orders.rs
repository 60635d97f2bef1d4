//! Orders and what stands in their way, for administrators: all orders, cancel and refund, tickets that were given up.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::auth::Admin;
use super::envelope::{ApiResult, EnvelopeOf, ok};
use super::error::ApiError;
use super::extract::{Params, Query, from_path};
use super::fields::{Fields, FromFields};
use super::i18n::Lang;
use super::idempotent::{Turn, once};
use super::order_json::OrderJson;
use super::order_reads::{self, Viewer};
use super::orders::drive;
use super::pages::{PageOf, PageQuery};
use super::refusals::Wish;
use super::state::AppState;
use super::times::Time;
use crate::actors::checkout::OrderRejection;
use crate::actors::inventory::ReserveUnits;
use crate::actors::order_saga::Party;
use crate::domain::codes::Code;
use crate::domain::money::FEN_MAX;
use crate::domain::order::{CancelReason, Command, OrderStatus, RefundAsker};
use crate::domain::stock::Claim;
use crate::domain::{BuyerId, Money, OrderNo, ProductId};
use crate::persistence::orders::{self, OrderFilter, Slice};
use crate::persistence::{dead_tickets, journal};

/// Which orders.
#[derive(Debug)]
pub struct WhichOrders {
    page: PageQuery,
    filter: OrderFilter,
}

impl FromFields for WhichOrders {
    const CODE: Code = Code::ORDER_PARAMETER;

    fn from_fields(fields: &mut Fields) -> Self {
        let page = PageQuery::read(fields);
        let status = fields.whole_if("status", 0..=9).and_then(|code| i16::try_from(code).ok());
        let filter = OrderFilter {
            buyer: fields.whole_if("user_id", 1..=i64::MAX).map(BuyerId),
            product: fields.whole_if("product_id", 1..=i64::MAX).map(ProductId),
            pool: None,
            status: status.and_then(OrderStatus::from_code),
            needs_review: fields.flag_if("needs_review").unwrap_or(false),
        };
        Self { page, filter }
    }
}

/// What a command on an order needs.
#[derive(Debug, ToSchema)]
pub struct CommandOrder {
    /// Refund: fen; all that is left if absent.
    refund_fee: Option<i64>,
    /// Refund, clear-review: up to 200 characters.
    reason: String,
}

impl FromFields for CommandOrder {
    const CODE: Code = Code::ORDER_PARAMETER;

    fn from_fields(fields: &mut Fields) -> Self {
        let refund_fee = fields.whole_if("refund_fee", 1..=FEN_MAX);
        Self { refund_fee, reason: fields.text_if("reason", 0..=200).unwrap_or_default() }
    }
}

/// A ticket that could not become an order.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeadTicketJson {
    /// Of the order that was owed.
    pub order_no: String,
    /// To whom.
    pub user_id: i64,
    /// Of what.
    pub product_id: i64,
    /// How many.
    pub quantity: i64,
    /// Why it was given up.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was given up.
    pub at: Time,
}

/// A ticket tried again.
#[derive(Debug, Serialize, ToSchema)]
pub struct Replayed {
    /// The new order's number.
    pub order_no: String,
}

/// All orders, newest first.
#[utoipa::path(get, path = "/api/admin/orders", tag = "admin", security(("bearer" = [])),
    params(("page" = Option<u64>, Query), ("page_size" = Option<u64>, Query), ("status" = Option<i64>, Query),
        ("user_id" = Option<i64>, Query), ("product_id" = Option<i64>, Query), ("needs_review" = Option<bool>, Query)),
    responses((status = 200, body = EnvelopeOf<PageOf<OrderJson>>)))]
pub async fn list_all_orders(
    state: web::Data<AppState>,
    _admin: Admin,
    lang: Lang,
    Query(wanted): Query<WhichOrders>,
) -> ApiResult<PageOf<OrderJson>> {
    let slice = Slice { offset: wanted.page.offset(), limit: wanted.page.page_size };
    let (rows, total) = orders::list_all(&state.db, wanted.filter, slice).await?;
    ok(wanted.page.of(rows.into_iter().map(|view| OrderJson::from_view(view, lang)).collect(), total))
}

/// `cancel`, `refund` (fen, default all that is left) or `clear-review` an order.
#[utoipa::path(post, path = "/api/admin/orders/{order_no}/{command}", tag = "admin", security(("bearer" = [])),
    params(("order_no" = String, Path), ("command" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    request_body = CommandOrder, responses((status = 200, body = EnvelopeOf<OrderJson>)))]
pub async fn command_order(
    state: web::Data<AppState>,
    Admin(admin): Admin,
    lang: Lang,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    Params(wanted): Params<CommandOrder>,
) -> Result<HttpResponse, ApiError> {
    let (order_no, word) = path.into_inner();
    let order_no: OrderNo = from_path(&order_no, Code::ORDER_NOT_FOUND)?;
    once(&request, &state, admin.buyer, 1, async |turn: Turn| {
        let detail = json!({"refund_fee": wanted.refund_fee, "reason": wanted.reason});
        let wish = meant(&state, order_no, &word, &wanted, turn.order_no()?).await?;
        drive(&state, Party::Administrator, order_no, wish).await?;
        state.record_done(&admin, &format!("order.{word}"), format!("order {order_no}"), detail).await;
        order_reads::order(&state, Viewer::Administrator, order_no, lang).await
    })
    .await
}

/// `number` is the identity of a refund: under one key it stays the same, so a repeat asks for no second one.
async fn meant(
    state: &AppState,
    order_no: OrderNo,
    word: &str,
    wanted: &CommandOrder,
    number: OrderNo,
) -> Result<(Wish, Command), ApiError> {
    Ok(match word {
        "cancel" => (Wish::Cancel, Command::Cancel { reason: CancelReason::Administrator }),
        "clear-review" => (Wish::Deliver, Command::ClearReview { note: wanted.reason.clone() }),
        "refund" => {
            let amount = match wanted.refund_fee {
                Some(fen) => Money::from_fen(fen),
                None => left_to_refund(state, order_no).await?,
            };
            (
                Wish::Refund,
                Command::RequestRefund {
                    by: RefundAsker::Administrator,
                    amount,
                    reason: wanted.reason.clone(),
                    request: number.to_string(),
                },
            )
        }
        _ => return Err(Code::NOT_FOUND.into()),
    })
}

async fn left_to_refund(state: &AppState, order_no: OrderNo) -> Result<Money, ApiError> {
    let loaded = journal::load(&state.db, order_no).await?.ok_or(ApiError::from(Code::ORDER_NOT_FOUND))?;
    Ok(loaded.order.total.minus(loaded.order.refund_promised()))
}

/// Tickets that were given up, latest first.
#[utoipa::path(get, path = "/api/admin/dead-tickets", tag = "admin", security(("bearer" = [])),
    params(("page" = Option<u64>, Query), ("page_size" = Option<u64>, Query)),
    responses((status = 200, body = EnvelopeOf<PageOf<DeadTicketJson>>)))]
pub async fn list_dead_tickets(
    state: web::Data<AppState>,
    _admin: Admin,
    Query(page): Query<PageQuery>,
) -> ApiResult<PageOf<DeadTicketJson>> {
    let (dead, total) = dead_tickets::list(&state.db, page.offset(), page.page_size).await?;
    let shown = |dead: dead_tickets::DeadTicket| DeadTicketJson {
        order_no: dead.ticket.claim.order_no.to_string(),
        user_id: dead.ticket.claim.buyer.0,
        product_id: dead.ticket.claim.product.0,
        quantity: dead.ticket.claim.quantity.units(),
        reason: dead.reason,
        attempts: dead.attempts,
        at: Time(dead.at_ms),
    };
    ok(page.of(dead.into_iter().map(shown).collect(), total))
}

/// Claims the units of a given-up ticket anew for its buyer, under a new order number: the old order stays failed.
#[utoipa::path(post, path = "/api/admin/dead-tickets/{order_no}/replay", tag = "admin", security(("bearer" = [])),
    params(("order_no" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = EnvelopeOf<Replayed>)))]
pub async fn replay_dead_ticket(
    state: web::Data<AppState>,
    Admin(admin): Admin,
    request: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let old_no: OrderNo = from_path(&path, Code::ORDER_NOT_FOUND)?;
    once(&request, &state, admin.buyer, 1, async |turn: Turn| {
        let order_no = turn.order_no()?;
        if turn.is_repeat && order_reads::find(&state, Viewer::Administrator, order_no).await?.is_some() {
            dead_tickets::remove(&state.db, old_no).await?;
            return Ok(Replayed { order_no: order_no.to_string() });
        }
        let dead = dead_tickets::find(&state.db, old_no).await?.ok_or(ApiError::from(Code::ORDER_NOT_FOUND))?;
        let claim = Claim { order_no, ..dead.ticket.claim };
        let product = claim.product;
        let answer = state.shop.inventory.ask(&product, ReserveUnits { claim }, state.ask_timeout()).await?;
        answer.map_err(|refusal| OrderRejection::Line { product, refusal })?;
        dead_tickets::remove(&state.db, old_no).await?;
        let detail = json!({"order_no": order_no});
        state.record_done(&admin, "dead_ticket.replay", format!("order {old_no}"), detail).await;
        Ok(Replayed { order_no: order_no.to_string() })
    })
    .await
}
