//! Creating, finding and closing trades.

use super::Declined;
use crate::payment::sandbox::ledger::{LedgerError, TradeKey, add_code, put_trade, trade, trade_by_transaction};
use crate::payment::sandbox::numbers;
use crate::payment::sandbox::rules::{self, NewTrade, Provider, Trade, TradeRefusal};
use crate::payment::sandbox::state::Sandbox;

/// Names a trade by one of its two numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TradeRef {
    /// By the merchant's.
    Ours(TradeKey),
    /// By the provider's, if it is the merchant's trade.
    Theirs {
        /// In whose ledger.
        provider: Provider,
        /// Whose trade it must be.
        merchant: String,
        /// The provider's number.
        transaction_id: String,
    },
}

impl Sandbox {
    /// Creates a trade, or finds the one that is repeated; with a fresh code to scan.
    pub(in super::super) async fn create_trade(
        &self,
        order: NewTrade,
    ) -> Result<(Trade, String), Declined<TradeRefusal>> {
        let (now_ms, terms) = (self.clocks.ledger_ms(), self.terms());
        let key = TradeKey {
            provider: order.wire.provider(),
            merchant: order.merchant.clone(),
            out_trade_no: order.out_trade_no.clone(),
        };
        let change = self.ledger.begin().await?;
        let existing = trade(&change, &key).await?;
        let is_new = existing.is_none();
        let trade = rules::create(existing, order, now_ms, &terms).map_err(Declined::Refused)?;
        if is_new {
            put_trade(&change, &trade).await?;
        }
        let code = numbers::code();
        let valid_until_ms = trade.window_end_ms.min(now_ms + terms.code_valid_ms);
        add_code(&change, &code, &key, valid_until_ms).await?;
        change.commit().await?;
        Ok((trade, code))
    }

    /// The trade that is meant, as it stands.
    pub(in super::super) async fn find_trade(&self, which: &TradeRef) -> Result<Option<Trade>, LedgerError> {
        find(self.ledger.reader(), which).await
    }

    /// Closes an unpaid trade.
    pub(in super::super) async fn close_trade(&self, which: &TradeRef) -> Result<Trade, Declined<TradeRefusal>> {
        let change = self.ledger.begin().await?;
        let found = find(&change, which).await?;
        let closed = rules::close(found, self.clocks.ledger_ms()).map_err(Declined::Refused)?;
        put_trade(&change, &closed).await?;
        change.commit().await?;
        Ok(closed)
    }
}

pub(super) async fn find(on: &impl sea_orm::ConnectionTrait, which: &TradeRef) -> Result<Option<Trade>, LedgerError> {
    match which {
        TradeRef::Ours(key) => trade(on, key).await,
        TradeRef::Theirs { provider, merchant, transaction_id } => {
            let found = trade_by_transaction(on, *provider, transaction_id).await?;
            Ok(found.filter(|trade| trade.order.merchant == *merchant))
        }
    }
}
