//! What an inventory actor is asked, and what it answers.

use std::time::Instant;

use actix::prelude::*;

use crate::domain::sale::SaleTerms;
use crate::domain::stock::{Claim, ClaimRejection, Ticket};
use crate::domain::{BuyerId, OrderNo, Quantity};
use crate::persistence::StoreError;
use crate::persistence::stock_moves::{MoveDone, MoveRefusal, StockPlan};

/// Claims `claim.quantity` units from `claim.pool`.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Ticket, ReserveRefusal>")]
pub struct ReserveUnits {
    /// The claim; its `product` is the actor's.
    pub claim: Claim,
}

/// Claims units from the product's current sale: the open one, else the next, else the last.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Ticket, ReserveRefusal>")]
pub struct ReserveInSale {
    /// Number of the ticket and of the order.
    pub order_no: OrderNo,
    /// Who claims.
    pub buyer: BuyerId,
    /// How many units.
    pub quantity: Quantity,
    /// Since when the buyer waits: who waited too long is refused before any work.
    pub since: Instant,
}

/// Moves units in, out or between pools, durably; at most one repetition of the same `move_id` takes effect.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<MoveDone, MoveStockError>")]
pub struct MoveStock {
    /// Identity of the move.
    pub move_id: String,
    /// What to move.
    pub plan: StockPlan,
}

/// Terms, price or units changed elsewhere: forget the flags and read them again.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct RefreshInventory;

/// Why a claim was not answered with a ticket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReserveRefusal {
    /// The ledger said no.
    #[error(transparent)]
    Rejected(#[from] ClaimRejection),
    /// There is no such product.
    #[error("no such product")]
    NoProduct,
    /// The product is not on the shelf.
    #[error("product is off the shelf")]
    OffShelf,
    /// Price times quantity is beyond what the shop handles.
    #[error("total amount is too large")]
    TotalTooLarge,
    /// The ledger's answer was lost or it failed: whether units were taken is to be asked by ticket.
    #[error("outcome unknown")]
    OutcomeUnknown,
    /// Units were taken, but neither the queue nor the database would have the ticket yet: the sweep brings it.
    #[error("units taken, order not safe yet")]
    NotSafe,
    /// Claims wait for too long already: nothing was taken, and the ledger was not asked.
    #[error("claims wait for too long, try again in {retry_after_ms} ms")]
    Overloaded {
        /// When it may be better.
        retry_after_ms: u64,
    },
}

/// Why units were not moved.
#[derive(Debug, thiserror::Error)]
pub enum MoveStockError {
    /// Not possible.
    #[error(transparent)]
    Refused(#[from] MoveRefusal),
    /// The store failed; the sweep resumes the move if it was recorded.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How is the product's current sale?
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Option<SaleSight>")]
pub struct LookAtSale;

/// The open sale of a product, else the next to open, else the last that ended; as last heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaleSight {
    /// Which, and when it is open.
    pub terms: SaleTerms,
    /// Nothing is left of it.
    pub is_sold_out: bool,
}
