//! Messages between nodes are lost: sockets hear everything nevertheless, once and in order.

use std::time::Duration;

use rushmall::actors::peers::NodeMessage;
use rushmall::config::RedisSettings;
use rushmall::domain::OrderNo;
use rushmall::persistence::journal;
use rushmall::persistence::outbox::{OutboxPayload, OutboxRow};

use crate::cluster::{Cluster, Node, OwnRedis, Shared, on_each_database};
use crate::support::ground::hex;
use crate::support::socket::Listener;

const PAID: i64 = 2;
const SHIPPED: i64 = 3;
const COMPLETED: i64 = 4;
const QUIET: Duration = Duration::from_millis(300);

#[tokio::test]
async fn redis_killed_for_two_seconds_in_mid_push_and_sockets_hear_everything() {
    on_each_database(|services, database| async move {
        let mut redis = OwnRedis::start().await;
        let mut shared = Shared::new(&services, &database).await;
        shared.redis = RedisSettings { url: redis.url(), ..shared.redis };
        let cluster = Cluster::on(shared, 3);
        let admin = cluster.admin().await;
        let product = admin.make_product("through the dark", 9.9, 100).await;
        let ann = cluster.nodes[0].visitor().register("ann").await;
        let mut listener = Listener::open(&ann).await;
        let mut numbers = Vec::new();
        for _ in 0..40 {
            let order_no = ann.place_order(&product, 1).await.order_no();
            listener.wait_for(&order_no, 1).await;
            numbers.push(order_no);
        }
        // all of their lives at the other nodes, while Redis dies and comes back
        let living = async {
            for (turn, order_no) in numbers.iter().enumerate() {
                let (here, there) = (&cluster.nodes[1 + turn % 2], &cluster.nodes[2 - turn % 2]);
                here.meets(&ann).pay(order_no).await.accepted();
                there.meets(&admin).ship(order_no).await.accepted();
                here.meets(&ann).confirm(order_no).await.accepted();
                tokio::time::sleep(Duration::from_millis(60)).await;
            }
        };
        let dying = async {
            tokio::time::sleep(Duration::from_millis(700)).await;
            redis.kill();
            tokio::time::sleep(Duration::from_secs(2)).await;
            redis.restart().await;
        };
        let listening = async {
            for order_no in &numbers {
                listener.wait_for(order_no, COMPLETED).await;
            }
        };
        futures::join!(living, dying, listening);
        for order_no in &numbers {
            listener.assert_saw(order_no, 5);
        }
        assert!(listener.closed_with.is_none(), "the socket stayed open all the time");
    })
    .await;
}

/// One more node on the same database, whose messages nobody hears. It carries rows of the others as well: what they did
/// must be told before it is opened.
fn unheard_node(cluster: &Cluster) -> Node {
    let mut settings = cluster.shared.settings(7);
    settings.redis.prefix = format!("{}-elsewhere", settings.redis.prefix);
    Node::try_open(settings).expect("the node opens").0
}

#[tokio::test]
async fn a_gap_in_the_numbers_makes_sockets_read_what_was_lost() {
    on_each_database(|services, database| async move {
        let cluster = Cluster::open(&services, &database, 2).await;
        let admin = cluster.admin().await;
        let product = admin.make_product("lost words", 9.9, 100).await;
        let ann = cluster.nodes[0].visitor().register("ann").await;
        let mut listener = Listener::open(&ann).await;
        let mut numbers = Vec::new();
        for _ in 0..6 {
            let order_no = ann.place_order(&product, 1).await.order_no();
            listener.wait_for(&order_no, 1).await;
            numbers.push(order_no);
        }
        let unheard = unheard_node(&cluster);
        for order_no in &numbers {
            unheard.meets(&ann).pay(order_no).await.accepted();
        }
        listener.listen(QUIET).await;
        // now and then another node's relay carries a row; the rest was lost
        let heard = |listener: &Listener| listener.pushes.iter().filter(|push| push.status == PAID).count();
        assert!(heard(&listener) < numbers.len(), "nothing was lost, so nothing is tested");
        let life = hex(8);
        cluster.shared.forge(&life, 1, &[serde_json::json!({"kind": "sessions_changed", "user": 999_999})]).await;
        listener.listen(QUIET).await;
        assert!(heard(&listener) < numbers.len(), "the first message of a node is no gap");
        cluster.shared.forge(&life, 3, &[serde_json::json!({"kind": "sessions_changed", "user": 999_999})]).await;
        for order_no in &numbers {
            listener.wait_for(order_no, PAID).await;
            listener.assert_saw(order_no, 3);
        }
        // a last message that was lost shows by the heartbeat
        unheard.meets(&admin).ship(&numbers[0]).await.accepted();
        cluster.shared.forge(&life, 4, &[]).await;
        listener.wait_for(&numbers[0], SHIPPED).await;
        listener.assert_saw(&numbers[0], 4);
        // a node that falls silent may have said something
        unheard.meets(&ann).confirm(&numbers[0]).await.accepted();
        tokio::time::sleep(Duration::from_secs(5)).await;
        listener.wait_for(&numbers[0], COMPLETED).await;
        // a message that this version cannot read counts as missed
        unheard.meets(&admin).ship(&numbers[1]).await.accepted();
        cluster.shared.forge(&hex(8), 1, &[serde_json::json!({"kind": "of a later version"})]).await;
        listener.wait_for(&numbers[1], SHIPPED).await;
    })
    .await;
}

#[tokio::test]
async fn a_later_step_that_comes_first_is_told_after_those_before_it() {
    on_each_database(|services, database| async move {
        let cluster = Cluster::open(&services, &database, 2).await;
        let admin = cluster.admin().await;
        let product = admin.make_product("out of order", 9.9, 100).await;
        let ann = cluster.nodes[0].visitor().register("ann").await;
        let mut listener = Listener::open(&ann).await;
        let order_no = ann.place_order(&product, 1).await.order_no();
        listener.wait_for(&order_no, 1).await;
        let unheard = unheard_node(&cluster);
        unheard.meets(&ann).pay(&order_no).await.accepted();
        unheard.meets(&admin).ship(&order_no).await.accepted();
        listener.listen(QUIET).await;
        let db = cluster.shared.schema.db().await;
        let number: OrderNo = order_no.parse().expect("an order number");
        let steps = journal::events_after(&db, number, 1).await.expect("the journal");
        let told = |at: usize| {
            let payload = OutboxPayload { events: vec![steps[at].event.clone()], ..OutboxPayload::default() };
            let row = OutboxRow { commit_no: steps[at].commit_no, payload };
            serde_json::to_value(NodeMessage::Committed(row)).expect("a message")
        };
        let life = hex(8);
        for (turn, at) in [2, 0, 1, 2].into_iter().enumerate() {
            cluster.shared.forge(&life, turn as u64 + 1, &[told(at)]).await;
        }
        listener.wait_for(&order_no, SHIPPED).await;
        listener.listen(QUIET).await;
        listener.assert_saw(&order_no, 4);
        db.close().await;
    })
    .await;
}
