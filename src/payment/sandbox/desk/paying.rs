//! What a buyer does: scan, pay, fail.

use super::Declined;
use super::trading::{TradeRef, find};
use crate::payment::sandbox::ledger::{add_notice, put_trade};
use crate::payment::sandbox::notify::facts;
use crate::payment::sandbox::numbers;
use crate::payment::sandbox::rules::{self, PayRefusal, Payment, Trade};
use crate::payment::sandbox::state::Sandbox;

/// How a buyer pays.
#[derive(Clone, Debug, Default)]
pub struct PayOrder {
    /// Who; `None`: somebody.
    pub payer: Option<String>,
    /// What a coupon of the provider pays, fen.
    pub coupon_fen: i64,
    /// True: he paid in time, and the gateway learns of it only now.
    pub in_time: bool,
    /// True: his payment crossed a close, and the gateway learns of it only now.
    pub before_close: bool,
}

impl Sandbox {
    /// Takes the money and owes the notification of it.
    pub(in super::super) async fn pay_trade(
        &self,
        which: &TradeRef,
        how: PayOrder,
    ) -> Result<Trade, Declined<PayRefusal>> {
        let now_ms = self.clocks.ledger_ms();
        let change = self.ledger.begin().await?;
        let trade = find(&change, which).await?.ok_or(Declined::Refused(PayRefusal::NotFound))?;
        let provider = trade.order.wire.provider();
        let closed_ms = trade.closed_ms.filter(|_| how.before_close);
        let trade = if closed_ms.is_some() { rules::before_close(trade) } else { trade };
        let pays_ms = closed_ms.unwrap_or(now_ms);
        let paid_ms = if how.in_time { pays_ms.min(trade.window_end_ms) } else { pays_ms };
        let payer = how.payer.or_else(|| trade.order.payer.clone()).unwrap_or_else(|| numbers::payer(provider));
        let payment = Payment { paid_ms, payer, coupon_fen: how.coupon_fen };
        let number = numbers::transaction_id(provider, now_ms);
        let paid = rules::pay(trade, payment, &number).map_err(Declined::Refused)?;
        put_trade(&change, &paid).await?;
        if let Some(notice) = facts::of_payment(&self.keys, &paid, now_ms) {
            add_notice(&change, &notice).await?;
        }
        change.commit().await?;
        self.wake.notify_one();
        Ok(paid)
    }

    /// He is asked for his password, or his bank thinks about it.
    pub(in super::super) async fn enter_trade(&self, which: &TradeRef) -> Result<Trade, Declined<PayRefusal>> {
        let change = self.ledger.begin().await?;
        let trade = find(&change, which).await?.ok_or(Declined::Refused(PayRefusal::NotFound))?;
        let entered = rules::enter(trade, self.clocks.ledger_ms()).map_err(Declined::Refused)?;
        put_trade(&change, &entered).await?;
        change.commit().await?;
        Ok(entered)
    }

    /// His try to pay fails.
    pub(in super::super) async fn fail_trade(&self, which: &TradeRef) -> Result<Trade, Declined<PayRefusal>> {
        let change = self.ledger.begin().await?;
        let trade = find(&change, which).await?.ok_or(Declined::Refused(PayRefusal::NotFound))?;
        let failed = rules::fail(trade, self.clocks.ledger_ms()).map_err(Declined::Refused)?;
        put_trade(&change, &failed).await?;
        change.commit().await?;
        Ok(failed)
    }

    /// He looks at the trade: from now on Alipay knows it.
    pub(in super::super) async fn scan_trade(&self, which: &TradeRef) -> Result<Trade, Declined<PayRefusal>> {
        let now_ms = self.clocks.ledger_ms();
        let change = self.ledger.begin().await?;
        let trade = find(&change, which).await?.ok_or(Declined::Refused(PayRefusal::NotFound))?;
        let was_known = trade.is_known();
        let number = numbers::transaction_id(trade.order.wire.provider(), now_ms);
        let scanned = rules::scan(trade, &number, now_ms);
        if !was_known && scanned.is_known() {
            put_trade(&change, &scanned).await?;
            change.commit().await?;
        }
        Ok(scanned)
    }
}
