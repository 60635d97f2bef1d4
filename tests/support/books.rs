//! The shop's books read straight from its database, beside the code under test.
//!
//! Plain SQL on purpose: a test that asked the shop's own functions would share their mistakes. A gate outside the
//! database is read through its port, without anything in front that mends it; `rushmall check`, which reads the same,
//! and the contract of the ledgers hold that.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rushmall::config::{DatabaseSettings, Setup, Synchronous};
use rushmall::domain::{BuyerId, ProductId};
use rushmall::persistence::carts::{CartOwner, CartTerms};
use rushmall::persistence::{CartStore, Db, RedisCarts, StockLedger, StoreError, open_bare_ledger};
use rushmall::redis_link::RedisLink;
use sea_orm::{ConnectionTrait, DbBackend, Statement};

/// How long a shop may take to come to rest.
const REST_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What of a shop is not finished.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unfinished {
    /// Tickets without an order.
    pub tickets: i64,
    /// Owed effects; not those that only watch whether somebody pays.
    pub effects: i64,
    /// Commits that were not told.
    pub outbox: i64,
    /// Payments and refunds that are no leaves yet.
    pub unlogged: i64,
    /// Moves of stock that are not at their end.
    pub moves: i64,
    /// Tickets that were given up.
    pub dead_tickets: i64,
    /// Orders that wait for a human.
    pub reviews: i64,
}

/// Units of one pool: `put_in` = `free` + `held` + `sold`, and what the gate would still sell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Units {
    /// 0 is the free pool.
    pub pool: i64,
    pub put_in: i64,
    pub free: i64,
    pub held: i64,
    pub sold: i64,
    /// Units of orders that hold them, and of those that have them, at the same moment.
    pub held_by_orders: i64,
    pub sold_by_orders: i64,
    /// `None`: the ledger does not know the pool.
    pub gate: Option<i64>,
}

/// An order as it lies in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderRow {
    pub order_no: String,
    pub user_id: i64,
    pub product_id: i64,
    pub quantity: i64,
    pub status: i64,
    pub version: i64,
}

/// A second pair of eyes on a shop's database and gate.
#[derive(Clone)]
pub struct Books {
    db: Db,
    ledger: Arc<dyn StockLedger>,
    /// Where ledger and carts are if they are not in the database.
    redis: Option<RedisLink>,
}

impl Books {
    /// Opens the books of a shop, running or not.
    pub async fn open(setup: &Setup) -> Self {
        let url = setup.settings.database.url.clone();
        let settings =
            DatabaseSettings { url, synchronous: Synchronous::Normal, connections_max: 2, ..Default::default() };
        let db = Db::connect(&settings, &setup.data_dir).await.expect("the shop's database opens");
        let ledger = open_bare_ledger(&setup.settings, &db).await.expect("the shop's ledger opens");
        let redis = match setup.settings.is_cluster() {
            true => Some(RedisLink::connect(&setup.settings.redis).await.expect("the shop's Redis answers")),
            false => None,
        };
        Self { db, ledger, redis }
    }

    /// Reads through the same handle.
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// Lets the file go.
    pub async fn close(self) {
        self.db.close().await;
    }

    /// The number that `sql` selects in its first column, named `n`.
    pub async fn count(&self, sql: &str) -> i64 {
        let sql = format!("SELECT {} FROM ({sql}) counted", self.number("n"));
        let statement = Statement::from_string(self.db.backend(), sql);
        let row = self.db.reader().query_one_raw(statement).await.expect("the books can be read");
        row.expect("a count has a row").try_get("", "n").expect("the column is called n")
    }

    /// A column as a number of 64 bits: engines sum up to other types.
    fn number(&self, column: &str) -> String {
        let kind = if self.db.backend() == DbBackend::MySql { "SIGNED" } else { "BIGINT" };
        format!("CAST({column} AS {kind}) AS {column}")
    }

