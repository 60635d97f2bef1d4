//! What was said twice, or answered before it was written: t4, t5, r10, r13.

use std::time::Duration;

use futures::future::join_all;
use rushmall::actors::inventory::ReserveUnits;
use rushmall::actors::order_saga::{DriveOrder, Party};
use rushmall::actors::order_writer::{THE_WRITER, WriteOrders};
use rushmall::domain::order::{CancelReason, Command};
use rushmall::domain::stock::{Claim, ClaimRejection, OrderDetails, Ticket, TicketKind};
use rushmall::domain::{BuyerId, Money, OrderNo, Pool, ProductId, Quantity};
use rushmall::persistence::ledger::TicketRef;
use rushmall::persistence::placing::OrderGroup;

use crate::counting::{ALREADY_PAID, CANCELLED, PAID, UNPAID, sale_pool, text};
use crate::support::client::Person;
use crate::support::shop::TestShop;
use crate::support::verbs::Product;

const SOON: Duration = Duration::from_secs(20);

/// A claim as the session actor would make it.
pub fn claim(shop: &TestShop, buyer: &Person, product: &Product, pool: i64) -> Claim {
    Claim {
        order_no: shop.inside().numbers.next(),
        buyer: BuyerId(buyer.user_id),
        product: ProductId(product.id),
        pool: Pool::from(pool),
        quantity: Quantity::ONE,
        unit_price: Money::from_fen(990),
        kind: TicketKind::Owed,
        details: OrderDetails::default(),
    }
}

async fn reserve(shop: &TestShop, claim: &Claim) -> Ticket {
    let message = ReserveUnits { claim: claim.clone() };
    let answer = shop.inside().inventory.ask(&claim.product, message, SOON).await;
    answer.expect("the inventory answers").expect("there are units")
}

async fn wait_until_written(shop: &TestShop, who: &Person, order_no: OrderNo) {
    shop.at_rest().await;
    assert_eq!(who.order_status(&order_no.to_string()).await, UNPAID);
}

#[tokio::test]
async fn t4_every_command_and_message_said_twice_has_one_effect() {
    let shop = TestShop::open().await;
    let (product, sale) = shop.admin().await.make_sale("twice", 10).await;
    let ann = shop.register("ann").await;
    let claim = claim(&shop, &ann, &product, sale.id);

    // the claim, before and after its order is written
    let ticket = reserve(&shop, &claim).await;
    assert_eq!(reserve(&shop, &claim).await.claim.order_no, claim.order_no);
    wait_until_written(&shop, &ann, claim.order_no).await;
    assert_eq!(reserve(&shop, &claim).await.claim.order_no, claim.order_no);

    // the ticket, redelivered after it was settled
    for _ in 0..3 {
        shop.inside().queue.publish(&[ticket.clone(), ticket.clone()]).await.expect("published");
    }
    let group = OrderGroup { tickets: vec![ticket.clone()], atomic: false, clears_cart_of: None };
    let groups = vec![group.clone(), group];
    let written = shop.inside().writer.ask(&THE_WRITER, WriteOrders { groups }, SOON).await;
    assert_eq!(written.expect("the writer answers").len(), 2);
    let settled = [TicketRef::from(&ticket), TicketRef::from(&ticket)];
    shop.inside().ledger.settle(&settled).await.expect("settled again");
    shop.assert_stock_conserved(product.id).await;
    assert_eq!(shop.books.orders(product.id).await.len(), 1);
    assert_eq!(sale_pool(&shop.books, &product).await.free, 9);

    // the end of it
    let order_no = claim.order_no.to_string();
    ann.cancel(&order_no).await.accepted();
    let events = shop.books.count("SELECT COUNT(*) AS n FROM order_events").await;
    ann.cancel(&order_no).await.accepted();
    for _ in 0..3 {
        shop.inside().ledger.release(&[TicketRef::from(&ticket)]).await.expect("released again");
        shop.inside().queue.publish(std::slice::from_ref(&ticket)).await.expect("published");
    }
    shop.assert_stock_conserved(product.id).await;
    assert_eq!(shop.books.count("SELECT COUNT(*) AS n FROM order_events").await, events);
    assert_eq!(sale_pool(&shop.books, &product).await.free, 10);
    assert_eq!(ann.order_status(&order_no).await, CANCELLED);
}

#[tokio::test]
async fn t4_paying_shipping_and_confirming_twice_is_once() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("twice", 2).await;
    let ann = shop.register("ann").await;
    let order_no = ann.buy(&product).await.order_no();
    let payments = join_all((0..10).map(|_| ann.pay(&order_no))).await;
    assert_eq!(payments.iter().filter(|answer| answer.is_accepted()).count(), 1, "{payments:?}");
    for answer in payments.into_iter().filter(|answer| !answer.is_accepted()) {
        answer.rejected(ALREADY_PAID);
    }
    assert_eq!(shop.books.count("SELECT COUNT(*) AS n FROM payments").await, 1);
    admin.ship(&order_no).await.accepted();
    admin.ship(&order_no).await.rejected(30_003);
    ann.confirm(&order_no).await.accepted();
    let version = ann.order(&order_no).await.accepted()["version"].clone();
    ann.confirm(&order_no).await.accepted();
    assert_eq!(ann.order(&order_no).await.accepted()["version"], version);
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn r13_units_given_back_before_they_were_taken_are_never_taken() {
    let shop = TestShop::open().await;
    let (product, sale) = shop.admin().await.make_sale("before", 3).await;
    let ann = shop.register("ann").await;
    let claim = claim(&shop, &ann, &product, sale.id);
    let ticket = Ticket { claim: claim.clone(), accepted_at_ms: shop.clock.now_ms(), epoch: 0 };
    shop.inside().ledger.release(&[TicketRef::from(&ticket)]).await.expect("a tombstone");
    let product_id = claim.product;
    let late = shop.inside().inventory.ask(&product_id, ReserveUnits { claim }, SOON).await;
    let refusal = late.expect("the inventory answers").expect_err("withdrawn");
    assert_eq!(refusal, ClaimRejection::Withdrawn.into());
    ann.buy(&product).await.order_no();
    shop.assert_stock_conserved(product.id).await;
    assert_eq!(sale_pool(&shop.books, &product).await.free, 2);
}

