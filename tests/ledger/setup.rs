//! Ledgers to test, sales, claims, and the random steps.

use std::cell::RefCell;

use super::*;
use rushmall::config::{DatabaseSettings, RedisSettings, Synchronous};
use rushmall::domain::sale::{SaleTerms, SaleWindow};
use rushmall::persistence::placing::{self, OrderGroup, PlaceTerms};
use rushmall::persistence::{Db, RedisLedger, SqlLedger, StoreError};
use rushmall::redis_link::RedisLink;
use sea_orm::ConnectionTrait;

pub const NOW_MS: i64 = 1_795_000_000_000;
pub const PRODUCT: ProductId = ProductId(1);
pub const SALE: SaleId = SaleId(1);

/// A ledger with what it needs around it.
pub struct Bench {
    pub name: &'static str,
    pub ledger: Box<dyn StockLedger>,
    numbers: RefCell<(OrderNoSequence, u128)>,
    sql: Option<(Db, tempfile::TempDir)>,
}

/// One bench for each ledger: those on Redis if a server or a cluster is named by the environment.
pub async fn ledgers() -> Vec<Bench> {
    let mut benches = vec![Bench::new("reference", Box::new(Reference::default()), None)];
    let (db, dir) = database().await;
    benches.push(Bench::new("SQL", Box::new(SqlLedger::new(db.clone())), Some((db, dir))));
    for (name, variable) in [("Redis", "RUSHMALL_TEST_REDIS_URL"), ("Redis Cluster", "RUSHMALL_TEST_REDIS_CLUSTER_URL")]
    {
        let Some(url) = service(variable) else { continue };
        let (db, dir) = database().await;
        let ledger = redis_ledger(&url, &prefix(), &db, 20_000).await;
        open_accounts(&ledger).await;
        benches.push(Bench::new(name, Box::new(ledger), Some((db, dir))));
    }
    benches
}

/// What the environment says of a service. `make test` starts them all and says so: then none may be missing.
pub fn service(variable: &str) -> Option<String> {
    let value = std::env::var(variable).ok().filter(|value| !value.is_empty());
    let all_are_there = std::env::var("RUSHMALL_TEST_SERVICES").is_ok_and(|value| value == "1");
    assert!(value.is_some() || !all_are_there, "RUSHMALL_TEST_SERVICES=1, but {variable} is not set");
    if value.is_none() {
        eprintln!("{variable} is not set: this test runs without that service");
    }
    value
}

/// A prefix of its own for every bench on a shared Redis.
pub fn prefix() -> String {
    format!("test-{}", rushmall::random::token())
}

pub async fn redis_ledger(url: &str, prefix: &str, db: &Db, command_timeout_ms: u64) -> RedisLedger {
    let (url, prefix) = (url.to_owned(), prefix.to_owned());
    let settings = RedisSettings { url, prefix, command_timeout_ms, ..RedisSettings::default() };
    RedisLedger::new(RedisLink::connect(&settings).await.unwrap(), db.clone())
}

/// What a new Redis needs before it answers: an account, if only an empty one.
pub async fn open_accounts(ledger: &dyn StockLedger) {
    for product in [PRODUCT, ProductId(2)] {
        assert!(write_account(ledger, product, Rebuild::default()).await);
    }
}

/// Writes an account in the place of one that is lost; false if another was faster.
pub async fn write_account(ledger: &dyn StockLedger, product: ProductId, account: Rebuild) -> bool {
    let lost = ledger.begin_rebuild(product).await.unwrap().unwrap();
    ledger.rebuild(product, &Rebuild { turn: lost.turn, ..account }).await.unwrap()
}

/// A shop's database with two products' stock.
pub async fn database() -> (Db, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let settings = DatabaseSettings { synchronous: Synchronous::Normal, ..DatabaseSettings::default() };
    let db = Db::connect(&settings, dir.path()).await.unwrap();
    db.migrate().await.unwrap();
    db.writer()
        .execute_unprepared(
            "INSERT INTO products (id, name, description, category_id, price_fen, image_url, images, attributes, \
             sales, rating_hundredths, status, version, created_at_ms, updated_at_ms) VALUES (1, 'Tea', '', 1, 1, '', \
             '', '', 0, 0, 1, 1, 0, 0); INSERT INTO stock VALUES (1, 0, 1000000, 1000000, 0, 0), \
             (1, 1, 1000000, 1000000, 0, 0), (1, 2, 1000000, 1000000, 0, 0)",
        )
        .await
        .unwrap();
    (db, dir)
}

impl Bench {
    pub fn new(name: &'static str, ledger: Box<dyn StockLedger>, sql: Option<(Db, tempfile::TempDir)>) -> Self {
        Self { name, ledger, numbers: RefCell::new((OrderNoSequence::new(2), 1)), sql }
    }

    pub fn next_no(&self) -> OrderNo {
        self.number_at(NOW_MS)
    }

    pub fn number_at(&self, now_ms: i64) -> OrderNo {
        let (sequence, random) = &mut *self.numbers.borrow_mut();
        *random = random.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835).wrapping_add(99);
        sequence.next(now_ms, *random)
    }

    /// Makes the order of a ticket, where the ledger remembers settled numbers by it.
    pub async fn place(&self, ticket: &Ticket) {
        let Some((db, _)) = &self.sql else { return };
        let group = OrderGroup { tickets: vec![ticket.clone()], atomic: false, clears_cart_of: None };
        placing::place(db, &[group], PlaceTerms { pay_deadline_ms: 1 }, NOW_MS).await.unwrap();
    }
}

