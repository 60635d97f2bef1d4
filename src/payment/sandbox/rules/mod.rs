//! What a gateway allows and when: trades, refunds and the limits on both, without I/O, clock or wire.
//!
//! Every function takes what is stored and a request, and returns what is to be stored or a closed reason why not. The
//! three wires translate those reasons into their own error codes; the rules know none of them.

mod refunds;
mod terms;
mod trades;

pub use refunds::{NewRefund, Refund, RefundRefusal, RefundStatus, Refunded, planned, refund, retry_abnormal, settle};
pub use terms::Terms;
pub use trades::{
    NewTrade, PayRefusal, Payment, Provider, Trade, TradeKind, TradeRefusal, TradeState, Wire, before_close, close,
    create, enter, fail, pay, scan,
};

#[cfg(test)]
mod tests;
