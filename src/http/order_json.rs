//! An order as clients see it (api.md "order"), whether its row exists or only its ticket.

use serde::Serialize;
use utoipa::ToSchema;

use super::i18n::{Lang, status_text};
use super::times::Time;
use crate::domain::money::Yuan;
use crate::domain::order::{Event, OrderStatus};
use crate::domain::stock::{AddressSnapshot, Ticket};
use crate::persistence::journal::TimelineEntry;
use crate::persistence::orders::{EndReason, OrderItem, OrderView};
use crate::persistence::products::ProductCard;

/// An order.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderJson {
    /// Positive integer, for old clients; the order number is the identity.
    pub id: i64,
    /// 26 characters.
    pub order_no: String,
    /// Whose.
    pub user_id: i64,
    /// Of what.
    pub product_id: i64,
    /// As it was called when the order was placed.
    pub product_name: String,
    /// As it looked then.
    pub product_image: String,
    /// 1..=999.
    pub quantity: i64,
    /// In yuan.
    #[schema(value_type = f64)]
    pub total_price: Yuan,
    /// 0 processing, 1 unpaid (also while closing), 2 paid, 3 shipped, 4 completed, 5 cancelled, 6 refunding,
    /// 7 refunded, 8 failed.
    pub status: i16,
    /// In the caller's language.
    pub status_text: &'static str,
    /// 1 Alipay, 2 WeChat, 3 card, 9 simulated, 0 none yet.
    pub pay_type: i16,
    /// What was bought.
    pub items: Vec<ItemJson>,
    /// Where to, as it was then; null in a flash sale.
    pub address: Option<AddressJson>,
    /// What the buyer remarked.
    pub remark: String,
    /// Grows with every change.
    pub version: u32,
    /// Until when it can be paid.
    pub pay_deadline: Option<Time>,
    /// When it was accepted.
    pub created_at: Time,
    /// When the money came.
    pub paid_at: Option<Time>,
    /// When it was handed to the carrier.
    pub shipped_at: Option<Time>,
    /// When it was received.
    pub completed_at: Option<Time>,
    /// Empty until shipped.
    pub carrier: String,
    /// Empty until shipped.
    pub tracking_no: String,
    /// Why it ended without the goods: `buyer`, `administrator`, `pay_deadline`, `sold_out`, `poisoned`,
    /// `over_limit`.
    #[schema(value_type = Option<String>)]
    pub end_reason: Option<EndReason>,
    /// Money that went back, in yuan.
    #[schema(value_type = f64)]
    pub refunded: Yuan,
    /// True if an administrator has to look at it.
    pub needs_review: bool,
}

/// One line.
#[derive(Debug, Serialize, ToSchema)]
pub struct ItemJson {
    /// Of what.
    pub product_id: i64,
    /// Name then.
    pub product_name: String,
    /// Picture then.
    pub product_image: String,
    /// Of one unit, in yuan.
    #[schema(value_type = f64)]
    pub price: Yuan,
    /// 1..=999.
    pub quantity: i64,
}

/// Where to.
#[derive(Debug, Serialize, ToSchema)]
pub struct AddressJson {
    /// Who.
    pub receiver: String,
    /// His number.
    pub phone: String,
    /// Province, city, district.
    pub region: String,
    /// Street and house.
    pub detail: String,
}

/// An order with its history.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderDetail {
    /// The order.
    #[serde(flatten)]
    pub order: OrderJson,
    /// What happened, oldest first.
    pub timeline: Vec<TimelineJson>,
}

/// One step of the history.
#[derive(Debug, Serialize, ToSchema)]
pub struct TimelineJson {
    /// 1, 2, …
    pub seq: u32,
    /// E.g. `payment_captured`.
    pub event: &'static str,
    /// When.
    pub at: Time,
    /// Everything about it.
    #[schema(value_type = Object)]
    pub detail: Event,
}

/// The status that old clients know: closing looks unpaid to them.
#[must_use]
pub const fn shown_status(status: OrderStatus) -> i16 {
    match status {
        OrderStatus::Closing => OrderStatus::PendingPayment.code(),
        other => other.code(),
    }
}

fn address(snapshot: Option<AddressSnapshot>) -> Option<AddressJson> {
    snapshot.map(|AddressSnapshot { receiver, phone, region, detail }| AddressJson { receiver, phone, region, detail })
}

fn item(line: OrderItem) -> ItemJson {
    ItemJson {
        product_id: line.product.0,
        product_name: line.name,
        product_image: line.image_url,
        price: Yuan(line.unit_price),
        quantity: line.quantity.units(),
    }
}

impl OrderJson {
    /// From the row.
    #[must_use]
    pub fn from_view(view: OrderView, lang: Lang) -> Self {
        let items: Vec<ItemJson> = view.items.into_iter().map(item).collect();
        let (name, image) =
            items.first().map(|item| (item.product_name.clone(), item.product_image.clone())).unwrap_or_default();
        Self {
            id: view.order_no.id(),
            order_no: view.order_no.to_string(),
            user_id: view.buyer.0,
            product_id: view.product.0,
            product_name: name,
            product_image: image,
            quantity: view.quantity.units(),
            total_price: Yuan(view.total),
            status: shown_status(view.status),
            status_text: status_text(view.status, lang),
            pay_type: view.pay_channel.map_or(0, |channel| channel.code()),
            items,
            address: address(view.details.address),
            remark: view.details.remark,
            version: view.version,
            pay_deadline: Some(Time(view.pay_deadline_ms)),
            created_at: Time(view.created_at_ms),
            paid_at: view.paid_at_ms.map(Time),
            shipped_at: view.shipped_at_ms.map(Time),
            completed_at: view.completed_at_ms.map(Time),
            carrier: view.carrier,
            tracking_no: view.tracking_no,
            end_reason: view.end_reason,
            refunded: Yuan(view.refunded),
            needs_review: view.review.is_some(),
        }
    }

    /// From a ticket whose order is not written yet.
    #[must_use]
    pub fn from_ticket(ticket: Ticket, card: Option<ProductCard>, lang: Lang) -> Self {
        let total = ticket.total();
        let claim = ticket.claim;
        let (name, image) = card.map(|card| (card.name, card.image_url)).unwrap_or_default();
        let line = ItemJson {
            product_id: claim.product.0,
            product_name: name.clone(),
            product_image: image.clone(),
            price: Yuan(claim.unit_price),
            quantity: claim.quantity.units(),
        };
        Self {
            id: claim.order_no.id(),
            order_no: claim.order_no.to_string(),
            user_id: claim.buyer.0,
            product_id: claim.product.0,
            product_name: name,
            product_image: image,
            quantity: claim.quantity.units(),
            total_price: Yuan(total),
            status: OrderStatus::Processing.code(),
            status_text: status_text(OrderStatus::Processing, lang),
            pay_type: 0,
            items: vec![line],
            address: address(claim.details.address),
            remark: claim.details.remark,
            version: 0,
            pay_deadline: None,
            created_at: Time(ticket.accepted_at_ms),
            paid_at: None,
            shipped_at: None,
            completed_at: None,
            carrier: String::new(),
            tracking_no: String::new(),
            end_reason: None,
            refunded: Yuan::default(),
            needs_review: false,
        }
    }
}

impl From<TimelineEntry> for TimelineJson {
    fn from(entry: TimelineEntry) -> Self {
        Self { seq: entry.seq, event: entry.event.kind(), at: Time(entry.at_ms), detail: entry.event }
    }
}