#[tokio::test]
async fn t5_an_accepted_purchase_is_visible_at_the_first_look() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("visible", 60).await;
    let buyers = admin.make_buyers(60, "t5-").await;
    join_all(buyers.iter().enumerate().map(|(place, buyer)| see_and_pay(buyer, &product, place % 6))).await;
    shop.assert_stock_conserved(product.id).await;
    assert_eq!(sale_pool(&shop.books, &product).await.sold, 60);
}

/// Each buyer looks in another place first.
async fn see_and_pay(buyer: &Person, product: &Product, first_look: usize) {
    let order_no = buyer.buy(product).await.order_no();
    match first_look {
        0 => shows(&buyer.get("/api/order").await.accepted(), &order_no),
        1 => shows(&buyer.get("/api/order?page=1&page_size=5").await.accepted(), &order_no),
        2 => shows(&buyer.get("/api/order?page=&page_size=&status=").await.accepted(), &order_no),
        3 => {
            // it moves from 0 to 1 only: whoever looks in this order must find it in one of them
            let processing = buyer.get("/api/order?status=0").await.accepted();
            let unpaid = buyer.get("/api/order?status=1").await.accepted();
            assert!(finds(&processing, &order_no) || finds(&unpaid, &order_no), "{processing} {unpaid}");
        }
        4 => assert_eq!(text(&buyer.order(&order_no).await.accepted(), "order_no"), order_no),
        _ => {
            let result = buyer.buy_result(&order_no).await.accepted();
            assert!(["processing", "created"].contains(&text(&result, "status").as_str()), "{result}");
        }
    }
    assert_eq!(buyer.pay(&order_no).await.accepted()["status"], PAID);
    let data = buyer.order(&order_no).await.accepted();
    assert_eq!(data["status"], PAID);
}

fn finds(page: &serde_json::Value, order_no: &str) -> bool {
    let list = page["list"].as_array().expect("a list");
    list.iter().any(|order| order["order_no"] == order_no && order["id"].as_i64().is_some_and(|id| id > 0))
}

#[track_caller]
fn shows(page: &serde_json::Value, order_no: &str) {
    assert!(finds(page, order_no), "{order_no} is not in {page}");
}

#[tokio::test]
async fn t5_an_order_that_is_not_written_yet_is_shown_as_processing() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("held up", 5).await;
    let ann = shop.register("ann").await;
    // wakes the writer, which is then held
    ann.place_order(&admin.make_product("other", 1.0, 1).await, 1).await.accepted();
    admin.command_actor("order_writer", "0", "pause").await.accepted();
    let order_no = ann.buy(&product).await.order_no();
    for path in ["/api/order", "/api/order?page=1&page_size=1", "/api/order?status=0"] {
        let page = ann.get(path).await.accepted();
        shows(&page, &order_no);
        let newest = &page["list"][0];
        assert_eq!((newest["order_no"].as_str(), newest["status"].as_i64()), (Some(order_no.as_str()), Some(0)));
    }
    assert_eq!(ann.get("/api/order").await.accepted()["total"], 2);
    assert_eq!(text(&ann.buy_result(&order_no).await.accepted(), "status"), "processing");
    assert_eq!(ann.order_status(&order_no).await, 0);
    admin.command_actor("order_writer", "0", "resume").await.accepted();
    ann.pay(&order_no).await.accepted();
    assert_eq!(text(&ann.buy_result(&order_no).await.accepted(), "status"), "created");
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn a_command_for_an_order_that_is_not_written_yet_waits_for_it() {
    let shop = TestShop::open().await;
    let (product, _) = shop.admin().await.make_sale("at once", 30).await;
    let buyers = shop.admin().await.make_buyers(30, "once-").await;
    join_all(buyers.iter().map(async |buyer| {
        let order_no: OrderNo = buyer.buy(&product).await.order_no().parse().expect("an order number");
        let cancel = DriveOrder {
            party: Party::Buyer(BuyerId(buyer.user_id)),
            command: Command::Cancel { reason: CancelReason::Buyer },
        };
        let order = shop.inside().orders.ask(&order_no, cancel, SOON).await.expect("the saga answers");
        assert_eq!(order.expect("it may be cancelled").order_no, order_no);
    }))
    .await;
    shop.assert_stock_conserved(product.id).await;
    assert_eq!(sale_pool(&shop.books, &product).await.free, 30);
}
