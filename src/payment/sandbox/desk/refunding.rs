//! Accepting refunds, and ending them.

use sea_orm::ConnectionTrait;

use super::Declined;
use super::trading::{TradeRef, find};
use crate::payment::sandbox::ledger::{
    LedgerError, RefundKey, TradeKey, add_notice, due_refunds, put_refund, put_trade, refund, refund_by_id, refunds_of,
    trade,
};
use crate::payment::sandbox::notify::facts;
use crate::payment::sandbox::numbers;
use crate::payment::sandbox::rules::{self, NewRefund, Refund, RefundRefusal, RefundStatus, Refunded, Trade};
use crate::payment::sandbox::state::Sandbox;

/// Refunds that end in one commit at most.
const BATCH: u32 = 64;

/// A refund that was accepted, and whether just now.
pub type Accepted = (Trade, Refund, bool);

impl Sandbox {
    /// Accepts a refund of `merchant`, or finds the one that is repeated.
    pub(in super::super) async fn accept_refund(
        &self,
        merchant: &str,
        which: &TradeRef,
        asked: NewRefund,
    ) -> Result<Accepted, Declined<RefundRefusal>> {
        let (now_ms, terms) = (self.clocks.ledger_ms(), self.terms());
        let change = self.ledger.begin().await?;
        let found = find(&change, which).await?;
        let Some(trade) = found else { return Err(Declined::Refused(RefundRefusal::NotFound)) };
        let key = RefundKey {
            provider: asked.wire.provider(),
            merchant: merchant.to_owned(),
            out_trade_no: trade.order.out_trade_no.clone(),
            out_refund_no: asked.out_refund_no.clone(),
        };
        // at WeChat Pay the number may stand with another trade
        if refund(&change, &key).await?.is_some_and(|known| known.out_trade_no != trade.order.out_trade_no) {
            return Err(Declined::Refused(RefundRefusal::ParametersDiffer));
        }
        let earlier = refunds_of(&change, &TradeKey::of(&trade)).await?;
        let number = numbers::refund_id(now_ms);
        match rules::refund(Some(trade.clone()), &earlier, asked, &number, (now_ms, &terms)) {
            Err(refusal) => Err(Declined::Refused(refusal)),
            Ok(Refunded::Before(known)) => Ok((trade, *known, false)),
            Ok(Refunded::Now(new)) => {
                let (trade, refund) = *new;
                put_trade(&change, &trade).await?;
                put_refund(&change, merchant, &refund).await?;
                self.owe_notice(&change, &trade, &refund).await?;
                change.commit().await?;
                self.wake.notify_one();
                Ok((trade, refund, true))
            }
        }
    }

    /// The refund that is meant with its trade, after the end of those whose time has come.
    pub(in super::super) async fn find_refund(&self, key: &RefundKey) -> Result<Option<(Trade, Refund)>, LedgerError> {
        self.end_due_refunds().await?;
        let Some(refund) = refund(self.ledger.reader(), key).await? else { return Ok(None) };
        let of = TradeKey {
            provider: key.provider,
            merchant: key.merchant.clone(),
            out_trade_no: refund.out_trade_no.clone(),
        };
        Ok(trade(self.ledger.reader(), &of).await?.map(|trade| (trade, refund)))
    }

    /// All refunds of a trade, after the end of those whose time has come.
    pub(in super::super) async fn find_refunds_of(&self, trade: &Trade) -> Result<Vec<Refund>, LedgerError> {
        self.end_due_refunds().await?;
        refunds_of(self.ledger.reader(), &TradeKey::of(trade)).await
    }

    /// Ends the refunds whose processing took its time; how many.
    pub(in super::super) async fn end_due_refunds(&self) -> Result<usize, LedgerError> {
        let now_ms = self.clocks.ledger_ms();
        if due_refunds(self.ledger.reader(), now_ms, 1).await?.is_empty() {
            return Ok(0);
        }
        let change = self.ledger.begin().await?;
        let due = due_refunds(&change, now_ms, BATCH).await?;
        let count = due.len();
        for (merchant, refund) in due {
            let outcome = refund.outcome;
            self.end_refund(&change, &merchant, refund, outcome).await?;
        }
        change.commit().await?;
        self.wake.notify_one();
        Ok(count)
    }

    /// Ends one refund now as `status`; `None` if there is none with this number, else how it stands.
    pub(in super::super) async fn settle_refund(
        &self,
        refund_id: &str,
        status: RefundStatus,
    ) -> Result<Option<Refund>, LedgerError> {
        self.change_refund(refund_id, async |change, merchant, refund| {
            self.end_refund(change, merchant, refund, status).await
        })
        .await
    }

    /// Decides what one refund will end in; `None` if there is none with this number, else how it stands.
    pub(in super::super) async fn plan_refund(
        &self,
        refund_id: &str,
        outcome: RefundStatus,
    ) -> Result<Option<Refund>, LedgerError> {
        self.change_refund(refund_id, async |change, merchant, refund| {
            let Some(planned) = rules::planned(refund, outcome) else { return Ok(()) };
            put_refund(change, merchant, &planned).await
        })
        .await
    }

    /// Sends an abnormal refund on its way again; `None` if there is none with this number, else how it stands.
    pub(in super::super) async fn retry_refund(&self, refund_id: &str) -> Result<Option<Refund>, LedgerError> {
        let (now_ms, terms) = (self.clocks.ledger_ms(), self.terms());
        self.change_refund(refund_id, async |change, merchant, refund| {
            let Some(again) = rules::retry_abnormal(refund, now_ms, &terms) else { return Ok(()) };
            put_refund(change, merchant, &again).await
        })
        .await
    }

    async fn change_refund<F>(&self, refund_id: &str, work: F) -> Result<Option<Refund>, LedgerError>
    where
        F: AsyncFnOnce(&sea_orm::DatabaseTransaction, &str, Refund) -> Result<(), LedgerError>,
    {
        let change = self.ledger.begin().await?;
        let Some((merchant, refund)) = refund_by_id(&change, refund_id).await? else { return Ok(None) };
        work(&change, &merchant, refund).await?;
        let stands = refund_by_id(&change, refund_id).await?.map(|(_, refund)| refund);
        change.commit().await?;
        self.wake.notify_one();
        Ok(stands)
    }

    async fn end_refund(
        &self,
        on: &impl ConnectionTrait,
        merchant: &str,
        refund: Refund,
        status: RefundStatus,
    ) -> Result<(), LedgerError> {
        let of = TradeKey {
            provider: refund.asked.wire.provider(),
            merchant: merchant.to_owned(),
            out_trade_no: refund.out_trade_no.clone(),
        };
        let now_ms = self.clocks.ledger_ms();
        let found = trade(on, &of).await?;
        let Some((trade, ended)) = found.and_then(|trade| rules::settle(trade, refund.clone(), status, now_ms)) else {
            // nothing to end; it must not become due again
            return put_refund(on, merchant, &Refund { settles_ms: None, ..refund }).await;
        };
        put_trade(on, &trade).await?;
        put_refund(on, merchant, &ended).await?;
        self.owe_notice(on, &trade, &ended).await
    }

    /// The notification of a refund that has ended.
    async fn owe_notice(&self, on: &impl ConnectionTrait, trade: &Trade, refund: &Refund) -> Result<(), LedgerError> {
        match facts::of_refund(&self.keys, trade, refund, self.clocks.ledger_ms()) {
            Some(notice) => add_notice(on, &notice).await,
            None => Ok(()),
        }
    }
}
