//! Money goes back: once, whatever becomes of the calls and the notifications, and a human is asked where no rule helps.

use std::time::Duration;

use futures::future::join_all;
use serde_json::json;

use crate::stage::{CANCELLED, DAY_MS, Deal, PAID, PAY_DEADLINE_MS, PRICE_FEN, REFUNDED, REFUNDING, SHIPPED};

const PENDING_FOR_EVER: &str = "PROCESSING";

/// Refunds end only when a test says so.
async fn paid_and_asked(channel: &'static str) -> Deal {
    let deal = Deal::paid(channel).await;
    deal.gateway.turn(json!({"terms": {"refund_outcome": PENDING_FOR_EVER}})).await;
    deal.ask_refund().await;
    deal.refund_is_heard_of().await;
    deal
}

#[tokio::test]
async fn r40_a_refund_that_pends_for_ever_is_for_a_human_and_never_failed() {
    let deal = paid_and_asked("wechat").await;
    deal.passes(5 * DAY_MS, 5).await;
    assert_eq!((deal.status().await, deal.reviews("gateway_undecided").await), (REFUNDING, 0), "banks take days");
    deal.is_reviewed("gateway_undecided", DAY_MS).await;
    deal.passes(5 * DAY_MS, 5).await;
    assert_eq!(deal.status().await, REFUNDING, "not given up");
    deal.gateway.settle(&deal.refund_no(), "SUCCESS").await;
    deal.comes_to(REFUNDED, 1_800_000).await;
    deal.is_cleared().await;
    deal.settles().await;
}

#[tokio::test]
async fn r46_r71_the_notification_overtakes_an_answer_that_never_comes_and_brings_the_number() {
    let deal = Deal::with("wechat", |settings| settings.payment.request_timeout_ms = 3_000).await;
    deal.gateway.pay(&deal.number()).await;
    deal.sees(PAID).await;
    deal.gateway.turn(json!({"terms": {"refund_takes_ms": 0}})).await;
    deal.gateway.breaks(json!({"kind": "commit_then_hang", "ms": 5_000, "operation": "refund", "count": 1})).await;
    deal.ask_refund().await;
    deal.gateway.has_struck(1).await;
    deal.comes_to(REFUNDED, 50).await;
    let told = deal.shop.books.count("SELECT COUNT(*) AS n FROM refunds WHERE gateway_no <> ''").await;
    assert_eq!(told, 1, "state and number come from the notification");
    // the repeated call hears of success again; nothing moves
    deal.passes(30_000, 3).await;
    assert_eq!((deal.status().await, deal.events("refund_requested").await), (REFUNDED, 1));
    assert_eq!(deal.trade().await["refunds"].as_array().map(Vec::len), Some(1));
    deal.settles().await;
}

#[tokio::test]
async fn r47_success_after_abnormal_ends_the_refund_and_repeats_do_nothing() {
    let deal = paid_and_asked("wechat").await;
    deal.gateway.settle(&deal.refund_no(), "ABNORMAL").await;
    deal.is_reviewed("refund_abnormal", 100).await;
    assert_eq!(deal.status().await, REFUNDING);
    deal.gateway.settle(&deal.refund_no(), "SUCCESS").await;
    deal.comes_to(REFUNDED, 1_000).await;
    let reported = deal.events("refund_reported").await;
    deal.gateway.tells_again(&deal.number()).await; // success, abnormal and paid, in any order
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!((deal.status().await, deal.events("refund_reported").await), (REFUNDED, reported));
    deal.is_cleared().await;
    deal.settles().await;
}

#[tokio::test]
async fn r47_r68_a_refund_that_the_gateway_closed_is_for_a_human_and_not_repeated_by_itself() {
    let deal = paid_and_asked("wechat").await;
    deal.gateway.settle(&deal.refund_no(), "CLOSED").await;
    deal.is_reviewed("refund_closed", 100).await;
    deal.passes(60_000, 3).await;
    assert_eq!(deal.trade().await["refunded_fen"], 0, "no second number by itself");
    assert_eq!(deal.status().await, PAID, "the order has its money and its goods as before");
    deal.is_cleared().await;
    deal.settles().await;
}

