//! A crowd of buyers who click, pay, cancel and check out at random, and remember everything they were promised.
//!
//! A buyer's memory is what an honest witness could say: an answer that he read is a fact, a request without an answer
//! is something that may have happened. [`Crowd::assert_promises_kept`] holds the shop to the facts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::books::{Books, OrderRow};
use super::client::{Answer, NEVER_SENT, Person};
use super::verbs::Product;

const UNPAID: i64 = 1;
const PAID: i64 = 2;
const CANCELLED: i64 = 5;
/// Codes of the contract.
const SOLD_OUT: i64 = 60003;
const ALREADY_BOUGHT: i64 = 60004;
const TOO_FREQUENT: i64 = 60010;
/// Between the end of an unpaid order and the return of its units.
const UNITS_COME_BACK: Duration = Duration::from_secs(60);
/// Longest wait for a crowd that has just begun.
const BOUGHT_WITHIN: Duration = Duration::from_secs(60);

/// A seeded sequence; the seed is printed so that a failure can be looked at again.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// The seed of `RUSHMALL_TEST_SEED`, or a random one.
    pub fn seed() -> u64 {
        let given = std::env::var("RUSHMALL_TEST_SEED").ok().and_then(|text| text.parse().ok());
        let seed = given.unwrap_or_else(|| u64::from(u32::from_le_bytes(rushmall::random::bytes())));
        eprintln!("RUSHMALL_TEST_SEED={seed}");
        seed
    }

    /// A number in `0..bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound.max(1)
    }
}

/// What one buyer remembers.
#[derive(Clone, Debug)]
pub struct Memory {
    pub who: Person,
    /// Each order that he was told of, with the statuses that it may have.
    pub promised: BTreeMap<String, BTreeSet<i64>>,
    /// Purchases and checkouts that were not answered: each may have made orders.
    pub unanswered: u64,
}

/// Counts of a crowd's doings.
#[derive(Debug, Default)]
pub struct Tally {
    pub accepted: AtomicU64,
    pub refused: AtomicU64,
    pub unanswered: AtomicU64,
    pub paid: AtomicU64,
    pub cancelled: AtomicU64,
}

/// Buyers in front of a shop.
#[derive(Clone)]
pub struct Crowd {
    pub memories: Vec<Arc<Mutex<Memory>>>,
    pub products: Vec<Product>,
    pub tally: Arc<Tally>,
}

impl Crowd {
    /// A crowd that knows nothing yet.
    pub fn of(buyers: Vec<Person>, products: &[Product]) -> Self {
        let remember = |who| Memory { who, promised: BTreeMap::new(), unanswered: 0 };
        let memories = buyers.into_iter().map(|who| Arc::new(Mutex::new(remember(who)))).collect();
        Self { memories, products: products.to_vec(), tally: Arc::default() }
    }

    /// Lets `hands` tasks act for random buyers until `stop` is raised or the shop goes away.
    pub fn rush(&self, hands: usize, seed: u64, stop: &Arc<AtomicBool>) -> Vec<tokio::task::JoinHandle<()>> {
        (0..hands)
            .map(|hand| {
                let (crowd, stop) = (self.clone(), Arc::clone(stop));
                let mut dice = Dice::new(seed ^ ((hand as u64 + 1) << 32));
                tokio::spawn(async move {
                    while !stop.load(Ordering::Relaxed) {
                        let one = crowd.memories[dice.below(crowd.memories.len() as u64) as usize].clone();
                        let product = crowd.products[dice.below(crowd.products.len() as u64) as usize];
                        // somebody else acts for him at the moment
                        let Ok(mut memory) = one.try_lock_owned() else { continue };
                        memory.act(product, &mut dice, &crowd.tally).await;
                    }
                })
            })
            .collect()
    }

    /// Waits until so many purchases were accepted.
    pub async fn has_bought(&self, purchases: u64) {
        let until = Instant::now() + BOUGHT_WITHIN;
        while self.tally.accepted.load(Ordering::Relaxed) < purchases && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Every order that was promised is in the books, with a status that it may have; every order in the books was
    /// promised, or its buyer has a request that was never answered.
    pub async fn assert_promises_kept(&self, books: &Books) {
        let mut by_buyer: BTreeMap<i64, Vec<OrderRow>> = BTreeMap::new();
        for product in &self.products {
            for row in books.orders(product.id).await {
                by_buyer.entry(row.user_id).or_default().push(row);
            }
        }
        for memory in &self.memories {
            let memory = memory.lock().await;
            let rows = by_buyer.remove(&memory.who.user_id).unwrap_or_default();
            memory.assert_promises_kept(&rows, self.products.len() as u64);
        }
        assert!(by_buyer.is_empty(), "orders of nobody: {by_buyer:?}");
    }
}

impl Memory {
    /// One thing that a buyer might do now.
    pub async fn act(&mut self, product: Product, dice: &mut Dice, tally: &Tally) {
        let unpaid = self.promised.iter().find(|(_, may_be)| may_be.contains(&UNPAID)).map(|(no, _)| no.clone());
        match (unpaid, dice.below(10)) {
            (Some(order_no), 0..5) => {
                let answer = self.who.pay(&order_no).await;
                self.learn_move(&order_no, PAID, &answer, &tally.paid).await;
            }
            (Some(order_no), 5..8) => {
                let answer = self.who.cancel(&order_no).await;
                self.learn_move(&order_no, CANCELLED, &answer, &tally.cancelled).await;
            }
            (_, 8) => self.check_out(product, tally).await,
            _ => {
                let answer = self.who.buy(&product).await;
                self.learn_purchase(&answer, tally);
            }
        }
    }

