//! The rows of new orders, as few statements as possible.

use std::collections::HashMap;

use sea_orm::DatabaseTransaction;
use sea_orm::sea_query::Expr;

use super::Named;
use crate::domain::ProductId;
use crate::domain::order::{Event, FailReason, OrderStatus, replay};
use crate::domain::stock::Ticket;
use crate::persistence::effects::{self, EffectKey};
use crate::persistence::error::StoreError;
use crate::persistence::journal::{chain, effects_of, steps};
use crate::persistence::orders::{EndReason, name};
use crate::persistence::outbox::{self, FeedEvent, OutboxPayload, PoolLevel};
use crate::persistence::query;

/// An order that is to be written.
pub(super) struct NewOrder<'a> {
    pub(super) ticket: &'a Ticket,
    pub(super) failed: Option<FailReason>,
}

const ORDER_COLUMNS: [&str; 13] = [
    "order_no",
    "user_id",
    "product_id",
    "pool",
    "quantity",
    "total_fen",
    "status",
    "version",
    "pay_deadline_ms",
    "details",
    "cancel_reason",
    "created_at_ms",
    "updated_at_ms",
];
const ITEM_COLUMNS: [&str; 7] =
    ["order_no", "line_no", "product_id", "product_name", "product_image", "unit_price_fen", "quantity"];

/// Everything that one commit writes for its orders, except their units.
#[derive(Default)]
struct Rows {
    orders: Vec<Vec<Expr>>,
    items: Vec<Vec<Expr>>,
    entries: Vec<chain::Entry>,
    effects: Vec<(EffectKey, crate::domain::order::Effect)>,
    feed: OutboxPayload,
}

pub(super) async fn write(
    tx: &DatabaseTransaction,
    orders: &[NewOrder<'_>],
    products: &HashMap<ProductId, Named>,
    levels: Vec<PoolLevel>,
    pay_deadline_ms: i64,
    now_ms: i64,
) -> Result<(), StoreError> {
    let mut rows = Rows { feed: OutboxPayload::of_this_trace(Vec::new(), levels), ..Rows::default() };
    let nameless = Named::default();
    for order in orders {
        let product = products.get(&order.ticket.claim.product).unwrap_or(&nameless);
        rows.items.push(item_row(order.ticket, product));
        rows.add_order(order, pay_deadline_ms, now_ms)?;
    }
    query::insert_rows(tx, "orders", &ORDER_COLUMNS, rows.orders, None).await?;
    query::insert_rows(tx, "order_items", &ITEM_COLUMNS, rows.items, None).await?;
    let commit_no = outbox::insert(tx, &rows.feed, now_ms).await?;
    chain::insert(tx, rows.entries, commit_no).await?;
    effects::insert(tx, &rows.effects, now_ms).await
}

impl Rows {
    fn add_order(&mut self, order: &NewOrder<'_>, pay_deadline_ms: i64, now_ms: i64) -> Result<(), StoreError> {
        let claim = &order.ticket.claim;
        let events = events(order, pay_deadline_ms);
        let placed = replay(events.first().map(|first| (first, now_ms)));
        let placed =
            placed.ok_or_else(|| StoreError::Corrupt { what: format!("first event of {}", claim.order_no) })?;
        self.entries.extend(chain::entries(claim.order_no, 0, "", &events, now_ms)?);
        let mut status = placed.status;
        if order.failed.is_none() {
            self.feed.events.push(FeedEvent::new(&placed, &events[0], now_ms));
        } else {
            let steps = steps(&placed, &events[1..], now_ms);
            self.effects.extend(effects_of(&steps));
            self.feed.events.extend(steps.iter().map(|step| FeedEvent::new(&step.after, step.event, now_ms)));
            status = OrderStatus::Failed;
        }
        let version = i64::try_from(events.len()).unwrap_or(1);
        self.orders.push(vec![
            claim.order_no.to_string().into(),
            claim.buyer.0.into(),
            claim.product.0.into(),
            i64::from(claim.pool).into(),
            claim.quantity.units().into(),
            order.ticket.total().fen().into(),
            status.code().into(),
            version.into(),
            pay_deadline_ms.into(),
            query::to_json(&claim.details, "order details")?.into(),
            name(order.failed.map(EndReason::from).as_ref()).into(),
            order.ticket.accepted_at_ms.into(),
            now_ms.into(),
        ]);
        Ok(())
    }
}

fn events(order: &NewOrder<'_>, pay_deadline_ms: i64) -> Vec<Event> {
    let claim = &order.ticket.claim;
    let placed = Event::OrderPlaced {
        order_no: claim.order_no,
        buyer: claim.buyer,
        product: claim.product,
        pool: claim.pool,
        quantity: claim.quantity,
        total: order.ticket.total(),
        pay_deadline_ms,
    };
    let failed = order.failed.map(|reason| Event::OrderFailed { reason });
    std::iter::once(placed).chain(failed).collect()
}

fn item_row(ticket: &Ticket, product: &Named) -> Vec<Expr> {
    let claim = &ticket.claim;
    vec![
        claim.order_no.to_string().into(),
        1_i16.into(),
        claim.product.0.into(),
        product.name.as_str().into(),
        product.image_url.as_str().into(),
        claim.unit_price.fen().into(),
        claim.quantity.units().into(),
    ]
}
