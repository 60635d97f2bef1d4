//! Redis forgets all accounts in the middle of a sale: what is rebuilt from the database promises no unit twice and gives
//! no buyer more than his limit, wherever the tickets of the lost account are at that moment.

use std::time::Duration;

use futures::future::join_all;
use rushmall::actors::order_writer::{THE_WRITER, WriteOrders};
use rushmall::actors::shop::Shop;
use rushmall::config::{RedisSettings, Settings};
use rushmall::domain::stock::{Claim, ClaimRejection, OrderDetails, Pool, Quantity, Ticket, TicketKind};
use rushmall::domain::{BuyerId, Money, OrderNo, ProductId, SaleId};
use rushmall::persistence::Db;
use rushmall::persistence::placing::OrderGroup;
use rushmall::persistence::stock_moves::{self, MoveDone, StockPlan};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};

use crate::cluster::{Cluster, OwnRedis, Services, Shared, number, on_each_database};
use crate::support::client::{Answer, Person};
use crate::support::verbs::{Product, Sale};

const FAILED: i64 = 8;
const UNPAID: i64 = 1;
const BUSY: i64 = 60_011;
const PATIENCE: Duration = Duration::from_secs(15);

/// Nodes on a Redis that only this test has.
async fn forgetful(
    services: &Services,
    database: &str,
    count: u8,
    change: impl Fn(&mut Settings),
) -> (OwnRedis, Cluster) {
    let redis = OwnRedis::start().await;
    let mut shared = Shared::new(services, database).await;
    shared.redis = RedisSettings { url: redis.url(), ..shared.redis };
    (redis, Cluster::with(shared, count, change))
}

async fn count(db: &Db, condition: &str) -> i64 {
    number(db, &format!("SELECT COUNT(*) AS n FROM orders WHERE {condition}")).await
}

#[tokio::test]
async fn r16_tickets_in_the_queue_are_counted_though_no_order_of_the_product_was_ever_written() {
    on_each_database(|services, database| async move {
        // One ticket a delivery: while one is written the others still wait in the queue.
        let one_by_one = |settings: &mut Settings| settings.orders.batch_tickets_max = 1;
        let (redis, cluster) = forgetful(&services, &database, 1, one_by_one).await;
        let admin = cluster.admin().await;
        let (product, _) = admin.make_sale("the first instant", 6).await;
        let buyers = admin.make_buyers(18, "instant").await;
        let (early, late) = buyers.split_at(4);
        admin.command_actor("order_writer", "0", "pause").await.accepted();
        let answers = join_all(early.iter().map(|buyer| buyer.buy(&product))).await;
        assert!(answers.iter().all(|answer| answer.is_accepted()), "{answers:?}");
        redis.flush();
        let db = cluster.shared.schema.db().await;
        assert_eq!(count(&db, "1 = 1").await, 0, "all of them are on their way");
        let writing = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            admin.command_actor("order_writer", "0", "resume").await.accepted();
        };
        let clicking = late.iter().map(|buyer| until_answered(buyer, &product));
        let (accepted, ()) = futures::join!(join_all(clicking), writing);
        assert_eq!(accepted.into_iter().filter(|accepted| *accepted).count(), 2, "six units, four of them promised");
        cluster.until(&db, "SELECT COUNT(*) AS n FROM orders", 6).await;
        assert_eq!(count(&db, &format!("status = {FAILED}")).await, 0);
        db.close().await;
    })
    .await;
}