    async fn check_out(&mut self, product: Product, tally: &Tally) {
        if !self.who.add_to_cart(&product, 1).await.is_accepted() {
            return;
        }
        let answer = self.who.checkout().await;
        if !answer.is_accepted() {
            self.learn_purchase(&answer, tally);
            return;
        }
        for order in answer.data.as_array().expect("a checkout answers orders") {
            tally.accepted.fetch_add(1, Ordering::Relaxed);
            self.promise(order["order_no"].as_str().expect("an order has a number"));
        }
    }

    /// What a purchase was answered.
    pub fn learn_purchase(&mut self, answer: &Answer, tally: &Tally) {
        let told = answer.data["order_no"].as_str().filter(|number| !number.is_empty());
        match answer.code {
            0 => {
                tally.accepted.fetch_add(1, Ordering::Relaxed);
                self.promise(told.unwrap_or_else(|| panic!("accepted without a number: {answer:?}")));
            }
            ALREADY_BOUGHT => {
                let told = told.unwrap_or_else(|| panic!("already bought, but what? {answer:?}"));
                if !self.promised.contains_key(told) {
                    assert!(self.unanswered > 0, "{} is told of {told}, which he never clicked for", self.who.username);
                    self.promise(told);
                }
            }
            // refused: nothing happened
            code if code > 10_000 => drop(tally.refused.fetch_add(1, Ordering::Relaxed)),
            NEVER_SENT => {}
            // no answer, or one that leaves it open
            _ => {
                self.unanswered += 1;
                tally.unanswered.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn promise(&mut self, order_no: &str) {
        // its deadline may pass before he pays
        self.promised.entry(order_no.to_owned()).or_insert_with(|| BTreeSet::from([UNPAID, CANCELLED]));
    }

    async fn learn_move(&mut self, order_no: &str, status: i64, answer: &Answer, done: &AtomicU64) {
        let may_be = self.promised.get_mut(order_no).expect("he knows the order");
        if answer.is_accepted() {
            assert!(may_be.contains(&status) || may_be.contains(&UNPAID), "{order_no} became {status} from {may_be:?}");
            *may_be = BTreeSet::from([status]);
            done.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if answer.code == NEVER_SENT {
            return;
        }
        if answer.code <= 10_000 {
            may_be.insert(status); // not answered: it may have happened
            return;
        }
        // refused: he looks at what the order is
        let seen = self.who.order(order_no).await;
        if let (true, Some(now)) = (seen.is_accepted(), seen.data["status"].as_i64()) {
            assert!(may_be.contains(&now), "{order_no} is {now}, but can only be {may_be:?}");
            if now != UNPAID {
                *may_be = BTreeSet::from([now]);
            }
        }
    }

    fn assert_promises_kept(&self, rows: &[OrderRow], products: u64) {
        let name = &self.who.username;
        for (order_no, may_be) in &self.promised {
            let row = rows.iter().find(|row| row.order_no == *order_no);
            let row = row.unwrap_or_else(|| panic!("order {order_no}, which {name} was promised, does not exist"));
            assert!(may_be.contains(&row.status), "{order_no} of {name} is {} and can only be {may_be:?}", row.status);
        }
        let unheard = rows.iter().filter(|row| !self.promised.contains_key(&row.order_no)).count() as u64;
        let possible = self.unanswered * products;
        assert!(unheard <= possible, "{name} has {unheard} orders that he never clicked for: {rows:?}");
    }

    /// A buyer whose click was never answered is not locked out: he can buy, or is shown what he has. An order may end
    /// between his click and his look; its units then come back within the time.
    pub async fn assert_not_locked_out(&mut self, product: &Product) {
        let until = Instant::now() + UNITS_COME_BACK;
        loop {
            let answer = self.who.buy(product).await;
            match answer.code {
                0 => return self.promise(answer.data["order_no"].as_str().expect("a number")),
                SOLD_OUT => return,
                ALREADY_BOUGHT => {
                    let order_no = answer.data["order_no"].as_str().expect("the order that he has");
                    if self.who.order_status(order_no).await != CANCELLED {
                        return;
                    }
                    assert!(Instant::now() < until, "{} is locked out by {order_no}", self.who.username);
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                TOO_FREQUENT if Instant::now() < until => tokio::time::sleep(Duration::from_millis(300)).await,
                _ => panic!("{} cannot buy: {answer:?}", self.who.username),
            }
        }
    }
}
