//! The writer of new orders: one transaction for many groups of tickets.

use super::db::Db;
use super::error::StoreError;
use crate::domain::order::FailReason;
use crate::domain::stock::{ClaimRejection, Ticket};
use crate::domain::{OrderNo, ProductId};

/// Tickets that become orders together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderGroup {
    /// At least one. Owed tickets should come one a group: a group is unplaceable as a whole.
    pub tickets: Vec<Ticket>,
    /// All or nothing (checkout); otherwise a ticket without units becomes a failed order.
    pub atomic: bool,
    /// Cart lines to remove in the same commit.
    pub clears_cart_of: Option<ClearedCart>,
}

/// Lines of a cart that became orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClearedCart {
    /// `cart_items.owner`.
    pub owner: String,
    /// The products whose lines go.
    pub products: Vec<ProductId>,
}

/// What holds for new orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaceTerms {
    /// An order is to be paid within this time from the commit, in milliseconds.
    pub pay_deadline_ms: i64,
}

/// What became of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupOutcome {
    /// Every ticket has its order now (or had it before: a duplicate is harmless).
    Placed {
        /// Orders that have their units.
        placed: Vec<OrderNo>,
        /// Orders written as failed: the database had no unit. Their tickets are released by an effect.
        failed: Vec<OrderNo>,
    },
    /// Atomic, and a unit was missing: nothing was written.
    Refused(ClaimRejection),
    /// Cannot become an order however often it is tried: nothing was written.
    Unplaceable(UnplaceableReason),
}

/// Why a group can never be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnplaceableReason {
    /// The product is not in the database.
    #[error("product {0} does not exist")]
    UnknownProduct(ProductId),
}

/// Writes the orders of all groups, in one transaction; outcomes in the order of `groups`.
///
/// # Errors
/// [`StoreError`]; nothing is written then, or all of it if the commit's answer was lost: repeat it.
pub async fn place(
    _db: &Db,
    _groups: &[OrderGroup],
    _terms: PlaceTerms,
    _now_ms: i64,
) -> Result<Vec<GroupOutcome>, StoreError> {
    unimplemented!()
}

/// Writes failed orders for tickets that could not be placed after all attempts (dead letters), with the effects that
/// release their units; tickets that have an order already are left alone.
///
/// # Errors
/// [`StoreError`].
pub async fn place_failed(
    _db: &Db,
    _tickets: &[Ticket],
    _reason: FailReason,
    _terms: PlaceTerms,
    _now_ms: i64,
) -> Result<(), StoreError> {
    unimplemented!()
}
