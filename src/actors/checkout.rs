//! An ordinary order or a checkout: some lines, all or nothing.
//!
//! | step | undo | time limit |
//! |---|---|---|
//! | reserve each line's units, products in ascending order (`Prepared` tickets) | release them | `orders.prepared_expires_ms`, then the sweep does |
//! | write all orders and empty the cart lines, one transaction | none needed: it is all or nothing | the asker's |
//!
//! A crash before the second step leaves prepared tickets without orders, which the sweep gives back; after it, tickets
//! with orders, which the sweep settles. The order numbers come from the caller, so a retry repeats them.

use std::sync::Arc;
use std::time::Duration;

use super::inventory::{InventoryActor, ReserveRefusal, ReserveUnits};
use super::kit::{AskError, Directory};
use super::order_writer::{OrderWriterActor, THE_WRITER, WriteError, WriteOrders};
use crate::domain::stock::{Claim, ClaimRejection, OrderDetails, Ticket, TicketKind};
use crate::domain::{BuyerId, Money, OrderNo, Pool, ProductId, Quantity};
use crate::failpoint;
use crate::persistence::ledger::{StockLedger, TicketRef};
use crate::persistence::placing::{ClearedCart, GroupOutcome, OrderGroup};
use crate::persistence::{Db, StoreError, orders};

/// One line: becomes one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderLine {
    /// Number of the order, made before the call.
    pub order_no: OrderNo,
    /// What.
    pub product: ProductId,
    /// How many units.
    pub quantity: Quantity,
}

/// Lines that are ordered together.
#[derive(Clone, Debug)]
pub struct OrderRequest {
    /// Who orders.
    pub buyer: BuyerId,
    /// 1 to `orders.cart_lines_max` lines.
    pub lines: Vec<OrderLine>,
    /// Address and remark of every order.
    pub details: OrderDetails,
    /// The cart that the lines come from and leave with the order.
    pub cart_owner: Option<String>,
}

