//! Reading orders so that an accepted purchase is visible at once: the rows, and the tickets that are not rows yet.
//!
//! Tickets are read before rows: a ticket disappears only after its row exists, so none is missed in between.

use std::collections::HashMap;

use super::error::ApiError;
use super::i18n::Lang;
use super::order_json::{OrderDetail, OrderJson};
use super::pages::{PageOf, PageQuery};
use super::state::AppState;
use crate::domain::codes::Code;
use crate::domain::order::OrderStatus;
use crate::domain::stock::Ticket;
use crate::domain::{BuyerId, OrderNo, ProductId};
use crate::persistence::orders::{self, OrderView, Slice};
use crate::persistence::products::{self, ProductCard};
use crate::persistence::{StoreError, journal};

/// Who looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Viewer {
    /// Sees his own orders.
    Buyer(BuyerId),
    /// Sees all.
    Administrator,
}

/// An order as far as it has come.
#[derive(Debug)]
pub enum FoundOrder {
    /// Its row exists.
    Written(OrderView),
    /// Accepted, not written yet.
    Accepted(Ticket),
    /// Its units were given back before it was written.
    Withdrawn(Ticket),
}

/// The order; `None` if there is none that `viewer` may see.
///
/// # Errors
/// [`StoreError`].
pub async fn find(state: &AppState, viewer: Viewer, order_no: OrderNo) -> Result<Option<FoundOrder>, StoreError> {
    if let Some(view) = row(state, viewer, order_no).await? {
        return Ok(Some(FoundOrder::Written(view)));
    }
    let record = state.shop.ledger.find(order_no, None).await?;
    match record.filter(|record| viewer.may_see(record.ticket.claim.buyer)) {
        Some(record) if record.returned => Ok(Some(FoundOrder::Withdrawn(record.ticket))),
        Some(record) => Ok(Some(FoundOrder::Accepted(record.ticket))),
        // Written and settled between the two looks.
        None => Ok(row(state, viewer, order_no).await?.map(FoundOrder::Written)),
    }
}

async fn row(state: &AppState, viewer: Viewer, order_no: OrderNo) -> Result<Option<OrderView>, StoreError> {
    match viewer {
        Viewer::Buyer(buyer) => orders::find_for_buyer(&state.db, order_no, buyer).await,
        Viewer::Administrator => orders::find(&state.db, order_no).await,
    }
}

impl Viewer {
    fn may_see(self, buyer: BuyerId) -> bool {
        self == Self::Administrator || self == Self::Buyer(buyer)
    }
}

/// The order as JSON.
///
/// # Errors
/// `ORDER_NOT_FOUND`, also for another buyer's.
pub async fn order(state: &AppState, viewer: Viewer, order_no: OrderNo, lang: Lang) -> Result<OrderJson, ApiError> {
    match find(state, viewer, order_no).await? {
        Some(FoundOrder::Written(view)) => Ok(OrderJson::from_view(view, lang)),
        Some(FoundOrder::Accepted(ticket)) => {
            let card = products::card(&state.db, ticket.claim.product).await?;
            Ok(OrderJson::from_ticket(ticket, card, lang))
        }
        Some(FoundOrder::Withdrawn(_)) | None => Err(Code::ORDER_NOT_FOUND.into()),
    }
}

/// The order with its history.
///
/// # Errors
/// As [`order`].
pub async fn detail(state: &AppState, viewer: Viewer, order_no: OrderNo, lang: Lang) -> Result<OrderDetail, ApiError> {
    let order = order(state, viewer, order_no, lang).await?;
    let timeline = journal::timeline(&state.db, order_no).await?;
    Ok(OrderDetail { order, timeline: timeline.into_iter().map(Into::into).collect() })
}

/// Several orders of one buyer, in the order of their numbers given.
///
/// # Errors
/// As [`order`].
pub async fn several(
    state: &AppState,
    buyer: BuyerId,
    order_nos: &[OrderNo],
    lang: Lang,
) -> Result<Vec<OrderJson>, ApiError> {
    let mut found = Vec::with_capacity(order_nos.len());
    for order_no in order_nos {
        found.push(order(state, Viewer::Buyer(buyer), *order_no, lang).await?);
    }
    Ok(found)
}

/// A buyer's orders, newest first, those just accepted among them.
///
/// # Errors
/// [`StoreError`].
pub async fn list(
    state: &AppState,
    buyer: BuyerId,
    page: PageQuery,
    status: Option<OrderStatus>,
    lang: Lang,
) -> Result<PageOf<OrderJson>, StoreError> {
    let shows_accepted = matches!(status, None | Some(OrderStatus::Processing));
    let accepted = if shows_accepted { accepted(state, buyer).await? } else { Vec::new() };
    let count = accepted.len() as u64;
    let cards = cards(state, &accepted).await?;
    let on_page = accepted.into_iter().skip(usize::try_from(page.offset()).unwrap_or(usize::MAX));
    let on_page: Vec<Ticket> = on_page.take(usize::try_from(page.page_size).unwrap_or(usize::MAX)).collect();
    let limit = page.page_size - on_page.len() as u64;
    let slice = Slice { offset: page.offset().saturating_sub(count), limit };
    let (rows, rows_total) = orders::list_of_buyer(&state.db, buyer, slice, status).await?;
    // Written since its ticket was read: shown once, as what it is now.
    let (written, owed): (Vec<Ticket>, Vec<Ticket>) =
        on_page.into_iter().partition(|ticket| rows.iter().any(|row| row.order_no == ticket.claim.order_no));
    let mut list: Vec<OrderJson> = owed
        .into_iter()
        .map(|ticket| {
            let card = cards.get(&ticket.claim.product).cloned();
            OrderJson::from_ticket(ticket, card, lang)
        })
        .collect();
    list.extend(rows.into_iter().map(|view| OrderJson::from_view(view, lang)));
    Ok(page.of(list, rows_total + count - written.len() as u64))
}

/// Tickets of the buyer that have no row, newest first.
async fn accepted(state: &AppState, buyer: BuyerId) -> Result<Vec<Ticket>, StoreError> {
    let tickets = state.shop.ledger.tickets_of(buyer).await?;
    if tickets.is_empty() {
        return Ok(tickets);
    }
    let order_nos: Vec<OrderNo> = tickets.iter().map(|ticket| ticket.claim.order_no).collect();
    let written = orders::existing(&state.db, &order_nos).await?;
    Ok(tickets.into_iter().filter(|ticket| !written.contains(&ticket.claim.order_no)).collect())
}

async fn cards(state: &AppState, tickets: &[Ticket]) -> Result<HashMap<ProductId, ProductCard>, StoreError> {
    if tickets.is_empty() {
        return Ok(HashMap::new());
    }
    let products: Vec<ProductId> = tickets.iter().map(|ticket| ticket.claim.product).collect();
    Ok(products::cards(&state.db, &products).await?.into_iter().map(|card| (card.id, card)).collect())
}
