//! A pool that three nodes sell together falls to the low-stock mark once, though none of them sold as much.

use crate::cluster::services;
use crate::support::ground::Ground;
use crate::support::process::ShopProcess;

const LOW: &str = "rushmall_low_stock_alerts_total";
const NODES: u8 = 3;

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_three_nodes_sell_runs_low_once() {
    let Some(services) = services() else { return eprintln!("not run: no services") };
    let database = services.databases.first().expect("a database");
    let first = ShopProcess::prepare_on(Ground::on(database, &services.redis, &services.amqp).await);
    let mut nodes = vec![first];
    for slot in 1..NODES {
        let node = nodes[0].beside(slot);
        nodes.push(node);
    }
    for node in &mut nodes {
        node.set("RUSHMALL__ORDERS__LOW_STOCK_UNITS", "3");
        node.start().await;
    }
    let admin = nodes[0].admin().await;
    let (product, _) = admin.make_sale("sold by three", 9).await;
    let buyers = admin.make_buyers(9, "three-").await;
    // in turns: each node sells three of nine, and had read six or more before its own first one
    for (turn, buyer) in buyers.iter().enumerate() {
        let node = &nodes[turn % usize::from(NODES)];
        node.meets(buyer).buy(&product).await.order_no();
    }
    let books = nodes[0].books().await;
    books.at_rest().await;
    books.close().await;
    let mut counted = 0.0;
    for node in &nodes {
        counted += node.visitor().figure(LOW).await.expect("it is on the page");
    }
    assert!((counted - 1.0).abs() < f64::EPSILON, "{counted}: nine, then three and none, is once at the mark");
}
