//! Orders of a signed-in buyer: place, check out, list, look, pay, cancel, confirm; ship is the administrator's.

use actix_web::{HttpRequest, HttpResponse, web};

use super::auth::{Admin, Caller};
use super::envelope::{ApiResult, EnvelopeOf, ok};
use super::error::ApiError;
use super::extract::{Body, Params, Query, from_path};
use super::fields::{Fields, FromFields};
use super::i18n::Lang;
use super::idempotent::{Turn, lines_decided, once, once_for, unless_undecided};
use super::order_json::{OrderDetail, OrderJson};
use super::order_reads::{self, Viewer};
use super::pages::{PageOf, PageQuery};
use super::payments::open_charge;
use super::problem::Problem;
use super::refusals::{Wish, of_saga};
use super::state::AppState;
use crate::actors::checkout::{OrderLine, OrderRequest};
use crate::actors::order_saga::{DriveOrder, Party};
use crate::domain::codes::Code;
use crate::domain::order::{CancelReason, Command, OrderStatus, PayChannel, TradeType};
use crate::domain::stock::{AddressSnapshot, OrderDetails};
use crate::domain::{BuyerId, OrderNo, ProductId, Quantity};
use crate::persistence::carts::{CartLine, CartOwner};
use crate::persistence::orders::OrderView;
use crate::persistence::{addresses, orders};

const REMARK_CHARS_MAX: usize = 200;

/// One product, ordered directly.
#[derive(Debug, utoipa::ToSchema)]
pub struct PlaceOrder {
    /// What.
    #[schema(value_type = i64)]
    product_id: ProductId,
    /// How many, 1..=999.
    #[schema(value_type = i64)]
    quantity: Quantity,
    #[schema(inline)]
    delivery: Delivery,
}

/// Where to, and what else.
#[derive(Debug, utoipa::ToSchema)]
pub struct Delivery {
    /// One of the buyer's addresses.
    address_id: Option<i64>,
    /// Up to 200 characters.
    remark: String,
}

impl FromFields for PlaceOrder {
    const CODE: Code = Code::ORDER_PARAMETER;

    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            product_id: fields.product("product_id"),
            quantity: fields.quantity("quantity", Some(Quantity::ONE)),
            delivery: Delivery::from_fields(fields),
        }
    }
}

impl FromFields for Delivery {
    const CODE: Code = Code::ORDER_PARAMETER;

    fn from_fields(fields: &mut Fields) -> Self {
        if fields.whole_if("coupon_id", 0..=i64::MAX).is_some_and(|coupon| coupon > 0) {
            fields.refuse("coupon_id", Problem::Unknown); // better refused than a discount silently not given
        }
        Self {
            address_id: fields.whole_if("address_id", 0..=i64::MAX).filter(|id| *id > 0),
            remark: fields.text_if("remark", 0..=REMARK_CHARS_MAX).unwrap_or_default(),
        }
    }
}

/// Which orders to list.
#[derive(Debug)]
pub struct ListOrders {
    page: PageQuery,
    status: Option<OrderStatus>,
}

impl FromFields for ListOrders {
    const CODE: Code = Code::ORDER_PARAMETER;

    fn from_fields(fields: &mut Fields) -> Self {
        let page = PageQuery::read(fields);
        let status = fields.whole_if("status", 0..=9).and_then(|code| i16::try_from(code).ok());
        Self { page, status: status.and_then(OrderStatus::from_code) }
    }
}

/// How to pay.
#[derive(Debug, utoipa::ToSchema)]
pub struct PayOrder {
    /// 1 Alipay, 2 WeChat, 3 card, 9 simulated.
    #[schema(value_type = i64)]
    pay_type: PayChannel,
}

impl FromFields for PayOrder {
    const CODE: Code = Code::ORDER_PAY_METHOD;

    fn from_fields(fields: &mut Fields) -> Self {
        let code = fields.whole("pay_type", 1..=9);
        let channel = PayChannel::from_code(code);
        if channel.is_none() {
            fields.refuse("pay_type", Problem::NotOneOf("1, 2, 3, 9"));
        }
        Self { pay_type: channel.unwrap_or(PayChannel::Simulated) }
    }
}

/// The parcel.
#[derive(Debug, utoipa::ToSchema)]
pub struct ShipOrder {
    /// 1..=50 characters.
    carrier: String,
    /// 1..=50 characters.
    tracking_no: String,
}

impl FromFields for ShipOrder {
    const CODE: Code = Code::ORDER_PARAMETER;
    const STRICT: bool = true;

