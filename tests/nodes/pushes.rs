//! What one node does is told at the others: pushes, revocations, changes of products, tickets for sockets.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::cluster::{Cluster, number, on_each_database};
use crate::support::client::Person;
use crate::support::socket::Listener;
use crate::support::verbs::SalePlan;
use crate::support::wire::{Heard, Wire};

const UNPAID: i64 = 1;
const CANCELLED: i64 = 5;
const REVOKED: u16 = 4_401;
/// Of a message between nodes; below the 5 s after which a sign-in is read again.
const AT_ONCE: Duration = Duration::from_secs(4);
/// What is only told is heard by then.
const HEARD_WITHIN: Duration = Duration::from_secs(15);

#[tokio::test]
async fn a_buyer_at_node_1_sees_the_order_made_at_node_2_and_cancelled_at_node_3() {
    on_each_database(|services, database| async move {
        let cluster = Cluster::open(&services, &database, 3).await;
        let [one, two, three] = [0, 1, 2].map(|at: usize| &cluster.nodes[at]);
        let admin = cluster.admin().await;
        let product = admin.make_product("seen everywhere", 9.9, 50).await;
        admin.plan_sale(&product, SalePlan::open_now(50).per_buyer(50)).await;
        let ann = one.visitor().register("ann").await;
        let mut listener = Listener::open(&ann).await;
        for _ in 0..10 {
            let order_no = two.meets(&ann).buy(&product).await.order_no();
            listener.wait_for(&order_no, UNPAID).await;
            three.meets(&ann).cancel(&order_no).await.accepted();
            listener.wait_for(&order_no, CANCELLED).await;
            listener.assert_saw(&order_no, 2);
        }
        let db = cluster.shared.schema.db().await;
        cluster.until(&db, "SELECT COUNT(*) AS n FROM outbox", 0).await;
        assert_eq!(number(&db, "SELECT COUNT(*) AS n FROM orders WHERE status = 5").await, 10);
        db.close().await;
    })
    .await;
}

#[tokio::test]
async fn signing_out_at_one_node_closes_the_socket_at_another_at_once() {
    on_each_database(|services, database| async move {
        let cluster = Cluster::open(&services, &database, 2).await;
        let [one, two] = [&cluster.nodes[0], &cluster.nodes[1]];
        let ann = one.visitor().register("ann").await;
        two.meets(&ann).get("/api/user/profile").await.accepted();
        let mut wire = Wire::open(&two.meets(&ann)).await;
        wire.frame("welcome").await;
        let asked_at = Instant::now();
        ann.post("/api/auth/logout", &json!({})).await.accepted();
        assert_eq!(wire.closing().await, Heard::Closed(REVOKED));
        assert!(asked_at.elapsed() < AT_ONCE, "closed after {:?}", asked_at.elapsed());
        two.meets(&ann).get("/api/user/profile").await.with_status(401);

        let bob = two.visitor().register("bob").await;
        let mut wire = Wire::open(&one.meets(&bob)).await;
        wire.frame("welcome").await;
        let path = format!("/api/admin/users/{}", bob.user_id);
        let admin = cluster.admin().await;
        let asked_at = Instant::now();
        admin.put(&path, &json!({ "status": 0 })).await.accepted();
        assert_eq!(wire.closing().await, Heard::Closed(REVOKED));
        assert!(asked_at.elapsed() < AT_ONCE, "closed after {:?}", asked_at.elapsed());
    })
    .await;
}

#[tokio::test]
async fn who_signs_in_at_one_node_is_known_at_another_at_once() {
    on_each_database(|services, database| async move {
        let cluster = Cluster::open(&services, &database, 2).await;
        let [one, two] = [&cluster.nodes[0], &cluster.nodes[1]];
        let ann = one.visitor().register("ann").await;
        two.meets(&ann).get("/api/user/profile").await.accepted(); // her sign-ins are in memory there
        for _ in 0..3 {
            let again = one.visitor().log_in("ann", "ann-2026").await;
            two.meets(&again).get("/api/user/profile").await.accepted();
        }
    })
    .await;
}

