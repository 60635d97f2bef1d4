//! A panic inside the process: it survives, answers again within a second, and the story ends as if nothing happened.
//! An actor that panics again and again is quarantined, alone.

use std::time::{Duration, Instant};

use crate::chapters::{CANCELLED, Chapter};
use crate::money;
use crate::points::{Atlas, GATEWAY_WORKERS, explore, is_at_the_gateway, is_wanted, once_each, shares};
use crate::script::Script;
use crate::support::process::ShopProcess;

const UNAVAILABLE: i64 = 503;
/// Deaths that are met with a restart; one more quarantines.
const RESTARTS_MAX: u32 = 8;
/// Below that for the actor that sees them all.
const PANICS_A_LIFE: usize = 5;
/// Longest wait for an answer after a panic, retries of the client included: less than a lease.
const SILENT_MAX: Duration = Duration::from_millis(6_500);
/// A request that dies itself frees its idempotency key, and a move of stock its product, only by the end of a lease.
const LEASE_MAX: Duration = Duration::from_secs(30);
/// A request that dies while a lost ledger is rebuilt may have had a ticket that another node holds: what became of its number
/// is said only when no node can hold one any more, or one key would buy twice.
const UNDECIDED_MAX: Duration = Duration::from_secs(60);
/// A key's lease is as long as both together.
const SHORT_TIMEOUTS: [(&str, &str); 2] =
    [("RUSHMALL__HTTP__REQUEST_TIMEOUT_MS", "5000"), ("RUSHMALL__ACTORS__ASK_TIMEOUT_MS", "2000")];

#[tokio::test(flavor = "multi_thread")]
async fn r57_a_panic_at_every_point_is_survived() {
    let atlas = explore(&Chapter::usual(), &[]).await;
    panic_at_each(&once_each(&atlas), &atlas).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r57_money_survives_a_panic_at_every_point() {
    let atlas = explore(&Chapter::WITH_GATEWAY, &[]).await;
    let visits: Vec<_> = once_each(&atlas).into_iter().filter(|(point, _)| is_at_the_gateway(point)).collect();
    let shares = shares(&visits, GATEWAY_WORKERS);
    futures::future::join_all(shares.iter().map(|share| panic_at_each(share, &atlas))).await;
}

async fn panic_at_each(visits: &[(&'static str, Chapter)], atlas: &Atlas) {
    let mut script = Script::open(visits.iter().map(|(_, chapter)| *chapter), &SHORT_TIMEOUTS).await;
    for (number, (point, chapter)) in visits.iter().filter(|(point, _)| is_wanted(point)).enumerate() {
        if number > 0 && number % PANICS_A_LIFE == 0 {
            script.shop.kill_and_restart().await; // else the order writer, which all share, is quarantined by and by
        }
        let stage = chapter.stage(&mut script).await;
        script.shop.books().await.at_rest().await;
        script.longest_silence = Duration::ZERO;
        script.admin.arm(&format!("{point}=panic@1")).await.accepted();
        chapter.play(&mut script, &stage).await;
        assert_eq!(&script.outcome(&stage).await, atlas.ending(*chapter), "after a panic at {point} in {chapter:?}");
        assert_eq!(script.deaths, 0, "{point} took the process down");
        let silence = script.longest_silence;
        let ends_with_lease = ["checkout.", "sales.", "stock_moves."].iter().any(|area| point.starts_with(area));
        let silent_max = match chapter {
            Chapter::Forgotten => UNDECIDED_MAX,
            _ if ends_with_lease => LEASE_MAX,
            _ => SILENT_MAX,
        };
        assert!(silence < silent_max, "silence of {silence:?} after a panic at {point} in {chapter:?}");
    }
    script.shop.assert_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r57_a_panic_over_one_orders_money_holds_up_nobody_else() {
    let mut script = Script::open([Chapter::Closed], &[]).await;
    let stage = script.stage(1, 10, 5).await;
    let mut numbers = Vec::new();
    for who in &stage.buyers {
        numbers.push(money::charged_order(&mut script, &stage, (who, "wechat"), 0).await);
    }
    // whichever is asked about first; all are taken up together, by one sweep
    script.admin.arm("payment.query.before=panic@1").await.accepted();
    let since = Instant::now();
    futures::future::join_all(stage.buyers.iter().zip(&numbers).map(|(who, number)| who.cancel(number))).await;
    for (who, number) in stage.buyers.iter().zip(&numbers) {
        script.wait_for(who, number, &[CANCELLED]).await;
    }
    // a lease would end after 30 s
    assert!(since.elapsed() < Duration::from_secs(25), "they waited for a lease: {:?}", since.elapsed());
    script.outcome(&stage).await;
    script.shop.assert_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r57_one_panic_is_answered_again_within_a_second() {
    let shop = ShopProcess::open().await;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("one panic", 5).await;
    let buyers = admin.make_buyers(2, "panic-").await;
    buyers[0].buy(&product).await.accepted();
    admin.arm("inventory.claim=panic@1").await.accepted();
    buyers[1].buy(&product).await.with_status(503);
    let since = Instant::now();
    loop {
        let asked_after = since.elapsed();
        if buyers[1].buy(&product).await.is_accepted() {
            break;
        }
        assert!(asked_after < Duration::from_secs(1), "not answered within a second");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let seen = admin.actor("inventory", &product.id.to_string()).await.accepted();
    assert_eq!(restarts(&seen), Some(1), "{seen}");
    shop.assert_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nine_panics_quarantine_one_product_until_it_is_lifted() {
    let shop = ShopProcess::open().await;
    let admin = shop.admin().await;
    let (poisoned, _) = admin.make_sale("poisoned", 5).await;
    let (healthy, _) = admin.make_sale("healthy", 5).await;
    let buyers = admin.make_buyers(3, "nine-").await;
    for _ in 0..=RESTARTS_MAX {
        admin.arm("inventory.claim=panic@1").await.accepted();
        let since = Instant::now();
        // until the panic is reached: while it restarts it may be busy
        while buyers[0].buy(&poisoned).await.is_accepted() {
            assert!(since.elapsed() < Duration::from_secs(30), "the actor does not reach its failpoint");
        }
        wait_for_another_life(&admin, &poisoned.id.to_string()).await;
    }
    let refused = buyers[1].buy(&poisoned).await;
    assert_eq!((refused.status, refused.code), (503, UNAVAILABLE), "{refused:?}");
    assert_eq!(refused.data["reason"], "quarantined", "{refused:?}");
    assert!(!refused.message.is_empty() && refused.headers.contains_key("retry-after"), "{refused:?}");
    buyers[1].buy(&healthy).await.accepted();
    admin.command_actor("inventory", &poisoned.id.to_string(), "lift").await.accepted();
    buyers[2].buy(&poisoned).await.accepted();
    shop.assert_clean().await;
}

/// A panic is over when the actor is ready again, or quarantined.
async fn wait_for_another_life(admin: &crate::support::client::Person, key: &str) {
    let since = Instant::now();
    loop {
        let seen = admin.actor("inventory", key).await;
        let state = seen.data["state"].as_str().unwrap_or_default().to_lowercase();
        if !state.contains("start") && !state.contains("backoff") && !state.contains("dead") {
            return;
        }
        assert!(since.elapsed() < Duration::from_secs(30), "the actor does not come back: {}", seen.data);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn restarts(actor: &serde_json::Value) -> Option<u64> {
    actor["vitals"]["restarts"].as_u64().or_else(|| actor["restarts"].as_u64())
}
