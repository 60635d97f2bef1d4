//! Stores to test, with the products and orders around them.

use std::cell::RefCell;
use std::sync::Arc;

use rushmall::config::{DatabaseSettings, Synchronous};
use rushmall::domain::ids::OrderNoSequence;
use rushmall::domain::stock::{Claim, OrderDetails, OrderLine, Pool, Quantity, Ticket, TicketKind};
use rushmall::domain::{BuyerId, Money, OrderNo, ProductId, Role};
use rushmall::persistence::carts::{CartChange, CartOwner, CartRejection, CartTerms, Ending, Taken, Taking};
use rushmall::persistence::placing::{self, OrderGroup, PlaceTerms};
use rushmall::persistence::products::{self, Attributes, NewProduct, STATUS_ON_SHELF};
use rushmall::persistence::users::{self, NewUser};
use rushmall::persistence::{CartStore, Db, RedisCarts, SqlCarts, SqlLedger, StockLedger};
use rushmall::redis_link::RedisLink;
use sea_orm::ConnectionTrait;

use crate::services::redis_links;

pub const NOW_MS: i64 = 1_795_000_000_000;
pub const LINES_MAX: u64 = 3;
pub const CUT_OFF_MS: i64 = 45_000;

/// A store with what it needs around it.
pub struct Bench {
    pub name: &'static str,
    pub carts: Box<dyn CartStore>,
    pub ledger: Arc<dyn StockLedger>,
    pub db: Db,
    numbers: RefCell<(OrderNoSequence, u128)>,
    _dir: tempfile::TempDir,
}

/// A bench for each store.
pub async fn stores() -> Vec<Bench> {
    let mut benches = vec![Bench::on("database", |db, _| Box::new(SqlCarts::new(db))).await];
    benches.extend(redis_stores().await);
    benches
}

/// Those in Redis only.
pub async fn redis_stores() -> Vec<Bench> {
    let mut benches = Vec::new();
    for (name, link) in redis_links().await {
        benches.push(Bench::on_redis(name, link).await);
    }
    benches
}

impl Bench {
    pub async fn on_redis(name: &'static str, link: RedisLink) -> Self {
        let terms = CartTerms { lines_max: LINES_MAX, cut_off_after_ms: CUT_OFF_MS };
        Self::on(name, |db, ledger| Box::new(RedisCarts::new(link, db, ledger, terms))).await
    }

    async fn on(name: &'static str, make: impl FnOnce(Db, Arc<dyn StockLedger>) -> Box<dyn CartStore>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let settings = DatabaseSettings { synchronous: Synchronous::Normal, ..DatabaseSettings::default() };
        let db = Db::connect(&settings, dir.path()).await.unwrap();
        db.migrate().await.unwrap();
        let ledger: Arc<dyn StockLedger> = Arc::new(SqlLedger::new(db.clone()));
        let carts = make(db.clone(), Arc::clone(&ledger));
        Self { name, carts, ledger, db, numbers: RefCell::new((OrderNoSequence::new(2), 1)), _dir: dir }
    }

    /// A product with so many units, in the books and at the gate.
    pub async fn product(&self, price_fen: i64, units: i64) -> ProductId {
        let new = NewProduct {
            name: "x".to_owned(),
            description: String::new(),
            category_id: 0,
            price: Money::from_fen(price_fen),
            image_url: String::new(),
            images: Vec::new(),
            attributes: Attributes::new(),
            status: STATUS_ON_SHELF,
        };
        let id = products::insert(&self.db, &new, NOW_MS).await.unwrap().unwrap();
        let update = format!("UPDATE stock SET put_in = {units}, free = {units} WHERE product_id = {id} AND pool = 0");
        self.db.writer().execute_unprepared(&update).await.unwrap();
        self.ledger.deposit(&format!("put in {id}"), id, Pool::Free, units, NOW_MS).await.unwrap();
        id
    }

    /// So many products with 10,000 units each.
    pub async fn products<const N: usize>(&self) -> [ProductId; N] {
        let mut made = [ProductId(0); N];
        for place in &mut made {
            *place = self.product(100, 10_000).await;
        }
        made
    }