#[tokio::test]
async fn a_price_changed_at_one_node_is_asked_at_the_others() {
    on_each_database(|services, database| async move {
        let cluster = Cluster::open(&services, &database, 2).await;
        let [one, two] = [&cluster.nodes[0], &cluster.nodes[1]];
        let admin = cluster.admin().await;
        let product = admin.make_product("dearer", 1.0, 100).await;
        let ann = one.visitor().register("ann").await;
        two.meets(&ann).place_order(&product, 1).await.accepted(); // the actor is in memory there
        admin.put(&format!("/api/product/{}", product.id), &json!({ "price": 2.5 })).await.accepted();
        let until = Instant::now() + HEARD_WITHIN;
        loop {
            let order_no = two.meets(&ann).place_order(&product, 1).await.order_no();
            let order = two.meets(&ann).order(&order_no).await.accepted();
            if order["total_price"] == 2.5 {
                break;
            }
            assert!(Instant::now() < until, "{order}");
            tokio::time::sleep(Duration::from_millis(300)).await;
        }

        // sold out there, restocked here
        let few = admin.make_product("few", 1.0, 1).await;
        two.meets(&ann).place_order(&few, 1).await.accepted();
        assert!(!two.meets(&ann).place_order(&few, 1).await.is_accepted());
        admin.set_stock(&few, 5).await.accepted();
        let until = Instant::now() + HEARD_WITHIN;
        loop {
            let answer = two.meets(&ann).place_order(&few, 1).await;
            if answer.is_accepted() {
                break;
            }
            assert!(Instant::now() < until, "{answer:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_ticket_of_one_node_opens_one_socket_at_any_other() {
    on_each_database(|services, database| async move {
        let cluster = Cluster::open(&services, &database, 3).await;
        let [one, two, three] = [0, 1, 2].map(|at: usize| &cluster.nodes[at]);
        let ann = one.visitor().register("ann").await;
        let data = ann.post("/api/ws/ticket", &json!({})).await.accepted();
        let ticket = data["ticket"].as_str().expect("a ticket");
        let mut wire = Wire::try_ticket(&two.address, ticket).await.expect("the socket opens");
        assert_eq!(wire.frame("welcome").await["user_id"], ann.user_id);
        for node in [one, two, three] {
            assert_eq!(Wire::try_ticket(&node.address, ticket).await.err(), Some(401));
        }
        // however many come at once
        let data = ann.post("/api/ws/ticket", &json!({})).await.accepted();
        let ticket = data["ticket"].as_str().expect("a ticket").to_owned();
        let tries = (0..12).map(|turn| Wire::try_ticket(&cluster.nodes[turn % 3].address, &ticket));
        let opened = futures::future::join_all(tries).await.into_iter().filter(Result::is_ok).count();
        assert_eq!(opened, 1);
    })
    .await;
}

#[tokio::test]
async fn what_a_node_accepted_is_told_elsewhere_before_it_stops() {
    on_each_database(|services, database| async move {
        let mut cluster = Cluster::open(&services, &database, 2).await;
        let admin = cluster.admin().await;
        let product = admin.make_product("last words", 9.9, 50).await;
        admin.plan_sale(&product, SalePlan::open_now(50).per_buyer(50)).await;
        let ann = cluster.nodes[0].visitor().register("ann").await;
        let mut listener = Listener::open(&ann).await;
        let at_two = cluster.nodes[1].meets(&ann);
        let mut numbers = Vec::new();
        for _ in 0..20 {
            numbers.push(at_two.buy(&product).await.order_no());
        }
        cluster.nodes[1].stop();
        for order_no in &numbers {
            listener.wait_for(order_no, UNPAID).await;
        }
        until_known(&admin, 1).await;
        cluster.nodes[1].start();
        until_known(&admin, 2).await;
    })
    .await;
}

/// Waits until the list of nodes is a fresh one of so many: who took leave is gone at once, who was killed is not.
async fn until_known(admin: &Person, count: usize) {
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        let list = admin.get("/api/admin/nodes").await.accepted();
        if list["is_current"] == true && list["nodes"].as_array().map(Vec::len) == Some(count) {
            return;
        }
        assert!(Instant::now() < until, "not {count} nodes: {list}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