    /// Tickets that are not settled.
    pub async fn tickets(&self) -> i64 {
        if !self.ledger.is_shared() {
            return self.count("SELECT COUNT(*) AS n FROM ledger_tickets WHERE state IN (0, 1)").await;
        }
        let mut count = 0;
        for product_id in self.products().await {
            count += self.ledger.unsettled(ProductId(product_id)).await.expect("the ledger can be read").len();
        }
        i64::try_from(count).expect("a count")
    }

    /// Makes the ticket of an order one that cannot be read.
    pub async fn spoil_ticket(&self, product_id: i64, order_no: &str) {
        let Some(redis) = &self.redis else {
            let sql = format!("UPDATE ledger_tickets SET details = 'not JSON at all' WHERE order_no = '{order_no}'");
            self.db.writer().execute_unprepared(&sql).await.expect("the books can be tampered with");
            return;
        };
        let tickets = redis.key(&format!("{{p{product_id}}}:tickets"));
        let mut get = redis::cmd("HGET");
        let ticket: String = redis.query(get.arg(&tickets).arg(order_no)).await.expect("the ticket is there");
        let mut set = redis::cmd("HSET");
        set.arg(&tickets).arg(order_no).arg(format!("{ticket}?"));
        redis.query::<()>(&set).await.expect("the books can be tampered with");
    }

    /// Lets a pool of a ledger in Redis have so many units more than there are.
    pub async fn invent_units(&self, product_id: i64, pool: i64, units: i64) {
        let redis = self.redis.as_ref().expect("the ledger is outside the database");
        let mut add = redis::cmd("HINCRBY");
        add.arg(redis.key(&format!("{{p{product_id}}}:pools"))).arg(format!("f{pool}")).arg(units);
        let left: i64 = redis.query(&add).await.expect("the books can be tampered with");
        assert!(left > units, "there was such a pool");
    }

    /// Makes a ledger in Redis forget the product's account, as a Redis does that lost its data.
    pub async fn lose_account(&self, product_id: i64) {
        let redis = self.redis.as_ref().expect("the ledger is outside the database");
        let names = ["meta", "pools", "buyers", "tickets", "ages", "marks", "gone", "steps", "step-ages"];
        let keys = names.map(|name| redis.key(&format!("{{p{product_id}}}:{name}")));
        let lost: i64 = redis.query(&redis::Cmd::del(&keys)).await.expect("the books can be tampered with");
        assert!(lost > 0, "there was an account");
    }

    /// What is not finished now.
    pub async fn unfinished(&self) -> Unfinished {
        Unfinished {
            tickets: self.tickets().await,
            effects: self.count("SELECT COUNT(*) AS n FROM effects WHERE kind <> 'watch_payment'").await,
            outbox: self.count("SELECT COUNT(*) AS n FROM outbox").await,
            unlogged: self.count("SELECT COUNT(*) AS n FROM money_log_owed").await,
            moves: self.count(&format!("SELECT COUNT(*) AS n FROM stock_moves WHERE step < {MOVE_ENDED}")).await,
            dead_tickets: self.count("SELECT COUNT(*) AS n FROM dead_tickets").await,
            reviews: self.count("SELECT COUNT(*) AS n FROM orders WHERE review <> ''").await,
        }
    }

