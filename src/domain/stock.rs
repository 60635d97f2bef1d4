//! Claims on units: which pool they come from, who may have how many, and in which order the reasons are judged.
//!
//! A product's units lie in its free pool and in one pool per sale. Every ledger (SQL today, Redis Lua in a cluster)
//! judges a claim by [`judge`]'s rules and in its order: own marker, cancel marker, window, buyer's limit, stock.
//! The repeat check comes before the stock, so the retry of a successful claim is recognised when stock is 0.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ids::{BuyerId, OrderNo, ProductId, SaleId};
use super::money::Money;
use super::sale::{SalePhase, SaleTerms};

/// Most units in one order line.
pub const QUANTITY_MAX: i64 = 999;
/// Most units a pool can be given.
pub const POOL_UNITS_MAX: i64 = 100_000_000;

/// Units of one order line, 1..=[`QUANTITY_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Quantity(i64);

/// Not a whole number in 1..=[`QUANTITY_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("quantity must be 1 to {QUANTITY_MAX}")]
pub struct QuantityError;

impl Quantity {
    /// One unit.
    pub const ONE: Self = Self(1);

    /// The number of units.
    #[must_use]
    pub const fn units(self) -> i64 {
        self.0
    }
}

impl TryFrom<i64> for Quantity {
    type Error = QuantityError;

    fn try_from(units: i64) -> Result<Self, QuantityError> {
        if (1..=QUANTITY_MAX).contains(&units) { Ok(Self(units)) } else { Err(QuantityError) }
    }
}

impl From<Quantity> for i64 {
    fn from(quantity: Quantity) -> Self {
        quantity.0
    }
}

/// One line of an order or a checkout: becomes one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderLine {
    /// Number of the order, made before anything else is done.
    pub order_no: OrderNo,
    /// What.
    pub product: ProductId,
    /// How many units.
    pub quantity: Quantity,
}

/// Where units lie. Stored as an integer: 0 is the free pool, a sale's pool has the sale's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "i64", into = "i64")]
pub enum Pool {
    /// Ordinary orders are served from here.
    Free,
    /// Set aside for a sale.
    Sale(SaleId),
}

impl From<i64> for Pool {
    fn from(id: i64) -> Self {
        if id == 0 { Self::Free } else { Self::Sale(SaleId(id)) }
    }
}

impl From<Pool> for i64 {
    fn from(pool: Pool) -> Self {
        match pool {
            Pool::Free => 0,
            Pool::Sale(sale) => sale.0,
        }
    }
}

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Free => f.write_str("free"),
            Self::Sale(sale) => write!(f, "sale {sale}"),
        }
    }
}

/// What becomes of a ticket that nobody settles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TicketKind {
    /// An order is owed: any node publishes it again until the order exists (flash sale).
    Owed,
    /// Part of an order or checkout that commits all or nothing: given back unless the order exists.
    Prepared,
}

/// A buyer's wish for units of one product, under the number that the order will have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Number of the ticket and of the order; made before the claim is sent, so that a retry repeats it.
    pub order_no: OrderNo,
    /// Who claims.
    pub buyer: BuyerId,
    /// Of which product.
    pub product: ProductId,
    /// From which pool.
    pub pool: Pool,
    /// How many units.
    pub quantity: Quantity,
    /// The product's price for the free pool; a sale's price comes from its terms instead.
    pub unit_price: Money,
    /// Owed or prepared.
    pub kind: TicketKind,
    /// Where to and with which remark; empty in a flash sale.
    pub details: OrderDetails,
}

/// What the buyer said about delivery, kept with the order as it was then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderDetails {
    /// Receiver, phone and address in one line each, as they were when the order was placed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<AddressSnapshot>,
    /// Up to 200 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub remark: String,
}

/// A delivery address at the moment of the order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressSnapshot {
    /// Who receives.
    pub receiver: String,
    /// Phone of the receiver.
    pub phone: String,
    /// Province, city, district.
    pub region: String,
    /// Street and number.
    pub detail: String,
}

/// An accepted claim: units taken and an order owed (the ledger's record of it is the outbox).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The claim as accepted, with the price that holds.
    pub claim: Claim,
    /// When it was accepted, in milliseconds since 1970.
    pub accepted_at_ms: i64,
    /// Epoch of the ledger's account that accepted it, or of a later one that has it: who places its order asks whether
    /// an account was lost since. 0 of a ledger that loses none, and where nobody is going to ask.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub epoch: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_zero(epoch: &i64) -> bool {
    *epoch == 0
}

