//! R63: one node after the other is upgraded. Two releases cannot run here, there is one binary; so it plays the older
//! one on a schema of a later release, and the newer one on what an older release left in the queue and the tables.

use std::time::{Duration, Instant};

use futures::StreamExt;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, Consumer};
use rushmall::clock::Clock;
use rushmall::domain::stock::{Claim, OrderDetails, Pool, TicketKind};
use rushmall::domain::{BuyerId, Money, OrderNo, ProductId, Quantity};
use rushmall::messaging::domain_event::EventMessage;
use rushmall::persistence::{Db, open_bare_ledger};
use rushmall::random::OrderNumbers;
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use serde_json::json;

use crate::cluster::{Cluster, Node, Shared, on_each_database, sql};
use crate::support::client::Person;
use crate::support::ground::Ground;
use crate::support::process::ShopProcess;
use crate::support::verbs::Product;

const PATIENCE: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(20);
const PENDING: i64 = 1;
const COMPLETED: i64 = 4;
const CANCELLED: i64 = 5;
const REFUNDED: i64 = 7;

/// All tables of the database.
async fn tables(db: &Db) -> Vec<String> {
    let schema = if db.backend() == DbBackend::MySql { "DATABASE()" } else { "'public'" };
    let cast = if db.backend() == DbBackend::MySql { "CHAR" } else { "TEXT" };
    let sql = format!(
        "SELECT CAST(table_name AS {cast}) AS t FROM information_schema.tables WHERE table_schema = {schema} ORDER BY 1"
    );
    let rows = db.reader().query_all_raw(Statement::from_string(db.backend(), sql)).await.expect("the tables");
    rows.iter().map(|row| row.try_get("", "t").expect("a name")).filter(|name| name != "seaql_migrations").collect()
}

/// What a later release does to the schema by the rules of `migrations`: every table gets columns.
async fn upgrade(db: &Db) {
    let tables = tables(db).await;
    assert!(tables.len() > 15, "the tables are found: {tables:?}");
    for table in tables {
        sql(db, &format!("ALTER TABLE {table} ADD COLUMN later_number BIGINT NOT NULL DEFAULT 7")).await;
        sql(db, &format!("ALTER TABLE {table} ADD COLUMN later_text VARCHAR(20) NULL")).await;
    }
    sql(db, "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_later', 1)").await;
}

/// Whatever people do in a shop, at one node.
async fn a_day_at(shop: &ShopProcess, day: &str) {
    let admin = shop.admin().await;
    let (product, sale) = admin.make_sale(day, 20).await;
    let ann = shop.register(&format!("ann-{day}")).await;
    let bought = ann.buy(&product).await.order_no();
    ann.pay(&bought).await.accepted();
    admin.ship(&bought).await.accepted();
    ann.confirm(&bought).await.accepted();
    assert_eq!(ann.order_status(&bought).await, COMPLETED, "{day}");
    admin.close_sale(&sale).await.accepted();
    admin.set_stock(&product, 30).await.accepted();

    let address = json!({ "receiver": "Ann", "phone": "13800000000", "province": "上海", "city": "上海",
        "district": "黄浦", "detail": "1 号" });
    ann.post("/api/user/address", &address).await.accepted();
    let cancelled = ann.place_order_once(&product, 2, day).await.order_no();
    assert_eq!(ann.place_order_once(&product, 2, day).await.order_no(), cancelled);
    ann.cancel(&cancelled).await.accepted();
    assert_eq!(ann.order_status(&cancelled).await, CANCELLED, "{day}");
    ann.add_to_cart(&product, 3).await.accepted();
    let ordered = ann.checkout().await.accepted();
    let refunded = ordered[0]["order_no"].as_str().unwrap_or_else(|| panic!("no order in {ordered}"));
    ann.pay(refunded).await.accepted();
    admin.refund(refunded).await.accepted();
    let until = Instant::now() + PATIENCE;
    while ann.order_status(refunded).await != REFUNDED {
        assert!(Instant::now() < until, "{day}: the money does not go back");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    ann.log_in(&ann.username, &format!("ann-{day}-2026")).await;
    assert_eq!(ann.orders().await.len(), 3, "{day}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r63_a_later_schema_breaks_neither_a_node_that_runs_nor_one_that_starts() {
    on_each_database(|services, database| async move {
        let mut first = ShopProcess::prepare_on(Ground::on(&database, &services.redis, &services.amqp).await);
        first.start().await;
        a_day_at(&first, "before").await;
        let books = first.books().await;
        upgrade(books.db()).await;
        a_day_at(&first, "after").await;
        let mut second = first.beside(1);
        second.start().await;
        a_day_at(&second, "second").await;
        first.kill_and_restart().await;
        a_day_at(&first, "again").await;
        books.close().await;
        first.assert_clean().await;
    })
    .await;
}

/// What an older release put into the queue: the shortest of its messages, and one with what is unknown here.
fn old_message(order_no: OrderNo, buyer: i64, product: &Product, at_ms: i64) -> String {
    format!(
        r#"{{"version":1,"gone":true,"tickets":[{{"no":"{order_no}","b":{buyer},"p":{},"pool":0,"q":2,"fen":990,
        "k":"owed","at":{at_ms},"gone":[1]}}]}}"#,
        product.id
    )
}

