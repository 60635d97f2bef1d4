//! What buyers and a gateway do while the shop dies under them: the gateway is the sandbox in a process of its own, which
//! stays alive and goes on telling.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::chapters::{CANCELLED, PAID, REFUNDED, order};
use crate::script::{Script, Stage};
use crate::support::client::Person;
use crate::support::gateway::Gateway;

/// A charge that is being closed is closed within this.
const CLOSED_WITHIN: Duration = Duration::from_secs(60);
/// Refusals of a charge while another one is being closed.
const IN_PROGRESS: i64 = 30_004;

/// The buyer pays, the gateway tells, the money goes back: at one gateway and at the other.
pub async fn captured(script: &mut Script, stage: &Stage) {
    for (who, channel) in stage.buyers.iter().zip(["wechat", "alipay"]) {
        let number = charged_order(script, stage, (who, channel), 0).await;
        gateway(script).pay(&format!("{number}_1")).await;
        script.wait_for(who, &number, &[PAID]).await;
        give_back(script, stage, (who, channel), &number).await;
    }
}

/// The same, and the gateway tells nothing: all has to be found by asking.
pub async fn silent(script: &mut Script, stage: &Stage) {
    let [ann] = &stage.buyers[..] else { panic!("one buyer") };
    let number = charged_order(script, stage, (ann, "wechat"), 0).await;
    let trade = format!("{number}_1");
    gateway(script).breaks(json!({"kind": "drop", "operation": "notify", "out_trade_no": trade})).await;
    gateway(script).pay(&trade).await;
    script.wait_for(ann, &number, &[PAID]).await;
    give_back(script, stage, (ann, "wechat"), &number).await;
}

/// One charge is closed, another is opened elsewhere; then the buyer does not want the goods any more.
pub async fn closed(script: &mut Script, stage: &Stage) {
    let [ann] = &stage.buyers[..] else { panic!("one buyer") };
    let number = charged_order(script, stage, (ann, "wechat"), 0).await;
    script.insist(async || ann.close_charge("wechat", &number).await).await.accepted();
    let since = Instant::now();
    loop {
        let answer = script.insist(async || ann.open_charge("alipay", &number).await).await;
        if answer.code != IN_PROGRESS {
            answer.accepted();
            break;
        }
        assert!(since.elapsed() < CLOSED_WITHIN, "the first charge is never closed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let trade = format!("{number}_2");
    gateway(script).tries(&trade, "scan", json!({})).await.expect("the sandbox lives");
    script.insist(async || ann.cancel(&number).await).await;
    script.wait_for(ann, &number, &[CANCELLED]).await;
    for trade in [format!("{number}_1"), trade] {
        assert_eq!(gateway(script).trade(&trade).await["state"], "closed");
    }
}

/// Money that crossed the close comes for cancelled orders: one buys again, for the other one the unit has gone.
pub async fn late(script: &mut Script, stage: &Stage) {
    let [ann, bob, cid] = &stage.buyers[..] else { panic!("three buyers") };
    let mut numbers = Vec::new();
    for (place, who) in [ann, bob].into_iter().enumerate() {
        let number = charged_order(script, stage, (who, "wechat"), place).await;
        script.insist(async || who.cancel(&number).await).await;
        script.wait_for(who, &number, &[CANCELLED]).await;
        numbers.push(number);
    }
    let books = script.shop.books().await;
    books.at_rest().await; // the units are back
    books.close().await;
    let other = order(script, stage, cid, &stage.products[1], 1).await;
    for number in &numbers {
        let went = gateway(script).tries(&format!("{number}_1"), "pay", json!({"before_close": true})).await;
        assert_eq!(went, Some(true), "the buyer paid");
    }
    script.wait_for(ann, &numbers[0], &[PAID]).await;
    script.wait_for(bob, &numbers[1], &[REFUNDED]).await;
    script.insist(async || cid.cancel(&other).await).await;
    script.wait_for(cid, &other, &[CANCELLED]).await;
}

fn gateway(script: &Script) -> Gateway {
    script.sandbox.as_ref().expect("a chapter with a gateway").gateway()
}

/// An order of one unit that waits for its buyer at a gateway.
pub async fn charged_order(
    script: &mut Script,
    stage: &Stage,
    (who, channel): (&Person, &str),
    product: usize,
) -> String {
    let number = order(script, stage, who, &stage.products[product], 1).await;
    let opened = script.insist(async || who.open_charge(channel, &number).await).await.accepted();
    assert_eq!(opened["out_trade_no"], format!("{number}_1"), "never a second number in flight");
    number
}

async fn give_back(script: &mut Script, stage: &Stage, (who, channel): (&Person, &str), number: &str) {
    let key = format!("{}-refund", stage.name);
    let asked = script.insist(async || who.ask_refund_once(channel, number, &key).await).await.accepted();
    assert_eq!(asked["out_refund_no"], format!("{number}_r1"));
    script.wait_for(who, number, &[REFUNDED]).await;
    let trade = gateway(script).trade(&format!("{number}_1")).await;
    assert_eq!(trade["refunds"].as_array().map(Vec::len), Some(1), "one refund: {trade}");
}
