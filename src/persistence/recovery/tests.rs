//! The account computed from the database is the one that the SQL ledger kept step by step.

use std::collections::BTreeMap;

use super::*;
use crate::domain::Money;
use crate::domain::order::{CancelReason, Command, PayChannel, RefundAsker, RefundState};
use crate::persistence::fixture::{NOW_MS, PRODUCT, Shop, alone};
use crate::persistence::ledger::LedgerSnapshot;
use crate::persistence::stock_moves::StockPlan;

impl Shop {
    async fn account(&self) -> Rebuild {
        let unsettled = self.ledger.unsettled(PRODUCT).await.unwrap();
        account(&self.db, PRODUCT, &unsettled, NOW_MS).await.unwrap()
    }

    /// Free units and terms as the ledger has them, the buyers as it has them, against what the database says.
    async fn assert_agreement(&self, when: &str) {
        let account = self.account().await;
        let LedgerSnapshot { pools } = self.ledger.snapshot(PRODUCT).await.unwrap();
        let kept: BTreeMap<_, _> = pools.iter().map(|pool| (pool.pool, (pool.free, pool.terms))).collect();
        let read: BTreeMap<_, _> = account.pools.iter().map(|pool| (pool.pool, (pool.free, pool.terms))).collect();
        assert_eq!(read, kept, "{when}");
        let units = |states: &[BuyerState]| -> BTreeMap<(Pool, BuyerId), i64> {
            states.iter().map(|state| ((state.pool, state.buyer), state.units.units)).collect()
        };
        assert_eq!(units(&account.buyers), units(&self.ledger.buyers(PRODUCT).await.unwrap()), "{when}");
    }
}

#[actix_rt::test]
async fn a_bought_unpaid_cancelled_or_refunded_unit_is_where_the_ledger_has_it() {
    let shop = Shop::with_units(20).await;
    shop.assert_agreement("nothing sold").await;
    let sale = shop.sale(9, 2).await;
    let pool = Pool::Sale(sale);
    shop.assert_agreement("a sale planned").await;
    let owed = shop.ticket(pool, 1, 2).await;
    shop.ticket(Pool::Free, 1, 3).await;
    shop.assert_agreement("owed tickets").await;
    shop.place(&[alone(&owed)]).await;
    shop.assert_agreement("written, not settled").await;
    let cancelled = shop.order(pool, 2, 1).await.order.order_no;
    let pay = Command::PayAtOnce { channel: PayChannel::Card, transaction_id: "t".to_owned() };
    let paid = shop.order(pool, 3, 1).await.order.order_no;
    shop.command(paid, &pay).await;
    let kept = shop.order(pool, 4, 1).await.order.order_no;
    shop.command(kept, &pay).await;
    shop.command(kept, &Command::Ship { carrier: "SF".to_owned(), tracking_no: "1".to_owned() }).await;
    shop.assert_agreement("orders").await;
    shop.command(cancelled, &Command::Cancel { reason: CancelReason::Buyer }).await;
    let during = shop.account().await;
    assert_eq!(during.returned, [cancelled], "its release is still owed");
    shop.settle_all().await;
    shop.assert_agreement("a cancelled order").await;
    assert!(shop.account().await.returned.is_empty());
    for order_no in [paid, kept] {
        let request = format!("{order_no}-1");
        let refund = Command::RequestRefund {
            by: RefundAsker::Administrator,
            amount: Money::from_fen(999),
            reason: String::new(),
            request,
        };
        shop.command(order_no, &refund).await;
        shop.assert_agreement("a refund under way").await;
        shop.command(
            order_no,
            &Command::ReportRefund { refund: 1, state: RefundState::Succeeded, gateway_no: String::new() },
        )
        .await;
        shop.settle_all().await;
        shop.assert_agreement("a refunded order").await;
    }
    shop.moves(PRODUCT, StockPlan::CloseSale { sale }).await;
    shop.assert_agreement("the sale closed").await;
}