/// Clicks until he is told yes or no; true if yes.
async fn until_answered(buyer: &Person, product: &Product) -> bool {
    let started = std::time::Instant::now();
    loop {
        let answer = buyer.buy(product).await;
        if answer.is_accepted() || (answer.code == 60_003 && started.elapsed() > Duration::from_secs(1)) {
            return answer.is_accepted();
        }
        assert!(started.elapsed() < PATIENCE, "{answer:?}");
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}

/// A ticket that the ledger has accepted and that is on no way that a rebuild can see, as if another node held it.
async fn accepted(shop: &Shop, buyer: &Person, product: &Product, sale: &Sale) -> Ticket {
    let claim = || Claim {
        order_no: shop.numbers.next(),
        buyer: BuyerId(buyer.user_id),
        product: ProductId(product.id),
        pool: Pool::from(sale.id),
        quantity: Quantity::ONE,
        unit_price: Money::from_fen(990),
        kind: TicketKind::Owed,
        details: OrderDetails::default(),
    };
    for _ in 0..20 {
        let answers = shop.ledger.reserve(ProductId(product.id), &[claim()], shop.clock.now_ms()).await;
        match answers.expect("the ledger answers").pop().expect("one answer") {
            Err(ClaimRejection::Withdrawn) => tokio::time::sleep(Duration::from_millis(5)).await,
            answer => return answer.expect("there are units"),
        }
    }
    panic!("number after number is from before the rebuild");
}

/// Buys; the number of a click from before the rebuild is not taken, which is told as "busy".
async fn bought(buyer: &Person, product: &Product) -> OrderNo {
    let mut answer = buyer.buy(product).await;
    for _ in 0..20 {
        if answer.code != BUSY {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        answer = buyer.buy(product).await;
    }
    answer.order_no().parse().expect("a number")
}

async fn until_written(who: &Person, order_no: OrderNo) -> i64 {
    let started = std::time::Instant::now();
    loop {
        let answer = who.order(&order_no.to_string()).await;
        let status = answer.data["status"].as_i64().unwrap_or_default();
        if answer.is_accepted() && status != 0 {
            return status;
        }
        assert!(started.elapsed() < PATIENCE, "{answer:?}");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

#[tokio::test]
async fn r16_stock_is_set_though_redis_forgot_the_account_that_it_is_compared_with() {
    on_each_database(|services, database| async move {
        let (redis, cluster) = forgetful(&services, &database, 1, |_| {}).await;
        let admin = cluster.admin().await;
        let (product, sale) = admin.make_sale("set anew", 4).await;
        let Shop { db, ledger, clock, numbers, .. } = cluster.nodes[0].inside();
        let (id, sale) = (ProductId(product.id), SaleId(sale.id));
        let plans = [
            (StockPlan::SetFree { units: 9 }, 9),
            (StockPlan::SetSale { sale, units: 6 }, 2),
            (StockPlan::SetFree { units: 0 }, -7),
        ];
        for (plan, moved) in plans {
            redis.flush();
            // The move compares with the account while it holds the rows that a rebuild of the account needs.
            let done = stock_moves::run(db, &**ledger, &numbers.next().to_string(), id, plan, clock.now_ms()).await;
            assert_eq!(done.expect("the stores answer"), Ok(MoveDone { units: moved }), "{plan:?}");
        }
        let known = ledger.snapshot(id).await.expect("the ledger answers");
        assert_eq!((known.free(Pool::Free), known.free(Pool::Sale(sale))), (0, 6));
    })
    .await;
}

#[tokio::test]
async fn r16_a_ticket_of_a_lost_account_that_comes_late_does_not_break_its_buyers_limit() {
    on_each_database(|services, database| async move {
        // No sweep publishes what is held back.
        let unswept = |settings: &mut Settings| settings.orders.ticket_orphan_after_ms = 600_000;
        let (redis, cluster) = forgetful(&services, &database, 1, unswept).await;
        let admin = cluster.admin().await;
        let (product, sale) = admin.make_sale("late tickets", 9).await;
        let (ann, bob) =
            (cluster.nodes[0].visitor().register("ann").await, cluster.nodes[0].visitor().register("bob").await);
        let shop = cluster.nodes[0].inside();
        let db = cluster.shared.schema.db().await;

        // he bought again before the late one came
        let late = accepted(shop, &ann, &product, &sale).await;
        redis.flush();
        let second = bought(&ann, &product).await;
        assert_eq!(until_written(&ann, second).await, UNPAID);
        shop.queue.publish(std::slice::from_ref(&late)).await.expect("published");
        let order_no = late.claim.order_no;
        assert_eq!(until_written(&ann, order_no).await, FAILED);
        let order = ann.order(&order_no.to_string()).await.accepted();
        assert_eq!(order["end_reason"], "over_limit", "{order}");
        let told = ann.buy_result(&order_no.to_string()).await.accepted();
        assert_eq!((&told["status"], &told["reason"]), (&json!("failed"), &json!("over_limit")));

        // the late one came between his second promise and its order
        let late = accepted(shop, &bob, &product, &sale).await;
        redis.flush();
        let again = accepted(shop, &bob, &product, &sale).await;
        shop.queue.publish(std::slice::from_ref(&late)).await.expect("published");
        assert_eq!(until_written(&bob, late.claim.order_no).await, UNPAID);
        shop.queue.publish(std::slice::from_ref(&again)).await.expect("published");
        assert_eq!(until_written(&bob, again.claim.order_no).await, FAILED);

        for buyer in [&ann, &bob] {
            assert_eq!(count(&db, &format!("user_id = {} AND status = {UNPAID}", buyer.user_id)).await, 1);
            let mut again = buyer.buy(&product).await;
            while again.code == BUSY {
                again = buyer.buy(&product).await; // the ledger has just heard of the late order
            }
            again.rejected(60_004);
        }
        // what failed holds no unit: seven others have theirs
        let others = admin.make_buyers(8, "others").await;
        let mut sold = 0;
        for other in &others {
            sold += i64::from(until_answered(other, &product).await);
        }
        assert_eq!(sold, 7);
        cluster.until(&db, &format!("SELECT COUNT(*) AS n FROM orders WHERE status = {UNPAID}"), 9).await;
        db.close().await;
    })
    .await;
}

/// Redis forgets everything between a request whose outcome nobody knows and its repeat. What the request gave to an
/// order writer is written only then.
async fn repeated_after_a_loss(
    (redis, cluster, db, products): (&OwnRedis, &Cluster, &Db, &[Product]),
    buyer: &Person,
    ask: impl AsyncFn() -> Answer,
    wish_again: impl AsyncFn(),
    orders: i64,
) {
    let (admin, shop) = (cluster.admin().await, cluster.nodes[0].inside());
    let before = count(db, "1 = 1").await;
    for product in products {
        shop.ledger.snapshot(ProductId(product.id)).await.expect("rebuilt after the last loss");
    }
    tokio::time::sleep(Duration::from_millis(20)).await; // numbers made from here on are new to these accounts
    admin.command_actor("order_writer", "0", "pause").await.accepted();
    ask().await.with_status(503);
    let tickets = tickets_of_key(shop, db, buyer).await;
    assert_eq!(tickets.len() as i64, orders);
    redis.flush();
    wish_again().await;
    for _ in 0..3 {
        ask().await.with_status(503);
    }
    assert_eq!(count(db, "1 = 1").await, before, "nothing was written meanwhile");
    admin.command_actor("order_writer", "0", "resume").await.accepted();
    let groups = vec![OrderGroup { tickets, atomic: true, clears_cart_of: None }];
    shop.writer.ask(&THE_WRITER, WriteOrders { groups }, PATIENCE).await.expect("the writer answers");
    let answer = until_done(&ask).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let told = answer.as_array().map_or(1, Vec::len);
    assert_eq!((told as i64, count(db, &format!("user_id = {}", buyer.user_id)).await), (orders, orders));
}

/// The units that the buyer's only key holds.
async fn tickets_of_key(shop: &Shop, db: &Db, buyer: &Person) -> Vec<Ticket> {
    let sql = format!("SELECT order_nos FROM idempotency_keys WHERE user_id = {}", buyer.user_id);
    let row = db.reader().query_one_raw(Statement::from_string(db.backend(), sql)).await.expect("the database answers");
    let numbers: String = row.expect("a key").try_get("", "order_nos").expect("numbers");
    let mut tickets = Vec::new();
    for number in numbers.split(',').filter_map(|number| number.get(..26)) {
        let found = shop.ledger.find(number.parse().expect("a number"), None).await.expect("the ledger answers");
        tickets.extend(found.map(|record| record.ticket));
    }
    tickets
}

async fn until_done(ask: impl AsyncFn() -> Answer) -> Value {
    let started = std::time::Instant::now();
    loop {
        let answer = ask().await;
        if answer.is_accepted() {
            return answer.data;
        }
        assert!(started.elapsed() < PATIENCE && answer.status == 503, "{answer:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn r3_r16_a_repeat_after_redis_forgot_makes_no_second_set_of_orders() {
    on_each_database(|services, database| async move {
        let short = |settings: &mut Settings| {
            settings.actors.ask_timeout_ms = 3_000;
            settings.orders.prepared_expires_ms = 60_000;
        };
        let (redis, cluster) = forgetful(&services, &database, 1, short).await;
        let admin = cluster.admin().await;
        let db = cluster.shared.schema.db().await;
        let mut products = Vec::new();
        for name in ["one", "two", "three"] {
            products.push(admin.make_product(name, 9.9, 9).await);
        }
        let around = (&redis, &cluster, &db, &*products);
        let visitor = cluster.nodes[0].visitor();
        let ann = visitor.register("ann").await;
        let order = async || ann.place_order_once(&products[0], 1, "order").await;
        repeated_after_a_loss(around, &ann, order, async || {}, 1).await;

        // the cart was forgotten as well, and is filled again: as it was, or otherwise
        for (name, again) in [("bob", [1, 2]), ("carl", [0, 2])] {
            let buyer = visitor.register(name).await;
            let fill = async |lines: [usize; 2]| {
                for at in lines {
                    buyer.add_to_cart(&products[at], 1).await.accepted();
                }
            };
            fill([1, 2]).await;
            let checkout = async || buyer.checkout_once("checkout").await;
            repeated_after_a_loss(around, &buyer, checkout, async || fill(again).await, 2).await;
        }
        // or left as it is: empty
        let dora = visitor.register("dora").await;
        dora.add_to_cart(&products[1], 2).await.accepted();
        let checkout = async || dora.checkout_once("checkout").await;
        repeated_after_a_loss(around, &dora, checkout, async || {}, 1).await;
        db.close().await;
    })
    .await;
}