impl Ticket {
    /// What the buyer owes.
    #[must_use]
    pub fn total(&self) -> Money {
        self.claim.unit_price.times(self.claim.quantity.units()).unwrap_or(Money::from_fen(super::money::FEN_MAX))
    }
}

/// Why units were not given. An answer, not a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimRejection {
    /// No such product, or no such sale of it.
    #[error("no such pool")]
    PoolNotFound,
    /// The sale opens later.
    #[error("sale not started")]
    NotStarted {
        /// When it opens, in milliseconds since 1970.
        opens_at_ms: i64,
    },
    /// The sale is over.
    #[error("sale ended")]
    Ended,
    /// The buyer has his units already.
    #[error("already bought as {order_no}")]
    AlreadyBought {
        /// His latest order in this sale.
        order_no: OrderNo,
    },
    /// More units than one buyer may have.
    #[error("limit of {units_per_buyer_max} units a buyer")]
    OverLimit {
        /// The limit of the sale.
        units_per_buyer_max: i64,
    },
    /// No unit is left.
    #[error("sold out")]
    SoldOut,
    /// Some units are left, but fewer than claimed.
    #[error("only {units_left} left")]
    StockShort {
        /// What is left, at least 1.
        units_left: i64,
    },
    /// This ticket was given back before (a late retry of a withdrawn claim).
    #[error("ticket was withdrawn")]
    Withdrawn,
}

impl ClaimRejection {
    /// As figures name it.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::PoolNotFound => "no_sale",
            Self::NotStarted { .. } => "not_started",
            Self::Ended => "ended",
            Self::AlreadyBought { .. } => "already_bought",
            Self::OverLimit { .. } => "over_limit",
            Self::SoldOut => "sold_out",
            Self::StockShort { .. } => "stock_short",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// What the ledger already knows about a ticket number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    /// Nothing.
    None,
    /// The units were taken under this number.
    Taken,
    /// They were given back, perhaps before they were ever taken.
    Returned,
}

/// One buyer's account in one pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuyerUnits {
    /// Units held or bought.
    pub units: i64,
    /// The order of the latest of them.
    pub latest: OrderNo,
}

/// The verdict on a claim that is not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Take the units now.
    Take,
    /// They were taken by an earlier delivery of the same claim.
    AlreadyTaken,
}

/// Judges one claim against the state that the ledger read in the same atomic step.
///
/// `terms` is `None` for the free pool. `units_free` and `buyer` include what earlier claims of the same batch took.
///
/// # Errors
/// The first [`ClaimRejection`] that applies, in the order of races.md rule 4.
pub fn judge(
    claim: &Claim,
    marker: Marker,
    terms: Option<&SaleTerms>,
    buyer: Option<BuyerUnits>,
    units_free: i64,
    now_ms: i64,
) -> Result<Verdict, ClaimRejection> {
    match marker {
        Marker::Taken => return Ok(Verdict::AlreadyTaken),
        Marker::Returned => return Err(ClaimRejection::Withdrawn),
        Marker::None => {}
    }
    if let Some(terms) = terms {
        judge_terms(claim, terms, buyer, now_ms)?;
    }
    if units_free <= 0 {
        return Err(ClaimRejection::SoldOut);
    }
    if units_free < claim.quantity.units() {
        return Err(ClaimRejection::StockShort { units_left: units_free });
    }
    Ok(Verdict::Take)
}

fn judge_terms(claim: &Claim, terms: &SaleTerms, buyer: Option<BuyerUnits>, now_ms: i64) -> Result<(), ClaimRejection> {
    match terms.phase(now_ms) {
        SalePhase::NotStarted => {
            return Err(ClaimRejection::NotStarted { opens_at_ms: terms.window.opens_at_ms });
        }
        SalePhase::Ended => return Err(ClaimRejection::Ended),
        SalePhase::Open => {}
    }
    let units_per_buyer_max = terms.units_per_buyer_max;
    if let Some(had) = buyer.filter(|b| b.units >= units_per_buyer_max) {
        return Err(ClaimRejection::AlreadyBought { order_no: had.latest });
    }
    if buyer.map_or(0, |b| b.units) + claim.quantity.units() > units_per_buyer_max {
        return Err(ClaimRejection::OverLimit { units_per_buyer_max });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