    pub async fn user(&self, name: &str) -> CartOwner {
        let new = NewUser {
            username: name.to_owned(),
            email: None,
            phone: None,
            password_hash: "hash".to_owned(),
            role: Role::User,
        };
        CartOwner::User(users::insert(&self.db, &new, NOW_MS).await.unwrap().unwrap().id)
    }

    pub async fn add(&self, owner: &CartOwner, product: ProductId, units: i64) -> Result<i64, CartRejection> {
        self.add_at(owner, product, units, NOW_MS).await
    }

    pub async fn add_at(
        &self,
        owner: &CartOwner,
        product: ProductId,
        units: i64,
        now_ms: i64,
    ) -> Result<i64, CartRejection> {
        let quantity = Quantity::try_from(units).unwrap();
        self.carts.add(&CartChange { owner, product, quantity, lines_max: LINES_MAX }, now_ms).await.unwrap()
    }

    pub async fn set(&self, owner: &CartOwner, product: ProductId, units: i64) -> Result<i64, CartRejection> {
        let quantity = Quantity::try_from(units).unwrap();
        self.carts.set(&CartChange { owner, product, quantity, lines_max: LINES_MAX }, NOW_MS).await.unwrap()
    }

    /// Products and units, by product.
    pub async fn content(&self, owner: &CartOwner) -> Vec<(ProductId, i64)> {
        let mut lines = self.lines(owner, NOW_MS).await;
        lines.sort_unstable();
        lines
    }

    /// Products and units in the order of the cart.
    pub async fn lines(&self, owner: &CartOwner, now_ms: i64) -> Vec<(ProductId, i64)> {
        let cart = self.carts.load(owner, now_ms).await.unwrap();
        cart.lines.iter().map(|line| (line.product, line.quantity)).collect()
    }

    pub fn next_no(&self) -> OrderNo {
        let (sequence, random) = &mut *self.numbers.borrow_mut();
        *random = random.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835).wrapping_add(99);
        sequence.next(NOW_MS, *random)
    }

    /// Lines of a checkout under new numbers.
    pub fn wanted(&self, lines: &[(ProductId, i64)]) -> Vec<OrderLine> {
        let line = |(product, units): &(ProductId, i64)| {
            let quantity = Quantity::try_from(*units).unwrap();
            OrderLine { order_no: self.next_no(), product: *product, quantity }
        };
        lines.iter().map(line).collect()
    }

    /// Sets lines aside, which must succeed.
    pub async fn take(&self, owner: &CartOwner, lines: &[OrderLine]) -> Taking {
        match self.carts.take(owner, lines, NOW_MS).await.unwrap() {
            Taken::Aside(taking) => taking,
            other => panic!("not set aside: {other:?}"),
        }
    }

    pub async fn conclude(&self, taking: &Taking, ending: Ending) {
        self.carts.conclude(taking, ending, NOW_MS).await.unwrap();
    }

    /// Holds the units of a line for its order.
    pub async fn reserve(&self, owner: &CartOwner, line: &OrderLine) -> Ticket {
        let CartOwner::User(buyer) = owner else { panic!("a guest orders nothing") };
        let claim = Claim {
            order_no: line.order_no,
            buyer: *buyer,
            product: line.product,
            pool: Pool::Free,
            quantity: line.quantity,
            unit_price: Money::from_fen(100),
            kind: TicketKind::Prepared,
            details: OrderDetails::default(),
        };
        self.ledger.reserve(line.product, &[claim], NOW_MS).await.unwrap().pop().unwrap().unwrap()
    }

    /// Writes the orders of reserved lines.
    pub async fn place(&self, tickets: Vec<Ticket>) {
        let group = OrderGroup { tickets, atomic: true, clears_cart_of: None };
        placing::place(&self.db, &[group], PlaceTerms { pay_deadline_ms: 60_000 }, NOW_MS).await.unwrap();
    }
}

pub fn buyer(owner: &CartOwner) -> BuyerId {
    match owner {
        CartOwner::User(buyer) => *buyer,
        CartOwner::Guest(token) => panic!("{token} is a guest"),
    }
}

pub fn guest(token: &str) -> CartOwner {
    CartOwner::Guest(token.to_owned())
}