    fn from_fields(fields: &mut Fields) -> Self {
        Self { carrier: fields.text("carrier", 1..=50), tracking_no: fields.text("tracking_no", 1..=50) }
    }
}

/// Orders one product.
#[utoipa::path(post, path = "/api/order", tag = "order", security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "1..=100 visible ASCII characters")),
    request_body = PlaceOrder, responses((status = 200, body = EnvelopeOf<OrderJson>)))]
pub async fn place_order(
    state: web::Data<AppState>,
    caller: Caller,
    lang: Lang,
    request: HttpRequest,
    Params(wanted): Params<PlaceOrder>,
) -> Result<HttpResponse, ApiError> {
    once(&request, &state, caller.buyer, 1, async |turn: Turn| {
        let order_no = turn.order_no()?;
        if let Some(order) = placed_before(&state, caller.buyer, &turn, lang).await?.pop() {
            return Ok(order);
        }
        let details = details(&state, caller.buyer, &wanted.delivery).await?;
        let line = OrderLine { order_no, product: wanted.product_id, quantity: wanted.quantity };
        let ordered = OrderRequest { buyer: caller.buyer, lines: vec![line], details, cart_owner: None };
        let placed = state.shop.checkout.place_orders(&ordered).await.map_err(ApiError::from);
        unless_undecided(&state, &turn, wanted.product_id, placed).await?;
        order_reads::order(&state, Viewer::Buyer(caller.buyer), order_no, lang).await
    })
    .await
}

/// Orders everything in the cart, all or nothing: one order a product.
#[utoipa::path(post, path = "/api/order/checkout", tag = "order", security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "1..=100 visible ASCII characters")),
    request_body = Delivery, responses((status = 200, body = EnvelopeOf<Vec<OrderJson>>)))]
pub async fn checkout(
    state: web::Data<AppState>,
    caller: Caller,
    lang: Lang,
    request: HttpRequest,
    Params(delivery): Params<Delivery>,
) -> Result<HttpResponse, ApiError> {
    let owner = CartOwner::User(caller.buyer);
    let in_cart = cart_lines(&state, &owner).await;
    let wanted = in_cart.as_deref().unwrap_or_default();
    once_for(&request, &state, caller.buyer, wanted, async |turn: Turn| {
        let placed = placed_before(&state, caller.buyer, &turn, lang).await?;
        if !placed.is_empty() {
            return Ok(placed); // all or nothing: these are all
        }
        let details = details(&state, caller.buyer, &delivery).await?;
        if turn.is_repeat {
            ready_to_repeat(&state, &owner, &turn, wanted).await?;
        } else if let Err(refusal) = &in_cart {
            return Err(refusal.clone());
        }
        let (lines, cart_owner) = (turn.lines.clone(), Some(owner.clone()));
        let ordered = OrderRequest { buyer: caller.buyer, lines, details, cart_owner };
        let placed = state.shop.checkout.place_orders(&ordered).await.map_err(ApiError::from);
        if placed.is_err() {
            lines_decided(&state, &turn).await?;
        }
        order_reads::several(&state, caller.buyer, &placed?, lang).await
    })
    .await
}

/// What an earlier request with the key has ordered.
async fn placed_before(state: &AppState, buyer: BuyerId, turn: &Turn, lang: Lang) -> Result<Vec<OrderJson>, ApiError> {
    if !turn.is_repeat {
        return Ok(Vec::new());
    }
    let written = orders::existing(&state.db, &turn.order_nos).await?;
    order_reads::several(state, buyer, &written, lang).await
}

/// What is in the cart, products ascending.
async fn cart_lines(state: &AppState, owner: &CartOwner) -> Result<Vec<(ProductId, Quantity)>, ApiError> {
    let mut cart = state.shop.carts.load(owner, state.clock.now_ms()).await?.lines;
    if cart.is_empty() {
        return Err(Code::CART_EMPTY.into());
    }
    if let Some(line) = cart.iter().find(|line| !line.available) {
        return Err(ApiError::from(Code::CART_OFF_SHELF).with("product_id", line.product.0));
    }
    cart.sort_by_key(|line| line.product);
    let line = |line: &CartLine| Some((line.product, Quantity::try_from(line.quantity).ok()?));
    cart.iter().map(line).collect::<Option<Vec<_>>>().ok_or_else(|| Code::CART_PARAMETER.into())
}

