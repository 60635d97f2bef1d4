//! What a gateway says of our money, as the inbox keeps it until the order has heard of it. No personal data.

use serde::{Deserialize, Serialize};

use super::RefundState;
use crate::domain::money::Money;

/// A fact about one payment or refund of one order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum GatewayFact {
    /// Money came.
    Paid {
        /// Through which attempt.
        attempt: u16,
        /// What was asked for, before coupons.
        amount: Money,
        /// The gateway's own number.
        transaction_id: String,
    },
    /// Money may have come, but not as the order asked for it: a person must look.
    PaidStrangely {
        /// Through which attempt.
        attempt: u16,
        /// What does not agree.
        what: String,
    },
    /// Something became of a refund.
    Refund {
        /// Its number in the order.
        refund: u16,
        /// What.
        state: RefundState,
        /// The gateway's own number; empty if it said none.
        gateway_no: String,
    },
}
