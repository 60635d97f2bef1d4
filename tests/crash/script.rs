//! A shop that may die at any moment, and people who insist: what is not answered is asked again, word for word.

use std::time::{Duration, Instant};

use crate::chapters::Chapter;
use crate::support::books::{Books, Unfinished};
use crate::support::client::{Answer, Person};
use crate::support::gateway::{CAPTURED_FEN, REFUNDED_FEN, sum};
use crate::support::process::ShopProcess;
use crate::support::sandbox_process::SandboxProcess;
use crate::support::verbs::Product;

/// Longest that people insist on one thing.
const PATIENCE: Duration = Duration::from_secs(120);
/// A broken connection with a dead process behind it is seen as such within this.
const DEATH_WITHIN: Duration = Duration::from_millis(500);
const AGAIN_AFTER: Duration = Duration::from_millis(25);

/// Codes that mean "not now": conflict with a lease, too many, broken, busy.
const NOT_NOW: [i64; 5] = [409, 429, 500, 503, 60_011];

/// A shop process and how often it died.
pub struct Script {
    pub shop: ShopProcess,
    /// Its gateway, which does not die.
    pub sandbox: Option<SandboxProcess>,
    pub admin: Person,
    pub deaths: u32,
    /// The longest time from a question that failed to its answer.
    pub longest_silence: Duration,
    stages: u32,
}

/// Products and buyers that one chapter has for itself.
pub struct Stage {
    pub products: Vec<Product>,
    pub buyers: Vec<Person>,
    /// Makes the chapter's idempotency keys its own.
    pub name: String,
}

/// What a chapter left: the same whether the process died in it or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// By product: each pool's put in, free, held, sold.
    pub units: Vec<Vec<(i64, i64, i64, i64)>>,
    /// Product, buyer, quantity, status; by their places on the stage.
    pub orders: Vec<(usize, usize, i64, i64)>,
    /// Product, buyer, and their order's money.
    pub money: Vec<(usize, usize, Money)>,
}

/// How often money came for an order and went back, and how much.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Money {
    captures: i64,
    captured_fen: i64,
    refunds: i64,
    refunded_fen: i64,
}

impl Script {
    /// A new shop with these settings on top, and with the gateway that these chapters need, if any does.
    pub async fn open(chapters: impl IntoIterator<Item = Chapter>, settings: &[(&str, &str)]) -> Self {
        let needs_gateway = chapters.into_iter().any(|chapter| Chapter::WITH_GATEWAY.contains(&chapter));
        let sandbox = needs_gateway.then(SandboxProcess::start);
        let mut shop = ShopProcess::prepare();
        if let Some(sandbox) = &sandbox {
            shop.is_merchant_of(sandbox);
        }
        for (name, value) in settings {
            shop.set(name, value);
        }
        shop.start().await;
        let admin = shop.admin().await;
        Self { shop, sandbox, admin, deaths: 0, longest_silence: Duration::ZERO, stages: 0 }
    }

    /// New products, each with `stock` free units, and new buyers.
    pub async fn stage(&mut self, products: usize, stock: i64, buyers: usize) -> Stage {
        self.stages += 1;
        let name = format!("stage{}", self.stages);
        let mut made = Vec::new();
        for place in 0..products {
            made.push(self.admin.make_product(&format!("{name} {place}"), 19.99, stock).await);
        }
        let buyers = self.admin.make_buyers(buyers, &format!("{name}-")).await;
        Stage { products: made, buyers, name }
    }

    /// Asks until it is answered; a dead process is started again, without failpoints.
    pub async fn insist(&mut self, ask: impl AsyncFn() -> Answer) -> Answer {
        let since = Instant::now();
        loop {
            let answer = ask().await;
            if answer.was_heard() && answer.status < 500 && !NOT_NOW.contains(&answer.code) {
                if since.elapsed() > AGAIN_AFTER {
                    self.longest_silence = self.longest_silence.max(since.elapsed());
                }
                return answer;
            }
            assert!(since.elapsed() < PATIENCE, "no answer to {}: {answer:?}\n{}", answer.asked, self.shop.log_text());
            if answer.was_heard() {
                tokio::time::sleep(AGAIN_AFTER).await;
            } else {
                self.revive(DEATH_WITHIN).await;
            }
            self.moves_end().await;
        }
    }