/// Units of a claim are taken at the gate, as by a node that dies before it publishes the ticket.
async fn taken(shared: &Shared, db: &Db, buyer: i64, product: &Product) -> OrderNo {
    let clock = Clock::default();
    let ledger = open_bare_ledger(&shared.settings(3), db).await.expect("the ledger opens");
    let order_no = OrderNumbers::new(clock.clone(), 3).next();
    let claim = Claim {
        order_no,
        buyer: BuyerId(buyer),
        product: ProductId(product.id),
        pool: Pool::Free,
        quantity: Quantity::try_from(2).expect("a quantity"),
        unit_price: Money::from_fen(990),
        kind: TicketKind::Owed,
        details: OrderDetails::default(),
    };
    let answers = ledger.reserve(claim.product, &[claim], clock.now_ms()).await.expect("the ledger answers");
    answers.into_iter().next().expect("an answer").expect("units are there");
    order_no
}

async fn listen(channel: &Channel, prefix: &str, kind: &str) -> Consumer {
    let declared = channel.queue_declare("".into(), QueueDeclareOptions::exclusive(), FieldTable::default()).await;
    let own = declared.expect("a queue").name().clone();
    let (exchange, bind) = (format!("{prefix}.events"), QueueBindOptions::default());
    let bound = channel.queue_bind(own.clone(), exchange.into(), kind.into(), bind, FieldTable::default()).await;
    bound.expect("bound");
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    channel.basic_consume(own, "listener".into(), options, FieldTable::default()).await.expect("listening")
}

async fn until_status(who: &Person, order_no: OrderNo, status: i64) {
    let until = Instant::now() + PATIENCE;
    loop {
        let answer = who.order(&order_no.to_string()).await;
        if answer.is_accepted() && answer.data["status"] == status {
            return;
        }
        assert!(Instant::now() < until, "{order_no} is not {status}: {answer:?}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r63_what_an_older_release_left_is_worked_off_by_a_live_node() {
    on_each_database(|services, database| async move {
        let shared = Shared::new(&services, &database).await;
        let mut settings = shared.settings(0);
        settings.orders.ticket_orphan_after_ms = 600_000; // no sweep writes anew what could not be read
        let (node, password) = Node::try_open(settings).expect("the node opens");
        let cluster = Cluster::of(vec![node], shared, password.expect("a first administrator"));
        let (shared, node) = (&cluster.shared, &cluster.nodes[0]);
        let db = shared.schema.db().await;
        let admin = cluster.admin().await;
        let product = admin.make_product("of an older release", 9.9, 10).await;
        let ann = node.visitor().register("ann").await;
        ann.place_order(&product, 1).await.order_no(); // the ledger knows the product
        let connection = Connection::connect(&shared.amqp, ConnectionProperties::default()).await.expect("connected");
        let channel = connection.create_channel().await.expect("a channel");
        let mut told = listen(&channel, &shared.redis.prefix, "order.shipped").await;

        // a ticket in the queue
        let order_no = taken(shared, &db, ann.user_id, &product).await;
        let message = old_message(order_no, ann.user_id, &product, Clock::default().now_ms());
        let (queue, options) = (format!("{}.orders", shared.redis.prefix), BasicPublishOptions::default());
        let sent = channel.basic_publish("".into(), queue.into(), options, message.as_bytes(), BasicProperties::default());
        sent.await.expect("sent").await.expect("taken");
        until_status(&ann, order_no, PENDING).await;
        let shown = ann.order(&order_no.to_string()).await.accepted();
        assert_eq!((&shown["quantity"], &shown["total_price"]), (&json!(2), &json!(19.8)));

        // an effect, and an answer under a key: rows without what later steps added
        sql(
            &db,
            &format!(
                "INSERT INTO effects (order_no, seq, part, kind, payload, due_at_ms, attempts, lease_until_ms, \
                 last_error) VALUES ('{order_no}', 1, 9, 'release_stock', '{{\"kind\":\"release_stock\"}}', 1, 0, 0, '')"
            ),
        )
        .await;
        cluster.until(&db, "SELECT COUNT(*) AS n FROM effects", 0).await;
        let first = ann.place_order_once(&product, 1, "new-key").await.order_no();
        let columns = "fingerprint, order_nos, http_status, answer, lease_until_ms, created_at_ms";
        let copy = format!(
            "INSERT INTO idempotency_keys (user_id, idempotency_key, {columns}) \
             SELECT user_id, 'old-key', {columns} FROM idempotency_keys WHERE idempotency_key = 'new-key'"
        );
        sql(&db, &copy).await;
        assert_eq!(ann.place_order_once(&product, 1, "old-key").await.order_no(), first);

        // a commit that was not told: no `told`, no levels, no trace
        let event = json!({
            "order_no": order_no, "buyer": ann.user_id, "version": 9, "status": "shipped", "event": "order_shipped",
            "at_ms": 1, "product": product.id, "quantity": 2, "total": 1980, "pay_deadline_ms": 1,
        });
        let payload = json!({ "events": [event] });
        sql(&db, &format!("INSERT INTO outbox (payload, created_at_ms) VALUES ('{payload}', 1)")).await;
        let next = tokio::time::timeout(PATIENCE, told.next()).await.expect("told in time").expect("open");
        let heard: EventMessage = serde_json::from_slice(&next.expect("a message").data).expect("the contract");
        assert_eq!(heard.kind, "order.shipped");
        cluster.until(&db, "SELECT COUNT(*) AS n FROM outbox", 0).await;
        cluster.until(&db, "SELECT COUNT(*) AS n FROM dead_tickets", 0).await;
        db.close().await;
    })
    .await;
}
