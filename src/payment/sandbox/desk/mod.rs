//! The business steps: each reads, decides by the rules and writes, with the notification it owes, in one commit.

mod paying;
mod refunding;
mod trading;

pub use paying::PayOrder;
pub use trading::TradeRef;

use sea_orm::DbErr;

use super::ledger::LedgerError;

/// A step was not done.
#[derive(Debug)]
pub enum Declined<R> {
    /// The rules say no.
    Refused(R),
    /// The books failed; whether it was done is unknown.
    Failed(LedgerError),
}

impl<R> Declined<R> {
    /// The same with another reason.
    pub fn map<S>(self, to: impl FnOnce(R) -> S) -> Declined<S> {
        match self {
            Self::Refused(reason) => Declined::Refused(to(reason)),
            Self::Failed(error) => Declined::Failed(error),
        }
    }
}

impl<R> From<LedgerError> for Declined<R> {
    fn from(error: LedgerError) -> Self {
        Self::Failed(error)
    }
}

impl<R> From<DbErr> for Declined<R> {
    fn from(error: DbErr) -> Self {
        Self::Failed(error.into())
    }
}