    /// "Let there be 15" is said again only when an interrupted move has been ended by its resumption: it is reckoned
    /// from what is there.
    async fn moves_end(&self) {
        let books = self.shop.books().await;
        let since = Instant::now();
        while books.unfinished().await.moves > 0 && since.elapsed() < PATIENCE && !self.shop.is_down() {
            tokio::time::sleep(AGAIN_AFTER).await;
        }
        books.close().await;
    }

    /// Starts the process again if it dies within `patience`; true if it did.
    pub async fn revive(&mut self, patience: Duration) -> bool {
        if !self.shop.has_ended() && self.shop.wait_for_end(patience).await.is_none() {
            return false;
        }
        self.deaths += 1;
        self.shop.start().await;
        true
    }

    /// Asks until the answer is not a refusal with `code`: somebody else's units are on their way back.
    pub async fn insist_past(&mut self, code: i64, ask: impl AsyncFn() -> Answer) -> Answer {
        let since = Instant::now();
        loop {
            let answer = self.insist(&ask).await;
            if answer.code != code {
                return answer;
            }
            assert!(since.elapsed() < PATIENCE, "{} is still refused with {code}", answer.asked);
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    /// Waits until the order has one of these statuses.
    pub async fn wait_for(&mut self, who: &Person, order_no: &str, wanted: &[i64]) {
        let since = Instant::now();
        loop {
            let data = self.insist(async || who.order(order_no).await).await.accepted();
            if data["status"].as_i64().is_some_and(|status| wanted.contains(&status)) {
                return;
            }
            assert!(since.elapsed() < PATIENCE, "{order_no} never was {wanted:?}: {data}");
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    /// What the chapter left, once everything is at rest.
    pub async fn outcome(&mut self, stage: &Stage) -> Outcome {
        let books = self.shop.books().await;
        let mut left = books.at_rest().await;
        if self.revive(Duration::ZERO).await {
            left = books.at_rest().await;
        }
        assert_eq!(left, Unfinished::default(), "nobody does this");
        self.assert_books_agree(&books).await;
        let (mut units, mut orders, mut money) = (Vec::new(), Vec::new(), Vec::new());
        for (place, product) in stage.products.iter().enumerate() {
            books.assert_stock_conserved(product.id).await;
            let pools = books.units(product.id).await;
            units.push(pools.iter().map(|pool| (pool.put_in, pool.free, pool.held, pool.sold)).collect());
            for row in books.orders(product.id).await {
                let buyer = stage.buyers.iter().position(|buyer| buyer.user_id == row.user_id);
                let buyer = buyer.expect("a buyer of this stage");
                orders.push((place, buyer, row.quantity, row.status));
                money.push((place, buyer, Money::of(&books, &row.order_no).await));
            }
        }
        books.close().await;
        orders.sort_unstable();
        money.sort_unstable();
        Outcome { units, orders, money }
    }

    /// Every order has heard what the gateway told, and the sums of both are the same to the fen.
    async fn assert_books_agree(&self, books: &Books) {
        let Some(sandbox) = &self.sandbox else { return };
        let since = Instant::now();
        while books.count("SELECT COUNT(*) AS n FROM notices WHERE state = 'open'").await > 0 {
            assert!(since.elapsed() < PATIENCE, "a notification does not reach its order");
            tokio::time::sleep(AGAIN_AFTER).await;
        }
        let totals = sandbox.gateway().totals().await;
        assert_eq!(books.count(CAPTURED_FEN).await, sum(&totals, "captured_fen"), "{totals}");
        assert_eq!(books.count(REFUNDED_FEN).await, sum(&totals, "refunded_fen"), "{totals}");
    }
}

impl Money {
    async fn of(books: &Books, order_no: &str) -> Self {
        let of = format!("order_no = '{order_no}'");
        let events = "kind IN ('payment_captured', 'late_payment_recorded', 'surplus_payment_captured')";
        Self {
            captures: books.count(&format!("SELECT COUNT(*) AS n FROM order_events WHERE {of} AND {events}")).await,
            captured_fen: books.count(&format!("{CAPTURED_FEN} AND {of}")).await,
            refunds: books.count(&format!("SELECT COUNT(*) AS n FROM refunds WHERE {of}")).await,
            refunded_fen: books.count(&format!("{REFUNDED_FEN} AND {of}")).await,
        }
    }
}