#[tokio::test]
async fn r48_t18_of_many_refunds_at_once_no_fen_too_much_reaches_the_gateway() {
    let deal = Deal::paid("wechat").await;
    let bob = deal.shop.register("bob").await;
    for fen in [0, -1, PRICE_FEN + 1] {
        assert!(!deal.ann.ask_refund("wechat", &deal.order_no, fen).await.is_accepted(), "{fen}");
    }
    bob.ask_refund("wechat", &deal.order_no, 1).await.rejected(30_001);
    let asked = join_all((0..10).map(|_| deal.ann.ask_refund("wechat", &deal.order_no, 300))).await;
    assert_eq!(asked.iter().filter(|answer| answer.is_accepted()).count(), 3, "900 of 990");
    for _ in 0..40 {
        if deal.trade().await["refunded_fen"] == 900 {
            break;
        }
        deal.passes(10_000, 1).await;
    }
    deal.passes(60_000, 6).await;
    deal.ann.ask_refund("wechat", &deal.order_no, 91).await.rejected(40_005);
    assert_eq!(deal.trade().await["refunded_fen"], 900);
    deal.sees(PAID).await;
    deal.settles().await;
}

#[tokio::test]
async fn r49_a_refund_without_balance_stays_and_succeeds_when_there_is_money() {
    for channel in ["wechat", "alipay"] {
        let deal = Deal::paid(channel).await;
        deal.gateway.turn(json!({"terms": {"refunds_are_funded": false}})).await;
        deal.ask_refund().await;
        deal.is_reviewed("refund_refused", 100).await;
        let asked = async || deal.gateway.strikes().await; // none: it is no fault but a knob
        assert_eq!((deal.status().await, asked().await), (REFUNDING, 0));
        deal.passes(300_000, 5).await;
        let tries = deal.shop.books.count("SELECT COUNT(*) AS n FROM effects WHERE kind = 'send_refund'").await;
        assert_eq!(tries, 1, "still owed");
        deal.gateway.turn(json!({"terms": {"refunds_are_funded": true}})).await;
        assert_eq!(deal.trade().await["refunded_fen"], 0, "asked slowly");
        deal.comes_to(REFUNDED, 120_000).await;
        deal.is_cleared().await;
        deal.settles().await;
    }
}

#[tokio::test]
async fn r50_a_refund_of_goods_that_left_gives_money_back_and_no_unit() {
    let deal = Deal::paid("wechat").await;
    let admin = deal.shop.admin().await;
    admin.ship(&deal.order_no).await.accepted();
    deal.sees(SHIPPED).await;
    assert!(!deal.ann.ask_refund("wechat", &deal.order_no, PRICE_FEN).await.is_accepted(), "not the buyer any more");
    admin.refund(&deal.order_no).await.accepted();
    deal.comes_to(REFUNDED, 5_000).await;
    assert_eq!(deal.shop.books.count("SELECT COALESCE(SUM(sold), 0) AS n FROM stock").await, 1, "it is gone");
    deal.settles().await;
}

#[tokio::test]
async fn r51_answer_query_and_notification_of_a_refund_return_the_unit_once() {
    let deal = Deal::paid("wechat").await;
    deal.gateway.turn(json!({"terms": {"refund_takes_ms": 0}})).await;
    deal.gateway.breaks(json!({"kind": "duplicate", "times": 4, "operation": "notify"})).await;
    deal.ask_refund().await;
    deal.comes_to(REFUNDED, 5_000).await;
    deal.gateway.tells_again(&deal.number()).await;
    deal.passes(30_000, 3).await;
    deal.shop.at_rest().await;
    assert_eq!(deal.shop.books.count("SELECT COALESCE(SUM(free), 0) AS n FROM stock").await, 1);
    let bob = deal.shop.register("bob").await;
    bob.buy(&deal.product).await.accepted();
    let cid = deal.shop.register("cid").await;
    assert!(!cid.buy(&deal.product).await.is_accepted(), "one unit came back, not two");
    deal.settles().await;
}

