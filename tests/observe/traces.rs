//! Traces: one of a whole purchase, from the click to the push, at a real collector; and collectors that are away.

use std::io::Read as _;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use reqwest::Method;
use rushmall::random;
use serde_json::{Value, json};

use crate::collector::{Collector, Tree};
use crate::support::gateway::{Gateway, lend_keys};
use crate::support::ground::is_cluster;
use crate::support::process::ShopProcess;
use crate::support::socket::Listener;

const ENDS_WITHIN: Duration = Duration::from_secs(60);
const PAID: i64 = 2;

/// A shop that sends its traces there, and whose buyers pay at the sandbox.
async fn shop_with(endpoint: &str) -> ShopProcess {
    let mut shop = ShopProcess::prepare();
    lend_keys(shop.data_dir());
    shop.set("RUSHMALL__TELEMETRY__OTLP_ENDPOINT", endpoint);
    shop.set("RUSHMALL__PAYMENT__SANDBOX", "true");
    shop.start().await;
    shop
}

async fn end(shop: &mut ShopProcess) {
    shop.assert_clean().await;
    shop.signal(Signal::SIGTERM);
    let ended = shop.wait_for_end(ENDS_WITHIN).await;
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}:\n{}", shop.log_text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_is_one_trace_from_the_click_to_the_push_at_a_real_collector() {
    let Some(collector) = Collector::start().await else { return };
    let mut shop = shop_with(&collector.endpoint).await;
    let (product, _) = shop.admin().await.make_sale("traced", 3).await;
    let ann = shop.register("ann").await;
    let mut socket = Listener::open(&ann).await;
    let gateway = Gateway::of(&ann.address.base());
    gateway.breaks(json!({"kind": "drop", "operation": "notify"})).await; // the buyer's page asks for itself

    let (trace, page) = (hex::encode(random::bytes::<16>()), hex::encode(random::bytes::<8>()));
    let header = format!("00-{trace}-{page}-01");
    let ask =
        async |path: &str, body: &Value| ann.ask(Method::POST, path, Some(body), &[("traceparent", &header)]).await;
    let order_no = ask("/api/seckill", &json!({"product_id": product.id, "quantity": 1})).await.order_no();
    ann.sees(&order_no, 1).await;
    let charge = ask("/api/pay/wechat/unified-order", &json!({"order_no": order_no})).await.accepted();
    gateway.pay(charge["out_trade_no"].as_str().expect("a number")).await;
    let query = format!("/api/pay/wechat/query?order_no={order_no}");
    ann.ask(Method::GET, &query, None, &[("traceparent", &header)]).await.accepted();
    ann.sees(&order_no, PAID).await;
    socket.wait_for(&order_no, PAID).await;
    gateway.heals().await;
    end(&mut shop).await;

    let mut steps = vec![
        ("request", "session BuyInSale"),
        ("session BuyInSale", "inventory ReserveInSale"),
        ("inventory ReserveInSale", "ledger reserve"),
        ("inventory ReserveInSale", "write_orders"),
        ("write_orders", "websocket push"),
        ("write_orders", "order_writer WriteOrders"),
        ("order_writer WriteOrders", "sql placing orders"),
        ("request", "order_saga DriveOrder"),
        ("order_saga DriveOrder", "sql committing an order"),
        ("request", "gateway POST"),
        ("request", "gateway GET"),
        ("session BuyInSale", "session PushEvents"),
        ("order_saga DriveOrder", "websocket push"),
    ];
    if is_cluster() {
        steps.extend([
            ("ledger reserve", "redis script"),
            ("inventory ReserveInSale", "rabbitmq publish"),
            ("rabbitmq publish", "write_orders"),
            ("order_saga DriveOrder", "tell_events"),
        ]);
    }
    let leads_on = |tree: &Tree| steps.iter().all(|(from, to)| tree.leads(from, to));
    let spans = collector.spans(|spans| leads_on(&Tree::of(&trace, spans.to_vec()))).await;
    let tree = Tree::of(&trace, spans);
    eprintln!("trace {trace} of order {order_no}:\n{}", tree.print());
    for (from, to) in steps {
        assert!(tree.leads(from, to), "{from} does not lead to {to}");
    }
    let nameless: Vec<_> = tree.named("request").filter(|span| !span.attributes.contains_key("order_no")).collect();
    assert!(nameless.is_empty(), "requests without the order's number: {nameless:?}");
    let ids = [("user_id", ann.user_id.to_string()), ("product_id", product.id.to_string()), ("order_no", order_no)];
    for name in ["request", "ledger reserve", "write_orders", "websocket push"] {
        for (id, value) in &ids {
            let is_there = tree.named(name).any(|span| span.attributes.get(*id) == Some(value));
            assert!(is_there, "no {name} with {id} = {value}");
        }
    }
}

/// Sells and pays beside a collector that is no use, and stops in time.
async fn sells_well(endpoint: &str) {
    let mut shop = shop_with(endpoint).await;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("no collector", 40).await;
    let mut slowest = Duration::ZERO;
    for buyer in admin.make_buyers(40, "untraced").await {
        let started = Instant::now();
        let order_no = buyer.buy(&product).await.order_no();
        slowest = slowest.max(started.elapsed());
        buyer.sees(&order_no, 1).await;
    }
    // an export is waited for longer
    assert!(slowest < Duration::from_secs(4), "a click took {slowest:?}");
    let started = Instant::now();
    end(&mut shop).await;
    assert!(started.elapsed() < ENDS_WITHIN, "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_holds_nobody_up() {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    sells_well(&format!("http://127.0.0.1:{port}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_takes_everything_and_answers_nothing_holds_nobody_up() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let (mut stream, mut taken) = (stream, [0_u8; 4_096]);
                while stream.read(&mut taken).is_ok_and(|read| read > 0) {}
            });
        }
    });
    sells_well(&endpoint).await;
}
