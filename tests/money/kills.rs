//! The storm over a shop and a gateway that die: both are processes of their own, killed in turns at random moments while
//! buyers pay, cancel, ask for their money back, and gateway and network fail in every way. Each comes back on its port and data.
//!
//! `RUSHMALL_STORM_ORDERS=1000 RUSHMALL_STORM_KILLS=20` is the long run; `RUSHMALL_TEST_SEED` repeats the moments of one.

use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::stage::{CANCELLED, PAID, REFUNDED};
use crate::storm::{from_environment, weather};
use crate::support::books::Books;
use crate::support::client::{Answer, Person};
use crate::support::gateway::{CAPTURED_FEN, Gateway, REFUNDED_FEN, sum};
use crate::support::load::Dice;
use crate::support::process::ShopProcess;
use crate::support::sandbox_process::SandboxProcess;
use crate::support::verbs::Product;

const ORDERS: usize = 120;
const KILLS: usize = 6;
const PAY_DEADLINE_MS: &str = "20000";
/// A gateway that was dead is asked again soon.
const BREAKER_PAUSE_MS: &str = "500";
/// Longest that a buyer insists on one thing: on a crowded machine all of them wait for one disk and two cores.
const PATIENCE: Duration = Duration::from_secs(180);
/// A code of Alipay that nobody scanned ends 71 s after it was made; then there are the pauses of what failed.
const REST_WITHIN: Duration = Duration::from_secs(240);
const NOT_NOW: [i64; 5] = [409, 429, 500, 503, 60_011];
/// Orders that have not ended.
const UNDER_WAY: &str = "SELECT COUNT(*) AS n FROM orders WHERE status IN (0, 1, 6, 9)";
const OWED: &str = "SELECT COUNT(*) AS n FROM effects WHERE kind <> 'watch_payment'";
const UNTOLD: &str = "SELECT COUNT(*) AS n FROM notices WHERE state = 'open'";
/// Orders that keep another sum than they cost, or money although they ended without a purchase.
const WRONGLY_KEPT: &str = "SELECT COUNT(*) AS n FROM orders WHERE \
    (SELECT COALESCE(SUM(amount_fen), 0) FROM payments \
        WHERE payments.order_no = orders.order_no AND payments.state = 'captured') \
    - (SELECT COALESCE(SUM(amount_fen), 0) FROM refunds \
        WHERE refunds.order_no = orders.order_no AND refunds.state = 'succeeded') \
    <> CASE WHEN status = 2 THEN total_fen ELSE 0 END";

/// One buyer with one order, and what he does with it.
struct Buyer {
    place: usize,
    who: Person,
    product: Product,
    gateway: Gateway,
    dice: Dice,
    /// Nobody scans his code: Alipay knows nothing of the charge.
    leaves_code: bool,
}

impl Buyer {
    /// His number at the end.
    async fn live(mut self) -> String {
        let (place, who, product) = (self.place, &self.who.clone(), &self.product.clone());
        let [buys, asks_back] = ["buy", "back"].map(|what| format!("{what}-{place}"));
        let number = insist(|| who.buy_once(product, &buys)).await.order_no();
        let channel = if place % 3 == 0 { "alipay" } else { "wechat" };
        // refused: the deadline was faster
        let opened = insist(|| who.open_charge(channel, &number)).await.is_accepted();
        self.lingers().await;
        let trade = format!("{number}_1");
        if !opened || self.leaves_code {
            return number;
        }
        if channel == "alipay" {
            self.does(&trade, "scan", json!({})).await;
        }
        let cancel = || insist(|| who.cancel(&number));
        match place % 5 {
            0 => self.does(&trade, "pay", json!({})).await,
            1 => drop(futures::join!(self.does(&trade, "pay", json!({})), cancel())),
            2 => drop(futures::join!(cancel(), self.does(&trade, "pay", json!({})))),
            3 => drop(cancel().await),
            _ => {}
        }
        self.lingers().await;
        if place % 10 == 0 {
            // refused if the gateway has not told yet
            insist(|| who.ask_refund_once(channel, &number, &asks_back)).await;
        }
        if place % 11 == 3 {
            self.does(&trade, "pay", json!({"before_close": true})).await;
        }
        number
    }