/// Whether the first request's lines may be ordered under their numbers. They may be aside, or in the cart as they were;
/// the numbers are spent if the cart has changed, unless they hold units or orders may still come under them.
async fn ready_to_repeat(
    state: &AppState,
    owner: &CartOwner,
    turn: &Turn,
    in_cart: &[(ProductId, Quantity)],
) -> Result<(), ApiError> {
    lines_decided(state, turn).await?;
    let spent = || ApiError::from(Code::UNAVAILABLE).spent();
    let first = turn.lines.first().ok_or_else(spent)?; // its cart could not be ordered
    if state.shop.carts.set_aside(owner, first.order_no).await?.is_some() {
        return Ok(());
    }
    let has_changed = !turn.lines.iter().map(|line| (line.product, line.quantity)).eq(in_cart.iter().copied());
    for line in &turn.lines {
        match state.shop.ledger.find(line.order_no, Some(line.product)).await? {
            Some(record) if record.returned => return Err(spent()),
            Some(_) if has_changed => {
                return Err(ApiError::from(Code::ORDER_CREATE).with("reason", "the cart has changed"));
            }
            _ => {}
        }
    }
    if has_changed { Err(spent()) } else { Ok(()) }
}

/// Address and remark as they are now.
async fn details(state: &AppState, buyer: BuyerId, delivery: &Delivery) -> Result<OrderDetails, ApiError> {
    let address = match delivery.address_id {
        None => None,
        Some(id) => {
            let unknown = || ApiError::from(Code::ORDER_PARAMETER).with("reason", "no such address");
            let known = addresses::find(&state.db, buyer, id).await?.ok_or_else(unknown)?;
            let (receiver, phone, region, detail) = (known.receiver, known.phone, known.region, known.detail);
            Some(AddressSnapshot { receiver, phone, region, detail })
        }
    };
    Ok(OrderDetails { address, remark: delivery.remark.clone() })
}

/// The caller's orders, newest first.
#[utoipa::path(get, path = "/api/order", tag = "order", security(("bearer" = [])),
    params(("page" = Option<u64>, Query), ("page_size" = Option<u64>, Query), ("status" = Option<i64>, Query)),
    responses((status = 200, body = EnvelopeOf<PageOf<OrderJson>>)))]
pub async fn list_orders(
    state: web::Data<AppState>,
    caller: Caller,
    lang: Lang,
    Query(wanted): Query<ListOrders>,
) -> ApiResult<PageOf<OrderJson>> {
    ok(order_reads::list(&state, caller.buyer, wanted.page, wanted.status, lang).await?)
}

/// One order with its history; another buyer's does not exist.
#[utoipa::path(get, path = "/api/order/{order_no}", tag = "order", security(("bearer" = [])),
    params(("order_no" = String, Path)), responses((status = 200, body = EnvelopeOf<OrderDetail>)))]
pub async fn order_detail(
    state: web::Data<AppState>,
    caller: Caller,
    lang: Lang,
    path: web::Path<String>,
) -> ApiResult<OrderDetail> {
    let order_no = from_path(&path, Code::ORDER_NOT_FOUND)?;
    ok(order_reads::detail(&state, caller.viewer(), order_no, lang).await?)
}

/// Pays. Where payment is simulated the order is paid at once, whatever the method, as old clients expect; else a charge is
/// opened at the method's gateway.
#[utoipa::path(post, path = "/api/order/{order_no}/pay", tag = "order", security(("bearer" = [])),
    params(("order_no" = String, Path)), request_body = PayOrder,
    responses((status = 200, description = "the paid order, or what `/api/pay/{channel}/unified-order` answers",
        body = EnvelopeOf<OrderJson>)))]
pub async fn pay_order(
    state: web::Data<AppState>,
    caller: Caller,
    lang: Lang,
    request: HttpRequest,
    path: web::Path<String>,
    Params(wanted): Params<PayOrder>,
) -> Result<HttpResponse, ApiError> {
    let order_no: OrderNo = from_path(&path, Code::ORDER_NOT_FOUND)?;
    if !state.settings.simulated_payment() && state.shop.desk.notify_url(wanted.pay_type).is_some() {
        return once(&request, &state, caller.buyer, 0, async |_: Turn| {
            open_charge(&state, &request, caller.buyer, order_no, (wanted.pay_type, TradeType::default())).await
        })
        .await;
    }
    once(&request, &state, caller.buyer, 0, async |turn: Turn| {
        if !state.settings.simulated_payment() {
            return Err(Code::PAYMENT_CHANNEL.into());
        }
        let transaction_id = format!("sim_{order_no}");
        let command = Command::PayAtOnce { channel: wanted.pay_type, transaction_id };
        let paid = drive(&state, Party::Buyer(caller.buyer), order_no, (Wish::Pay, command)).await;
        let is_paid = |order: &OrderView| order.buyer == caller.buyer && order.paid_at_ms.is_some();
        done_before(&state, &turn, order_no, paid, is_paid).await?;
        order_reads::order(&state, Viewer::Buyer(caller.buyer), order_no, lang).await
    })
    .await
}

