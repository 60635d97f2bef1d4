//! Orders and what stands in their way, for administrators: all orders, cancel and refund, tickets that were given up.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::actor_commands::{self, Asked, CommandParams};
use super::auth::Admin;
use super::envelope::{ApiResult, EnvelopeOf, ok};
use super::error::ApiError;
use super::extract::{Params, Query, from_path};
use super::fields::{Fields, FromFields};
use super::i18n::Lang;
use super::idempotent::{Turn, once};
use super::notices::{Act, result_of};
use super::order_json::OrderJson;
use super::order_reads::{self, Viewer};
use super::pages::{PageOf, PageQuery};
use super::state::AppState;
use super::times::Time;
use crate::actors::checkout::OrderRejection;
use crate::actors::inventory::ReserveUnits;
use crate::actors::kit::KitActor as _;
use crate::actors::order_saga::OrderSagaActor;
use crate::domain::codes::Code;
use crate::domain::order::{OrderStatus, ReviewReason};
use crate::domain::stock::{Claim, Pool};
use crate::domain::user::Login;
use crate::domain::{BuyerId, OrderNo, ProductId};
use crate::persistence::orders::{self, OrderFilter, OrderView, Slice};
use crate::persistence::{dead_tickets, users};

/// Which orders.
#[derive(Debug)]
pub struct WhichOrders {
    page: PageQuery,
    username: Option<String>,
    filter: OrderFilter,
}

impl FromFields for WhichOrders {
    const CODE: Code = Code::ORDER_PARAMETER;

    fn from_fields(fields: &mut Fields) -> Self {
        let page = PageQuery::read(fields);
        let status = fields.whole_if("status", 0..=9).and_then(|code| i16::try_from(code).ok());
        let oldest_first = fields.one_of_if("sort", &[("newest", false), ("oldest", true)], "newest, oldest");
        let filter = OrderFilter {
            buyer: fields.whole_if("user_id", 1..=i64::MAX).map(BuyerId),
            product: fields.whole_if("product_id", 1..=i64::MAX).map(ProductId),
            pool: fields.whole_if("sale_id", 1..=i64::MAX).map(Pool::from),
            status: status.and_then(OrderStatus::from_code),
            needs_review: fields.flag_if("needs_review").unwrap_or(false),
            number: fields.number_start_if("order_no"),
            from_ms: fields.time_if("from"),
            to_ms: fields.time_if("to"),
            oldest_first: oldest_first.unwrap_or(false),
        };
        Self { page, username: fields.text_if("username", 1..=254), filter }
    }
}

/// An order among others.
#[derive(Debug, Serialize, ToSchema)]
pub struct AdminOrderRow {
    /// What the buyer sees.
    #[serde(flatten)]
    pub order: OrderJson,
    /// The buyer's name; empty if he is gone.
    pub username: String,
    /// Why a human must look.
    #[schema(value_type = Option<String>)]
    pub review_reason: Option<ReviewReason>,
    /// 9 while it is closing, which buyers see as 1; else as `status`.
    pub true_status: i16,
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

/// All orders, newest first (`sort=oldest`: oldest). `order_no` may be the beginning of a number; `username` also an e-mail
/// address or mobile number; `status=9` finds those that are closing; `from` and `to` are about when they were accepted.
#[utoipa::path(get, path = "/api/admin/orders", tag = "admin", security(("bearer" = [])),
    params(("page" = Option<u64>, Query), ("page_size" = Option<u64>, Query), ("status" = Option<i64>, Query),
        ("user_id" = Option<i64>, Query), ("username" = Option<String>, Query), ("product_id" = Option<i64>, Query),
        ("sale_id" = Option<i64>, Query), ("needs_review" = Option<bool>, Query), ("order_no" = Option<String>, Query),
        ("from" = Option<String>, Query), ("to" = Option<String>, Query), ("sort" = Option<String>, Query)),
    responses((status = 200, body = EnvelopeOf<PageOf<AdminOrderRow>>)))]