/// Of sale 1, open for an hour from an hour ago.
pub fn terms(units_per_buyer_max: i64) -> SaleTerms {
    SaleTerms {
        sale: SALE,
        window: SaleWindow::new(NOW_MS - 3_600_000, NOW_MS + 3_600_000).unwrap(),
        unit_price: Money::from_fen(999),
        units_per_buyer_max,
        closed: false,
    }
}

pub fn claim(order_no: OrderNo, pool: Pool, buyer: i64, units: i64) -> Claim {
    Claim {
        order_no,
        buyer: BuyerId(buyer),
        product: PRODUCT,
        pool,
        quantity: Quantity::try_from(units).unwrap(),
        unit_price: Money::from_fen(1_999),
        kind: TicketKind::Owed,
        details: OrderDetails { address: None, remark: format!("for {buyer}") },
    }
}

/// One random step.
#[derive(Clone, Debug)]
pub enum Step {
    Reserve(Vec<Claim>),
    Release(Vec<TicketRef>),
    Settle(Claim),
    Retake(TicketRef),
    Deposit(String, Pool, i64),
    Withdraw(String, Pool, Withdraw),
    Find(OrderNo),
}

impl Step {
    /// What the ledger answers, as text.
    pub async fn run(&self, bench: &Bench, ledger: &dyn StockLedger) -> String {
        let answer: Result<String, StoreError> = match self {
            Self::Reserve(claims) => ledger.reserve(PRODUCT, claims, NOW_MS).await.map(|a| format!("{a:?}")),
            Self::Release(tickets) => ledger.release(tickets).await.map(|()| String::new()),
            Self::Settle(claim) => settle_if_taken(bench, ledger, claim).await,
            Self::Retake(ticket) => ledger.retake(ticket, NOW_MS).await.map(|a| format!("{a:?}")),
            Self::Deposit(step, pool, units) => {
                ledger.deposit(step, PRODUCT, *pool, *units, NOW_MS).await.map(|()| String::new())
            }
            Self::Withdraw(step, pool, units) => {
                ledger.withdraw(step, PRODUCT, *pool, *units, NOW_MS).await.map(|a| format!("{a:?}"))
            }
            Self::Find(order_no) => ledger.find(*order_no, None).await.map(|a| format!("{a:?}")),
        };
        answer.unwrap()
    }
}

async fn settle_if_taken(bench: &Bench, ledger: &dyn StockLedger, claim: &Claim) -> Result<String, StoreError> {
    match ledger.find(claim.order_no, None).await? {
        Some(record) if !record.returned => {
            bench.place(&record.ticket).await;
            ledger.settle(&[TicketRef::from(claim)]).await.map(|()| "settled".to_owned())
        }
        _ => ledger.settle(&[TicketRef::from(claim)]).await.map(|()| "nothing to settle".to_owned()),
    }
}

/// Draws steps, and remembers the claims that were made so that later steps hit them.
pub struct Steps {
    state: u64,
    numbers: OrderNoSequence,
    known: Vec<Claim>,
}

impl Steps {
    pub fn new(seed: u64) -> Self {
        Self { state: seed, numbers: OrderNoSequence::new(3), known: Vec::new() }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % bound
    }

    fn pool(&mut self) -> Pool {
        Pool::from(self.below(3) as i64)
    }

    /// One made before (mostly a recent one), or a new one.
    fn claim(&mut self, repeats_of_ten: u64) -> Claim {
        if !self.known.is_empty() && self.below(10) < repeats_of_ten {
            let recent = self.known.len().min(60);
            let back = self.below(recent as u64) as usize;
            return self.known[self.known.len() - 1 - back].clone();
        }
        let random = u128::from(self.below(u64::MAX));
        let (pool, buyer, units) = (self.pool(), self.below(5) as i64 + 1, self.below(3) as i64 + 1);
        claim(self.numbers.next(NOW_MS, random), pool, buyer, units)
    }

    pub fn next(&mut self, number: u64) -> Step {
        // A step id of before, now and then: moves must be repeatable too.
        let move_number = if self.below(5) == 0 { number.saturating_sub(self.below(40)) } else { number };
        match self.below(20) {
            0..=7 => {
                let size = self.below(4) + 1;
                Step::Reserve((0..size).map(|_| self.claim(3)).collect())
            }
            8..=11 => {
                let size = self.below(3) + 1;
                Step::Release((0..size).map(|_| TicketRef::from(&self.claim(9))).collect())
            }
            12..=14 => Step::Settle(self.claim(9)),
            15 => Step::Retake(TicketRef::from(&self.claim(9))),
            16..=17 => Step::Deposit(format!("d{move_number}"), self.pool(), self.below(8) as i64),
            18 => {
                let units = self.below(6) as i64;
                let units = match self.below(3) {
                    0 => Withdraw::Exactly(units),
                    1 => Withdraw::UpTo(units),
                    _ => Withdraw::All,
                };
                Step::Withdraw(format!("w{move_number}"), self.pool(), units)
            }
            _ => Step::Find(self.claim(9).order_no),
        }
    }

    pub fn learn(&mut self, step: &Step) {
        if let Step::Reserve(claims) = step {
            self.known.extend(claims.iter().cloned());
        }
    }
}
