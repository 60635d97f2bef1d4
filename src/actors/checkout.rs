//! An ordinary order or a checkout: some lines, all or nothing.
//!
//! | step | undo | time limit |
//! |---|---|---|
//! | 1. set the cart's lines aside (where carts are not in the database) | put them back | 1.5 * `orders.prepared_expires_ms`, then whoever looks at the cart or the sweep does |
//! | 2. reserve each line's units, products in ascending order (`Prepared` tickets) | release them | `orders.prepared_expires_ms`, then the sweep does |
//! | 3. write all orders, one transaction; carts in the database lose their lines in it | none needed: it is all or nothing | the asker's; not begun later than half of `orders.prepared_expires_ms` after step 1 |
//! | 4. forget the lines that were set aside | none needed | as 1: the orders are found |
//!
//! | repeated with the same order numbers | |
//! |---|---|
//! | 1 | finds its own record; a second click finds no lines (R1) |
//! | 2 | is answered with the same tickets, or that they were given back |
//! | 3 | finds its orders |
//! | 4 | finds nothing to forget |
//!
//! A crash before step 3 leaves lines aside and prepared tickets without orders: both go back. After it there are orders:
//! tickets are settled, lines forgotten. The order numbers come from the caller, so a retry repeats them.

use std::sync::Arc;
use std::time::Duration;

use super::inventory::{InventoryActor, ReserveRefusal, ReserveUnits};
use super::kit::{AskError, Directory};
use super::order_writer::{OrderWriterActor, THE_WRITER, WriteError, WriteOrders};
use crate::clock::Clock;
use crate::domain::stock::{Claim, ClaimRejection, OrderDetails, Ticket, TicketKind};
use crate::domain::{BuyerId, Money, OrderNo, Pool, ProductId};
use crate::failpoint;
use crate::persistence::carts::{CartOwner, Ending, Taken, Taking};
use crate::persistence::ledger::{StockLedger, TicketRef};
use crate::persistence::placing::{GroupOutcome, OrderGroup};
use crate::persistence::{CartStore, Db, StoreError, orders};

pub use crate::domain::stock::OrderLine;

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
    pub cart_owner: Option<CartOwner>,
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
    /// Carts.
    pub carts: Arc<dyn CartStore>,
    /// Inventory actors.
    pub inventory: Directory<InventoryActor>,
    /// The order writer.
    pub writer: Directory<OrderWriterActor>,
    /// Time.
    pub clock: Clock,
    /// Age at which prepared tickets are given back.
    pub prepared_expires_ms: i64,
    /// Longest wait for one actor.
    pub ask_timeout: Duration,
}

impl Checkout {
    /// Orders all lines or none. Repeating a request with the same order numbers orders nothing twice.
    ///
    /// # Errors
    /// [`OrderRejection`]; units of lines that were reserved are given back, and so are lines of the cart.
    pub async fn place_orders(&self, request: &OrderRequest) -> Result<Vec<OrderNo>, OrderRejection> {
        let order_nos: Vec<OrderNo> = request.lines.iter().map(|line| line.order_no).collect();
        if orders::existing(&self.db, &order_nos).await?.len() == order_nos.len() {
            return Ok(order_nos);
        }
        let taken = self.take_from_cart(request).await?;
        let outcome = match self.reserve_all(request).await {
            Ok(tickets) => self.write(request, tickets, &taken).await,
            Err(rejection) => Err(rejection),
        };
        self.conclude(&taken, &outcome).await;
        outcome.map(|()| order_nos)
    }

    /// How the lines leave their cart; `None` without a cart.
    async fn take_from_cart(&self, request: &OrderRequest) -> Result<Option<Taken>, OrderRejection> {
        let Some(owner) = &request.cart_owner else { return Ok(None) };
        failpoint::reach("checkout.take.before");
        let taken = self.carts.take(owner, &request.lines, self.clock.now_ms()).await?;
        failpoint::reach("checkout.take.after");
        if taken == Taken::Gone { Err(OrderRejection::CartGone) } else { Ok(Some(taken)) }
    }

    /// Lines that were set aside are forgotten or go back; with an unknown outcome they stay until it is known.
    async fn conclude(&self, taken: &Option<Taken>, outcome: &Result<(), OrderRejection>) {
        failpoint::reach("checkout.conclude.before");
        let ending = match outcome {
            Ok(()) => Ending::Placed,
            Err(OrderRejection::OutcomeUnknown) => return,
            Err(_) => Ending::Refused,
        };
        if let Some(Taken::Aside(taking)) = taken
            && let Err(error) = self.carts.conclude(taking, ending, self.clock.now_ms()).await
        {
            tracing::warn!(checkout = %taking.checkout, %error, "checkout not concluded, whoever looks at the cart will");
        }
        failpoint::reach("checkout.conclude.after");
    }

    async fn reserve_all(&self, request: &OrderRequest) -> Result<Vec<Ticket>, OrderRejection> {
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
        Ok(tickets)
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
            Err(ReserveRefusal::Overloaded { retry_after_ms }) => Err(AskError::Busy { retry_after_ms }.into()),
            Err(refusal) => Err(OrderRejection::Line { product: line.product, refusal }),
        }
    }

    async fn write(
        &self,
        request: &OrderRequest,
        tickets: Vec<Ticket>,
        taken: &Option<Taken>,
    ) -> Result<(), OrderRejection> {
        failpoint::reach("checkout.write");
        let clears_cart_of = match taken {
            Some(Taken::Aside(taking)) if self.is_late(taking) => {
                self.give_back(&tickets).await;
                return Err(OrderRejection::Withdrawn);
            }
            Some(Taken::WithTheOrders(cleared)) => Some(cleared.clone()),
            _ => None,
        };
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
            // Prepared too long ago, or not writable: the writer gave the units back, unless an earlier try has written
            // the orders. A product that is gone is named when its units are asked for again.
            Ok(Ok(_)) => {
                if self.is_written(request).await? {
                    Ok(())
                } else {
                    Err(OrderRejection::Withdrawn)
                }
            }
            Ok(Err(_)) | Err(AskError::Died | AskError::TimedOut) => self.find_written(request).await,
            Err(not_now) => {
                self.give_back(&tickets).await;
                Err(not_now.into())
            }
        }
    }

    /// True once the lines may soon be put back by others: too late to make orders of them.
    fn is_late(&self, taking: &Taking) -> bool {
        self.clock.now_ms() - taking.taken_at_ms > self.prepared_expires_ms / 2
    }

    /// After a lost answer: the orders exist or they do not, and if not the sweep gives the units back.
    async fn find_written(&self, request: &OrderRequest) -> Result<(), OrderRejection> {
        if self.is_written(request).await? { Ok(()) } else { Err(OrderRejection::OutcomeUnknown) }
    }

    async fn is_written(&self, request: &OrderRequest) -> Result<bool, OrderRejection> {
        let order_nos: Vec<OrderNo> = request.lines.iter().map(|line| line.order_no).collect();
        let written = orders::existing(&self.db, &order_nos).await.map_err(|_| OrderRejection::OutcomeUnknown)?;
        Ok(written.len() == order_nos.len())
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