/// Why nothing was ordered.
#[derive(Debug, thiserror::Error)]
pub enum OrderRejection {
    /// A line's units cannot be had; the others were given back.
    #[error("product {product}: {refusal}")]
    Line {
        /// Which product.
        product: ProductId,
        /// Why.
        refusal: ReserveRefusal,
    },
    /// The lines are not in the cart any more.
    #[error("the cart's lines are ordered or taken out")]
    CartGone,
    /// Not now; nothing was taken.
    #[error(transparent)]
    NotNow(#[from] AskError),
    /// Not now; the units were given back, so other order numbers are needed.
    #[error("units were given back")]
    Withdrawn,
    /// Whether the orders exist is to be asked by their numbers.
    #[error("outcome unknown")]
    OutcomeUnknown,
    /// The store failed before anything was ordered.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What ordering needs; clones share it.
#[derive(Clone)]
pub struct Checkout {
    /// Orders.
    pub db: Db,
    /// The gate.
    pub ledger: Arc<dyn StockLedger>,
    /// Inventory actors.
    pub inventory: Directory<InventoryActor>,
    /// The order writer.
    pub writer: Directory<OrderWriterActor>,
    /// Longest wait for one actor.
    pub ask_timeout: Duration,
}

impl Checkout {
    /// Orders all lines or none. Repeating a request with the same order numbers orders nothing twice.
    ///
    /// # Errors
    /// [`OrderRejection`]; units of lines that were reserved are given back.
    pub async fn place_orders(&self, request: &OrderRequest) -> Result<Vec<OrderNo>, OrderRejection> {
        let order_nos: Vec<OrderNo> = request.lines.iter().map(|line| line.order_no).collect();
        if orders::existing(&self.db, &order_nos).await?.len() == order_nos.len() {
            return Ok(order_nos);
        }
        let mut lines = request.lines.clone();
        lines.sort_by_key(|line| line.product); // one order for all, so that two checkouts cannot wait for each other
        let mut tickets = Vec::with_capacity(lines.len());
        for line in &lines {
            failpoint::reach("checkout.reserve");
            match self.reserve(request, line).await {
                Ok(ticket) => tickets.push(ticket),
                Err(rejection) => {
                    self.give_back(&tickets).await;
                    return Err(rejection);
                }
            }
        }
        failpoint::reach("checkout.write");
        self.write(request, tickets).await?;
        Ok(order_nos)
    }

    async fn reserve(&self, request: &OrderRequest, line: &OrderLine) -> Result<Ticket, OrderRejection> {
        let claim = Claim {
            order_no: line.order_no,
            buyer: request.buyer,
            product: line.product,
            pool: Pool::Free,
            quantity: line.quantity,
            unit_price: Money::ZERO, // the inventory actor sets the product's price
            kind: TicketKind::Prepared,
            details: request.details.clone(),
        };
        match self.inventory.ask(&line.product, ReserveUnits { claim }, self.ask_timeout).await? {
            Ok(ticket) => Ok(ticket),
            Err(ReserveRefusal::OutcomeUnknown | ReserveRefusal::NotSafe) => Err(OrderRejection::OutcomeUnknown),
            Err(ReserveRefusal::Rejected(ClaimRejection::Withdrawn)) => Err(OrderRejection::Withdrawn),
            Err(refusal) => Err(OrderRejection::Line { product: line.product, refusal }),
        }
    }

    async fn write(&self, request: &OrderRequest, tickets: Vec<Ticket>) -> Result<(), OrderRejection> {
        let products = request.lines.iter().map(|line| line.product).collect();
        let clears_cart_of = request.cart_owner.clone().map(|owner| ClearedCart { owner, products });
        let groups = vec![OrderGroup { tickets: tickets.clone(), atomic: true, clears_cart_of }];
        let written = self.writer.ask(&THE_WRITER, WriteOrders { groups }, self.ask_timeout).await;
        match written.map(|mut outcomes| outcomes.pop().unwrap_or(Err(WriteError))) {
            Ok(Ok(GroupOutcome::Placed { failed, .. })) if failed.is_empty() => Ok(()),
            Ok(Ok(GroupOutcome::Refused { product, rejection })) => {
                self.give_back(&tickets).await;
                Err(OrderRejection::Line { product, refusal: rejection.into() })
            }
            Ok(Ok(GroupOutcome::CartGone)) => {
                self.give_back(&tickets).await;
                Err(OrderRejection::CartGone)
            }
            // Prepared too long ago, or not writable: the writer gave the units back. A product that is gone is named
            // when its units are asked for again.
            Ok(Ok(_)) => Err(OrderRejection::Withdrawn),
            Ok(Err(_)) | Err(AskError::Died | AskError::TimedOut) => self.find_written(request).await,
            Err(not_now) => {
                self.give_back(&tickets).await;
                Err(not_now.into())
            }
        }
    }

    /// After a lost answer: the orders exist or they do not, and if not the sweep gives the units back.
    async fn find_written(&self, request: &OrderRequest) -> Result<(), OrderRejection> {
        let order_nos: Vec<OrderNo> = request.lines.iter().map(|line| line.order_no).collect();
        let written = orders::existing(&self.db, &order_nos).await.map_err(|_| OrderRejection::OutcomeUnknown)?;
        if written.len() == order_nos.len() { Ok(()) } else { Err(OrderRejection::OutcomeUnknown) }
    }

    async fn give_back(&self, tickets: &[Ticket]) {
        let tickets: Vec<TicketRef> = tickets.iter().map(TicketRef::from).collect();
        if let Err(error) = self.ledger.release(&tickets).await {
            tracing::warn!(tickets = tickets.len(), %error, "prepared units not given back, the sweep will");
        }
    }
}

impl OrderRejection {
    /// The ledger's word, if that is why.
    #[must_use]
    pub const fn claim(&self) -> Option<ClaimRejection> {
        match self {
            Self::Line { refusal: ReserveRefusal::Rejected(rejection), .. } => Some(*rejection),
            _ => None,
        }
    }
}