#[tokio::test]
async fn r52_a_repeated_refund_of_alipay_is_counted_once() {
    let deal = Deal::paid("alipay").await;
    // money moved, and the answer was lost: the repetition says 10000 and that no money moved
    deal.gateway.breaks(json!({"kind": "bad_answer_signature", "operation": "refund", "count": 1})).await;
    deal.ask_refund().await;
    deal.comes_to(REFUNDED, 500).await;
    assert_eq!(deal.gateway.heard("refund", &deal.number()).await, 2);
    assert_eq!(deal.trade().await["refunded_fen"], PRICE_FEN);
    assert_eq!(deal.events("refund_requested").await, 1);
    deal.settles().await;
}

#[tokio::test]
async fn r52_success_without_moved_money_is_no_refund() {
    let deal = Deal::paid("alipay").await;
    deal.gateway.breaks(json!({"kind": "no_effect", "operation": "refund", "count": 1})).await;
    deal.ask_refund().await;
    deal.gateway.has_struck(1).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!((deal.status().await, deal.trade().await["refunded_fen"].as_i64()), (REFUNDING, Some(0)));
    // neither does a query that does not show it yet count as refunded
    deal.gateway.turn(json!({"alipay_refund_hidden_ms": 30_000})).await;
    deal.comes_to(REFUNDED, 5_000).await;
    assert_eq!(deal.trade().await["refunded_fen"], PRICE_FEN);
    deal.settles().await;
}

#[tokio::test]
async fn r53_a_refund_that_comes_too_soon_after_another_waits_and_one_that_comes_too_late_is_for_a_human() {
    let deal = Deal::paid("wechat").await;
    deal.gateway.turn(json!({"terms": {"refund_pause_ms": 60_000}})).await;
    for _ in 0..2 {
        deal.ann.ask_refund("wechat", &deal.order_no, 100).await.accepted();
    }
    for _ in 0..40 {
        if deal.trade().await["refunded_fen"] == 200 {
            break;
        }
        deal.passes(20_000, 1).await;
    }
    assert_eq!(deal.trade().await["refunded_fen"], 200, "the second after its minute");
    deal.passes(60_000, 4).await;
    deal.passes(365 * DAY_MS, 1).await;
    let admin = deal.shop.admin().await;
    admin.refund(&deal.order_no).await;
    deal.is_reviewed("refund_refused", 1_000).await;
    assert_eq!(deal.status().await, REFUNDING);
    let mut deal = deal;
    deal.shop.leaves.anything = true; // the gateway will never take it
}

#[tokio::test]
async fn r68_the_refund_of_a_late_payment_that_fails_and_fails_is_tried_until_it_works() {
    let deal = Deal::open("wechat").await;
    let bob = deal.shop.register("bob").await;
    deal.gateway.breaks(json!({"kind": "no_effect", "operation": "close"})).await;
    deal.shop.travel(PAY_DEADLINE_MS + 310_000);
    deal.comes_to(CANCELLED, 10_000).await;
    deal.shop.at_rest().await;
    bob.buy(&deal.product).await.accepted();
    deal.gateway.breaks(json!({"kind": "system_error", "operation": "refund"})).await;
    deal.gateway.pay_in_time(&deal.number()).await;
    deal.comes_to(REFUNDING, 1_000).await;
    deal.is_reviewed("effect_exhausted", 400_000).await;
    assert_eq!(deal.status().await, REFUNDING, "a human is asked, and trying goes on");
    deal.gateway.heals().await;
    deal.comes_to(REFUNDED, 310_000).await;
    deal.is_cleared().await;
    deal.settles().await;
}