    /// Waits until the looks for payments that were due by then are over.
    pub async fn has_looked(&self, now_ms: i64) {
        let until = Instant::now() + REST_WITHIN;
        let due = format!("SELECT COUNT(*) AS n FROM effects WHERE due_at_ms <= {now_ms}");
        while self.count(&due).await > 0 && Instant::now() < until {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until nothing is on its way any more; dead letters and reviews do not go away by waiting.
    pub async fn at_rest(&self) -> Unfinished {
        let until = Instant::now() + REST_WITHIN;
        loop {
            let left = self.unfinished().await;
            let moving = left.tickets + left.effects + left.outbox + left.unlogged + left.moves;
            if moving == 0 || Instant::now() > until {
                return left;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// All pools of a product.
    pub async fn units(&self, product_id: i64) -> Vec<Units> {
        let columns = ["pool", "put_in", "free", "held", "sold", "held_by_orders", "sold_by_orders"];
        let columns = columns.map(|name| self.number(name)).join(", ");
        let by_orders = |statuses: &str| {
            format!(
                "(SELECT COALESCE(SUM(quantity), 0) FROM orders \
                 WHERE product_id = {product_id} AND orders.pool = stock.pool AND status IN ({statuses}))"
            )
        };
        // one statement sees one moment: deadlines fire while the books are read
        let (held, sold) = (by_orders("1, 9"), by_orders("2, 3, 4"));
        let seen = format!("SELECT stock.*, {held} AS held_by_orders, {sold} AS sold_by_orders FROM stock");
        let sql = format!("SELECT {columns} FROM ({seen} WHERE product_id = {product_id}) seen ORDER BY pool");
        let rows = self.db.reader().query_all_raw(Statement::from_string(self.db.backend(), sql)).await;
        let rows = rows.expect("the books can be read");
        let gates = self.gates(product_id).await;
        let column = |row: &sea_orm::QueryResult, name: &str| row.try_get("", name).expect("a number");
        rows.iter()
            .map(|row| Units {
                pool: column(row, "pool"),
                put_in: column(row, "put_in"),
                free: column(row, "free"),
                held: column(row, "held"),
                sold: column(row, "sold"),
                held_by_orders: column(row, "held_by_orders"),
                sold_by_orders: column(row, "sold_by_orders"),
                gate: gates.get(&column(row, "pool")).copied(),
            })
            .collect()
    }

    /// What the gate would sell, by pool.
    async fn gates(&self, product_id: i64) -> BTreeMap<i64, i64> {
        if self.ledger.is_shared() {
            let pools = match self.ledger.snapshot(ProductId(product_id)).await {
                Err(StoreError::LedgerLost { .. }) => Vec::new(),
                known => known.expect("the ledger can be read").pools,
            };
            return pools.into_iter().map(|known| (i64::from(known.pool), known.free)).collect();
        }
        let sql = format!("SELECT pool, free FROM ledger_pools WHERE product_id = {product_id}");
        let rows = self.db.reader().query_all_raw(Statement::from_string(self.db.backend(), sql)).await;
        let column = |row: &sea_orm::QueryResult, name: &str| row.try_get("", name).expect("a number");
        rows.expect("the books can be read").iter().map(|row| (column(row, "pool"), column(row, "free"))).collect()
    }

    /// Every product that ever had units.
    pub async fn products(&self) -> Vec<i64> {
        let sql = "SELECT DISTINCT product_id AS n FROM stock ORDER BY n";
        let rows = self.db.reader().query_all_raw(Statement::from_string(self.db.backend(), sql)).await;
        rows.expect("the books can be read").iter().map(|row| row.try_get("", "n").expect("an id")).collect()
    }

    /// Every order of a product, by number.
    pub async fn orders(&self, product_id: i64) -> Vec<OrderRow> {
        let sql = format!(
            "SELECT order_no, {} FROM orders WHERE product_id = {product_id} ORDER BY order_no",
            ["user_id", "product_id", "quantity", "status", "version"].map(|name| self.number(name)).join(", ")
        );
        let rows = self.db.reader().query_all_raw(Statement::from_string(self.db.backend(), sql)).await;
        let number = |row: &sea_orm::QueryResult, name: &str| row.try_get::<i64>("", name).expect("a number");
        rows.expect("the books can be read")
            .iter()
            .map(|row| OrderRow {
                order_no: row.try_get("", "order_no").expect("a text"),
                user_id: number(row, "user_id"),
                product_id: number(row, "product_id"),
                quantity: number(row, "quantity"),
                status: number(row, "status"),
                version: number(row, "version"),
            })
            .collect()
    }

    /// Sums of everything that a refused request must leave alone; the ledger's tickets first.
    pub async fn footprint(&self) -> Vec<i64> {
        let mut counts = match self.ledger.is_shared() {
            true => vec![self.tickets().await],
            false => vec![self.count("SELECT COUNT(*) AS n FROM ledger_tickets").await],
        };
        for sql in [
            "SELECT COUNT(*) AS n FROM orders",
            "SELECT COALESCE(SUM(version + 0), 0) AS n FROM orders",
            "SELECT COUNT(*) AS n FROM order_events",
            "SELECT COUNT(*) AS n FROM products",
            "SELECT COUNT(*) AS n FROM users",
            "SELECT COUNT(*) AS n FROM sales",
            "SELECT COALESCE(SUM(free), 0) AS n FROM stock",
            "SELECT COALESCE(SUM(put_in), 0) AS n FROM stock",
            "SELECT COUNT(*) AS n FROM payments",
            "SELECT COUNT(*) AS n FROM refunds",
        ] {
            counts.push(self.count(sql).await);
        }
        for product_id in self.products().await {
            counts.extend(self.gates(product_id).await.into_values());
        }
        counts.extend(self.carts().await);
        counts
    }

    /// Lines in carts of users, and their units.
    async fn carts(&self) -> [i64; 2] {
        let Some(redis) = &self.redis else {
            let lines = self.count("SELECT COUNT(*) AS n FROM cart_items").await;
            return [lines, self.count("SELECT COALESCE(SUM(quantity), 0) AS n FROM cart_items").await];
        };
        let terms = CartTerms { lines_max: 1_000, cut_off_after_ms: i64::MAX };
        let carts = RedisCarts::new(redis.clone(), self.db.clone(), Arc::clone(&self.ledger), terms);
        let users = self.db.reader().query_all_raw(Statement::from_string(self.db.backend(), "SELECT id FROM users"));
        let mut sums = [0, 0];
        for user in users.await.expect("the books can be read") {
            let owner = CartOwner::User(BuyerId(user.try_get("", "id").expect("an id")));
            for line in carts.load(&owner, 0).await.expect("the cart can be read").lines {
                sums = [sums[0] + 1, sums[1] + line.quantity];
            }
        }
        sums
    }

    /// Every product at rest: put in = free + held + sold, nothing negative, the gate sells exactly what is free.
    pub async fn assert_conserved(&self) {
        for product_id in self.products().await {
            self.assert_stock_conserved(product_id).await;
        }
    }

    /// All pools of a product once the gate agrees: a request that was cut off at the client may still take units after
    /// a first look. What never agrees is answered as it is.
    async fn settled_units(&self, product_id: i64) -> Vec<Units> {
        let until = Instant::now() + REST_WITHIN;
        loop {
            let units = self.units(product_id).await;
            if units.iter().all(|units| units.gate == Some(units.free)) || Instant::now() > until {
                return units;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The same for one product, and its living orders hold and have exactly the units that the rows say.
    pub async fn assert_stock_conserved(&self, product_id: i64) {
        for units in self.settled_units(product_id).await {
            let Units { pool, put_in, free, held, sold, held_by_orders, sold_by_orders, gate } = units;
            assert_eq!(put_in, free + held + sold, "product {product_id} pool {pool} does not add up: {units:?}");
            assert!(free >= 0 && held >= 0 && sold >= 0, "product {product_id} pool {pool}: {units:?}");
            assert_eq!(gate, Some(free), "the gate of product {product_id} pool {pool} is not what is free: {units:?}");
            assert_eq!(held, held_by_orders, "product {product_id} pool {pool}: units held without order");
            assert!(sold >= sold_by_orders, "product {product_id} pool {pool}: orders without units {units:?}");
        }
    }
}

/// `stock_moves.step` of a move that is done or refused.
const MOVE_ENDED: i64 = 3;