pub async fn list_all_orders(
    state: web::Data<AppState>,
    _admin: Admin,
    lang: Lang,
    Query(mut wanted): Query<WhichOrders>,
) -> ApiResult<PageOf<AdminOrderRow>> {
    if let Some(name) = &wanted.username {
        let named = users::find_by_login(&state.db, &Login::read(name)).await?.map(|user| user.id);
        let is_same = wanted.filter.buyer.is_none() || wanted.filter.buyer == named;
        let Some(buyer) = named.filter(|_| is_same) else { return ok(wanted.page.of(Vec::new(), 0)) };
        wanted.filter.buyer = Some(buyer);
    }
    let slice = Slice { offset: wanted.page.offset(), limit: wanted.page.page_size };
    let (rows, total) = orders::list_all(&state.db, &wanted.filter, slice).await?;
    let buyers: Vec<BuyerId> = rows.iter().map(|row| row.buyer).collect();
    let names = users::names(&state.db, &buyers).await?;
    let row = |view: OrderView| AdminOrderRow {
        username: names.get(&view.buyer).cloned().unwrap_or_default(),
        review_reason: view.review,
        true_status: view.status.code(),
        order: OrderJson::from_view(view, lang),
    };
    ok(wanted.page.of(rows.into_iter().map(row).collect(), total))
}

/// `cancel`, `refund` (fen, default all that is left), `clear-review` (with a reason), `retry` what is owed, `resync` with the
/// gateway, or show the `journal`. The same as the commands of `/api/admin/actors/order_saga/{order_no}`.
#[utoipa::path(post, path = "/api/admin/orders/{order_no}/{command}", tag = "admin", security(("bearer" = [])),
    params(("order_no" = String, Path), ("command" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    request_body = CommandParams, responses((status = 200, body = EnvelopeOf<OrderJson>)))]
pub async fn command_order(
    state: web::Data<AppState>,
    Admin(admin): Admin,
    lang: Lang,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    Params(OrderCommand(params)): Params<OrderCommand>,
) -> Result<HttpResponse, ApiError> {
    let (key, word) = path.into_inner();
    if !ORDER_COMMANDS.contains(&word.as_str()) {
        return Err(Code::NOT_FOUND.into());
    }
    let asked = Asked { kind: OrderSagaActor::KIND.to_owned(), key, word, params };
    once(&request, &state, admin.buyer, 1, async |turn: Turn| {
        actor_commands::run(&state, &admin, lang, &turn, &asked).await
    })
    .await
}

const ORDER_COMMANDS: [&str; 6] = ["cancel", "refund", "clear-review", "retry", "resync", "journal"];

/// The same parameters, refused with the codes of orders.
#[derive(Debug)]
pub struct OrderCommand(CommandParams);

impl FromFields for OrderCommand {
    const CODE: Code = Code::ORDER_PARAMETER;
    const STRICT: bool = true;

    fn from_fields(fields: &mut Fields) -> Self {
        Self(CommandParams::from_fields(fields))
    }
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
    once(&request, &state, admin.buyer, 1, async |turn: Turn| {
        let outcome = claim_anew(&state, &turn, &path).await;
        let detail = outcome.as_ref().map_or_else(|_| json!({}), |replayed| json!({"order_no": replayed.order_no}));
        let (target, result) = (format!("order {path}"), result_of(&outcome));
        state.record_outcome(&admin, &Act { action: "dead_ticket.replay", target, detail, result }).await;
        outcome
    })
    .await
}

async fn claim_anew(state: &AppState, turn: &Turn, old_no: &str) -> Result<Replayed, ApiError> {
    let old_no: OrderNo = from_path(old_no, Code::ORDER_NOT_FOUND)?;
    let order_no = turn.order_no()?;
    if turn.is_repeat && order_reads::find(state, Viewer::Administrator, order_no).await?.is_some() {
        dead_tickets::remove(&state.db, old_no).await?;
        return Ok(Replayed { order_no: order_no.to_string() });
    }
    let dead = dead_tickets::find(&state.db, old_no).await?.ok_or(ApiError::from(Code::ORDER_NOT_FOUND))?;
    let claim = Claim { order_no, ..dead.ticket.claim };
    let product = claim.product;
    let answer = state.shop.inventory.ask(&product, ReserveUnits { claim }, state.ask_timeout()).await?;
    answer.map_err(|refusal| OrderRejection::Line { product, refusal })?;
    dead_tickets::remove(&state.db, old_no).await?;
    Ok(Replayed { order_no: order_no.to_string() })
}
