//! What a session actor is asked, and what it answers.

use std::time::Instant;

use actix::prelude::*;
use tokio::sync::mpsc;

use crate::actors::kit::AskError;
use crate::actors::token_bucket::Standing;
use crate::domain::stock::{ClaimRejection, Ticket};
use crate::domain::user::Role;
use crate::domain::{BuyerId, OrderNo, ProductId, Quantity};
use crate::persistence::outbox::FeedEvent;

/// Who is asking, with what right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user.
    pub buyer: BuyerId,
    /// His name, for logs and the audit log.
    pub username: String,
    /// Buyer or administrator, from the database.
    pub role: Role,
    /// The sign-in that the token belongs to.
    pub sid: String,
}

/// Is the sign-in `sid` of this user still good?
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Caller, SessionRejection>")]
pub struct Authorize {
    /// From the token.
    pub sid: String,
}

/// Buys in the product's current sale.
#[derive(Clone, Debug, Message)]
#[rtype(result = "BuyAnswer")]
pub struct BuyInSale {
    /// What.
    pub product: ProductId,
    /// How many units.
    pub quantity: Quantity,
    /// Number of the order, made before the call so that a retry repeats it.
    pub order_no: OrderNo,
    /// Since when the buyer waits: who waited too long is refused before any work.
    pub since: Instant,
}

/// What became of a click, and how many more the user has.
#[derive(Clone, Debug)]
pub struct BuyAnswer {
    /// Of the claim.
    pub outcome: Result<Ticket, BuyRejection>,
    /// The user's bucket.
    pub clicks: Standing,
}

/// A WebSocket of this user is open; answers false if he has too many.
#[derive(Clone, Debug, Message)]
#[rtype(result = "bool")]
pub struct OpenSocket {
    /// Different for every socket of the process.
    pub socket: u64,
    /// The sign-in it belongs to; revoked with it.
    pub sid: String,
    /// Where to push; full = too slow, and dropped.
    pub sender: mpsc::Sender<SocketSignal>,
}

/// A WebSocket of this user is gone.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct CloseSocket {
    /// As opened.
    pub socket: u64,
}

/// Events of this user's orders, in commit order.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct PushEvents {
    /// Sequence of the commit.
    pub commit_no: i64,
    /// What happened in it.
    pub events: Vec<FeedEvent>,
}

/// Too many clicks over all nodes: nothing more is let in for a while.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct CloseBucket {
    /// For so long.
    pub for_ms: i64,
}

/// An administrator closes the user's sockets on this node; clients resume at once. Answers how many there were.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "usize")]
pub struct DropSockets;

/// Sign-ins, role or status changed: read them again and drop the sockets of revoked ones.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct SessionsChanged;

/// What a WebSocket is told.
#[derive(Clone, Debug)]
pub enum SocketSignal {
    /// An order of the user moved.
    Event {
        /// Sequence of the commit.
        commit_no: i64,
        /// What happened.
        event: FeedEvent,
        /// Of the push.
        span: tracing::Span,
    },
    /// The sign-in is gone: close.
    Revoked,
}

/// Why a token does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionRejection {
    /// Signed out, or signed out elsewhere by password change.
    #[error("signed out")]
    Revoked,
    /// The account is switched off.
    #[error("account disabled")]
    Disabled,
}

/// Why a purchase in a sale was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuyRejection {
    /// More clicks than the user's bucket holds.
    #[error("too frequent")]
    TooFrequent {
        /// When the next click is let in.
        retry_after_ms: u64,
    },
    /// The ledger, or the flag it set, said no.
    #[error(transparent)]
    Claim(#[from] ClaimRejection),
    /// The product is not on the shelf.
    #[error("product is off the shelf")]
    OffShelf,
    /// There is no such product.
    #[error("no such product")]
    NoProduct,
    /// Price times quantity is beyond what the shop handles.
    #[error("total amount is too large")]
    TotalTooLarge,
    /// Not now; nothing was taken.
    #[error(transparent)]
    NotNow(#[from] AskError),
    /// The answer was lost and no ticket was found; the order number tells later.
    #[error("outcome of {order_no} unknown")]
    OutcomeUnknown {
        /// The number under which it would exist.
        order_no: OrderNo,
    },
}

impl BuyRejection {
    /// As figures name it.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::TooFrequent { .. } => "too_frequent",
            Self::Claim(rejection) => rejection.label(),
            Self::OffShelf => "off_shelf",
            Self::NoProduct => "no_product",
            Self::TotalTooLarge => "total_too_large",
            Self::NotNow(_) => "busy",
            Self::OutcomeUnknown { .. } => "unknown",
        }
    }
}