/// Cancels an unpaid order.
#[utoipa::path(post, path = "/api/order/{order_no}/cancel", tag = "order", security(("bearer" = [])),
    params(("order_no" = String, Path)), responses((status = 200, body = EnvelopeOf<OrderJson>)))]
pub async fn cancel_order(
    state: web::Data<AppState>,
    caller: Caller,
    lang: Lang,
    request: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let order_no: OrderNo = from_path(&path, Code::ORDER_NOT_FOUND)?;
    once(&request, &state, caller.buyer, 0, async |_| {
        let command = Command::Cancel { reason: CancelReason::Buyer };
        drive(&state, Party::Buyer(caller.buyer), order_no, (Wish::Cancel, command)).await?;
        order_reads::order(&state, Viewer::Buyer(caller.buyer), order_no, lang).await
    })
    .await
}

/// Confirms receipt of a shipped order.
#[utoipa::path(post, path = "/api/order/{order_no}/confirm", tag = "order", security(("bearer" = [])),
    params(("order_no" = String, Path)), responses((status = 200, body = EnvelopeOf<OrderJson>)))]
pub async fn confirm_order(
    state: web::Data<AppState>,
    caller: Caller,
    lang: Lang,
    request: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let order_no: OrderNo = from_path(&path, Code::ORDER_NOT_FOUND)?;
    once(&request, &state, caller.buyer, 0, async |_| {
        drive(&state, Party::Buyer(caller.buyer), order_no, (Wish::Deliver, Command::ConfirmReceipt)).await?;
        order_reads::order(&state, Viewer::Buyer(caller.buyer), order_no, lang).await
    })
    .await
}

/// Hands a paid order to a carrier.
#[utoipa::path(post, path = "/api/order/{order_no}/ship", tag = "admin", security(("bearer" = [])),
    params(("order_no" = String, Path)), request_body = ShipOrder,
    responses((status = 200, body = EnvelopeOf<OrderJson>)))]
pub async fn ship_order(
    state: web::Data<AppState>,
    Admin(admin): Admin,
    lang: Lang,
    request: HttpRequest,
    path: web::Path<String>,
    Body(parcel): Body<ShipOrder>,
) -> Result<HttpResponse, ApiError> {
    let order_no: OrderNo = from_path(&path, Code::ORDER_NOT_FOUND)?;
    once(&request, &state, admin.buyer, 0, async |turn: Turn| {
        let detail = serde_json::json!({"carrier": parcel.carrier, "tracking_no": parcel.tracking_no});
        let command = Command::Ship { carrier: parcel.carrier.clone(), tracking_no: parcel.tracking_no.clone() };
        let shipped = drive(&state, Party::Administrator, order_no, (Wish::Deliver, command)).await;
        let is_same = |order: &OrderView| order.carrier == parcel.carrier && order.tracking_no == parcel.tracking_no;
        done_before(&state, &turn, order_no, shipped, is_same).await?;
        state.record_done(&admin, "order.ship", format!("order {order_no}"), detail).await;
        order_reads::order(&state, Viewer::Administrator, order_no, lang).await
    })
    .await
}

/// Forgives a repeat the refusal of what the first request with its key has done: `is_done` tells by the order.
async fn done_before(
    state: &AppState,
    turn: &Turn,
    order_no: OrderNo,
    outcome: Result<(), ApiError>,
    is_done: impl Fn(&OrderView) -> bool,
) -> Result<(), ApiError> {
    match outcome {
        Err(_) if turn.is_repeat && orders::find(&state.db, order_no).await?.is_some_and(|order| is_done(&order)) => {
            Ok(())
        }
        outcome => outcome,
    }
}

/// Asks the order's saga to do what `party` wants.
///
/// # Errors
/// The saga's refusal of that wish.
pub async fn drive(
    state: &AppState,
    party: Party,
    order_no: OrderNo,
    (wish, command): (Wish, Command),
) -> Result<(), ApiError> {
    let answer = state.shop.orders.ask(&order_no, DriveOrder { party, command }, state.ask_timeout()).await?;
    answer.map(|_| ()).map_err(|rejection| of_saga(wish, rejection))
}