    async fn lingers(&mut self) {
        tokio::time::sleep(Duration::from_millis(self.dice.below(900))).await;
    }

    /// At the gateway, until it answers; whether it went is its business.
    async fn does(&self, trade: &str, what: &str, how: serde_json::Value) {
        let since = Instant::now();
        while self.gateway.tries(trade, what, how.clone()).await.is_none() {
            assert!(since.elapsed() < PATIENCE, "the gateway does not come back");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Asks until it is answered.
async fn insist<Asking: Future<Output = Answer>>(ask: impl Fn() -> Asking) -> Answer {
    let since = Instant::now();
    loop {
        let answer = ask().await;
        if answer.was_heard() && answer.status < 500 && !NOT_NOW.contains(&answer.code) {
            return answer;
        }
        assert!(since.elapsed() < PATIENCE, "no answer to {}: {answer:?}", answer.asked);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Shop and gateway, and when they died.
struct Pair {
    shop: ShopProcess,
    sandbox: SandboxProcess,
    books: Books,
    dice: Dice,
}

impl Pair {
    async fn open(seed: u64) -> Self {
        let sandbox = SandboxProcess::start();
        let mut shop = ShopProcess::prepare();
        shop.is_merchant_of(&sandbox);
        shop.set("RUSHMALL__ORDERS__PAY_DEADLINE_MS", PAY_DEADLINE_MS);
        shop.set("RUSHMALL__PAYMENT__BREAKER_PAUSE_MS", BREAKER_PAUSE_MS);
        shop.start().await;
        let books = shop.books().await;
        Self { shop, sandbox, books, dice: Dice::new(seed) }
    }

    /// Half of the deaths are the gateway's, in any order.
    fn victims(&mut self, kills: usize) -> Vec<bool> {
        let mut victims: Vec<bool> = (0..kills).map(|kill| kill % 2 == 0).collect();
        for last in (1..kills).rev() {
            victims.swap(last, self.dice.below(last as u64 + 1) as usize);
        }
        victims
    }

    /// Waits a while, kills one of them, and starts it again after another while; what was going on then.
    async fn kill_one(&mut self, is_gateway: bool) -> String {
        tokio::time::sleep(Duration::from_millis(700 + self.dice.below(1_800))).await;
        let (begun, mut under_way) = (Instant::now(), self.books.count(UNDER_WAY).await);
        while under_way == 0 && begun.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_millis(50)).await;
            under_way = self.books.count(UNDER_WAY).await;
        }
        let (owed, untold) = (self.books.count(OWED).await, self.books.count(UNTOLD).await);
        if is_gateway {
            self.sandbox.kill();
        } else {
            self.shop.kill();
        }
        let since = Instant::now();
        tokio::time::sleep(Duration::from_millis(self.dice.below(700))).await;
        if is_gateway {
            self.sandbox.start_again();
        } else {
            self.shop.start().await;
        }
        let (who, back) = (if is_gateway { "gateway" } else { "shop" }, since.elapsed());
        assert!(under_way > 0, "a kill in the middle of nothing shows nothing");
        format!(
            "{who}: {under_way} orders under way, {owed} effects owed, {untold} notifications untold; back after {back:.1?}"
        )
    }

    /// Waits until no order waits for anything.
    async fn comes_to_rest(&self) {
        let since = Instant::now();
        loop {
            let left =
                [self.books.count(UNDER_WAY).await, self.books.count(OWED).await, self.books.count(UNTOLD).await];
            if left == [0, 0, 0] {
                return;
            }
            let log = || self.shop.log_text();
            assert!(since.elapsed() < REST_WITHIN, "orders, effects, notifications left: {left:?}\n{}", log());
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Order by order, and in sums.
    async fn assert_books_agree(&self, numbers: &[String]) {
        let gateway = self.sandbox.gateway();
        for batch in numbers.chunks(16) {
            join_all(batch.iter().map(async |number| {
                let of_order = |sql: &str| format!("{sql} AND order_no = '{number}'");
                let ours =
                    (self.books.count(&of_order(CAPTURED_FEN)).await, self.books.count(&of_order(REFUNDED_FEN)).await);
                let theirs = gateway.money_of(&format!("{number}_1")).await;
                assert_eq!(ours, theirs, "captured and refunded of {number}");
            }))
            .await;
        }
        let totals = gateway.totals().await;
        assert_eq!(self.books.count(CAPTURED_FEN).await, sum(&totals, "captured_fen"), "{totals}");
        assert_eq!(self.books.count(REFUNDED_FEN).await, sum(&totals, "refunded_fen"), "{totals}");
        assert_eq!(self.books.count(WRONGLY_KEPT).await, 0, "each order keeps its price or nothing");
    }

    async fn with_status(&self, status: i64) -> i64 {
        self.books.count(&format!("SELECT COUNT(*) AS n FROM orders WHERE status = {status}")).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r54_t11_shop_and_gateway_are_killed_in_the_storm_and_both_books_agree_to_the_fen() {
    let (wanted, kills) =
        (from_environment("RUSHMALL_STORM_ORDERS", ORDERS), from_environment("RUSHMALL_STORM_KILLS", KILLS));
    let (started, seed) = (Instant::now(), Dice::seed());
    let mut pair = Pair::open(seed).await;
    let admin = pair.shop.admin().await;
    let (product, _) = admin.make_sale("storm", wanted as i64).await;
    let buyers = admin.make_buyers(wanted, "storm-").await;
    weather(&pair.sandbox.gateway()).await;

    // new buyers come before each kill, so that each finds orders in every state
    let batch = wanted.div_ceil(kills + 1);
    let mut crowds = buyers.chunks(batch).enumerate();
    let mut lives: Vec<JoinHandle<String>> = Vec::new();
    let mut let_in = |lives: &mut Vec<JoinHandle<String>>, gateway: Gateway| {
        for (number, crowd) in crowds.by_ref().take(1) {
            lives.extend(crowd.iter().enumerate().map(|(place, who)| {
                let place = number * batch + place;
                let dice = Dice::new(seed ^ ((place as u64 + 1) << 32));
                // their orders take longest: those of the first crowd are enough
                let leaves_code = number == 0 && place % 6 == 0;
                tokio::spawn(
                    Buyer { place, who: who.clone(), product, gateway: gateway.clone(), dice, leaves_code }.live(),
                )
            }));
        }
    };
    for (kill, is_gateway) in pair.victims(kills).into_iter().enumerate() {
        let_in(&mut lives, pair.sandbox.gateway());
        println!("kill {}, {}", kill + 1, pair.kill_one(is_gateway).await);
    }
    let_in(&mut lives, pair.sandbox.gateway());
    let numbers: Vec<String> =
        join_all(lives).await.into_iter().map(|life| life.expect("nobody was told nonsense")).collect();
    let stormed = started.elapsed();
    pair.sandbox.gateway().heals().await;
    pair.comes_to_rest().await;

    let ended = [pair.with_status(PAID).await, pair.with_status(CANCELLED).await, pair.with_status(REFUNDED).await];
    assert_eq!(ended.iter().sum::<i64>(), wanted as i64, "every order has ended: {ended:?}");
    assert_eq!(numbers.len(), wanted);
    pair.assert_books_agree(&numbers).await;
    pair.shop.assert_clean().await; // stock, `rushmall check`, and nobody has to look
    let [paid, cancelled, refunded] = ended;
    println!(
        "{wanted} orders, {kills} kills: {paid} paid, {cancelled} cancelled, {refunded} refunded; captured {} fen, returned {} \
         fen; storm {stormed:.0?}, at rest after {:.0?}; {}",
        pair.books.count(CAPTURED_FEN).await,
        pair.books.count(REFUNDED_FEN).await,
        started.elapsed(),
        pair.sandbox.gateway().totals().await
    );
}
